//! The steps of one round of background work: between two of them time goes on, and what is due comes first.

use foretwin_core::Timestamp;

use crate::flush::Flushed;
use crate::{Error, Store};

/// One round of background work under way.
pub(crate) struct Steps<'a> {
    store: &'a Store,
    /// The time, or nothing if the round is to end.
    clock: &'a mut dyn FnMut() -> Option<Timestamp>,
    now: Option<Timestamp>,
    /// Bytes of frames taken in hand since the last step ended.
    bytes: u64,
    flushed: Option<Flushed>,
    failed: Option<Error>,
}

impl<'a> Steps<'a> {
    /// Begins a round with what is due.
    pub(crate) fn begin(store: &'a Store, clock: &'a mut dyn FnMut() -> Option<Timestamp>) -> Self {
        let mut steps = Self { store, clock, now: None, bytes: 0, flushed: None, failed: None };
        steps.now = (steps.clock)();
        steps.flush();
        steps
    }

    /// The time at which this step began; `None` once the round is to end.
    pub(crate) fn now(&self) -> Option<Timestamp> {
        self.now
    }

    /// Ends a step: flushes if that is due. False if the round is to end.
    pub(crate) fn next(&mut self) -> bool {
        self.bytes = 0;
        if self.now.is_some() {
            self.now = (self.clock)();
            self.flush();
        }
        self.now.is_some()
    }

    /// Counts bytes of frames, and ends the step when there are enough of them. False if the round is to end.
    pub(crate) fn count(&mut self, bytes: u64) -> bool {
        self.bytes += bytes;
        if self.bytes < self.store.config.step_bytes { self.now.is_some() } else { self.next() }
    }

    /// What was flushed in this round, or why that failed first.
    pub(crate) fn flushed(self) -> Result<Option<Flushed>, Error> {
        self.failed.map_or(Ok(self.flushed), Err)
    }

    fn flush(&mut self) {
        let Some(now) = self.now else { return };
        match self.store.flush_due(now) {
            Ok(None) => {}
            Ok(Some(more)) => {
                let sum = self.flushed.get_or_insert_default();
                sum.bytes += more.bytes;
                sum.samples += more.samples;
            }
            // The work goes on: it may be what frees the disk.
            Err(error) => {
                self.failed.get_or_insert(error);
            }
        }
    }
}
