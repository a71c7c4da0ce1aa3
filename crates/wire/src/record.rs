//! One entry of the log as bytes: a kind, then a body.

use foretwin_core::{Failure, Instance, InstanceId, Maintenance, Metric, Record, Schema, Timestamp};
use serde::{Deserialize, Serialize};

use crate::cursor::{Budget, Cursor};
use crate::{Error, batch};

// Kinds are never reused. A changed body gets a new kind, and the old one stays readable.
const INSTANCE: u8 = 1;
const VANISHED: u8 = 2;
const SCHEMA: u8 = 3;
const BATCH: u8 = 4;
const FAILURE: u8 = 5;
const MAINTENANCE: u8 = 6;

/// Most bytes of a schema's text: 16 MiB, tens of thousands of metrics. More is damage or abuse.
const MOST_SCHEMA_BYTES: usize = 16 << 20;

#[derive(Serialize, Deserialize)]
struct Vanished {
    instance: InstanceId,
    at: Timestamp,
}

/// Appends the encoding of `record`.
pub fn encode(record: &Record, into: &mut Vec<u8>) {
    match record {
        Record::Batch(frames) => {
            into.push(BATCH);
            batch::encode(frames, into);
        }
        Record::Instance(instance) => json(INSTANCE, instance, into),
        Record::Vanished { instance, at } => {
            json(VANISHED, &Vanished { instance: instance.clone(), at: *at }, into);
        }
        Record::Failure(failure) => json(FAILURE, failure, into),
        Record::Maintenance(work) => json(MAINTENANCE, work, into),
        Record::Schema(schema) => {
            let mut body = Vec::new();
            json(SCHEMA, schema.as_ref(), &mut body);
            into.push(SCHEMA);
            into.extend_from_slice(&lz4_flex::compress_prepend_size(&body[1..]));
        }
    }
}

fn json<T: Serialize>(kind: u8, body: &T, into: &mut Vec<u8>) {
    into.push(kind);
    // The nouns are plain data with string keys, and writing to a vector cannot fail.
    let written = serde_json::to_writer(&mut *into, body);
    debug_assert!(written.is_ok(), "{written:?}");
}

/// Whether encoded bytes are a batch, without decoding them.
#[must_use]
pub fn is_batch(bytes: &[u8]) -> bool {
    bytes.first() == Some(&BATCH)
}

/// Reads one record that takes all of `bytes`.
///
/// # Errors
/// If the bytes are not a whole record of a known kind.
pub fn decode(bytes: &[u8]) -> Result<Record, Error> {
    decode_within(bytes, &mut Budget::new())
}

/// Reads one record, counting the memory that its compressed parts take.
pub(crate) fn decode_within(bytes: &[u8], budget: &mut Budget) -> Result<Record, Error> {
    let mut cursor = Cursor(bytes);
    let kind = cursor.take(1, "record kind")?[0];
    let body = cursor.0;
    Ok(match kind {
        BATCH => Record::Batch(batch::decode(&mut cursor, budget)?),
        INSTANCE => Record::Instance(from_json::<Instance>("instance", body)?),
        VANISHED => {
            let Vanished { instance, at } = from_json("vanished instance", body)?;
            Record::Vanished { instance, at }
        }
        FAILURE => Record::Failure(from_json::<Failure>("failure", body)?),
        MAINTENANCE => Record::Maintenance(from_json::<Maintenance>("maintenance", body)?),
        SCHEMA => {
            let text = schema_text(body, budget)?;
            Record::Schema(Schema::new(from_json::<Vec<Metric>>("schema", &text)?))
        }
        unknown => return Err(Error::UnknownKind(unknown)),
    })
}

fn schema_text(body: &[u8], budget: &mut Budget) -> Result<Vec<u8>, Error> {
    let (size, block) =
        lz4_flex::block::uncompressed_size(body).map_err(|error| Error::invalid("schema", error))?;
    if size > MOST_SCHEMA_BYTES {
        return Err(Error::invalid("schema", format!("{size} bytes, at most {MOST_SCHEMA_BYTES}")));
    }
    // LZ4 cannot shrink below one in 255, so a larger claim is false and nothing is allocated for it.
    if size > block.len().saturating_mul(256).saturating_add(256) {
        return Err(Error::invalid("schema", "its length is not plausible"));
    }
    budget.spend(size, "schema")?;
    lz4_flex::decompress(block, size).map_err(|error| Error::invalid("schema", error))
}

fn from_json<'a, T: Deserialize<'a>>(what: &'static str, bytes: &'a [u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|error| Error::invalid(what, error))
}

#[cfg(test)]
mod tests {
    use foretwin_core::{
        Batch, FailureMode, InstanceKind, Origin, Role, SchemaId, Storage, Value, WorkloadId,
    };
    use proptest::prelude::*;

    use super::*;

    fn round_trip(record: &Record) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(record, &mut bytes);
        assert_eq!(&decode(&bytes).unwrap(), record);
        bytes
    }

    #[test]
    fn rare_records_come_back() {
        let mut instance = Instance::new("h/system.slice/a.service", InstanceKind::Service, "h", "unit:a");
        instance.parent = Some(InstanceId::new("h"));
        instance.labels.insert("team".into(), "\"ü\"\n".into());
        assert_eq!(instance.workload, WorkloadId("unit:a".into()));
        let id = instance.id.clone();
        round_trip(&Record::Instance(instance));
        round_trip(&Record::Vanished { instance: id.clone(), at: Timestamp(-5) });
        let (mode, note) = (FailureMode::DiskFull, String::from("by hand"));
        let work =
            Maintenance { instance: id.clone(), from: Timestamp(1), to: Timestamp(2), note: note.clone() };
        round_trip(&Record::Maintenance(work));
        round_trip(&Record::Failure(Failure { instance: id, at: Timestamp(9), mode, note }));
        let metric = Metric::counter("system.cpu.time", "us", Role::Utilization).with("cpu.mode", "user");
        let limited = Metric::gauge("m", "By", Role::Utilization)
            .stored(Storage::F64)
            .against("l", FailureMode::MemoryExhaustion);
        round_trip(&Record::Schema(Schema::new(vec![metric, limited])));
    }

    fn batches() -> impl Strategy<Value = Batch> {
        let row = (0usize..5, any::<i64>(), prop::collection::vec(any::<u64>(), 7));
        (0usize..8, prop::collection::vec(row, 0..20), any::<[u64; 3]>()).prop_map(|(width, rows, origin)| {
            let mut batch = Batch::new(SchemaId(origin[0]), width);
            for (who, at, values) in rows {
                let mut values: Vec<Value> = values.into_iter().map(Value).collect();
                values.resize(width, Value(0));
                batch.push(&InstanceId::new(&format!("i{who}")), Timestamp(at), &values).unwrap();
            }
            batch.from_origin(Origin { source: origin[0], epoch: origin[1], sequence: origin[2] })
        })
    }

    proptest! {
        #[test]
        fn any_batch_comes_back(batch in batches()) {
            round_trip(&Record::Batch(batch));
        }

        #[test]
        fn damaged_bytes_never_panic(batch in batches(), at in any::<prop::sample::Index>(), with in any::<u8>()) {
            let mut bytes = Vec::new();
            encode(&Record::Batch(batch), &mut bytes);
            let at = at.index(bytes.len());
            let _ = decode(&bytes[..at]);
            bytes[at] ^= with;
            let _ = decode(&bytes);
        }

        #[test]
        fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }
    }

    #[test]
    fn an_unknown_kind_says_so() {
        assert!(decode(&[200]).unwrap_err().to_string().contains("newer"));
    }

    #[test]
    fn claims_beyond_the_limits_are_refused() {
        let mut schema = vec![SCHEMA];
        schema.extend(lz4_flex::compress_prepend_size(&vec![b' '; MOST_SCHEMA_BYTES + 1]));
        assert!(decode(&schema).unwrap_err().to_string().contains("at most 16777216"));
        // One row above 4 Mi values.
        let width = (4 << 20) + 1;
        let mut batch = Batch::new(SchemaId(1), width);
        batch.push(&InstanceId::new("a"), Timestamp(0), &vec![Value(0); width]).unwrap();
        let mut bytes = Vec::new();
        encode(&Record::Batch(batch), &mut bytes);
        assert!(decode(&bytes).unwrap_err().to_string().contains("at most 4194304"));
    }

    #[test]
    fn a_backlog_of_slow_counters_is_small() {
        let id = InstanceId::new("h");
        let mut batch = Batch::new(SchemaId(1), 100);
        for t in 0..60u64 {
            let values: Vec<Value> = (0..100u64).map(|m| Value(m * 1_000_000 + t * (m % 7))).collect();
            batch.push(&id, Timestamp(t as i64 * 1_000_000), &values).unwrap();
        }
        let bytes = round_trip(&Record::Batch(batch)).len();
        assert!(bytes < 6_000 / 3, "{bytes} bytes for 6,000 samples");
    }
}
