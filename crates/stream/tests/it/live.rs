//! A log at work: reading while writing, subscribing, trimming, refusing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use foretwin_core::{PARTITIONS, Partition, Position};
use foretwin_disk::SimDisk;
use foretwin_stream::{Config, Error, Log};

use crate::support::{DIR, LONG, START, config, open, payload};

fn with(config: Config) -> (SimDisk, Log) {
    let disk = SimDisk::new(1);
    let (log, _) = Log::open(Arc::new(disk.clone()), DIR.as_ref(), config).unwrap();
    (disk, log)
}

#[test]
fn a_reader_sees_everything_committed_and_goes_on() {
    let (_, log) = with(config());
    let mut reader = log.read_from(&START);
    assert!(reader.next().is_none());
    for round in 0..40u64 {
        let ticket = log.append(Partition(7), &payload(round)).unwrap();
        ticket.wait(LONG).unwrap();
        let entry = reader.next().unwrap().unwrap();
        assert_eq!((entry.position.offset, entry.payload), (round, payload(round)));
        assert!(reader.next().is_none(), "and no more");
    }
    assert!(log.stats().segments > 2, "across segments");
}

#[test]
fn reading_starts_where_asked_in_each_partition() {
    let (_, log) = with(config());
    for n in 0..60u64 {
        log.append(Partition((n % 3) as u8), &payload(n)).unwrap().wait(LONG).unwrap();
    }
    let mut from = [u64::MAX; PARTITIONS];
    (from[0], from[2]) = (15, 19);
    let found: Vec<_> = log.read_from(&from).map(|entry| entry.unwrap().position).collect();
    let at = |partition, offset| Position { partition: Partition(partition), offset };
    assert_eq!(found, [at(0, 15), at(0, 16), at(0, 17), at(0, 18), at(0, 19), at(2, 19)]);
}

#[test]
fn what_was_read_and_what_was_subscribed_make_the_whole() {
    let (_, log) = with(Config { commit_interval_ms: 1, ..config() });
    let (live, subscribed) = (Arc::new(Mutex::new(Vec::new())), AtomicBool::new(false));
    let begins = std::thread::scope(|scope| {
        for partition in 0..4 {
            let (log, subscribed) = (&log, &subscribed);
            scope.spawn(move || {
                let mut left = 500;
                for n in 0u64.. {
                    log.append(Partition(partition), &n.to_le_bytes()).unwrap();
                    left -= i32::from(subscribed.load(Ordering::Relaxed));
                    if left == 0 {
                        break;
                    }
                }
            });
        }
        log.append(Partition(4), b"commits have begun").unwrap().wait(LONG).unwrap();
        let live = Arc::clone(&live);
        let begins = log.subscribe(move |entries| {
            let entries = entries.iter().map(|entry| (entry.position, entry.payload.to_vec()));
            live.lock().unwrap().extend(entries);
        });
        subscribed.store(true, Ordering::Relaxed);
        begins
    });
    log.close().unwrap();
    let all: Vec<_> =
        log.read_from(&START).map(Result::unwrap).map(|entry| (entry.position, entry.payload)).collect();
    assert_eq!(all.len() as u64, log.stats().appended);
    let below = all.iter().filter(|(position, _)| position.offset < begins[position.partition.index()]);
    let mut together: Vec<_> = below.cloned().collect();
    assert!(!together.is_empty() && together.len() < all.len(), "subscribed in the middle");
    together.append(&mut live.lock().unwrap());
    assert!(together == all, "in the order of the log, nothing missed, nothing twice");
}

#[test]
fn a_panicking_subscriber_does_not_stop_the_log() {
    let (_, log) = with(config());
    log.subscribe(|entries| assert!(entries[0].payload != b"bad", "this panic is part of the test"));
    for payload in [&b"bad"[..], b"good", b"bad"] {
        log.append(Partition(0), payload).unwrap().wait(LONG).unwrap();
    }
    log.close().unwrap();
    assert_eq!((log.stats().committed, log.stats().subscriber_panics), (3, 2));
}

#[test]
fn too_much_is_refused_and_accepted_later() {
    let (_, log) = with(Config { max_pending_bytes: 4096, commit_bytes: 4096, ..config() });
    let (hold, held) = mpsc::channel::<()>();
    log.subscribe(move |_| held.recv().unwrap_or_default());
    let mut pending = vec![log.append(Partition(0), &[0; 1000]).unwrap()];
    pending[0].wait(LONG).unwrap();
    // The committer is held up by its subscriber now.
    let refused = loop {
        match log.append(Partition(0), &[0; 1000]) {
            Ok(ticket) => pending.push(ticket),
            Err(error) => break error,
        }
    };
    assert!(
        matches!(refused, Error::Busy { pending_bytes, limit: 4096 } if pending_bytes > 3000),
        "{refused}"
    );
    assert!(matches!(log.append(Partition(0), &[0; 5000]), Err(Error::TooLarge { .. })));
    drop(hold);
    for ticket in &pending {
        ticket.wait(LONG).unwrap();
    }
    log.append(Partition(0), &[0; 1000]).unwrap().wait(LONG).unwrap();
    assert_eq!(log.stats().refused, 1);
}

#[test]
fn trimming_keeps_what_is_not_applied_and_the_next_offsets() {
    let (disk, log) = with(Config { retain_bytes: 1, ..config() });
    for n in 0..100u64 {
        log.append(Partition((n % 2) as u8), &payload(n)).unwrap().wait(LONG).unwrap();
    }
    let before = log.stats().segments;
    let mut applied = START;
    applied[0] = 50;
    let trimmed = log.trim(&applied).unwrap();
    assert_eq!(
        (trimmed.segments, trimmed.over_bytes),
        (0, trimmed.kept_bytes - 1),
        "partition 1 still needs them"
    );
    applied[1] = 20;
    let trimmed = log.trim(&applied).unwrap();
    assert!(trimmed.segments > 0 && trimmed.bytes > 8000);
    let first = log.read_from(&START).map(Result::unwrap).find(|entry| entry.position.partition.0 == 1);
    assert!(first.unwrap().position.offset <= 20);
    applied[1] = 50;
    log.trim(&applied).unwrap();
    assert_eq!(log.stats().segments, 1, "of {before}, the newest stays");
    log.close().unwrap();
    drop(log);
    let (log, recovery) = open(&disk).unwrap();
    assert!(recovery.is_clean());
    assert_eq!((log.next_offsets()[0], log.next_offsets()[1]), (50, 50));
}

#[test]
fn a_reader_survives_trimming_under_its_hands() {
    let (_, log) = with(config());
    for n in 0..100u64 {
        log.append(Partition(0), &payload(n)).unwrap().wait(LONG).unwrap();
    }
    let mut reader = log.read_from(&START);
    reader.next().unwrap().unwrap();
    let mut applied = START;
    applied[0] = 90;
    log.trim(&applied).unwrap();
    let rest: Vec<_> = reader.map(|entry| entry.unwrap().position.offset).collect();
    assert!(rest.is_sorted() && rest.last() == Some(&99));
}

#[test]
fn a_closed_log_refuses_and_can_be_read() {
    let (_, log) = with(Config { commit_interval_ms: 60_000, ..config() });
    let ticket = log.append(Partition(0), b"last").unwrap();
    log.close().unwrap();
    log.close().unwrap();
    assert!(matches!(ticket.outcome(), Some(Ok(()))), "closing commits what is pending");
    assert!(matches!(log.append(Partition(0), b"x"), Err(Error::Closed)));
    assert_eq!(log.read_from(&START).count(), 1);
}

#[test]
fn many_appends_share_a_sync() {
    let (_, log) = with(Config { commit_interval_ms: 20, ..Config::default() });
    let tickets: Vec<_> =
        (0..1000u64).map(|n| log.append(Partition((n % 64) as u8), b"x").unwrap()).collect();
    for ticket in tickets {
        ticket.wait(LONG).unwrap();
    }
    let stats = log.stats();
    assert_eq!((stats.appended, stats.committed, stats.pending_bytes), (1000, 1000, 0));
    assert!(stats.commits < 100, "{stats:?}");
    assert_eq!(stats.bytes, 1000 * 23);
}
