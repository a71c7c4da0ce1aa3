//! What the tests share: a log on a simulated disk and a memory of what it was given.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use foretwin_core::{PARTITIONS, Partition, Position, Rng};
use foretwin_disk::SimDisk;
use foretwin_stream::{Config, Error, Log, Recovery};

pub const DIR: &str = "/data/log";
pub const START: [u64; PARTITIONS] = [0; PARTITIONS];
pub const LONG: Duration = Duration::from_secs(60);

/// Commits at once, into small segments.
pub fn config() -> Config {
    Config { segment_bytes: 8192, commit_interval_ms: 0, ..Config::default() }
}

pub fn open(disk: &SimDisk) -> Result<(Log, Recovery), Error> {
    Log::open(Arc::new(disk.clone()), Path::new(DIR), config())
}

/// The payload number `n`: no two are alike, and lengths vary.
pub fn payload(n: u64) -> Vec<u8> {
    let mut rng = Rng::new(n);
    let length = match rng.below(8) {
        0 => 0,
        1..6 => rng.below(200),
        _ => rng.below(3000),
    };
    let mut bytes = n.to_le_bytes().to_vec();
    bytes.extend((0..length).map(|_| rng.next_u64() as u8));
    bytes
}

/// What a log was given and what it said.
#[derive(Debug, Default, Clone)]
pub struct Memory {
    pub acknowledged: BTreeMap<Position, Vec<u8>>,
    pub offered: BTreeMap<Position, BTreeSet<Vec<u8>>>,
    /// What was given to trim.
    pub applied: BTreeMap<Partition, u64>,
    pub count: u64,
}

impl Memory {
    /// Appends a few records and waits.
    pub fn append(&mut self, log: &Log, rng: &mut Rng) -> Result<(), Error> {
        let records: Vec<_> = (0..1 + rng.below(5))
            .map(|_| {
                self.count += 1;
                (Partition(rng.below(3) as u8 * 30), payload(self.count))
            })
            .collect();
        let slices: Vec<_> = records.iter().map(|(partition, bytes)| (*partition, &bytes[..])).collect();
        let ticket = log.append_all(&slices)?;
        for (position, (_, bytes)) in ticket.positions().iter().zip(&records) {
            self.offered.entry(*position).or_default().insert(bytes.clone());
        }
        ticket.wait(LONG)?;
        for (position, (_, bytes)) in ticket.positions().iter().zip(records) {
            let before = self.acknowledged.insert(*position, bytes);
            assert!(before.is_none(), "{position} was acknowledged twice");
        }
        Ok(())
    }

    /// Everything acknowledged, up to now, may go.
    pub fn trim(&mut self, log: &Log) -> Result<(), Error> {
        let mut applied = START;
        for position in self.acknowledged.keys() {
            applied[position.partition.index()] = position.offset + 1;
            self.applied.insert(position.partition, position.offset + 1);
        }
        log.trim(&applied).map(|_| ())
    }

    /// The promise: what was acknowledged is there, nothing is there that was not given, offsets have no gaps and
    /// no record is there twice. What is there now has to stay, acknowledged or not: whoever reads it applies it.
    pub fn check(&mut self, log: &Log, recovery: &Recovery) {
        assert!(recovery.is_clean(), "nothing rots here: {recovery:?}");
        let mut next = recovery.first_offset;
        let mut seen = BTreeSet::new();
        for entry in log.read_from(&START) {
            let entry = entry.unwrap();
            let expected = &mut next[entry.position.partition.index()];
            assert_eq!(entry.position.offset, *expected, "no gap before {}", entry.position);
            *expected += 1;
            let offered = self.offered.get(&entry.position);
            assert!(offered.is_some_and(|offered| offered.contains(&entry.payload)), "{}", entry.position);
            if let Some(acknowledged) = self.acknowledged.get(&entry.position) {
                assert_eq!(*acknowledged, entry.payload, "{} is what was acknowledged", entry.position);
            }
            assert!(seen.insert(entry.payload.clone()), "{} is there twice", entry.position);
            self.acknowledged.insert(entry.position, entry.payload);
        }
        assert_eq!(next, recovery.next_offset);
        for position in self.acknowledged.keys() {
            let (first, next) = (
                recovery.first_offset[position.partition.index()],
                recovery.next_offset[position.partition.index()],
            );
            assert!(position.offset < next, "{position} is lost");
            let applied = self.applied.get(&position.partition).copied().unwrap_or(0);
            assert!(
                position.offset >= first || position.offset < applied,
                "{position} was trimmed too early"
            );
        }
    }
}
