//! A disk in memory that crashes, tears, fills up and fails on demand, the same way for the same seed.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foretwin_core::Rng;

use crate::inode::Inode;
use crate::machine::{Change, State};
use crate::{Disk, DiskFile};

/// What goes wrong at a sync point. Sync points are [`DiskFile::sync`], [`Disk::sync_dir`] and [`Disk::truncate`],
/// counted from 1 over the whole disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The sync fails with an I/O error, and what it should have written is dropped from memory as Linux does: some
    /// of it may be durable, the next sync succeeds and proves nothing.
    SyncFails,
    /// The first write after the sync point is cut short with `StorageFull`.
    Full,
    /// The machine stops before the sync takes effect.
    CrashBefore,
    /// The machine stops when the sync has taken effect and nobody has been told.
    CrashAfter,
}

/// A simulated disk. Clones are handles to the same one.
///
/// Written bytes are durable only after their file's sync, and directory entries only after their directory's:
/// [`SimDisk::crash`] says what is left when the machine stops now.
#[derive(Clone)]
pub struct SimDisk(Arc<Mutex<State>>);

struct SimFile {
    disk: SimDisk,
    inode: usize,
}

impl SimDisk {
    /// An empty disk of 1 TiB. The seed decides what crashes and failed syncs leave.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::of(State::new(Rng::new(seed)))
    }

    fn of(state: State) -> Self {
        Self(Arc::new(Mutex::new(state)))
    }

    /// The disk as it is found after the machine stopped (now, or when a crash fault struck): unsynced bytes are
    /// there wholly, partly, as zeroes or garbage by the sector, or not at all, unsynced directory entries likewise.
    /// The old handle stays as it was and the new one has no faults.
    #[must_use]
    pub fn crash(&self) -> Self {
        Self::of(self.state().after_crash())
    }

    /// The disk as the next process finds it when this one is killed: nothing written is lost, whether synced or not.
    /// Operations of the old handle fail from now on.
    #[must_use]
    pub fn kill(&self) -> Self {
        let mut state = self.state();
        let next = state.clone();
        state.off = true;
        Self::of(next)
    }

    /// Sync points passed so far.
    #[must_use]
    pub fn sync_points(&self) -> u64 {
        self.state().sync_points
    }

    /// Lets `fault` happen at the sync point with this number.
    pub fn fail_at(&self, sync_point: u64, fault: Fault) {
        self.state().faults.insert(sync_point, fault);
    }

    /// Calls back when the sync point with this number is reached, before it takes effect or fails: what happens
    /// elsewhere just then. The callback must not use the disk.
    pub fn call_at(&self, sync_point: u64, call: impl Fn() + Send + Sync + 'static) {
        self.state().calls.insert(sync_point, Arc::new(call));
    }

    /// Stops the machine at the sync point with this number, before it takes effect. From then on every operation
    /// fails; go on with [`SimDisk::crash`].
    pub fn crash_at(&self, sync_point: u64) {
        self.fail_at(sync_point, Fault::CrashBefore);
    }

    /// Lets the disk hold this many bytes; what is already there stays.
    pub fn set_capacity_bytes(&self, bytes: u64) {
        self.state().capacity_bytes = bytes;
    }

    /// Flips one bit of a file, in memory and on the medium.
    ///
    /// # Errors
    /// `NotFound` without the file, `InvalidInput` beyond its end.
    pub fn flip_bit(&self, path: &Path, bit: u64) -> io::Result<()> {
        let mut state = self.state();
        let inode = state.inode(path)?;
        if state.inodes[inode].flip(bit) { Ok(()) } else { Err(ErrorKind::InvalidInput.into()) }
    }

    /// Cuts a file, in memory and on the medium, without a sync point: what a broken file system check leaves.
    ///
    /// # Errors
    /// `NotFound` without the file.
    pub fn cut(&self, path: &Path, length: u64) -> io::Result<()> {
        let mut state = self.state();
        let inode = state.inode(path)?;
        state.inodes[inode].cut(length);
        Ok(())
    }

    /// Lets reads that touch this byte of a file fail, as a bad sector does.
    ///
    /// # Errors
    /// `NotFound` without the file.
    pub fn spoil(&self, path: &Path, at: u64) -> io::Result<()> {
        let mut state = self.state();
        let inode = state.inode(path)?;
        state.inodes[inode].spoil(at);
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state of a running machine.
    fn running(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.state();
        if state.off { Err(io::Error::other("the machine is off")) } else { Ok(state) }
    }

    fn open(&self, inode: usize) -> Box<dyn DiskFile> {
        Box::new(SimFile { disk: self.clone(), inode })
    }
}

impl Disk for SimDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.running()?;
        state.check_dir_of(path)?;
        if state.seen.contains_key(path) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let inode = state.inodes.len();
        state.inodes.push(Inode::default());
        state.change(Change::Link(path.to_owned(), inode));
        Ok(self.open(inode))
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let inode = self.running()?.inode(path)?;
        Ok(self.open(inode))
    }

    fn read(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let state = self.running()?;
        state.inodes[state.inode(path)?].read(offset, length)
    }

    fn length(&self, path: &Path) -> io::Result<u64> {
        let state = self.running()?;
        Ok(state.inodes[state.inode(path)?].length())
    }

    fn truncate(&self, path: &Path, length: u64) -> io::Result<()> {
        let mut state = self.running()?;
        let inode = state.inode(path)?;
        state.sync_point(
            |state| {
                state.inodes[inode].sync();
                state.inodes[inode].cut(length);
            },
            |_| {},
        )
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.running()?;
        let inode = state.inode(from)?;
        state.check_dir_of(to)?;
        state.change(Change::Rename(from.to_owned(), to.to_owned(), inode));
        Ok(())
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.running()?;
        let inode = state.inode(from)?;
        state.check_dir_of(to)?;
        if state.seen.contains_key(to) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        state.change(Change::Link(to.to_owned(), inode));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.running()?;
        state.inode(path)?;
        state.change(Change::Unlink(path.to_owned()));
        Ok(())
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.running()?;
        state.dirs.extend(path.ancestors().map(Path::to_owned));
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let state = self.running()?;
        Ok(state.seen.keys().filter(|path| path.parent() == Some(dir)).cloned().collect())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.running()?;
        state.sync_point(|state| state.sync_dir(dir), |_| {})
    }

    fn free_bytes(&self, _path: &Path) -> io::Result<u64> {
        Ok(self.running()?.free_bytes())
    }
}

impl DiskFile for SimFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.running()?;
        let mut room = usize::try_from(state.free_bytes()).unwrap_or(usize::MAX);
        if std::mem::take(&mut state.next_write_is_short) {
            room = room.min(state.rng.below(bytes.len() as u64) as usize);
        }
        let fits = bytes.len().min(room);
        state.inodes[self.inode].write(&bytes[..fits]);
        if fits < bytes.len() { Err(ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.disk.running()?;
        let inode = self.inode;
        state.sync_point(
            |state| state.inodes[inode].sync(),
            |state| {
                let mut rng = Rng::new(state.rng.next_u64());
                state.inodes[inode].fail_sync(&mut rng);
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(disk: &SimDisk, name: &str, bytes: &[u8]) -> Box<dyn DiskFile> {
        disk.create_dir(Path::new("/d")).unwrap();
        let mut file = disk.create(Path::new(name)).unwrap();
        file.write(bytes).unwrap();
        file
    }

    #[test]
    fn only_what_was_synced_is_sure_to_survive() {
        let (mut lost, mut whole, mut torn) = (0, 0, 0);
        for seed in 0..200 {
            let disk = SimDisk::new(seed);
            let mut file = written(&disk, "/d/a", &[1; 2000]);
            file.sync().unwrap();
            disk.sync_dir(Path::new("/d")).unwrap();
            file.write(&[2; 2000]).unwrap();
            let after = disk.crash().read(Path::new("/d/a"), 0, 9999).unwrap();
            assert_eq!(after[..2000], [1; 2000], "synced bytes stay");
            match &after[2000..] {
                [] => lost += 1,
                rest if rest == [2; 2000] => whole += 1,
                _ => torn += 1,
            }
        }
        assert!(lost > 10 && whole > 10 && torn > 50, "{lost} {whole} {torn}");
    }

    #[test]
    fn entries_survive_by_chance_until_their_directory_is_synced() {
        let survivors = |sync: bool| {
            (0..100u64)
                .filter(|&seed| {
                    let disk = SimDisk::new(seed);
                    written(&disk, "/d/a", b"x").sync().unwrap();
                    if sync {
                        disk.sync_dir(Path::new("/d")).unwrap();
                    }
                    disk.crash().length(Path::new("/d/a")).is_ok()
                })
                .count()
        };
        assert_eq!(survivors(true), 100);
        assert!((20..80).contains(&survivors(false)));
    }

    #[test]
    fn a_failed_sync_drops_and_the_next_one_proves_nothing() {
        let mut dropped = 0;
        for seed in 0..50 {
            let disk = SimDisk::new(seed);
            disk.fail_at(1, Fault::SyncFails);
            let mut file = written(&disk, "/d/a", &[7; 4000]);
            assert!(file.sync().is_err());
            file.sync().unwrap();
            disk.sync_dir(Path::new("/d")).unwrap();
            dropped += usize::from(disk.crash().read(Path::new("/d/a"), 0, 4000).unwrap() != [7; 4000]);
        }
        assert!(dropped > 20, "{dropped}");
    }

    #[test]
    fn a_crash_fault_stops_the_machine() {
        for (fault, expected) in [(Fault::CrashBefore, false), (Fault::CrashAfter, true)] {
            let disk = SimDisk::new(5);
            let mut file = written(&disk, "/d/a", b"");
            disk.sync_dir(Path::new("/d")).unwrap();
            disk.fail_at(2, fault);
            file.write(&[3; 600]).unwrap();
            assert!(file.sync().is_err() && file.write(b"x").is_err() && disk.list(Path::new("/d")).is_err());
            let all = (0..40).all(|_| disk.crash().length(Path::new("/d/a")).unwrap() == 600);
            assert_eq!(all, expected);
            assert_eq!(disk.sync_points(), 2);
        }
    }

    #[test]
    fn a_killed_process_loses_only_its_handle() {
        let disk = SimDisk::new(5);
        let mut file = written(&disk, "/d/a", b"unsynced");
        let next = disk.kill();
        assert!(file.write(b"late").is_err() && file.sync().is_err());
        assert_eq!(next.read(Path::new("/d/a"), 0, 99).unwrap(), b"unsynced");
    }

    #[test]
    fn a_full_disk_says_so_and_recovers() {
        let disk = SimDisk::new(1);
        disk.set_capacity_bytes(100);
        let mut file = written(&disk, "/d/a", &[1; 60]);
        assert_eq!(disk.free_bytes(Path::new("/d")).unwrap(), 40);
        assert_eq!(file.write(&[2; 60]).unwrap_err().kind(), ErrorKind::StorageFull);
        assert_eq!(disk.length(Path::new("/d/a")).unwrap(), 100);
        disk.truncate(Path::new("/d/a"), 10).unwrap();
        file.write(&[2; 60]).unwrap();
        disk.fail_at(2, Fault::Full);
        file.sync().unwrap();
        assert_eq!(file.write(&[3; 10]).unwrap_err().kind(), ErrorKind::StorageFull);
        file.write(&[3; 10]).unwrap();
    }

    #[test]
    fn damage_is_done_where_asked() {
        let disk = SimDisk::new(1);
        written(&disk, "/d/a", &[0; 4]).sync().unwrap();
        let path = Path::new("/d/a");
        disk.flip_bit(path, 10).unwrap();
        assert!(disk.flip_bit(path, 32).is_err());
        assert_eq!(disk.read(path, 0, 9).unwrap(), [0, 4, 0, 0]);
        disk.spoil(path, 3).unwrap();
        assert!(disk.read(path, 0, 4).is_err());
        assert_eq!(disk.read(path, 0, 3).unwrap(), [0, 4, 0]);
        disk.cut(path, 1).unwrap();
        assert_eq!(disk.length(path).unwrap(), 1);
    }

    #[test]
    fn a_link_is_a_second_name_and_never_replaces() {
        let disk = SimDisk::new(1);
        for name in ["/d/a", "/d/taken"] {
            written(&disk, name, name.as_bytes()).sync().unwrap();
        }
        let [a, b] = [Path::new("/d/a"), Path::new("/d/b")];
        let refused = disk.link(a, Path::new("/d/taken")).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::AlreadyExists);
        disk.link(a, b).unwrap();
        disk.remove(a).unwrap();
        disk.sync_dir(Path::new("/d")).unwrap();
        assert_eq!(disk.crash().read(b, 0, 9).unwrap(), b"/d/a");
    }

    #[test]
    fn a_rename_is_all_or_nothing() {
        for seed in 0..50 {
            let disk = SimDisk::new(seed);
            for name in ["/d/old", "/d/new"] {
                written(&disk, name, name.as_bytes()).sync().unwrap();
            }
            disk.sync_dir(Path::new("/d")).unwrap();
            disk.rename(Path::new("/d/new"), Path::new("/d/old")).unwrap();
            let after = disk.crash();
            let old = after.read(Path::new("/d/old"), 0, 99).unwrap();
            let moved = after.length(Path::new("/d/new")).is_err();
            assert_eq!(old, if moved { b"/d/new" } else { b"/d/old" });
        }
    }
}
