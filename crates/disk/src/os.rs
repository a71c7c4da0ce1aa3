//! The real file system.

// `statvfs` has no safe face in std; the two calls below hand it a nul-terminated path and a zeroed struct.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::{Disk, DiskFile};

/// The file system of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsDisk;

struct OsFile(File);

impl Disk for OsDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(OsFile(OpenOptions::new().append(true).create_new(true).open(path)?)))
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(OsFile(OpenOptions::new().append(true).open(path)?)))
    }

    fn read(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let file = File::open(path)?;
        // A damaged length field must not become a huge allocation.
        let left = file.metadata()?.len().saturating_sub(offset);
        let mut bytes = vec![0; usize::try_from(left).unwrap_or(usize::MAX).min(length)];
        let mut filled = 0;
        while filled < bytes.len() {
            match file.read_at(&mut bytes[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    fn length(&self, path: &Path) -> io::Result<u64> {
        Ok(fs::metadata(path)?.len())
    }

    fn truncate(&self, path: &Path, length: u64) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(path)?;
        file.set_len(length)?;
        file.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        if path.as_os_str().is_empty() || path.is_dir() {
            return Ok(());
        }
        let parent = parent_of(path);
        self.create_dir(parent)?;
        match fs::create_dir(path) {
            // Somebody else was faster; a file in the way stays an error.
            Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => {}
            other => other?,
        }
        self.sync_dir(parent)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(dir) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let mut files = Vec::new();
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                files.push(entry.path());
            }
        }
        files.sort();
        Ok(files)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        File::open(dir)?.sync_all()
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let path = CString::new(path.as_os_str().as_bytes())?;
        let mut answer = MaybeUninit::<libc::statvfs>::zeroed();
        // SAFETY: `path` is nul-terminated and lives through the call; `answer` is writable and large enough.
        if unsafe { libc::statvfs(path.as_ptr(), answer.as_mut_ptr()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: all-zero is a valid `statvfs`, and the call filled it in.
        let answer = unsafe { answer.assume_init() };
        // `bavail`, not `bfree`: the reserve belongs to root.
        Ok(answer.f_bavail.saturating_mul(answer.f_frsize))
    }
}

impl DiskFile for OsFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }
}

fn parent_of(path: &Path) -> &Path {
    path.parent().unwrap_or_else(|| Path::new(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_lives_its_life() {
        let home = tempfile::tempdir().unwrap();
        let (disk, dir) = (OsDisk, home.path().join("a/b"));
        disk.create_dir(&dir).unwrap();
        disk.create_dir(&dir).unwrap();
        let (first, second) = (dir.join("1"), dir.join("2"));
        let mut file = disk.create(&first).unwrap();
        assert_eq!(disk.create(&first).err().unwrap().kind(), ErrorKind::AlreadyExists);
        file.write(b"hello ").unwrap();
        file.sync().unwrap();
        disk.append(&first).unwrap().write(b"world").unwrap();
        assert_eq!(disk.read(&first, 6, 100).unwrap(), b"world");
        assert_eq!(disk.read(&first, 0, 5).unwrap(), b"hello");
        assert!(disk.read(&first, 99, 5).unwrap().is_empty());
        disk.rename(&first, &second).unwrap();
        disk.sync_dir(&dir).unwrap();
        disk.truncate(&second, 5).unwrap();
        assert_eq!(disk.length(&second).unwrap(), 5);
        disk.link(&second, &first).unwrap();
        assert_eq!(disk.link(&second, &first).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(disk.read(&first, 0, 9).unwrap(), b"hello");
        disk.remove(&first).unwrap();
        assert_eq!(disk.list(&dir).unwrap(), std::slice::from_ref(&second));
        disk.remove(&second).unwrap();
        assert!(disk.list(&dir).unwrap().is_empty());
    }

    #[test]
    fn what_is_not_there_is_said() {
        let home = tempfile::tempdir().unwrap();
        let missing = home.path().join("missing");
        assert_eq!(OsDisk.append(&missing).err().unwrap().kind(), ErrorKind::NotFound);
        assert_eq!(OsDisk.read(&missing, 0, 1).unwrap_err().kind(), ErrorKind::NotFound);
        assert!(OsDisk.list(&missing).unwrap().is_empty());
        fs::write(&missing, b"a file").unwrap();
        assert!(OsDisk.create_dir(&missing).is_err());
        assert!(OsDisk.free_bytes(home.path()).unwrap() > 0);
    }
}
