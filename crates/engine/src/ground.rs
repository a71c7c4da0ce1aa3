//! Known ground: how high a resource came on other days without harm, read from the store where something grows.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use foretwin_core::{DAY_US, FailureMode, HOUR_US, InstanceId, Timestamp};
use foretwin_foresee::{Ground, Peaks};
use foretwin_store::{Query, Statistic};

use crate::pipeline::Pipeline;

/// How far back, and in how many points: highest levels of ten minutes.
const BACK_US: i64 = 14 * DAY_US;
const POINTS: usize = 2016;
/// It changes with a slot of the peaks: asked again after so long.
const STANDS_US: i64 = HOUR_US;
/// Answers that are remembered; beyond it all are forgotten.
const MOST: usize = 10_000;

/// When it was asked, since when the resource has not failed, and what was known.
type Answer = (Timestamp, Option<Timestamp>, Option<Ground>);

/// What was answered lately, by instance and metric.
#[derive(Default)]
pub(crate) struct Grounds(Mutex<HashMap<(InstanceId, String), Answer>>);

/// A resource that grows.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) instance: &'a InstanceId,
    pub(crate) metric: &'a str,
    pub(crate) mode: FailureMode,
}

/// The highest level that a resource had before the hours at hand without failing for it, as of a moment; nothing later
/// is read.
pub(crate) fn known(pipeline: &Pipeline, place: Place<'_>, at: Timestamp) -> Option<Ground> {
    let failed = pipeline.past.failed_by(place.instance, place.mode, at);
    let from = failed.map_or(at - BACK_US, |failed| failed.max(at - BACK_US));
    let query = Query {
        metrics: Some(vec![place.metric.to_owned()]),
        max_points: Some(POINTS),
        statistic: Statistic::Maximum,
        ..Query::new(place.instance.clone(), from, at)
    };
    let mut peaks = Peaks::default();
    for window in pipeline.store.read(&query).unwrap_or_default() {
        let used = window.numbers(place.metric).unwrap_or_default();
        window.times.iter().zip(used).for_each(|(&at, used)| peaks.push(at, used));
    }
    peaks.known()
}

impl Grounds {
    /// The same for the present, remembered for a while.
    pub(crate) fn known(&self, pipeline: &Pipeline, place: Place<'_>, at: Timestamp) -> Option<Ground> {
        let key = (place.instance.clone(), place.metric.to_owned());
        let failed = pipeline.past.failed_by(place.instance, place.mode, at);
        let all = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = all().get(&key).copied();
        let stands = |(asked, since, _): &Answer| {
            (0..STANDS_US).contains(&at.0.saturating_sub(asked.0)) && *since == failed
        };
        if let Some((.., level)) = answer.filter(stands) {
            return level;
        }
        let level = known(pipeline, place, at);
        let mut all = all();
        if all.len() >= MOST {
            all.clear();
        }
        all.insert(key, (at, failed, level));
        level
    }
}
