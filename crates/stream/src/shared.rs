//! What the committer, those who append and those who read share.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::segment::{Offsets, Segment};

/// Nothing is left half done under the locks of this crate, so a panic elsewhere does not spoil them.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The segments there are, oldest first, with how far each may be read.
#[derive(Debug, Default)]
pub(crate) struct Segments(Mutex<Vec<Segment>>);

impl Segments {
    pub fn new(segments: Vec<Segment>) -> Self {
        Self(Mutex::new(segments))
    }

    pub fn add(&self, segment: Segment) {
        lock(&self.0).push(segment);
    }

    pub fn count(&self) -> usize {
        lock(&self.0).len()
    }

    pub fn extend(&self, number: u64, end: u64, next: Offsets) {
        if let Some(segment) = lock(&self.0).iter_mut().rfind(|segment| segment.number == number) {
            segment.end = end;
            segment.next = next;
        }
    }

    /// Offsets after the newest segment.
    pub fn next(&self) -> Option<Offsets> {
        lock(&self.0).last().map(|segment| segment.next)
    }

    pub fn last(&self) -> Option<(PathBuf, u64)> {
        lock(&self.0).last().map(|segment| (segment.path.clone(), segment.number))
    }

    pub fn end_of(&self, number: u64) -> Option<u64> {
        lock(&self.0).iter().rfind(|segment| segment.number == number).map(|segment| segment.end)
    }

    /// The first segment from this number on that has offsets at or above these.
    pub fn first_with(&self, number: u64, from: &Offsets) -> Option<Segment> {
        let has = |segment: &&Segment| {
            segment.number >= number && segment.next.iter().zip(from).any(|(next, from)| next > from)
        };
        lock(&self.0).iter().find(has).cloned()
    }

    /// How far a segment may be read, and whether another follows. Nothing if it was trimmed.
    pub fn extent(&self, number: u64) -> Option<(u64, bool)> {
        let segments = lock(&self.0);
        let i = segments.iter().position(|segment| segment.number == number)?;
        Some((segments[i].end, i + 1 < segments.len()))
    }

    pub fn take_empty(&self) -> Vec<Segment> {
        let mut segments = lock(&self.0);
        let (empty, rest) = std::mem::take(&mut *segments).into_iter().partition(Segment::is_empty);
        *segments = rest;
        empty
    }

    /// The oldest segment, if all of it is below these offsets and it is not the newest: that one knows which
    /// offsets come next.
    pub fn oldest_below(&self, applied: &Offsets) -> Option<Segment> {
        let segments = lock(&self.0);
        let [oldest, _, ..] = segments.as_slice() else { return None };
        oldest.next.iter().zip(applied).all(|(next, applied)| next <= applied).then(|| oldest.clone())
    }

    pub fn remove(&self, number: u64) {
        lock(&self.0).retain(|segment| segment.number != number);
    }

    /// Bytes of all segments, as far as they are read.
    pub fn bytes(&self) -> u64 {
        lock(&self.0).iter().map(|segment| segment.end).sum()
    }
}
