//! Segment files: their names, their headers, and how they come into being.
//!
//! A segment opens with two copies of its header, each in a kilobyte with a CRC-32 at its end, so that no single
//! damaged sector takes the header away. All little-endian: `foretwin`, format (4), flags (4), number (8), base
//! offset of every partition (8 each).

use std::ops::Range;
use std::path::{Path, PathBuf};

use foretwin_core::PARTITIONS;
use foretwin_disk::{Disk, DiskFile};

use crate::error::{Error, is_full};

/// One offset for each partition.
pub type Offsets = [u64; PARTITIONS];

/// Where entries begin.
pub(crate) const START: u64 = 2 * COPY_BYTES as u64;

const COPY_BYTES: usize = 1024;
const MAGIC: &[u8; 8] = b"foretwin";
const FORMAT: u32 = 1;
const BASES_AT: usize = 24;
const CHECKSUM_AT: usize = COPY_BYTES - 4;

/// Set when the base offsets leave out some on purpose.
const JUMP: u32 = 1;

/// What a segment says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub number: u64,
    /// The first offset of each partition that may stand here. Entries of earlier segments at or above are void:
    /// they were never acknowledged.
    pub bases: Offsets,
    /// Offsets between the segment before and these bases were never given out.
    pub jump: bool,
}

/// What the log remembers of a segment.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    pub number: u64,
    pub path: PathBuf,
    /// Offsets after its last entry.
    pub next: Offsets,
    /// Where its last committed entry ends.
    pub end: u64,
    /// Ranges that recovery reported and readers pass over.
    pub damage: Vec<Range<u64>>,
}

/// What stands at the head of a file.
#[derive(Debug)]
pub(crate) struct Head {
    /// The header, if one copy is intact.
    pub header: Option<Header>,
    /// Copies that are not.
    pub damage: Vec<Range<u64>>,
}

impl Header {
    pub fn encode(&self) -> Vec<u8> {
        let mut copy = Vec::with_capacity(COPY_BYTES);
        copy.extend_from_slice(MAGIC);
        copy.extend_from_slice(&FORMAT.to_le_bytes());
        copy.extend_from_slice(&(if self.jump { JUMP } else { 0 }).to_le_bytes());
        copy.extend_from_slice(&self.number.to_le_bytes());
        self.bases.iter().for_each(|base| copy.extend_from_slice(&base.to_le_bytes()));
        copy.resize(CHECKSUM_AT, 0);
        copy.extend_from_slice(&crc32fast::hash(&copy).to_le_bytes());
        copy.repeat(2)
    }

    fn decode(copy: &[u8]) -> Option<Result<Self, u32>> {
        let intact = copy.len() == COPY_BYTES
            && copy.starts_with(MAGIC)
            && copy[CHECKSUM_AT..] == crc32fast::hash(&copy[..CHECKSUM_AT]).to_le_bytes();
        if !intact {
            return None;
        }
        let (half, word) = (|at| le(&copy[at..at + 4]) as u32, |at| le(&copy[at..at + 8]));
        if half(8) != FORMAT {
            return Some(Err(half(8)));
        }
        let bases = std::array::from_fn(|partition| word(BASES_AT + 8 * partition));
        Some(Ok(Self { number: word(16), bases, jump: half(12) & JUMP != 0 }))
    }
}

impl Head {
    /// Reads the head of a file.
    pub fn read(disk: &dyn Disk, path: &Path) -> Result<Self, Error> {
        let bytes = crate::scan::read_forgiving(disk, path, 0, START as usize)?;
        let mut head = Self { header: None, damage: Vec::new() };
        for (i, range) in [0..COPY_BYTES, COPY_BYTES..2 * COPY_BYTES].into_iter().enumerate() {
            let copy = bytes.get(range.start.min(bytes.len())..range.end.min(bytes.len())).unwrap_or(&[]);
            match Header::decode(copy) {
                Some(Ok(header)) => head.header = Some(header),
                Some(Err(found)) => {
                    return Err(Error::Version { path: path.to_owned(), found, supported: FORMAT });
                }
                None => {
                    let start = (i * COPY_BYTES) as u64;
                    head.damage.push(start..start + COPY_BYTES as u64);
                }
            }
        }
        Ok(head)
    }
}

impl Segment {
    pub fn is_empty(&self) -> bool {
        self.end <= START
    }
}

/// The number in a segment's file name.
pub(crate) fn number_of(path: &Path) -> Option<u64> {
    let (stem, extension) = (path.file_stem()?.to_str()?, path.extension()?.to_str()?);
    let digits = stem.len() == 12 && stem.bytes().all(|byte| byte.is_ascii_digit());
    if digits && matches!(extension, "log" | "tmp") { stem.parse().ok() } else { None }
}

pub(crate) fn path_of(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:012}.log"))
}

/// Makes a segment with its first entries, all or nothing: it gets its name when its bytes are durable.
pub(crate) fn create(
    disk: &dyn Disk,
    dir: &Path,
    header: &Header,
    frames: &[u8],
) -> Result<Box<dyn DiskFile>, Error> {
    let path = path_of(dir, header.number);
    let temporary = path.with_extension("tmp");
    let make = || {
        let mut file = disk.create(&temporary)?;
        file.write(&[&header.encode(), frames].concat())?;
        file.sync()?;
        disk.rename(&temporary, &path)?;
        disk.sync_dir(dir)?;
        Ok(file)
    };
    make().map_err(|source| {
        // Whether or not these succeed: the number is not used again, and what is left is void.
        let _ = disk.remove(&temporary);
        let _ = disk.remove(&path);
        if is_full(&source) {
            Error::DiskFull { free: disk.free_bytes(dir).unwrap_or(0), path: path.clone() }
        } else {
            Error::io("create segment", &path)(source)
        }
    })
}

fn le(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use foretwin_disk::SimDisk;

    use super::*;

    fn made() -> (SimDisk, PathBuf, Header) {
        let (disk, dir) = (SimDisk::new(1), Path::new("/log"));
        disk.create_dir(dir).unwrap();
        let header = Header { number: 42, bases: std::array::from_fn(|i| i as u64 * 7), jump: true };
        create(&disk, dir, &header, b"frames").unwrap();
        (disk, path_of(dir, 42), header)
    }

    #[test]
    fn headers_read_back_and_survive_any_flipped_bit() {
        let (disk, path, header) = made();
        assert_eq!(path, Path::new("/log/000000000042.log"));
        assert_eq!(number_of(&path), Some(42));
        for bit in (0..START * 8).step_by(37) {
            disk.flip_bit(&path, bit).unwrap();
            let head = Head::read(&disk, &path).unwrap();
            assert_eq!((head.header.as_ref(), head.damage.len()), (Some(&header), 1), "bit {bit}");
            disk.flip_bit(&path, bit).unwrap();
        }
    }

    #[test]
    fn other_formats_are_refused_not_damaged() {
        let (disk, dir) = (SimDisk::new(1), Path::new("/log"));
        disk.create_dir(dir).unwrap();
        let mut copy = vec![0; COPY_BYTES];
        copy[..8].copy_from_slice(MAGIC);
        copy[8] = 9;
        let checksum = crc32fast::hash(&copy[..CHECKSUM_AT]).to_le_bytes();
        copy[CHECKSUM_AT..].copy_from_slice(&checksum);
        disk.create(&path_of(dir, 1)).unwrap().write(&copy.repeat(2)).unwrap();
        let refused = Head::read(&disk, &path_of(dir, 1)).unwrap_err();
        assert!(matches!(refused, Error::Version { found: 9, supported: 1, .. }), "{refused}");
    }

    #[test]
    fn strange_names_are_not_segments() {
        for name in ["notes.log", "00000000042.log", "000000000042.old", "LOCK"] {
            assert_eq!(number_of(Path::new(name)), None, "{name}");
        }
    }
}
