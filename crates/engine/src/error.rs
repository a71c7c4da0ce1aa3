//! What can go wrong in a node, with a stable code for machines.

use std::path::PathBuf;

use foretwin_core::InstanceId;

/// An operation of the node that could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting that makes no sense.
    #[error("{field} in the configuration: expected {remedy}")]
    Config {
        /// Name of the field, with its table.
        field: &'static str,
        /// What would make sense.
        remedy: &'static str,
    },
    /// The collector cannot start.
    #[error("collecting telemetry")]
    Collect {
        /// Why.
        #[source]
        source: foretwin_collect::Error,
    },
    /// The log refuses.
    #[error("the log: {0}")]
    Log(#[from] foretwin_stream::Error),
    /// The store refuses.
    #[error("the store: {0}")]
    Store(#[from] foretwin_store::Error),
    /// A model cannot be made or read.
    #[error("a model: {0}")]
    Learn(#[from] foretwin_learn::Error),
    /// Foresight refuses.
    #[error("foresight: {0}")]
    Foresee(#[from] foretwin_foresee::Error),
    /// A record cannot be read.
    #[error("a record: {0}")]
    Wire(#[from] foretwin_wire::Error),
    /// A file of the node itself.
    #[error("{operation} {}: {source}", path.display())]
    File {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A thread cannot be started.
    #[error("starting the {name} thread: {source}")]
    Thread {
        /// Which.
        name: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// Nobody knows this instance.
    #[error("instance {0} is not known; GET /api/v1/instances lists those that are")]
    UnknownInstance(InstanceId),
    /// A frame uses a schema that was not announced.
    #[error("schema {0} is not known; send the schema record before the first batch that uses it")]
    UnknownSchema(foretwin_core::SchemaId),
    /// A record that is well formed and cannot be meant.
    #[error("{0}")]
    Refused(String),
}

impl Error {
    /// A stable name for machines.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Config { .. } => "invalid_configuration",
            Self::Collect { .. } => "collect",
            Self::Log(foretwin_stream::Error::Busy { .. }) => "busy",
            Self::Log(foretwin_stream::Error::DiskFull { .. }) => "disk_full",
            Self::Log(foretwin_stream::Error::Timeout { .. }) => "timeout",
            Self::Log(_) => "log",
            Self::Store(_) => "store",
            Self::Learn(_) => "learn",
            Self::Foresee(_) => "foresee",
            Self::Wire(_) | Self::Refused(_) => "invalid_record",
            Self::File { .. } => "file",
            Self::Thread { .. } => "thread",
            Self::UnknownInstance(_) => "unknown_instance",
            Self::UnknownSchema(_) => "unknown_schema",
        }
    }
}
