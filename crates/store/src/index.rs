//! The index of one partition of a sealed file: which series it holds, and where each column lies.

use foretwin_core::{InstanceId, MISSING, Timestamp, Value};

use crate::bytes::{Cursor, Place, put_signed, put_text, put_varint};
use crate::planes::decompress;

const CONSTANT: u8 = 0;
const CHUNK: u8 = 1;
const ABSENT: u8 = 2;

/// The series of a partition, in the order they were written.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Index {
    pub(crate) series: Vec<Series>,
}

/// Some frames of one series.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Series {
    pub(crate) instance: InstanceId,
    /// Number of its schema in the file.
    pub(crate) schema: usize,
    pub(crate) rows: usize,
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
    /// Where its first chunk begins; the others follow it without a gap.
    pub(crate) offset: u64,
    /// The times, then the columns.
    pub(crate) cells: Vec<Cell>,
}

/// A column of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Cell {
    /// The same value in all rows.
    Constant(Value),
    /// Coded values.
    Chunk(Place),
}

impl Index {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut into = Vec::new();
        put_varint(self.series.len() as u64, &mut into);
        let (mut before, mut end) = (None, 0);
        for series in &self.series {
            // Series of an instance follow each other: its name stands once.
            if before == Some(&series.instance) {
                put_text("", &mut into);
            } else {
                put_text(series.instance.as_str(), &mut into);
            }
            before = Some(&series.instance);
            put_varint(series.schema as u64, &mut into);
            put_varint(series.rows as u64, &mut into);
            put_signed(series.first.0, &mut into);
            put_varint(series.last.0.wrapping_sub(series.first.0).cast_unsigned(), &mut into);
            put_varint(series.offset - end, &mut into);
            put_varint(series.cells.len() as u64, &mut into);
            series.cells.iter().for_each(|cell| cell.put(&mut into));
            end = series.end();
        }
        lz4_flex::compress_prepend_size(&into)
    }

    /// Reads the series whose instance is wanted; `None` if the bytes are not an index.
    pub(crate) fn decode(bytes: &[u8], wanted: impl Fn(&str) -> bool) -> Option<Self> {
        let raw = decompress(bytes)?;
        let mut cursor = Cursor(&raw);
        let mut index = Self::default();
        let (mut name, mut end) = ("", 0);
        let mut instance = InstanceId::new("");
        for _ in 0..cursor.count()? {
            let stated = cursor.text()?;
            if !stated.is_empty() {
                (name, instance) = (stated, InstanceId::new(stated));
            }
            let (schema, rows) = (cursor.size()?, cursor.size()?);
            let first = cursor.signed()?;
            let last = first.wrapping_add(cursor.varint()?.cast_signed());
            let offset = cursor.varint()?.checked_add(end)?;
            let mut at = offset;
            let cells = cursor.count()?;
            let cells = (0..cells).map(|_| Cell::take(&mut cursor, &mut at)).collect::<Option<Vec<_>>>()?;
            end = at;
            if wanted(name) {
                let (first, last) = (Timestamp(first), Timestamp(last));
                index.series.push(Series {
                    instance: instance.clone(),
                    schema,
                    rows,
                    first,
                    last,
                    offset,
                    cells,
                });
            }
        }
        Some(index)
    }
}

impl Series {
    /// Where its last chunk ends.
    pub(crate) fn end(&self) -> u64 {
        let places = self.cells.iter().filter_map(|cell| match cell {
            Cell::Chunk(place) => Some(place.end()),
            Cell::Constant(_) => None,
        });
        places.max().unwrap_or(self.offset)
    }
}

impl Cell {
    fn put(self, into: &mut Vec<u8>) {
        match self {
            Self::Constant(MISSING) => into.push(ABSENT),
            Self::Constant(value) => {
                into.push(CONSTANT);
                put_varint(value.0, into);
            }
            Self::Chunk(place) => {
                into.push(CHUNK);
                put_varint(u64::from(place.length), into);
                into.extend_from_slice(&place.crc.to_le_bytes());
            }
        }
    }

    /// Reads a cell; a chunk begins at `at`, which moves to its end.
    fn take(cursor: &mut Cursor<'_>, at: &mut u64) -> Option<Self> {
        Some(match cursor.byte()? {
            ABSENT => Self::Constant(MISSING),
            CONSTANT => Self::Constant(Value(cursor.varint()?)),
            CHUNK => {
                let length = u32::try_from(cursor.varint()?).ok()?;
                let place = Place { offset: *at, length, crc: cursor.u32()? };
                *at = at.checked_add(u64::from(length))?;
                Self::Chunk(place)
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_comes_back_whole_and_in_part() {
        let series = |name: &str, offset| Series {
            instance: InstanceId::new(name),
            schema: 1,
            rows: 7,
            first: Timestamp(-5),
            last: Timestamp(900),
            offset,
            cells: vec![
                Cell::Chunk(Place { offset, length: 9, crc: 77 }),
                Cell::Constant(MISSING),
                Cell::Constant(Value(3)),
                Cell::Chunk(Place { offset: offset + 9, length: 1, crc: 5 }),
            ],
        };
        let index = Index { series: vec![series("a", 8), series("a", 18), series("b", 40)] };
        let bytes = index.encode();
        assert_eq!(Index::decode(&bytes, |_| true).unwrap(), index);
        assert_eq!(Index::decode(&bytes, |name| name == "b").unwrap().series, index.series[2..]);
        for cut in 0..bytes.len() {
            let _ = Index::decode(&bytes[..cut], |_| true);
        }
    }
}
