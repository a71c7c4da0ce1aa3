//! A file of the kernel, kept open and read again and again into one buffer.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::error::Error;

/// Where kernel text lands. One serves any number of files in turn; it grows to the largest of them and stays.
#[derive(Debug, Default)]
pub struct Buffer(Vec<u8>);

/// What a buffer starts with, and keeps free for one read.
const CHUNK: usize = 8 * 1024;

impl Buffer {
    /// Room for at least `CHUNK` bytes after the first `used`.
    fn room(&mut self, used: usize) -> &mut [u8] {
        if self.0.len() < used + CHUNK {
            self.0.resize((used + CHUNK).next_power_of_two(), 0);
        }
        &mut self.0[used..]
    }
}

/// An open file of procfs, sysfs or cgroupfs. Opening costs several times what reading costs, so it stays open.
#[derive(Debug)]
pub struct ProcFile {
    path: PathBuf,
    file: File,
}

impl ProcFile {
    /// Opens a file for reading.
    ///
    /// # Errors
    /// [`Error::Open`] if it cannot be opened.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        match File::open(path) {
            Ok(file) => Ok(Self { path: path.into(), file }),
            Err(source) => Err(Error::Open { path: path.into(), source }),
        }
    }

    /// Opens a file that not every kernel has.
    ///
    /// # Errors
    /// [`Error::Open`] if it is there and cannot be opened.
    pub fn open_if_present(path: impl AsRef<Path>) -> Result<Option<Self>, Error> {
        match Self::open(path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.is_absent() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The path it was opened by.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the whole text. Files of many records (one per device, mount, process) arrive a page at a time.
    ///
    /// # Errors
    /// [`Error::Read`] with what the system says.
    pub fn read<'b>(&self, buffer: &'b mut Buffer) -> Result<&'b [u8], Error> {
        let mut used = 0;
        loop {
            match self.read_at(buffer.room(used), used)? {
                0 => return Ok(&buffer.0[..used]),
                n => used += n,
            }
        }
    }

    /// Reads a text that the kernel writes as one record (`stat`, `meminfo`, pressure, single numbers, most group
    /// files): one call suffices unless the buffer was too short.
    ///
    /// # Errors
    /// [`Error::Read`] with what the system says.
    pub fn read_record<'b>(&self, buffer: &'b mut Buffer) -> Result<&'b [u8], Error> {
        let mut used = 0;
        loop {
            let room = buffer.room(used);
            let offered = room.len();
            let n = self.read_at(room, used)?;
            used += n;
            if n < offered {
                return Ok(&buffer.0[..used]);
            }
        }
    }

    fn read_at(&self, room: &mut [u8], offset: usize) -> Result<usize, Error> {
        loop {
            match self.file.read_at(room, offset as u64) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(Error::Read { path: self.path.clone(), source }),
                Ok(n) => return Ok(n),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_longer_than_a_page_arrives_whole() {
        let path = std::env::temp_dir().join(format!("foretwin-file-{}", std::process::id()));
        let text: String = (0..20_000).map(|n| format!("{n}\n")).collect();
        std::fs::write(&path, &text).unwrap();
        let file = ProcFile::open(&path).unwrap();
        let mut buffer = Buffer::default();
        assert_eq!(file.read(&mut buffer).unwrap(), text.as_bytes());
        assert_eq!(file.read_record(&mut buffer).unwrap(), text.as_bytes());
        std::fs::write(&path, "short").unwrap();
        assert_eq!(file.read(&mut buffer).unwrap(), b"short", "nothing of the longer text is left");
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn what_is_absent_is_told_from_what_failed() {
        assert!(ProcFile::open_if_present("/proc/no-such-file").unwrap().is_none());
        let directory = ProcFile::open("/proc").unwrap();
        let error = directory.read(&mut Buffer::default()).unwrap_err();
        assert!(!error.is_absent());
        assert_eq!(error.to_string(), "cannot read /proc");
    }
}
