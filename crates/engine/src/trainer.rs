//! When an instance gets a new model, and from what.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use foretwin_core::{Instance, Partition, Phase, SchemaId, Timestamp, Value, Window};
use foretwin_learn::Job;
use foretwin_store::Query;

use crate::Error;
use crate::config::Training;
use crate::error::Chain;
use crate::feed::Feed;
use crate::pipeline::{Pipeline, Trained};

/// Frames that warm a new model's state.
const WARM: usize = 120;

/// A feed that is due.
pub(crate) struct Due {
    instance: Instance,
    schema: SchemaId,
    version: u64,
    from: Timestamp,
    to: Timestamp,
    /// Seconds of history there are, of which the newest are trained on.
    span_s: f64,
    urgency: f64,
}

impl Due {
    /// Whose turn it is, for people.
    pub(crate) fn name(&self) -> &str {
        self.instance.id.as_str()
    }
}

impl Pipeline {
    /// The feed that most needs training, if any does.
    pub(crate) fn due(&self) -> Option<Due> {
        let (mut best, cohorts): (Option<Due>, _) = (None, self.cohorts());
        for partition in Partition::all() {
            for watched in self.shard(partition).watched.values().filter(|one| one.vanished.is_none()) {
                for feed in watched.current() {
                    let Some(urgency) = urgency(feed, &self.config.training) else { continue };
                    let more = best.as_ref().is_none_or(|due| urgency > due.urgency);
                    if more && cohorts.trains(watched, feed) {
                        best = Some(self.order(&watched.instance, feed, urgency));
                    }
                }
            }
        }
        best
    }

    fn order(&self, instance: &Instance, feed: &Feed, urgency: f64) -> Due {
        let version = feed.model().map_or(0, |(model, _)| model.version()) + 1;
        let (schema, to) = (feed.schema.id(), feed.last);
        let span_s = to.since(feed.first);
        // No more is read than can be trained on: a week of a large machine is gigabytes.
        let learn = &self.config.learn;
        let most = learn.max_rows.min(learn.max_cells / feed.schema.width().max(1));
        let step_s = feed.model().map_or(1.0, |(model, _)| model.step_s());
        let window_s = learn.window_s.min(most as f64 * step_s);
        let from = to - (window_s * 1e6) as i64;
        Due { instance: instance.clone(), schema, version, from, to, span_s, urgency }
    }

    /// Trains one model and puts it to work; false if it was cancelled or there is too little to train on yet. What
    /// came to nothing is not tried again before there is more history.
    pub(crate) fn train(&self, due: &Due, cancel: &AtomicBool) -> Result<bool, Error> {
        let trained = self.attempt(due, cancel);
        if !matches!(trained, Ok(true)) {
            let mut shard = self.shard(due.instance.id.partition());
            let watched = shard.watched.get_mut(&due.instance.id);
            if let Some(feed) = watched.and_then(|watched| watched.feed_of(due.schema)) {
                feed.defer();
            }
        }
        trained
    }

    fn attempt(&self, due: &Due, cancel: &AtomicBool) -> Result<bool, Error> {
        let Some(window) = self.history(due)? else { return Ok(false) };
        let settled = due.span_s >= self.config.training.settled_s;
        let phase = if settled { Phase::Learned } else { Phase::Provisional };
        let seed = foretwin_core::fnv64(due.instance.id.as_str().as_bytes()) ^ due.version;
        let job = Job {
            window: &window,
            seed,
            version: due.version,
            trained_at: due.to,
            config: &self.config.learn,
            lstm: true,
        };
        let model = foretwin_learn::fit(&job, &mut |_| match cancel.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        });
        let model = match model {
            Ok(model) => Arc::new(model),
            Err(foretwin_learn::Error::Cancelled | foretwin_learn::Error::TooShort { .. }) => {
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        };
        // A model that cannot be written still judges, until a restart.
        let trained = Trained { model: model.clone(), phase, recent: recent(&window) };
        self.install(&due.instance.id, due.schema, trained);
        if let Err(error) = self.registry.promote(&due.instance, due.schema, &model, phase) {
            tracing::warn!("{}; the model is trained again after a restart", Chain(&error));
        }
        self.counters.trained.add(1);
        Ok(true)
    }

    fn history(&self, due: &Due) -> Result<Option<Window>, Error> {
        let all = Query::new(due.instance.id.clone(), due.from, due.to + 1);
        let query = Query { schema: Some(due.schema), ..all };
        let windows = self.store.read(&query)?;
        let window = windows.into_iter().find(|window| window.schema.id() == due.schema);
        Ok(window.filter(|window| window.len() >= self.config.training.first_frames / 2))
    }
}

/// The last frames of a window.
fn recent(window: &Window) -> Vec<(Timestamp, Vec<Value>)> {
    let first = window.len().saturating_sub(WARM);
    let frame = |row: usize| {
        let mut values = Vec::new();
        window.frame(row, &mut values);
        (window.times[row], values)
    };
    (first..window.len()).map(frame).collect()
}

/// How overdue a feed is: above 1 is due, none has nothing to train on. A feed without a model comes before all others;
/// then a model is renewed whenever its history has grown by a factor, at last at a fixed interval.
fn urgency(feed: &Feed, training: &Training) -> Option<f64> {
    if feed.frames < (training.first_frames as u64).max(feed.wants_frames) {
        return None;
    }
    let Some((model, _)) = feed.model() else { return Some(f64::INFINITY) };
    let age_s = feed.last.since(model.trained_at());
    if age_s < 0.0 {
        // The clock was set back since: by it, the model would never grow old.
        return Some(1.0);
    }
    // What it was trained on can be less than what there was: the newest part that fits.
    let had_s = model.trained_at().since(feed.first).max(1.0);
    let grown = (had_s + age_s) / (had_s * training.growth);
    let aged = age_s / training.interval_s;
    let urgency = if had_s >= training.settled_s { aged } else { grown.max(aged) };
    (urgency >= 1.0).then_some(urgency)
}
