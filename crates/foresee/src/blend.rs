//! First passage and what recorded failures taught, as one statement: each counts as far as it is supported.

use foretwin_core::{FailureMode, Quantiles, Risk, probability_at};

use crate::{Foretold, Statement, combine};

/// Probabilities are believed between these odds.
const LEAST: f64 = 1e-4;
/// A risk that has less than this at the longest horizon is not what a learned probability speaks of.
const NOTABLE: f64 = 1e-3;

/// Probability of failure by any mode within each horizon, and what was done to get it.
#[derive(Debug, Clone, PartialEq)]
pub struct Blend {
    /// Horizon in seconds and probability, ascending in both.
    pub within: Vec<(f64, f64)>,
    /// By how much the log odds of first passage were moved at each horizon.
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
            let passage = combine(risks, horizon_s);
            let said = within.get(index).copied().unwrap_or(passage);
            (horizon_s, weight(index) * (log_odds(said) - log_odds(passage)))
        });
        each.collect()
    };
    let shifts = moves(risks, &learned.within);
    let within = together(risks, &shifts);
    let of_mode = |told: &Foretold| {
        let own: Vec<Risk> = risks.iter().filter(|risk| risk.mode == told.mode).cloned().collect();
        let (mode, time_to_failure) = (told.mode, told.time_to_failure);
        OfMode { mode, shifts: moves(&own, &told.within), time_to_failure }
    };
    let modes = learned.modes.iter().map(of_mode).collect();
    let blend = Blend { within, shifts, modes };
    let furthest = horizons_s.last().copied().unwrap_or(0.0);
    if combine(risks, furthest) >= NOTABLE {
        risks.iter_mut().for_each(|risk| blend.apply(risk));
        if learned.abstains.is_none() {
            blend.time(risks, learned.time_to_failure);
        }
    }
    blend
}

/// All risks as one, with its log odds moved at each horizon.
fn together(risks: &[Risk], shifts: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut before: f64 = 0.0;
    let at = |&(horizon_s, shift): &(f64, f64)| {
        let passage = combine(risks, horizon_s);
        // Without weight nothing is touched, not even by rounding.
        before = if shift == 0.0 { passage } else { moved(passage, shift) }.max(before);
        (horizon_s, before)
    };
    shifts.iter().map(at).collect()
}

impl Blend {
    /// Moves a risk as all were moved together; between the horizons the shift is interpolated.
    fn apply(&self, risk: &mut Risk) {
        let own = self.modes.iter().find(|one| one.mode == risk.mode);
        let shifts = own.map_or(&self.shifts, |one| &one.shifts);
        let mut before: f64 = 0.0;
        for (horizon_s, p) in &mut risk.within {
            let shift = shift(shifts, *horizon_s);
            if shift != 0.0 {
                *p = moved(*p, shift).max(before);
            }
            before = *p;
        }
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
        blend(&mut risks, &Statement { modes, ..statement(0.9, 1.0) }, &horizons);
        assert!((risks[0].at(3600.0) - 0.9).abs() < 1e-9 && (risks[1].at(3600.0) - 0.01).abs() < 1e-9);
        assert_eq!(risks[1].time_to_failure.p50, Some(7.0));
    }
}
