//! The way into the log: what was collected here, and what others send.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use foretwin_collect::Sink;
use foretwin_core::{
    Batch, Instance, InstanceId, Origin, Partition, Record, Schema, SchemaId, Timestamp, Value,
};
use foretwin_stream::{Log, Ticket};

use crate::Error;
use crate::pipeline::Pipeline;

/// Batches that wait in memory while the log takes none: ten minutes of a machine with six groups at 1 Hz.
const MOST_WAITING: usize = 4096;

/// Appends records to the log, each where its instance lives.
pub struct Ingest {
    log: Arc<Log>,
    memory: Mutex<Memory>,
}

/// What was said already.
#[derive(Default)]
struct Memory {
    /// Schemas heard of since the start.
    schemas: HashMap<SchemaId, Arc<Schema>>,
    /// Partitions that had a schema announced since the start.
    announced: HashSet<(Partition, SchemaId)>,
    /// Epoch and sequence of the last batch of each source.
    origins: HashMap<u64, (u64, u64)>,
}

impl Ingest {
    pub(crate) fn new(log: Arc<Log>) -> Self {
        Self { log, memory: Mutex::default() }
    }

    /// Takes records of another node; returns once they are durable.
    pub(crate) fn accept(
        &self,
        pipeline: &Pipeline,
        records: Vec<Record>,
        wait: Duration,
    ) -> Result<(), Error> {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let mut placed = Vec::new();
        for record in records {
            match record {
                Record::Batch(batch) if memory.has(batch.origin()) => pipeline.counters.duplicates.add(1),
                Record::Batch(batch) => {
                    if !memory.schemas.contains_key(&batch.schema()) {
                        let known = pipeline.schema(batch.schema());
                        let known = known.ok_or(Error::UnknownSchema(batch.schema()))?;
                        memory.schemas.insert(known.id(), known);
                    }
                    memory.place(batch, &mut placed);
                }
                Record::Schema(schema) => {
                    let home = Partition((schema.id().0 % 64) as u8);
                    memory.schemas.insert(schema.id(), schema.clone());
                    placed.push((home, Record::Schema(schema)));
                }
                other => placed.push((home(&other), other)),
            }
        }
        let ticket = self.append(&placed)?;
        // Only what is durable counts as seen, and only what the log has taken as announced.
        drop(memory);
        ticket.wait(wait)?;
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        for (partition, record) in &placed {
            memory.said(*partition, record);
        }
        Ok(())
    }

    /// Encodes and appends records as one commit.
    fn append(&self, placed: &[(Partition, Record)]) -> Result<Ticket, Error> {
        let encoded = placed.iter().map(|(partition, record)| {
            let mut bytes = Vec::new();
            foretwin_wire::record::encode(record, &mut bytes);
            (*partition, bytes)
        });
        let encoded: Vec<(Partition, Vec<u8>)> = encoded.collect();
        let borrowed: Vec<(Partition, &[u8])> =
            encoded.iter().map(|(partition, bytes)| (*partition, bytes.as_slice())).collect();
        Ok(self.log.append_all(&borrowed)?)
    }

    /// Name, help, kind and value of what the log counts.
    pub(crate) fn stats(&self) -> Vec<(&'static str, &'static str, &'static str, f64)> {
        let stats = self.log.stats();
        vec![
            ("foretwin_log_records_total", "Records made durable.", "counter", stats.committed as f64),
            ("foretwin_log_commits_total", "Group commits.", "counter", stats.commits as f64),
            ("foretwin_log_bytes_total", "Bytes made durable.", "counter", stats.bytes as f64),
            ("foretwin_log_pending_bytes", "Bytes not yet durable.", "gauge", stats.pending_bytes as f64),
            (
                "foretwin_log_commit_seconds",
                "Duration of the last commit.",
                "gauge",
                stats.last_commit_us as f64 / 1e6,
            ),
            (
                "foretwin_log_failed_records_total",
                "Records whose commit failed.",
                "counter",
                stats.failed as f64,
            ),
            ("foretwin_log_size_bytes", "Bytes of segment files.", "gauge", stats.segment_bytes as f64),
        ]
    }
}

impl Memory {
    /// Whether a batch was seen before. Batches without a source are never duplicates.
    fn has(&self, origin: Origin) -> bool {
        let seen = self.origins.get(&origin.source);
        origin.source != 0 && seen.is_some_and(|&last| (origin.epoch, origin.sequence) <= last)
    }

    /// Splits a batch by partition, announcing its schema where it is new.
    fn place(&self, batch: Batch, into: &mut Vec<(Partition, Record)>) {
        let mut parts: BTreeMap<Partition, Batch> = BTreeMap::new();
        let homes: Vec<Partition> = batch.instances().iter().map(InstanceId::partition).collect();
        if let [home] = homes.as_slice() {
            parts.insert(*home, batch);
        } else {
            for (id, at, values) in batch.frames() {
                let fresh = || Batch::new(batch.schema(), batch.width()).from_origin(batch.origin());
                // The width is the batch's own, so the frame fits.
                let _ = parts.entry(id.partition()).or_insert_with(fresh).push(id, at, values);
            }
        }
        for (partition, part) in parts {
            let new = !self.announced.contains(&(partition, part.schema()));
            if let Some(schema) = self.schemas.get(&part.schema()).filter(|_| new) {
                into.push((partition, Record::Schema(schema.clone())));
            }
            into.push((partition, Record::Batch(part)));
        }
    }

    fn said(&mut self, partition: Partition, record: &Record) {
        match record {
            Record::Schema(schema) => {
                self.announced.insert((partition, schema.id()));
            }
            Record::Batch(batch) => {
                let origin = batch.origin();
                let last = self.origins.entry(origin.source).or_default();
                *last = (*last).max((origin.epoch, origin.sequence));
            }
            _ => {}
        }
    }
}

/// The partition of a record about one instance.
fn home(record: &Record) -> Partition {
    match record {
        Record::Instance(instance) => instance.id.partition(),
        Record::Vanished { instance, .. } => instance.partition(),
        Record::Failure(failure) => failure.instance.partition(),
        Record::Schema(_) | Record::Batch(_) => Partition(0),
    }
}

/// What the collector of this node writes to: frames of one tick become one commit.
pub(crate) struct LocalSink {
    ingest: Arc<Ingest>,
    pipeline: Option<Arc<Pipeline>>,
    origin: Origin,
    /// For the next commit.
    placed: Vec<(Partition, Record)>,
    /// Commits under way.
    unsettled: VecDeque<(Ticket, Vec<(Partition, Record)>)>,
    batches: BTreeMap<(Partition, SchemaId), Batch>,
}

impl LocalSink {
    /// `source` and `epoch` name this life of the node; `pipeline`, where there is one, counts what is refused.
    pub(crate) fn new(
        ingest: Arc<Ingest>,
        (source, epoch): (u64, u64),
        pipeline: Option<Arc<Pipeline>>,
    ) -> Self {
        let origin = Origin { source, epoch, sequence: 0 };
        let (placed, unsettled, batches) = (Vec::new(), VecDeque::new(), BTreeMap::new());
        Self { ingest, pipeline, origin, placed, unsettled, batches }
    }
}

impl Sink for LocalSink {
    fn instance(&mut self, instance: &Instance) {
        self.placed.push((instance.id.partition(), Record::Instance(instance.clone())));
    }

    fn vanished(&mut self, instance: &InstanceId, at: Timestamp) {
        self.placed.push((instance.partition(), Record::Vanished { instance: instance.clone(), at }));
    }

    fn frame(&mut self, instance: &InstanceId, schema: &Arc<Schema>, at: Timestamp, values: &[Value]) {
        let partition = instance.partition();
        let mut memory = self.ingest.memory.lock().unwrap_or_else(PoisonError::into_inner);
        if memory.announced.insert((partition, schema.id())) {
            self.placed.push((partition, Record::Schema(schema.clone())));
        }
        drop(memory);
        let fresh = || Batch::new(schema.id(), schema.width());
        let batch = self.batches.entry((partition, schema.id())).or_insert_with(fresh);
        if let Err(error) = batch.push(instance, at, values) {
            tracing::error!("{instance}: {error}");
        }
    }

    fn flush(&mut self) {
        self.settle();
        for ((partition, _), batch) in std::mem::take(&mut self.batches) {
            self.origin.sequence += 1;
            self.placed.push((partition, Record::Batch(batch.from_origin(self.origin))));
        }
        if self.placed.is_empty() {
            return;
        }
        let placed = std::mem::take(&mut self.placed);
        match self.ingest.append(&placed) {
            Ok(ticket) => self.unsettled.push_back((ticket, placed)),
            Err(error) => self.refused(placed, &error),
        }
    }
}

impl LocalSink {
    /// Looks at the commits under way; what one of them lost is appended again with the next.
    fn settle(&mut self) {
        while let Some(outcome) = self.unsettled.front().and_then(|(ticket, _)| ticket.outcome()) {
            let Some((_, records)) = self.unsettled.pop_front() else { return };
            if let Err(error) = outcome {
                self.refused(records, &error.into());
            }
        }
    }

    /// Keeps what the log did not take for the next tick, up to a bound; beyond it, frames are lost and counted.
    fn refused(&mut self, mut records: Vec<(Partition, Record)>, error: &Error) {
        let batch = |record: &Record| matches!(record, Record::Batch(_));
        let waiting = self.placed.iter().filter(|(_, record)| batch(record)).count();
        if waiting >= MOST_WAITING {
            let lost = records.iter().map(|(_, record)| frames(record)).sum::<usize>();
            tracing::warn!("{lost} frames are lost: {error}");
            if let Some(pipeline) = &self.pipeline {
                pipeline.counters.refused.add(lost as u64);
            }
            records.retain(|(_, record)| !batch(record));
        } else if waiting == 0 {
            tracing::warn!("telemetry waits in memory: {error}");
        }
        self.placed.splice(0..0, records);
    }
}

fn frames(record: &Record) -> usize {
    match record {
        Record::Batch(batch) => batch.rows().len(),
        _ => 0,
    }
}
