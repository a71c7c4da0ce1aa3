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
use foretwin_store::{Config, Query, Store};

const INSTANCES: usize = 2000;
const METRICS: usize = 38;

/// Two thirds of the columns change: counters with jitter, levels that wander.
fn values(n: u64, rng: &mut Rng, state: &mut [u64]) -> Vec<Value> {
    for (column, value) in state.iter_mut().enumerate() {
        match column % 3 {
            0 => *value += 1000 + rng.below(50),
            1 => *value = (*value + rng.below(9)).saturating_sub(4),
            _ => *value = column as u64,
        }
    }
    let _ = n;
    state.iter().map(|&value| Value(value)).collect()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seconds: u64 = std::env::args().nth(1).map_or(Ok(120), |text| text.parse())?;
    let scratch = tempfile::tempdir()?;
    let dir = std::env::args().nth(2).map_or_else(|| scratch.path().join("store"), PathBuf::from);
    let config = Config { flush_bytes: 256 << 20, head_limit_bytes: 4 << 30, ..Config::default() };
    let (store, _) = Store::open(Arc::new(OsDisk), &dir, config)?;
    let metrics = (0..METRICS).map(|n| Metric::gauge(&format!("metric.{n}"), "1", Role::Utilization));
    let schema = Schema::new(metrics.collect());
    let mut offsets = [0u64; PARTITIONS];
    let mut apply = |partition: Partition, record: &Record| {
        let offset = &mut offsets[partition.index()];
        *offset += 1;
        store.apply(Position { partition, offset: *offset - 1 }, record)
    };
    for partition in Partition::all() {
        apply(partition, &Record::Schema(Arc::clone(&schema)))?;
    }
    let ids: Vec<_> = (0..INSTANCES).map(|n| InstanceId::new(&format!("host-{n:04}/system.slice"))).collect();
    let mut rng = Rng::new(1);
    let mut states = vec![vec![1_000_000u64; METRICS]; INSTANCES];
    let (mut apply_s, mut flush_s, mut samples, mut hot_bytes) = (0.0, 0.0, 0u64, 0);
    for n in 0..seconds {
        let at = Timestamp(1_700_000_000 * SECOND_US + n as i64 * SECOND_US);
        let mut batches: Vec<Batch> = (0..PARTITIONS).map(|_| Batch::new(schema.id(), METRICS)).collect();
        for (id, state) in ids.iter().zip(&mut states) {
            let jitter = rng.below(2000) as i64;
            batches[id.partition().index()].push(id, at + jitter, &values(n, &mut rng, state))?;
        }
        let start = Instant::now();
        for (partition, batch) in Partition::all().zip(batches) {
            samples += batch.samples() as u64;
            apply(partition, &Record::Batch(batch))?;
        }
        apply_s += start.elapsed().as_secs_f64();
        let start = Instant::now();
        if let Some(flushed) = store.flush_due(at)? {
            hot_bytes += flushed.bytes;
            flush_s += start.elapsed().as_secs_f64();
        }
    }
    let end = Timestamp(1_700_000_000 * SECOND_US + seconds as i64 * SECOND_US);
    let start = Instant::now();
    hot_bytes += store.flush(end)?.bytes;
    flush_s += start.elapsed().as_secs_f64();
    let start = Instant::now();
    while store.maintain(end + 7200 * SECOND_US)?.again() {}
    let seal_s = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let window = store.read(&Query::new(ids[7].clone(), Timestamp(0), end))?.remove(0);
    let read_ms = start.elapsed().as_secs_f64() * 1e3;
    let millions = samples as f64 / 1e6;
    println!("{millions:.1} M samples of {INSTANCES} instances x {METRICS} metrics, one core:");
    println!(
        "apply {:.1} M/s, flush {:.1} M/s, both {:.1} M/s",
        millions / apply_s,
        millions / flush_s,
        millions / (apply_s + flush_s)
    );
    println!(
        "seal and downsample {:.1} M/s; read of {} frames {read_ms:.1} ms",
        millions / seal_s,
        window.len()
    );
    let stats = store.stats();
    println!(
        "hot {:.3} bytes per sample, sealed {:.3}, tiers {:.3}",
        hot_bytes as f64 / samples as f64,
        stats.bytes_per_sample,
        stats.tier_bytes as f64 / samples as f64
    );
    Ok(())
}
