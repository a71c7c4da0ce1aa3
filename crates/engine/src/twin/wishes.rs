//! What people and the engine want of the keeper, and what it says of itself: the one place where both meet.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use foretwin_core::{Fidelity, InstanceId};

use super::view::{LevelView, RehearsalView, TwinStatus};
use crate::Error;

/// Decisions that are remembered.
const MOST_DECISIONS: usize = 100;
/// Rehearsals that are remembered.
pub(super) const MOST_REHEARSALS: usize = 32;

/// Shared between the keeper and whoever asks.
#[derive(Default)]
pub(crate) struct Wishes(Mutex<Shared>);

#[derive(Default)]
pub(super) struct Shared {
    pub enabled: bool,
    /// Replays that are asked for, and the highest level for each.
    pub replays: BTreeMap<InstanceId, Fidelity>,
    /// Rehearsals to begin.
    pub rehearse: VecDeque<(u64, foretwin_twin::rehearsal::Question)>,
    pub rehearsals: VecDeque<RehearsalView>,
    pub levels: Vec<LevelView>,
    pub statuses: Vec<TwinStatus>,
    pub decisions: VecDeque<String>,
    pub next: u64,
}

impl Wishes {
    pub(super) fn shared(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Rehearsals that may be under way together: each takes half a core.
const MOST_TOGETHER: usize = 2;

impl Shared {
    /// Whether another rehearsal may begin.
    pub(super) fn admits(&self, id: &InstanceId) -> Result<(), Error> {
        let under_way = || self.rehearsals.iter().filter(|view| !view.done);
        if under_way().any(|view| view.instance == *id) {
            return Err(Error::Conflict(format!("{id} is being rehearsed: ask again when that is over")));
        }
        if under_way().count() >= MOST_TOGETHER {
            let others = format!("{MOST_TOGETHER} rehearsals are under way: ask again when one is over");
            return Err(Error::Conflict(others));
        }
        Ok(())
    }

    /// Remembers a decision.
    pub(super) fn decide(&mut self, what: String) {
        tracing::info!("twin: {what}");
        self.decisions.push_back(what);
        while self.decisions.len() > MOST_DECISIONS {
            self.decisions.pop_front();
        }
    }
}
