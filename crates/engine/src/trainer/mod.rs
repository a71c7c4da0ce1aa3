//! When an instance gets a new model, and from what: a rolling window without what was not normal, on a schedule and on
//! drift, and only if the new model stands a comparison with the one at work.

mod budget;
mod member;
mod outlook;
mod pool;
mod reach;
mod routine;
mod spans;
#[cfg(test)]
mod tests;
mod trial;
mod urgency;

use std::sync::Arc;
use std::time::{Duration, Instant};

use foretwin_core::{Instance, Partition, Phase, SchemaId, Timestamp};
use foretwin_learn::{
    Cohort as Network, Excluded, Job, Model, Progress, Provenance, Span, Start, Trial, fit,
};

pub(crate) use budget::Budget;
pub(crate) use outlook::Sight;
use reach::Reach;
use trial::Decision;
pub(crate) use urgency::Cause;

use crate::Error;
use crate::cohort::Part;
use crate::error::Chain;
use crate::feed::Feed;
use crate::pipeline::Pipeline;
use crate::registry::{Line, Seated};
use crate::shard::Watched;

/// A feed that is due.
#[derive(Clone)]
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
    part: Part,
    /// Whether the model at work is its own.
    individual: bool,
}

impl Due {
    /// Whose turn it is, for people.
    pub(crate) fn name(&self) -> &str {
        self.instance.id.as_str()
    }

    /// Whose turn it is.
    pub(crate) fn instance(&self) -> &foretwin_core::InstanceId {
        &self.instance.id
    }

    /// The champion, if it has seen enough to be worth a comparison.
    /// Fits that a training may be made of: a network for all of a workload, a challenger, and the winner on all data.
    pub(crate) fn fits(&self) -> usize {
        1 + usize::from(matches!(self.part, Part::Leader)) + usize::from(self.settled().is_some())
    }

    fn settled(&self) -> Option<&Arc<Model>> {
        self.champion.as_ref().filter(|(_, phase)| *phase == Phase::Learned).map(|(model, _)| model)
    }

    /// The champion, if it is of this instance.
    fn own(&self) -> Option<&Model> {
        self.champion.as_ref().filter(|_| self.individual).map(|(model, _)| &**model)
    }
}

impl Pipeline {
    /// The feed that most needs training, if any does.
    pub(crate) fn due(&self) -> Option<Due> {
        let (mut best, cohorts): (Option<Due>, _) = (None, self.cohorts());
        for partition in Partition::all() {
            for watched in self.shard(partition).watched.values().filter(|one| one.vanished.is_none()) {
                for feed in watched.current() {
                    let part = cohorts.part(watched, feed);
                    let Some(need) = self.need(&part, (watched, feed), cohorts.own_bytes()) else { continue };
                    if best.as_ref().is_none_or(|due| need.0 > due.urgency) {
                        best = Some(Due { part, ..self.order(&watched.instance, feed, need) });
                    }
                }
            }
        }
        best
    }

    /// How much a feed needs training, if its turn has come. Members of large cohorts get no models of their own while
    /// others have taken all memory there is for them.
    fn need(&self, part: &Part, (watched, feed): (&Watched, &Feed), own_bytes: u64) -> Option<(f64, Cause)> {
        let training = &self.config.training;
        if !matches!(part, Part::Member(_)) {
            return urgency::urgency(feed, training);
        }
        let room = feed.individual || own_bytes < training.individual_bytes;
        let criticality = watched.instance.criticality;
        let urgency = if room { urgency::member_urgency(feed, criticality, training) } else { None };
        urgency.map(|urgency| (urgency, Cause::Individual))
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
        let individual = feed.individual;
        Due { instance, schema, champion, reach, first, cause, urgency, part: Part::Alone, individual }
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
        let apart = self.apart(due, &window)?;
        let version = due.champion.as_ref().map_or(0, |(model, _)| model.version()) + 1;
        let job = Job {
            seed: foretwin_core::fnv64(due.instance.id.as_str().as_bytes()) ^ version,
            version,
            trained_at: due.reach.to,
            left_out: &apart.left_out,
            routine: apart.routine(),
            start: due.champion.as_ref().map_or(Start::Fresh, |(model, _)| Start::Parent(model)),
            ..Job::new(&window, &self.config.learn)
        };
        let took = Instant::now();
        let (network, members) = match self.network(due, version, budget) {
            Err(Error::Learn(foretwin_learn::Error::Cancelled)) => return Ok(false),
            found => found?,
        };
        let mut fit =
            |job: &Job, challenger: Option<&Model>| fit_as(due, network.as_ref(), (job, challenger), budget);
        let decision = match trial::decide(&job, due.settled().map(Arc::as_ref), &mut fit) {
            Ok(decision) => decision,
            Err(foretwin_learn::Error::Cancelled | foretwin_learn::Error::TooShort { .. }) => {
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        };
        self.counters.trained.add(1);
        let story = |model: &Model| Provenance {
            members: members.clone(),
            ..self.provenance(due, &job, model, took.elapsed())
        };
        self.follow(due, decision, &story);
        Ok(true)
    }

    /// Puts the winner to work, or keeps the loser for the record.
    fn follow(&self, due: &Due, decision: Decision, story: &dyn Fn(&Model) -> Provenance) {
        match decision {
            Decision::Promote(model, verdict) => {
                let why = verdict.as_ref().map_or("there was none to compare with".into(), trial::words);
                tracing::info!("{}: {} model takes over, {why}", due.name(), due.cause);
                let provenance = Provenance { reason: format!("{}: {why}", due.cause), ..story(&model) };
                self.crown(due, *model, &provenance);
            }
            Decision::Keep(challenger, verdict) => {
                self.counters.challengers_lost.add(1);
                let why = trial::words(&verdict);
                tracing::info!("{}: {} challenger loses, {why}", due.name(), due.cause);
                let provenance = Provenance { reason: format!("{}: {why}", due.cause), ..story(&challenger) };
                self.dismiss(due, &challenger, &provenance);
            }
        }
    }

    /// The network that a model is to share, and of a leader whose frames taught it.
    fn network(
        &self,
        due: &Due,
        version: u64,
        budget: &Budget<'_>,
    ) -> Result<(Option<Arc<Network>>, Vec<String>), Error> {
        match &due.part {
            Part::Alone => Ok((None, Vec::new())),
            Part::Member(network) => Ok((network.clone(), Vec::new())),
            Part::Leader => self.pool(due, version, budget).map(|pool| (pool.network, pool.members)),
        }
    }

    /// Puts a model to work and keeps it, durably.
    fn crown(&self, due: &Due, model: Model, provenance: &Provenance) {
        let (instance, schema) = (&due.instance, due.schema);
        let keep = self.config.training.keep_versions;
        let seated = self.registry.succeed(instance, schema, (&model, provenance), keep);
        let seated = seated.unwrap_or_else(|error| {
            // A model that cannot be written still judges, until a restart.
            tracing::warn!("{}; the model is trained again after a restart", Chain(&error));
            let (phase, renewed) = (provenance.phase.unwrap_or(Phase::Provisional), model.trained_at());
            Seated { model: Arc::new(model), phase, renewed, own: true }
        });
        self.install(&instance.id, schema, seated);
    }

    /// Keeps a challenger that lost, with its numbers.
    fn dismiss(&self, due: &Due, challenger: &Model, provenance: &Provenance) {
        let line = Line::new(&due.instance.id, due.schema);
        let kept = self.registry.add(&due.instance, due.schema, challenger, provenance).and_then(|version| {
            self.registry.dismiss(&line, version, &provenance.reason)?;
            self.registry.prune(&line, self.config.training.keep_versions)
        });
        if let Err(error) = kept {
            tracing::warn!("{}: the challenger that lost is not kept: {}", due.name(), Chain(&error));
        }
    }

    /// Where a model came from.
    fn provenance(&self, due: &Due, job: &Job, model: &Model, took: Duration) -> Provenance {
        let settled = due.reach.to.since(due.first) >= self.config.training.settled_s;
        let phase = if settled { Phase::Learned } else { Phase::Provisional };
        let gain = |trial: &Trial| (format!("gain by {}", trial.what), 1.0 - trial.after / trial.before);
        let named = |span: &Span, reason: &str| Excluded {
            from_us: span.0,
            to_us: span.1,
            reason: reason.to_owned(),
        };
        let left_out = job.left_out.iter().map(|span| named(span, "not normal"));
        let routine = job.routine.iter().flat_map(|routine| routine.spans);
        let excluded =
            left_out.chain(routine.map(|span| named(span, "usual by the clock, which alone learned it")));
        Provenance {
            instance: due.name().to_owned(),
            metrics: job.window.schema.metrics().iter().map(foretwin_core::Metric::key).collect(),
            from_us: job.window.times.first().copied().unwrap_or(due.reach.from),
            to_us: job.window.times.last().copied().unwrap_or(due.reach.to),
            rows: model.rows(),
            phase: Some(phase),
            excluded: excluded.collect(),
            seed: job.seed,
            held_out: model.trials().iter().map(gain).chain(networks(model)).collect(),
            parent: due.own().map(Model::version),
            seconds: took.as_secs_f64(),
            // Settings are plain numbers and texts.
            config: serde_json::to_value(&self.config.learn).unwrap_or_default(),
            ..Provenance::default()
        }
    }
}

/// What networks were worth on held-out data, by name.
fn networks(model: &Model) -> impl Iterator<Item = (String, f64)> {
    let gain = model.gain();
    let named = [("gain by the workload's network", gain.cohort), ("gain by an own network", gain.own)];
    named.into_iter().filter_map(|(name, error)| Some((name.to_owned(), 1.0 - error?)))
}

/// Fits a model with the network it is to share, or as its job says.
fn fit_as(
    due: &Due,
    network: Option<&Arc<Network>>,
    (job, challenger): (&Job, Option<&Model>),
    budget: &Budget<'_>,
) -> Result<Model, foretwin_learn::Error> {
    let mut observe = |progress: Progress| budget.hear(progress);
    match (&due.part, network) {
        (Part::Leader, Some(network)) => fit(&Job { start: Start::Cohort(network), ..*job }, &mut observe),
        (Part::Member(_), Some(network)) => {
            member::fit_member(job, network, [due.own(), challenger], &mut observe)
        }
        // A member without a network to share waits for one: training its own costs too much for so many.
        (Part::Member(_), None) => fit(&Job { lstm: false, ..*job }, &mut observe),
        _ => trial::plainly(budget)(job, challenger),
    }
}
