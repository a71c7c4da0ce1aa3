//! Deleting segments that nobody needs any more.

use crate::error::Error;
use crate::log::Log;
use crate::segment::Offsets;

/// What trimming did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Trimmed {
    /// Segments deleted.
    pub segments: u64,
    /// Bytes freed.
    pub bytes: u64,
    /// Bytes left.
    pub kept_bytes: u64,
    /// How far that is over `retain_bytes`, all of it not yet applied. Nothing is deleted for it: whoever applies
    /// the log is behind, or stands.
    pub over_bytes: u64,
}

impl Log {
    /// Deletes the oldest segments as long as all their entries are below these offsets. The newest segment stays:
    /// it knows which offsets come next.
    ///
    /// # Errors
    /// [`Error::Io`]; what was deleted until then stays deleted.
    pub fn trim(&self, applied: &Offsets) -> Result<Trimmed, Error> {
        let mut trimmed = Trimmed::default();
        while let Some(segment) = self.segments.oldest_below(applied) {
            // Forgotten first, so that no reader begins with it.
            self.segments.remove(segment.number);
            self.disk.remove(&segment.path).map_err(Error::io("remove", &segment.path))?;
            // One by one and oldest first: after a crash the segments left have no hole between them.
            self.disk.sync_dir(&self.dir).map_err(Error::io("sync directory", &self.dir))?;
            trimmed.segments += 1;
            trimmed.bytes += segment.end;
        }
        trimmed.kept_bytes = self.segments.bytes();
        trimmed.over_bytes = trimmed.kept_bytes.saturating_sub(self.config.retain_bytes);
        Ok(trimmed)
    }
}
