//! Memory into a hot file.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use foretwin_core::{PARTITIONS, Partition, SECOND_US, Timestamp};

use crate::head::Frozen;
use crate::hot::{self, Flush};
use crate::{Error, Store};

/// What one flush leaves to the next.
#[derive(Debug)]
pub(crate) struct Flushing {
    pub(crate) next_sequence: u64,
    /// When the last flush began.
    pub(crate) last_at: Option<Timestamp>,
    /// What could not be written yet, in the order it was taken out of memory.
    pub(crate) waiting: Vec<Taken>,
    /// Per partition, offset of the first record that was not taken out of memory yet.
    pub(crate) taken: [u64; PARTITIONS],
}

impl Flushing {
    /// Goes on from what was recovered.
    pub(crate) fn after(next_sequence: u64, taken: [u64; PARTITIONS]) -> Self {
        Self { next_sequence, last_at: None, waiting: Vec::new(), taken }
    }
}

/// What one step of a flush took out of memory.
#[derive(Debug)]
pub(crate) struct Taken {
    frozen: Vec<Arc<Frozen>>,
    applied: [u64; PARTITIONS],
    changes: Option<Vec<u8>>,
}

/// What a flush wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flushed {
    /// Bytes of the hot files written.
    pub bytes: u64,
    /// Samples in them.
    pub samples: u64,
}

impl Store {
    /// Makes everything applied so far durable. Nothing is written if nothing changed. Much is written in steps, a
    /// file each, so that memory is free again before all of it is written.
    ///
    /// # Errors
    /// If the disk refuses. Memory keeps what was to be written, readers see it, and the next flush tries again.
    pub fn flush(&self, now: Timestamp) -> Result<Flushed, Error> {
        let mut flushing = self.flushing.lock().unwrap_or_else(PoisonError::into_inner);
        flushing.last_at = Some(now);
        let mut flushed = Flushed::default();
        let mut partitions = Partition::all().peekable();
        while partitions.peek().is_some() {
            let taken = self.take(&mut partitions, &mut flushing.taken);
            // After what an earlier flush could not write.
            flushing.waiting.extend(taken);
            self.write_waiting(&mut flushing, now, &mut flushed)?;
        }
        Ok(flushed)
    }

    fn write_waiting(
        &self,
        flushing: &mut Flushing,
        now: Timestamp,
        flushed: &mut Flushed,
    ) -> Result<(), Error> {
        while let Some(taken) = flushing.waiting.first() {
            let written = self.write(taken, (flushing.next_sequence, now));
            let (bytes, samples) = written.inspect_err(|_| {
                self.counters.failed_flushes.fetch_add(1, Ordering::Relaxed);
            })?;
            flushing.next_sequence += 1;
            flushing.waiting.remove(0);
            flushed.bytes += bytes;
            flushed.samples += samples;
        }
        Ok(())
    }

    /// Flushes if the interval is over or memory holds enough.
    ///
    /// # Errors
    /// As [`Store::flush`].
    pub fn flush_due(&self, now: Timestamp) -> Result<Option<Flushed>, Error> {
        let interval_us = self.config.flush_interval_s as i64 * SECOND_US;
        let last_at = {
            let mut flushing = self.flushing.lock().unwrap_or_else(PoisonError::into_inner);
            *flushing.last_at.get_or_insert(now)
        };
        let held = self.counters.held_bytes.load(Ordering::Relaxed);
        // A clock set back makes a flush due as well.
        let waited_us = now.0.saturating_sub(last_at.0);
        if held < self.config.flush_bytes && (0..interval_us).contains(&waited_us) {
            return Ok(None);
        }
        self.flush(now).map(Some)
    }

    /// Takes what the heads of the next partitions hold, until that is enough for a step. Each part agrees with its
    /// own applied offset, and that is all that recovery needs; of the other partitions a file says how far the
    /// files before it go.
    fn take(
        &self,
        partitions: &mut impl Iterator<Item = Partition>,
        applied: &mut [u64; PARTITIONS],
    ) -> Option<Taken> {
        let (mut frozen, mut bytes) = (Vec::new(), 0);
        for partition in partitions {
            let mut head = self.head(partition);
            applied[partition.index()] = head.applied;
            let part = head.freeze(partition);
            bytes += part.as_ref().map_or(0, |part| part.bytes);
            frozen.extend(part);
            if bytes >= self.config.step_bytes {
                break;
            }
        }
        // After the heads, so that it holds at least what their records said.
        let changes = self.catalog_write().take_changes();
        if frozen.is_empty() && changes.is_empty() {
            return None;
        }
        let changes = (!changes.is_empty()).then(|| serde_json::to_vec(&changes).unwrap_or_default());
        Some(Taken { frozen, applied: *applied, changes })
    }

    fn write(&self, taken: &Taken, (sequence, written_at): (u64, Timestamp)) -> Result<(u64, u64), Error> {
        let flush = Flush {
            sequence,
            written_at,
            applied: taken.applied,
            changes: taken.changes.as_deref(),
            frozen: &taken.frozen,
        };
        let file = hot::write(&*self.disk, &self.dir, &flush)?;
        let (bytes, samples) = (file.bytes, file.samples);
        // Readers look at memory first and at files after: they may see frames twice here, but never miss them.
        self.change_files(|files| files.add_hot(file));
        for frozen in &taken.frozen {
            self.head(frozen.partition).frozen.retain(|one| !Arc::ptr_eq(one, frozen));
            self.counters.held_bytes.fetch_sub(frozen.bytes, Ordering::Relaxed);
        }
        *self.durable.lock().unwrap_or_else(PoisonError::into_inner) = taken.applied;
        self.counters.flushes.fetch_add(1, Ordering::Relaxed);
        Ok((bytes, samples))
    }
}
