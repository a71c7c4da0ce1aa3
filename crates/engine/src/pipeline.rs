//! From a record of the log to a stored frame, a score and a risk: the same for live telemetry and for replay.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use foretwin_core::{
    Batch, DAY_US, HOUR_US, InstanceId, PARTITIONS, Partition, Position, Record, Risk, Schema, SchemaId,
    Timestamp, Value,
};
use foretwin_store::{Query, Statistic, Store};

use crate::config::Config;
use crate::counters::Counters;
use crate::error::Chain;
use crate::events::Events;
use crate::registry::{Registry, Seated};
use crate::shard::{Shard, Watched};
use crate::view::Event;
use crate::{Error, outputs};

/// Seconds between two assessments of an instance's risks: calm, and while something may fail within the hour.
const CALM_S: f64 = 5.0;
const ALERT_S: f64 = 1.0;
/// The probability from which on an instance is assessed more often.
const ALERT_PROBABILITY: f64 = 0.05;
/// After a restart foresight recalls the last hour as it was, and peaks of the day before it.
const RECENT_US: i64 = HOUR_US;
const RECALL_POINTS: usize = 1000;
/// Frames that warm a new model's state.
const WARM: u32 = 120;

/// Everything between the log and the answers.
pub(crate) struct Pipeline {
    pub(crate) config: Config,
    pub(crate) store: Arc<Store>,
    pub(crate) registry: Registry,
    pub(crate) events: Events,
    pub(crate) counters: Counters,
    shards: Vec<Mutex<Shard>>,
    schemas: RwLock<HashMap<SchemaId, Arc<Schema>>>,
}

impl Pipeline {
    /// A pipeline over what the store and the registry already hold.
    pub(crate) fn new(config: Config, store: Arc<Store>, registry: Registry) -> Self {
        let shards: Vec<Mutex<Shard>> = (0..PARTITIONS).map(|_| Mutex::default()).collect();
        let pipeline = Self {
            config,
            registry,
            shards,
            events: Events::default(),
            counters: Counters::default(),
            schemas: RwLock::default(),
            store,
        };
        for (id, known) in pipeline.store.instances() {
            let mut shard = pipeline.shard(id.partition());
            shard.watch(&id, || known.instance).vanished = known.vanished;
        }
        pipeline
    }

    /// The shard of a partition; a panic elsewhere must not end the watch over the others.
    pub(crate) fn shard(&self, partition: Partition) -> MutexGuard<'_, Shard> {
        self.shards[partition.index()].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Visits every instance, in no order.
    pub(crate) fn each(&self, mut visit: impl FnMut(&Watched)) {
        for partition in Partition::all() {
            self.shard(partition).watched.values().for_each(&mut visit);
        }
    }

    /// Whether an instance is watched, or was and has history.
    pub(crate) fn known(&self, id: &InstanceId) -> Result<(), Error> {
        let known = self.with(id, |_| ()).is_ok() || self.store.instance(id).is_some();
        known.then_some(()).ok_or_else(|| Error::UnknownInstance(id.clone()))
    }

    /// Runs on one instance.
    pub(crate) fn with<T>(&self, id: &InstanceId, run: impl FnOnce(&Watched) -> T) -> Result<T, Error> {
        let shard = self.shard(id.partition());
        shard.watched.get(id).map(run).ok_or_else(|| Error::UnknownInstance(id.clone()))
    }

    /// Takes one record: derives from it, and stores it.
    pub(crate) fn apply(&self, position: Position, record: &Record) -> Result<(), Error> {
        self.derive(position, record);
        Ok(self.store.apply(position, record)?)
    }

    /// Judges what a record brings, before the record itself is stored: a flush between the two then has it judged
    /// again after a crash, and never leaves a score out. A record that was applied before changes nothing.
    pub(crate) fn derive(&self, position: Position, record: &Record) {
        if position.offset < self.store.applied(position.partition) {
            return;
        }
        match record {
            Record::Batch(batch) => self.frames(position.partition, batch),
            Record::Schema(schema) => self.learn_schema(schema),
            Record::Instance(instance) => {
                if self.shard(position.partition).describe(instance) {
                    self.events.publish(|| Event::Appeared { instance: instance.id.clone() });
                }
            }
            Record::Vanished { instance, at } => {
                let mut shard = self.shard(position.partition);
                // Frames that came meanwhile are the better proof.
                if let Some(watched) = shard.watched.get_mut(instance).filter(|one| one.last() <= *at) {
                    watched.vanished = Some(*at);
                }
                drop(shard);
                let (instance, at_us) = (instance.clone(), *at);
                self.events.publish(|| Event::Vanished { instance, at_us });
            }
            // The store keeps failures; what learns from them reads them there.
            Record::Failure(_) => {}
        }
    }

    fn learn_schema(&self, schema: &Arc<Schema>) {
        self.schemas.write().unwrap_or_else(PoisonError::into_inner).insert(schema.id(), schema.clone());
    }

    /// A schema that was announced, in this life or an earlier one.
    pub(crate) fn schema(&self, id: SchemaId) -> Option<Arc<Schema>> {
        let known = self.schemas.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        known.or_else(|| {
            let stored = self.store.schema(id)?;
            self.learn_schema(&stored);
            Some(stored)
        })
    }

    fn frames(&self, partition: Partition, batch: &Batch) {
        self.counters.frames.add(batch.rows().len() as u64);
        self.counters.samples.add(batch.samples() as u64);
        let Some(schema) = self.schema(batch.schema()).filter(|schema| schema.width() == batch.width())
        else {
            self.counters.orphaned.add(batch.rows().len() as u64);
            return;
        };
        let mut shard = self.shard(partition);
        if shard.has_seen(batch.origin()) {
            self.counters.duplicates.add(1);
            return;
        }
        for (id, at, values) in batch.frames() {
            let watched = shard.watch(id, || self.store.instance(id).and_then(|known| known.instance));
            self.frame(watched, &schema, (at, values));
        }
    }

    fn frame(&self, watched: &mut Watched, schema: &Arc<Schema>, (at, values): (Timestamp, &[Value])) {
        let id = watched.instance.id.clone();
        // A frame is the best proof of life.
        watched.vanished = watched.vanished.filter(|&gone| at <= gone);
        let (feed, fresh) = watched.feed(schema, at);
        if fresh {
            // Later schemas of a running instance inherit what the first one recalled.
            if feed.is_unread() {
                self.recall(&id, feed, at);
            }
            let seated = self.registry.seat(&watched.instance, schema.id());
            if let Some((feed, seated)) = watched.feeds.last_mut().zip(seated) {
                feed.install((seated.model, seated.phase), seated.renewed, std::iter::empty());
            }
        }
        let Some(feed) = watched.feed_of(schema.id()) else { return };
        if !feed.take(at, values) {
            self.counters.late.add(1);
            return;
        }
        watched.newest = at;
        let Some(feed) = watched.feed_of(schema.id()) else { return };
        let score = feed.verdict(at).filter(|judged| judged.at == at).map(|judged| judged.score);
        if let Some(score) = score {
            self.counters.scored.add(1);
            self.counters.anomalous.add(u64::from(score.is_anomalous()));
        }
        self.assess(watched, at);
        self.publish(watched, schema, at);
    }

    /// Assesses risks when it is time to.
    fn assess(&self, watched: &mut Watched, at: Timestamp) {
        let worried = within(&watched.risks, 3600.0) > ALERT_PROBABILITY;
        let every_s = if worried { ALERT_S } else { CALM_S };
        // A clock that went back must not silence the assessment until it has caught up.
        if (0.0..every_s - 0.05).contains(&at.since(watched.assessed)) {
            return;
        }
        watched.risks = watched.assess(at, &self.config.foresee);
        watched.assessed = at;
        self.counters.assessed.add(watched.risks.len() as u64);
    }

    /// Stores and announces what is now thought of an instance. Only the feed with the most series speaks, so that an
    /// instance has one output a moment.
    fn publish(&self, watched: &Watched, schema: &Arc<Schema>, at: Timestamp) {
        if watched.main().is_none_or(|main| main.schema.id() != schema.id()) {
            return;
        }
        let id = &watched.instance.id;
        let score = watched.judgement().map(|judged| judged.score.0);
        let probabilities = outputs::HORIZONS.map(|(_, horizon_s)| within(&watched.risks, horizon_s));
        let frame = outputs::frame(score, probabilities);
        let stored = self.store.append_derived(id.partition(), id, outputs::schema(), (at, &frame));
        if let Err(error) = stored {
            tracing::debug!("{id}: the score is not stored: {}", Chain(&error));
        }
        let failure_probability = probabilities[1];
        self.events.publish(|| Event::Score { instance: id.clone(), at_us: at, score, failure_probability });
    }

    /// Gives foresight the recent history from before a restart.
    fn recall(&self, id: &InstanceId, feed: &mut crate::feed::Feed, before: Timestamp) {
        if let Ok(Some((first, _))) = self.store.instance_span(id) {
            feed.first = feed.first.min(first);
        }
        let keys = feed.remembered();
        if keys.is_empty() {
            return;
        }
        let read = |from: Timestamp, to: Timestamp, max_points: Option<usize>| {
            let all = Query::new(id.clone(), from, to);
            let (schema, metrics) = (Some(feed.schema.id()), Some(keys.clone()));
            self.store.read(&Query { schema, metrics, max_points, statistic: Statistic::Maximum, ..all })
        };
        let recent = before - RECENT_US;
        let day = read(before - DAY_US, recent, Some(RECALL_POINTS)).unwrap_or_default();
        let hour = read(recent, before, None).unwrap_or_default();
        day.iter().chain(&hour).for_each(|window| feed.recall(window));
    }

    /// Puts a model to work, from the next frame on. Its state is warmed by stored frames, read while the feed stands
    /// still, so that at most the frames of the record at work are missing.
    pub(crate) fn install(&self, id: &InstanceId, schema: SchemaId, seated: Seated) {
        let mut shard = self.shard(id.partition());
        let Some(watched) = shard.watched.get_mut(id) else { return };
        let Some(feed) = watched.feed_of(schema) else { return };
        let recent = self.recent(id, feed, seated.model.step_s());
        feed.install((seated.model, seated.phase), seated.renewed, recent.into_iter());
        let (instance, learning) = (id.clone(), feed.learning(&self.config.training));
        self.events.publish(|| Event::Learned { instance, learning });
    }

    /// The last stored frames of a feed, enough to warm a model's state.
    fn recent(&self, id: &InstanceId, feed: &crate::feed::Feed, step_s: f64) -> Vec<(Timestamp, Vec<Value>)> {
        let from = feed.last - (f64::from(WARM) * step_s * 1e6) as i64;
        let all = Query::new(id.clone(), from, feed.last + 1);
        let read = self.store.read(&Query { schema: Some(feed.schema.id()), ..all });
        let windows = read.unwrap_or_else(|error| {
            tracing::debug!("{id}: a model starts without recent frames: {}", Chain(&error));
            Vec::new()
        });
        let Some(window) = windows.into_iter().find(|window| window.schema.id() == feed.schema.id()) else {
            return Vec::new();
        };
        let frame = |row: usize| {
            let mut values = Vec::new();
            window.frame(row, &mut values);
            (window.times[row], values)
        };
        (0..window.len()).map(frame).collect()
    }
}

/// The probability that any of the risks strikes within a horizon.
pub(crate) fn within(risks: &[Risk], horizon_s: f64) -> f64 {
    foretwin_foresee::combine(risks, horizon_s)
}
