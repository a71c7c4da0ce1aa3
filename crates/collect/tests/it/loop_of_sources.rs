//! The loop keeps the rhythm of good sources beside bad ones, and accounts for everything.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use foretwin_collect::{Collector, Config, Error, Sink, Source};
use foretwin_core::Timestamp;

use crate::sinks::Keeping;

/// A source that does something at each tick and counts.
struct Acting<F>(Arc<AtomicUsize>, F);

impl<F: FnMut(usize) -> Result<(), Error> + Send> Source for Acting<F> {
    fn name(&self) -> &'static str {
        "acting"
    }

    fn read(&mut self, _: Timestamp, _: &mut dyn Sink) -> Result<(), Error> {
        (self.1)(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// A source at 100 Hz, and how often it was read.
fn acting<F>(act: F) -> ((Box<dyn Source>, u64), Arc<AtomicUsize>)
where
    F: FnMut(usize) -> Result<(), Error> + Send + 'static,
{
    let count = Arc::new(AtomicUsize::new(0));
    ((Box::new(Acting(Arc::clone(&count), act)), 10), count)
}

fn run_for(ms: u64, collector: Collector, sink: &mut Keeping) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(ms));
            stop.store(true, Ordering::Relaxed);
        });
        collector.run(sink, &stop).unwrap();
    });
}

#[test]
fn failing_and_panicking_sources_stop_nobody() {
    let (good, good_count) = acting(|_| Ok(()));
    let (failing, failing_count) = acting(|_| {
        let source = io::Error::other("denied");
        Err(Error::System { operation: "read", object: "something".into(), source })
    });
    let (panicking, panicking_count) = acting(|n| panic!("tick {n}"));
    // The first panic looks up its symbols, which takes a while on a busy machine.
    run_for(1500, Collector::of(vec![panicking, failing, good]), &mut Keeping::default());
    for count in [good_count, failing_count, panicking_count] {
        let count = count.load(Ordering::Relaxed);
        assert!((15..=151).contains(&count), "{count}");
    }
}

#[test]
fn no_burst_makes_up_for_a_stall() {
    let stalls = |n| {
        std::thread::sleep(Duration::from_millis(if n == 0 { 200 } else { 0 }));
        Ok(())
    };
    let (source, count) = acting(stalls);
    run_for(300, Collector::of(vec![source]), &mut Keeping::default());
    let count = count.load(Ordering::Relaxed);
    assert!((2..=11).contains(&count), "{count} ticks in the 100 ms after a stall");
}

#[test]
fn the_machine_accounts_for_all_sources() {
    let mut config = Config { host: "here".into(), ..Config::default() };
    config.machine.interval_ms = 10;
    let mut sink = Keeping::default();
    run_for(200, Collector::new(&config).unwrap(), &mut sink);
    let count = |name: &str| sink.newest(&format!("foretwin.collect.{name}{{foretwin.source=machine}}"));
    assert!(sink.frames.len() >= 2, "{}", sink.frames.len());
    assert!(count("duration").unwrap() > 0.0);
    assert_eq!((count("read.errors"), count("panics")), (Some(0.0), Some(0.0)));
    assert!(count("late").is_some());
    // Every deadline is either a frame or missed, but for the one in progress at either end.
    let due = (sink.frames.last().unwrap().2.0 - sink.frames[0].2.0) as f64 / 10_000.0;
    // What was missed before the first frame lies before the span.
    let before = sink.oldest("foretwin.collect.missed{foretwin.source=machine}").unwrap();
    let accounted = sink.frames.len() as f64 - 1.0 + count("missed").unwrap() - before;
    assert!((due - accounted).abs() <= 2.0, "{due} ticks were due, {accounted} accounted for");
}

#[test]
fn a_wrong_setting_is_named() {
    let mut config = Config::default();
    config.machine.interval_ms = 5;
    let error = Collector::new(&config).err().unwrap().to_string();
    assert!(error.contains("machine.interval_ms"), "{error}");
}
