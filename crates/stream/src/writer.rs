//! Commits on their way to the disk: which segment they go to, and what happens when one fails.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use foretwin_core::{PARTITIONS, Partition, Position};
use foretwin_disk::{Disk, DiskFile};

use crate::entry::{self, Kind};
use crate::error::{Error, is_full};
use crate::recover::Unproven;
use crate::segment::{self, Header, Offsets, START, Segment};
use crate::shared::Segments;

/// The one who writes.
pub(crate) struct Writer {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    segment_bytes: u64,
    segments: Arc<Segments>,
    active: Option<Active>,
    next_number: u64,
    /// Offsets after what is acknowledged.
    committed: Offsets,
    /// Offsets were left out on purpose since the last segment began.
    jump: bool,
}

/// The segment being written.
struct Active {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    number: u64,
    at: u64,
}

impl Writer {
    pub fn new(disk: Arc<dyn Disk>, dir: &Path, segment_bytes: u64, segments: Arc<Segments>) -> Self {
        Self {
            disk,
            dir: dir.to_owned(),
            segment_bytes,
            segments,
            active: None,
            next_number: 0,
            committed: [0; PARTITIONS],
            jump: false,
        }
    }

    /// Begins after what was recovered. Entries that no later write proves to be durable are written again: the page
    /// cache may show them and the medium not have them, even after a sync that succeeds, if an earlier one failed.
    pub fn start(&mut self, next_number: u64, proven: Offsets, unproven: Unproven) -> Result<(), Error> {
        self.next_number = next_number;
        self.committed = proven;
        let Unproven { mut frames, end } = unproven;
        if frames.is_empty() {
            return Ok(());
        }
        let number = self.next_number;
        entry::place(&mut frames, number, START);
        let after = after(proven, &frames);
        frames.append(&mut seal(number, START + frames.len() as u64));
        match self.open_segment(&frames, after) {
            Err(Error::DiskFull { .. }) => self.trust_last(end, after),
            done => done,
        }
    }

    /// Leaves offsets out: the next commit begins at these.
    pub fn jump_to(&mut self, next: Offsets) {
        if next != self.committed {
            self.committed = next;
            self.jump = true;
            self.active = None;
        }
    }

    pub fn committed(&self) -> Offsets {
        self.committed
    }

    /// Makes frames durable, all or nothing. After an error the file is never written again.
    pub fn write(&mut self, frames: &mut [u8]) -> Result<(), Error> {
        let full =
            |active: &Active| active.at > START && active.at + frames.len() as u64 > self.segment_bytes;
        if self.active.as_ref().is_none_or(full) {
            self.active = None;
            self.open_segment(&[], self.committed)?;
        }
        let Some(active) = &mut self.active else { return Err(Error::Closed) };
        entry::place(frames, active.number, active.at);
        match active.file.write(frames).and_then(|()| active.file.sync()) {
            Ok(()) => {
                active.at += frames.len() as u64;
                self.committed = after(self.committed, frames);
                Ok(())
            }
            Err(source) => Err(self.give_up(source)),
        }
    }

    /// Lets readers see what was written.
    pub fn publish(&self) {
        if let Some(active) = &self.active {
            self.segments.extend(active.number, active.at, self.committed);
        }
    }

    /// Proves that everything was synced, so that the next process need not write the last commit again.
    pub fn seal(&mut self) -> Result<(), Error> {
        let Some(active) = &mut self.active else { return Ok(()) };
        if active.at <= START {
            return Ok(());
        }
        let frames = seal(active.number, active.at);
        let sealed = active.file.write(&frames).and_then(|()| active.file.sync());
        sealed.map_err(|source| self.give_up(source))
    }

    /// Begins the next segment with frames already in place, after which these offsets are next.
    fn open_segment(&mut self, frames: &[u8], next: Offsets) -> Result<(), Error> {
        let number = self.next_number;
        // Whatever happens, no two files have had the same number.
        self.next_number += 1;
        let header = Header { number, bases: self.committed, jump: self.jump };
        let file = segment::create(&*self.disk, &self.dir, &header, frames)?;
        self.jump = false;
        self.committed = next;
        let path = segment::path_of(&self.dir, number);
        let at = START + frames.len() as u64;
        // The header of the new one says all that these did.
        for empty in self.segments.take_empty() {
            if let Err(error) = self.disk.remove(&empty.path) {
                tracing::warn!(path = %empty.path.display(), %error, "cannot remove an empty segment");
            }
        }
        self.segments.add(Segment { number, path: path.clone(), next, end: at, damage: Vec::new() });
        self.active = Some(Active { file, path, number, at });
        Ok(())
    }

    /// Without room to write them again, the last entries stay where they are and one sync has to do.
    fn trust_last(&mut self, end: u64, next: Offsets) -> Result<(), Error> {
        let Some((path, number)) = self.segments.last() else { return Ok(()) };
        let sync = self.disk.append(&path).and_then(|mut file| file.sync());
        sync.map_err(Error::io("sync", &path))?;
        tracing::warn!(path = %path.display(), "disk full: the last commit is kept where it is");
        self.committed = next;
        self.segments.extend(number, end, next);
        Ok(())
    }

    fn give_up(&mut self, source: std::io::Error) -> Error {
        let Some(Active { path, number, .. }) = self.active.take() else { return Error::Closed };
        tracing::warn!(segment = number, error = %source, "a commit failed; the segment is given up");
        if !is_full(&source) {
            return Error::Commit { path, source: Arc::new(source) };
        }
        // What was written of the failed commit is void, and its room is needed.
        let end = self.segments.end_of(number).unwrap_or(START);
        if let Err(error) = self.disk.truncate(&path, end) {
            tracing::warn!(path = %path.display(), %error, "cannot free what a failed commit wrote");
        }
        Error::DiskFull { free: self.disk.free_bytes(&self.dir).unwrap_or(0), path }
    }
}

/// Offsets after these frames.
fn after(mut next: Offsets, frames: &[u8]) -> Offsets {
    for entry in entry::entries(frames) {
        next[entry.position.partition.index()] = entry.position.offset + 1;
    }
    next
}

fn seal(segment: u64, at: u64) -> Vec<u8> {
    let mut frames = Vec::new();
    entry::put(&mut frames, Position { partition: Partition(0), offset: 0 }, Kind::Seal, &[]);
    entry::place(&mut frames, segment, at);
    frames
}
