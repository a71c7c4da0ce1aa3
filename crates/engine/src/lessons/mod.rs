//! What recorded failures taught: learned from the store at low priority, and blended into what is foreseen.
//!
//! Nothing of it is kept on disk: failures are records of the log, situations before them are read from stored telemetry
//! with the same eyes as the present. So a failure that is told a day late teaches as much as one that was seen.

mod records;
#[cfg(test)]
mod tests;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError, RwLock};

use foretwin_core::{Calibration, Risk, Timestamp};
use foretwin_foresee::{Blend, Experience, Situation, blend};

use crate::pipeline::Pipeline;

/// The model of failures, and what it was learned from.
pub(crate) struct Taught {
    experience: Experience,
    horizons_s: Vec<f64>,
    at: Timestamp,
}

/// What is known of failures now.
#[derive(Default)]
pub(crate) struct Lessons(RwLock<Option<Arc<Taught>>>);

impl Lessons {
    pub(crate) fn taught(&self) -> Option<Arc<Taught>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn teach(&self, taught: Taught) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(taught));
    }
}

/// Learns from all failures that are recorded; true unless it was stopped. Takes seconds for a hundred of them.
pub(crate) fn learn(pipeline: &Pipeline, now: Timestamp, stop: &AtomicBool) -> bool {
    let horizons_s = pipeline.config.foresee.horizons_s.clone();
    let Some(records) = records::records(pipeline, now, stop) else { return false };
    let experience = Experience::learn_weighted(&records, &horizons_s, |record, index| {
        records::weight(record, index, horizons_s[0])
    });
    tracing::info!("learned from {} failures in {} records", experience.failures(), records.len());
    pipeline.lessons.teach(Taught { experience, horizons_s, at: now });
    true
}

impl Taught {
    /// The horizons that situations are to have.
    pub(crate) fn horizons_s(&self) -> &[f64] {
        &self.horizons_s
    }

    /// Moves risks as failures of the like taught, and says what is thought at the horizons that they state, and why it
    /// should be believed.
    pub(crate) fn apply(
        &self,
        risks: &mut [Risk],
        (situation, workload): (&Situation, u64),
        horizons_s: &[f64],
    ) -> (Blend, Calibration) {
        let learned = self.experience.judge(situation, Some(workload));
        let blended = blend(risks, &learned.at(&self.horizons_s, horizons_s), horizons_s);
        let confidence = self.horizons_s.iter().copied().zip(learned.confidence).collect();
        let failures = self.experience.failures();
        (blended, Calibration { learned: self.at, failures, confidence, abstains: learned.abstains })
    }
}
