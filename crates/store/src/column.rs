//! One column of a sealed file: what repeats is counted, what changes goes through `pco`, what is missing costs a
//! run length.
//!
//! A constant column has no bytes of its own: its value stands in the index. Any other is a *chunk*:
//! runs of present and missing rows (only where something is missing), then the present values, coded by
//! whichever of `pco`, change runs and (where there are few) plain differences is shortest. Leaving the missing values out, rather than coding their bit
//! pattern, keeps differences small.

use foretwin_core::{MISSING, Storage, Value};
use pco::wrapped::{FileCompressor, FileDecompressor};
use pco::{ChunkConfig, DeltaSpec, PagingSpec};

use crate::bytes::{Cursor, put_signed, put_varint};

/// Most rows of one chunk: bounds what a reader must decode to see one value.
pub(crate) const CHUNK_ROWS: usize = 1 << 16;

const DENSE: u8 = 0;
const GAPPED: u8 = 1;
const PCO: u8 = 0;
const RUNS: u8 = 1;
const STEPS: u8 = 2;
/// Set beside the coding where doubles are coded as the integers they are.
const WHOLE: u8 = 0x80;
/// Below this many values what pco says of itself outweighs what it saves.
const FEW: usize = 48;

/// What became of a column.
#[derive(Debug, PartialEq)]
pub(crate) enum Column {
    Constant(Value),
    Chunk(Vec<u8>),
}

/// Codes a column of at least one value.
pub(crate) fn encode(values: &[Value], storage: Storage, level: usize) -> Column {
    let first = values.first().copied().unwrap_or(MISSING);
    if values.iter().all(|&value| value == first) {
        return Column::Constant(first);
    }
    let mut chunk = Vec::new();
    if values.iter().any(|value| value.is_missing()) {
        chunk.push(GAPPED);
        put_presence(values, &mut chunk);
        let present: Vec<Value> = values.iter().copied().filter(|value| !value.is_missing()).collect();
        put_values(&present, storage, level, &mut chunk);
    } else {
        chunk.push(DENSE);
        put_values(values, storage, level, &mut chunk);
    }
    Column::Chunk(chunk)
}

/// The `rows` values of a chunk; `None` if the bytes are not one.
pub(crate) fn decode(chunk: &[u8], rows: usize, storage: Storage) -> Option<Vec<Value>> {
    if rows > CHUNK_ROWS {
        return None;
    }
    let mut cursor = Cursor(chunk);
    if cursor.byte()? == DENSE {
        return take_values(&mut cursor, rows, storage);
    }
    let runs = take_presence(&mut cursor, rows)?;
    let present = runs.iter().skip(1).step_by(2).sum();
    let mut values = take_values(&mut cursor, present, storage)?.into_iter();
    let mut all = Vec::with_capacity(rows);
    for (at, &run) in runs.iter().enumerate() {
        if at % 2 == 0 {
            all.resize(all.len() + run, MISSING);
        } else {
            all.extend(values.by_ref().take(run));
        }
    }
    (all.len() == rows).then_some(all)
}

/// Run lengths, missing first, then present, in turn.
fn put_presence(values: &[Value], into: &mut Vec<u8>) {
    let mut runs = vec![0u64];
    let mut missing = true;
    for value in values {
        if value.is_missing() != missing {
            missing = !missing;
            runs.push(0);
        }
        if let Some(run) = runs.last_mut() {
            *run += 1;
        }
    }
    put_varint(runs.len() as u64, into);
    runs.into_iter().for_each(|run| put_varint(run, into));
}

fn take_presence(cursor: &mut Cursor<'_>, rows: usize) -> Option<Vec<usize>> {
    let count = cursor.count()?;
    let runs: Vec<usize> = (0..count).map(|_| cursor.size()).collect::<Option<_>>()?;
    let total = runs.iter().try_fold(0usize, |sum, &run| sum.checked_add(run))?;
    (total == rows).then_some(runs)
}

fn put_values(values: &[Value], storage: Storage, level: usize, into: &mut Vec<u8>) {
    let whole = || values.iter().map(whole).collect::<Option<Vec<Value>>>();
    if let Some(whole) = (storage == Storage::F64).then(whole).flatten() {
        return put_numbers(WHOLE, (&whole, Storage::I64), level, into);
    }
    put_numbers(0, (values, storage), level, into);
}

/// A double that is an integer, as one: sums, and gauges that a source chose to print as decimals.
fn whole(value: &Value) -> Option<Value> {
    let number = f64::from_bits(value.0);
    let integer = number as i64;
    ((integer as f64).to_bits() == value.0 && number.abs() < 9e15).then_some(Value(integer.cast_unsigned()))
}

/// Whichever coding is shortest, without trying pco where it cannot win.
fn put_numbers(flag: u8, (values, storage): (&[Value], Storage), level: usize, into: &mut Vec<u8>) {
    let changes = values.windows(2).filter(|pair| pair[0] != pair[1]).count();
    let few = values.len() < FEW;
    let mut best: Option<(u8, Vec<u8>)> = None;
    let mut offer = |coding, bytes: Vec<u8>| {
        if best.as_ref().is_none_or(|(_, shortest)| bytes.len() < shortest.len()) {
            best = Some((coding, bytes));
        }
    };
    // A change costs two bytes or more as a run, and hardly ever less than a quarter of one in pco.
    if changes * 8 < values.len() {
        offer(RUNS, code_runs(values));
    }
    if few {
        offer(STEPS, code_steps(values));
    }
    let packed = (!few || storage == Storage::F64).then(|| pack(values, storage, level)).flatten();
    if let Some(packed) = packed {
        offer(PCO, packed);
    }
    let (coding, bytes) = best.unwrap_or_else(|| (RUNS, code_runs(values)));
    into.push(coding | flag);
    into.extend_from_slice(&bytes);
}

fn take_values(cursor: &mut Cursor<'_>, count: usize, storage: Storage) -> Option<Vec<Value>> {
    let coding = cursor.byte()?;
    let is_whole = coding & WHOLE != 0;
    let storage = if is_whole { Storage::I64 } else { storage };
    let values = match coding & !WHOLE {
        PCO => unpack(cursor.0, count, storage)?,
        RUNS => decode_runs(cursor, count)?,
        STEPS => decode_steps(cursor, count)?,
        _ => return None,
    };
    let double = |value: Value| Value((value.0.cast_signed() as f64).to_bits());
    Some(if is_whole { values.into_iter().map(double).collect() } else { values })
}

/// The difference of each value from the one before.
fn code_steps(values: &[Value]) -> Vec<u8> {
    let mut coded = Vec::with_capacity(2 * values.len() + 8);
    let mut before = 0u64;
    for value in values {
        put_signed(value.0.wrapping_sub(before).cast_signed(), &mut coded);
        before = value.0;
    }
    coded
}

fn decode_steps(cursor: &mut Cursor<'_>, count: usize) -> Option<Vec<Value>> {
    let mut value = 0u64;
    let next = |_| {
        value = value.wrapping_add(cursor.signed()?.cast_unsigned());
        Some(Value(value))
    };
    (0..count).map(next).collect()
}

/// Length of each run of equal values, and its difference from the one before.
fn code_runs(values: &[Value]) -> Vec<u8> {
    let mut coded = Vec::new();
    let mut before = 0u64;
    for run in values.chunk_by(|a, b| a == b) {
        put_varint(run.len() as u64, &mut coded);
        put_signed(run[0].0.wrapping_sub(before).cast_signed(), &mut coded);
        before = run[0].0;
    }
    coded
}

fn decode_runs(cursor: &mut Cursor<'_>, count: usize) -> Option<Vec<Value>> {
    let mut values = Vec::with_capacity(count);
    let mut value = 0u64;
    while values.len() < count {
        let run = cursor.size()?;
        value = value.wrapping_add(cursor.signed()?.cast_unsigned());
        if run == 0 || run > count - values.len() {
            return None;
        }
        values.resize(values.len() + run, Value(value));
    }
    Some(values)
}

fn pack(values: &[Value], storage: Storage, level: usize) -> Option<Vec<u8>> {
    let config = ChunkConfig::default()
        .with_compression_level(level)
        .with_delta_spec(delta(values, storage))
        .with_paging_spec(PagingSpec::Exact(vec![values.len()]));
    match storage {
        Storage::U64 => pack_numbers(&values.iter().map(|value| value.0).collect::<Vec<u64>>(), &config),
        Storage::I64 => {
            pack_numbers(&values.iter().map(|value| value.0.cast_signed()).collect::<Vec<i64>>(), &config)
        }
        Storage::F64 => {
            pack_numbers(&values.iter().map(|value| f64::from_bits(value.0)).collect::<Vec<f64>>(), &config)
        }
    }
}

/// First differences, unless the values jump about a level more than they drift. On /proc telemetry this packs
/// as well as pco's own search for the order and takes a sixth of its time.
fn delta(values: &[Value], storage: Storage) -> DeltaSpec {
    let number = |value: &Value| match storage {
        Storage::U64 => value.0 as f64,
        Storage::I64 => value.0.cast_signed() as f64,
        Storage::F64 => f64::from_bits(value.0),
    };
    let mean = values.iter().map(number).sum::<f64>() / values.len() as f64;
    let spread: f64 = values.iter().map(|value| (number(value) - mean).abs()).sum();
    let steps: f64 = values.windows(2).map(|pair| (number(&pair[1]) - number(&pair[0])).abs()).sum();
    if steps > 1.2 * spread { DeltaSpec::NoOp } else { DeltaSpec::TryConsecutive(1) }
}

fn unpack(bytes: &[u8], count: usize, storage: Storage) -> Option<Vec<Value>> {
    match storage {
        Storage::U64 => Some(unpack_numbers::<u64>(bytes, count)?.into_iter().map(Value).collect()),
        Storage::I64 => {
            Some(unpack_numbers::<i64>(bytes, count)?.into_iter().map(|n| Value(n.cast_unsigned())).collect())
        }
        Storage::F64 => {
            Some(unpack_numbers::<f64>(bytes, count)?.into_iter().map(|n| Value(n.to_bits())).collect())
        }
    }
}

/// One page in pco's wrapped form, which spares the standalone header. `None` if pco refuses, which it does for
/// no input of ours; the caller then codes runs.
fn pack_numbers<T: pco::data_types::Number>(numbers: &[T], config: &ChunkConfig) -> Option<Vec<u8>> {
    let file = FileCompressor::default();
    let bytes = file.write_header(Vec::new()).ok()?;
    let mut chunk = file.chunk_compressor(numbers, config).ok()?;
    let bytes = chunk.write_meta(bytes).ok()?;
    chunk.write_page(0, bytes).ok()
}

fn unpack_numbers<T: pco::data_types::Number + Default>(bytes: &[u8], count: usize) -> Option<Vec<T>> {
    let (file, rest) = FileDecompressor::new(bytes).ok()?;
    let (mut chunk, rest) = file.chunk_decompressor::<T, _>(rest).ok()?;
    let mut page = chunk.page_decompressor(rest, count).ok()?;
    let mut numbers = vec![T::default(); count];
    let progress = page.read(&mut numbers).ok()?;
    (progress.n_processed == count).then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn back(column: Column, rows: usize, storage: Storage) -> Vec<Value> {
        match column {
            Column::Constant(value) => vec![value; rows],
            Column::Chunk(chunk) => decode(&chunk, rows, storage).unwrap(),
        }
    }

    #[test]
    fn a_constant_takes_no_bytes() {
        assert_eq!(encode(&[MISSING; 9], Storage::F64, 8), Column::Constant(MISSING));
        assert_eq!(encode(&[Value(7); 9], Storage::U64, 8), Column::Constant(Value(7)));
    }

    #[test]
    fn gaps_do_not_spoil_a_counter() {
        let dense: Vec<Value> = (0..3600).map(|n| Value(1_000_000 + n * 1000 + n % 7)).collect();
        let mut gapped = dense.clone();
        gapped[100..110].fill(MISSING);
        gapped[2000] = MISSING;
        let length = |values: &[Value]| match encode(values, Storage::U64, 8) {
            Column::Chunk(chunk) => chunk.len(),
            Column::Constant(_) => 0,
        };
        assert!(length(&gapped) < length(&dense) + 100, "{} {}", length(&gapped), length(&dense));
    }

    #[test]
    fn foreign_bytes_are_refused() {
        let Column::Chunk(chunk) = encode(&[Value(1), Value(2), MISSING], Storage::U64, 8) else { panic!() };
        assert!(decode(&chunk, 4, Storage::U64).is_none());
        assert!(decode(&chunk[..2], 3, Storage::U64).is_none());
        assert!(decode(&chunk, CHUNK_ROWS + 1, Storage::U64).is_none());
    }

    fn values() -> impl Strategy<Value = Vec<Value>> {
        let value = prop_oneof![
            4 => (0u64..20).prop_map(Value),
            2 => any::<u64>().prop_map(Value),
            2 => any::<f64>().prop_map(Value::float),
            2 => (-9i32..9).prop_map(|n| Value::float(f64::from(n))),
            1 => Just(Value::float(-0.0)),
            2 => Just(MISSING),
        ];
        let run = (value, 1usize..40).prop_map(|(value, length)| vec![value; length]);
        prop::collection::vec(run, 1..30).prop_map(|runs| runs.concat())
    }

    proptest! {
        #[test]
        fn every_bit_comes_back(values in values()) {
            for storage in [Storage::U64, Storage::I64, Storage::F64] {
                let coded = encode(&values, storage, 8);
                prop_assert_eq!(&back(coded, values.len(), storage), &values);
            }
        }
    }
}
