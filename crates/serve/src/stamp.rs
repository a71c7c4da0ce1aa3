//! Whether a file is another than the one that was read.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// How often files are looked at, at most.
const LOOK: Duration = Duration::from_secs(1);

/// Inode, length and time of the last change; none while there is no file.
type Stamp = Option<(u64, u64, i64, i64)>;

/// Files that are read again when they change.
pub(crate) struct Watch {
    stamps: Vec<Stamp>,
    looked: Instant,
}

impl Watch {
    /// Takes note of files, before they are read.
    pub(crate) fn of(paths: &[&Path]) -> Self {
        Self { stamps: stamps(paths), looked: Instant::now() }
    }

    /// Whether they changed since they were last asked about; looks at most once a second.
    pub(crate) fn changed(&mut self, paths: &[&Path]) -> bool {
        if self.looked.elapsed() < LOOK {
            return false;
        }
        let fresh = Self::of(paths);
        let changed = fresh.stamps != self.stamps;
        *self = fresh;
        changed
    }
}

fn stamps(paths: &[&Path]) -> Vec<Stamp> {
    let stamp = |path: &&Path| {
        fs::metadata(path).ok().map(|meta| (meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec()))
    };
    paths.iter().map(stamp).collect()
}
