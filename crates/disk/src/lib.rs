//! Files that sync: what the log and the store stand on.
//!
//! [`Disk`] is the narrow face of a file system that durability needs. [`OsDisk`] is the real one; [`SimDisk`] lives
//! in memory, loses what was not synced, tears tails and fails on demand, so that recovery is tested at every sync
//! point rather than hoped for.

mod inode;
mod machine;
mod os;
mod sim;

use std::io;
use std::path::{Path, PathBuf};

pub use os::OsDisk;
pub use sim::{Fault, SimDisk};

/// A file system. Paths are taken as given; every error is the operation's own `io::Error`.
pub trait Disk: Send + Sync {
    /// Creates a file that must not exist yet, for appending.
    ///
    /// # Errors
    /// `AlreadyExists` if it does; otherwise what the system says.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Opens an existing file for appending at its end.
    ///
    /// # Errors
    /// `NotFound` if it is not there; otherwise what the system says.
    fn append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Reads up to `length` bytes from `offset`; fewer at the end of the file.
    ///
    /// # Errors
    /// What the system says.
    fn read(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>>;

    /// The length of a file in bytes.
    ///
    /// # Errors
    /// What the system says.
    fn length(&self, path: &Path) -> io::Result<u64>;

    /// Cuts a file to `length` bytes and syncs it.
    ///
    /// # Errors
    /// What the system says.
    fn truncate(&self, path: &Path, length: u64) -> io::Result<()>;

    /// Moves a file over another, atomically; durable after [`Disk::sync_dir`].
    ///
    /// # Errors
    /// What the system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives a file a second name, which must not exist yet: the one step that makes something visible whole or not at
    /// all, and only once. Durable after [`Disk::sync_dir`].
    ///
    /// # Errors
    /// `AlreadyExists` if the new name is taken; otherwise what the system says.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file; durable after [`Disk::sync_dir`].
    ///
    /// # Errors
    /// What the system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes a directory and its parents, and syncs the parents.
    ///
    /// # Errors
    /// What the system says.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// The files directly in a directory, sorted; empty if it does not exist.
    ///
    /// # Errors
    /// What the system says.
    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>>;

    /// Makes creations, renames and removals in a directory durable.
    ///
    /// # Errors
    /// What the system says.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Bytes that an ordinary process may still write to the file system of `path`.
    ///
    /// # Errors
    /// What the system says.
    fn free_bytes(&self, path: &Path) -> io::Result<u64>;
}

/// A file open for appending.
pub trait DiskFile: Send {
    /// Appends all bytes. After an error the end of the file is unknown.
    ///
    /// # Errors
    /// What the system says, `StorageFull` among others.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes the file's bytes durable (`fdatasync`). After an error nothing is known of what was written since the
    /// last success, and retrying proves nothing (Rebello et al., "Can Applications Recover from fsync Failures?",
    /// 2020): give the file up.
    ///
    /// # Errors
    /// What the system says.
    fn sync(&mut self) -> io::Result<()>;
}
