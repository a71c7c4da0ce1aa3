//! What is said of an instance at one moment, as the policy takes it.

use foretwin_core::{
    Action, Cause, FailureMode, Instance, Quantiles, Risk, Timestamp, Verdict, VerdictClass, probability_at,
};
use serde::{Deserialize, Serialize};

/// How likely one failure mode is, calibrated.
#[derive(Debug, Clone, PartialEq)]
pub struct Chance {
    /// How it would fail.
    pub mode: FailureMode,
    /// Horizon in seconds and the probability of failure within it, ascending in both.
    pub within: Vec<(f64, f64)>,
    /// When, counted from the moment of the statement.
    pub time_to_failure: Quantiles,
    /// How much was seen of the like, 0 to 1.
    pub confidence: f64,
}

impl Chance {
    /// Risks by mode: those of one mode compete, so the chance that any of them strikes is 1 − Π (1 − pᵢ); the time is that
    /// of the likeliest. All risks must state the same horizons.
    #[must_use]
    pub fn of(risks: &[Risk]) -> Vec<Self> {
        let mut chances: Vec<Self> = Vec::new();
        let mut sorted: Vec<&Risk> = risks.iter().collect();
        let last = |risk: &Risk| risk.within.last().map_or(0.0, |&(_, p)| p);
        sorted.sort_by(|a, b| last(b).total_cmp(&last(a)));
        for risk in sorted {
            let Some(known) = chances.iter_mut().find(|known| known.mode == risk.mode) else {
                let Risk { mode, time_to_failure, confidence, .. } = *risk;
                chances.push(Self { mode, within: risk.within.clone(), time_to_failure, confidence });
                continue;
            };
            for (together, &(horizon_s, _)) in known.within.iter_mut().zip(&risk.within) {
                together.1 = 1.0 - (1.0 - together.1) * (1.0 - risk.at(horizon_s).clamp(0.0, 1.0));
            }
        }
        chances
    }

    /// The probability of failure within `horizon_s` seconds, linear between the stated horizons.
    #[must_use]
    pub fn at(&self, horizon_s: f64) -> f64 {
        probability_at(&self.within, horizon_s)
    }
}

/// What is said of an instance at one moment. What is not known is left out: an earlier statement stands then.
#[derive(Debug, Clone, Copy)]
pub struct Signal<'a> {
    /// Of whom.
    pub instance: &'a Instance,
    /// When it is said.
    pub at: Timestamp,
    /// Per failure mode; a mode that is missing has probability nothing.
    pub chances: &'a [Chance],
    /// The latest anomaly score; above 1 is anomalous.
    pub anomaly: Option<f64>,
    /// What the contrast says.
    pub verdict: Option<&'a Verdict>,
}

/// The probability that the machine underneath is in trouble, and not by the instance's own doing.
#[must_use]
pub fn infrastructure(verdict: &Verdict) -> f64 {
    if verdict.self_inflicted {
        return 0.0;
    }
    let blamed = |class: VerdictClass| matches!(class, VerdictClass::Infrastructure | VerdictClass::Both);
    verdict.probabilities.iter().filter(|(class, _)| blamed(*class)).map(|(_, p)| p).sum()
}

/// Why it is said, and what to do: made for those who exceed a bar only, since it costs more.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Explanation {
    /// Likeliest first.
    pub causes: Vec<Cause>,
    /// Best first.
    pub actions: Vec<Action>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cause::tests::leak;

    #[test]
    fn risks_of_one_mode_are_one_chance() {
        let chances = Chance::of(&[leak(0.2), leak(0.5)]);
        assert_eq!(chances.len(), 1);
        assert!((chances[0].at(3600.0) - 0.6).abs() < 1e-12, "{chances:?}");
        assert!(Chance::of(&[]).is_empty());
    }
}
