//! A runner's report over channels that lose and damage bytes: numbered frames, and a reader that finds its way back.

use foretwin_core::Timestamp;
use foretwin_core::probe::Field;

use crate::cursor::Cursor;

/// No text and no kernel message has these bytes, and none of them repeats.
const MAGIC: [u8; 4] = [0xf7, b'F', b'T', 0x81];
const VERSION: u8 = 1;
/// Magic, version, one byte of nothing, length of the body.
const HEADER: usize = 4 + 1 + 1 + 2;
/// Sequence, monotonic and wall clock.
const STAMPS: usize = 24;
/// Identifier and number.
const PAIR: usize = 10;

/// What a runner measured in one period.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Counts the runner's frames from 0, sent or not.
    pub sequence: u64,
    /// The runner's clock that only goes forward, in microseconds.
    pub monotonic_us: u64,
    /// The runner's wall clock at the end of the period.
    pub wall: Timestamp,
    /// What was measured; what is absent was not. Fields of newer runners are left out.
    pub values: Vec<(Field, f64)>,
}

impl Frame {
    /// The number of a field, NaN where it was not measured.
    #[must_use]
    pub fn get(&self, field: Field) -> f64 {
        self.values.iter().find(|(known, _)| *known == field).map_or(f64::NAN, |(_, value)| *value)
    }
}

/// Appends the encoding of `frame`: magic, version, 0, length of the body (u16), the body, CRC-32 of everything after
/// the magic. The body: sequence (u64), monotonic (u64) and wall clock (i64) in microseconds, then pairs of field
/// (u16) and number (f64). Numbers that are NaN are left out, and fields beyond the 6,551st.
pub fn encode(frame: &Frame, into: &mut Vec<u8>) {
    let most = (usize::from(u16::MAX) - STAMPS) / PAIR;
    let present = || frame.values.iter().filter(|(_, value)| !value.is_nan()).take(most);
    let length = STAMPS + PAIR * present().count();
    into.extend_from_slice(&MAGIC);
    let start = into.len();
    into.extend_from_slice(&[VERSION, 0]);
    into.extend_from_slice(&(length as u16).to_le_bytes());
    into.extend_from_slice(&frame.sequence.to_le_bytes());
    into.extend_from_slice(&frame.monotonic_us.to_le_bytes());
    into.extend_from_slice(&frame.wall.0.to_le_bytes());
    for (field, value) in present() {
        into.extend_from_slice(&field.id().to_le_bytes());
        into.extend_from_slice(&value.to_le_bytes());
    }
    let checksum = crc32fast::hash(&into[start..]);
    into.extend_from_slice(&checksum.to_le_bytes());
}

/// Finds frames in a stream, whatever else is in it, and counts what is missing.
#[derive(Debug, Clone, Default)]
pub struct Reader {
    buffer: Vec<u8>,
    /// The sequence that should come next.
    expected: Option<u64>,
    lost: u64,
    restarts: u64,
    skipped_bytes: u64,
}

impl Reader {
    /// Adds bytes at the end of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Frames that are missing between the first and the last one seen.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// How often the runner began to count anew.
    #[must_use]
    pub fn restarts(&self) -> u64 {
        self.restarts
    }

    /// Bytes that were no part of a frame: other text on the line, and damage.
    #[must_use]
    pub fn skipped_bytes(&self) -> u64 {
        self.skipped_bytes
    }

    fn skip(&mut self, bytes: usize) {
        self.buffer.drain(..bytes);
        self.skipped_bytes += bytes as u64;
    }

    /// Puts the beginning of what may be a frame to the front.
    fn align(&mut self) {
        let start = (0..self.buffer.len())
            .find(|at| {
                let rest = &self.buffer[*at..];
                let known = rest.len().min(MAGIC.len());
                rest[..known] == MAGIC[..known]
            })
            .unwrap_or(self.buffer.len());
        self.skip(start);
    }

    fn account(&mut self, sequence: u64) {
        match self.expected {
            Some(expected) if sequence < expected => self.restarts += 1,
            Some(expected) => self.lost += sequence - expected,
            None => {}
        }
        self.expected = Some(sequence.saturating_add(1));
    }
}

/// Gives the whole frames that are there; more may come after more bytes.
impl Iterator for Reader {
    type Item = Frame;

    fn next(&mut self) -> Option<Frame> {
        loop {
            self.align();
            let header = self.buffer.get(..HEADER)?;
            let length = usize::from(u16::from_le_bytes([header[6], header[7]]));
            // A frame that cannot be begins one byte further on at the earliest; nothing waits for what it claims.
            if header[4] != VERSION
                || header[5] != 0
                || length < STAMPS
                || !(length - STAMPS).is_multiple_of(PAIR)
            {
                self.skip(1);
                continue;
            }
            let end = HEADER + length;
            let whole = self.buffer.get(..end + 4)?;
            if crc32fast::hash(&whole[MAGIC.len()..end]).to_le_bytes() != whole[end..] {
                self.skip(1);
                continue;
            }
            let frame = body(&whole[HEADER..end]);
            self.buffer.drain(..end + 4);
            if let Some(frame) = frame {
                self.account(frame.sequence);
                return Some(frame);
            }
        }
    }
}

fn body(bytes: &[u8]) -> Option<Frame> {
    const WHAT: &str = "frame";
    let mut cursor = Cursor(bytes);
    let sequence = cursor.u64(WHAT).ok()?;
    let monotonic_us = cursor.u64(WHAT).ok()?;
    let wall = Timestamp(cursor.u64(WHAT).ok()?.cast_signed());
    let mut values = Vec::with_capacity(cursor.0.len() / PAIR);
    while !cursor.0.is_empty() {
        let field = Field::from_id(cursor.u16(WHAT).ok()?);
        let value = cursor.f64(WHAT).ok()?;
        values.extend(field.map(|field| (field, value)));
    }
    Some(Frame { sequence, monotonic_us, wall, values })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frames() -> impl Strategy<Value = Vec<Frame>> {
        let fields: Vec<Field> = Field::probes().chain(Field::replay()).collect();
        let pair = (prop::sample::select(fields), -1e300f64..1e300);
        let frame = (any::<u64>(), any::<i64>(), prop::collection::vec(pair, 0..40));
        prop::collection::vec(frame, 1..8).prop_map(|frames| {
            let number = |(sequence, (monotonic_us, wall, values))| Frame {
                sequence: sequence as u64,
                monotonic_us,
                wall: Timestamp(wall),
                values,
            };
            frames.into_iter().enumerate().map(number).collect()
        })
    }

    fn bytes_of(frames: &[Frame]) -> Vec<u8> {
        let mut bytes = Vec::new();
        frames.iter().for_each(|frame| encode(frame, &mut bytes));
        bytes
    }

    proptest! {
        #[test]
        fn frames_come_back_however_the_stream_is_cut(frames in frames(), piece in 1usize..200) {
            let mut reader = Reader::default();
            let mut seen = Vec::new();
            for bytes in bytes_of(&frames).chunks(piece) {
                reader.push(bytes);
                seen.extend(&mut reader);
            }
            prop_assert_eq!(seen, frames);
            prop_assert_eq!((reader.lost(), reader.skipped_bytes()), (0, 0));
        }

        /// One damaged byte costs one frame (two where it hits a length), never an invented one.
        #[test]
        fn damage_costs_what_it_hits(frames in frames(), at in any::<prop::sample::Index>(), flip in 1u8..) {
            let mut bytes = bytes_of(&frames);
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            // A length that was damaged upwards waits for bytes; later ones let the reader go on.
            let mut reader = Reader::default();
            reader.push(&bytes);
            reader.push(&vec![0; usize::from(u16::MAX) + 64]);
            let seen: Vec<Frame> = reader.by_ref().collect();
            prop_assert_eq!(seen.len(), frames.len() - 1);
            prop_assert!(seen.iter().all(|frame| frames.contains(frame)));
            let last_is_gone = seen.last().map(|frame| frame.sequence) != frames.last().map(|frame| frame.sequence);
            let first_is_gone = seen.first().is_some_and(|frame| frame.sequence != 0);
            prop_assert_eq!(reader.lost(), u64::from(!last_is_gone && !first_is_gone));
        }

        #[test]
        fn noise_between_frames_is_skipped(frames in frames(), noise in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut bytes = noise.clone();
            for frame in &frames {
                bytes.extend_from_slice(&bytes_of(std::slice::from_ref(frame)));
                bytes.extend_from_slice(&noise);
            }
            let mut reader = Reader::default();
            reader.push(&bytes);
            reader.push(&vec![0; usize::from(u16::MAX) + 64]);
            let seen: Vec<Frame> = reader.by_ref().collect();
            prop_assert_eq!(seen, frames);
        }
    }

    #[test]
    fn gaps_and_restarts_are_counted() {
        let at = |sequence| Frame { sequence, monotonic_us: 0, wall: Timestamp(0), values: Vec::new() };
        let mut reader = Reader::default();
        // Attached late: what went before is not lost on the way, and the number tells it.
        reader.push(&bytes_of(&[at(5), at(6), at(9), at(0), at(1)]));
        assert_eq!(reader.by_ref().count(), 5);
        assert_eq!((reader.lost(), reader.restarts()), (2, 1));
    }

    #[test]
    fn unknown_fields_and_missing_numbers_are_left_out() {
        let values = vec![(Field::TcpP50, f64::NAN), (Field::TcpP90, 1.0)];
        let frame = Frame { sequence: 0, monotonic_us: 1, wall: Timestamp(2), values };
        let mut bytes = bytes_of(std::slice::from_ref(&frame));
        let at = HEADER + STAMPS;
        bytes[at..at + 2].copy_from_slice(&9999u16.to_le_bytes());
        let end = bytes.len() - 4;
        let checksum = crc32fast::hash(&bytes[MAGIC.len()..end]);
        bytes[end..].copy_from_slice(&checksum.to_le_bytes());
        let mut reader = Reader::default();
        reader.push(&bytes);
        assert_eq!(reader.next().unwrap().values, []);
        assert!(frame.get(Field::TcpP50).is_nan() && frame.get(Field::TcpP90) == 1.0);
    }
}
