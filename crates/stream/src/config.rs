//! What an operator may set.

use serde::{Deserialize, Serialize};

use crate::error::Error;

const MIB: u64 = 1 << 20;

/// Positions in a segment are 32 bits wide, and one commit may follow a segment that is not yet full.
const MAX_BYTES: u64 = 1 << 30;

/// How the log writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// A segment that has grown to this size is followed by a new one. Trimming frees whole segments.
    pub segment_bytes: u64,
    /// How long the first pending record waits for company before all are written and synced together. A crash
    /// loses nothing acknowledged, whatever this is; a record is acknowledged at most about this much later.
    pub commit_interval_ms: u64,
    /// So many pending bytes are committed without waiting.
    pub commit_bytes: u64,
    /// So many bytes may be pending or being written; beyond that appends are refused as busy.
    pub max_pending_bytes: u64,
    /// Trimming reports when what is left, because it is not applied yet, is more than this. Nothing is deleted for
    /// it.
    pub retain_bytes: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            segment_bytes: 64 * MIB,
            commit_interval_ms: 100,
            commit_bytes: 4 * MIB,
            max_pending_bytes: 64 * MIB,
            retain_bytes: 8192 * MIB,
        }
    }
}

impl Config {
    /// Says whether the log can work like this.
    ///
    /// # Errors
    /// [`Error::Config`] naming the field and the remedy.
    pub fn check(&self) -> Result<(), Error> {
        let within = |field, value: u64, least: u64, most: u64| {
            if (least..=most).contains(&value) {
                Ok(())
            } else {
                Err(Error::Config { field, value, least, most })
            }
        };
        within("segment_bytes", self.segment_bytes, 4096, MAX_BYTES)?;
        within("commit_interval_ms", self.commit_interval_ms, 0, 60_000)?;
        within("max_pending_bytes", self.max_pending_bytes, 1024, MAX_BYTES)?;
        within("commit_bytes", self.commit_bytes, 1, self.max_pending_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_pass_and_nonsense_is_named() {
        Config::default().check().unwrap();
        let wrong = Config { commit_bytes: 128 * MIB, ..Config::default() };
        assert_eq!(
            wrong.check().unwrap_err().to_string(),
            "commit_bytes is 134217728: set it between 1 and 67108864"
        );
        assert!(Config { segment_bytes: 2 << 30, ..Config::default() }.check().is_err());
    }
}
