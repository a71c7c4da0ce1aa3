//! Why a node cannot be served, in words for whoever starts it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// What went wrong before anything was served.
#[derive(Debug, Error)]
pub enum Error {
    /// Anybody could read and change everything.
    #[error(
        "serve.listen: {listen} can be reached from elsewhere, and there is neither a token nor TLS. Make a token \
         (foretwin token create --name NAME --scope read, with the same --data-dir), or set serve.tls.certificate and \
         serve.tls.key (--tls-certificate, --tls-key), or listen on 127.0.0.1"
    )]
    Open {
        /// Where it was to listen.
        listen: SocketAddr,
    },
    /// A setting is of no use.
    #[error("{0}")]
    Setting(String),
    /// A file could not be used.
    #[error("{operation} {}", .path.display())]
    File {
        /// What was tried.
        operation: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The file of tokens says nothing.
    #[error("{} is damaged; move it away and make new tokens", .path.display())]
    Tokens {
        /// Which file.
        path: PathBuf,
        /// What is wrong in it.
        #[source]
        source: serde_json::Error,
    },
    /// Certificate and key cannot be used together.
    #[error("serve.tls: {} and {} cannot be used", .certificate.display(), .key.display())]
    Tls {
        /// The chain of certificates.
        certificate: PathBuf,
        /// The key of the first.
        key: PathBuf,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The kernel gives no random numbers.
    #[error("the system gives no random numbers")]
    Random,
}

impl Error {
    pub(crate) fn file(operation: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::File { operation, path: path.to_path_buf(), source }
    }
}
