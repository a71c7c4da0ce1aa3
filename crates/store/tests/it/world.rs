//! A log, a truth and a store to compare.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use foretwin_core::{
    Batch, InstanceId, MISSING, Metric, Partition, Position, Record, Rng, Role, SECOND_US, Schema, SchemaId,
    Storage, Timestamp, Value, Window,
};
use foretwin_disk::{Disk, SimDisk};
use foretwin_store::{Config, Query, Recovery, Store};

pub const DIR: &str = "/data/store";

/// Frames by instance, schema and time.
pub type Truth = BTreeMap<(InstanceId, SchemaId, Timestamp), Vec<Value>>;

/// Three schemas of different widths and storages.
pub fn schemas() -> Vec<Arc<Schema>> {
    let gauge = |name: &str| Metric::gauge(name, "1", Role::Utilization);
    vec![
        Schema::new(vec![gauge("load").stored(Storage::F64), Metric::counter("work", "1", Role::Rate)]),
        Schema::new(vec![gauge("used"), gauge("limit"), gauge("level").stored(Storage::I64)]),
        Schema::new(vec![gauge("score").stored(Storage::F64)]),
    ]
}

/// A log in memory: what is replayed after a crash.
#[derive(Default)]
pub struct Log {
    pub records: Vec<(Position, Record)>,
    next: BTreeMap<Partition, u64>,
}

impl Log {
    pub fn push(&mut self, partition: Partition, record: Record) -> &(Position, Record) {
        let offset = self.next.entry(partition).or_default();
        self.records.push((Position { partition, offset: *offset }, record));
        *offset += 1;
        self.records.last().unwrap()
    }

    /// Announces a schema in the partition of an instance, once.
    pub fn announce(&mut self, instance: &InstanceId, schema: &Arc<Schema>) {
        let partition = instance.partition();
        let known = self.records.iter().any(|(position, record)| {
            position.partition == partition
                && matches!(record, Record::Schema(one) if one.id() == schema.id())
        });
        if !known {
            self.push(partition, Record::Schema(Arc::clone(schema)));
        }
    }

    pub fn frames(
        &mut self,
        instance: &InstanceId,
        schema: &Arc<Schema>,
        frames: &[(Timestamp, Vec<Value>)],
    ) {
        self.announce(instance, schema);
        let mut batch = Batch::new(schema.id(), schema.width());
        for (at, values) in frames {
            batch.push(instance, *at, values).unwrap();
        }
        self.push(instance.partition(), Record::Batch(batch));
    }

    pub fn truth(&self) -> Truth {
        let mut truth = Truth::new();
        for (_, record) in &self.records {
            if let Record::Batch(batch) = record {
                for (instance, at, values) in batch.frames() {
                    truth.insert((instance.clone(), batch.schema(), at), values.to_vec());
                }
            }
        }
        truth
    }

    /// Applies everything the store does not have yet.
    pub fn replay(&self, store: &Store) {
        for (position, record) in &self.records {
            store.apply(*position, record).unwrap();
        }
    }
}

pub fn second(n: i64) -> Timestamp {
    Timestamp(n * SECOND_US)
}

/// A frame that changes a little from second to second, with gaps.
pub fn frame(schema: &Schema, n: i64, rng: &mut Rng) -> Vec<Value> {
    let value = |metric: &Metric, rng: &mut Rng| match metric.storage {
        _ if rng.below(20) == 0 => MISSING,
        Storage::U64 if metric.name == "limit" => Value(1 << 30),
        Storage::U64 => Value(n as u64 * 1000 + rng.below(100)),
        Storage::I64 => Value::signed(rng.below(9) as i64 - 4),
        Storage::F64 => Value::float((rng.normal() * 100.0).round() / 100.0),
    };
    schema.metrics().iter().map(|metric| value(metric, rng)).collect()
}

/// A log of `seconds` at 1 Hz of some instances, each batch holding ten seconds.
pub fn telemetry(instances: &[&str], from: i64, seconds: i64, log: &mut Log) {
    let (schemas, mut rng) = (schemas(), Rng::new(from as u64 + 1));
    for start in (from..from + seconds).step_by(10) {
        for (at, name) in instances.iter().enumerate() {
            let instance = InstanceId::new(name);
            let schema = &schemas[at % 2];
            let until = (start + 10).min(from + seconds);
            let frames: Vec<_> = (start..until).map(|n| (second(n), frame(schema, n, &mut rng))).collect();
            log.frames(&instance, schema, &frames);
        }
    }
}

pub fn open(disk: &SimDisk, config: &Config) -> (Store, Recovery) {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    Store::open(disk, Path::new(DIR), config.clone()).unwrap()
}

/// Everything raw that the store gives, found through its own catalog.
pub fn contents(store: &Store) -> Truth {
    let mut truth = Truth::new();
    for instance in store.instances().keys() {
        let query = Query::new(instance.clone(), Timestamp(i64::MIN), Timestamp(i64::MAX));
        for window in store.read(&query).unwrap() {
            collect(&window, &mut truth);
        }
    }
    truth
}

fn collect(window: &Window, truth: &mut Truth) {
    assert!(window.times.windows(2).all(|pair| pair[0] < pair[1]), "times ascend without duplicates");
    let mut values = Vec::new();
    for (at, time) in window.times.iter().enumerate() {
        window.frame(at, &mut values);
        let key = (window.instance.clone(), window.schema.id(), *time);
        assert!(truth.insert(key, values.clone()).is_none(), "a frame came twice");
    }
}

/// Small limits, so that everything happens in a few minutes of telemetry.
pub fn small() -> Config {
    Config { span_s: 60, grace_s: 5, ..Config::default() }
}
