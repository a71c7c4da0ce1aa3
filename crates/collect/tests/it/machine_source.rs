//! The machine source reads what this machine has.

use std::hint::black_box;

use foretwin_collect::{Source, machine};
use foretwin_core::{FailureMode, Kind, Role, Timestamp};

use crate::sinks::Keeping;

const NOW: Timestamp = Timestamp(1_700_000_000_000_000);

fn read_once() -> Keeping {
    let mut sink = Keeping::default();
    machine::Machine::new("here", &machine::Config::default()).read(NOW, &mut sink).unwrap();
    sink
}

#[test]
fn one_instance_and_one_frame_a_tick() {
    let (mut sink, config) = (Keeping::default(), machine::Config::default());
    let mut machine = machine::Machine::new("here", &config);
    machine.read(NOW, &mut sink).unwrap();
    machine.read(NOW + 1_000_000, &mut sink).unwrap();
    assert_eq!((sink.instances.len(), sink.frames.len()), (1, 2));
    let (id, _, at, _) = &sink.frames[1];
    assert_eq!((id.as_str(), *at), ("here", NOW + 1_000_000));
}

#[test]
fn numbers_are_plausible() {
    let sink = read_once();
    let value = |key: &str| sink.newest(key).unwrap_or_else(|| panic!("{key} is missing"));
    let limit = value("system.memory.limit");
    assert!(limit > 1e7 && value("system.memory.unreclaimable") < limit);
    assert!(value("system.cpu.time{cpu.mode=idle}") > 1e6, "a second of idling since boot, in microseconds");
    assert!(value("system.cpu.limit") >= 1e6 && value("system.cpu.busy") > 0.0);
    assert!(value("system.thread.count") >= value("system.process.count"));
    assert!(value("system.thread.limit") > value("system.thread.count"));
    assert!(value("system.paging.faults") > value("system.paging.faults{system.paging.fault.type=major}"));
    assert!(value("system.file_descriptor.count") > 3.0);
    assert!(value("foretwin.process.memory.usage") > 1e5);
    let root = "system.filesystem.mountpoint=/";
    let used = value(&format!("system.filesystem.usage{{{root}}}"));
    assert!(used > 0.0 && used <= value(&format!("system.filesystem.limit{{{root}}}")));
}

#[test]
fn every_limit_stands_in_the_schema() {
    let sink = read_once();
    let schema = &sink.frames[0].1;
    let mut modes = Vec::new();
    for metric in schema.metrics() {
        assert!(metric.kind == Kind::Gauge || metric.role != Role::Limit, "{}", metric.key());
        let Some(capacity) = &metric.capacity else { continue };
        let limit = schema.column(&capacity.limit).map(|column| &schema.metrics()[column]);
        let limit = limit.unwrap_or_else(|| panic!("{} has no limit {}", metric.key(), capacity.limit));
        let unit =
            if metric.kind == Kind::Counter { format!("{}/s", metric.unit) } else { metric.unit.clone() };
        assert_eq!((limit.role, &limit.unit), (Role::Limit, &unit));
        modes.push(capacity.mode);
    }
    for mode in [
        FailureMode::CpuSaturation,
        FailureMode::MemoryExhaustion,
        FailureMode::SwapExhaustion,
        FailureMode::DiskFull,
        FailureMode::InodeExhaustion,
        FailureMode::PidExhaustion,
        FailureMode::DescriptorExhaustion,
    ] {
        assert!(modes.contains(&mode), "{mode}");
    }
}

#[test]
fn work_shows() {
    let mut machine = machine::Machine::new("here", &machine::Config::default());
    let mut second = 0;
    let mut read = |key: &str| {
        let mut sink = Keeping::default();
        second += 1;
        machine.read(NOW + second * 1_000_000, &mut sink).unwrap();
        sink.newest(key).unwrap()
    };
    let before = read("foretwin.process.cpu.time");
    let mut sum = 0u64;
    while read("foretwin.process.cpu.time") < before + 20_000.0 {
        sum = black_box((0..100_000u64).fold(sum, u64::wrapping_add));
    }
    let before = read("system.paging.faults");
    let touched = black_box(vec![1u8; 8 << 20]);
    assert!(read("system.paging.faults") > before, "{} bytes were touched", touched.len());
}

/// What is read rarely is repeated in between, and read at once when the clock goes back.
#[test]
fn a_clock_that_goes_back_changes_nothing() {
    let (mut sink, config) = (Keeping::default(), machine::Config::default());
    let mut machine = machine::Machine::new("here", &config);
    for at in [NOW, NOW + 100_000, NOW - 3_600_000_000, NOW] {
        machine.read(at, &mut sink).unwrap();
        assert!(sink.newest("system.thread.limit").is_some());
    }
    assert_eq!(sink.frames[0].1.id(), sink.frames[3].1.id());
}

#[test]
fn loopback_is_there_on_demand() {
    let mut sink = Keeping::default();
    let config = machine::Config { loopback: true, ..machine::Config::default() };
    machine::Machine::new("here", &config).read(NOW, &mut sink).unwrap();
    let key = "system.network.io{network.interface.name=lo,network.io.direction=receive}";
    assert!(sink.newest(key).is_some());
    assert!(read_once().newest(key).is_none());
}
