//! What can go wrong, with the file it went wrong at and what to do.

use std::io;
use std::path::{Path, PathBuf};

use foretwin_core::{InstanceId, Position, SchemaId};

/// An operation of the store that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A configured value that cannot be meant.
    #[error("store.{field} {reason}")]
    Config {
        /// Name of the field.
        field: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The disk refused an operation.
    #[error("cannot {operation} {}{}", path.display(), remedy(source))]
    Disk {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Memory holds as much unflushed telemetry as it may.
    #[error(
        "{held} bytes of telemetry wait in memory to be flushed, more than store.head_limit_bytes: free disk \
         space or raise the limit, then apply the record again"
    )]
    HeadFull {
        /// Bytes held.
        held: u64,
    },
    /// A batch whose schema no record has announced.
    #[error(
        "record {position} uses schema {schema}, which no earlier record announced; its frames are skipped"
    )]
    UnknownSchema {
        /// The record.
        position: Position,
        /// Its schema.
        schema: SchemaId,
    },
    /// A batch whose frames have another number of values than its schema.
    #[error(
        "record {position} has frames of {width} values, but schema {schema} has another number; skipped"
    )]
    Width {
        /// The record.
        position: Position,
        /// Its schema.
        schema: SchemaId,
        /// Values per frame.
        width: usize,
    },
    /// A frame in a partition that its instance does not belong to, where no reader would look for it.
    #[error("record {position} holds frames of {instance}, which belongs to partition {belongs}; skipped")]
    Misplaced {
        /// The record.
        position: Position,
        /// The instance.
        instance: InstanceId,
        /// Its partition.
        belongs: u8,
    },
}

impl Error {
    pub(crate) fn disk(operation: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Disk { operation, path: path.into(), source }
    }

    /// Whether the file was not there: another thread may have replaced it by a sealed one meanwhile.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Disk { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

fn remedy(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull => {
            ": free space or lower store.retention_bytes; nothing is lost meanwhile"
        }
        io::ErrorKind::PermissionDenied => ": give the user of this process access to it",
        io::ErrorKind::NotFound => ": restore it from a copy if it was removed by hand",
        _ => "",
    }
}

/// Part of a file that is not what was written. What depends on it is left out of answers; everything else is
/// still read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub path: PathBuf,
    /// Which part, and what that costs.
    pub what: String,
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}: {}; check the disk, restore the file from a copy if there is one",
            self.path.display(),
            self.what
        )
    }
}
