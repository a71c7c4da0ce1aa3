//! Rot: flipped bits, cut files, bad sectors, missing files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use foretwin_core::{Partition, Position, Rng};
use foretwin_disk::{Disk, SimDisk};
use foretwin_stream::{Error, Log, Recovery};

use crate::support::{DIR, LONG, Memory, START, config, open};

/// A log of several segments, closed or as a crash right after the last acknowledgement leaves it.
fn written(closed: bool) -> (SimDisk, Memory) {
    let disk = SimDisk::new(7);
    let (log, _) = open(&disk).unwrap();
    let (mut memory, mut rng) = (Memory::default(), Rng::new(3));
    for _ in 0..20 {
        memory.append(&log, &mut rng).unwrap();
    }
    let copy = disk.crash();
    drop(log);
    (if closed { disk } else { copy }, memory)
}

fn files(disk: &SimDisk) -> Vec<PathBuf> {
    let files = disk.list(Path::new(DIR)).unwrap();
    assert!(files.len() >= 3, "several segments");
    files
}

fn read(log: &Log) -> BTreeMap<Position, Vec<u8>> {
    let entries = log.read_from(&START).map(Result::unwrap);
    entries.map(|entry| (entry.position, entry.payload)).collect()
}

fn noticed(recovery: &Recovery) -> bool {
    !recovery.is_clean() || recovery.torn_tail_bytes > 0
}

/// Everything read is what was written. Returns what is missing.
fn missing(memory: &Memory, found: &BTreeMap<Position, Vec<u8>>) -> Vec<Position> {
    for (position, payload) in found {
        assert_eq!(memory.acknowledged.get(position), Some(payload), "{position}");
    }
    memory.acknowledged.keys().filter(|position| !found.contains_key(position)).copied().collect()
}

/// New records get offsets that no record had, and are there after the next opening, with the rest.
fn goes_on(disk: &SimDisk, log: Log, memory: &Memory, found: &BTreeMap<Position, Vec<u8>>) {
    let ticket = log.append_all(&Partition::all().map(|p| (p, &b"new"[..])).collect::<Vec<_>>()).unwrap();
    ticket.wait(LONG).unwrap();
    for position in ticket.positions() {
        assert!(!memory.acknowledged.contains_key(position), "{position} is given out again");
    }
    drop(log);
    let again = read(&open(disk).unwrap().0);
    assert_eq!(again.len(), found.len() + ticket.positions().len());
    assert!(found.iter().all(|(position, payload)| again.get(position) == Some(payload)));
}

#[test]
fn a_flipped_bit_costs_at_most_its_record() {
    let (disk, memory) = written(true);
    for path in files(&disk) {
        let bits = disk.length(&path).unwrap() * 8;
        for bit in (0..bits).step_by(211) {
            let disk = disk.crash();
            disk.flip_bit(&path, bit).unwrap();
            let (log, recovery) = open(&disk).unwrap();
            let found = read(&log);
            let missing = missing(&memory, &found);
            assert!(noticed(&recovery), "bit {bit} of {}", path.display());
            assert!(missing.len() <= 1, "{missing:?}");
            if !missing.is_empty() {
                assert_eq!(recovery.damaged.len(), 1, "bit {bit} of {}: {recovery:?}", path.display());
                assert_eq!(recovery.damaged[0].path, path);
            }
            goes_on(&disk, log, &memory, &found);
        }
    }
}

#[test]
fn a_lost_header_costs_no_record() {
    let (disk, memory) = written(true);
    for path in files(&disk) {
        let disk = disk.crash();
        disk.flip_bit(&path, 100).unwrap();
        disk.flip_bit(&path, 10_000).unwrap();
        let (log, recovery) = open(&disk).unwrap();
        let found = read(&log);
        assert_eq!((missing(&memory, &found), recovery.damaged.len()), (vec![], 2), "{recovery:?}");
        assert!(recovery.lost.is_empty(), "{recovery:?}");
        goes_on(&disk, log, &memory, &found);
    }
}

#[test]
fn lost_offsets_are_named() {
    let (disk, memory) = written(true);
    let path = &files(&disk)[0];
    let disk = disk.crash();
    // The middle of the first record.
    disk.flip_bit(path, (2048 + 25) * 8).unwrap();
    let (log, recovery) = open(&disk).unwrap();
    let missing = missing(&memory, &read(&log));
    let [lost] = recovery.lost[..] else { panic!("{recovery:?}") };
    assert_eq!([Position { partition: lost.partition, offset: lost.from }], missing[..]);
    assert_eq!(lost.to, lost.from + 1);
}

#[test]
fn rot_in_the_last_commit_of_a_crashed_process_costs_that_commit_at_most() {
    let (disk, memory) = written(false);
    let path = files(&disk).pop().unwrap();
    for bit in (0..disk.length(&path).unwrap() * 8).step_by(331) {
        let disk = disk.crash();
        disk.flip_bit(&path, bit).unwrap();
        let (log, recovery) = open(&disk).unwrap();
        let missing = missing(&memory, &read(&log));
        assert!(noticed(&recovery), "bit {bit}");
        assert!(missing.len() <= 5, "one append of at most five records: {missing:?}");
    }
}

#[test]
fn any_cut_of_the_last_file_is_survived() {
    let (disk, memory) = written(true);
    let path = files(&disk).pop().unwrap();
    let length = disk.length(&path).unwrap();
    let mut least = memory.acknowledged.len();
    for cut in (0..length).rev().step_by(13) {
        let disk = disk.crash();
        disk.cut(&path, cut).unwrap();
        let (log, _) = open(&disk).unwrap();
        let found = read(&log);
        missing(&memory, &found);
        assert!(found.len() <= least, "less is there when more is cut");
        least = found.len();
    }
    assert!(least < memory.acknowledged.len());
}

#[test]
fn a_bad_sector_costs_what_lies_there() {
    let (disk, memory) = written(true);
    let path = &files(&disk)[1];
    disk.spoil(path, 5000).unwrap();
    let (log, recovery) = open(&disk).unwrap();
    let lost = missing(&memory, &read(&log)).len();
    assert!(!recovery.is_clean() && lost > 0 && lost < memory.acknowledged.len() / 2, "{lost} {recovery:?}");
}

#[test]
fn a_missing_file_is_reported() {
    let (disk, memory) = written(true);
    disk.remove(&files(&disk)[1]).unwrap();
    let (log, recovery) = open(&disk).unwrap();
    let missing = missing(&memory, &read(&log));
    let lost: u64 = recovery.lost.iter().map(|lost| lost.to - lost.from).sum();
    assert_eq!(lost, missing.len() as u64);
    assert!(lost > 0);
}

#[test]
fn damage_that_comes_while_reading_is_an_error_and_reading_goes_on() {
    let (disk, memory) = written(true);
    let (log, recovery) = open(&disk).unwrap();
    assert!(!noticed(&recovery));
    disk.flip_bit(&files(&disk)[0], (2048 + 25) * 8).unwrap();
    let (good, bad): (Vec<_>, Vec<_>) = log.read_from(&START).partition(Result::is_ok);
    assert_eq!(good.len(), memory.acknowledged.len() - 1);
    assert!(matches!(bad[..], [Err(Error::Damaged { at: 2048, .. })]), "{bad:?}");
}

#[test]
fn offsets_already_applied_are_not_given_out_again() {
    let disk = SimDisk::new(1);
    let (log, _) = open(&disk).unwrap();
    log.append(Partition(3), b"old").unwrap().wait(LONG).unwrap();
    drop(log);
    let applied = std::array::from_fn(|p| p as u64 * 10);
    let handle = std::sync::Arc::new(disk.clone());
    let (log, recovery) = Log::open_after(handle, Path::new(DIR), config(), &applied).unwrap();
    assert_eq!((recovery.behind.len(), recovery.next_offset[3]), (63, 30));
    let ticket = log.append(Partition(3), b"new").unwrap();
    ticket.wait(LONG).unwrap();
    assert_eq!(ticket.positions()[0].offset, 30);
    drop(log);
    let (log, recovery) = open(&disk).unwrap();
    assert!(recovery.is_clean(), "left out on purpose: {recovery:?}");
    assert_eq!((recovery.next_offset[3], recovery.next_offset[4]), (31, 40));
    assert_eq!(log.read_from(&START).count(), 2);
}
