//! How overdue a feed is, and why.

use std::fmt;

use crate::config::Training;
use crate::feed::Feed;

/// Why a model is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// There was none.
    First,
    /// History has grown by a factor, or the model has grown old.
    Schedule,
    /// The instance has left what its model saw.
    Drift,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::First => "first",
            Self::Schedule => "scheduled",
            Self::Drift => "drift-driven",
        })
    }
}

/// How overdue a feed is: above 1 is due, none has nothing to train on. A feed without a model comes before all others;
/// then one that has drifted; then a model is renewed whenever its history has grown by a factor, at last at a fixed
/// interval. A challenger that lost counts as a renewal.
pub(crate) fn urgency(feed: &Feed, training: &Training) -> Option<(f64, Cause)> {
    if feed.frames < (training.first_frames as u64).max(feed.wants_frames) {
        return None;
    }
    let Some(renewed) = feed.renewed() else { return Some((f64::INFINITY, Cause::First)) };
    let tried = renewed.max(feed.tried);
    let age_s = feed.last.since(tried);
    if age_s < 0.0 {
        // The clock was set back since: by it, the model would never grow old.
        return Some((1.0, Cause::Schedule));
    }
    if feed.has_drifted() && age_s >= training.drift_interval_s {
        return Some((1e3 + age_s / training.interval_s, Cause::Drift));
    }
    // What it was trained on can be less than what there was.
    let had_s = tried.since(feed.first).max(1.0);
    let grown = (had_s + age_s) / (had_s * training.growth);
    let aged = age_s / training.interval_s;
    let urgency = if had_s >= training.settled_s { aged } else { grown.max(aged) };
    (urgency >= 1.0).then_some((urgency, Cause::Schedule))
}
