//! All sinks together.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use foretwin_core::{Alert, Timestamp};

use crate::Error;
use crate::config::{Sink, check};
use crate::counts::Counts;
use crate::worker::{Shared, Worker};

/// Tells every receiver of alerts; cheap to clone.
#[derive(Clone)]
pub struct Notifier {
    desks: Arc<[Arc<Shared>]>,
}

/// The threads of a [`Notifier`].
#[must_use = "without joining, what waits at the end is lost"]
pub struct Threads(Vec<JoinHandle<()>>);

impl Notifier {
    /// Starts a thread for each sink. `own` is the address that links begin with where a sink names none; `seed` draws
    /// the jitter of pauses.
    ///
    /// # Errors
    /// If a sink cannot be meant, its certificates cannot be read, or a thread cannot be started.
    pub fn start(sinks: &[Sink], own: &str, seed: u64) -> Result<(Self, Threads), Error> {
        check(sinks)?;
        let (mut desks, mut threads) = (Vec::new(), Vec::new());
        for sink in sinks {
            let desk = Arc::new(Shared::new(sink.clone()));
            let worker = Worker::new(desk.clone(), sink, (own, seed))?;
            let started = std::thread::Builder::new().name("notify".into()).spawn(move || worker.run());
            threads.push(started.map_err(|source| Error::Thread { name: sink.name.clone(), source })?);
            desks.push(desk);
        }
        Ok((Self { desks: desks.into() }, Threads(threads)))
    }

    /// Hears what became of an alert; never waits for a receiver.
    pub fn take(&self, alert: &Alert, at: Timestamp) {
        if self.desks.is_empty() {
            return;
        }
        let alert = Arc::new(alert.clone());
        for desk in &*self.desks {
            desk.with(|desk| {
                desk.take(&alert, at);
            });
        }
    }

    /// Takes up an alert that fired before this process began.
    pub fn resume(&self, alert: &Alert, at: Timestamp) {
        let alert = Arc::new(alert.clone());
        self.desks.iter().for_each(|desk| desk.with(|desk| desk.resume(&alert, at)));
    }

    /// The numbers of every sink, in the order of the configuration.
    #[must_use]
    pub fn counts(&self) -> Vec<Counts> {
        self.desks.iter().map(|desk| desk.counts()).collect()
    }

    /// Ends the threads: what waits has one more try, within `grace`. What stands is not said to be over: it is not.
    pub fn stop(&self, threads: Threads, grace: Duration) {
        let deadline = Instant::now() + grace;
        self.desks.iter().for_each(|desk| desk.end(deadline));
        for thread in threads.0 {
            while !thread.is_finished() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(10));
            }
            // One that hangs in a request ends with the process.
            if thread.is_finished() && thread.join().is_err() {
                tracing::warn!("a thread of notify panicked");
            }
        }
        for counts in self.counts().into_iter().filter(|counts| counts.waiting > 0) {
            tracing::warn!("notify {}: {} messages were not delivered", counts.sink, counts.waiting);
        }
    }
}
