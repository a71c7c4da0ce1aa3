//! A series against its limit, as callers hand it in.

use foretwin_core::{FailureMode, Timestamp};

/// What runs against a limit, as recorded: times may be irregular, values missing (NaN).
#[derive(Debug, Clone, Copy)]
pub struct Series<'a> {
    /// Key of the metric.
    pub metric: &'a str,
    /// What reaching the limit means.
    pub mode: FailureMode,
    /// When, ascending; samples that step back are passed over.
    pub times: &'a [Timestamp],
    /// How much was used, in the metric's unit, one per time.
    pub used: &'a [f64],
    /// The present limit, in the same unit.
    pub limit: f64,
}
