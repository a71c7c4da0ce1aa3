//! What can go wrong in this room: little, as it only computes.

use thiserror::Error;

/// Why a request to this room could not be met.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Error {
    /// A field of the configuration holds what it cannot.
    #[error("configure foresee: `{field}` must be {want}")]
    Config {
        /// The field.
        field: &'static str,
        /// What it must be.
        want: &'static str,
    },
    /// The state of a history is of a version that this program does not know.
    #[error("decode history: version {0} is unknown")]
    Version(u8),
    /// The state of a history ends early or does not fit together.
    #[error("decode history: {0}")]
    Damaged(&'static str),
    /// A file of known issues cannot be used.
    #[error("read the known issues of {file}: {reason}")]
    Rules {
        /// The file.
        file: String,
        /// What is wrong with it, and where.
        reason: String,
    },
}
