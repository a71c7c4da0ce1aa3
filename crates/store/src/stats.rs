//! Numbers for `/metrics`.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use crate::Store;
use crate::sealed::Level;

/// Counted since the start.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) samples: AtomicU64,
    pub(crate) held_bytes: AtomicU64,
    pub(crate) thinned_frames: AtomicU64,
    pub(crate) refused_batches: AtomicU64,
    pub(crate) flushes: AtomicU64,
    pub(crate) failed_flushes: AtomicU64,
    /// Rounds of maintenance in a row that could not read what they were to rewrite.
    pub(crate) unreadable: AtomicU64,
}

/// How much the store holds and did.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Stats {
    /// Samples applied since the start.
    pub applied_samples: u64,
    /// Bytes of frames in memory that are not flushed yet.
    pub head_bytes: u64,
    /// Frames left out since the start because their instance was beyond its quota.
    pub thinned_frames: u64,
    /// Batches refused since the start because they could not be read back.
    pub refused_batches: u64,
    /// Flushes since the start.
    pub flushes: u64,
    /// Flushes that failed since the start.
    pub failed_flushes: u64,
    /// Hot files.
    pub hot_files: u64,
    /// Bytes of them.
    pub hot_bytes: u64,
    /// Sealed files, tiers included.
    pub sealed_files: u64,
    /// Bytes of raw sealed files.
    pub raw_bytes: u64,
    /// Samples in raw sealed files.
    pub raw_samples: u64,
    /// Bytes of the downsampled tiers.
    pub tier_bytes: u64,
    /// Bytes of raw sealed files for each sample in them; 0 where there is none.
    pub bytes_per_sample: f64,
    /// Instances known.
    pub instances: u64,
    /// Damaged parts found since the start.
    pub damages: u64,
}

impl Store {
    /// How much there is.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let files = self.files();
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut stats = Stats {
            applied_samples: get(&self.counters.samples),
            head_bytes: get(&self.counters.held_bytes),
            thinned_frames: get(&self.counters.thinned_frames),
            refused_batches: get(&self.counters.refused_batches),
            flushes: get(&self.counters.flushes),
            failed_flushes: get(&self.counters.failed_flushes),
            hot_files: files.hot().len() as u64,
            hot_bytes: files.bytes().0,
            sealed_files: files.sealed().len() as u64,
            instances: self.catalog_read().instances().len() as u64,
            damages: self.damages.list().len() as u64,
            ..Stats::default()
        };
        for one in files.sealed() {
            if one.file.coverage.level == Level::Raw {
                stats.raw_bytes += one.file.bytes;
                stats.raw_samples += one.file.samples;
            } else {
                stats.tier_bytes += one.file.bytes;
            }
        }
        if stats.raw_samples > 0 {
            stats.bytes_per_sample = stats.raw_bytes as f64 / stats.raw_samples as f64;
        }
        stats
    }
}
