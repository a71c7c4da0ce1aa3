//! Reading what an earlier process left: which entries count, which were never acknowledged, and which are lost.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use foretwin_core::{PARTITIONS, Position};
use foretwin_disk::Disk;

use crate::entry::{self, FRAME_BYTES, Frame, Kind};
use crate::error::Error;
use crate::recovery::{Damage, Missing, Recovery, missing};
use crate::scan::{Found, Scanner};
use crate::segment::{Head, Header, Offsets, START, Segment, number_of};

/// No offset reaches this.
const NONE: Offsets = [u64::MAX; PARTITIONS];

/// What the writer starts from.
pub(crate) struct Recovered {
    pub report: Recovery,
    pub segments: Vec<Segment>,
    /// A number above all that were used.
    pub next_number: u64,
    /// Offsets after what is proven to be durable.
    pub proven: Offsets,
    /// The last commit, as nothing proves that it was synced.
    pub unproven: Unproven,
    /// How many offsets to leave out in every partition, because lost entries may have had them.
    pub leave_out: u64,
}

/// Entries that may be in memory only.
#[derive(Default)]
pub(crate) struct Unproven {
    pub frames: Vec<u8>,
    /// Where they end in the last segment.
    pub end: u64,
}

/// A segment file before its entries are read.
struct Opened {
    number: u64,
    path: PathBuf,
    length: u64,
    head: Head,
    /// From the header, or else the lowest offsets found.
    bases: Offsets,
}

struct Recoverer {
    disk: Arc<dyn Disk>,
    expected: Offsets,
    recovered: Recovered,
}

/// One segment while it is read.
struct Reading {
    limit: Offsets,
    /// Where the last entry that counts ends.
    end: u64,
    damage: Vec<Damage>,
}

/// Reads all segments of a directory.
pub(crate) fn recover(disk: &Arc<dyn Disk>, dir: &Path) -> Result<Recovered, Error> {
    let mut next_number = 0;
    let mut opened = Vec::new();
    for path in disk.list(dir).map_err(Error::io("list", dir))? {
        let Some(number) = number_of(&path) else { continue };
        next_number = next_number.max(number + 1);
        if path.extension().is_some_and(|extension| extension == "tmp") {
            // It never got its name, so nothing in it was acknowledged.
            disk.remove(&path).map_err(Error::io("remove", &path))?;
        } else {
            opened.push(Opened::read(disk, number, path)?);
        }
    }
    // Where the first header is lost, a later one may know.
    let first = std::array::from_fn(|p| {
        opened.iter().map(|opened| opened.bases[p]).find(|&base| base != u64::MAX).unwrap_or(0)
    });
    let mut recoverer = Recoverer {
        disk: Arc::clone(disk),
        expected: first,
        recovered: Recovered {
            report: Recovery {
                segments: opened.len() as u64,
                entries: 0,
                bytes: opened.iter().map(|opened| opened.length).sum(),
                torn_tail_bytes: 0,
                damaged: Vec::new(),
                lost: Vec::new(),
                behind: Vec::new(),
                first_offset: first,
                next_offset: first,
            },
            segments: Vec::new(),
            next_number,
            proven: first,
            unproven: Unproven::default(),
            leave_out: 0,
        },
    };
    for (i, segment) in opened.iter().enumerate() {
        recoverer.enter(segment);
        if i + 1 < opened.len() {
            recoverer.read_followed(segment, &opened[i + 1..])?;
        } else {
            recoverer.read_last(segment)?;
        }
    }
    Ok(recoverer.recovered)
}

impl Opened {
    fn read(disk: &Arc<dyn Disk>, number: u64, path: PathBuf) -> Result<Self, Error> {
        let length = disk.length(&path).map_err(Error::io("measure", &path))?;
        let head = Head::read(&**disk, &path)?;
        let mut opened = Self { number, path, length, head, bases: NONE };
        opened.bases = match &opened.head.header {
            Some(header) => header.bases,
            None => opened.lowest(disk)?,
        };
        Ok(opened)
    }

    fn scanner(&self, disk: &Arc<dyn Disk>) -> Scanner {
        Scanner::new(Arc::clone(disk), &self.path, self.number, START..self.length)
    }

    /// What the header would have said, as far as the entries know.
    fn lowest(&self, disk: &Arc<dyn Disk>) -> Result<Offsets, Error> {
        let (mut lowest, mut scanner) = (NONE, self.scanner(disk));
        while let Some(found) = scanner.next()? {
            if let Found::Entry { frame: Frame { kind: Kind::Record, partition, offset, .. }, .. } = found {
                let lowest = &mut lowest[usize::from(partition)];
                *lowest = offset.min(*lowest);
            }
        }
        Ok(lowest)
    }

    /// Where the last commit begins. Before it everything had been synced.
    fn proven(&self, disk: &Arc<dyn Disk>) -> Result<u64, Error> {
        let (mut proven, mut scanner) = (START, self.scanner(disk));
        while let Some(found) = scanner.next()? {
            if let Found::Entry { frame, .. } = found {
                proven = proven.max(u64::from(frame.commit));
            }
        }
        Ok(proven)
    }

    fn header(&self) -> Option<&Header> {
        self.head.header.as_ref()
    }

    fn reading(&self, limit: Offsets) -> Reading {
        let copies = self.head.damage.iter().map(|range| damage(&self.path, range, "the header is damaged"));
        Reading { limit, end: START, damage: copies.collect() }
    }

    fn remembered(&self, reading: &Reading, next: Offsets) -> Segment {
        Segment {
            number: self.number,
            path: self.path.clone(),
            next,
            end: reading.end,
            damage: reading.damage.iter().map(|damage| damage.at..damage.at + damage.bytes).collect(),
        }
    }
}

impl Recoverer {
    /// Between segments: what the one before should have had and did not is lost, unless it was left out on purpose.
    fn enter(&mut self, segment: &Opened) {
        let bases = known(&segment.bases);
        if !segment.header().is_some_and(|header| header.jump) {
            self.recovered.report.lost.extend(missing(&self.expected, &bases));
        }
        for (expected, base) in self.expected.iter_mut().zip(bases) {
            *expected = base.max(*expected);
        }
    }

    /// A segment with others after it: their base offsets say which of its entries count.
    fn read_followed(&mut self, segment: &Opened, later: &[Opened]) -> Result<(), Error> {
        let limit =
            std::array::from_fn(|p| later.iter().map(|later| later.bases[p]).min().unwrap_or(u64::MAX));
        let mut reading = segment.reading(limit);
        let mut scanner = segment.scanner(&self.disk);
        while let Some(found) = scanner.next()? {
            match found {
                Found::Entry { at, frame, .. } => self.take(&mut reading, at, frame, &segment.path),
                Found::Damage { range, reason } => {
                    reading.damage.push(damage(&segment.path, &range, reason));
                }
            }
        }
        // The remains of a commit that failed are no damage: nothing that counts comes after them or is missing.
        let jump = later[0].header().is_some_and(|header| header.jump);
        let complete = jump || missing(&self.expected, &known(&limit)).next().is_none();
        reading.damage.retain(|damage| damage.at < reading.end || !complete);
        self.leave(segment, reading);
        Ok(())
    }

    /// The last segment: what was written before its last commit counts; of that commit, whatever comes before the
    /// first damage, but nothing proves that it was synced.
    fn read_last(&mut self, segment: &Opened) -> Result<(), Error> {
        let proven = segment.proven(&self.disk)?.min(segment.length);
        let mut reading = segment.reading(NONE);
        let mut scanner = segment.scanner(&self.disk);
        scanner.end = proven;
        while let Some(found) = scanner.next()? {
            match found {
                Found::Entry { at, frame, .. } => self.take(&mut reading, at, frame, &segment.path),
                Found::Damage { range, reason } => {
                    self.recovered.leave_out += (range.end - range.start) / FRAME_BYTES as u64 + 1;
                    reading.damage.push(damage(&segment.path, &range, reason));
                }
            }
        }
        self.leave(segment, reading);
        scanner.end = segment.length;
        self.read_unproven(scanner)
    }

    fn read_unproven(&mut self, mut scanner: Scanner) -> Result<(), Error> {
        while let Some(found) = scanner.next()? {
            match found {
                Found::Entry { at, frame, payload } if frame.kind == Kind::Record && self.follows(&frame) => {
                    let unproven = &mut self.recovered.unproven;
                    entry::put(&mut unproven.frames, frame.position(), Kind::Record, payload);
                    unproven.end = at + frame.bytes();
                }
                Found::Entry { .. } => {}
                Found::Damage { range, .. } => {
                    self.recovered.report.torn_tail_bytes = scanner.end - range.start;
                    break;
                }
            }
        }
        self.recovered.report.next_offset = self.expected;
        Ok(())
    }

    /// Counts a record, and the ones lost before it. Not one whose offset was there before.
    fn follows(&mut self, frame: &Frame) -> bool {
        let Position { partition, offset } = frame.position();
        let expected = &mut self.expected[partition.index()];
        if offset < *expected {
            return false;
        }
        let gap = Missing { partition, from: *expected, to: offset };
        *expected = offset + 1;
        self.recovered.report.lost.extend((gap.from < gap.to).then_some(gap));
        self.recovered.report.entries += 1;
        true
    }

    /// One intact entry.
    fn take(&mut self, reading: &mut Reading, at: u64, frame: Frame, path: &Path) {
        if frame.kind == Kind::Record {
            if frame.offset >= reading.limit[usize::from(frame.partition)] {
                return;
            }
            if !self.follows(&frame) {
                let range = at..at + frame.bytes();
                reading.damage.push(damage(path, &range, "the offset was there before"));
                return;
            }
        }
        reading.end = at + frame.bytes();
    }

    fn leave(&mut self, segment: &Opened, mut reading: Reading) {
        self.recovered.segments.push(segment.remembered(&reading, self.expected));
        self.recovered.report.damaged.append(&mut reading.damage);
        self.recovered.proven = self.expected;
        self.recovered.report.next_offset = self.expected;
    }
}

/// Bases without those that no header and no entry told.
fn known(bases: &Offsets) -> Offsets {
    bases.map(|base| if base == u64::MAX { 0 } else { base })
}

fn damage(path: &Path, range: &Range<u64>, reason: &'static str) -> Damage {
    Damage { path: path.to_owned(), at: range.start, bytes: range.end - range.start, reason }
}
