//! The log as its users see it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use foretwin_core::Partition;
use foretwin_disk::Disk;

use crate::commit::{self, Queue};
use crate::config::Config;
use crate::entry::{EntryRef, FRAME_BYTES, MAX_PAYLOAD_BYTES};
use crate::error::Error;
use crate::reader::Reader;
use crate::recover::{Recovered, recover};
use crate::recovery::{Recovery, missing};
use crate::segment::Offsets;
use crate::shared::{Segments, lock};
use crate::stats::Stats;
use crate::ticket::Ticket;
use crate::writer::Writer;

/// A write-ahead log of [`foretwin_core::PARTITIONS`] partitions in one directory. Shared by reference between
/// threads; closed when dropped.
pub struct Log {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    pub(crate) config: Config,
    pub(crate) segments: Arc<Segments>,
    /// Where the first commit begins.
    start: Offsets,
    queue: Arc<Queue>,
    committer: Mutex<Option<JoinHandle<Result<(), Error>>>>,
}

impl Log {
    /// Opens the log of a directory, which is made if it does not exist, and reads all of it once.
    ///
    /// # Errors
    /// [`Error::Config`], [`Error::Version`], [`Error::Io`]. Damage is no error: [`Recovery`] reports it.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, config: Config) -> Result<(Self, Recovery), Error> {
        Self::open_after(disk, dir, config, &[0; foretwin_core::PARTITIONS])
    }

    /// [`Log::open`] for one who has already applied everything below some offsets. They are never given out again,
    /// even if the log has lost them: a new record at such an offset would be taken for applied.
    ///
    /// # Errors
    /// As [`Log::open`].
    pub fn open_after(
        disk: Arc<dyn Disk>,
        dir: &Path,
        config: Config,
        applied: &Offsets,
    ) -> Result<(Self, Recovery), Error> {
        config.check()?;
        disk.create_dir(dir).map_err(Error::io("create directory", dir))?;
        let Recovered { mut report, segments, next_number, proven, unproven, leave_out } =
            recover(&disk, dir)?;
        let segments = Arc::new(Segments::new(segments));
        let mut writer = Writer::new(Arc::clone(&disk), dir, config.segment_bytes, Arc::clone(&segments));
        writer.start(next_number, proven, unproven)?;
        report.behind = missing(&report.next_offset, applied).collect();
        let next = std::array::from_fn(|p| (report.next_offset[p] + leave_out).max(applied[p]));
        writer.jump_to(next);
        report.next_offset = next;
        let queue = Arc::new(Queue::new(&config, next));
        let shared = Arc::clone(&queue);
        let committer = std::thread::Builder::new()
            .name("log-commit".to_owned())
            .spawn(move || commit::run(&shared, writer))
            .map_err(Error::io("start the committer of", dir))?;
        let committer = Mutex::new(Some(committer));
        let dir = dir.to_owned();
        let log = Self { disk, dir, config, segments, start: next, queue, committer };
        Ok((log, report))
    }

    /// Appends one record. It is durable when the ticket says so.
    ///
    /// # Errors
    /// [`Error::Busy`] when too much is pending, [`Error::TooLarge`], [`Error::Closed`]. The record is not in the
    /// log then.
    pub fn append(&self, partition: Partition, payload: &[u8]) -> Result<Ticket, Error> {
        self.append_all(&[(partition, payload)])
    }

    /// Appends records in this order, with one ticket for all: they share a commit. None at all is a barrier: its
    /// ticket waits for what was appended before.
    ///
    /// # Errors
    /// As [`Log::append`]; none of the records is in the log then.
    pub fn append_all(&self, records: &[(Partition, &[u8])]) -> Result<Ticket, Error> {
        let mut bytes = 0;
        for (_, payload) in records {
            if payload.len() > MAX_PAYLOAD_BYTES {
                return Err(too_large(payload.len() as u64, MAX_PAYLOAD_BYTES as u64));
            }
            bytes += (FRAME_BYTES + payload.len()) as u64;
        }
        if bytes > self.config.max_pending_bytes {
            return Err(too_large(bytes, self.config.max_pending_bytes));
        }
        let (positions, outcome) = self.queue.push(records, bytes)?;
        Ok(Ticket { positions, outcome })
    }

    /// Gives every entry to `subscriber` as soon as it is committed, in the order of the log, on the committing
    /// thread: what takes long there delays the next commit, and what waits for a ticket there waits for ever.
    /// Replaces the subscriber before.
    ///
    /// Returns where it begins: everything below is read with [`Log::read_from`], so that together nothing is missed
    /// and nothing comes twice.
    pub fn subscribe(&self, subscriber: impl FnMut(&[EntryRef<'_>]) + Send + 'static) -> Offsets {
        let mut current = lock(&self.queue.subscriber);
        *current = Some(Box::new(subscriber));
        self.segments.next().unwrap_or(self.start)
    }

    /// Reads committed entries at and above these offsets (`u64::MAX` leaves a partition out), oldest first. At the
    /// end the reader gives nothing, and later what has been committed since.
    #[must_use]
    pub fn read_from(&self, offsets: &Offsets) -> Reader {
        Reader::new(Arc::clone(&self.disk), Arc::clone(&self.segments), *offsets)
    }

    /// Offsets that the next records get.
    #[must_use]
    pub fn next_offsets(&self) -> Offsets {
        self.queue.next()
    }

    /// What the log has done so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            pending_bytes: self.queue.pending_bytes(),
            segments: self.segments.count() as u64,
            segment_bytes: self.segments.bytes(),
            ..self.queue.counters.read()
        }
    }

    /// Commits what is pending and ends the log. Appends fail from now on, reading goes on.
    ///
    /// # Errors
    /// Why the end could not be sealed. What was acknowledged is safe all the same.
    pub fn close(&self) -> Result<(), Error> {
        self.queue.close();
        let Some(committer) = lock(&self.committer).take() else { return Ok(()) };
        committer.join().unwrap_or(Err(Error::Closed))
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::warn!(dir = %self.dir.display(), %error, "the log was not sealed");
        }
    }
}

fn too_large(bytes: u64, limit: u64) -> Error {
    Error::TooLarge { bytes, limit }
}
