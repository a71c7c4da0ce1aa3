//! States of models on disk, so that a restart goes on judging where it was: memory of the network, smoothed evidence,
//! adapted thresholds.
//!
//! One file a partition, written every few minutes and at a clean stop, replaced whole. The log stays the truth: a
//! checkpoint may be older than what the store has, then the frames in between are stepped through; or newer, then it
//! waits until the log has said them again. One that is lost, damaged, of another model, or too old means a warm-up.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use foretwin_core::{InstanceId, Partition, SchemaId, Timestamp, Value};
use foretwin_disk::Disk;
use foretwin_learn::State;
use foretwin_store::Query;
use foretwin_wire::checkpoint::{self, SavedState};

use crate::Error;
use crate::error::Chain;
use crate::feed::Feed;
use crate::pipeline::Pipeline;

/// Between two checkpoints of a running node.
pub(crate) const EVERY: Duration = Duration::from_secs(300);
/// Bytes of states of one partition: what is beyond is warmed up anew, 340 instances of 38 metrics fit.
const MOST_BYTES: usize = 4 << 20;
/// Before so long ago, habits of the instance may have been others.
const OLDEST_S: f64 = 86_400.0;
/// A state may be so far ahead of the log that is said again; more, and the clock was set back.
const AHEAD_S: f64 = 900.0;
/// Most steps of stored frames that a state is led through; an older one jumps to them over a gap.
const MOST_STEPS: f64 = 3600.0;

type States = HashMap<(InstanceId, SchemaId), SavedState>;

/// Where checkpoints are, and what of those from before the restart nobody has asked for yet.
#[derive(Default)]
pub(crate) struct Checkpoints {
    place: OnceLock<(Arc<dyn Disk>, PathBuf)>,
    waiting: Mutex<HashMap<Partition, States>>,
    written: Mutex<Option<Instant>>,
}

impl Checkpoints {
    /// Keeps checkpoints in a directory, from now on. Without one there are none.
    pub(crate) fn open(&self, disk: Arc<dyn Disk>, dir: PathBuf) -> Result<(), Error> {
        let failed = |source| Error::File { operation: "creating", path: dir.clone(), source };
        disk.create_dir(&dir).map_err(failed)?;
        let _ = self.place.set((disk, dir));
        Ok(())
    }

    /// Whether it is time for the next one.
    pub(crate) fn is_due(&self) -> bool {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let due = written.get_or_insert_with(Instant::now).elapsed() >= EVERY;
        if due {
            *written = Some(Instant::now());
        }
        due && self.place.get().is_some()
    }

    /// The state of an instance from before the restart; only once.
    fn take(&self, id: &InstanceId, schema: SchemaId) -> Option<SavedState> {
        self.on(id.partition(), |states| states.remove(&(id.clone(), schema)))?
    }

    /// Runs on what nobody asked for yet of a partition, which is read when it is first needed.
    fn on<T>(&self, partition: Partition, run: impl FnOnce(&mut States) -> T) -> Option<T> {
        let (disk, dir) = self.place.get()?;
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let states = waiting.entry(partition).or_insert_with(|| {
            let path = file(dir, partition);
            read(&**disk, &path, partition).unwrap_or_else(|reason| {
                tracing::warn!("{}: {reason}; its instances are warmed up", path.display());
                States::default()
            })
        });
        Some(run(states))
    }

    /// Replaces the file of a partition.
    fn write(&self, partition: Partition, states: &[SavedState]) -> Result<(), Error> {
        let Some((disk, dir)) = self.place.get() else { return Ok(()) };
        let path = file(dir, partition);
        let fresh = path.with_extension("new");
        let failed = |operation| {
            let path = path.clone();
            move |source| Error::File { operation, path, source }
        };
        let _ = disk.remove(&fresh);
        let mut into = disk.create(&fresh).map_err(failed("creating"))?;
        into.write(&checkpoint::encode(partition, states)).map_err(failed("writing"))?;
        into.sync().map_err(failed("syncing"))?;
        disk.rename(&fresh, &path).map_err(failed("renaming"))?;
        disk.sync_dir(dir).map_err(failed("syncing the directory of"))
    }
}

fn file(dir: &Path, partition: Partition) -> PathBuf {
    dir.join(format!("{:02}.states", partition.0))
}

/// What a file holds; nothing if there is none.
fn read(disk: &dyn Disk, path: &Path, partition: Partition) -> Result<States, String> {
    let length = match disk.length(path) {
        Ok(length) => length,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(States::default()),
        Err(error) => return Err(error.to_string()),
    };
    // Twice what is ever written: names and numbers come on top of the states.
    let length = usize::try_from(length).ok().filter(|length| *length <= 2 * MOST_BYTES);
    let bytes = disk.read(path, 0, length.ok_or("it is too large")?).map_err(|error| error.to_string())?;
    let states = checkpoint::decode(partition, &bytes).map_err(|error| error.to_string())?;
    Ok(states.into_iter().map(|saved| ((saved.instance.clone(), saved.schema), saved)).collect())
}

impl Pipeline {
    /// Writes the states of all instances, partition by partition, and gives how many. A partition that cannot be
    /// written keeps its checkpoint from before.
    pub(crate) fn checkpoint(&self) -> usize {
        let mut count = 0;
        for partition in Partition::all() {
            let states = self.states(partition);
            // What an instance that has not come back left behind stays, as long as it is of use.
            let waiting = self.checkpoints.on(partition, |waiting| {
                let newest = states.iter().map(|saved| saved.at).max();
                waiting.retain(|_, saved| newest.is_none_or(|now| now.since(saved.at) <= OLDEST_S));
                waiting.values().cloned().collect::<Vec<_>>()
            });
            let states = within([states, waiting.unwrap_or_default()].concat());
            let known = self
                .checkpoints
                .place
                .get()
                .is_some_and(|(disk, dir)| disk.length(&file(dir, partition)).is_ok());
            if states.is_empty() && !known {
                continue;
            }
            match self.checkpoints.write(partition, &states) {
                Ok(()) => count += states.len(),
                Err(error) => tracing::warn!("no checkpoint: {}", Chain(&error)),
            }
        }
        count
    }

    /// The states of a partition, as they are.
    fn states(&self, partition: Partition) -> Vec<SavedState> {
        let shard = self.shard(partition);
        let (mut states, mut bytes) = (Vec::new(), 0);
        for watched in shard.watched.values().filter(|one| one.vanished.is_none()) {
            for feed in watched.current() {
                // No more is encoded than will be written: the partition waits meanwhile.
                if bytes >= MOST_BYTES {
                    return states;
                }
                let Some((model, _, state)) = feed.judging() else { continue };
                let Some((at, Ok(encoded))) = state.newest().map(|at| (at, state.encode(model))) else {
                    continue;
                };
                bytes += encoded.len();
                states.push(SavedState {
                    instance: watched.instance.id.clone(),
                    schema: feed.schema.id(),
                    model: model.version(),
                    trained_at: model.trained_at(),
                    at,
                    state: encoded,
                });
            }
        }
        states
    }

    /// Gives a feed that has just found its model again the state from before the restart. `at` is the frame at hand.
    pub(crate) fn resume(&self, id: &InstanceId, feed: &mut Feed, at: Timestamp) {
        let Some((model, _)) = feed.model() else { return };
        let Some(saved) = self.checkpoints.take(id, feed.schema.id()) else { return };
        let age_s = at.since(saved.at);
        let of_it = (saved.model, saved.trained_at) == (model.version(), model.trained_at());
        if !of_it || !(-AHEAD_S..=OLDEST_S).contains(&age_s) {
            return;
        }
        let state = match State::decode(&saved.state, model) {
            Ok(state) => state,
            Err(error) => {
                tracing::warn!("{id}: {error}; it is warmed up");
                return;
            }
        };
        let longest_us = (MOST_STEPS * model.step_s() * 1e6) as i64;
        let missed = match age_s > 0.0 {
            true => self.between(id, feed.schema.id(), ((saved.at + 1).max(at - longest_us), at)),
            false => Vec::new(),
        };
        feed.resume((state, at), &missed);
    }

    /// Stored frames of a feed in a span.
    fn between(
        &self,
        id: &InstanceId,
        schema: SchemaId,
        (from, to): (Timestamp, Timestamp),
    ) -> Vec<(Timestamp, Vec<Value>)> {
        let all = Query::new(id.clone(), from, to);
        let windows = self.store.read(&Query { schema: Some(schema), ..all }).unwrap_or_else(|error| {
            tracing::debug!("{id}: its state goes on without what was stored since: {}", Chain(&error));
            Vec::new()
        });
        let mut frames = Vec::new();
        for window in windows.iter().filter(|window| window.schema.id() == schema) {
            frames.extend((0..window.len()).map(|row| {
                let mut values = Vec::new();
                window.frame(row, &mut values);
                (window.times[row], values)
            }));
        }
        frames
    }
}

/// As many of the states as a file may hold.
fn within(mut states: Vec<SavedState>) -> Vec<SavedState> {
    let mut bytes = 0;
    states.retain(|saved| {
        bytes += saved.state.len();
        bytes <= MOST_BYTES
    });
    states
}

#[cfg(test)]
mod tests;
