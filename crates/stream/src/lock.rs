//! One process for each data directory.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::Error;

/// A claim on a directory that ends with the process, however it ends.
#[derive(Debug)]
pub struct DirectoryLock {
    _file: File,
    path: PathBuf,
}

impl DirectoryLock {
    /// Claims a directory, which is made if it does not exist.
    ///
    /// # Errors
    /// [`Error::Locked`] naming the process that has it; [`Error::Io`].
    pub fn acquire(dir: &Path) -> Result<Self, Error> {
        fs::create_dir_all(dir).map_err(Error::io("create directory", dir))?;
        let path = dir.join("lock");
        let mut options = OpenOptions::new();
        // Not truncated: whoever holds it has written its name there.
        let mut file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(Error::io("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = fs::read_to_string(&path).unwrap_or_default();
                let holder = if holder.is_empty() { "another process".to_owned() } else { holder };
                return Err(Error::Locked { path, holder });
            }
            Err(TryLockError::Error(error)) => return Err(Error::io("lock", &path)(error)),
        }
        // For people only; the lock holds without it, on a full disk too.
        let _ = file.set_len(0).and_then(|()| write!(file, "process {}", std::process::id()));
        Ok(Self { _file: file, path })
    }

    /// The lock file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_was_first() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("data");
        let lock = DirectoryLock::acquire(&dir).unwrap();
        let refused = DirectoryLock::acquire(&dir).unwrap_err().to_string();
        assert!(refused.contains(&format!("in use by process {}", std::process::id())), "{refused}");
        drop(lock);
        DirectoryLock::acquire(&dir).unwrap();
    }
}
