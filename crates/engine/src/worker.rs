//! Workers apply what the log has committed: each derives first, then stores, and loses nothing to a bug or a full disk.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use foretwin_core::Position;
use foretwin_stream::EntryRef;

use crate::Error;
use crate::error::Chain;
use crate::handle::wall_clock;
use crate::pipeline::Pipeline;
use crate::threads::Threads;

/// Pause while the disk takes nothing.
const WAIT: Duration = Duration::from_millis(500);

/// Entries of one commit on their way from the log to a worker.
type Commit = Vec<(Position, Vec<u8>)>;

/// Commits that wait between the log and a worker; more, and the log itself fills up and says that it is busy. A
/// commit has 4 MiB and more when there is much to do.
const QUEUE: usize = 16;
/// Most workers: two keep up with 100,000 instances, and what is left belongs to production.
const MOST_WORKERS: usize = 2;

/// The way from the log to the workers, each of which has some partitions for itself. What is of one partition stays in
/// order; partitions do not wait for each other.
pub(crate) struct Lanes(Vec<SyncSender<Commit>>);

impl Lanes {
    /// Hands over a commit. Waits while a worker is far behind.
    pub(crate) fn send(&self, entries: &[EntryRef<'_>]) {
        let mut parts: Vec<Commit> = self.0.iter().map(|_| Commit::new()).collect();
        for entry in entries {
            let lane = entry.position.partition.index() % parts.len();
            parts[lane].push((entry.position, entry.payload.to_vec()));
        }
        for (lane, part) in self.0.iter().zip(parts).filter(|(_, part)| !part.is_empty()) {
            // Workers outlive the log; if one is gone the node is stopping.
            let _ = lane.send(part);
        }
    }
}

/// Starts the threads that apply commits in order. They end when their lanes are gone and the queues empty.
pub(crate) fn start(threads: &mut Threads, pipeline: &Arc<Pipeline>) -> Result<Lanes, Error> {
    let count = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_WORKERS);
    let mut lanes = Vec::new();
    for _ in 0..count {
        let (lane, queue) = sync_channel::<Commit>(QUEUE);
        let (stop, pipeline) = (threads.stop.clone(), pipeline.clone());
        threads.start("worker", move || work(&pipeline, &queue, &stop))?;
        lanes.push(lane);
    }
    Ok(Lanes(lanes))
}

fn work(pipeline: &Pipeline, queue: &Receiver<Commit>, stop: &AtomicBool) {
    while let Ok(commit) = queue.recv() {
        for (position, payload) in commit {
            if apply(pipeline, (position, &payload), stop) == Applied::Stuck {
                // A later record must not be applied over this one: the log has both for the next start.
                return;
            }
        }
    }
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

#[cfg(test)]
mod tests {
    use foretwin_core::Partition;

    use super::*;

    #[test]
    fn every_partition_has_one_lane_and_stays_in_order() {
        let (lanes, queues): (Vec<_>, Vec<_>) = (0..2).map(|_| sync_channel::<Commit>(QUEUE)).unzip();
        let lanes = Lanes(lanes);
        for commit in 0..3 {
            let position =
                |n: u64| Position { partition: Partition((n * 7 % 64) as u8), offset: commit * 200 + n };
            let entries: Vec<_> =
                (0..200).map(|n| EntryRef { position: position(n), payload: b"x" }).collect();
            lanes.send(&entries);
        }
        // A commit of one lane does not wake the other.
        lanes.send(&[EntryRef {
            position: Position { partition: Partition(4), offset: 9999 },
            payload: b"x",
        }]);
        drop(lanes);
        let got: Vec<Vec<Commit>> = queues.iter().map(|queue| queue.iter().collect()).collect();
        assert_eq!(got.iter().map(Vec::len).collect::<Vec<_>>(), [4, 3]);
        for (lane, commits) in got.iter().enumerate() {
            let all: Vec<Position> = commits.iter().flatten().map(|(position, _)| *position).collect();
            assert!(all.iter().all(|position| position.partition.index() % 2 == lane));
            for partition in Partition::all() {
                let own = all.iter().filter(|position| position.partition == partition);
                assert!(own.map(|position| position.offset).is_sorted());
            }
        }
        assert_eq!(got.iter().flatten().flatten().count(), 601);
    }
}
