//! Walking the entries of one segment file, past damage.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use foretwin_disk::Disk;

use crate::entry::{FRAME_BYTES, Frame, is_intact};
use crate::error::Error;

/// How much is read at once.
const CHUNK_BYTES: usize = 256 << 10;

/// The unit in which unreadable places are left out.
const BLOCK_BYTES: usize = 4096;

/// What the kernel says of a bad sector. Anything else (no more descriptors, no permission) is not the medium's.
const EIO: i32 = 5;

/// What stands next in a segment.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    /// An intact entry.
    Entry { at: u64, frame: Frame, payload: &'a [u8] },
    /// Bytes before the next intact entry, or before the end, that are none.
    Damage { range: Range<u64>, reason: &'static str },
}

/// A place in a segment file.
pub(crate) struct Scanner {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    segment: u64,
    at: u64,
    /// Nothing is read from here on.
    pub end: u64,
    window: Vec<u8>,
    window_at: u64,
}

impl Scanner {
    pub fn new(disk: Arc<dyn Disk>, path: &Path, segment: u64, range: Range<u64>) -> Self {
        let (at, end) = (range.start, range.end);
        Self { disk, path: path.to_owned(), segment, at, end, window: Vec::new(), window_at: 0 }
    }

    /// The next entry or damage; nothing at the end.
    pub fn next(&mut self) -> Result<Option<Found<'_>>, Error> {
        let start = self.at;
        if start >= self.end {
            return Ok(None);
        }
        if let Some(frame) = self.intact(start)? {
            self.at = start + frame.bytes();
            let payload = &self.bytes(start, frame.bytes() as usize)?[FRAME_BYTES..];
            return Ok(Some(Found::Entry { at: start, frame, payload }));
        }
        let reason = self.reason(start)?;
        self.at = self.resume(start + 1)?;
        Ok(Some(Found::Damage { range: start..self.at, reason }))
    }

    /// Where the next intact entry begins, or the end.
    fn resume(&mut self, from: u64) -> Result<u64, Error> {
        for at in from..self.end {
            if self.intact(at)?.is_some() {
                return Ok(at);
            }
        }
        Ok(self.end)
    }

    fn intact(&mut self, at: u64) -> Result<Option<Frame>, Error> {
        let left = self.end - at;
        let Some(frame) = Frame::parse(self.bytes(at, FRAME_BYTES)?, at, left) else { return Ok(None) };
        let segment = self.segment;
        let bytes = self.bytes(at, frame.bytes() as usize)?;
        Ok((bytes.len() as u64 == frame.bytes() && is_intact(bytes, segment, at)).then_some(frame))
    }

    fn reason(&mut self, at: u64) -> Result<&'static str, Error> {
        let left = self.end - at;
        let bytes = self.bytes(at, FRAME_BYTES)?;
        Ok(match Frame::parse(bytes, at, left) {
            _ if left < FRAME_BYTES as u64 => "shorter than an entry",
            Some(_) => "the checksum does not match",
            None if Frame::parse(bytes, at, u64::MAX).is_some() => "longer than the file",
            None => "not an entry",
        })
    }

    /// Bytes at a place; fewer at the end.
    fn bytes(&mut self, at: u64, length: usize) -> Result<&[u8], Error> {
        let wanted = length.min(usize::try_from(self.end - at).unwrap_or(usize::MAX));
        let have = at >= self.window_at && at + wanted as u64 <= self.window_at + self.window.len() as u64;
        if !have {
            let most = usize::try_from(self.end - at).unwrap_or(usize::MAX);
            self.window = read_forgiving(&*self.disk, &self.path, at, wanted.max(CHUNK_BYTES).min(most))?;
            self.window_at = at;
        }
        let start = (at - self.window_at) as usize;
        let end = (start + wanted).min(self.window.len());
        Ok(&self.window[start..end])
    }
}

/// Reads, with zeroes for what the medium no longer gives; the checksums notice.
pub(crate) fn read_forgiving(disk: &dyn Disk, path: &Path, at: u64, length: usize) -> Result<Vec<u8>, Error> {
    match disk.read(path, at, length) {
        Ok(bytes) => return Ok(bytes),
        Err(error) if error.raw_os_error() == Some(EIO) => {}
        Err(error) => return Err(Error::io("read", path)(error)),
    }
    let file_bytes = disk.length(path).map_err(Error::io("measure", path))?;
    let end = file_bytes.min(at + length as u64);
    let mut bytes = Vec::with_capacity(length);
    let mut next = at;
    while next < end {
        let block = BLOCK_BYTES - next as usize % BLOCK_BYTES;
        let block = block.min((end - next) as usize);
        bytes.extend(disk.read(path, next, block).unwrap_or_default());
        next += block as u64;
        bytes.resize((next - at) as usize, 0);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use foretwin_core::{Partition, Position};
    use foretwin_disk::SimDisk;

    use super::*;
    use crate::entry::{Kind, place, put};

    /// A file of ten entries of 100 bytes from 0 on, with their places.
    fn file() -> (Arc<SimDisk>, PathBuf, u64) {
        let (disk, path) = (Arc::new(SimDisk::new(1)), PathBuf::from("/a"));
        let mut frames = Vec::new();
        for offset in 0..10 {
            let position = Position { partition: Partition(1), offset };
            put(&mut frames, position, Kind::Record, &[offset as u8; 78]);
        }
        place(&mut frames, 3, 0);
        disk.create(&path).unwrap().write(&frames).unwrap();
        (disk, path, frames.len() as u64)
    }

    fn scan(disk: &Arc<SimDisk>, path: &Path, end: u64) -> (Vec<u64>, Vec<Range<u64>>) {
        let mut scanner = Scanner::new(Arc::clone(disk) as Arc<dyn Disk>, path, 3, 0..end);
        let (mut offsets, mut damage) = (Vec::new(), Vec::new());
        while let Some(found) = scanner.next().unwrap() {
            match found {
                Found::Entry { frame, payload, .. } => {
                    assert_eq!(payload, [frame.offset as u8; 78]);
                    offsets.push(frame.offset);
                }
                Found::Damage { range, .. } => damage.push(range),
            }
        }
        (offsets, damage)
    }

    #[test]
    fn every_flipped_bit_costs_exactly_its_entry() {
        let (disk, path, end) = file();
        for bit in 0..end * 8 {
            disk.flip_bit(&path, bit).unwrap();
            let hit = bit / 800;
            let (offsets, damage) = scan(&disk, &path, end);
            assert_eq!(offsets, (0..10).filter(|&offset| offset != hit).collect::<Vec<_>>(), "bit {bit}");
            assert_eq!(damage, vec![hit * 100..hit * 100 + 100; 1]);
            disk.flip_bit(&path, bit).unwrap();
        }
    }

    #[test]
    fn a_bad_sector_costs_its_block() {
        let (disk, path, end) = file();
        disk.spoil(&path, 550).unwrap();
        // The whole file lies within one block here.
        assert_eq!(scan(&disk, &path, end), (vec![], std::iter::once(0..end).collect()));
    }

    #[test]
    fn any_cut_leaves_the_entries_before_it() {
        let (disk, path, end) = file();
        for cut in (0..end).rev() {
            disk.cut(&path, cut).unwrap();
            let (offsets, damage) = scan(&disk, &path, cut);
            assert_eq!((offsets.len() as u64, damage.is_empty()), (cut / 100, cut % 100 == 0), "cut {cut}");
        }
    }
}
