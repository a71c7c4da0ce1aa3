//! What collection costs: `collect_cost [SECONDS] [HZ] [machine]` prints metrics, processor time and memory.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use foretwin_collect::{Collector, Config, Sink, Source, machine};
use foretwin_core::{Instance, InstanceId, Schema, Timestamp, Value};
use foretwin_host::file::{Buffer, ProcFile};
use foretwin_host::proc::{OwnUse, own_use};

/// Counts what it is given.
#[derive(Default)]
struct Counting {
    widths: HashMap<InstanceId, usize>,
    frames: u64,
    values: u64,
}

impl Sink for Counting {
    fn instance(&mut self, instance: &Instance) {
        println!("{:?} {} ({})", instance.kind, instance.id, instance.workload.0);
    }

    fn vanished(&mut self, instance: &InstanceId, _: Timestamp) {
        self.widths.remove(instance);
    }

    fn frame(&mut self, instance: &InstanceId, schema: &Arc<Schema>, _: Timestamp, values: &[Value]) {
        assert_eq!(schema.width(), values.len());
        self.frames += 1;
        self.values += values.len() as u64;
        if self.widths.get(instance) != Some(&values.len()) {
            self.widths.insert(instance.clone(), values.len());
        }
    }
}

fn used() -> OwnUse {
    let statm = ProcFile::open("/proc/self/statm").expect("procfs is mounted");
    own_use(&statm, &mut Buffer::default()).expect("a process can see itself")
}

fn collector(hz: f64, only_machine: bool) -> Collector {
    let interval_ms = (1000.0 / hz).round() as u64;
    let mut config = Config::default();
    config.machine.interval_ms = interval_ms;
    if only_machine {
        let source: Box<dyn Source> = Box::new(machine::Machine::new("here", &config.machine));
        return Collector::of(vec![(source, interval_ms)]);
    }
    Collector::new(&config).expect("the defaults are valid")
}

fn main() {
    let mut args = std::env::args().skip(1);
    let mut number = |default: f64| args.next().and_then(|arg| arg.parse().ok()).unwrap_or(default);
    let (seconds, hz) = (number(10.0), number(1.0));
    let collector = collector(hz, args.next().is_some_and(|arg| arg == "machine"));
    let (mut sink, stop) = (Counting::default(), AtomicBool::new(false));
    let before = used();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_secs_f64(seconds));
            stop.store(true, Ordering::Relaxed);
        });
        collector.run(&mut sink, &stop).expect("the clock works");
    });
    let after = used();
    let cpu_us = after.cpu_us - before.cpu_us;
    let metrics: usize = sink.widths.values().sum();
    println!("{metrics} metrics of {} instances, {} frames in {seconds} s", sink.widths.len(), sink.frames);
    println!(
        "{:.3} % of a core, {:.1} us a frame",
        cpu_us as f64 / seconds / 1e4,
        cpu_us as f64 / sink.frames as f64
    );
    println!("{:.1} MB resident", after.resident_bytes as f64 / 1e6);
}
