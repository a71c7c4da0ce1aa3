//! When an instance gets a new model, and from what: a rolling window without what was not normal, on a schedule and on
//! drift, and only if the new model stands a comparison with the one at work.

mod budget;
mod reach;
mod spans;
#[cfg(test)]
mod tests;
mod trial;
mod urgency;

use std::sync::Arc;

use foretwin_core::{Instance, Partition, Phase, SchemaId, Timestamp, Value, Window};
use foretwin_learn::{Job, Model, Span, Start};

pub(crate) use budget::Budget;
use reach::Reach;
use trial::Decision;
pub(crate) use urgency::Cause;

use crate::Error;
use crate::error::Chain;
use crate::feed::Feed;
use crate::pipeline::{Pipeline, Trained};

/// Frames that warm a new model's state.
const WARM: usize = 120;

/// A feed that is due.
pub(crate) struct Due {
    instance: Instance,
    schema: SchemaId,
    /// The model at work and its phase.
    champion: Option<(Arc<Model>, Phase)>,
    reach: Reach,
    /// The first frame of all.
    first: Timestamp,
    cause: Cause,
    urgency: f64,
}

impl Due {
    /// Whose turn it is, for people.
    pub(crate) fn name(&self) -> &str {
        self.instance.id.as_str()
    }

    /// The champion, if it has seen enough to be worth a comparison.
    fn settled(&self) -> Option<&Arc<Model>> {
        self.champion.as_ref().filter(|(_, phase)| *phase == Phase::Learned).map(|(model, _)| model)
    }
}

impl Pipeline {
    /// The feed that most needs training, if any does.
    pub(crate) fn due(&self) -> Option<Due> {
        let (mut best, cohorts): (Option<Due>, _) = (None, self.cohorts());
        for partition in Partition::all() {
            for watched in self.shard(partition).watched.values().filter(|one| one.vanished.is_none()) {
                for feed in watched.current() {
                    let Some((urgency, cause)) = urgency::urgency(feed, &self.config.training) else {
                        continue;
                    };
                    let more = best.as_ref().is_none_or(|due| urgency > due.urgency);
                    if more && cohorts.trains(watched, feed) {
                        best = Some(self.order(&watched.instance, feed, (urgency, cause)));
                    }
                }
            }
        }
        best
    }

    fn order(&self, instance: &Instance, feed: &Feed, (urgency, cause): (f64, Cause)) -> Due {
        let learn = &self.config.learn;
        let step_s = feed.model().map_or(1.0, |(model, _)| model.step_s());
        let reach = Reach {
            from: feed.first.max(feed.last - (learn.window_s * 1e6) as i64),
            to: feed.last,
            step_s,
            most: learn.max_rows.min(learn.max_cells / feed.schema.width().max(1)),
        };
        let champion = feed.model().map(|(model, phase)| (model.clone(), phase));
        let (instance, schema, first) = (instance.clone(), feed.schema.id(), feed.first);
        Due { instance, schema, champion, reach, first, cause, urgency }
    }

    /// Trains one model and puts it to work if it is good enough; false if it was cancelled, or there is too little to
    /// train on yet. What came to nothing is not tried again before there is more history.
    pub(crate) fn train(&self, due: &Due, budget: &Budget<'_>) -> Result<bool, Error> {
        let trained = self.attempt(due, budget);
        let mut shard = self.shard(due.instance.id.partition());
        let watched = shard.watched.get_mut(&due.instance.id);
        if let Some(feed) = watched.and_then(|watched| watched.feed_of(due.schema)) {
            match trained {
                Ok(true) => feed.has_trained(due.reach.to),
                _ => feed.defer(),
            }
        }
        trained
    }

    fn attempt(&self, due: &Due, budget: &Budget<'_>) -> Result<bool, Error> {
        let Some(window) = self.frames_of(&due.instance, due.schema, &due.reach)? else { return Ok(false) };
        if window.len() < self.config.training.first_frames / 2 {
            return Ok(false);
        }
        let left_out = self.left_out(due, &window)?;
        let version = due.champion.as_ref().map_or(0, |(model, _)| model.version()) + 1;
        let job = Job {
            seed: foretwin_core::fnv64(due.instance.id.as_str().as_bytes()) ^ version,
            version,
            trained_at: due.reach.to,
            left_out: &left_out,
            start: due.champion.as_ref().map_or(Start::Fresh, |(model, _)| Start::Parent(model)),
            ..Job::new(&window, &self.config.learn)
        };
        let decision = match trial::decide(&job, due.settled().map(Arc::as_ref), budget) {
            Ok(decision) => decision,
            Err(foretwin_learn::Error::Cancelled | foretwin_learn::Error::TooShort { .. }) => {
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        };
        self.counters.trained.add(1);
        match decision {
            Decision::Promote(model, verdict) => {
                if let Some(verdict) = verdict {
                    let (name, cause, version) = (due.name(), due.cause, model.version());
                    tracing::info!("{name}: {cause} model {version} takes over, {}", trial::words(&verdict));
                }
                self.crown(due, &Arc::new(*model), &window);
            }
            Decision::Keep(challenger, verdict) => {
                self.counters.challengers_lost.add(1);
                let (name, cause, version) = (due.name(), due.cause, challenger.version());
                tracing::info!("{name}: {cause} challenger {version} loses, {}", trial::words(&verdict));
            }
        }
        Ok(true)
    }

    /// Spans of a window that are not to be learned. Scores count once they come from a model that has settled.
    fn left_out(&self, due: &Due, window: &Window) -> Result<Vec<Span>, Error> {
        let mut spans = spans::recorded(&due.instance, &self.store.failures(), &self.store.maintenance());
        if due.settled().is_some() {
            let since = due.first + (self.config.training.settled_s * 1e6) as i64;
            let (times, scores) = self.scores_of(&due.instance, &due.reach, since)?;
            let anomalous = spans::anomalous(&times, &scores, due.reach.step_s);
            spans.extend(spans::incidents(anomalous, &window.times, self.config.training.left_out_share));
        }
        Ok(spans)
    }

    /// Puts a model to work and keeps it, durably.
    fn crown(&self, due: &Due, model: &Arc<Model>, window: &Window) {
        let settled = due.reach.to.since(due.first) >= self.config.training.settled_s;
        let phase = if settled { Phase::Learned } else { Phase::Provisional };
        let trained = Trained { model: model.clone(), phase, recent: recent(window) };
        self.install(&due.instance.id, due.schema, trained);
        // A model that cannot be written still judges, until a restart.
        if let Err(error) = self.registry.promote(&due.instance, due.schema, model, phase) {
            tracing::warn!("{}; the model is trained again after a restart", Chain(&error));
        }
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
