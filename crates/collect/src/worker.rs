//! A thread that does the same thing again and again and stops when its owner goes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::Error;

/// A running thread. Dropping it asks the thread to stop and does not wait: the thread may be waiting for a peer
/// that does not answer, for as long as its timeout.
#[derive(Debug)]
pub(crate) struct Worker {
    stop: Arc<(Mutex<bool>, Condvar)>,
}

impl Worker {
    /// Calls `work` at once and then every `interval`, on a thread of its own. A call that takes longer than the
    /// interval delays the next one; calls are never made up for.
    ///
    /// # Errors
    /// If the system starts no thread.
    pub fn start(
        name: &str,
        interval: Duration,
        mut work: impl FnMut() + Send + 'static,
    ) -> Result<Self, Error> {
        let stop = Arc::new((Mutex::new(false), Condvar::new()));
        let asked = Arc::clone(&stop);
        let run = move || {
            loop {
                let next = Instant::now() + interval;
                // A bug in one target's handling is no reason to give up the target for good.
                if catch_unwind(AssertUnwindSafe(&mut work)).is_err() {
                    tracing::error!("a worker panicked; it goes on");
                }
                if stopped_before(&asked, next) {
                    return;
                }
            }
        };
        let started =
            thread::Builder::new().name(format!("foretwin-{name}")).stack_size(512 << 10).spawn(run);
        match started {
            Ok(_) => Ok(Self { stop }),
            Err(source) => {
                Err(Error::System { operation: "start a thread for", object: name.into(), source })
            }
        }
    }
}

/// Waits until `next`; returns true at once when asked to stop.
fn stopped_before(asked: &(Mutex<bool>, Condvar), next: Instant) -> bool {
    let (stop, changed) = asked;
    let stop = stop.lock().unwrap_or_else(PoisonError::into_inner);
    let wait = next.saturating_duration_since(Instant::now());
    let (stop, _) =
        changed.wait_timeout_while(stop, wait, |stop| !*stop).unwrap_or_else(PoisonError::into_inner);
    *stop
}

impl Drop for Worker {
    fn drop(&mut self) {
        *self.stop.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.stop.1.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn works_until_dropped_and_survives_a_panic() {
        let count = Arc::new(AtomicUsize::new(0));
        let shared = Arc::clone(&count);
        let work = move || assert!(shared.fetch_add(1, Ordering::SeqCst) != 1, "the second call panics");
        let worker = Worker::start("test", Duration::from_millis(1), work).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while count.load(Ordering::SeqCst) < 5 && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
        assert!(count.load(Ordering::SeqCst) >= 5);
        drop(worker);
        // The thread lets go of what it holds once it has seen the request.
        while Arc::strong_count(&count) > 1 && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(Arc::strong_count(&count), 1);
    }
}
