//! What the log holds, and where.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::batch::Batch;
use crate::instance::{Instance, InstanceId};
use crate::risk::FailureMode;
use crate::schema::Schema;
use crate::time::Timestamp;

/// Partitions of a data directory. Fixed: instances are assigned by hash modulo this number.
pub const PARTITIONS: usize = 64;

/// One of the [`PARTITIONS`] ordered parts of the log, 0 to 63.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Partition(pub u8);

impl Partition {
    /// All partitions in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..PARTITIONS as u8).map(Self)
    }

    /// As an index below [`PARTITIONS`].
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0) % PARTITIONS
    }
}

/// A place in the log: offsets count the records of their partition from zero, without gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    /// Which part.
    pub partition: Partition,
    /// Which record in it.
    pub offset: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.partition.0, self.offset)
    }
}

/// A failure that happened: submitted by an operator, or detected. It becomes training data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Who failed.
    pub instance: InstanceId,
    /// When.
    #[serde(rename = "at_us")]
    pub at: Timestamp,
    /// How.
    pub mode: FailureMode,
    /// What is known beyond that, for people.
    #[serde(default)]
    pub note: String,
}

/// A span of planned work on an instance: what it does then is not normal, and nobody is to be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maintenance {
    /// On whom.
    pub instance: InstanceId,
    /// When it begins.
    #[serde(rename = "from_us")]
    pub from: Timestamp,
    /// When it is over.
    #[serde(rename = "to_us")]
    pub to: Timestamp,
    /// What is done, for people.
    #[serde(default)]
    pub note: String,
}

/// One entry of the log. Everything that changes what Foretwin knows is one of these.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// An instance appeared, or what is known of it changed.
    Instance(Instance),
    /// An instance is gone.
    Vanished {
        /// Who.
        instance: InstanceId,
        /// When it was first not seen.
        at: Timestamp,
    },
    /// A schema, before the first batch of its partition that uses it.
    Schema(Arc<Schema>),
    /// Telemetry.
    Batch(Batch),
    /// A failure that happened.
    Failure(Failure),
    /// Planned work.
    Maintenance(Maintenance),
}
