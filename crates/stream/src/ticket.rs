//! Waiting for a commit.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use foretwin_core::Position;

use crate::error::Error;

/// What became of one commit; shared by everybody whose records are in it.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    known: Mutex<Option<Result<(), Error>>>,
    done: Condvar,
}

impl Outcome {
    pub fn settle(&self, result: Result<(), Error>) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        self.done.notify_all();
    }
}

/// The promise of a commit: which positions the records got, and whether they are durable.
#[derive(Debug, Clone)]
pub struct Ticket {
    pub(crate) positions: Vec<Position>,
    pub(crate) outcome: Arc<Outcome>,
}

impl Ticket {
    /// Where the records stand once committed, in the order they were given. When the commit fails these positions
    /// go to others.
    #[must_use]
    pub fn positions(&self) -> &[Position] {
        &self.positions
    }

    /// What became of the commit, if that is known by now.
    #[must_use]
    pub fn outcome(&self) -> Option<Result<(), Error>> {
        self.outcome.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until the records are durable: when this returns `Ok` no crash loses them.
    ///
    /// # Errors
    /// Why the commit failed; [`Error::Timeout`] when it is still under way.
    pub fn wait(&self, timeout: Duration) -> Result<(), Error> {
        let deadline = Instant::now() + timeout;
        let mut known = self.outcome.known.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(result) = &*known {
                return result.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::Timeout { waited: timeout });
            }
            known = self.outcome.done.wait_timeout(known, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_ends_with_the_outcome_or_the_time() {
        let outcome = Arc::new(Outcome::default());
        let ticket = Ticket { positions: Vec::new(), outcome: Arc::clone(&outcome) };
        assert!(ticket.outcome().is_none());
        assert!(matches!(ticket.wait(Duration::from_millis(1)), Err(Error::Timeout { .. })));
        let waiter = std::thread::spawn(move || ticket.wait(Duration::from_secs(60)));
        outcome.settle(Err(Error::Closed));
        assert!(matches!(waiter.join().unwrap(), Err(Error::Closed)));
    }
}
