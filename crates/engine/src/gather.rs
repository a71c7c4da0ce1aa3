//! Frames of received series, held back until their parts are together.
//!
//! A sender may bring the samples of one moment in several requests; each completes the frame, and the store keeps the
//! last form. The model must see one frame a moment, and see it whole. So a frame that has fewer samples than the one
//! before waits until it is complete, or until a newer one comes.

use foretwin_core::{Schema, Timestamp, Value};

/// The newest frame of a schema that is received.
#[derive(Debug, Default)]
pub(crate) struct Gather {
    waiting: Option<Frame>,
    /// Samples of the last frame that was let through, and its time.
    usual: u64,
    last: Option<Timestamp>,
}

type Frame = (Timestamp, Vec<Value>);

impl Gather {
    /// For schemas of received series; others come whole.
    pub(crate) fn of(schema: &Schema) -> Option<Self> {
        foretwin_collect::receive::is_received(schema).then(Self::default)
    }

    /// Takes a frame; what may now be judged, in order of time.
    pub(crate) fn take(&mut self, at: Timestamp, values: &[Value]) -> Vec<Frame> {
        if self.last.is_some_and(|last| at == last) {
            // It was judged, and has become more complete since: the store has it.
            return Vec::new();
        }
        let mut ready = Vec::new();
        if let Some(waiting) = self.waiting.take() {
            if at > waiting.0 {
                ready.push(waiting);
            } else if at < waiting.0 {
                self.waiting = Some(waiting);
                return vec![(at, values.to_vec())];
            }
        }
        let usual = ready.last().map_or(self.usual, samples);
        let frame = (at, values.to_vec());
        if samples(&frame) >= usual {
            ready.push(frame);
        } else {
            self.waiting = Some(frame);
        }
        if let Some(last) = ready.last() {
            self.usual = samples(last);
            self.last = Some(last.0);
        }
        ready
    }
}

/// How many samples a frame has: its first column says so.
fn samples((_, values): &Frame) -> u64 {
    values.first().map_or(0, |count| count.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(gather: &mut Gather, at: i64, samples: u64) -> Vec<(i64, u64)> {
        let ready = gather.take(Timestamp(at), &[Value(samples)]);
        ready.iter().map(|(at, values)| (at.0, values[0].0)).collect()
    }

    #[test]
    fn parts_wait_for_each_other() {
        let mut gather = Gather::default();
        assert_eq!(times(&mut gather, 10, 3), [(10, 3)]);
        assert_eq!(times(&mut gather, 20, 1), []);
        assert_eq!(times(&mut gather, 20, 2), []);
        assert_eq!(times(&mut gather, 20, 3), [(20, 3)]);
        assert_eq!(times(&mut gather, 20, 4), [], "judged already");
        // One part never comes: the next moment lets it through, and less is usual from now on.
        assert_eq!(times(&mut gather, 30, 2), []);
        assert_eq!(times(&mut gather, 40, 2), [(30, 2), (40, 2)]);
        assert_eq!(times(&mut gather, 50, 1), []);
        assert_eq!(times(&mut gather, 35, 1), [(35, 1)], "late ones go on to be counted as such");
        assert_eq!(times(&mut gather, 50, 2), [(50, 2)]);
    }

    #[test]
    fn every_moment_is_judged_once_and_in_order() {
        let mut gather = Gather::default();
        let mut seen = Vec::new();
        for at in 0..50 {
            for part in 1..=(1 + at as u64 * 7 % 4) {
                seen.extend(times(&mut gather, at, part).into_iter().map(|(at, _)| at));
            }
        }
        assert!(seen.is_sorted_by(|a, b| a < b) && seen.len() >= 49, "{seen:?}");
    }
}
