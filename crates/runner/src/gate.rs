//! How threads are told to rest, to go on and to end.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::sys;

/// Longest that a thread sleeps without looking whether it should end.
const NAP_NS: u64 = 500_000_000;

#[derive(Debug, Clone, Copy)]
struct State {
    is_on: bool,
    is_ended: bool,
}

/// Shared by one set of threads.
#[derive(Debug)]
pub struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

impl Default for Gate {
    fn default() -> Self {
        Self { state: Mutex::new(State { is_on: true, is_ended: false }), changed: Condvar::new() }
    }
}

impl Gate {
    fn change(&self, act: impl FnOnce(&mut State)) {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    /// Lets the threads work or rest.
    pub fn switch(&self, is_on: bool) {
        self.change(|state| state.is_on = is_on);
    }

    /// Ends the threads, those at rest too.
    pub fn end(&self) {
        self.change(|state| state.is_ended = true);
    }

    /// Whether the threads should end.
    pub fn is_ended(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).is_ended
    }

    /// Rests while switched off. False when the thread should end.
    pub fn pass(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = self.changed.wait_while(state, |state| !state.is_on && !state.is_ended);
        !state.unwrap_or_else(PoisonError::into_inner).is_ended
    }

    /// Sleeps exactly until a moment of the monotonic clock. False when the thread should end.
    pub fn sleep_until(&self, deadline_ns: u64) -> bool {
        loop {
            let now_ns = sys::monotonic_ns();
            if now_ns >= deadline_ns {
                return self.pass();
            }
            sys::sleep_until(deadline_ns.min(now_ns + NAP_NS));
            if self.is_ended() {
                return false;
            }
        }
    }

    /// Waits a while, less exactly, and ends at once. False when the thread should end.
    pub fn wait(&self, time: Duration) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(state, time, |state| !state.is_ended);
        !waited.unwrap_or_else(PoisonError::into_inner).0.is_ended
    }
}
