//! The block of a hot file: a few series as they are in memory, packed fast rather than tightly.
//!
//! Times and columns become zigzag differences, the differences of the whole block are split into eight planes of
//! equal significance, and LZ4 finds that most planes hold nothing.

use foretwin_core::{InstanceId, SchemaId, Timestamp, Value};

use crate::bytes::{Cursor, put_text, put_varint, unzigzag, zigzag};
use crate::frames::{Frames, Rows};

/// Uncompressed bytes at which a block is closed: what a reader decodes to see one series.
pub(crate) const BLOCK_BYTES: u64 = 128 << 10;

/// Most bytes that a block may claim to hold: one series of a long flush can be large.
const LARGEST_BLOCK_BYTES: usize = 1 << 31;

/// Frames of one series in arrival order, as read from a block.
#[derive(Debug, PartialEq)]
pub(crate) struct Series {
    pub(crate) instance: InstanceId,
    pub(crate) schema: SchemaId,
    pub(crate) frames: Frames,
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

/// The series of a block that `wanted` names; `None` if the bytes are not a block.
pub(crate) fn decode(block: &[u8], wanted: impl Fn(&str, SchemaId) -> bool) -> Option<Vec<Series>> {
    let raw = decompress(block)?;
    let mut cursor = Cursor(&raw);
    let names = cursor.size()?;
    let mut names = Cursor(cursor.take(names)?);
    let planes = cursor.0;
    let count = planes.len() / 8;
    let mut at = 0usize;
    let mut series = Vec::new();
    for _ in 0..names.count()? {
        let instance = names.text()?;
        let schema = SchemaId(names.u64()?);
        let (rows, width) = (names.size()?, names.size()?);
        let next = rows.checked_mul(width.checked_add(1)?)?.checked_add(at)?;
        if next > count {
            return None;
        }
        if wanted(instance, schema) {
            let run = |column: usize| integrate(planes, count, at + column * rows, rows);
            let times = run(0).into_iter().map(Timestamp).collect();
            let column =
                |column| run(column).into_iter().map(|number| Value(number.cast_unsigned())).collect();
            let columns = (1..=width).map(column).collect();
            let frames = Frames { times, columns };
            series.push(Series { instance: InstanceId::new(instance), schema, frames });
        }
        at = next;
    }
    Some(series)
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

fn integrate(planes: &[u8], count: usize, from: usize, rows: usize) -> Vec<i64> {
    let mut numbers = vec![0u64; rows];
    for plane in 0..8 {
        let bytes = &planes[plane * count + from..plane * count + from + rows];
        for (number, &byte) in numbers.iter_mut().zip(bytes) {
            *number |= u64::from(byte) << (8 * plane);
        }
    }
    let mut before = 0i64;
    let sum = |number: u64| {
        before = before.wrapping_add(unzigzag(number));
        before
    };
    numbers.into_iter().map(sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use foretwin_core::MISSING;
    use proptest::prelude::*;

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
            let series = decode(&block, |_, _| true).unwrap();
            prop_assert_eq!(&series[0].frames, &x.transpose());
            prop_assert_eq!(&series[1].frames, &y.transpose());
            let one = decode(&block, |instance, _| instance == "b").unwrap();
            prop_assert_eq!(&one[0], &series[1]);
        }

        #[test]
        fn foreign_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes, |_, _| true);
        }
    }
}
