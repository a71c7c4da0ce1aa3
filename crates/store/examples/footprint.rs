//! Bytes per sample of a store's raw sealed files, over all columns and over those that change.
//!
//! `cargo run --release --example footprint -- DIR`: flushes and seals nothing, only reads what is there.

use std::path::Path;
use std::sync::Arc;

use foretwin_core::Timestamp;
use foretwin_disk::OsDisk;
use foretwin_store::{Config, Query, Store};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args().nth(1).ok_or("usage: footprint STORE_DIRECTORY")?;
    let (store, recovery) = Store::open(Arc::new(OsDisk), Path::new(&dir), Config::default())?;
    recovery.damages.iter().for_each(|damage| println!("damaged: {damage}"));
    let (mut all, mut changing) = (0u64, 0u64);
    for instance in store.instances().into_keys() {
        for window in store.read(&Query::new(instance, Timestamp(i64::MIN), Timestamp(i64::MAX)))? {
            for column in &window.columns {
                all += column.len() as u64;
                if column.windows(2).any(|pair| pair[0] != pair[1]) {
                    changing += column.len() as u64;
                }
            }
        }
    }
    let stats = store.stats();
    println!("{stats:#?}");
    println!("samples readable: {all}, in columns that change: {changing}");
    if stats.raw_samples > 0 {
        // Hot files still hold part of what is readable: take the share of changing columns for all of it.
        let share = changing as f64 / all as f64;
        println!("bytes per sample, sealed, all columns: {:.3}", stats.bytes_per_sample);
        println!("bytes per sample, sealed, changing columns: {:.3}", stats.bytes_per_sample / share);
    }
    Ok(())
}
