//! Threads with a name, a priority and an end.
#![allow(unsafe_code)] // setpriority has no safe binding in std.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::Error;

/// Threads that end together.
pub(crate) struct Threads {
    pub(crate) stop: Arc<AtomicBool>,
    running: Vec<(&'static str, JoinHandle<()>)>,
}

impl Threads {
    pub(crate) fn new() -> Self {
        Self { stop: Arc::new(AtomicBool::new(false)), running: Vec::new() }
    }

    /// Starts a thread.
    pub(crate) fn start(
        &mut self,
        name: &'static str,
        run: impl FnOnce() + Send + 'static,
    ) -> Result<(), Error> {
        let spawned = std::thread::Builder::new().name(name.into()).spawn(run);
        self.running.push((name, spawned.map_err(|source| Error::Thread { name, source })?));
        Ok(())
    }

    /// Asks all to end and waits for those with this name.
    pub(crate) fn join(&mut self, wanted: &'static str) {
        self.stop.store(true, Ordering::Relaxed);
        let (named, others): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.running).into_iter().partition(|(name, _)| *name == wanted);
        self.running = others;
        for (name, thread) in named {
            if thread.join().is_err() {
                tracing::error!("the {name} thread ended in a panic");
            }
        }
    }
}

/// What is left behind by a start that failed must not go on.
impl Drop for Threads {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Sleeps in small steps until the time is over or a stop is asked for; false if it is.
pub(crate) fn pause(stop: &AtomicBool, time: Duration) -> bool {
    let step = Duration::from_millis(250);
    let mut left = time;
    while !left.is_zero() {
        if stop.load(Ordering::Relaxed) {
            return false;
        }
        let now = left.min(step);
        std::thread::sleep(now);
        left -= now;
    }
    !stop.load(Ordering::Relaxed)
}

/// Gives the calling thread the lowest ordinary priority: production comes first.
pub(crate) fn lower_priority() {
    // SAFETY: plain system calls on numbers; with the thread's own id only this thread is changed.
    unsafe {
        let thread = libc::syscall(libc::SYS_gettid) as libc::id_t;
        libc::setpriority(libc::PRIO_PROCESS, thread, 19);
    }
}

/// CPU time that the calling thread has used.
pub(crate) fn cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec that lives across the call.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
