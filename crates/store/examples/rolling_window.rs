//! What it takes to read a week of one instance for training: 97 stretches of 1,024 frames, or all of it.
//!
//! `cargo run --release -p foretwin-store --example rolling_window [DAYS]`

use std::sync::Arc;
use std::time::Instant;

use foretwin_core::{
    Batch, InstanceId, Metric, Position, Record, Rng, Role, SECOND_US, Schema, Timestamp, Value,
};
use foretwin_disk::OsDisk;
use foretwin_store::{Config, Query, Store};

const METRICS: usize = 38;
const STRETCH: i64 = 1024;
const STRETCHES: i64 = 97;
const BEGIN: Timestamp = Timestamp(1_700_000_000 * SECOND_US);

/// The most memory this process has ever held, in MB.
fn peak_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kb = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kb.unwrap_or(f64::NAN) / 1024.0
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let days: f64 = std::env::args().nth(1).map_or(Ok(7.0), |text| text.parse())?;
    let seconds = (days * 86_400.0) as i64;
    let dir = tempfile::tempdir()?;
    let (store, _) = Store::open(Arc::new(OsDisk), &dir.path().join("store"), Config::default())?;
    let id = InstanceId::new("host");
    let metric = |n| Metric::gauge(&format!("metric.{n}"), "1", Role::Utilization);
    let schema = Schema::new((0..METRICS).map(metric).collect());
    let position = |offset| Position { partition: id.partition(), offset };
    store.apply(position(0), &Record::Schema(schema.clone()))?;
    let (mut rng, mut state) = (Rng::new(1), [Value(1_000_000); METRICS]);
    for n in 0..seconds {
        for (column, value) in state.iter_mut().enumerate() {
            match column % 3 {
                0 => value.0 += 1000 + rng.below(50),
                1 => value.0 = (value.0 + rng.below(9)).saturating_sub(4),
                _ => {}
            }
        }
        let mut batch = Batch::new(schema.id(), METRICS);
        batch.push(&id, BEGIN + n * SECOND_US, &state)?;
        store.apply(position(n as u64 + 1), &Record::Batch(batch))?;
        if n % 60 == 0 {
            store.maintain(BEGIN + n * SECOND_US)?;
        }
    }
    let end = BEGIN + seconds * SECOND_US;
    let written = peak_mb();
    let spacing = (seconds - STRETCH) / (STRETCHES - 1);
    let (started, mut frames) = (Instant::now(), 0);
    for n in 0..STRETCHES {
        let from = BEGIN + n * spacing * SECOND_US;
        let windows = store.read(&Query::new(id.clone(), from, from + STRETCH * SECOND_US))?;
        frames += windows.iter().map(foretwin_core::Window::len).sum::<usize>();
    }
    let (thinned_s, thinned_mb) = (started.elapsed().as_secs_f64(), peak_mb());
    println!("{days} days of {METRICS} metrics: {frames} frames in {STRETCHES} stretches {thinned_s:.2} s");
    let started = Instant::now();
    let whole = store.read(&Query::new(id.clone(), BEGIN, end))?;
    let rows: usize = whole.iter().map(foretwin_core::Window::len).sum();
    println!("all {rows} frames {:.2} s", started.elapsed().as_secs_f64());
    println!("peak memory: writing {written:.0} MB, stretches {thinned_mb:.0} MB, all {:.0} MB", peak_mb());
    Ok(())
}
