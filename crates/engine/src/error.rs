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
    #[error(transparent)]
    Log(#[from] foretwin_stream::Error),
    /// The store refuses.
    #[error(transparent)]
    Store(#[from] foretwin_store::Error),
    /// A model cannot be made or read.
    #[error(transparent)]
    Learn(#[from] foretwin_learn::Error),
    /// Foresight refuses.
    #[error(transparent)]
    Foresee(#[from] foretwin_foresee::Error),
    /// A twin cannot be kept.
    #[error(transparent)]
    Twin(#[from] foretwin_twin::Error),
    /// A receiver of messages cannot be meant, or its files cannot be read.
    #[error(transparent)]
    Notify(#[from] foretwin_notify::Error),
    /// There is no such rehearsal.
    #[error("there is no rehearsal {0}; POST /api/v1/twins/{{instance}}/rehearsals asks for one")]
    UnknownRehearsal(u64),
    /// A record cannot be read.
    #[error(transparent)]
    Wire(#[from] foretwin_wire::Error),
    /// A file of the node itself.
    #[error("{operation} {}", path.display())]
    File {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A thread cannot be started.
    #[error("starting the {name} thread")]
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
    /// An instance has no such series.
    #[error("{instance} has no metric {metric}; GET /api/v1/instances/{{id}}/metrics lists those it has")]
    UnknownMetric {
        /// Whose.
        instance: String,
        /// Which was asked for.
        metric: String,
    },
    /// There is no such model.
    #[error(
        "{instance} has no model{}; GET /api/v1/models/{{instance}} lists those it has",
        version.map(|version| format!(" of version {version}")).unwrap_or_default()
    )]
    UnknownModel {
        /// Whose.
        instance: String,
        /// Which; none: it has none at all.
        version: Option<u64>,
    },
    /// There is no such report.
    #[error("there is no report {0}; GET /api/v1/reports lists those that are kept")]
    UnknownReport(foretwin_core::ReportId),
    /// There is no such alert.
    #[error("there is no alert {0}; GET /api/v1/alerts lists those that are kept")]
    UnknownAlert(foretwin_core::AlertId),
    /// There is no such planned work.
    #[error("there is no planned work {0}; GET /api/v1/maintenance lists what is planned")]
    UnknownMaintenance(String),
    /// A model that cannot serve the instance it is meant for.
    #[error("{0}")]
    ModelRefused(String),
    /// A change that the present state does not allow.
    #[error("{0}")]
    Conflict(String),
    /// A model's file is not what was written.
    #[error("models/{name} is damaged or missing: restore it from a copy, or promote another version")]
    DamagedModel {
        /// Its name.
        name: String,
    },
    /// Another process has taken over the models.
    #[error("the models of {instance} are kept by another process by now: stop this one")]
    Fenced {
        /// Whose.
        instance: String,
    },
    /// A manifest cannot be written as JSON.
    #[error("writing a manifest of models")]
    Manifest {
        /// Why.
        source: serde_json::Error,
    },
    /// A record that is well formed and cannot be meant.
    #[error("{0}")]
    Refused(String),
}

/// An error with its causes, as a log line wants them.
pub(crate) struct Chain<'a>(pub(crate) &'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(inner) = cause {
            write!(f, ": {inner}")?;
            cause = inner.source();
        }
        Ok(())
    }
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
            Self::Twin(_) => "twin",
            Self::Notify(_) => "notify",
            Self::UnknownRehearsal(_) => "unknown_rehearsal",
            Self::Wire(_) | Self::Refused(_) => "invalid_record",
            Self::File { .. } => "file",
            Self::Thread { .. } => "thread",
            Self::UnknownInstance(_) => "unknown_instance",
            Self::UnknownSchema(_) => "unknown_schema",
            Self::UnknownMetric { .. } => "unknown_metric",
            Self::UnknownModel { .. } => "unknown_model",
            Self::UnknownReport(_) => "unknown_report",
            Self::UnknownAlert(_) => "unknown_alert",
            Self::UnknownMaintenance(_) => "unknown_maintenance",
            Self::ModelRefused(_) => "invalid_model",
            Self::Conflict(_) => "conflict",
            Self::DamagedModel { .. } => "damaged_model",
            Self::Fenced { .. } => "fenced",
            Self::Manifest { .. } => "manifest",
        }
    }
}
