//! What can go wrong between the kernel and a number.

use std::io;
use std::path::PathBuf;

/// A failed read of kernel state.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be opened.
    #[error("cannot open {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// An open file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A text was read that is not what its format says.
    #[error("cannot parse {format}: expected {expected}")]
    Parse {
        /// Name of the format, for instance `/proc/stat`.
        format: &'static str,
        /// What should have been there.
        expected: &'static str,
    },
    /// A system call failed.
    #[error("{call} failed for {object}")]
    Call {
        /// Name of the call.
        call: &'static str,
        /// What it was called on.
        object: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// Whether the object is not there: an older kernel, a missing module, a process or group that is gone.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        match self {
            Self::Open { source, .. } | Self::Read { source, .. } | Self::Call { source, .. } => {
                source.kind() == io::ErrorKind::NotFound
                    || matches!(source.raw_os_error(), Some(libc::ENODEV | libc::ESRCH | libc::EOPNOTSUPP))
            }
            Self::Parse { .. } => false,
        }
    }
}
