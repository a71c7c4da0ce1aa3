//! What the instances of a partition carry from frame to frame, as one file for a restart.
//!
//! `"FTck" | version u32 | partition u8 | count | entries | CRC-32 of all before`; an entry is `instance | schema u64 | model
//! version u64 | trained_at i64 | at i64 | length | state`. Counts and lengths are LEB128, numbers little endian. States are
//! bytes of **learn**'s, with a version and a checksum of their own. Readers of old versions stay: one is only ever added.

use foretwin_core::{InstanceId, Partition, SchemaId, Timestamp};

use crate::cursor::{Cursor, put_text, put_varint};
use crate::{Error, checksum};

const MARK: [u8; 4] = *b"FTck";
const VERSION: u32 = 1;
/// Bytes that an entry takes at least.
const LEAST_ENTRY: usize = 34;
const WHAT: &str = "checkpoint";

/// The state of one model for one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedState {
    /// Whose frames it has seen.
    pub instance: InstanceId,
    /// Of which schema.
    pub schema: SchemaId,
    /// Version of the model that it belongs to, and when that was trained: versions are numbered within a line only.
    pub model: u64,
    /// See `model`.
    pub trained_at: Timestamp,
    /// The newest frame it has seen.
    pub at: Timestamp,
    /// The state itself.
    pub state: Vec<u8>,
}

/// States as bytes.
#[must_use]
pub fn encode(partition: Partition, states: &[SavedState]) -> Vec<u8> {
    let mut bytes = MARK.to_vec();
    bytes.extend(VERSION.to_le_bytes());
    bytes.push(partition.0);
    put_varint(states.len() as u64, &mut bytes);
    for saved in states {
        put_text(saved.instance.as_str(), &mut bytes);
        bytes.extend(saved.schema.0.to_le_bytes());
        bytes.extend(saved.model.to_le_bytes());
        bytes.extend(saved.trained_at.0.to_le_bytes());
        bytes.extend(saved.at.0.to_le_bytes());
        put_varint(saved.state.len() as u64, &mut bytes);
        bytes.extend(&saved.state);
    }
    bytes.extend(checksum(&bytes).to_le_bytes());
    bytes
}

/// States from bytes.
///
/// # Errors
/// If the bytes are damaged, of another partition, or of a version that this program does not know.
pub fn decode(partition: Partition, bytes: &[u8]) -> Result<Vec<SavedState>, Error> {
    let (body, sum) = bytes.split_last_chunk::<4>().ok_or(Error::Short { what: WHAT })?;
    let mut cursor = Cursor(body);
    if cursor.take(4, WHAT)? != MARK {
        return Err(Error::invalid(WHAT, "these bytes are something else"));
    }
    let version = cursor.u32(WHAT)?;
    if version != VERSION {
        return Err(Error::invalid(
            WHAT,
            format!("version {version} is unknown, this program reads {VERSION}"),
        ));
    }
    if checksum(body) != u32::from_le_bytes(*sum) {
        return Err(Error::Checksum { what: WHAT });
    }
    if cursor.take(1, WHAT)? != [partition.0] {
        return Err(Error::invalid(WHAT, format!("it is not of partition {}", partition.0)));
    }
    let count = cursor.count(LEAST_ENTRY, WHAT)?;
    let mut states = Vec::with_capacity(count);
    for _ in 0..count {
        let instance = InstanceId::new(cursor.text(WHAT)?);
        let (schema, model) = (SchemaId(cursor.u64(WHAT)?), cursor.u64(WHAT)?);
        let [trained_at, at] = [cursor.u64(WHAT)?, cursor.u64(WHAT)?].map(|us| Timestamp(us.cast_signed()));
        let length = cursor.count(1, WHAT)?;
        let state = cursor.take(length, WHAT)?.to_vec();
        states.push(SavedState { instance, schema, model, trained_at, at, state });
    }
    match cursor.0.is_empty() {
        true => Ok(states),
        false => Err(Error::invalid(WHAT, "there are bytes behind its end")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn states() -> Vec<SavedState> {
        let saved = |n: u64| SavedState {
            instance: InstanceId::new(&format!("host/app {n}")),
            schema: SchemaId(n << 40),
            model: n,
            trained_at: Timestamp(-(n.cast_signed())),
            at: Timestamp(1_700_000_000_000_000),
            state: vec![n as u8; 300 * n as usize],
        };
        (0..3).map(saved).collect()
    }

    #[test]
    fn what_was_written_is_read() {
        let bytes = encode(Partition(7), &states());
        assert_eq!(decode(Partition(7), &bytes).unwrap(), states());
        assert_eq!(decode(Partition(0), &encode(Partition(0), &[])).unwrap(), []);
        assert!(decode(Partition(8), &bytes).is_err(), "of another partition");
    }

    #[test]
    fn every_damaged_byte_is_noticed() {
        let bytes = encode(Partition(7), &states());
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert!(decode(Partition(7), &damaged).is_err(), "byte {at}");
            assert!(decode(Partition(7), &bytes[..at]).is_err(), "cut at {at}");
        }
    }
}
