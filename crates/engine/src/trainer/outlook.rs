//! Learns forecasters beside the models at work, when no model is due: the next minutes from the latest frames, hours and
//! days from the store's minutes.
//!
//! A feed gets a forecaster for each new version that judges it, and another once that is as old as a model may become.
//! Of a cohort that shares a model its leader learns for all; a member with a model of its own in a large cohort waits
//! until somebody asks for its forecasts, so that a fleet does not cost what a few instances do.

use std::time::Instant;

use foretwin_core::{Partition, Timestamp, Window};
use foretwin_learn::{Outlook, Span};

use super::reach::Reach;
use super::{Budget, Due, spans};
use crate::Error;
use crate::feed::Feed;
use crate::minutes::ROW_US;
use crate::pipeline::Pipeline;
use crate::registry::Learned;
use crate::trainer::Cause;

/// What is asked for comes before what is only old.
const ASKED: f64 = 1e3;

/// What a feed knows of its forecaster.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sight {
    /// The version that one was learned or tried beside; 0 for none.
    version: u64,
    /// Up to when.
    at: Timestamp,
    /// Somebody asked for forecasts.
    pub(crate) asked: bool,
}

impl Sight {
    /// How overdue a forecaster is: from 1 on it is due.
    fn urgency(&self, feed: &Feed, interval_s: f64) -> f64 {
        let Some((model, _)) = feed.model() else { return 0.0 };
        if self.version != model.version() {
            return if self.asked { 2.0 * ASKED } else { ASKED };
        }
        let age_s = feed.last.since(self.at);
        // The clock was set back since.
        if age_s < 0.0 { 1.0 } else { age_s / interval_s }
    }
}

impl Pipeline {
    /// The feed that most needs a forecaster, if any does.
    pub(crate) fn due_outlook(&self) -> Option<Due> {
        let training = &self.config.training;
        if !training.forecasts {
            return None;
        }
        let (mut best, cohorts): (Option<Due>, _) = (None, self.cohorts());
        for partition in Partition::all() {
            for watched in self.shard(partition).watched.values().filter(|one| one.vanished.is_none()) {
                for feed in watched.current() {
                    let urgency = feed.sight.urgency(feed, training.interval_s);
                    let more = best.as_ref().is_none_or(|due| urgency > due.urgency);
                    if urgency >= 1.0 && more && (feed.sight.asked || cohorts.learns_first(watched, feed)) {
                        best = Some(self.order(&watched.instance, feed, (urgency, Cause::Schedule)));
                    }
                }
            }
        }
        best
    }

    /// Learns one forecaster and keeps it; false if it was cancelled. What came to nothing is not tried again under the
    /// same version before it is old.
    pub(crate) fn learn_outlook(&self, due: &Due, budget: &Budget<'_>) -> Result<bool, Error> {
        let Some((model, _)) = &due.champion else { return Ok(false) };
        let learned = self.renew_outlook(due, budget);
        let at = match &learned {
            Ok(None) => return Ok(false),
            Ok(Some(at)) => *at,
            Err(_) => due.reach.to,
        };
        let mut shard = self.shard(due.instance.id.partition());
        let watched = shard.watched.get_mut(&due.instance.id);
        if let Some(feed) = watched.and_then(|watched| watched.feed_of(due.schema)) {
            feed.sight = Sight { version: model.version(), at, asked: false };
        }
        learned.map(|_| true)
    }

    /// Up to when the forecaster knows that is there now; none if learning was cancelled.
    fn renew_outlook(&self, due: &Due, budget: &Budget<'_>) -> Result<Option<Timestamp>, Error> {
        let Some((model, _)) = &due.champion else { return Ok(None) };
        let now = Some(due.reach.to);
        // A model that could not be written has no place for a forecaster.
        let Some((line, entry)) = self.registry.outlook_entry(&due.instance, due.schema, model.version())
        else {
            return Ok(now);
        };
        let fresh = |at: Timestamp| due.reach.to.since(at) < self.config.training.interval_s;
        let known = entry.map(|entry| entry.learned_at);
        if let Some(at) = known.filter(|&at| fresh(at)) {
            return Ok(Some(at));
        }
        // Whoever trains for the cohort learns its forecaster too.
        if line.instance != due.instance.id.as_str() {
            return Ok(now);
        }
        let took = Instant::now();
        let Some((frames, minutes)) = self.lessons(due, model.recipe().features.len())? else {
            return Ok(now);
        };
        let seed = foretwin_core::fnv64(line.instance.as_bytes()) ^ model.version();
        let outlook =
            Outlook::fit(model.recipe(), (&frames, &minutes), seed, &mut |done| budget.hear_share(done));
        let Some(outlook) = outlook else { return Ok(None) };
        if !outlook.is_empty() {
            let span = |window: &Window| window.times.first().map_or(0.0, |&at| due.reach.to.since(at));
            let history_s = span(&frames).max(span(&minutes));
            let seconds = took.elapsed().as_secs_f64();
            let learned = Learned { outlook: &outlook, learned_at: due.reach.to, history_s, seconds };
            self.registry.put_outlook(&line, model.version(), &learned)?;
            self.counters.outlooks.add(1);
        }
        Ok(now)
    }

    /// Frames and minutes to learn from. Of the frames everything is left out that a model would not learn from; of the
    /// minutes only what was recorded: what was anomalous when it first came, and came again, is what they must show.
    fn lessons(&self, due: &Due, width: usize) -> Result<Option<(Window, Window)>, Error> {
        let (near, far) = Outlook::rows(width);
        let from = |rows: usize, step_us: i64| due.first.max(due.reach.to - rows as i64 * step_us);
        let step_us = (due.reach.step_s * 1e6) as i64;
        let reach = Reach { from: from(near, step_us), most: 2 * near, ..due.reach };
        let Some(mut frames) = self.frames_of(&due.instance, due.schema, &reach)? else { return Ok(None) };
        let left_out = self.apart(&Due { reach, ..due.clone() }, &frames)?.all();
        leave_out(&mut frames, &left_out, 0);
        let span = (from(far, ROW_US), due.reach.to + 1);
        let mut minutes = self.minutes(&due.instance.id, due.schema, span)?;
        let recorded = spans::recorded(&due.instance, &self.store.failures(), &self.store.maintenance());
        leave_out(&mut minutes, &recorded, ROW_US);
        Ok(Some((frames, minutes)))
    }
}

/// Takes rows out of a window that begin in a span, or less than `long_us` before it.
fn leave_out(window: &mut Window, spans: &[Span], long_us: i64) {
    let out = |at: Timestamp| spans.iter().any(|&(from, to)| at + long_us >= from && at <= to);
    let stays: Vec<bool> = window.times.iter().map(|&at| !out(at)).collect();
    if stays.iter().all(|&stays| stays) {
        return;
    }
    let keep = |kept: &mut dyn Iterator<Item = bool>| kept.next().unwrap_or(true);
    let mut kept = stays.iter().copied();
    window.times.retain(|_| keep(&mut kept));
    for column in &mut window.columns {
        let mut kept = stays.iter().copied();
        column.retain(|_| keep(&mut kept));
    }
}

#[cfg(test)]
mod tests {
    use foretwin_core::{InstanceId, Metric, Role, Schema, Value};

    use super::*;

    #[test]
    fn rows_that_touch_a_span_are_left_out() {
        let mut window =
            Window::new(InstanceId::new("a"), Schema::new(vec![Metric::gauge("g", "1", Role::Rate)]));
        (0..10).for_each(|n| window.push(Timestamp(n * ROW_US), &[Value(n as u64)]));
        // From the middle of the third minute into the fifth.
        leave_out(&mut window, &[(Timestamp(5 * ROW_US / 2), Timestamp(4 * ROW_US + 1))], ROW_US);
        let left: Vec<u64> = window.columns[0].iter().map(|value| value.0).collect();
        assert_eq!(left, [0, 1, 5, 6, 7, 8, 9]);
        assert_eq!(window.times.len(), 7);
    }
}
