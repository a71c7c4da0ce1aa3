//! What a set of threads costs: CPU time and time spent waiting for a CPU, from the scheduler's own counters.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};

/// CPU and run delay, summed over threads, nanoseconds since they began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    pub cpu_ns: u64,
    pub delay_ns: u64,
}

/// The files of the threads that registered themselves. A thread that ended keeps its last numbers.
#[derive(Debug, Default)]
pub struct Meter(Mutex<Vec<(Option<File>, Spent)>>);

impl Meter {
    /// Adds the calling thread. Where the kernel tells nothing of threads, it is not counted.
    pub fn register(&self) {
        let file = File::open("/proc/thread-self/schedstat").ok();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((file, Spent::default()));
    }

    /// The sum by now; none where the kernel tells nothing.
    pub fn read(&self) -> Option<Spent> {
        let mut threads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sum = Spent::default();
        let mut known = false;
        for (file, last) in threads.iter_mut() {
            if let Some(now) = file.as_ref().and_then(read) {
                *last = now;
                known = true;
            }
            sum.cpu_ns += last.cpu_ns;
            sum.delay_ns += last.delay_ns;
        }
        (known || threads.is_empty()).then_some(sum)
    }
}

fn read(file: &File) -> Option<Spent> {
    let mut bytes = [0u8; 96];
    let length = file.read_at(&mut bytes, 0).ok()?;
    parse(std::str::from_utf8(&bytes[..length]).ok()?)
}

fn parse(text: &str) -> Option<Spent> {
    let mut numbers = text.split_ascii_whitespace().map(str::parse);
    Some(Spent { cpu_ns: numbers.next()?.ok()?, delay_ns: numbers.next()?.ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheduler_is_understood() {
        assert_eq!(parse("12 34 5\n"), Some(Spent { cpu_ns: 12, delay_ns: 34 }));
        assert_eq!(parse(""), None);
    }

    #[test]
    fn work_of_a_thread_is_seen_from_another() {
        let meter = std::sync::Arc::new(Meter::default());
        let worker = std::sync::Arc::clone(&meter);
        let work = move || {
            worker.register();
            // The kernel brings the number up to date at its ticks.
            let spent = (0..10_000).map(|_| {
                std::hint::black_box(crate::work::units(200));
                worker.read().unwrap().cpu_ns
            });
            spent.into_iter().find(|&ns| ns > 0).unwrap_or(0)
        };
        let seen = std::thread::spawn(work).join().unwrap();
        assert!(seen > 0);
        assert!(meter.read().is_none() || meter.read().unwrap().cpu_ns >= seen);
    }
}
