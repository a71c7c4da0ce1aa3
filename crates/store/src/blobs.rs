//! Immutable named bytes, as an object store keeps them: created once, read whole, listed by prefix, deleted.
//!
//! These four operations, and the condition that a name must be new, are what every object store has, so that S3 or
//! GCS can stand where the local directory stands now. Nothing is ever overwritten or appended to: whoever wants to
//! change something creates the next number.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use foretwin_disk::{Disk, DiskFile};

use crate::Error;

/// Files that were not finished end so; they are nobody's blob.
const UNFINISHED: &str = ".unfinished";

/// Blobs in a directory. A name is `FOLDER/NAME`: a folder holds what is listed together.
pub struct Blobs {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    /// Tells apart the unfinished files of concurrent creators.
    next: AtomicU64,
}

impl Blobs {
    /// Blobs under a directory, which need not exist yet. One process at a time: whatever is found unfinished by
    /// [`Blobs::sweep`] is taken for the remains of an earlier one.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, root: &Path) -> Self {
        Self { disk, root: root.to_path_buf(), next: AtomicU64::new(0) }
    }

    /// Creates a blob, durably and as a whole: no reader ever sees a part of it. False if the name is taken; of any
    /// number of creators exactly one is told true.
    ///
    /// # Errors
    /// If the disk refuses. The blob is not there then, or (if the directory could not be synced and not be put back)
    /// may or may not be there after a crash.
    pub fn create(&self, name: &str, bytes: &[u8]) -> Result<bool, Error> {
        let path = self.root.join(name);
        let dir = path.parent().unwrap_or(&self.root);
        let failed = |source| Error::disk("create", &path, source);
        self.disk.create_dir(dir).map_err(failed)?;
        let (fresh, mut file) = self.unfinished(&path).map_err(failed)?;
        let linked = file.write(bytes).and_then(|()| file.sync()).map(|()| self.disk.link(&fresh, &path));
        // The unfinished name has done its part either way; what cannot be removed is swept at the next start.
        let _ = self.disk.remove(&fresh);
        match linked.map_err(failed)? {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(false),
            other => other.map_err(failed)?,
        }
        self.disk.sync_dir(dir).map_err(|error| {
            let _ = self.disk.remove(&path);
            failed(error)
        })?;
        Ok(true)
    }

    /// A file that nobody else writes, beside the blob that it will become.
    fn unfinished(&self, path: &Path) -> io::Result<(PathBuf, Box<dyn DiskFile>)> {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let fresh = path.with_file_name(format!("{number}{UNFINISHED}"));
            match self.disk.create(&fresh) {
                // Left by an earlier process and not swept.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                created => return Ok((fresh, created?)),
            }
        }
    }

    /// A blob's bytes, or none if it is not there.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let path = self.root.join(name);
        let read = self.disk.length(&path).and_then(|length| {
            let length = usize::try_from(length).map_err(|_| ErrorKind::FileTooLarge)?;
            self.disk.read(&path, 0, length)
        });
        match read {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::disk("read", &path, error)),
        }
    }

    /// Names of the blobs that begin with `prefix`, sorted. The prefix names a folder and may go on with the beginning
    /// of a name: `FOLDER/` or `FOLDER/BEGINNING`.
    ///
    /// # Errors
    /// If the disk refuses; a folder that is not there has no blobs.
    pub fn list(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let folder = prefix.rfind('/').map_or("", |end| &prefix[..=end]);
        let names = self.files(folder)?.into_iter().map(|name| format!("{folder}{name}"));
        Ok(names.filter(|name| name.starts_with(prefix) && !name.ends_with(UNFINISHED)).collect())
    }

    /// Deletes a blob; one that is not there is no error. Durable with the folder's next sync: what comes back after a
    /// crash is deleted again.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn delete(&self, name: &str) -> Result<(), Error> {
        let path = self.root.join(name);
        match self.disk.remove(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::disk("delete", &path, error)),
            _ => Ok(()),
        }
    }

    /// Removes what an earlier process left unfinished in a folder.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn sweep(&self, folder: &str) -> Result<(), Error> {
        let left = self.files(folder)?.into_iter().filter(|name| name.ends_with(UNFINISHED));
        left.into_iter().try_for_each(|name| self.delete(&format!("{folder}{name}")))
    }

    fn files(&self, folder: &str) -> Result<Vec<String>, Error> {
        let dir = self.root.join(folder);
        let paths = self.disk.list(&dir).map_err(|error| Error::disk("list", &dir, error))?;
        let name = |path: &PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned());
        Ok(paths.iter().filter_map(name).collect())
    }
}

#[cfg(test)]
mod tests {
    use foretwin_disk::{Fault, OsDisk, SimDisk};

    use super::*;

    fn blobs(disk: &SimDisk) -> Blobs {
        Blobs::new(Arc::new(disk.clone()), Path::new("/blobs"))
    }

    #[test]
    fn a_name_is_given_once_and_lists_know_their_prefix() {
        let home = tempfile::tempdir().unwrap();
        for disk in [Arc::new(OsDisk) as Arc<dyn Disk>, Arc::new(SimDisk::new(1))] {
            let blobs = Blobs::new(disk, &home.path().join("blobs"));
            assert!(blobs.list("p1/").unwrap().is_empty());
            assert!(blobs.create("p1/a.1", b"one").unwrap());
            assert!(!blobs.create("p1/a.1", b"two").unwrap());
            assert!(blobs.create("p1/b.1", b"three").unwrap() && blobs.create("p2/a.1", b"").unwrap());
            assert_eq!(blobs.read("p1/a.1").unwrap().unwrap(), b"one");
            assert_eq!(blobs.read("p1/c").unwrap(), None);
            assert_eq!(blobs.list("p1/").unwrap(), ["p1/a.1", "p1/b.1"]);
            assert_eq!(blobs.list("p1/b").unwrap(), ["p1/b.1"]);
            blobs.delete("p1/a.1").unwrap();
            blobs.delete("p1/a.1").unwrap();
            assert_eq!(blobs.list("p1/").unwrap(), ["p1/b.1"]);
        }
    }

    #[test]
    fn of_many_creators_one_succeeds() {
        let home = tempfile::tempdir().unwrap();
        let blobs = Blobs::new(Arc::new(OsDisk), home.path());
        for round in 0..20 {
            let name = format!("p/{round}");
            let won: usize = std::thread::scope(|scope| {
                let create = |n: u8| usize::from(blobs.create(&name, &[n; 4096]).unwrap());
                let threads: Vec<_> = (0..4).map(|n| scope.spawn(move || create(n))).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).sum()
            });
            assert_eq!(won, 1);
            let bytes = blobs.read(&name).unwrap().unwrap();
            assert!(bytes.len() == 4096 && bytes.iter().all(|&byte| byte == bytes[0]));
        }
        assert_eq!(blobs.list("p/").unwrap().len(), 20);
    }

    /// A creation stopped or failed at each of its sync points: afterwards the blob is there whole or not at all, whole
    /// if its creator was told so, and the name can still be had.
    #[test]
    fn a_creation_is_all_or_nothing_at_every_sync_point() {
        for fault in [Fault::CrashBefore, Fault::CrashAfter, Fault::SyncFails, Fault::Full] {
            for point in 1..=4 {
                for seed in 0..40 {
                    let disk = SimDisk::new(seed);
                    blobs(&disk).create("p/0", b"before").unwrap();
                    disk.fail_at(disk.sync_points() + point, fault);
                    let told = [1, 2].map(|n| blobs(&disk).create(&format!("p/{n}"), &[n; 3000]).is_ok());
                    let after = blobs(&disk.crash());
                    if seed % 2 == 0 {
                        after.sweep("p/").unwrap();
                    }
                    assert_eq!(after.read("p/0").unwrap().unwrap(), b"before");
                    for (n, told) in [1u8, 2].into_iter().zip(told) {
                        match after.read(&format!("p/{n}")).unwrap() {
                            Some(bytes) => assert_eq!(bytes, [n; 3000], "{fault:?} at {point}, seed {seed}"),
                            None => {
                                assert!(!told, "{fault:?} at {point}, seed {seed}: blob {n} is lost");
                                assert!(after.create(&format!("p/{n}"), b"again").unwrap());
                            }
                        }
                    }
                    after.sweep("p/").unwrap();
                    assert_eq!(after.files("p/").unwrap(), ["0", "1", "2"]);
                }
            }
        }
    }
}
