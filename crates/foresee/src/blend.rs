//! First passage and what recorded failures taught, as one statement: each counts as far as it is supported.

use foretwin_core::{FailureMode, Quantiles, Risk, probability_at};

use crate::{Foretold, Statement, combine};

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
    /// The same of modes that something was learned of.
    modes: Vec<OfMode>,
}

/// What was learned of one way to fail.
#[derive(Debug, Clone, PartialEq)]
struct OfMode {
    mode: FailureMode,
    shifts: Vec<(f64, f64)>,
    time_to_failure: Quantiles,
}

/// Blends in log odds: with the weight c that a horizon's confidence gives, c of what was learned and 1 − c of the first
/// passage (a logarithmic opinion pool: Genest and Zidek, "Combining probability distributions", Statistical Science 1,
/// 1986). Without confidence, or where the statement abstains, first passage stands. A risk is moved as its own mode is where
/// that was told, else as all are together; where none is notable, what was learned of calm instances speaks of no mode.
#[must_use]
pub fn blend(risks: &mut [Risk], learned: &Statement, horizons_s: &[f64]) -> Blend {
    let weight = |index: usize| {
        let support = learned.confidence.get(index).copied().unwrap_or(0.0);
        if learned.abstains.is_some() { 0.0 } else { support }
    };
    let moves = |risks: &[Risk], within: &[f64]| -> Vec<(f64, f64)> {
        let each = horizons_s.iter().enumerate().map(|(index, &horizon_s)| {
            let (weight, passage) = (weight(index), combine(risks, horizon_s));
            let said = within.get(index).copied().unwrap_or(passage);
            let wanted = moved(passage, weight * (log_odds(said) - log_odds(passage)));
            // Without weight nothing is touched, not even by rounding.
            (horizon_s, if weight > 0.0 { common(risks, horizon_s, wanted) } else { 0.0 })
        });
        each.collect()
    };
    let shifts = moves(risks, &learned.within);
    let within = together(risks, (&learned.within, horizons_s), weight);
    let of_mode = |told: &Foretold| {
        let own: Vec<Risk> = risks.iter().filter(|risk| risk.mode == told.mode).cloned().collect();
        let (mode, time_to_failure) = (told.mode, told.time_to_failure);
        OfMode { mode, shifts: moves(&own, &told.within), time_to_failure }
    };
    let modes = learned.modes.iter().map(of_mode).collect();
    let mut blend = Blend { within, shifts, modes };
    let furthest = horizons_s.last().copied().unwrap_or(0.0);
    if combine(risks, furthest) >= NOTABLE {
        risks.iter_mut().for_each(|risk| blend.apply(risk));
        // What the risks say together is the statement: nothing may be said twice and differently.
        blend.within.iter_mut().for_each(|(horizon_s, p)| *p = combine(risks, *horizon_s));
        if learned.abstains.is_none() {
            blend.time(risks, learned.time_to_failure);
        }
    }
    blend
}

/// All risks as one, blended with what was learned of them at each horizon.
fn together(
    risks: &[Risk],
    (learned, horizons_s): (&[f64], &[f64]),
    weight: impl Fn(usize) -> f64,
) -> Vec<(f64, f64)> {
    let mut before: f64 = 0.0;
    let at = |(index, &horizon_s): (usize, &f64)| {
        let passage = combine(risks, horizon_s);
        let said = learned.get(index).copied().unwrap_or(passage);
        let blended = moved(passage, weight(index) * (log_odds(said) - log_odds(passage)));
        before = if weight(index) > 0.0 { blended } else { passage }.max(before);
        (horizon_s, before)
    };
    horizons_s.iter().enumerate().map(at).collect()
}

impl Blend {
    /// Moves a risk as all were moved together; between the horizons the shift is interpolated.
    fn apply(&self, risk: &mut Risk) {
        let own = self.modes.iter().find(|one| one.mode == risk.mode);
        let shifts = own.map_or(&self.shifts, |one| &one.shifts);
        let mut before: f64 = 0.0;
        for (horizon_s, p) in &mut risk.within {
            let shift = shift(shifts, *horizon_s);
            // Where one horizon was learned of and the next was not, what was said within the one holds within the other.
            *p = if shift != 0.0 { moved(*p, shift) } else { *p }.max(before);
            before = *p;
        }
        let last = shifts.last().map_or(0.0, |&(_, shift)| shift);
        let never = if last != 0.0 { 1.0 - moved(1.0 - risk.never, last) } else { risk.never };
        risk.never = never.min(1.0 - before);
    }

    /// Tells risks the time to failure that was learned of their mode; without one the foremost that of all.
    fn time(&self, risks: &mut [Risk], all: Quantiles) {
        for (index, risk) in risks.iter_mut().enumerate() {
            let own = self.modes.iter().find(|one| one.mode == risk.mode).map(|one| one.time_to_failure);
            let told = own.or((index == 0).then_some(all)).unwrap_or_default();
            risk.time_to_failure = sooner(told, risk.time_to_failure);
        }
    }

    /// The probability within any horizon.
    #[must_use]
    pub fn at(&self, horizon_s: f64) -> f64 {
        probability_at(&self.within, horizon_s)
    }
}

/// The shift at any horizon.
fn shift(shifts: &[(f64, f64)], horizon_s: f64) -> f64 {
    let first = shifts.first().copied().unwrap_or_default();
    if horizon_s <= first.0 { first.1 } else { probability_at(shifts, horizon_s) }
}

/// What was learned of the time, where it says anything.
fn sooner(learned: Quantiles, passage: Quantiles) -> Quantiles {
    if learned.p50.is_some() { learned } else { passage }
}

/// The amount by which the log odds of every risk must move so that together they say `wanted`, by bisection; of one
/// risk the difference.
fn common(risks: &[Risk], horizon_s: f64, wanted: f64) -> f64 {
    match risks {
        [] => return 0.0,
        [only] => return log_odds(wanted) - log_odds(only.at(horizon_s)),
        _ => {}
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
        Statement {
            within: vec![p, p],
            time_to_failure,
            confidence: vec![confidence; 2],
            modes: Vec::new(),
            abstains: None,
        }
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

    /// A failure within the quarter of an hour is one within the day, whatever was learned of the day.
    #[test]
    fn a_longer_horizon_that_nothing_was_learned_of_says_no_less() {
        let mut risk = leak(0.5);
        (risk.within, risk.never) = (vec![(900.0, 0.5), (3600.0, 0.55)], 0.4);
        let learned = Statement { confidence: vec![1.0, 0.0], ..statement(0.9, 1.0) };
        let mut risks = [risk];
        let together = blend(&mut risks, &learned, &[900.0, 3600.0]);
        assert!((together.at(900.0) - 0.9).abs() < 1e-9 && together.at(3600.0) >= together.at(900.0));
        assert!(risks[0].at(3600.0) >= 0.9 - 1e-9 && risks[0].never <= 0.1 + 1e-9, "{risks:?}");
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

    #[test]
    fn a_mode_that_something_was_learned_of_is_moved_by_that() {
        let horizons = [3600.0, 86_400.0];
        let (mut leaking, mut filling) = (leak(0.8), leak(0.8));
        (leaking.mode, filling.mode) = (FailureMode::MemoryExhaustion, FailureMode::DiskFull);
        let told = |mode, p| {
            let time_to_failure = Quantiles { p50: Some(7.0), ..Quantiles::default() };
            Foretold { mode, within: vec![p, p], time_to_failure }
        };
        let modes = vec![told(FailureMode::MemoryExhaustion, 0.9), told(FailureMode::DiskFull, 0.01)];
        let mut risks = [leaking, filling];
        let together = blend(&mut risks, &Statement { modes, ..statement(0.9, 1.0) }, &horizons);
        assert!((together.at(3600.0) - combine(&risks, 3600.0)).abs() < 1e-9);
        assert!((risks[0].at(3600.0) - 0.9).abs() < 1e-9 && (risks[1].at(3600.0) - 0.01).abs() < 1e-9);
        assert_eq!(risks[1].time_to_failure.p50, Some(7.0));
    }
}
