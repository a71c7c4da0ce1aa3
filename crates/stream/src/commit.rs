//! The committer: gathers what is pending, has it written, and tells everybody.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use foretwin_core::Position;

use crate::entry::{self, EntryRef, Kind};
use crate::error::Error;
use crate::segment::Offsets;
use crate::shared::lock;
use crate::stats::Counters;
use crate::ticket::Outcome;
use crate::writer::Writer;

/// Whoever is given the committed entries in the order of their offsets.
pub(crate) type Subscriber = Box<dyn FnMut(&[EntryRef<'_>]) + Send>;

/// Buffers that grew beyond this in a burst are not kept.
const SPARE_BYTES: usize = 8 << 20;

/// What those who append and the committer pass each other.
pub(crate) struct Queue {
    state: Mutex<State>,
    work: Condvar,
    pub subscriber: Mutex<Option<Subscriber>>,
    pub counters: Counters,
    interval: Duration,
    commit_bytes: usize,
    max_pending_bytes: u64,
}

struct State {
    /// The next offset to give out.
    next: Offsets,
    pending: Pending,
    in_flight_bytes: u64,
    closing: bool,
}

/// Records waiting for their commit, as frames.
#[derive(Default)]
struct Pending {
    frames: Vec<u8>,
    entries: u64,
    since: Option<Instant>,
    outcome: Arc<Outcome>,
}

impl Queue {
    pub fn new(config: &crate::Config, next: Offsets) -> Self {
        Self {
            state: Mutex::new(State {
                next,
                pending: Pending::default(),
                in_flight_bytes: 0,
                closing: false,
            }),
            work: Condvar::new(),
            subscriber: Mutex::new(None),
            counters: Counters::default(),
            interval: Duration::from_millis(config.commit_interval_ms),
            commit_bytes: usize::try_from(config.commit_bytes).unwrap_or(usize::MAX),
            max_pending_bytes: config.max_pending_bytes,
        }
    }

    /// Takes records in, all or none, and gives them offsets. `bytes` is their size with frames.
    pub fn push(
        &self,
        records: &[(foretwin_core::Partition, &[u8])],
        bytes: u64,
    ) -> Result<(Vec<Position>, Arc<Outcome>), Error> {
        let mut state = lock(&self.state);
        if state.closing {
            return Err(Error::Closed);
        }
        let pending_bytes = state.pending_bytes();
        if pending_bytes + bytes > self.max_pending_bytes && pending_bytes > 0 {
            Counters::add(&self.counters.refused, 1);
            return Err(Error::Busy { pending_bytes, limit: self.max_pending_bytes });
        }
        let before = state.pending.frames.len();
        let positions = records.iter().map(|&(partition, payload)| state.put(partition, payload)).collect();
        Counters::add(&self.counters.appended, records.len() as u64);
        let first = state.pending.since.is_none();
        state.pending.since.get_or_insert_with(Instant::now);
        let outcome = Arc::clone(&state.pending.outcome);
        let enough = before < self.commit_bytes && state.pending.frames.len() >= self.commit_bytes;
        drop(state);
        if first || enough {
            self.work.notify_one();
        }
        Ok((positions, outcome))
    }

    pub fn pending_bytes(&self) -> u64 {
        lock(&self.state).pending_bytes()
    }

    pub fn next(&self) -> Offsets {
        lock(&self.state).next
    }

    /// No more records; what is pending is still committed.
    pub fn close(&self) {
        lock(&self.state).closing = true;
        self.work.notify_all();
    }

    /// Waits until it is time to commit. Nothing when the log is closed and all is done.
    fn take(&self, spare: Vec<u8>) -> Option<Pending> {
        let mut state = lock(&self.state);
        loop {
            let Some(since) = state.pending.since else {
                if state.closing {
                    return None;
                }
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = self.interval.saturating_sub(since.elapsed());
            if left.is_zero() || state.closing || state.pending.frames.len() >= self.commit_bytes {
                let fresh = Pending { frames: spare, ..Pending::default() };
                let batch = std::mem::replace(&mut state.pending, fresh);
                state.in_flight_bytes = batch.frames.len() as u64;
                return Some(batch);
            }
            state = self.work.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Fails a batch and all that came after it: their offsets follow on offsets that do not exist.
    fn fail(&self, batch: &Pending, committed: Offsets, error: &Error) {
        let mut state = lock(&self.state);
        state.in_flight_bytes = 0;
        state.next = committed;
        let after = std::mem::take(&mut state.pending);
        drop(state);
        Counters::add(&self.counters.failed, batch.entries + after.entries);
        batch.outcome.settle(Err(error.clone()));
        after.outcome.settle(Err(Error::After { source: Arc::new(error.clone()) }));
    }

    fn deliver(&self, subscriber: &mut Option<Subscriber>, frames: &[u8]) {
        let Some(subscriber) = subscriber else { return };
        let entries: Vec<_> = entry::entries(frames).collect();
        // Its panic must not end the log with it.
        if catch_unwind(AssertUnwindSafe(|| subscriber(&entries))).is_err() {
            Counters::add(&self.counters.subscriber_panics, 1);
            tracing::error!(entries = entries.len(), "the subscriber of the log panicked");
        }
    }
}

impl State {
    fn pending_bytes(&self) -> u64 {
        self.pending.frames.len() as u64 + self.in_flight_bytes
    }

    fn put(&mut self, partition: foretwin_core::Partition, payload: &[u8]) -> Position {
        let next = &mut self.next[partition.index()];
        let partition = foretwin_core::Partition(partition.index() as u8);
        let position = Position { partition, offset: *next };
        *next += 1;
        entry::put(&mut self.pending.frames, position, Kind::Record, payload);
        self.pending.entries += 1;
        position
    }
}

/// Closes the queue when the committer ends, however it ends, so that nobody waits for it.
struct Closing<'a>(&'a Queue);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close();
        lock(&self.0.state).pending.outcome.settle(Err(Error::Closed));
    }
}

/// Commits until the log is closed, then seals it.
pub(crate) fn run(queue: &Queue, mut writer: Writer) -> Result<(), Error> {
    let _closing = Closing(queue);
    let mut spare = Vec::new();
    while let Some(mut batch) = queue.take(spare) {
        let begun = Instant::now();
        match writer.write(&mut batch.frames) {
            Ok(()) => {
                let bytes = batch.frames.len() as u64;
                queue.counters.commit(batch.entries, bytes, begun.elapsed());
                // Whoever subscribes does so before or after all of this.
                let mut subscriber = lock(&queue.subscriber);
                writer.publish();
                lock(&queue.state).in_flight_bytes = 0;
                batch.outcome.settle(Ok(()));
                queue.deliver(&mut subscriber, &batch.frames);
            }
            Err(error) => queue.fail(&batch, writer.committed(), &error),
        }
        spare = batch.frames;
        spare.clear();
        spare.shrink_to(SPARE_BYTES);
    }
    writer.seal()
}
