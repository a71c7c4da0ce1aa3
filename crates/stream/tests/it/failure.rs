//! A full disk and a failing one: errors are clear, nothing acknowledged is lost, and the service goes on.

use std::sync::{Arc, Mutex};

use foretwin_core::{Partition, Rng};
use foretwin_disk::{Disk, Fault, SimDisk};
use foretwin_stream::{Error, Log};

use crate::support::{DIR, LONG, Memory, START, open};

fn commit(log: &Log, payload: &[u8]) -> Result<(), Error> {
    log.append(Partition(1), payload)?.wait(LONG)
}

#[test]
fn a_full_disk_refuses_and_recovers_by_itself() {
    let disk = SimDisk::new(1);
    let (log, _) = open(&disk).unwrap();
    let (mut memory, mut rng) = (Memory::default(), Rng::new(1));
    disk.set_capacity_bytes(60_000);
    let mut refused = 0;
    for _ in 0..200 {
        match memory.append(&log, &mut rng) {
            Ok(()) => {}
            Err(Error::DiskFull { free, path }) => {
                assert!((1..60_000).contains(&free) && path.starts_with(DIR));
                refused += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(refused > 50, "{refused}");
    let files = disk.list(DIR.as_ref()).unwrap().len();
    assert!(files < 15, "failed attempts leave no files behind: {files}");
    disk.set_capacity_bytes(1 << 30);
    let before = memory.acknowledged.len();
    for _ in 0..10 {
        memory.append(&log, &mut rng).unwrap();
    }
    assert!(memory.acknowledged.len() >= before + 10);
    drop(log);
    let (log, recovery) = open(&disk).unwrap();
    memory.check(&log, &recovery);
}

#[test]
fn a_log_opens_on_a_full_disk() {
    let disk = SimDisk::new(1);
    let (log, _) = open(&disk).unwrap();
    let (mut memory, mut rng) = (Memory::default(), Rng::new(1));
    for _ in 0..5 {
        memory.append(&log, &mut rng).unwrap();
    }
    // Nothing is sealed, and the last commit ought to be written again.
    let disk = disk.kill();
    drop(log);
    disk.set_capacity_bytes(0);
    let (log, recovery) = open(&disk).unwrap();
    memory.check(&log, &recovery);
    assert!(matches!(commit(&log, b"x"), Err(Error::DiskFull { free: 0, .. })));
    disk.set_capacity_bytes(1 << 30);
    memory.append(&log, &mut rng).unwrap();
    drop(log);
    let (log, recovery) = open(&disk.crash()).unwrap();
    memory.check(&log, &recovery);
}

#[test]
fn a_failed_sync_is_never_retried_on_the_same_file() {
    let disk = SimDisk::new(1);
    let (log, _) = open(&disk).unwrap();
    commit(&log, b"first").unwrap();
    let files = |disk: &SimDisk| disk.list(DIR.as_ref()).unwrap();
    let before = files(&disk);
    disk.fail_at(disk.sync_points() + 1, Fault::SyncFails);
    let ticket = log.append(Partition(1), b"second").unwrap();
    let error = ticket.wait(LONG).unwrap_err();
    assert!(matches!(&error, Error::Commit { path, .. } if *path == before[0]), "{error}");
    let given_up = disk.length(&before[0]).unwrap();
    let again = log.append(Partition(1), b"third").unwrap();
    again.wait(LONG).unwrap();
    assert_eq!(again.positions(), ticket.positions(), "the offset was free");
    assert_eq!(disk.length(&before[0]).unwrap(), given_up, "not written again");
    assert_eq!(files(&disk).len(), 2);
    let payloads = |log: &Log| log.read_from(&START).map(|entry| entry.unwrap().payload).collect::<Vec<_>>();
    assert_eq!(payloads(&log), [&b"first"[..], b"third"]);
    assert_eq!((log.stats().committed, log.stats().failed), (2, 1));
    drop(log);
    assert_eq!(payloads(&open(&disk).unwrap().0), [&b"first"[..], b"third"]);
}

/// A failed sync, the process killed, and the next one's first sync fails too: memory shows what the medium may not
/// have.
#[test]
fn recovery_does_not_trust_what_a_failed_sync_left_in_memory() {
    let mut refused = 0;
    for seed in 0..40 {
        let disk = SimDisk::new(seed);
        let (log, _) = open(&disk).unwrap();
        commit(&log, b"first").unwrap();
        disk.fail_at(disk.sync_points() + 1, Fault::SyncFails);
        commit(&log, &[7; 2000]).unwrap_err();
        let disk = disk.kill();
        drop(log);
        disk.fail_at(disk.sync_points() + 1, Fault::SyncFails);
        refused += usize::from(open(&disk).is_err());
        let (log, recovery) = open(&disk).unwrap();
        let read = |log: &Log| log.read_from(&START).map(Result::unwrap).collect::<Vec<_>>();
        let found = read(&log);
        assert_eq!((found[0].payload.as_slice(), found.len() as u64), (&b"first"[..], recovery.entries));
        assert_eq!(found, read(&open(&disk.crash()).unwrap().0), "what was read once stays");
    }
    assert!(refused > 0);
}

#[test]
fn entries_after_a_failed_commit_fail_with_it() {
    let disk = SimDisk::new(1);
    let log = Arc::new(open(&disk).unwrap().0);
    commit(&log, b"first").unwrap();
    let (n, late) = (disk.sync_points() + 1, Arc::new(Mutex::new(None)));
    disk.fail_at(n, Fault::SyncFails);
    let (appender, ticket) = (Arc::clone(&log), Arc::clone(&late));
    disk.call_at(n, move || *ticket.lock().unwrap() = appender.append(Partition(1), b"third").ok());
    assert!(matches!(commit(&log, b"second"), Err(Error::Commit { .. })));
    let late = late.lock().unwrap().take().unwrap();
    assert_eq!(late.positions()[0].offset, 2, "appended while the sync was under way");
    assert!(matches!(late.wait(LONG), Err(Error::After { .. })));
    let again = log.append(Partition(1), b"fourth").unwrap();
    again.wait(LONG).unwrap();
    assert_eq!(again.positions()[0].offset, 1, "no gap");
    let payloads: Vec<_> = log.read_from(&START).map(|entry| entry.unwrap().payload).collect();
    assert_eq!(payloads, [&b"first"[..], b"fourth"]);
}
