//! When an instance gets a new model, and from what.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use foretwin_core::{Instance, Partition, Phase, SchemaId, Timestamp, Window};
use foretwin_learn::{Job, Model, Provenance, Trial};
use foretwin_store::Query;

use crate::Error;
use crate::config::Training;
use crate::error::Chain;
use crate::feed::Feed;
use crate::pipeline::Pipeline;
use crate::registry::Seated;

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

    fn seed(&self) -> u64 {
        foretwin_core::fnv64(self.instance.id.as_str().as_bytes()) ^ self.version
    }
}

impl Pipeline {
    /// The feed that most needs training, if any does.
    pub(crate) fn due(&self) -> Option<Due> {
        let mut best: Option<Due> = None;
        for partition in Partition::all() {
            for watched in self.shard(partition).watched.values().filter(|one| one.vanished.is_none()) {
                for feed in watched.current() {
                    let Some(urgency) = urgency(feed, &self.config.training) else { continue };
                    if best.as_ref().is_none_or(|due| urgency > due.urgency) {
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
        let job = Job {
            window: &window,
            seed: due.seed(),
            version: due.version,
            trained_at: due.to,
            config: &self.config.learn,
            lstm: true,
        };
        let took = Instant::now();
        let model = foretwin_learn::fit(&job, &mut |_| match cancel.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        });
        let model = match model {
            Ok(model) => model,
            Err(foretwin_learn::Error::Cancelled | foretwin_learn::Error::TooShort { .. }) => {
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        };
        let provenance = self.provenance(due, &window, &model, (phase, took.elapsed()));
        let keep = self.config.training.keep_versions;
        let (instance, schema) = (&due.instance, due.schema);
        let seated = self.registry.succeed(instance, schema, (&model, &provenance), keep);
        let seated = seated.unwrap_or_else(|error| {
            // A model that cannot be written still judges, until a restart.
            tracing::warn!("{}; the model is trained again after a restart", Chain(&error));
            let renewed = model.trained_at();
            Seated { model: Arc::new(model), phase, renewed }
        });
        self.install(&due.instance.id, due.schema, seated);
        self.counters.trained.add(1);
        Ok(true)
    }

    fn provenance(
        &self,
        due: &Due,
        window: &Window,
        model: &Model,
        (phase, took): (Phase, Duration),
    ) -> Provenance {
        let gain = |trial: &Trial| (format!("gain by {}", trial.what), 1.0 - trial.after / trial.before);
        Provenance {
            instance: due.instance.id.as_str().to_owned(),
            metrics: window.schema.metrics().iter().map(foretwin_core::Metric::key).collect(),
            from_us: window.times.first().copied().unwrap_or(due.from),
            to_us: window.times.last().copied().unwrap_or(due.to),
            rows: window.len(),
            phase: Some(phase),
            seed: due.seed(),
            held_out: model.trials().iter().map(gain).collect(),
            parent: due.version.checked_sub(1).filter(|&parent| parent > 0),
            seconds: took.as_secs_f64(),
            reason: "schedule".into(),
            // Settings are plain numbers and texts.
            config: serde_json::to_value(&self.config.learn).unwrap_or_default(),
            ..Provenance::default()
        }
    }

    fn history(&self, due: &Due) -> Result<Option<Window>, Error> {
        let all = Query::new(due.instance.id.clone(), due.from, due.to + 1);
        let query = Query { schema: Some(due.schema), ..all };
        let windows = self.store.read(&query)?;
        let window = windows.into_iter().find(|window| window.schema.id() == due.schema);
        Ok(window.filter(|window| window.len() >= self.config.training.first_frames / 2))
    }
}

/// How overdue a feed is: above 1 is due, none has nothing to train on. A feed without a model comes before all others;
/// then a model is renewed whenever its history has grown by a factor, at last at a fixed interval.
fn urgency(feed: &Feed, training: &Training) -> Option<f64> {
    if feed.frames < (training.first_frames as u64).max(feed.wants_frames) {
        return None;
    }
    let Some(renewed) = feed.renewed() else { return Some(f64::INFINITY) };
    let age_s = feed.last.since(renewed);
    if age_s < 0.0 {
        // The clock was set back since: by it, the model would never grow old.
        return Some(1.0);
    }
    // What it was trained on can be less than what there was: the newest part that fits.
    let had_s = renewed.since(feed.first).max(1.0);
    let grown = (had_s + age_s) / (had_s * training.growth);
    let aged = age_s / training.interval_s;
    let urgency = if had_s >= training.settled_s { aged } else { grown.max(aged) };
    (urgency >= 1.0).then_some(urgency)
}
