//! Machine crashes and faults at every sync point of a workload, and at every sync point of the recovery after.

use std::time::Instant;

use foretwin_core::Rng;
use foretwin_disk::{Fault, SimDisk};
use foretwin_stream::Error;

use crate::support::{Memory, open};

const SEEDS: u64 = 3;
const STEPS: usize = 24;

/// Appends, trims, and opens again now and then. Goes on after a fault as a service does; ends when the machine
/// stops. Returns the disk as it is then.
fn work(mut disk: SimDisk, seed: u64) -> (SimDisk, Memory) {
    let (mut memory, mut rng) = (Memory::default(), Rng::new(seed));
    let mut step = 0;
    while step < STEPS {
        let Ok((log, recovery)) = open(&disk) else {
            if disk.free().is_none() {
                return (disk, memory);
            }
            continue;
        };
        memory.check(&log, &recovery);
        for _ in 0..8 {
            step += 1;
            let done = memory.append(&log, &mut rng);
            if matches!(done, Err(Error::Closed)) || disk.free().is_none() {
                return (disk, memory);
            }
            if rng.below(8) == 0 {
                let _ = memory.trim(&log);
            }
        }
        if rng.below(2) == 0 {
            disk = disk.kill();
        }
    }
    (disk, memory)
}

trait Free {
    fn free(&self) -> Option<u64>;
}

impl Free for SimDisk {
    /// Nothing when the machine is off.
    fn free(&self) -> Option<u64> {
        foretwin_disk::Disk::free_bytes(self, crate::support::DIR.as_ref()).ok()
    }
}

/// Opens what a crash left, once straight and then with a second fault at every sync point of the recovery.
fn recover(disk: &SimDisk, memory: &Memory) -> u64 {
    let mut recoveries = 0;
    for second in 0.. {
        let (disk, mut memory) = (disk.crash(), memory.clone());
        let faults = [Fault::CrashBefore, Fault::CrashAfter, Fault::SyncFails];
        let fault = faults[memory.count as usize % faults.len()];
        disk.fail_at(second, fault);
        if let Ok((log, recovery)) = open(&disk) {
            memory.check(&log, &recovery);
        }
        let reached = disk.sync_points() >= second;
        recoveries += 1;
        let disk = disk.crash();
        let (log, recovery) = open(&disk).unwrap();
        memory.check(&log, &recovery);
        // And life goes on.
        memory.append(&log, &mut Rng::new(second)).unwrap();
        drop(log);
        let (log, recovery) = open(&disk).unwrap();
        memory.check(&log, &recovery);
        if !reached {
            break;
        }
    }
    recoveries
}

fn enumerate(fault: Fault) {
    let (begun, mut points, mut recoveries) = (Instant::now(), 0, 0);
    for seed in 0..SEEDS {
        let last = work(SimDisk::new(seed), seed).0.sync_points();
        assert!(last > STEPS as u64);
        for n in 1..=last {
            let disk = SimDisk::new(seed * 1000 + n);
            disk.fail_at(n, fault);
            let (disk, memory) = work(disk, seed);
            assert!(disk.sync_points() >= n);
            points += 1;
            for _ in 0..3 {
                recoveries += recover(&disk, &memory);
            }
        }
    }
    println!("{fault:?}: {points} sync points, {recoveries} recoveries, {:.1?}", begun.elapsed());
}

#[test]
fn crash_before_every_sync_point() {
    enumerate(Fault::CrashBefore);
}

#[test]
fn crash_after_every_sync_point() {
    enumerate(Fault::CrashAfter);
}

#[test]
fn every_sync_fails_once() {
    enumerate(Fault::SyncFails);
}

#[test]
fn every_write_is_cut_short_once() {
    enumerate(Fault::Full);
}
