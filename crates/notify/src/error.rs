//! What can go wrong with messages.

use std::path::PathBuf;

/// Every error names the sink or file it is about.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting that cannot be meant.
    #[error("notify {name:?}: {field} {problem}; {remedy}")]
    Config {
        /// The sink's name.
        name: String,
        /// Which setting.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
        /// What to write instead.
        remedy: &'static str,
    },
    /// A secret or certificate that cannot be read.
    #[error("{field}: reading {path}", path = path.display())]
    File {
        /// Which setting names it.
        field: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file of authorities without a certificate.
    #[error("ca_file: {path} holds no certificate in PEM", path = path.display())]
    Certificates {
        /// Where.
        path: PathBuf,
    },
    /// The receiver cannot be reached, or asks for patience: to be tried again.
    #[error("{name} is away: {reason}")]
    Away {
        /// The sink's name.
        name: String,
        /// What happened.
        reason: String,
        /// Seconds that the receiver asked to wait.
        retry_after_s: Option<f64>,
    },
    /// The receiver does not want this message, and will not want it later.
    #[error("{name} refused with status {status}: {answer}")]
    Refused {
        /// The sink's name.
        name: String,
        /// HTTP status.
        status: u16,
        /// The beginning of its answer.
        answer: String,
    },
    /// A thread that cannot be started.
    #[error("starting the thread of {name}")]
    Thread {
        /// The sink's name.
        name: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}
