//! The frame batch: columns of differences, as byte planes, compressed.

use foretwin_core::{Batch, InstanceId, Origin, Row, SchemaId, Timestamp, Value};

use crate::Error;
use crate::cursor::{Budget, Cursor, put_text, put_varint, unzigzag, zigzag};

/// Most values in one batch: 4 Mi, 32 MiB of samples. A larger claim is damage or abuse.
const MOST_VALUES: usize = 4 << 20;

/// Appends the encoding of a batch.
///
/// Column by column, each value is written as the zigzag difference from the row before (of whatever instance: a
/// sweep over a fleet names each once, a backlog of one instance has neighbours in time). The eight bytes of all
/// differences are then gathered into planes, so that the zeroes of small numbers lie together for LZ4.
pub(crate) fn encode(batch: &Batch, into: &mut Vec<u8>) {
    let origin = batch.origin();
    for word in [origin.source, origin.epoch, origin.sequence, batch.schema().0] {
        into.extend_from_slice(&word.to_le_bytes());
    }
    put_varint(batch.width() as u64, into);
    put_varint(batch.instances().len() as u64, into);
    for instance in batch.instances() {
        put_text(instance.as_str(), into);
    }
    put_varint(batch.rows().len() as u64, into);
    let mut before = 0i64;
    for row in batch.rows() {
        put_varint(u64::from(row.instance), into);
        put_varint(zigzag(row.at.0.wrapping_sub(before)), into);
        before = row.at.0;
    }
    let planes = to_planes(batch.values(), batch.width());
    into.extend_from_slice(&lz4_flex::compress_prepend_size(&planes));
}

fn to_planes(values: &[Value], width: usize) -> Vec<u8> {
    let count = values.len();
    let rows = count.checked_div(width).unwrap_or(0);
    let mut planes = vec![0u8; count * 8];
    for column in 0..width {
        let mut before = 0u64;
        for row in 0..rows {
            let value = values[row * width + column].0;
            let difference = zigzag(value.wrapping_sub(before).cast_signed());
            before = value;
            for (plane, byte) in difference.to_le_bytes().into_iter().enumerate() {
                planes[plane * count + column * rows + row] = byte;
            }
        }
    }
    planes
}

fn from_planes(planes: &[u8], rows: usize, width: usize) -> Vec<Value> {
    let count = rows * width;
    let mut values = vec![Value(0); count];
    for column in 0..width {
        let mut before = 0u64;
        for row in 0..rows {
            let mut bytes = [0u8; 8];
            for (plane, byte) in bytes.iter_mut().enumerate() {
                *byte = planes[plane * count + column * rows + row];
            }
            before = before.wrapping_add(unzigzag(u64::from_le_bytes(bytes)).cast_unsigned());
            values[row * width + column] = Value(before);
        }
    }
    values
}

/// Reads a batch that fills the rest of the cursor.
pub(crate) fn decode(cursor: &mut Cursor, budget: &mut Budget) -> Result<Batch, Error> {
    let source = cursor.u64("batch source")?;
    let epoch = cursor.u64("batch epoch")?;
    let sequence = cursor.u64("batch sequence")?;
    let schema = SchemaId(cursor.u64("batch schema")?);
    let width = usize::try_from(cursor.varint("batch width")?)
        .map_err(|_| Error::invalid("batch width", "too large"))?;
    let count = cursor.count(1, "batch instances")?;
    budget.spend(count.saturating_mul(size_of::<InstanceId>()), "batch instances")?;
    let mut instances = Vec::with_capacity(count);
    for _ in 0..count {
        instances.push(InstanceId::new(cursor.text("batch instance")?));
    }
    let count = cursor.count(2, "batch rows")?;
    budget.spend(count.saturating_mul(size_of::<Row>()), "batch rows")?;
    let mut rows = Vec::with_capacity(count);
    let mut at = 0i64;
    for _ in 0..count {
        let instance = u32::try_from(cursor.varint("row instance")?)
            .map_err(|_| Error::invalid("row instance", "too large"))?;
        at = at.wrapping_add(unzigzag(cursor.varint("row time")?));
        rows.push(Row { instance, at: Timestamp(at) });
    }
    let values = values(cursor, budget, rows.len(), width)?;
    Batch::from_parts((Origin { source, epoch, sequence }, schema, width), instances, rows, values)
        .map_err(|error| Error::invalid("batch", error))
}

fn values(cursor: &mut Cursor, budget: &mut Budget, rows: usize, width: usize) -> Result<Vec<Value>, Error> {
    let expected = rows.saturating_mul(width);
    if expected > MOST_VALUES {
        return Err(Error::invalid("batch values", format!("{expected} values, at most {MOST_VALUES}")));
    }
    let packed = std::mem::take(&mut cursor.0);
    let (claimed, block) =
        lz4_flex::block::uncompressed_size(packed).map_err(|error| Error::invalid("batch values", error))?;
    // LZ4 cannot shrink below one in 255, so a larger claim is false and nothing is allocated for it.
    let plausible = claimed <= block.len().saturating_mul(256).saturating_add(256);
    if claimed != expected * 8 || !plausible {
        return Err(Error::invalid("batch values", "their number is not rows times width"));
    }
    budget.spend(claimed, "batch values")?;
    let planes =
        lz4_flex::decompress(block, claimed).map_err(|error| Error::invalid("batch values", error))?;
    if planes.len() != claimed {
        return Err(Error::Short { what: "batch values" });
    }
    Ok(from_planes(&planes, rows, width))
}
