//! Reading what is committed, while more is being written.

use std::sync::Arc;

use foretwin_disk::Disk;

use crate::entry::{Entry, Kind};
use crate::error::Error;
use crate::scan::{Found, Scanner};
use crate::segment::{Offsets, START, Segment};
use crate::shared::Segments;

/// Committed entries, oldest first. When it is at the end it gives `None`, and may give more later.
///
/// Damage that recovery reported is passed over. Damage that came later is an [`Error::Damaged`] in between, and
/// reading goes on behind it; any other error is the last item. Segments trimmed meanwhile are left out.
pub struct Reader {
    disk: Arc<dyn Disk>,
    segments: Arc<Segments>,
    from: Offsets,
    current: Option<Current>,
    /// The segment to look for next.
    number: u64,
    failed: bool,
}

struct Current {
    segment: Segment,
    scanner: Scanner,
}

impl Reader {
    pub(crate) fn new(disk: Arc<dyn Disk>, segments: Arc<Segments>, from: Offsets) -> Self {
        Self { disk, segments, from, current: None, number: 0, failed: false }
    }

    /// Goes to the next segment that has something to read. Says whether there is one.
    fn advance(&mut self) -> bool {
        let Some(segment) = self.segments.first_with(self.number, &self.from) else { return false };
        let range = START..segment.end;
        let scanner = Scanner::new(Arc::clone(&self.disk), &segment.path, segment.number, range);
        self.number = segment.number;
        self.current = Some(Current { segment, scanner });
        true
    }

    /// The next entry of the current segment that is wanted.
    fn read(&mut self) -> Result<Option<Entry>, Error> {
        let Some(Current { segment, scanner }) = &mut self.current else { return Ok(None) };
        while let Some(found) = scanner.next()? {
            match found {
                Found::Entry { at, frame, payload } => {
                    let wanted = frame.offset >= self.from[usize::from(frame.partition)];
                    let counts = !segment.damage.iter().any(|range| range.contains(&at));
                    if frame.kind == Kind::Record && wanted && counts {
                        return Ok(Some(Entry { position: frame.position(), payload: payload.to_vec() }));
                    }
                }
                Found::Damage { range, reason } => {
                    if !segment.damage.contains(&range) {
                        let bytes = range.end - range.start;
                        let path = segment.path.clone();
                        return Err(Error::Damaged { path, at: range.start, bytes, reason });
                    }
                }
            }
        }
        Ok(None)
    }

    /// Whether the current segment has more to read, or another comes after it.
    fn goes_on(&mut self) -> bool {
        let Some(Current { scanner, .. }) = &mut self.current else { return self.advance() };
        match self.segments.extent(self.number) {
            Some((end, _)) if end > scanner.end => {
                scanner.end = end;
                true
            }
            // The newest one may still grow.
            Some((_, false)) => false,
            _ => {
                self.number += 1;
                self.current = None;
                self.advance()
            }
        }
    }
}

impl Iterator for Reader {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.failed {
            match self.read() {
                Ok(Some(entry)) => return Some(Ok(entry)),
                Ok(None) => {
                    if !self.goes_on() {
                        return None;
                    }
                }
                Err(Error::Io { .. }) if self.segments.extent(self.number).is_none() => {
                    // Trimmed under our hands.
                    self.current = None;
                }
                Err(error) => {
                    self.failed = !matches!(error, Error::Damaged { .. });
                    return Some(Err(error));
                }
            }
        }
        None
    }
}
