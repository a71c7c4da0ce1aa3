//! Counters for the operator.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What the log has done since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Records accepted.
    pub appended: u64,
    /// Records acknowledged.
    pub committed: u64,
    /// Records whose commit failed.
    pub failed: u64,
    /// Appends refused because too much was pending.
    pub refused: u64,
    /// Commits, each of one write and one sync.
    pub commits: u64,
    /// Bytes acknowledged, with their frames.
    pub bytes: u64,
    /// How long the last write and sync took, in microseconds.
    pub last_commit_us: u64,
    /// Bytes accepted and not yet committed.
    pub pending_bytes: u64,
    /// Segment files.
    pub segments: u64,
    /// Bytes in them.
    pub segment_bytes: u64,
    /// Times the subscriber panicked; what it was given then is not given again.
    pub subscriber_panics: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub appended: AtomicU64,
    pub committed: AtomicU64,
    pub failed: AtomicU64,
    pub refused: AtomicU64,
    pub commits: AtomicU64,
    pub bytes: AtomicU64,
    pub last_commit_us: AtomicU64,
    pub subscriber_panics: AtomicU64,
}

impl Counters {
    pub fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }

    pub fn commit(&self, entries: u64, bytes: u64, took: Duration) {
        Self::add(&self.commits, 1);
        Self::add(&self.committed, entries);
        Self::add(&self.bytes, bytes);
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.last_commit_us.store(took_us, Ordering::Relaxed);
    }

    /// Without what the log itself knows.
    pub fn read(&self) -> Stats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            appended: get(&self.appended),
            committed: get(&self.committed),
            failed: get(&self.failed),
            refused: get(&self.refused),
            commits: get(&self.commits),
            bytes: get(&self.bytes),
            last_commit_us: get(&self.last_commit_us),
            subscriber_panics: get(&self.subscriber_panics),
            ..Stats::default()
        }
    }
}
