//! What can be wrong with bytes.

/// Bytes that are not what they claim to be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes end inside a field.
    #[error("{what}: the bytes end too early")]
    Short {
        /// The field.
        what: &'static str,
    },
    /// A field has a value that cannot be.
    #[error("{what}: {why}")]
    Invalid {
        /// The field.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// A record of a kind that this version does not know.
    #[error("record kind {0} is not known to this version; a newer Foretwin wrote it")]
    UnknownKind(u8),
    /// A checksum does not match.
    #[error("{what}: checksum mismatch, the bytes were damaged on their way")]
    Checksum {
        /// What was checked.
        what: &'static str,
    },
}

impl Error {
    // Taken by value because callers hand over what they just made.
    #[allow(clippy::needless_pass_by_value)]
    pub(crate) fn invalid(what: &'static str, why: impl std::fmt::Display) -> Self {
        Self::Invalid { what, why: why.to_string() }
    }
}
