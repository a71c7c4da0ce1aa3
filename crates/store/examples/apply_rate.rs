//! Samples applied, flushed and sealed per second of one core: 2,000 instances of 38 metrics at 1 Hz.
//!
//! `cargo run --release --example apply_rate [SECONDS_OF_TELEMETRY [DIR]]`

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use foretwin_core::{
    Batch, InstanceId, Metric, PARTITIONS, Partition, Position, Record, Rng, Role, SECOND_US, Schema,
    Timestamp, Value,
};
use foretwin_disk::OsDisk;
use foretwin_store::{Config, Error, Query, Store};

const INSTANCES: usize = 2000;
const METRICS: usize = 38;
const BEGIN: Timestamp = Timestamp(1_700_000_000 * SECOND_US);

/// A made-up fleet.
struct Fleet {
    schema: Arc<Schema>,
    ids: Vec<InstanceId>,
    states: Vec<Vec<Value>>,
    rng: Rng,
}

impl Fleet {
    fn new() -> Self {
        let metric = |n| Metric::gauge(&format!("metric.{n}"), "1", Role::Utilization);
        let id = |n| InstanceId::new(&format!("host-{n:04}/system.slice"));
        Self {
            schema: Schema::new((0..METRICS).map(metric).collect()),
            ids: (0..INSTANCES).map(id).collect(),
            states: vec![vec![Value(1_000_000); METRICS]; INSTANCES],
            rng: Rng::new(1),
        }
    }

    /// The next second, a batch for each partition. A third of the columns count with jitter, a third wander, a
    /// third stay.
    fn sweep(&mut self, at: Timestamp) -> Vec<Batch> {
        let mut batches: Vec<_> = (0..PARTITIONS).map(|_| Batch::new(self.schema.id(), METRICS)).collect();
        for (id, state) in self.ids.iter().zip(&mut self.states) {
            for (column, value) in state.iter_mut().enumerate() {
                match column % 3 {
                    0 => value.0 += 1000 + self.rng.below(50),
                    1 => value.0 = (value.0 + self.rng.below(9)).saturating_sub(4),
                    _ => {}
                }
            }
            let jitter_us = self.rng.below(2000) as i64;
            // The width is the schema's.
            let _ = batches[id.partition().index()].push(id, at + jitter_us, state);
        }
        batches
    }
}

/// Seconds spent on each step, and what came of it.
#[derive(Default)]
struct Tally {
    apply_s: f64,
    flush_s: f64,
    samples: u64,
    hot_bytes: u64,
}

fn timed<T>(sum_s: &mut f64, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    *sum_s += start.elapsed().as_secs_f64();
    result
}

fn load(store: &Store, fleet: &mut Fleet, seconds: u64) -> Result<Tally, Error> {
    let mut tally = Tally::default();
    for partition in Partition::all() {
        store.apply(Position { partition, offset: 0 }, &Record::Schema(Arc::clone(&fleet.schema)))?;
    }
    for n in 0..seconds {
        let at = BEGIN + n as i64 * SECOND_US;
        let batches = fleet.sweep(at);
        let records: Vec<_> = Partition::all().zip(batches.into_iter().map(Record::Batch)).collect();
        timed(&mut tally.apply_s, || {
            records.iter().try_for_each(|(partition, record)| {
                store.apply(Position { partition: *partition, offset: n + 1 }, record)
            })
        })?;
        tally.samples += (INSTANCES * METRICS) as u64;
        tally.hot_bytes += timed(&mut tally.flush_s, || store.flush_due(at))?.map_or(0, |done| done.bytes);
    }
    let end = BEGIN + seconds as i64 * SECOND_US;
    tally.hot_bytes += timed(&mut tally.flush_s, || store.flush(end))?.bytes;
    Ok(tally)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seconds: u64 = std::env::args().nth(1).map_or(Ok(120), |text| text.parse())?;
    let scratch = tempfile::tempdir()?;
    let dir = std::env::args().nth(2).map_or_else(|| scratch.path().join("store"), PathBuf::from);
    let config = Config { flush_bytes: 256 << 20, head_limit_bytes: 4 << 30, ..Config::default() };
    let (store, _) = Store::open(Arc::new(OsDisk), &dir, config)?;
    let mut fleet = Fleet::new();
    let tally = load(&store, &mut fleet, seconds)?;
    let end = BEGIN + (seconds as i64 + 7200) * SECOND_US;
    let (mut seal_s, mut read_s) = (0.0, 0.0);
    while timed(&mut seal_s, || store.maintain(end))?.again() {}
    let query = Query::new(fleet.ids[7].clone(), BEGIN, end);
    let window = timed(&mut read_s, || store.read(&query))?.remove(0);
    let (millions, stats) = (tally.samples as f64 / 1e6, store.stats());
    println!("{millions:.1} M samples of {INSTANCES} instances x {METRICS} metrics, one core, M samples/s:");
    let both = millions / (tally.apply_s + tally.flush_s);
    println!("apply {:.1}, flush {:.1}, both {both:.1}", millions / tally.apply_s, millions / tally.flush_s);
    println!(
        "seal and downsample {:.1}; read of {} frames {:.1} ms",
        millions / seal_s,
        window.len(),
        read_s * 1e3
    );
    let per_sample = |bytes: u64| bytes as f64 / tally.samples as f64;
    println!(
        "bytes per sample: hot {:.3}, sealed {:.3}, tiers {:.3}",
        per_sample(tally.hot_bytes),
        stats.bytes_per_sample,
        per_sample(stats.tier_bytes)
    );
    Ok(())
}
