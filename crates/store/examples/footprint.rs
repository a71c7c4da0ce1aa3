//! Bytes per sample once everything is sealed, over all columns and over those that change.
//!
//! `cargo run --release -p foretwin-store --example footprint -- COPY_OF_A_STORE [PREFIX_LEFT_OUT]`
//!
//! Seals the store in that directory, so give it a copy, and measures it as it lies there. Then fills fresh stores
//! with the same frames, telemetry alone and with Foretwin's own outputs, without instances that are to be left out.
//! Counts whole files. After each sealing everything is read back and compared.

use std::collections::HashMap;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use foretwin_core::{Batch, HOUR_US, Partition, Position, Record, Role, Timestamp, Window};
use foretwin_disk::OsDisk;
use foretwin_store::{Config, Query, Store};

type Outcome<T> = Result<T, Box<dyn Error>>;

fn open(dir: &Path) -> Outcome<Store> {
    let (store, recovery) = Store::open(Arc::new(OsDisk), dir, Config::default())?;
    recovery.damages.iter().for_each(|damage| println!("damaged: {damage}"));
    Ok(store)
}

/// Every frame of every instance.
fn read(store: &Store) -> Outcome<Vec<Window>> {
    let mut windows = Vec::new();
    for instance in store.instances().into_keys() {
        windows.extend(store.read(&Query::new(instance, Timestamp(i64::MIN), Timestamp(i64::MAX)))?);
    }
    Ok(windows)
}

fn last(windows: &[Window]) -> Timestamp {
    windows.iter().filter_map(|window| window.times.last()).max().copied().unwrap_or_default()
}

/// Whether a window holds what Foretwin itself says.
fn is_output(window: &Window) -> bool {
    window.schema.metrics().iter().all(|metric| metric.role == Role::Command)
}

/// A fresh store with these frames.
fn fill(dir: &Path, windows: &[Window]) -> Outcome<Store> {
    let store = open(dir)?;
    let mut offsets: HashMap<Partition, u64> = HashMap::new();
    for window in windows {
        let (partition, mut frame) = (window.instance.partition(), Vec::new());
        let mut batch = Batch::new(window.schema.id(), window.schema.width());
        for (row, at) in window.times.iter().enumerate() {
            window.frame(row, &mut frame);
            batch.push(&window.instance, *at, &frame)?;
        }
        for record in [Record::Schema(window.schema.clone()), Record::Batch(batch)] {
            let offset = offsets.entry(partition).or_default();
            store.apply(Position { partition, offset: *offset }, &record)?;
            *offset += 1;
        }
    }
    store.flush(last(windows))?;
    Ok(store)
}

/// Seals all of a store that holds these frames, and says what that takes.
fn measure(what: &str, store: &Store, windows: &[Window]) -> Outcome<()> {
    let later = last(windows) + 6 * HOUR_US;
    while store.maintain(later)?.again() {}
    if read(store)? != windows {
        return Err(format!("{what}: what comes back is not what was stored").into());
    }
    let (mut frames, mut all, mut missing, mut changing) = (0, 0, 0, 0);
    for window in windows {
        frames += window.len();
        for column in &window.columns {
            let changes = column.windows(2).any(|pair| pair[0] != pair[1]);
            all += column.len();
            missing += column.iter().filter(|value| value.is_missing()).count();
            changing += if changes { column.len() } else { 0 };
        }
    }
    let stats = store.stats();
    if stats.raw_samples != all as u64 {
        return Err(format!("{what}: {} of {all} samples are sealed", stats.raw_samples).into());
    }
    let (bytes, files) = (stats.raw_bytes as f64, stats.sealed_files);
    println!(
        "{what}: {all} samples in {frames} frames, {missing} missing, {changing} in columns that change"
    );
    println!("  {bytes} bytes raw, {} bytes of tiers, {files} files", stats.tier_bytes);
    println!(
        "  bytes per sample: all {:.3}, changing {:.3}",
        bytes / all as f64,
        bytes / changing.max(1) as f64
    );
    Ok(())
}

fn main() -> Outcome<()> {
    let mut args = std::env::args().skip(1);
    let dir = args.next().ok_or("usage: footprint COPY_OF_A_STORE [PREFIX_LEFT_OUT]")?;
    let left_out = args.next();
    let store = open(Path::new(&dir))?;
    let windows = read(&store)?;
    measure("as it lies there", &store, &windows)?;
    let counts = |window: &Window| {
        left_out.as_ref().is_none_or(|prefix| !window.instance.as_str().starts_with(prefix.as_str()))
    };
    let mut windows: Vec<Window> = windows.into_iter().filter(counts).collect();
    let scratch = tempfile::tempdir()?;
    let both = fill(&scratch.path().join("both"), &windows)?;
    // Windows come back in the order of instances, and of their first frames.
    measure("telemetry and own outputs", &both, &windows)?;
    windows.retain(|window| !is_output(window));
    let telemetry = fill(&scratch.path().join("telemetry"), &windows)?;
    measure("telemetry alone", &telemetry, &windows)
}
