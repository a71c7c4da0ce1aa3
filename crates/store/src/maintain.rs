//! The background work, in the order that frees space soonest.

use std::sync::PoisonError;

use foretwin_core::{Partition, Timestamp};

use crate::flush::Flushed;
use crate::steps::Steps;
use crate::{Error, Store};

/// What one round of maintenance did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Maintained {
    /// What was flushed, if a flush was due.
    pub flushed: Option<Flushed>,
    /// Raw files sealed.
    pub sealed_files: usize,
    /// Files of the tiers made.
    pub tier_files: usize,
    /// Files removed because others stand for them.
    pub superseded_files: usize,
    /// Files removed by retention.
    pub retired_files: usize,
}

impl Maintained {
    /// Whether something was rewritten: there may be more to do at once.
    #[must_use]
    pub fn again(&self) -> bool {
        self.sealed_files + self.tier_files > 0
    }
}

impl Store {
    /// [`Store::maintain_in_steps`] at one moment, to its end.
    ///
    /// # Errors
    /// As there.
    pub fn maintain(&self, now: Timestamp) -> Result<Maintained, Error> {
        self.maintain_in_steps(&mut || Some(now))
    }

    /// One round of background work: flushes if due, seals at most one run of hot files, downsamples, and removes
    /// what is too old. Call it every second or so from a low-priority thread. No lock that readers or workers
    /// take is held while files are written.
    ///
    /// A round of a large store takes minutes. After every `step_bytes` of frames it asks the clock, and flushes if
    /// that has become due; where the clock says nothing, the round ends, an unfinished file is given up, and the
    /// next round goes on after the last finished one.
    ///
    /// # Errors
    /// The first step's that failed; the others were tried all the same, and all are tried again next time.
    pub fn maintain_in_steps(
        &self,
        clock: &mut dyn FnMut() -> Option<Timestamp>,
    ) -> Result<Maintained, Error> {
        let mut steps = Steps::begin(self, clock);
        let _alone = self.maintaining.lock().unwrap_or_else(PoisonError::into_inner);
        let sealed = self.seal(&mut steps);
        let superseded = self.remove_spent();
        let tiers = self.downsample(&mut steps);
        let merged = self.remove_spent();
        let retired = steps.now().map_or(Ok(0), |now| self.retain(now));
        if sealed.as_ref().is_ok_and(|&files| files > 0) {
            self.forget_vanished();
        }
        Ok(Maintained {
            flushed: steps.flushed()?,
            sealed_files: sealed?,
            tier_files: tiers?,
            superseded_files: superseded? + merged?,
            retired_files: retired?,
        })
    }

    /// Frees the memory of instances that are gone.
    fn forget_vanished(&self) {
        let gone: std::collections::HashSet<_> = {
            let catalog = self.catalog_read();
            let vanished = catalog.instances().iter().filter(|(_, entry)| entry.vanished.is_some());
            vanished.map(|(id, _)| id.clone()).collect()
        };
        if gone.is_empty() {
            return;
        }
        for partition in Partition::all() {
            self.head(partition).forget(|instance| gone.contains(instance));
        }
    }
}
