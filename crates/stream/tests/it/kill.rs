//! A process that appends is killed at random instants, again and again in the same directory.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use foretwin_core::{Partition, Position, Rng};
use foretwin_disk::OsDisk;
use foretwin_stream::{Config, DirectoryLock, Log, Offsets};

use crate::support::{LONG, START, payload};

const CHILD_DIR: &str = "FORETWIN_KILL_DIR";
const CHILD_FIRST: &str = "FORETWIN_KILL_FIRST";

fn open(dir: &Path) -> (Log, foretwin_stream::Recovery) {
    let config = Config { segment_bytes: 256 << 10, commit_interval_ms: 1, ..Config::default() };
    Log::open(Arc::new(OsDisk), dir, config).unwrap()
}

/// Not a test of its own: the process that is killed. Appends numbered records as fast as it can and says which are
/// acknowledged.
#[test]
fn child() {
    let Ok(dir) = std::env::var(CHILD_DIR) else { return };
    let first: u64 = std::env::var(CHILD_FIRST).unwrap().parse().unwrap();
    let _lock = DirectoryLock::acquire(dir.as_ref()).unwrap();
    let (log, _) = open(dir.as_ref());
    let (mut rng, mut out) = (Rng::new(first), std::io::stdout());
    let mut waiting = std::collections::VecDeque::new();
    for n in first.. {
        let ticket = log.append(Partition(rng.below(64) as u8), &payload(n)).unwrap();
        waiting.push_back((n, ticket));
        if waiting.len() > 50 {
            let (n, ticket) = waiting.pop_front().unwrap();
            ticket.wait(LONG).unwrap();
            let Position { partition, offset } = ticket.positions()[0];
            out.write_all(format!("ack {} {offset} {n}\n", partition.0).as_bytes()).unwrap();
        }
    }
}

/// Lets a child work for a while and kills it. Returns what it acknowledged.
fn kill_one(dir: &Path, first: u64, after: Duration) -> Vec<(Position, u64)> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["kill::child", "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD_DIR, dir)
        .env(CHILD_FIRST, first.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    let listener = std::thread::spawn(move || {
        let lines = out.split(b'\n').map_while(Result::ok);
        lines.filter_map(|line| acknowledged(&line)).collect::<Vec<_>>()
    });
    std::thread::sleep(after);
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert!(status.code().is_none(), "the child ended by itself: {status}");
    listener.join().unwrap()
}

fn acknowledged(line: &[u8]) -> Option<(Position, u64)> {
    let line = std::str::from_utf8(line).ok()?.strip_prefix("ack ")?;
    let mut numbers = line.split(' ').map_while(|word| word.parse::<u64>().ok());
    let (partition, offset) = (Partition(numbers.next()? as u8), numbers.next()?);
    Some((Position { partition, offset }, numbers.next()?))
}

/// What is known of the directory.
struct Known {
    /// Acknowledged and not yet seen after a restart.
    acknowledged: BTreeMap<Position, u64>,
    /// Up to where everything was seen.
    seen: Offsets,
    entries: u64,
}

impl Known {
    fn check(&mut self, dir: &Path, trim: bool) {
        let _lock = DirectoryLock::acquire(dir).unwrap();
        let (log, recovery) = open(dir);
        assert!(recovery.is_clean(), "{recovery:?}");
        for entry in log.read_from(&self.seen) {
            let entry = entry.unwrap();
            let next = &mut self.seen[entry.position.partition.index()];
            assert_eq!(entry.position.offset, *next, "no gap before {}", entry.position);
            *next += 1;
            self.entries += 1;
            let n = u64::from_le_bytes(*entry.payload.first_chunk().unwrap());
            assert_eq!(entry.payload, payload(n), "{}", entry.position);
            if let Some(acknowledged) = self.acknowledged.remove(&entry.position) {
                assert_eq!(n, acknowledged, "{}", entry.position);
            }
        }
        assert!(self.acknowledged.is_empty(), "acknowledged and lost: {:?}", self.acknowledged);
        assert_eq!(self.seen, recovery.next_offset);
        if trim {
            log.trim(&self.seen).unwrap();
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost_when_killed() {
    if std::env::var(CHILD_DIR).is_ok() {
        return;
    }
    let kills = std::env::var("FORETWIN_KILLS").map_or(40, |kills| kills.parse().unwrap());
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("log");
    let seed = std::process::id().into();
    let (mut rng, begun, mut acknowledged) = (Rng::new(seed), Instant::now(), 0);
    let mut known = Known { acknowledged: BTreeMap::new(), seen: START, entries: 0 };
    for kill in 0..kills {
        let after = Duration::from_micros(rng.below(30_000));
        let said = kill_one(&dir, (kill + 1) << 32, after);
        acknowledged += said.len();
        for (position, n) in said {
            let before = known.acknowledged.insert(position, n);
            assert!(before.is_none(), "{position} was acknowledged twice");
        }
        // Every other time the next child finds what the killed one left.
        if kill % 2 == 1 || kill + 1 == kills {
            known.check(&dir, kill % 8 == 7);
        }
    }
    println!(
        "{kills} kills (seed {seed}), {acknowledged} records acknowledged, all there; {} read back, {:.1?}",
        known.entries,
        begun.elapsed()
    );
    assert!(acknowledged > 0);
}
