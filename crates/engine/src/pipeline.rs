//! From a record of the log to a stored frame, a score and a risk: the same for live telemetry and for replay.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use foretwin_core::{
    Batch, DAY_US, Failure, HOUR_US, Instance, InstanceId, PARTITIONS, Partition, Position, Record, Risk,
    Schema, SchemaId, Score, Timestamp, Value,
};
use foretwin_store::{Query, Statistic, Store};

use crate::checkpoint::Checkpoints;
use crate::config::Config;
use crate::counters::Counters;
use crate::detect::{BOOT_ID, Detected, rebooted};
use crate::error::Chain;
use crate::events::Events;
use crate::ground::Grounds;
use crate::lessons::Lessons;
use crate::pace::Pace;
use crate::past::Past;
use crate::registry::Registry;
use crate::shard::{Shard, Watched};
use crate::twin::Contrasts;
use crate::verdicts::{self, Verdicts};
use crate::view::Event;
use crate::{Error, outputs};

/// After a restart foresight recalls the last hour as it was, and peaks of the day before it.
const RECENT_US: i64 = HOUR_US;
const RECALL_POINTS: usize = 1000;
/// A contrast or an anomaly score that is older says nothing of a moment.
pub(crate) const SPEAKS_S: f64 = 60.0;
/// Frames that warm a new model's state.
const WARM: u32 = 120;

/// Everything between the log and the answers.
pub(crate) struct Pipeline {
    pub(crate) config: Config,
    pub(crate) store: Arc<Store>,
    pub(crate) registry: Registry,
    pub(crate) events: Events,
    pub(crate) counters: Counters,
    pub(crate) contrasts: Contrasts,
    pub(crate) tasks: crate::tasks::Tasks,
    pub(crate) detected: Detected,
    pub(crate) lessons: Lessons,
    pub(crate) past: Past,
    pub(crate) grounds: Grounds,
    pub(crate) checkpoints: Checkpoints,
    shards: Vec<Mutex<Shard>>,
    schemas: RwLock<HashMap<SchemaId, Arc<Schema>>>,
}

impl Pipeline {
    /// A pipeline over what the store and the registry already hold.
    pub(crate) fn new(config: Config, store: Arc<Store>, registry: Registry) -> Self {
        let shards: Vec<Mutex<Shard>> = (0..PARTITIONS).map(|_| Mutex::default()).collect();
        let pipeline = Self {
            contrasts: Contrasts::new(&config.twin),
            config,
            registry,
            shards,
            events: Events::default(),
            counters: Counters::default(),
            tasks: crate::tasks::Tasks::default(),
            detected: Detected::default(),
            lessons: Lessons::default(),
            past: Past::default(),
            grounds: Grounds::default(),
            checkpoints: Checkpoints::default(),
            schemas: RwLock::default(),
            store,
        };
        for (id, known) in pipeline.store.instances() {
            let mut shard = pipeline.shard(id.partition());
            let watched = shard.watch(&id, || known.instance).0;
            watched.vanished = known.vanished;
            watched.noticed = known.vanished.unwrap_or_default();
        }
        pipeline.store.failures().iter().for_each(|failure| pipeline.past.fail(failure));
        // Agents do not say again who is whose twin.
        let known = pipeline.described();
        for twin in known.iter().filter(|instance| instance.twin_of.is_some()) {
            pipeline.contrasts.describe(twin, || known.clone());
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
                let mut shard = self.shard(position.partition);
                let before = shard.watched.get(&instance.id).map(|watched| watched.instance.clone());
                let before = before.filter(|before| before.labels.contains_key(BOOT_ID));
                let last = || self.store.instance_span(&instance.id).ok().flatten().map(|(_, last)| last);
                self.detected.add(before.and_then(|before| rebooted(&before, instance, last()?)));
                let (watched, fresh) = shard.describe(instance);
                // Of a workload that is known only now, there may be a model.
                let schemas: Vec<SchemaId> = watched.feeds.iter().map(|feed| feed.schema.id()).collect();
                schemas.into_iter().for_each(|schema| self.seat(watched, schema));
                drop(shard);
                self.contrasts.describe(instance, || self.described());
                if fresh {
                    self.events.publish(|| Event::Appeared { instance: instance.id.clone() });
                }
            }
            Record::Vanished { instance, at } => self.vanish(position.partition, instance, *at),
            // The store keeps failures and maintenance, too; what learns from them reads them there.
            Record::Failure(failure) => self.past.fail(failure),
            Record::Maintenance(_) => {}
        }
    }

    /// Takes note that an instance is gone.
    fn vanish(&self, partition: Partition, instance: &InstanceId, at: Timestamp) {
        let mut shard = self.shard(partition);
        // Frames that came meanwhile are the better proof.
        if let Some(watched) = shard.watched.get_mut(instance).filter(|one| one.last() <= at) {
            watched.vanished = Some(at);
            watched.noticed = crate::handle::wall_clock();
            self.detected.add(watched.main().and_then(|feed| feed.detector.ended(instance)));
            self.contrasts.vanished(&watched.instance);
        }
        drop(shard);
        let (instance, at_us) = (instance.clone(), at);
        self.events.publish(|| Event::Vanished { instance, at_us });
    }

    /// All instances as they are described.
    fn described(&self) -> Vec<Instance> {
        let mut all = Vec::new();
        self.each(|watched| all.push(watched.instance.clone()));
        all
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
        let mut verdicts = Verdicts::of(batch, outputs::schema());
        let mut contrasts = self.contrasts.any().then(|| Verdicts::of(batch, outputs::contrast()));
        for (row, (id, at, values)) in batch.rows().iter().zip(batch.frames()) {
            let (watched, pace) =
                shard.watch(id, || self.store.instance(id).and_then(|known| known.instance));
            for (at, values) in watched.gathered(&schema, (at, values)) {
                if !self.frame(watched, &schema, (at, &values)) {
                    continue;
                }
                self.contrast(watched, (&schema, at, &values));
                self.assess(watched, pace, at);
                if let Some(frame) = verdict(watched, &schema) {
                    verdicts.add(row.instance, at, &frame);
                    let said = contrasts.as_mut().zip(self.infrastructure(&watched.instance, at));
                    said.into_iter().for_each(|(all, p)| all.add(row.instance, at, &[Value::float(p)]));
                }
            }
        }
        if let Some(outputs) = self.keep(partition, (verdicts, outputs::schema())) {
            self.events.publish_all(verdicts::events(&outputs));
        }
        contrasts.and_then(|all| self.keep(partition, (all, outputs::contrast())));
    }

    /// Takes a frame; false if it is late.
    fn frame(
        &self,
        watched: &mut Watched,
        schema: &Arc<Schema>,
        (at, values): (Timestamp, &[Value]),
    ) -> bool {
        // A frame is the best proof of life.
        watched.vanished = watched.vanished.filter(|&gone| at <= gone);
        if watched.feed(schema, at) {
            // Later schemas of a running instance inherit what the first one recalled.
            let id = watched.instance.id.clone();
            let Some(feed) = watched.feed_of(schema.id()) else { return false };
            if feed.is_unread() {
                self.recall(&id, feed, at);
            }
            self.seat(watched, schema.id());
            if let Some(feed) = watched.feed_of(schema.id()) {
                self.resume(&id, feed, at);
            }
        }
        let Some(feed) = watched.feed_of(schema.id()) else { return false };
        if !feed.take(at, values) {
            self.counters.late.add(1);
            return false;
        }
        if let Some((_, score)) = feed.score(at).filter(|(judged, _)| *judged == at) {
            self.counters.scored.add(1);
            self.counters.anomalous.add(u64::from(Score(score).is_anomalous()));
        }
        let failed = feed.detector.take(schema, (at, values));
        if !failed.is_empty() {
            let instance = &watched.instance.id;
            let failure = |(mode, note)| Failure { instance: instance.clone(), at, mode, note };
            self.detected.add(failed.into_iter().map(failure));
        }
        watched.newest = at;
        true
    }

    /// Holds production against its twin, where there is one.
    fn contrast(&self, watched: &Watched, frame: (&Arc<Schema>, Timestamp, &[Value])) {
        let score = watched.feeds.iter().find(|feed| feed.schema.id() == frame.0.id());
        let score = score.and_then(|feed| feed.score(frame.1)).map(|(_, score)| score);
        self.contrasts.take(&watched.instance, frame, score, &mut |contrast| {
            self.events.publish(|| Event::Verdict {
                instance: contrast.instance.clone(),
                at_us: contrast.at,
                class: contrast.verdict.class,
                probability: contrast.verdict.probability,
            });
        });
    }

    /// Assesses risks when it is time to.
    fn assess(&self, watched: &mut Watched, pace: &mut Pace, at: Timestamp) {
        if pace.is_due(at, watched.assessed, watched.within_the_hour()) {
            let taught = self.lessons.taught();
            let count = watched.reassess(at, &self.config.foresee, taught.as_deref().map(|one| (one, self)));
            pace.spend(count);
            self.counters.assessed.add(count as u64);
        }
    }

    /// Stores what is now thought of the instances of a batch, if anything is.
    fn keep(&self, partition: Partition, (verdicts, schema): (Verdicts<'_>, &Arc<Schema>)) -> Option<Batch> {
        // Verdicts have the width of their schema.
        let outputs = verdicts.batch().ok().filter(|outputs| !outputs.is_empty())?;
        if let Err(error) = self.store.append_derived(partition, schema, &outputs) {
            tracing::debug!("scores of partition {} are not stored: {}", partition.0, Chain(&error));
        }
        Some(outputs)
    }

    /// Probability that the machine underneath is in trouble, by a contrast that speaks for a moment.
    pub(crate) fn infrastructure(&self, instance: &Instance, at: Timestamp) -> Option<f64> {
        if !self.contrasts.any() {
            return None;
        }
        let contrast = self.contrasts.contrast(instance)?;
        let fresh = at.since(contrast.at).abs() <= SPEAKS_S;
        fresh.then(|| foretwin_foresee::policy::infrastructure(&contrast.verdict))
    }

    /// Gives foresight the recent history from before a restart.
    pub(crate) fn recall(&self, id: &InstanceId, feed: &mut crate::feed::Feed, before: Timestamp) {
        if self.store.schemas(id).is_empty() {
            return;
        }
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

    /// The last stored frames of a feed, enough to warm a model's state.
    pub(crate) fn recent(
        &self,
        id: &InstanceId,
        feed: &crate::feed::Feed,
        step_s: f64,
    ) -> Vec<(Timestamp, Vec<Value>)> {
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

/// What is now thought of an instance. Only the feed with the most series speaks, so that an instance has one output a
/// moment.
fn verdict(watched: &Watched, schema: &Arc<Schema>) -> Option<[Value; outputs::WIDTH]> {
    let speaks = watched.main().is_some_and(|main| main.schema.id() == schema.id());
    speaks.then(|| outputs::frame(watched.score(), watched.probabilities))
}

/// The probability that any of the risks strikes within a horizon.
pub(crate) fn within(risks: &[Risk], horizon_s: f64) -> f64 {
    foretwin_foresee::combine(risks, horizon_s)
}
