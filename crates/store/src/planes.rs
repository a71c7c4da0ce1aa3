//! The block of a hot file: a few series as they are in memory, packed fast rather than tightly.
//!
//! Times and columns become zigzag differences, the differences of the whole block are split into eight planes of
//! equal significance, and LZ4 finds that most planes hold nothing.

use foretwin_core::{InstanceId, MISSING, SchemaId, Timestamp, Value};

use crate::bytes::{Cursor, put_text, put_varint, unzigzag, zigzag};
use crate::frames::{Frames, Rows};

/// Uncompressed bytes at which a block is closed: what a reader decodes to see one series.
pub(crate) const BLOCK_BYTES: u64 = 128 << 10;

/// Most bytes that a block may claim to hold: one series of a long flush can be large.
const LARGEST_BLOCK_BYTES: usize = 1 << 31;
/// Rows for which room is made before they are there.
const MOST_ROOM: usize = 1 << 16;
/// Most columns that a series may claim to have: where it has no rows, nothing else bounds them.
const LARGEST_WIDTH: usize = 1 << 20;

/// Frames of one series in arrival order, as read from a block.
#[derive(Debug, PartialEq)]
pub(crate) struct Series {
    pub(crate) instance: InstanceId,
    pub(crate) schema: SchemaId,
    pub(crate) frames: Frames,
}

/// One series of a block, not unpacked yet.
pub(crate) struct Packed<'a> {
    planes: &'a [u8],
    /// Numbers of the whole block.
    count: usize,
    /// The first of its own.
    at: usize,
    rows: usize,
    width: usize,
    /// Room to work in.
    numbers: &'a mut Vec<u64>,
}

/// Packs series into a block.
pub(crate) fn encode(series: &[(InstanceId, SchemaId, &Rows)]) -> Vec<u8> {
    let mut names = Vec::new();
    let mut numbers: Vec<u64> = Vec::new();
    put_varint(series.len() as u64, &mut names);
    for (instance, schema, rows) in series {
        put_text(instance.as_str(), &mut names);
        names.extend_from_slice(&schema.0.to_le_bytes());
        put_varint(rows.times.len() as u64, &mut names);
        put_varint(rows.width as u64, &mut names);
        difference(rows.times.iter().map(|at| at.0), &mut numbers);
        for column in 0..rows.width {
            let values = rows.values.iter().skip(column).step_by(rows.width.max(1));
            difference(values.map(|value| value.0.cast_signed()), &mut numbers);
        }
    }
    let mut raw = Vec::with_capacity(names.len() + 8 * numbers.len() + 10);
    put_varint(names.len() as u64, &mut raw);
    raw.extend_from_slice(&names);
    for plane in 0..8 {
        raw.extend(numbers.iter().map(|number| (number >> (8 * plane)) as u8));
    }
    lz4_flex::compress_prepend_size(&raw)
}

fn difference(numbers: impl Iterator<Item = i64>, into: &mut Vec<u64>) {
    let mut before = 0i64;
    for number in numbers {
        into.push(zigzag(number.wrapping_sub(before)));
        before = number;
    }
}

/// Shows every series of a block; `None` if the bytes are not a block, of which some may have been shown.
pub(crate) fn visit(block: &[u8], see: impl FnMut(&str, SchemaId, Packed<'_>)) -> Option<()> {
    visit_unpacked(&decompress(block)?, see)
}

/// The same of a block that was unpacked before.
pub(crate) fn visit_unpacked(raw: &[u8], mut see: impl FnMut(&str, SchemaId, Packed<'_>)) -> Option<()> {
    let mut cursor = Cursor(raw);
    let names = cursor.size()?;
    let mut names = Cursor(cursor.take(names)?);
    let planes = cursor.0;
    let count = planes.len() / 8;
    let mut at = 0usize;
    let mut numbers = Vec::new();
    for _ in 0..names.count()? {
        let instance = names.text()?;
        let schema = SchemaId(names.u64()?);
        let (rows, width) = (names.size()?, names.size()?);
        let next = rows.checked_mul(width.checked_add(1)?)?.checked_add(at)?;
        if next > count || width > LARGEST_WIDTH {
            return None;
        }
        see(instance, schema, Packed { planes, count, at, rows, width, numbers: &mut numbers });
        at = next;
    }
    Some(())
}

impl Packed<'_> {
    /// Adds the frames to those of the same series that arrived earlier. The first makes room for so many like it.
    pub(crate) fn append_to(mut self, frames: &mut Frames, expected: usize) {
        if frames.times.is_empty() {
            let room = self.rows.saturating_mul(expected).min(self.rows.max(MOST_ROOM));
            frames.times.reserve_exact(room);
            frames.columns.resize_with(self.width, || Vec::with_capacity(room));
        }
        frames.times.extend(self.run(0).map(Timestamp));
        for column in 1..=self.width.min(frames.columns.len()) {
            frames.columns[column - 1].extend(self.run(column).map(|number| Value(number.cast_unsigned())));
        }
    }

    /// Adds the times and some of the columns; one that it does not have is missing.
    pub(crate) fn append_columns_to(mut self, frames: &mut Frames, columns: &[usize]) {
        frames.times.extend(self.run(0).map(Timestamp));
        for (&at, column) in columns.iter().zip(&mut frames.columns) {
            if at < self.width {
                column.extend(self.run(at + 1).map(|number| Value(number.cast_unsigned())));
            } else {
                column.resize(column.len() + self.rows, MISSING);
            }
        }
    }

    /// The numbers of a column: the times, then the values.
    fn run(&mut self, column: usize) -> impl ExactSizeIterator<Item = i64> + use<'_> {
        let from = self.at + column * self.rows;
        self.numbers.clear();
        self.numbers.resize(self.rows, 0);
        for plane in 0..8 {
            let bytes = &self.planes[plane * self.count + from..plane * self.count + from + self.rows];
            for (number, &byte) in self.numbers.iter_mut().zip(bytes) {
                *number |= u64::from(byte) << (8 * plane);
            }
        }
        let mut before = 0i64;
        self.numbers.iter().map(move |&number| {
            before = before.wrapping_add(unzigzag(number));
            before
        })
    }
}

/// Unpacks LZ4 with its size in front, without believing a size that the bytes cannot hold.
pub(crate) fn decompress(bytes: &[u8]) -> Option<Vec<u8>> {
    let claimed = Cursor(bytes).u32()? as usize;
    // LZ4 codes 255 bytes in one at best.
    if claimed > LARGEST_BLOCK_BYTES || claimed > bytes.len().saturating_mul(256) {
        return None;
    }
    lz4_flex::decompress_size_prepended(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(block: &[u8], wanted: impl Fn(&str) -> bool) -> Option<Vec<Series>> {
        let mut all = Vec::new();
        visit(block, |name, schema, packed| {
            let mut frames = Frames::default();
            packed.append_to(&mut frames, 1);
            all.push(Series { instance: InstanceId::new(name), schema, frames });
        })?;
        all.retain(|series| wanted(series.instance.as_str()));
        Some(all)
    }

    fn rows(width: usize, frames: &[(i64, u64)]) -> Rows {
        let mut rows = Rows { width, ..Rows::default() };
        for &(at, seed) in frames {
            let value =
                |column: usize| if seed % 5 == 0 { MISSING } else { Value(seed.wrapping_mul(column as u64)) };
            rows.push(Timestamp(at), &(0..width).map(value).collect::<Vec<_>>());
        }
        rows
    }

    proptest! {
        #[test]
        fn blocks_come_back(
            a in prop::collection::vec((any::<i64>(), any::<u64>()), 0..50),
            b in prop::collection::vec((0i64..100, 0u64..9), 0..50),
            width in 0usize..5,
        ) {
            let (x, y) = (rows(width, &a), rows(3, &b));
            let block = encode(&[
                (InstanceId::new("a"), SchemaId(1), &x),
                (InstanceId::new("b"), SchemaId(u64::MAX), &y),
            ]);
            let series = decode(&block, |_| true).unwrap();
            prop_assert_eq!(&series[0].frames, &x.transpose());
            prop_assert_eq!(&series[1].frames, &y.transpose());
            let one = decode(&block, |instance| instance == "b").unwrap();
            prop_assert_eq!(&one[0], &series[1]);
        }

        #[test]
        fn foreign_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes, |_| true);
        }
    }
}
