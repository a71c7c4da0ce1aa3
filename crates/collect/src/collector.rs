//! The loop over all sources.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use foretwin_core::Timestamp;
use foretwin_host::clock::{monotonic_ns, sleep_until, wall_us};

use crate::complaints::Complaints;
use crate::config::Config;
use crate::error::{Chain, Error};
use crate::ledger::{Counts, Ledger};
use crate::pacer::{Now, Pace};
use crate::sink::{Sink, Source};

/// Longest sleep: how long a stop may go unnoticed.
const NAP_NS: u64 = 250_000_000;

/// All sources, driven from one thread.
pub struct Collector {
    slots: Vec<Slot>,
    ledger: Arc<Ledger>,
    late_share: f64,
    phase_us: u64,
}

/// A source and its rhythm. Its account stands in the ledger at the same index.
pub(crate) struct Slot {
    source: Box<dyn Source>,
    interval_ms: u64,
    complaints: Complaints,
}

impl Slot {
    pub(crate) fn new(source: Box<dyn Source>, interval_ms: u64) -> Self {
        Self { source, interval_ms, complaints: Complaints::default() }
    }
}

impl Collector {
    /// Opens the sources of a configuration.
    ///
    /// # Errors
    /// [`Error::Config`] if a setting cannot be meant, naming it; otherwise what kept a source from opening.
    pub fn new(config: &Config) -> Result<Self, Error> {
        config.validate()?;
        let (slots, ledger) = crate::assembly::open(config)?;
        // Machines of a fleet do not all work in the same instant.
        let phase_us = foretwin_core::fnv64(config.host_name()?.as_bytes()) % 50_000;
        Ok(Self { slots, ledger, late_share: config.late_share, phase_us })
    }

    /// A collector of other sources, each with its interval in milliseconds.
    #[must_use]
    pub fn of(sources: Vec<(Box<dyn Source>, u64)>) -> Self {
        let ledger = Arc::new(Ledger::new(sources.iter().map(|(source, _)| source.name())));
        let slots = sources.into_iter().map(|(source, interval_ms)| Slot::new(source, interval_ms)).collect();
        Self { slots, ledger, late_share: Config::default().late_share, phase_us: 0 }
    }

    /// Reads every source at its own rate until `stop` is set, which is noticed within a quarter of a second.
    /// Sources that fail are counted, complained about, and read again at their next tick.
    ///
    /// # Errors
    /// If the system refuses to sleep.
    pub fn run(mut self, sink: &mut dyn Sink, stop: &AtomicBool) -> Result<(), Error> {
        let start = now();
        let pace = |slot: &Slot| Pace::new(slot.interval_ms * 1000, self.phase_us, start);
        let mut paces: Vec<Pace> = self.slots.iter().map(pace).collect();
        while !stop.load(Ordering::Relaxed) {
            let Some(due_ns) = paces.iter().map(Pace::due_ns).min() else { return Ok(()) };
            let woken_ns = monotonic_ns();
            if woken_ns < due_ns {
                let object = "until the next tick";
                sleep_until(due_ns.min(woken_ns + NAP_NS))
                    .map_err(|source| Error::Read { object, source })?;
                continue;
            }
            for (index, pace) in paces.iter_mut().enumerate() {
                if pace.due_ns() <= monotonic_ns() {
                    self.tick(index, pace, sink);
                }
            }
            // What goes wrong behind the sink must not end collection either.
            let flushed = catch_unwind(AssertUnwindSafe(|| sink.flush()));
            if let Err(panic) = flushed {
                tracing::error!("handing frames on panicked: {}", message(panic.as_ref()));
            }
        }
        Ok(())
    }

    /// Reads one source and keeps its account.
    fn tick(&mut self, index: usize, pace: &mut Pace, sink: &mut dyn Sink) {
        let slot = &mut self.slots[index];
        let began = now();
        let tick = pace.begin(began);
        let is_late = tick.delay_ns as f64 > self.late_share * pace.interval_ns() as f64;
        let source = &mut slot.source;
        // A source that panicked may be in any state, but it is memory-safe, and every reading begins anew.
        let outcome = catch_unwind(AssertUnwindSafe(|| source.read(Timestamp(began.wall_us), sink)));
        let ended_ns = monotonic_ns();
        match &outcome {
            Ok(Ok(())) => {}
            Ok(Err(error)) => slot.complain(&Chain(error), ended_ns),
            Err(panic) => slot.complain(&format_args!("panicked: {}", message(panic.as_ref())), ended_ns),
        }
        self.ledger.accounts()[index].add(Counts {
            late: u64::from(is_late),
            missed: tick.missed,
            errors: u64::from(matches!(outcome, Ok(Err(_)))),
            panics: u64::from(outcome.is_err()),
            duration_us: (ended_ns - began.monotonic_ns) / 1000,
        });
    }
}

impl Slot {
    fn complain(&mut self, cause: &dyn std::fmt::Display, now_ns: u64) {
        if let Some(untold) = self.complaints.note(cause, now_ns) {
            let name = self.source.name();
            tracing::warn!(source = name, %cause, repeated = untold, "a source failed; collection goes on");
        }
    }
}

fn now() -> Now {
    Now { monotonic_ns: monotonic_ns(), wall_us: wall_us() }
}

/// What a panic said.
fn message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a message")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use foretwin_core::{Instance, InstanceId, Schema, Value};

    use super::*;

    struct Nowhere;

    impl Sink for Nowhere {
        fn instance(&mut self, _: &Instance) {}

        fn vanished(&mut self, _: &InstanceId, _: Timestamp) {}

        fn frame(&mut self, _: &InstanceId, _: &Arc<Schema>, _: Timestamp, _: &[Value]) {}
    }

    /// Stalls, fails, panics, and then asks for the end.
    struct Clumsy {
        reads: u32,
        stop: Arc<AtomicBool>,
    }

    impl Source for Clumsy {
        fn name(&self) -> &'static str {
            "clumsy"
        }

        fn read(&mut self, _: Timestamp, _: &mut dyn Sink) -> Result<(), Error> {
            self.reads += 1;
            match self.reads {
                1 => std::thread::sleep(Duration::from_millis(55)),
                2 => return Err(Error::config("a", "b", "c")),
                3 => panic!("third time"),
                _ => self.stop.store(true, Ordering::Relaxed),
            }
            Ok(())
        }
    }

    #[test]
    fn everything_that_goes_wrong_is_counted() {
        let stop = Arc::new(AtomicBool::new(false));
        let source: Box<dyn Source> = Box::new(Clumsy { reads: 0, stop: Arc::clone(&stop) });
        let collector = Collector::of(vec![(source, 10)]);
        let ledger = Arc::clone(&collector.ledger);
        collector.run(&mut Nowhere, &stop).unwrap();
        let counts = ledger.accounts()[0].counts();
        assert_eq!((counts.errors, counts.panics), (1, 1));
        assert!(counts.missed >= 4 && counts.late >= 1 && counts.duration_us >= 55_000, "{counts:?}");
    }

    #[test]
    fn without_sources_there_is_nothing_to_wait_for() {
        Collector::of(Vec::new()).run(&mut Nowhere, &AtomicBool::new(false)).unwrap();
    }
}
