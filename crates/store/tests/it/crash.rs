//! The machine stops at every sync point; what is replayed after makes the store whole.

use foretwin_core::Partition;
use foretwin_disk::{Fault, SimDisk};
use foretwin_store::{Config, Store};

use crate::world::{Log, contents, open, second, small, telemetry};

/// Four minutes of three instances in the log, applied in steps with a flush and maintenance after each.
fn live(store: &Store, log: &Log) -> Result<(), foretwin_store::Error> {
    let mut now = 0;
    for chunk in log.records.chunks(9) {
        for (position, record) in chunk {
            store.apply(*position, record)?;
        }
        now += 30;
        store.flush(second(now))?;
        store.maintain(second(now))?;
    }
    // A day later everything is merged and the first tiers are made.
    store.maintain(second(2 * 86_400))?;
    store.maintain(second(2 * 86_400 + 1))?;
    Ok(())
}

fn log() -> Log {
    let mut log = Log::default();
    telemetry(&["a", "b", "b/c"], 0, 240, &mut log);
    // Late, and again.
    telemetry(&["a"], 20, 40, &mut log);
    log
}

/// Files of a few hundred bytes each, so that a seal makes several and a crash can fall between them.
fn config() -> Config {
    Config { sealed_file_bytes: 1000, ..small() }
}

fn check((disk, config): (&SimDisk, &Config), log: &Log, durable: [u64; 64], point: &str) {
    let (store, recovery) = open(disk, config);
    assert_eq!(recovery.damages, [], "{point}");
    for partition in Partition::all() {
        let applied = store.applied(partition);
        assert!(applied >= durable[partition.index()], "{point}: the log may have been trimmed up to there");
    }
    // Only what is not durable is replayed: the rest must be there.
    for (position, record) in &log.records {
        if position.offset >= store.applied(position.partition) {
            store.apply(*position, record).unwrap();
        }
    }
    assert_eq!(contents(&store), log.truth(), "{point}");
    store.flush(second(400)).unwrap();
    for round in 0..6 {
        store.maintain(second(500 + 86_400 * round)).unwrap();
    }
    assert_eq!(contents(&store), log.truth(), "{point}, sealed");
    assert_eq!(store.damage(), [], "{point}");
}

/// Each sync point sees the fault; where there are several, one of them in turn.
fn at_every_sync_point(faults: &[Fault], config: &Config) {
    let log = log();
    let points = {
        let disk = SimDisk::new(1);
        let (store, _) = open(&disk, config);
        live(&store, &log).unwrap();
        assert_eq!(contents(&store), log.truth());
        let stats = store.stats();
        assert!(stats.raw_samples > 0 && stats.tier_bytes > 0, "the whole life was lived: {stats:?}");
        disk.sync_points()
    };
    assert!(points > 40, "{points}");
    for point in 1..=points {
        let disk = SimDisk::new(point);
        let fault = faults[point as usize % faults.len()];
        disk.fail_at(point, fault);
        let durable = match Store::open(
            std::sync::Arc::new(disk.clone()),
            std::path::Path::new(crate::world::DIR),
            config.clone(),
        ) {
            Ok((store, _)) => {
                let _ = live(&store, &log);
                store.durable()
            }
            Err(_) => [0; 64],
        };
        check((&disk.crash(), config), &log, durable, &format!("{fault:?} at {point}"));
    }
}

#[test]
fn a_crash_before_any_sync_loses_nothing() {
    at_every_sync_point(&[Fault::CrashBefore], &config());
}

#[test]
fn a_crash_after_any_sync_loses_nothing() {
    at_every_sync_point(&[Fault::CrashAfter], &config());
}

#[test]
fn a_failed_sync_loses_nothing() {
    at_every_sync_point(&[Fault::SyncFails], &config());
}

#[test]
fn a_full_disk_at_any_point_loses_nothing() {
    at_every_sync_point(&[Fault::Full], &config());
}

#[test]
fn a_flush_and_a_seal_in_steps_lose_nothing() {
    let faults = [Fault::CrashBefore, Fault::SyncFails, Fault::CrashAfter, Fault::Full];
    // A file for each partition that a flush has something of, a step for each instance that is sealed.
    at_every_sync_point(&faults, &Config { step_bytes: 1, ..config() });
}
