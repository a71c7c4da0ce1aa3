//! The way into the log: what was collected here, and what others send.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use foretwin_collect::Sink;
use foretwin_core::{
    Batch, Instance, InstanceId, Origin, Partition, Record, Row, Schema, SchemaId, Timestamp, Value,
};
use foretwin_stream::{Log, Ticket};

use crate::Error;
use crate::error::Chain;
use crate::pipeline::Pipeline;

/// Batches that wait in memory while the log takes none: ten minutes of a machine with six groups at 1 Hz.
const MOST_WAITING: usize = 4096;
/// Records appended at once: a backlog must not be too large for the log when it takes some again.
const AT_ONCE: usize = 256;
/// How far ahead of this node's clock a frame may be.
const MOST_AHEAD_US: i64 = foretwin_core::DAY_US;

/// Appends records to the log, each where its instance lives.
pub struct Ingest {
    log: Arc<Log>,
    memory: Mutex<Memory>,
}

/// Records under way into the log.
pub(crate) struct Offer {
    ticket: Ticket,
    placed: Vec<(Partition, Record)>,
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
        self.settle(self.offer(pipeline, records)?, wait)
    }

    /// Appends records, in this order and behind all before; they are durable once [`Self::settle`] says so.
    pub(crate) fn offer(&self, pipeline: &Pipeline, records: Vec<Record>) -> Result<Offer, Error> {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let mut placed = Vec::new();
        for record in records {
            match record {
                Record::Batch(batch) if memory.has(batch.origin()) => pipeline.counters.duplicates.add(1),
                Record::Batch(batch) => {
                    memory.admit(pipeline, &batch)?;
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
        // Encoding takes its time, and the collector asks this memory for every frame.
        drop(memory);
        Ok(Offer { ticket: self.append(&placed)?, placed })
    }

    /// Waits until an offer is durable.
    pub(crate) fn settle(&self, Offer { ticket, placed }: Offer, wait: Duration) -> Result<(), Error> {
        // Only what is durable counts as seen, and only what the log has taken as announced.
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
    /// Whether a batch was seen before. Another epoch is another life of its source, whatever its clock said then.
    /// Batches without a source are never duplicates.
    fn has(&self, origin: Origin) -> bool {
        let seen = self.origins.get(&origin.source);
        let seen =
            seen.is_some_and(|&(epoch, sequence)| epoch == origin.epoch && origin.sequence <= sequence);
        origin.source != 0 && seen
    }

    /// Refuses a batch that could not be read back, or that would silence its instance.
    fn admit(&mut self, pipeline: &Pipeline, batch: &Batch) -> Result<(), Error> {
        let id = batch.schema();
        let known = self.schemas.get(&id).cloned().or_else(|| pipeline.schema(id));
        let known = known.ok_or(Error::UnknownSchema(id))?;
        if known.width() != batch.width() {
            let (width, wants) = (batch.width(), known.width());
            return Err(Error::Refused(format!(
                "a batch has {width} values a frame, its schema {id} {wants}"
            )));
        }
        let latest = crate::handle::wall_clock() + MOST_AHEAD_US;
        if let Some(row) = batch.rows().iter().find(|row| row.at > latest) {
            let at = row.at;
            return Err(Error::Refused(format!(
                "a frame of {at} is more than a day ahead: set the sender's clock"
            )));
        }
        self.schemas.insert(id, known);
        Ok(())
    }

    /// Splits a batch by partition, announcing its schema where it is new.
    fn place(&self, batch: Batch, into: &mut Vec<(Partition, Record)>) {
        for (partition, part) in split(batch) {
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
                if last.0 != origin.epoch {
                    *last = (origin.epoch, 0);
                }
                last.1 = last.1.max(origin.sequence);
            }
            _ => {}
        }
    }
}

/// A batch by the partitions of its instances.
fn split(batch: Batch) -> Vec<(Partition, Batch)> {
    let homes: Vec<Partition> = batch.instances().iter().map(InstanceId::partition).collect();
    if let Some(&home) = homes.first()
        && homes.iter().all(|&other| other == home)
    {
        return vec![(home, batch)];
    }
    let mut instances: BTreeMap<Partition, Vec<InstanceId>> = BTreeMap::new();
    let mut places = Vec::with_capacity(homes.len());
    for (id, &home) in batch.instances().iter().zip(&homes) {
        let there = instances.entry(home).or_default();
        places.push(there.len() as u32);
        there.push(id.clone());
    }
    let mut parts: BTreeMap<Partition, (Vec<Row>, Vec<Value>)> = BTreeMap::new();
    for (row, (_, at, values)) in batch.rows().iter().zip(batch.frames()) {
        let (rows, all) = parts.entry(homes[row.instance as usize]).or_default();
        rows.push(Row { instance: places[row.instance as usize], at });
        all.extend_from_slice(values);
    }
    let head = (batch.origin(), batch.schema(), batch.width());
    let part = |(home, (rows, values))| {
        let there = instances.remove(&home).unwrap_or_default();
        // Every part has whole frames of instances that it lists.
        Some((home, Batch::from_parts(head, there, rows, values).ok()?))
    };
    parts.into_iter().filter_map(part).collect()
}

/// The partition of a record about one instance.
fn home(record: &Record) -> Partition {
    match record {
        Record::Instance(instance) => instance.id.partition(),
        Record::Vanished { instance, .. } => instance.partition(),
        Record::Failure(failure) => failure.instance.partition(),
        Record::Maintenance(work) => work.instance.partition(),
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
    /// Whether it was said that telemetry waits.
    waiting: bool,
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
        Self { ingest, pipeline, origin, placed, unsettled, batches, waiting: false }
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
        let gathered = std::mem::take(&mut self.batches);
        self.placed.extend(gathered.into_iter().map(|((home, _), batch)| (home, Record::Batch(batch))));
        while !self.placed.is_empty() {
            let rest = self.placed.split_off(self.placed.len().min(AT_ONCE));
            let mut now = std::mem::replace(&mut self.placed, rest);
            self.number(&mut now);
            match self.ingest.append(&now) {
                Ok(ticket) => self.unsettled.push_back((ticket, now)),
                Err(error) => return self.refused(now, &error),
            }
        }
    }
}

impl LocalSink {
    /// Gives batches their place in the sequence when they are appended, so that it follows the order of the log even
    /// where some had to wait.
    fn number(&mut self, records: &mut [(Partition, Record)]) {
        for (_, record) in records {
            if let Record::Batch(batch) = record {
                self.origin.sequence += 1;
                let unnumbered = std::mem::replace(batch, Batch::new(batch.schema(), batch.width()));
                *batch = unnumbered.from_origin(self.origin);
            }
        }
    }

    /// Looks at the commits under way; what they lost is appended again, in its order.
    fn settle(&mut self) {
        let (mut lost, mut why) = (Vec::new(), None);
        while let Some(outcome) = self.unsettled.front().and_then(|(ticket, _)| ticket.outcome()) {
            let Some((_, records)) = self.unsettled.pop_front() else { break };
            match outcome {
                Ok(()) => self.waiting = false,
                Err(error) => {
                    lost.extend(records);
                    why = Some(error);
                }
            }
        }
        if let Some(error) = why {
            self.refused(lost, &error.into());
        }
    }

    /// Keeps what the log did not take for the next tick, before what is newer. Beyond a bound the oldest frames are
    /// lost and counted; what describes them stays.
    fn refused(&mut self, mut records: Vec<(Partition, Record)>, error: &Error) {
        if !std::mem::replace(&mut self.waiting, true) {
            tracing::warn!("telemetry waits in memory: {}", Chain(error));
        }
        records.append(&mut self.placed);
        let batches = records.iter().filter(|(_, record)| frames(record) > 0).count();
        let (mut over, mut lost) = (batches.saturating_sub(MOST_WAITING), 0);
        records.retain(|(_, record)| {
            let drop = over > 0 && frames(record) > 0;
            over -= usize::from(drop);
            lost += if drop { frames(record) } else { 0 };
            !drop
        });
        if lost > 0 {
            tracing::warn!("{lost} frames are lost: {}", Chain(error));
            if let Some(pipeline) = &self.pipeline {
                pipeline.counters.refused.add(lost as u64);
            }
        }
        self.placed = records;
    }
}

fn frames(record: &Record) -> usize {
    match record {
        Record::Batch(batch) => batch.rows().len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use foretwin_core::{Metric, PARTITIONS, Role};
    use foretwin_disk::SimDisk;

    use super::*;

    #[test]
    fn a_batch_is_split_by_partition_and_keeps_every_frame() {
        let mut batch = Batch::new(SchemaId(1), 1).from_origin(Origin { source: 3, epoch: 1, sequence: 9 });
        for n in 0..60u64 {
            let id = InstanceId::new(&format!("h{}", n % 20));
            batch.push(&id, Timestamp(n as i64), &[Value(n)]).unwrap();
        }
        let whole: HashSet<(String, i64, u64)> =
            batch.frames().map(|(id, at, values)| (id.as_str().to_owned(), at.0, values[0].0)).collect();
        let parts = split(batch.clone());
        assert!(parts.len() > 5);
        let mut found = HashSet::new();
        for (home, part) in &parts {
            assert_eq!(part.origin(), batch.origin());
            assert!(part.rows().is_sorted_by_key(|row| row.at), "arrival order stays");
            for (id, at, values) in part.frames() {
                assert_eq!(id.partition(), *home);
                assert!(found.insert((id.as_str().to_owned(), at.0, values[0].0)));
            }
        }
        assert_eq!(found, whole);
        let (home, alone) = parts.into_iter().next().unwrap();
        assert_eq!(split(alone.clone()), [(home, alone)]);
    }

    /// Sequences of the batches in a log, in its order, and whether each schema came before its first batch.
    fn logged(log: &Log) -> Vec<u64> {
        let mut announced = HashSet::new();
        let mut sequences = Vec::new();
        for entry in log.read_from(&[0; PARTITIONS]) {
            let entry = entry.unwrap();
            match foretwin_wire::record::decode(&entry.payload).unwrap() {
                Record::Schema(schema) => {
                    announced.insert((entry.position.partition, schema.id()));
                }
                Record::Batch(batch) => {
                    assert!(announced.contains(&(entry.position.partition, batch.schema())));
                    sequences.push(batch.origin().sequence);
                }
                _ => {}
            }
        }
        sequences
    }

    #[test]
    fn what_a_full_disk_refused_is_logged_in_order_when_there_is_room() {
        let disk = SimDisk::new(3);
        let config = foretwin_stream::Config { commit_interval_ms: 1, ..Default::default() };
        let log =
            Arc::new(Log::open(Arc::new(disk.clone()), std::path::Path::new("/log"), config).unwrap().0);
        let mut sink = LocalSink::new(Arc::new(Ingest::new(log.clone())), (9, 1), None);
        let schema = Schema::new(vec![Metric::gauge("a", "1", Role::Rate)]);
        let id = InstanceId::new("h");
        for tick in 0..40 {
            // The disk is full from the fifth tick on, and has room again from the thirtieth.
            match tick {
                5 => disk.set_capacity_bytes(0),
                30 => disk.set_capacity_bytes(u64::MAX),
                _ => {}
            }
            sink.frame(&id, &schema, Timestamp(tick), &[Value(tick as u64)]);
            sink.flush();
            std::thread::sleep(Duration::from_millis(5));
        }
        while !sink.unsettled.is_empty() || !sink.placed.is_empty() {
            sink.flush();
            std::thread::sleep(Duration::from_millis(5));
        }
        let sequences = logged(&log);
        assert_eq!(sequences.len(), 40, "{sequences:?}");
        assert!(sequences.is_sorted(), "{sequences:?}");
    }

    #[test]
    fn a_backlog_is_bounded_and_loses_the_oldest() {
        let disk = SimDisk::new(4);
        let config = foretwin_stream::Config::default();
        let log = Arc::new(Log::open(Arc::new(disk), std::path::Path::new("/log"), config).unwrap().0);
        let mut sink = LocalSink::new(Arc::new(Ingest::new(log)), (9, 1), None);
        let batch = |n: i64| {
            let mut batch = Batch::new(SchemaId(1), 1);
            batch.push(&InstanceId::new("h"), Timestamp(n), &[Value(1)]).unwrap();
            (Partition(0), Record::Batch(batch))
        };
        let gone = Record::Vanished { instance: InstanceId::new("h"), at: Timestamp(0) };
        let mut records: Vec<_> = (0..MOST_WAITING as i64 + 10).map(batch).collect();
        records.insert(0, (Partition(0), gone));
        sink.refused(records, &Error::Refused("for the test".into()));
        assert_eq!(sink.placed.len(), MOST_WAITING + 1, "the description stays");
        let Record::Batch(oldest) = &sink.placed[1].1 else { panic!("a batch") };
        assert_eq!(oldest.rows()[0].at, Timestamp(10));
    }
}
