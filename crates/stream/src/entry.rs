//! How one record lies in a segment.
//!
//! | bytes | field |
//! |---|---|
//! | 4 | length of the payload |
//! | 4 | CRC-32 (IEEE) of everything else here, begun from the segment's number and the entry's place in it |
//! | 8 | offset in the partition |
//! | 4 | where in the segment the commit began that this entry was written with |
//! | 1 | partition |
//! | 1 | kind |
//! | ... | payload |
//!
//! All little-endian. Because the checksum knows the place, bytes copied from elsewhere (a recycled block, a record
//! that carries a piece of another log) never pass for an entry, and the search for the next one after damage can
//! look at every byte. Because the entry knows where its commit began, any one intact entry proves that everything
//! before that place had been synced when it was written.

use std::ops::Range;

use foretwin_core::{PARTITIONS, Partition, Position};

/// Size of what precedes the payload.
pub(crate) const FRAME_BYTES: usize = 22;

/// The largest payload of one entry.
pub const MAX_PAYLOAD_BYTES: usize = 64 << 20;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A record of a partition. Zero is not used: runs of zeroes are what damage looks like.
    Record = 1,
    /// Nothing but the proof that everything before it was synced; written when the log is closed.
    Seal = 2,
}

/// What precedes a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    pub length: u32,
    pub offset: u64,
    pub commit: u32,
    pub partition: u8,
    pub kind: Kind,
}

/// A committed entry, read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands.
    pub position: Position,
    /// What was appended.
    pub payload: Vec<u8>,
}

/// A committed entry on its way to the subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryRef<'a> {
    /// Where it stands.
    pub position: Position,
    /// What was appended.
    pub payload: &'a [u8],
}

impl Frame {
    pub fn position(&self) -> Position {
        Position { partition: Partition(self.partition), offset: self.offset }
    }

    /// Frame and payload.
    pub fn bytes(&self) -> u64 {
        FRAME_BYTES as u64 + u64::from(self.length)
    }

    /// Reads a frame, if these bytes could be one at this place of a segment that goes on for `left` bytes.
    pub fn parse(bytes: &[u8], at: u64, left: u64) -> Option<Self> {
        let bytes: &[u8; FRAME_BYTES] = bytes.first_chunk()?;
        let kind = match bytes[21] {
            1 => Kind::Record,
            2 => Kind::Seal,
            _ => return None,
        };
        let word = |range: Range<usize>| {
            bytes[range].iter().rev().fold(0u64, |word, &byte| word << 8 | u64::from(byte))
        };
        let frame = Self {
            length: word(0..4) as u32,
            offset: word(8..16),
            commit: word(16..20) as u32,
            partition: bytes[20],
            kind,
        };
        let plausible = usize::from(frame.partition) < PARTITIONS
            && frame.length as usize <= MAX_PAYLOAD_BYTES
            && frame.bytes() <= left
            && u64::from(frame.commit) <= at;
        plausible.then_some(frame)
    }
}

/// Appends a frame without place and checksum, and its payload.
pub(crate) fn put(into: &mut Vec<u8>, position: Position, kind: Kind, payload: &[u8]) {
    into.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    into.extend_from_slice(&[0; 4]);
    into.extend_from_slice(&position.offset.to_le_bytes());
    into.extend_from_slice(&[0; 4]);
    into.extend_from_slice(&[position.partition.0, kind as u8]);
    into.extend_from_slice(payload);
}

/// Completes the frames of one commit that is about to be written at `at`.
pub(crate) fn place(frames: &mut [u8], segment: u64, at: u64) {
    let commit = (at as u32).to_le_bytes();
    let mut start = 0;
    while let Some(frame) = Frame::parse(&frames[start..], u64::MAX, u64::MAX) {
        let end = start + frame.bytes() as usize;
        let bytes = &mut frames[start..end];
        bytes[16..20].copy_from_slice(&commit);
        let checksum = checksum(bytes, segment, at + start as u64).to_le_bytes();
        bytes[4..8].copy_from_slice(&checksum);
        start = end;
    }
    debug_assert_eq!(start, frames.len(), "every frame is complete");
}

/// The entries of frames made by [`put`].
pub(crate) fn entries(frames: &[u8]) -> impl Iterator<Item = EntryRef<'_>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let frame = Frame::parse(&frames[start..], u64::MAX, u64::MAX)?;
        let end = start + frame.bytes() as usize;
        let payload = &frames[start + FRAME_BYTES..end];
        start = end;
        Some(EntryRef { position: frame.position(), payload })
    })
}

/// Whether frame and payload are what was written at this place.
pub(crate) fn is_intact(bytes: &[u8], segment: u64, at: u64) -> bool {
    bytes.len() >= FRAME_BYTES && bytes[4..8] == checksum(bytes, segment, at).to_le_bytes()
}

fn checksum(bytes: &[u8], segment: u64, at: u64) -> u32 {
    let place = (segment as u32).wrapping_mul(0x9e37_79b1) ^ at as u32;
    let mut hasher = crc32fast::Hasher::new_with_initial(place);
    hasher.update(&bytes[..4]);
    hasher.update(&bytes[8..]);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames() -> Vec<u8> {
        let mut frames = Vec::new();
        for (offset, payload) in [(7, "hello"), (8, ""), (9, "world")] {
            let position = Position { partition: Partition(3), offset };
            put(&mut frames, position, Kind::Record, payload.as_bytes());
        }
        frames
    }

    #[test]
    fn frames_read_back() {
        let mut frames = frames();
        place(&mut frames, 5, 2048);
        let frame = Frame::parse(&frames, 2048, frames.len() as u64).unwrap();
        assert_eq!((frame.length, frame.offset, frame.commit, frame.partition), (5, 7, 2048, 3));
        let found: Vec<_> = entries(&frames).map(|entry| (entry.position.offset, entry.payload)).collect();
        assert_eq!(found, [(7, &b"hello"[..]), (8, b""), (9, b"world")]);
    }

    #[test]
    fn a_flipped_bit_and_a_wrong_place_are_noticed() {
        let mut frames = frames();
        place(&mut frames, 5, 2048);
        let mut first = frames[..FRAME_BYTES + 5].to_vec();
        assert!(is_intact(&first, 5, 2048));
        assert!(!is_intact(&first, 6, 2048) && !is_intact(&first, 5, 2049));
        for bit in 0..first.len() * 8 {
            first[bit / 8] ^= 1 << (bit % 8);
            assert!(!is_intact(&first, 5, 2048), "bit {bit}");
            first[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn implausible_frames_are_refused() {
        let frames = frames();
        assert!(Frame::parse(&frames[..21], 0, 999).is_none());
        assert!(Frame::parse(&frames, 2048, 26).is_none(), "longer than the segment");
        assert!(Frame::parse(&[0; 22], 2048, 999).is_none(), "zeroes");
    }
}
