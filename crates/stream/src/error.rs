//! What can go wrong with the log.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Why an operation of the log failed. Cloned to everybody who waits for the same commit.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// A setting out of range.
    #[error("{field} is {value}: set it between {least} and {most}")]
    Config {
        /// Which setting.
        field: &'static str,
        /// What it is.
        value: u64,
        /// The smallest that works.
        least: u64,
        /// The largest that works.
        most: u64,
    },
    /// The file system refused something.
    #[error("cannot {operation} {}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// There is no room. The records of the ticket are not in the log; appends succeed again once there is room.
    #[error("disk full: cannot write {} with {free} bytes free: free some space or move the data directory", path.display())]
    DiskFull {
        /// What was being written.
        path: PathBuf,
        /// Bytes free afterwards.
        free: u64,
    },
    /// A write or sync failed. The records of the ticket are not acknowledged: append them again. The file is given
    /// up, the next commit goes to a new one.
    #[error("cannot commit to {}, its records are not acknowledged", path.display())]
    Commit {
        /// The file given up.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// An earlier commit failed, and the offsets of these records followed on its own. Append them again.
    #[error("not committed because the commit before failed")]
    After {
        /// Why that one failed.
        #[source]
        source: Arc<Self>,
    },
    /// More is pending than `max_pending_bytes` allows; the caller decides whether to wait or to drop.
    #[error("the log is busy: {pending_bytes} bytes pending, max_pending_bytes is {limit}")]
    Busy {
        /// Bytes not yet committed.
        pending_bytes: u64,
        /// The setting.
        limit: u64,
    },
    /// A record, or what was to be appended at once, can never fit.
    #[error("{bytes} bytes cannot be appended at once: the limit is {limit}")]
    TooLarge {
        /// The size of what was offered.
        bytes: u64,
        /// The largest that fits.
        limit: u64,
    },
    /// Not known within the time; the commit may still succeed.
    #[error("not committed within {} ms, still trying", waited.as_millis())]
    Timeout {
        /// How long was waited.
        waited: Duration,
    },
    /// The log was closed.
    #[error("the log is closed")]
    Closed,
    /// Bytes in the log are not what was written. Reading goes on behind them.
    #[error("{} is damaged: {bytes} bytes at {at}: {reason}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// From where.
        at: u64,
        /// How many bytes.
        bytes: u64,
        /// How it shows.
        reason: &'static str,
    },
    /// Written by a Foretwin that writes another format.
    #[error("{} has format {found}, this Foretwin reads {supported}: run the version that wrote it", path.display())]
    Version {
        /// Which file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// Ours.
        supported: u32,
    },
    /// Another process works in the directory.
    #[error("{} is in use by {holder}: stop it, or choose another data directory", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// What the lock file says of who holds it.
        holder: String,
    },
    /// The bytes of an entry are intact but are no record.
    #[error("the entry at {position} is not a record")]
    Record {
        /// Where.
        position: foretwin_core::Position,
        /// What is wrong with it.
        #[source]
        source: Arc<foretwin_wire::Error>,
    },
}

impl Error {
    /// For `map_err` on an operation of the disk.
    pub(crate) fn io(operation: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { operation, path, source: Arc::new(source) }
    }
}

/// Whether the system ran out of room rather than out of order.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
