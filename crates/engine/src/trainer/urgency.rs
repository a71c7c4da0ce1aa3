//! How overdue a feed is, and why.

use std::fmt;

use crate::config::Training;
use crate::feed::Feed;

/// The logarithm up to which a misfit counts: beyond, it is bad anyway.
const MOST_MISFIT: f64 = 3.0;
/// The criticality of an ordinary instance.
const ORDINARY: f64 = 50.0;

/// Why a model is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// There was none.
    First,
    /// History has grown by a factor, or the model has grown old.
    Schedule,
    /// The instance has left what its model saw.
    Drift,
    /// A member of a large cohort is fitted for itself.
    Individual,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::First => "first",
            Self::Schedule => "scheduled",
            Self::Drift => "drift-driven",
            Self::Individual => "individual",
        })
    }
}

/// How overdue a feed is: above 1 is due, none has nothing to train on. A feed without a model comes before all others;
/// then one that has drifted; then a model is renewed whenever its history has grown by a factor, at last at a fixed
/// interval. A challenger that lost counts as a renewal.
pub(crate) fn urgency(feed: &Feed, training: &Training) -> Option<(f64, Cause)> {
    let scored = feed.schema.metrics().iter().any(foretwin_core::Metric::is_scored);
    if !scored || feed.frames < (training.first_frames as u64).max(feed.wants_frames) {
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

/// How much a member of a large cohort needs a model of its own, or a new one: below 1, so that all that others wait for
/// comes first. None where its history is too short to be settled, or its turn has not come.
///
/// What counts is how much it matters, whether it has drifted, how far its evidence is from what the model at work takes
/// for usual (a wrong scale makes it too large or too small), and whether it has no model of its own yet.
pub(crate) fn member_urgency(feed: &Feed, criticality: u8, training: &Training) -> Option<f64> {
    let seen_s = feed.last.since(feed.first);
    if seen_s < training.settled_s || feed.frames < (training.first_frames as u64).max(feed.wants_frames) {
        return None;
    }
    let drifted = feed.has_drifted();
    let tried = if feed.individual { feed.renewed().max(Some(feed.tried)) } else { Some(feed.tried) };
    let tried = tried.filter(|&tried| tried.0 > i64::MIN);
    let waited = tried.map_or(1.0, |tried| {
        let wait_s = if drifted { training.drift_interval_s } else { training.interval_s };
        feed.last.since(tried) / wait_s
    });
    // A clock that was set back makes ages negative: by it, its turn would never come.
    if (0.0..1.0).contains(&waited) {
        return None;
    }
    let (departure, _) = feed.departures();
    let misfit = departure.map_or(0.0, |departure| departure.surprise.max(1e-3).ln().abs().min(MOST_MISFIT));
    let matters = f64::from(criticality) / ORDINARY;
    let need = matters + f64::from(u8::from(drifted)) + misfit + f64::from(u8::from(tried.is_none()));
    Some(need / (1.0 + need))
}
