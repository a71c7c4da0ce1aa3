//! What opening the log found, for the operator and for whoever replays.

use std::path::PathBuf;

use foretwin_core::Partition;

use crate::segment::Offsets;

/// Bytes that were not what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// In which segment file.
    pub path: PathBuf,
    /// From where.
    pub at: u64,
    /// How many.
    pub bytes: u64,
    /// How it shows.
    pub reason: &'static str,
}

/// Offsets `from..to` of a partition that the log does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing {
    /// Which partition.
    pub partition: Partition,
    /// The first one missing.
    pub from: u64,
    /// The first one there again, or the next to be given out.
    pub to: u64,
}

/// What opening the log found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// Segment files read.
    pub segments: u64,
    /// Records that can be read.
    pub entries: u64,
    /// Size of the segment files.
    pub bytes: u64,
    /// Bytes at the end of the last segment that a crash left half written. No record in them was acknowledged, and
    /// none is read.
    pub torn_tail_bytes: u64,
    /// Acknowledged bytes that cannot be read any more. Reading goes on behind them.
    pub damaged: Vec<Damage>,
    /// Acknowledged records that are gone with them.
    pub lost: Vec<Missing>,
    /// Offsets that the caller knows as applied and the log does not have. They are not given out again.
    pub behind: Vec<Missing>,
    /// The first offset of each partition that can be read.
    pub first_offset: Offsets,
    /// The offset that the next record of each partition gets.
    pub next_offset: Offsets,
}

impl Recovery {
    /// Whether everything acknowledged is there.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.damaged.is_empty() && self.lost.is_empty() && self.behind.is_empty()
    }
}

/// What offsets are missing between two ends.
pub(crate) fn missing<'a>(from: &'a Offsets, to: &'a Offsets) -> impl Iterator<Item = Missing> + 'a {
    Partition::all().filter_map(|partition| {
        let (from, to) = (from[partition.index()], to[partition.index()]);
        (from < to).then_some(Missing { partition, from, to })
    })
}
