//! One part of the machine's frame.

use foretwin_core::{Metric, Value};
use foretwin_host::file::Buffer;
use foretwin_host::{ABSENT, Error};

/// Reads a file or two and fills its cells of the frame.
pub(super) trait Section: Send {
    /// What errors call it.
    fn name(&self) -> &'static str;

    /// Adds its metrics, one for each cell that [`Self::read`] fills.
    fn describe(&self, metrics: &mut Vec<Metric>);

    /// Fills its cells, which are missing before, in the order of its metrics. After an error what was filled counts.
    fn read(&mut self, buffer: &mut Buffer, cells: &mut [Value]) -> Result<Layout, Error>;

    /// Milliseconds for which what was read stays good enough, and is repeated. Repeated counters look like a
    /// standstill and a jump, so for them it is [`TENTH_MS`] at most: whoever reads at 100 Hz does so for processors,
    /// pressure, disks and interfaces.
    fn good_for_ms(&self) -> i64 {
        0
    }
}

/// A tenth of a second, less what a tick may come early.
pub(super) const TENTH_MS: i64 = 95;

/// Whether a section still has the metrics that it described.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// It has.
    Same,
    /// Devices came or went: what it filled means nothing, and it describes other metrics now.
    Changed,
}

/// Puts numbers into cells; both "absent" and "missing" are all ones.
pub(super) fn fill(cells: &mut [Value], numbers: impl IntoIterator<Item = u64>) {
    for (cell, number) in cells.iter_mut().zip(numbers) {
        *cell = Value::unsigned(number);
    }
}

/// A number in another unit, absent if it was or would not fit.
pub(super) fn scaled(number: u64, by: u64) -> u64 {
    if number == ABSENT { ABSENT } else { number.checked_mul(by).unwrap_or(ABSENT) }
}

/// A limit, absent where zero means that there is none.
pub(super) fn limit(number: u64) -> u64 {
    if number == 0 { ABSENT } else { number }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_stays_missing() {
        let mut cells = [Value(1); 3];
        fill(&mut cells, [ABSENT, scaled(ABSENT, 1024), scaled(2, 1024)]);
        assert!(cells[0].is_missing() && cells[1].is_missing());
        assert_eq!(cells[2], Value(2048));
        assert_eq!((scaled(u64::MAX / 2, 1024), limit(0), limit(7)), (ABSENT, ABSENT, 7));
    }
}
