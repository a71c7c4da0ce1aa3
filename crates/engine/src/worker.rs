//! Applies what the log has committed: derives first, then stores, and loses nothing to a bug or a full disk.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use foretwin_core::Position;

use crate::Error;
use crate::error::Chain;
use crate::handle::wall_clock;
use crate::pipeline::Pipeline;
use crate::threads::Threads;

/// Pause while the disk takes nothing.
const WAIT: Duration = Duration::from_millis(500);

/// Entries of one commit on their way from the log to the worker.
pub(crate) type Commit = Vec<(Position, Vec<u8>)>;

/// Starts the thread that applies commits in order. It ends when the log is closed and the queue empty.
pub(crate) fn start(
    threads: &mut Threads,
    pipeline: Arc<Pipeline>,
    queue: Receiver<Commit>,
) -> Result<(), Error> {
    let stop = threads.stop.clone();
    threads.start("worker", move || {
        while let Ok(commit) = queue.recv() {
            for (position, payload) in commit {
                if apply(&pipeline, (position, &payload), &stop) == Applied::Stuck {
                    // A later record must not be applied over this one: the log has both for the next start.
                    return;
                }
            }
        }
    })
}

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Applied {
    /// It is in the store.
    Stored,
    /// It is nothing that can be stored, which was said.
    Unreadable,
    /// The store has no room, and the node is stopping.
    Stuck,
}

/// Applies one entry. While the store's memory is full this flushes and waits: the log behind it fills up and says that
/// it is busy. A panic while judging costs the judgement, not the telemetry.
pub(crate) fn apply(
    pipeline: &Pipeline,
    (position, payload): (Position, &[u8]),
    stop: &AtomicBool,
) -> Applied {
    let record = match foretwin_wire::record::decode(payload) {
        Ok(record) => record,
        Err(error) => {
            tracing::error!("record {position}: {error}");
            return Applied::Unreadable;
        }
    };
    while !pipeline.store.has_room() {
        if let Err(error) = pipeline.store.flush(wall_clock()) {
            tracing::warn!("the store's memory is full and cannot be written: {}", Chain(&error));
            if stop.load(Ordering::Relaxed) {
                return Applied::Stuck;
            }
            std::thread::sleep(WAIT);
        }
    }
    let derived = catch_unwind(AssertUnwindSafe(|| pipeline.derive(position, &record)));
    if derived.is_err() {
        pipeline.counters.panics.add(1);
        tracing::error!("record {position}: judging it panicked; it is stored without");
    }
    match pipeline.store.apply(position, &record) {
        Ok(()) => Applied::Stored,
        Err(error) => {
            tracing::error!("record {position}: {}", Chain(&error));
            Applied::Unreadable
        }
    }
}
