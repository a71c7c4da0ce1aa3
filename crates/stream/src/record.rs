//! Records in, records out: the typed face of a log that itself carries bytes.

use std::sync::Arc;

use foretwin_core::{Partition, Position, Record};
use foretwin_wire::record::{decode, encode};

use crate::entry::{Entry, EntryRef};
use crate::error::Error;
use crate::log::Log;
use crate::ticket::Ticket;

impl Log {
    /// Appends records in this order, with one ticket for all.
    ///
    /// # Errors
    /// As [`Log::append_all`].
    pub fn append_records<'a>(
        &self,
        records: impl IntoIterator<Item = (Partition, &'a Record)>,
    ) -> Result<Ticket, Error> {
        let mut bytes = Vec::new();
        let mut ends = Vec::new();
        for (partition, record) in records {
            let start = bytes.len();
            encode(record, &mut bytes);
            ends.push((partition, start..bytes.len()));
        }
        let payloads: Vec<_> =
            ends.into_iter().map(|(partition, range)| (partition, &bytes[range])).collect();
        self.append_all(&payloads)
    }
}

impl Entry {
    /// The record in the payload.
    ///
    /// # Errors
    /// [`Error::Record`] when it is none: it was not written with [`Log::append_records`], or by another version.
    pub fn record(&self) -> Result<Record, Error> {
        read(self.position, &self.payload)
    }
}

impl EntryRef<'_> {
    /// The record in the payload.
    ///
    /// # Errors
    /// As [`Entry::record`].
    pub fn record(&self) -> Result<Record, Error> {
        read(self.position, self.payload)
    }
}

fn read(position: Position, payload: &[u8]) -> Result<Record, Error> {
    decode(payload).map_err(|source| Error::Record { position, source: Arc::new(source) })
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use foretwin_core::{Instance, InstanceId, InstanceKind};
    use foretwin_disk::SimDisk;

    use super::*;
    use crate::Config;

    #[test]
    fn records_read_back_and_other_bytes_are_refused() {
        let disk = Arc::new(SimDisk::new(1));
        let (log, _) = Log::open(disk, Path::new("/log"), Config::default()).unwrap();
        let records = [
            Record::Instance(Instance::new("host:a", InstanceKind::Host, "a", "a")),
            Record::Vanished { instance: InstanceId::new("host:a"), at: foretwin_core::Timestamp(5) },
        ];
        log.append_records(records.iter().map(|record| (Partition(9), record))).unwrap();
        log.append(Partition(9), b"\xffno record").unwrap().wait(Duration::from_secs(9)).unwrap();
        let read: Vec<_> =
            log.read_from(&[0; foretwin_core::PARTITIONS]).map(|entry| entry.unwrap().record()).collect();
        assert_eq!(read[0].as_ref().unwrap(), &records[0]);
        assert_eq!(read[1].as_ref().unwrap(), &records[1]);
        assert_eq!(read[2].as_ref().unwrap_err().to_string(), "the entry at 9:2 is not a record");
    }
}
