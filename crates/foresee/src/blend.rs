//! First passage and what recorded failures taught, as one statement: each counts as far as it is supported.

use foretwin_core::{Quantiles, Risk, probability_at};

use crate::{Statement, combine};

/// Probabilities are believed between these odds.
const LEAST: f64 = 1e-4;
/// Log odds are moved by at most this, which is found to within this many halvings.
const MOST: f64 = 20.0;
const HALVINGS: u32 = 40;
/// A risk that has less than this at the longest horizon is not what a learned probability speaks of.
const NOTABLE: f64 = 1e-3;

/// Probability of failure by any mode within each horizon, and what was done to get it.
#[derive(Debug, Clone, PartialEq)]
pub struct Blend {
    /// Horizon in seconds and probability, ascending in both.
    pub within: Vec<(f64, f64)>,
    /// By how much the log odds of each risk were moved at each horizon.
    shifts: Vec<(f64, f64)>,
}

/// Blends in log odds: with the weight c that a horizon's confidence gives, c of what was learned and 1 − c of the first
/// passage (a logarithmic opinion pool: Genest and Zidek, "Combining probability distributions", Statistical Science 1,
/// 1986). Without confidence, or where the statement abstains, first passage stands. The risks are moved so that together
/// they say the same; where none is notable, what was learned of calm instances speaks of no mode.
#[must_use]
pub fn blend(risks: &mut [Risk], learned: &Statement, horizons_s: &[f64]) -> Blend {
    let mut shifts = Vec::with_capacity(horizons_s.len());
    let mut within: Vec<(f64, f64)> = Vec::with_capacity(horizons_s.len());
    for (index, &horizon_s) in horizons_s.iter().enumerate() {
        let passage = combine(risks, horizon_s);
        let support = learned.confidence.get(index).copied().unwrap_or(0.0);
        let weight = if learned.abstains.is_some() { 0.0 } else { support };
        let said = learned.within.get(index).copied().unwrap_or(passage);
        let shift = weight * (log_odds(said) - log_odds(passage));
        let before = within.last().map_or(0.0, |&(_, p)| p);
        // Without weight nothing is touched, not even by rounding.
        let together = if weight > 0.0 { moved(passage, shift) } else { passage };
        within.push((horizon_s, together.max(before)));
        shifts.push((
            horizon_s,
            if weight > 0.0 { common(risks, horizon_s, together.max(before)) } else { 0.0 },
        ));
    }
    let mut blend = Blend { within, shifts };
    let furthest = horizons_s.last().copied().unwrap_or(0.0);
    if combine(risks, furthest) >= NOTABLE {
        risks.iter_mut().for_each(|risk| blend.apply(risk));
        // What the risks say together is the statement: nothing may be said twice and differently.
        blend.within.iter_mut().for_each(|(horizon_s, p)| *p = combine(risks, *horizon_s));
        if let Some(first) = risks.first_mut().filter(|_| learned.abstains.is_none()) {
            first.time_to_failure = sooner(learned.time_to_failure, first.time_to_failure);
        }
    }
    blend
}

impl Blend {
    /// Moves a risk as all were moved together; between the horizons the shift is interpolated.
    fn apply(&self, risk: &mut Risk) {
        let mut before: f64 = 0.0;
        for (horizon_s, p) in &mut risk.within {
            let shift = self.shift(*horizon_s);
            if shift != 0.0 {
                *p = moved(*p, shift).max(before);
            }
            before = *p;
        }
        let last = self.shifts.last().map_or(0.0, |&(_, shift)| shift);
        if last != 0.0 {
            risk.never = (1.0 - moved(1.0 - risk.never, last)).min(1.0 - before);
        }
    }

    fn shift(&self, horizon_s: f64) -> f64 {
        let first = self.shifts.first().copied().unwrap_or_default();
        if horizon_s <= first.0 { first.1 } else { probability_at(&self.shifts, horizon_s) }
    }

    /// The probability within any horizon.
    #[must_use]
    pub fn at(&self, horizon_s: f64) -> f64 {
        probability_at(&self.within, horizon_s)
    }
}

/// What was learned of the time, where it says anything.
fn sooner(learned: Quantiles, passage: Quantiles) -> Quantiles {
    if learned.p50.is_some() { learned } else { passage }
}

/// The amount by which the log odds of every risk must move so that together they say `wanted`, by bisection; of one
/// risk the difference.
fn common(risks: &[Risk], horizon_s: f64, wanted: f64) -> f64 {
    if let [only] = risks {
        return log_odds(wanted) - log_odds(only.at(horizon_s));
    }
    let together =
        |shift| 1.0 - risks.iter().map(|risk| 1.0 - moved(risk.at(horizon_s), shift)).product::<f64>();
    let (mut low, mut high) = (-MOST, MOST);
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        if together(middle) < wanted { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

fn log_odds(p: f64) -> f64 {
    let p = p.clamp(LEAST, 1.0 - LEAST);
    (p / (1.0 - p)).ln()
}

fn moved(p: f64, shift: f64) -> f64 {
    1.0 / (1.0 + (-(log_odds(p) + shift)).exp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cause::tests::leak;

    fn statement(p: f64, confidence: f64) -> Statement {
        let time_to_failure = Quantiles { p10: Some(1.0), p50: Some(2.0), p90: Some(3.0) };
        Statement { within: vec![p, p], time_to_failure, confidence: vec![confidence; 2], abstains: None }
    }

    #[test]
    fn weight_goes_from_first_passage_to_what_was_learned() {
        let horizons = [3600.0, 86_400.0];
        let passage = combine(&[leak(0.8)], 3600.0);
        let mut said = Vec::new();
        for confidence in [0.0, 0.3, 0.9, 1.0] {
            let mut risks = [leak(0.8)];
            let together = blend(&mut risks, &statement(0.1, confidence), &horizons);
            assert!((combine(&risks, 3600.0) - together.at(3600.0)).abs() < 1e-9, "one risk carries all");
            said.push(together.at(3600.0));
        }
        assert_eq!(said[0], passage);
        assert!(said.windows(2).all(|pair| pair[1] < pair[0]) && (said[3] - 0.1).abs() < 1e-9, "{said:?}");
    }

    #[test]
    fn several_risks_are_moved_to_what_they_say_together() {
        let horizons = [900.0, 3600.0, 86_400.0];
        for said in [0.05, 0.5, 0.97] {
            let mut risks = [leak(0.8), leak(0.3), leak(0.0)];
            let learned =
                Statement { within: vec![said; 3], confidence: vec![1.0; 3], ..statement(said, 1.0) };
            let together = blend(&mut risks, &learned, &horizons);
            assert!((together.at(3600.0) - said).abs() < 1e-3, "{said}: {together:?}");
            for horizon_s in horizons {
                assert!((combine(&risks, horizon_s) - together.at(horizon_s)).abs() < 1e-12);
            }
            assert!(risks[0].at(3600.0) > risks[1].at(3600.0) && 1.0 - risks[0].never >= risks[0].at(3600.0));
        }
    }

    #[test]
    fn who_abstains_changes_nothing() {
        let mut risks = [leak(0.8)];
        let abstains = Statement { abstains: Some("too few".into()), ..statement(0.1, 0.9) };
        let together = blend(&mut risks, &abstains, &[3600.0, 86_400.0]);
        assert_eq!((&risks[..], together.at(3600.0)), (&[leak(0.8)][..], combine(&[leak(0.8)], 3600.0)));
    }

    #[test]
    fn calm_instances_have_the_rate_of_those_like_them() {
        let together = blend(&mut [], &statement(0.2, 1.0), &[3600.0, 86_400.0]);
        assert!((together.at(3600.0) - 0.2).abs() < 1e-9);
    }
}
