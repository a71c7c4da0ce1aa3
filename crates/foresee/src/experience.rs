//! What recorded failures and survivals taught, and what it says of a situation.

use std::collections::BTreeMap;

use foretwin_core::{FailureMode, Quantiles, probability_at};

use crate::hazard::{Hazard, Moment, Situation};
use crate::interval::Interval;

/// Fewest failures of a kind from which its own intervals are learned; others use those of all.
const OWN_FAILURES: usize = 40;

/// How a recorded instance ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// When it failed, or was last seen, in seconds on the record's clock.
    pub ended_s: f64,
    /// Whether it failed then; otherwise the record is censored.
    pub failed: bool,
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
    /// Why nothing should be concluded, where that is so.
    pub abstains: Option<String>,
}

impl Statement {
    /// The same at other horizons than the `made_s` that it was made for: linear between them, constant beyond. Support is
    /// that of the next horizon that it is known for.
    #[must_use]
    pub fn at(&self, made_s: &[f64], horizons_s: &[f64]) -> Self {
        let known: Vec<(f64, f64)> = made_s.iter().copied().zip(self.within.iter().copied()).collect();
        let support = |horizon_s: f64| {
            let next = made_s.partition_point(|&made| made < horizon_s).min(self.confidence.len().max(1) - 1);
            self.confidence.get(next).copied().unwrap_or(0.0)
        };
        Self {
            within: horizons_s.iter().map(|&horizon_s| probability_at(&known, horizon_s)).collect(),
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
            let Outcome { ended_s, failed, .. } = record.outcome;
            for (index, (at, situation)) in record.moments.iter().enumerate() {
                if *at < ended_s {
                    let (left_s, weight) = (ended_s - at, weight(record, index));
                    moments.push(Moment { situation, identity: record.identity, left_s, failed, weight });
                }
            }
        }
        let failing = |mode: Option<FailureMode>| {
            let known = records.iter().filter(|record| record.outcome.failed);
            known.flat_map(move |record| {
                let Outcome { ended_s, onset_s, .. } = record.outcome;
                let during = move |at: f64| at < ended_s && onset_s.is_none_or(|onset| at >= onset);
                let moments = record.moments.iter().filter(move |(at, _)| during(*at));
                moments
                    .filter(move |(_, situation)| mode.is_none_or(|mode| situation.mode == mode))
                    // Where nobody knows when the trouble began, silence may have been right.
                    .filter(move |(_, situation)| onset_s.is_some() || Interval::speaks(&situation.arrivals))
                    .map(move |(at, situation)| (situation.arrivals.as_slice(), ended_s - at))
            })
        };
        let modes = [FailureMode::MemoryExhaustion, FailureMode::DiskFull, FailureMode::DescriptorExhaustion];
        let by_mode = modes.iter().filter(|&&mode| failing(Some(mode)).count() >= OWN_FAILURES);
        Self {
            hazard: Hazard::fit(horizons_s, &moments),
            interval: Interval::fit(failing(None)),
            by_mode: by_mode.map(|&mode| (mode, Interval::fit(failing(Some(mode))))).collect(),
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
        let interval = self.by_mode.get(&situation.mode).unwrap_or(&self.interval);
        let confidence = |index| self.hazard.confidence(situation, index);
        let abstains = (self.failures < LEAST_FAILURES)
            .then(|| format!("{} recorded failures are too few to calibrate on: record more", self.failures));
        Statement {
            within: self.hazard.within(situation, identity),
            time_to_failure: interval.around(&situation.arrivals),
            confidence: (0..situation.raw.len()).map(confidence).collect(),
            abstains,
        }
    }
}
