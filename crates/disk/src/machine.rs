//! A simulated machine: its files, their names, what of both is durable, and what is to go wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use foretwin_core::Rng;

use crate::inode::Inode;
use crate::sim::Fault;

/// What [`Disk::sync_dir`] makes durable.
#[derive(Clone)]
pub(crate) enum Change {
    Link(PathBuf, usize),
    Rename(PathBuf, PathBuf, usize),
    Unlink(PathBuf),
}

#[derive(Clone)]
pub(crate) struct State {
    pub rng: Rng,
    pub inodes: Vec<Inode>,
    pub seen: BTreeMap<PathBuf, usize>,
    pub durable: BTreeMap<PathBuf, usize>,
    pub pending: Vec<Change>,
    pub dirs: BTreeSet<PathBuf>,
    pub faults: BTreeMap<u64, Fault>,
    pub calls: BTreeMap<u64, Arc<dyn Fn() + Send + Sync>>,
    pub sync_points: u64,
    pub capacity_bytes: u64,
    pub next_write_is_short: bool,
    pub off: bool,
}

impl State {
    /// An empty disk of 1 TiB.
    pub fn new(rng: Rng) -> Self {
        Self {
            rng,
            inodes: Vec::new(),
            seen: BTreeMap::new(),
            durable: BTreeMap::new(),
            pending: Vec::new(),
            dirs: BTreeSet::new(),
            faults: BTreeMap::new(),
            calls: BTreeMap::new(),
            sync_points: 0,
            capacity_bytes: 1 << 40,
            next_write_is_short: false,
            off: false,
        }
    }

    /// What is found after the machine stopped, without faults.
    pub fn after_crash(&mut self) -> Self {
        let mut rng = Rng::new(self.rng.next_u64());
        let mut entries = self.durable.clone();
        for change in &self.pending {
            if rng.below(2) == 0 {
                change.apply(&mut entries);
            }
        }
        let inodes = self.inodes.iter().map(|inode| inode.after_crash(&mut rng)).collect();
        Self {
            inodes,
            seen: entries.clone(),
            durable: entries,
            dirs: self.dirs.clone(),
            capacity_bytes: self.capacity_bytes,
            ..Self::new(rng)
        }
    }

    pub fn inode(&self, path: &Path) -> io::Result<usize> {
        self.seen.get(path).copied().ok_or_else(|| ErrorKind::NotFound.into())
    }

    pub fn free_bytes(&self) -> u64 {
        let used: u64 = self.seen.values().map(|&inode| self.inodes[inode].length()).sum();
        self.capacity_bytes.saturating_sub(used)
    }

    pub fn change(&mut self, change: Change) {
        change.apply(&mut self.seen);
        self.pending.push(change);
    }

    pub fn check_dir_of(&self, path: &Path) -> io::Result<()> {
        let dir = path.parent().unwrap_or_else(|| Path::new(""));
        let there = dir.parent().is_none() || self.dirs.contains(dir);
        if there { Ok(()) } else { Err(ErrorKind::NotFound.into()) }
    }

    pub fn sync_dir(&mut self, dir: &Path) {
        let pending = std::mem::take(&mut self.pending);
        let (now, later): (Vec<_>, _) = pending.into_iter().partition(|change| change.is_in(dir));
        now.iter().for_each(|change| change.apply(&mut self.durable));
        self.pending = later;
    }

    /// Passes a sync point: what `sync` does happens unless a fault prevents it.
    pub fn sync_point(
        &mut self,
        sync: impl FnOnce(&mut Self),
        fail: impl FnOnce(&mut Self),
    ) -> io::Result<()> {
        self.sync_points += 1;
        if let Some(call) = self.calls.get(&self.sync_points) {
            call();
        }
        let fault = self.faults.get(&self.sync_points).copied();
        match fault {
            None => sync(self),
            Some(Fault::Full) => {
                sync(self);
                self.next_write_is_short = true;
            }
            Some(Fault::SyncFails) => {
                fail(self);
                return Err(io::Error::from_raw_os_error(libc::EIO));
            }
            Some(Fault::CrashBefore) => self.off = true,
            Some(Fault::CrashAfter) => {
                sync(self);
                self.off = true;
            }
        }
        if self.off { Err(io::Error::other("the machine stopped")) } else { Ok(()) }
    }
}

impl Change {
    pub fn apply(&self, entries: &mut BTreeMap<PathBuf, usize>) {
        match self {
            Self::Link(path, inode) => {
                entries.insert(path.clone(), *inode);
            }
            Self::Rename(from, to, inode) => {
                entries.remove(from);
                entries.insert(to.clone(), *inode);
            }
            Self::Unlink(path) => {
                entries.remove(path);
            }
        }
    }

    pub fn is_in(&self, dir: &Path) -> bool {
        match self {
            Self::Link(path, _) | Self::Unlink(path) => path.parent() == Some(dir),
            Self::Rename(from, to, _) => from.parent() == Some(dir) || to.parent() == Some(dir),
        }
    }
}
