//! Records on their way over the network: each with its length and checksum, one after the other.

use foretwin_core::Record;

use crate::cursor::{Budget, Cursor};
use crate::{Error, record};

/// Most bytes of one record; more is damage or abuse.
pub const MOST_BYTES: usize = 64 << 20;

/// Appends a record: length (u32), CRC-32 of the bytes (u32), the bytes; little endian.
pub fn push(record: &Record, into: &mut Vec<u8>) {
    let mut bytes = Vec::new();
    record::encode(record, &mut bytes);
    push_encoded(&bytes, into);
}

/// Appends a record that is encoded already, as it stands in the log.
pub fn push_encoded(bytes: &[u8], into: &mut Vec<u8>) {
    into.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    into.extend_from_slice(&crc32fast::hash(bytes).to_le_bytes());
    into.extend_from_slice(bytes);
}

/// Reads all records of an envelope.
///
/// # Errors
/// If any length, checksum or record is wrong, or all unpack to more than 256 MiB; then none is returned, so that nothing is half applied.
pub fn decode(bytes: &[u8]) -> Result<Vec<Record>, Error> {
    let mut cursor = Cursor(bytes);
    let mut budget = Budget::new();
    let mut records = Vec::new();
    while !cursor.0.is_empty() {
        let length = cursor.u32("envelope length")? as usize;
        let checksum = cursor.u32("envelope checksum")?;
        if length > MOST_BYTES {
            return Err(Error::invalid("envelope length", format!("{length} bytes, at most {MOST_BYTES}")));
        }
        let body = cursor.take(length, "envelope body")?;
        if crc32fast::hash(body) != checksum {
            return Err(Error::Checksum { what: "envelope" });
        }
        records.push(record::decode_within(body, &mut budget)?);
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use foretwin_core::{Failure, FailureMode, InstanceId, Timestamp};

    use super::*;

    fn failure(n: i64) -> Record {
        let (instance, mode) = (InstanceId::new("a"), FailureMode::Crash);
        Record::Failure(Failure { instance, at: Timestamp(n), mode, note: String::new() })
    }

    #[test]
    fn records_come_back_in_order() {
        let mut bytes = Vec::new();
        (0..3).for_each(|n| push(&failure(n), &mut bytes));
        assert_eq!(decode(&bytes).unwrap(), [failure(0), failure(1), failure(2)]);
        assert!(decode(&[]).unwrap().is_empty());
    }

    #[test]
    fn records_that_unpack_to_too_much_together_are_refused() {
        let frames = foretwin_core::Batch::from_parts(
            (foretwin_core::Origin::default(), foretwin_core::SchemaId(1), 1 << 20),
            vec![InstanceId::new("a")],
            vec![foretwin_core::Row { instance: 0, at: Timestamp(0) }],
            vec![foretwin_core::Value(0); 1 << 20],
        );
        let record = Record::Batch(frames.unwrap());
        let mut bytes = Vec::new();
        push(&record, &mut bytes);
        // 8 MiB each: 31 fit with their rows.
        assert_eq!(decode(&bytes.repeat(31)).unwrap().len(), 31);
        let error = decode(&bytes.repeat(33)).unwrap_err().to_string();
        assert!(error.contains("256 MiB"), "{error}");
    }

    #[test]
    fn any_damage_refuses_the_whole() {
        let mut bytes = Vec::new();
        (0..2).for_each(|n| push(&failure(n), &mut bytes));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert!(decode(&damaged).is_err(), "a flip at {at} went unseen");
        }
        for length in 1..bytes.len() {
            // A cut exactly between the records leaves a whole envelope.
            let whole = decode(&bytes[..length]).is_ok();
            assert!(!whole || length == bytes.len() / 2);
        }
    }
}
