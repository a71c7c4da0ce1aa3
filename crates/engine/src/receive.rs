//! The way in for what others send in their formats: taken, made durable, and only then acknowledged.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use foretwin_collect::Sink;
use foretwin_collect::receive::{Past, RECEIVED, Receiver, Taken};
use foretwin_core::{Batch, Instance, InstanceId, Record, Schema, SchemaId, Timestamp, Value};
use foretwin_store::Query;
use foretwin_wire::series::Arrival;

use crate::Error;
use crate::counters::Counter;
use crate::handle::{Handle, wall_clock};
use crate::pipeline::Pipeline;

pub use foretwin_collect::receive::Protocol;

/// How long a request waits for the log to acknowledge.
const ACKNOWLEDGE: Duration = Duration::from_secs(10);

/// What a request brought.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Received {
    /// Samples that are stored now, whether they came for the first time or again.
    pub samples: usize,
    /// Samples beyond a limit, or of a time or name that cannot be.
    pub refused: usize,
    /// Why the first of those was refused.
    pub why: Option<String>,
}

/// Receivers of a node, and what they count.
pub(crate) struct Gateway {
    receiver: Mutex<Receiver>,
    counts: [Counts; 3],
}

#[derive(Default)]
struct Counts {
    requests: Counter,
    stored: Counter,
    duplicates: Counter,
    not_numbers: Counter,
    refused: Counter,
}

const PROTOCOLS: [Protocol; 3] = [Protocol::Prometheus, Protocol::Otlp, Protocol::Influx];

impl Gateway {
    pub(crate) fn new(config: &foretwin_collect::receive::Config) -> Self {
        Self { receiver: Mutex::new(Receiver::new(config.clone())), counts: Default::default() }
    }

    /// Name, help, kind, and value by labels of what is counted.
    pub(crate) fn stats(&self) -> Vec<Family> {
        let mut all = Vec::new();
        for (name, help, count) in COUNTED {
            let one = |(protocol, counts): (Protocol, &Counts)| {
                (format!("{{protocol=\"{}\"}}", protocol.name()), count(counts).get() as f64)
            };
            all.push((name, help, "counter", PROTOCOLS.into_iter().zip(&self.counts).map(one).collect()));
        }
        let (instances, series) = self.receiver.lock().unwrap_or_else(PoisonError::into_inner).size();
        let whole = |value: usize| vec![(String::new(), value as f64)];
        all.push(("foretwin_receive_instances", "Instances of senders.", "gauge", whole(instances)));
        all.push(("foretwin_receive_series", "Series of senders.", "gauge", whole(series)));
        all
    }
}

/// Name, help, kind, and value by labels, as `/metrics` shows them.
pub(crate) type Family = (&'static str, &'static str, &'static str, Vec<(String, f64)>);

/// Name, help, and which count.
type Counted = (&'static str, &'static str, fn(&Counts) -> &Counter);

const COUNTED: [Counted; 5] = [
    ("foretwin_receive_requests_total", "Requests of senders.", |counts| &counts.requests),
    ("foretwin_receive_samples_total", "Samples stored.", |counts| &counts.stored),
    ("foretwin_receive_duplicates_total", "Samples sent again.", |counts| &counts.duplicates),
    ("foretwin_receive_not_numbers_total", "Samples without a number.", |counts| &counts.not_numbers),
    ("foretwin_receive_refused_total", "Samples beyond a limit.", |counts| &counts.refused),
];

impl Handle {
    /// Takes what a sender brought; returns once it is durable.
    ///
    /// # Errors
    /// If the log is busy or refuses: nothing is acknowledged then, and the sender may send the same again.
    pub fn receive(&self, protocol: Protocol, arrival: Arrival) -> Result<Received, Error> {
        let counts = &self.gateway.counts[PROTOCOLS.iter().position(|one| *one == protocol).unwrap_or(0)];
        counts.requests.add(1);
        let mut sink = Records::default();
        let mut receiver = self.gateway.receiver.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = receiver.take((protocol, arrival), wall_clock(), &Stored(&self.pipeline), &mut sink);
        let records = sink.records();
        if !records.is_empty() {
            // Under the lock, so that a frame that became more complete comes behind its earlier form in the log, too.
            let offer = self.ingest.offer(&self.pipeline, records)?;
            drop(receiver);
            self.ingest.settle(offer, ACKNOWLEDGE)?;
            receiver = self.gateway.receiver.lock().unwrap_or_else(PoisonError::into_inner);
        }
        receiver.settle(&taken);
        drop(receiver);
        let Taken { stored, duplicates, not_numbers, refused, why, .. } = taken;
        counts.stored.add(stored as u64);
        counts.duplicates.add(duplicates as u64);
        counts.not_numbers.add(not_numbers as u64);
        counts.refused.add(refused as u64);
        Ok(Received { samples: stored + duplicates + not_numbers, refused, why })
    }
}

/// What the store holds of instances that are received.
struct Stored<'a>(&'a Pipeline);

impl Past for Stored<'_> {
    fn schemas(&self, instance: &InstanceId) -> Vec<(Arc<Schema>, Timestamp)> {
        let latest = self.0.store.latest(instance).unwrap_or_default();
        latest.into_iter().filter_map(|window| Some((window.schema.clone(), *window.times.last()?))).collect()
    }

    fn frame(&self, instance: &InstanceId, schema: SchemaId, at: Timestamp) -> Option<Vec<Value>> {
        let all = Query::new(instance.clone(), at, at + 1);
        let windows = self.0.store.read(&Query { schema: Some(schema), ..all }).ok()?;
        let mut values = Vec::new();
        windows.first()?.frame(0, &mut values);
        Some(values)
    }

    fn describes(&self, instance: &InstanceId) -> bool {
        let own =
            |known: &Instance| !known.labels.contains_key(RECEIVED) && known.workload.0 != known.id.as_str();
        let stored =
            || self.0.store.instance(instance).and_then(|entry| entry.instance).is_some_and(|one| own(&one));
        self.0.with(instance, |watched| own(&watched.instance)).unwrap_or_else(|_| stored())
    }
}

/// Frames on their way into the log, by schema.
#[derive(Default)]
struct Records {
    instances: Vec<Record>,
    batches: BTreeMap<SchemaId, (Arc<Schema>, Batch)>,
}

impl Records {
    fn records(self) -> Vec<Record> {
        let mut records = self.instances;
        for (schema, batch) in self.batches.into_values() {
            records.extend([Record::Schema(schema), Record::Batch(batch)]);
        }
        records
    }
}

impl Sink for Records {
    fn instance(&mut self, instance: &Instance) {
        self.instances.push(Record::Instance(instance.clone()));
    }

    fn vanished(&mut self, instance: &InstanceId, at: Timestamp) {
        self.instances.push(Record::Vanished { instance: instance.clone(), at });
    }

    fn frame(&mut self, instance: &InstanceId, schema: &Arc<Schema>, at: Timestamp, values: &[Value]) {
        let fresh = || (schema.clone(), Batch::new(schema.id(), schema.width()));
        let (_, batch) = self.batches.entry(schema.id()).or_insert_with(fresh);
        if let Err(error) = batch.push(instance, at, values) {
            tracing::error!("{instance}: {error}");
        }
    }
}
