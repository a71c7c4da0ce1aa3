//! The disk: a small write and its sync, and the reclaim of a file's pages. On a thread of its own, because a sync may
//! take long, and the ticks must not wait for it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use foretwin_core::Rng;

use super::Shared;
use crate::board::Cost;
use crate::sys::{self, Map, PAGE};

/// Bytes of the file that is written in turn.
const FILE_BYTES: u64 = 1 << 20;
/// Most bytes written per second, whatever is ordered.
const MOST_BYTES_PER_S: f64 = 64.0 * 1024.0;
/// Pages of the file that is reclaimed.
const RECLAIMED: usize = 8;
/// Seconds between reclaims.
const RECLAIM_S: f64 = 1.0;

/// A file without a name: it is gone when the runner is, however it ends.
pub fn nameless(directory: &Path, purpose: &str) -> io::Result<File> {
    let path = directory.join(format!(".foretwin-{purpose}-{}", std::process::id()));
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

/// Probes until told to end.
pub fn run(shared: &Shared, directory: &Path, sync_hz: f64, seed: u64) {
    let Ok(file) = nameless(directory, "probe") else {
        eprintln!(
            "probes.directory: no file can be made in {}; name one that can be written",
            directory.display()
        );
        return;
    };
    let reclaim = Reclaim::new(directory).ok();
    let mut rng = Rng::new(seed ^ 0xd15c);
    let sync_hz = sync_hz.min(MOST_BYTES_PER_S / PAGE as f64);
    let page = [0x5a; PAGE];
    let now = sys::monotonic_ns();
    let (mut sync_due, mut reclaim_due, mut offset) = (now, now, 0);
    // The file exists as a whole before it is measured: overwriting changes no metadata.
    let prepared = (0..FILE_BYTES).step_by(PAGE).try_for_each(|at| file.write_all_at(&page, at));
    if prepared.and_then(|()| file.sync_all()).is_err() || (sync_hz <= 0.0 && reclaim.is_none()) {
        return;
    }
    loop {
        let due = if sync_hz > 0.0 { sync_due.min(reclaim_due) } else { reclaim_due };
        let pause = Duration::from_nanos(due.saturating_sub(sys::monotonic_ns()));
        if !shared.gate.wait(pause) || !shared.gate.pass() {
            return;
        }
        let now = sys::monotonic_ns();
        if sync_hz > 0.0 && now >= sync_due {
            write_and_sync(shared, &file, &page, offset);
            offset = (offset + PAGE as u64) % FILE_BYTES;
            sync_due = now + jittered(1.0 / sync_hz, &mut rng);
        }
        if now >= reclaim_due {
            if let Some(reclaim) = &reclaim {
                reclaim.probe(shared);
            }
            reclaim_due = now + jittered(RECLAIM_S, &mut rng);
        }
    }
}

fn jittered(seconds: f64, rng: &mut Rng) -> u64 {
    (seconds * 1e9 * (0.5 + rng.uniform())) as u64
}

fn write_and_sync(shared: &Shared, file: &File, page: &[u8], offset: u64) {
    let began = sys::monotonic_ns();
    let written = file.write_all_at(page, offset);
    let middle = sys::monotonic_ns();
    if written.is_err() || file.sync_data().is_err() {
        return;
    }
    shared.board.push_ns(Cost::Write, middle - began);
    shared.board.push_ns(Cost::Sync, sys::monotonic_ns() - middle);
}

/// Clean pages of a file, given up and fetched again.
struct Reclaim {
    map: Map,
    // The map's pages are the file's.
    _file: File,
}

impl Reclaim {
    fn new(directory: &Path) -> io::Result<Self> {
        let file = nameless(directory, "reclaim")?;
        file.write_all_at(&[1; PAGE * RECLAIMED], 0)?;
        // Dirty pages cannot be dropped.
        file.sync_all()?;
        let map = Map::file(&file, PAGE * RECLAIMED)?;
        Ok(Self { map, _file: file })
    }

    fn probe(&self, shared: &Shared) {
        let touch = |page: usize| self.map.load(page * PAGE);
        (0..RECLAIMED).for_each(|page| {
            touch(page);
        });
        let began = sys::monotonic_ns();
        let asked = self.map.page_out();
        let took = sys::monotonic_ns() - began;
        // In memory file systems, and before Linux 5.4, the pages stay where they are.
        if !asked || self.map.resident_pages() > RECLAIMED / 2 {
            return;
        }
        shared.board.push_ns(Cost::Reclaim, took / RECLAIMED as u64);
        let began = sys::monotonic_ns();
        touch(0);
        shared.board.push_ns(Cost::Refault, sys::monotonic_ns() - began);
    }
}
