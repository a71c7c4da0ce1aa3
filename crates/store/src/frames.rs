//! Frames in memory: row by row as they arrive, column by column once they are read or written.

use foretwin_core::{Timestamp, Value};

/// Frames of one series in arrival order. Rows lie behind each other because a frame arrives as a row: one copy
/// per frame, not one per column; they are turned into columns once, when they leave memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows {
    pub(crate) width: usize,
    pub(crate) times: Vec<Timestamp>,
    pub(crate) values: Vec<Value>,
}

impl Rows {
    pub(crate) fn push(&mut self, at: Timestamp, values: &[Value]) {
        self.times.push(at);
        self.values.extend_from_slice(values);
    }

    pub(crate) fn bytes(&self) -> u64 {
        8 * (self.times.len() + self.values.len()) as u64
    }

    /// The wanted columns of the frames in a span, still in arrival order.
    pub(crate) fn select(&self, columns: &[usize], span: Span) -> Frames {
        let rows: Vec<usize> = (0..self.times.len()).filter(|&row| span.holds(self.times[row])).collect();
        let column =
            |&column: &usize| rows.iter().map(|&row| self.values[row * self.width + column]).collect();
        Frames {
            times: rows.iter().map(|&row| self.times[row]).collect(),
            columns: columns.iter().map(column).collect(),
        }
    }

    #[cfg(test)]
    pub(crate) fn transpose(&self) -> Frames {
        self.select(&(0..self.width).collect::<Vec<_>>(), Span::ALL)
    }
}

/// A half-open span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
}

impl Span {
    pub(crate) const ALL: Self = Self { from: Timestamp(i64::MIN), to: Timestamp(i64::MAX) };

    pub(crate) fn holds(self, at: Timestamp) -> bool {
        self.from <= at && (at < self.to || self.to == Timestamp(i64::MAX))
    }

    /// Whether anything between the two moments, both included, may lie in it.
    pub(crate) fn meets(self, first: Timestamp, last: Timestamp) -> bool {
        last >= self.from && (first < self.to || self.to == Timestamp(i64::MAX))
    }
}

/// Frames of one series by column.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Frames {
    pub(crate) times: Vec<Timestamp>,
    pub(crate) columns: Vec<Vec<Value>>,
}

impl Frames {
    pub(crate) fn new(width: usize) -> Self {
        Self { times: Vec::new(), columns: vec![Vec::new(); width] }
    }

    /// Adds frames that arrived later.
    pub(crate) fn append(&mut self, later: Self) {
        if self.times.is_empty() {
            *self = later;
            return;
        }
        self.times.extend(later.times);
        for (column, more) in self.columns.iter_mut().zip(later.columns) {
            column.extend(more);
        }
    }

    /// Orders arrivals by time; of frames with the same time the last to arrive stays.
    pub(crate) fn settle(&mut self) {
        if self.times.windows(2).all(|pair| pair[0] < pair[1]) {
            return;
        }
        let mut order: Vec<u32> = (0..self.times.len() as u32).collect();
        order.sort_by_key(|&row| self.times[row as usize]);
        let last_of_its_time = |at: usize| {
            at + 1 == order.len() || self.times[order[at] as usize] != self.times[order[at + 1] as usize]
        };
        let kept: Vec<usize> =
            (0..order.len()).filter(|&at| last_of_its_time(at)).map(|at| order[at] as usize).collect();
        self.keep(&kept);
    }

    /// Drops the frames outside a span.
    pub(crate) fn clip(&mut self, span: Span) {
        if self.times.iter().all(|&at| span.holds(at)) {
            return;
        }
        let kept: Vec<usize> = (0..self.times.len()).filter(|&row| span.holds(self.times[row])).collect();
        self.keep(&kept);
    }

    fn keep(&mut self, rows: &[usize]) {
        self.times = rows.iter().map(|&row| self.times[row]).collect();
        for column in &mut self.columns {
            *column = rows.iter().map(|&row| column[row]).collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_equal_times_stays() {
        let mut rows = Rows { width: 1, ..Rows::default() };
        for (at, value) in [(5, 1), (3, 2), (5, 3), (4, 4), (3, 5)] {
            rows.push(Timestamp(at), &[Value(value)]);
        }
        let mut frames = rows.transpose();
        frames.settle();
        assert_eq!(frames.times, [3, 4, 5].map(Timestamp));
        assert_eq!(frames.columns, [[5, 4, 3].map(Value)]);
        frames.clip(Span { from: Timestamp(4), to: Timestamp(5) });
        assert_eq!(frames.times, [Timestamp(4)]);
    }
}
