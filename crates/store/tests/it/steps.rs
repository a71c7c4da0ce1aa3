//! Background work in small steps: what is due goes first, readers see everything at every step, and a round may end at
//! any of them.

use std::path::Path;

use foretwin_core::{InstanceId, Partition};
use foretwin_disk::{Disk, Fault, SimDisk};
use foretwin_store::{Config, Store};

use crate::world::{DIR, Log, contents, open, second, small, telemetry};

const NAMES: [&str; 5] = ["a", "b", "b/c", "d", "e"];

/// A step for each instance, a file for each partition.
fn config() -> Config {
    Config { step_bytes: 1, sealed_file_bytes: 1, ..small() }
}

/// A store with three minutes of telemetry in hot files, of which two are due.
fn filled(disk: &SimDisk, names: &[&str], log: &mut Log) -> Store {
    let (store, _) = open(disk, &config());
    for minute in 0..3 {
        telemetry(names, minute * 60, 60, log);
        log.replay(&store);
        store.flush(second(minute * 60 + 59)).unwrap();
    }
    store
}

fn unfinished(disk: &SimDisk) -> usize {
    let files = disk.list(Path::new(DIR)).unwrap();
    files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "tmp")).count()
}

#[test]
fn a_flush_in_steps_lets_memory_go_partition_by_partition() {
    let (disk, mut log) = (SimDisk::new(1), Log::default());
    let (store, _) = open(&disk, &config());
    telemetry(&NAMES, 0, 60, &mut log);
    log.replay(&store);
    let held = store.stats().head_bytes;
    // The third file cannot be written: a create, a sync, a rename and a sync of the directory come for each.
    disk.fail_at(disk.sync_points() + 5, Fault::SyncFails);
    store.flush(second(60)).unwrap_err();
    let after = store.stats();
    assert_eq!((after.hot_files, after.failed_flushes), (2, 1));
    assert!(after.head_bytes > 0 && after.head_bytes < held, "{after:?}");
    assert_eq!(contents(&store), log.truth(), "what is written, what failed, what was not taken yet");
    let durable = store.durable();
    for partition in Partition::all() {
        assert!(durable[partition.index()] <= store.applied(partition));
    }
    let written = Partition::all().filter(|partition| durable[partition.index()] > 0).count();
    assert_eq!(written, 2, "the log may be trimmed as far as files go");
    let crashed = disk.crash();
    let (again, recovery) = open(&crashed, &config());
    assert_eq!(recovery.applied, durable);
    log.replay(&again);
    assert_eq!(contents(&again), log.truth());
    store.flush(second(61)).unwrap();
    assert_eq!(store.stats().head_bytes, 0);
    assert_eq!(contents(&open(&disk, &config()).0), log.truth(), "without replay");
}

#[test]
fn readers_see_everything_at_every_step_and_what_arrives_is_flushed() {
    let (disk, mut log) = (SimDisk::new(1), Log::default());
    let store = filled(&disk, &NAMES, &mut log);
    let (mut now, mut flushes) = (400, std::collections::BTreeSet::new());
    let mut steps = 0;
    let maintained = store.maintain_in_steps(&mut || {
        steps += 1;
        assert_eq!(contents(&store), log.truth(), "step {steps}");
        // Life goes on beside the work.
        telemetry(&["a", "e"], now, 10, &mut log);
        log.replay(&store);
        assert_eq!(contents(&store), log.truth(), "step {steps}, with what has just arrived");
        now += 10;
        flushes.insert(store.stats().flushes);
        Some(second(now))
    });
    let maintained = maintained.unwrap();
    assert!(maintained.sealed_files > 3 && maintained.tier_files > 3, "{maintained:?}");
    assert!(steps > 10, "{steps}");
    assert!(flushes.len() > 2, "a flush every three steps: {flushes:?}");
    assert!(maintained.flushed.unwrap().samples > 0);
    assert_eq!(contents(&store), log.truth());
    assert_eq!(unfinished(&disk), 0);
}

#[test]
fn a_round_may_end_at_any_step_and_the_next_goes_on() {
    let mut finished = false;
    for stop in 0..200 {
        let (disk, mut log) = (SimDisk::new(1), Log::default());
        let store = filled(&disk, &NAMES[..2], &mut log);
        let mut left = stop;
        let mut clock = || {
            left -= 1;
            (left >= 0).then(|| second(400))
        };
        let first = store.maintain_in_steps(&mut clock).unwrap();
        finished = left > 0;
        assert_eq!(contents(&store), log.truth(), "{stop} steps");
        assert_eq!(unfinished(&disk), 0, "{stop} steps");
        // As well after a crash here as without one.
        let (other, recovery) = open(&disk.crash(), &config());
        assert_eq!(recovery.damages, []);
        for store in [&store, &other] {
            while store.maintain(second(400)).unwrap().again() {}
            assert_eq!(contents(store), log.truth(), "{stop} steps and the rest");
            let stats = store.stats();
            assert!(stats.hot_files <= 1, "{stop} steps: {stats:?}");
        }
        assert_eq!(store.stats().raw_samples, other.stats().raw_samples, "{stop} steps: {first:?}");
        if finished {
            assert!(stop > 5, "{stop}");
            break;
        }
    }
    assert!(finished, "a round has an end");
}

#[test]
fn slices_of_one_partition_are_sealed_as_the_whole() {
    // Instances of one partition, each with more than a block, so that blocks and slices end amid each other.
    let names: Vec<String> = (0..)
        .map(|n| format!("host-{n}"))
        .filter(|name| InstanceId::new(name).partition() == Partition(7))
        .take(12)
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut sealed = Vec::new();
    for step_bytes in [1, 300_000, u64::MAX] {
        let (disk, mut log) = (SimDisk::new(1), Log::default());
        let day = Config { span_s: 86_400, step_bytes, ..small() };
        let (store, _) = open(&disk, &day);
        for (from, seconds) in [(0, 2500), (2500, 3000), (2000, 100)] {
            telemetry(&names, from, seconds, &mut log);
            log.replay(&store);
            store.flush(second(from + seconds)).unwrap();
        }
        let mut steps = 0;
        let mut clock = || {
            steps += 1;
            Some(second(2 * 86_400))
        };
        let maintained = store.maintain_in_steps(&mut clock).unwrap();
        assert_eq!(maintained.sealed_files, 1);
        assert_eq!(contents(&store), log.truth());
        let bytes = store.stats().raw_bytes;
        sealed.push((steps, bytes));
    }
    assert!(sealed[0].0 > sealed[1].0 && sealed[1].0 > sealed[2].0, "{sealed:?}");
    assert!(sealed.iter().all(|(_, bytes)| *bytes == sealed[0].1), "to the byte: {sealed:?}");
}
