//! Records on their way over the network: each with its length and checksum, one after the other.

use foretwin_core::Record;

use crate::cursor::Cursor;
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
/// If any length, checksum or record is wrong; then none is returned, so that nothing is half applied.
pub fn decode(bytes: &[u8]) -> Result<Vec<Record>, Error> {
    let mut cursor = Cursor(bytes);
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
        records.push(record::decode(body)?);
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
