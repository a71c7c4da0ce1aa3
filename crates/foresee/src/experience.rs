//! What recorded failures and survivals taught, and what it says of a situation.

use std::collections::{BTreeMap, BTreeSet};

use foretwin_core::{FailureMode, Quantiles, probability_at};

use crate::hazard::{Hazard, Moment};
use crate::interval::Interval;
use crate::situation::{Cause, Situation};

/// Fewest failures of a kind from which its own intervals are learned; others use those of all.
const OWN_FAILURES: usize = 40;

/// How a recorded instance ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// When it failed, or was last seen, in seconds on the record's clock.
    pub ended_s: f64,
    /// Whether it failed then; otherwise the record is censored.
    pub failed: bool,
    /// How it failed, if anybody knows.
    pub mode: Option<FailureMode>,
    /// When the trouble began, if anybody knows.
    pub onset_s: Option<f64>,
}

/// A recorded instance: its situations over time, and how it ended.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its workload, which shares what it learns.
    pub identity: Option<u64>,
    /// Moments in seconds on the record's clock, ascending, each with what was known then.
    pub moments: Vec<(f64, Situation)>,
    /// How it ended.
    pub outcome: Outcome,
}

/// What is said of a situation.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// Calibrated probability within each horizon.
    pub within: Vec<f64>,
    /// Time to failure.
    pub time_to_failure: Quantiles,
    /// How much was seen of the like, for each horizon, 0 to 1.
    pub confidence: Vec<f64>,
    /// The same for each mode that has something to say, the likeliest first.
    pub modes: Vec<Foretold>,
    /// Why nothing should be concluded, where that is so.
    pub abstains: Option<String>,
}

/// What is said of one way to fail.
#[derive(Debug, Clone, PartialEq)]
pub struct Foretold {
    /// Which.
    pub mode: FailureMode,
    /// Calibrated probability within each horizon, if nothing else comes before.
    pub within: Vec<f64>,
    /// Time to failure.
    pub time_to_failure: Quantiles,
}

impl Statement {
    /// The same at other horizons than the `made_s` that it was made for: linear between them, constant beyond. Support is
    /// that of the next horizon that it is known for.
    #[must_use]
    pub fn at(&self, made_s: &[f64], horizons_s: &[f64]) -> Self {
        let anew = |within: &[f64]| -> Vec<f64> {
            let known: Vec<(f64, f64)> = made_s.iter().copied().zip(within.iter().copied()).collect();
            horizons_s.iter().map(|&horizon_s| probability_at(&known, horizon_s)).collect()
        };
        let told = |one: &Foretold| Foretold { within: anew(&one.within), ..one.clone() };
        let support = |horizon_s: f64| {
            let next = made_s.partition_point(|&made| made < horizon_s).min(self.confidence.len().max(1) - 1);
            self.confidence.get(next).copied().unwrap_or(0.0)
        };
        Self {
            within: anew(&self.within),
            modes: self.modes.iter().map(told).collect(),
            confidence: horizons_s.iter().map(|&horizon_s| support(horizon_s)).collect(),
            ..self.clone()
        }
    }
}

/// The learned model of failure.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Experience {
    hazard: Hazard,
    interval: Interval,
    by_mode: BTreeMap<FailureMode, Interval>,
    failures: usize,
}

/// Fewest failures without which a probability is only a guess.
const LEAST_FAILURES: usize = 5;

impl Experience {
    /// Learns from records; `horizons_s` ascend, as in the situations.
    #[must_use]
    pub fn learn(records: &[Record], horizons_s: &[f64]) -> Self {
        Self::learn_weighted(records, horizons_s, |_, _| 1.0)
    }

    /// Learns from records whose moments count as `weight(record, moment)` observations: what lies near together in one
    /// record is nearly the same observation.
    #[must_use]
    pub fn learn_weighted(
        records: &[Record],
        horizons_s: &[f64],
        weight: impl Fn(&Record, usize) -> f64,
    ) -> Self {
        let mut moments = Vec::new();
        for record in records {
            let Outcome { ended_s, failed, mode, .. } = record.outcome;
            for (index, (at, situation)) in record.moments.iter().enumerate() {
                if *at < ended_s {
                    let (left_s, weight) = (ended_s - at, weight(record, index));
                    let identity = record.identity;
                    moments.push(Moment { situation, identity, left_s, failed, mode, weight });
                }
            }
        }
        let modes: BTreeSet<FailureMode> =
            moments.iter().flat_map(|moment| moment.situation.modes()).collect();
        let by_mode = modes.iter().filter(|&&mode| failing(records, Some(mode)).count() >= OWN_FAILURES);
        Self {
            hazard: Hazard::fit(horizons_s, &moments),
            interval: Interval::fit(failing(records, None)),
            by_mode: by_mode.map(|&mode| (mode, Interval::fit(failing(records, Some(mode))))).collect(),
            failures: records.iter().filter(|record| record.outcome.failed).count(),
        }
    }

    /// Recorded failures that it was learned from.
    #[must_use]
    pub fn failures(&self) -> usize {
        self.failures
    }

    /// Judges a situation.
    #[must_use]
    pub fn judge(&self, situation: &Situation, identity: Option<u64>) -> Statement {
        let interval = |mode: FailureMode| self.by_mode.get(&mode).unwrap_or(&self.interval);
        let foretell = |cause: &Cause| Foretold {
            mode: cause.mode,
            within: self.hazard.of_cause(cause, situation, identity),
            time_to_failure: interval(cause.mode).around(&cause.arrivals),
        };
        let confidence = |index| self.hazard.confidence(situation, index);
        let abstains = (self.failures < LEAST_FAILURES)
            .then(|| format!("{} recorded failures are too few to calibrate on: record more", self.failures));
        Statement {
            within: self.hazard.within(situation, identity),
            time_to_failure: interval(situation.mode).around(&situation.arrivals),
            modes: situation.causes.iter().map(foretell).collect(),
            confidence: (0..situation.raw.len()).map(confidence).collect(),
            abstains,
        }
    }
}

/// The futures at the moments of records that failed by a mode, or by any, and the seconds that were left.
fn failing(records: &[Record], mode: Option<FailureMode>) -> impl Iterator<Item = (&[f64], f64)> {
    let known = records.iter().filter(move |record| {
        let ended = record.outcome.mode;
        record.outcome.failed && (mode.is_none() || ended.is_none() || ended == mode)
    });
    known.flat_map(move |record| {
        let Outcome { ended_s, onset_s, mode: ended, .. } = record.outcome;
        let during = move |at: f64| at < ended_s && onset_s.is_none_or(|onset| at >= onset);
        let moments = record.moments.iter().filter(move |(at, _)| during(*at));
        moments
            .filter_map(move |(at, situation)| {
                // Of an unknown end the likeliest mode is blamed.
                let blamed = mode.is_none() || ended.is_some() || mode == Some(situation.mode);
                let arrivals = situation.arrivals(mode.or(ended)).filter(|_| blamed)?;
                Some((arrivals, ended_s - at))
            })
            // Where nobody knows when the trouble began, silence may have been right.
            .filter(move |(arrivals, _)| onset_s.is_some() || Interval::speaks(arrivals))
    })
}
