//! What the node counts of itself, for `/metrics`.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Frames applied from the log.
    pub frames: Counter,
    /// Samples in them.
    pub samples: Counter,
    /// Frames that a model judged.
    pub scored: Counter,
    /// Judged frames above the threshold.
    pub anomalous: Counter,
    /// Frames not newer than the last of their instance: stored, not judged.
    pub late: Counter,
    /// Batches that had been applied before.
    pub duplicates: Counter,
    /// Frames of a schema nobody announced.
    pub orphaned: Counter,
    /// Frames that the log refused.
    pub refused: Counter,
    /// Models trained.
    pub trained: Counter,
    /// Models trained that did not take over from the one at work.
    pub challengers_lost: Counter,
    /// Forecasters learned.
    pub outlooks: Counter,
    /// Trainings that failed.
    pub training_errors: Counter,
    /// Risk assessments made.
    pub assessed: Counter,
    /// Records whose application panicked.
    pub panics: Counter,
    /// Failures of maintenance (flush, compaction, retention).
    pub maintenance_errors: Counter,
}

impl Counters {
    /// Name, help and value of each.
    pub(crate) fn all(&self) -> [(&'static str, &'static str, u64); 15] {
        [
            ("foretwin_frames_total", "Frames applied from the log.", self.frames.get()),
            ("foretwin_samples_total", "Samples applied from the log.", self.samples.get()),
            ("foretwin_scored_frames_total", "Frames judged by a model.", self.scored.get()),
            ("foretwin_anomalous_frames_total", "Frames with a score above 1.", self.anomalous.get()),
            ("foretwin_late_frames_total", "Frames stored but too late to judge.", self.late.get()),
            ("foretwin_duplicate_batches_total", "Batches seen before.", self.duplicates.get()),
            ("foretwin_orphaned_frames_total", "Frames of an unknown schema.", self.orphaned.get()),
            ("foretwin_refused_frames_total", "Frames that the log refused.", self.refused.get()),
            ("foretwin_models_trained_total", "Models trained.", self.trained.get()),
            (
                "foretwin_challengers_lost_total",
                "Models trained that lost to the one at work.",
                self.challengers_lost.get(),
            ),
            ("foretwin_forecasters_learned_total", "Forecasters learned.", self.outlooks.get()),
            ("foretwin_training_errors_total", "Trainings that failed.", self.training_errors.get()),
            ("foretwin_risk_assessments_total", "Risk assessments made.", self.assessed.get()),
            ("foretwin_panics_total", "Records whose application panicked.", self.panics.get()),
            (
                "foretwin_maintenance_errors_total",
                "Failed flushes and compactions.",
                self.maintenance_errors.get(),
            ),
        ]
    }
}
