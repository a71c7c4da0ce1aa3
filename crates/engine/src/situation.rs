//! The situation of an instance at a moment: the same for whoever is asked now and for whoever learns from then.

use foretwin_core::{InstanceId, Risk, Timestamp};
use foretwin_foresee::{Ground, Growth, Signs, Situation};

use crate::ground::Place;
use crate::past::Past;

/// A growth that is less likely to come to its limit within the longest horizon is not held against other days.
const NOTABLE: f64 = 0.005;

/// What was seen of an instance at a moment.
pub(crate) struct Seen<'a> {
    pub(crate) instance: &'a InstanceId,
    pub(crate) at: Timestamp,
    pub(crate) growths: Vec<Growth>,
    /// First passages, before anything that was learned moved them.
    pub(crate) risks: &'a [Risk],
    /// The latest anomaly score, if it was recent.
    pub(crate) anomaly: Option<f64>,
    /// Probability that the machine underneath is in trouble, if it was recent.
    pub(crate) infrastructure: Option<f64>,
}

/// Puts together what is known at a moment; `ground` says how high a resource came on other days.
pub(crate) fn situation(
    seen: Seen<'_>,
    past: &Past,
    ground: &dyn Fn(Place<'_>) -> Option<Ground>,
    horizons_s: &[f64],
) -> Situation {
    let Seen { instance, at, growths, risks, anomaly, infrastructure } = seen;
    let furthest = horizons_s.last().copied().unwrap_or_default();
    let held = |growth: Growth| {
        if growth.within(furthest) < NOTABLE {
            return growth;
        }
        let known = ground(Place { instance, metric: &growth.metric, mode: growth.mode });
        growth.over(known)
    };
    let growths: Vec<Growth> = growths.into_iter().map(held).collect();
    let signs = Signs { anomaly, infrastructure, issues: past.issues(instance, at) };
    Situation::new(&growths, horizons_s)
        .beside(risks, horizons_s)
        .after(past.failed_s(instance, at))
        .amid(signs)
}
