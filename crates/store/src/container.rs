//! The shape that all files of the store share: a body of checksummed places, then the footer that lists them,
//! twice, so that one bad sector does not cost the whole file.
//!
//! A file is written under a temporary name, synced, renamed, and its directory synced: under its own name it is
//! whole, and what is not whole there was damaged later. Layout, little endian:
//!
//! ```text
//! magic (8) | body | footer | trailer | footer | trailer
//! trailer: footer length u32, footer crc u32, "FTWNFOOT"
//! ```

use std::io;
use std::path::{Path, PathBuf};

use foretwin_disk::{Disk, DiskFile};

use crate::Error;
use crate::bytes::Place;

const MAGIC: &[u8; 8] = b"FTWNSTO1";
const TRAILER: &[u8; 8] = b"FTWNFOOT";
const TRAILER_BYTES: usize = 16;
const BUFFER_BYTES: usize = 1 << 20;
/// Appended to the name of a file that is still being written.
pub(crate) const UNFINISHED: &str = ".tmp";

/// A file being written.
pub(crate) struct Writer<'a> {
    disk: &'a dyn Disk,
    file: Box<dyn DiskFile>,
    temporary: PathBuf,
    buffer: Vec<u8>,
    offset: u64,
}

impl<'a> Writer<'a> {
    /// Starts `NAME.tmp` in a directory. Two writers at a time need two names.
    pub(crate) fn create(disk: &'a dyn Disk, dir: &Path, name: &str) -> Result<Self, Error> {
        let temporary = dir.join(format!("{name}{UNFINISHED}"));
        // What an earlier attempt left.
        let _ = disk.remove(&temporary);
        let file = disk.create(&temporary).map_err(|error| Error::disk("create", &temporary, error))?;
        Ok(Self { disk, file, temporary, buffer: MAGIC.to_vec(), offset: MAGIC.len() as u64 })
    }

    pub(crate) fn put(&mut self, bytes: &[u8]) -> Result<Place, Error> {
        let place = Place { offset: self.offset, length: bytes.len() as u32, crc: crc32fast::hash(bytes) };
        self.offset += bytes.len() as u64;
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER_BYTES {
            self.drain()?;
        }
        Ok(place)
    }

    /// Bytes so far.
    pub(crate) fn length(&self) -> u64 {
        self.offset
    }

    fn drain(&mut self) -> Result<(), Error> {
        if let Err(error) = self.file.write(&self.buffer) {
            return Err(self.failed("write", error));
        }
        self.buffer.clear();
        Ok(())
    }

    /// Removes the unfinished file. If that fails, the next writer of this name or the next start does it.
    pub(crate) fn give_up(&self) {
        let _ = self.disk.remove(&self.temporary);
    }

    /// Gives the unfinished file up, so that a full disk is not kept full by it.
    fn failed(&self, operation: &'static str, error: io::Error) -> Error {
        self.give_up();
        Error::disk(operation, &self.temporary, error)
    }

    /// Makes the file durable under its own name and returns its length.
    pub(crate) fn finish(mut self, footer: &[u8], path: &Path) -> Result<u64, Error> {
        for _ in 0..2 {
            self.put(footer)?;
            let mut trailer = (footer.len() as u32).to_le_bytes().to_vec();
            trailer.extend_from_slice(&crc32fast::hash(footer).to_le_bytes());
            trailer.extend_from_slice(TRAILER);
            self.put(&trailer)?;
        }
        self.drain()?;
        self.file.sync().map_err(|error| self.failed("sync", error))?;
        self.disk.rename(&self.temporary, path).map_err(|error| self.failed("rename", error))?;
        let dir = path.parent().unwrap_or(Path::new("."));
        self.disk.sync_dir(dir).map_err(|error| Error::disk("sync", dir, error))?;
        Ok(self.offset)
    }
}

/// The footer of a file, and whether one of its two copies is damaged.
pub(crate) struct Footer {
    pub(crate) bytes: Vec<u8>,
    pub(crate) length: u64,
    pub(crate) one_copy_damaged: bool,
}

/// Finds the footer; `None` if neither copy is whole.
pub(crate) fn read_footer(disk: &dyn Disk, path: &Path) -> Result<Option<Footer>, Error> {
    let failed = |error| Error::disk("read", path, error);
    let length = disk.length(path).map_err(failed)?;
    // Footers are small: one read finds most of them, doubling finds the rest.
    let mut window = 64 << 10;
    loop {
        let start = length.saturating_sub(window);
        let tail = disk.read(path, start, (length - start) as usize).map_err(failed)?;
        let copies = whole_footers(&tail);
        let expected = copies.first().is_some_and(|copy| tail.len() >= 2 * (copy.len() + TRAILER_BYTES));
        if copies.len() >= 2 || start == 0 || (expected && window >= 1 << 20) {
            let one_copy_damaged = copies.len() < 2;
            return Ok(copies.first().map(|copy| Footer { bytes: copy.to_vec(), length, one_copy_damaged }));
        }
        window *= 4;
    }
}

/// Whole footers in the end of a file, last first, two at most.
fn whole_footers(tail: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    let mut end = tail.len();
    while found.len() < 2 {
        let Some(at) = tail[..end].windows(TRAILER.len()).rposition(|bytes| bytes == TRAILER) else { break };
        end = at;
        let Some(fields) = at.checked_sub(8).map(|from| &tail[from..at]) else { break };
        let length = u32::from_le_bytes([fields[0], fields[1], fields[2], fields[3]]) as usize;
        let crc = u32::from_le_bytes([fields[4], fields[5], fields[6], fields[7]]);
        let footer = (at - 8).checked_sub(length).map(|from| &tail[from..at - 8]);
        if let Some(footer) = footer.filter(|footer| crc32fast::hash(footer) == crc) {
            found.push(footer);
        }
    }
    found
}
