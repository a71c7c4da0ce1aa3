//! Evenly spaced rows of an instance at one time scale, on the common scale: what forecasts far ahead are made from.

use foretwin_core::Window;

use crate::feature::{Reading, Recipe};

/// Rows of a grid at most, the latest: what a clock that jumped by years must not exceed.
const MOST_ROWS: i64 = 400_000;

/// Means over intervals of `step_us`, rows × columns, without gaps: what is missing holds its last value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Grid {
    pub step_us: i64,
    /// Number of the first interval since the epoch.
    pub first: i64,
    pub width: usize,
    pub z: Vec<f32>,
    /// Whether anything was seen in the interval, rows × columns.
    pub seen: Vec<bool>,
    /// Added to a time before it is divided by the step.
    offset_us: i64,
}

impl Grid {
    /// Gathers `columns` of a window, transformed and scaled by the recipe. At the native step times are rounded to
    /// the nearest row, which forgives jitter; at a coarser one, rows are what falls into them.
    pub fn new(window: &Window, recipe: &Recipe, columns: &[u32], (step_us, native): (i64, bool)) -> Self {
        let offset_us = if native { step_us / 2 } else { 0 };
        let place = |at: foretwin_core::Timestamp| (at.0 + offset_us).div_euclid(step_us);
        let last = window.times.last().map_or(0, |&at| place(at));
        let first = window.times.first().map_or(0, |&at| place(at)).max(last - MOST_ROWS + 1);
        let (rows, width) = ((last - first + 1).max(0) as usize, columns.len());
        let (mut z, mut seen) = (vec![0.0; rows * width], vec![false; rows * width]);
        let (mut sums, mut counts) = (vec![0.0f64; rows], vec![0u32; rows]);
        for (n, &column) in columns.iter().enumerate() {
            sums.fill(0.0);
            counts.fill(0);
            let (feature, mut last) = (&recipe.features[column as usize], Reading::NONE);
            for (row, &at) in window.times.iter().enumerate() {
                let get = |other: usize| window.columns[other][row];
                let number = recipe.transformed(column as usize, at, get, &mut last);
                let to = place(at) - first;
                if !number.is_nan() && (0..rows as i64).contains(&to) {
                    sums[to as usize] += number;
                    counts[to as usize] += 1;
                }
            }
            let mut held = 0.0;
            for row in 0..rows {
                if counts[row] > 0 {
                    held = feature.standardised(sums[row] / f64::from(counts[row]));
                    seen[row * width + n] = true;
                }
                z[row * width + n] = held;
            }
        }
        Self { step_us, first, width, z, seen, offset_us }
    }

    /// Its latest rows, at most so many.
    pub fn latest(mut self, most: usize) -> Self {
        let surplus = self.rows().saturating_sub(most);
        self.z.drain(..surplus * self.width);
        self.seen.drain(..surplus * self.width);
        self.first += surplus as i64;
        self
    }

    pub fn rows(&self) -> usize {
        self.z.len() / self.width.max(1)
    }

    /// The row that a moment falls into; may lie outside.
    pub fn row_of(&self, at: foretwin_core::Timestamp) -> i64 {
        (at.0 + self.offset_us).div_euclid(self.step_us) - self.first
    }

    /// The beginning of a row, which may lie in the future.
    pub fn time(&self, row: usize) -> foretwin_core::Timestamp {
        foretwin_core::Timestamp((self.first + row as i64) * self.step_us)
    }

    pub fn column(&self, n: usize) -> impl Iterator<Item = f32> + '_ {
        self.z.iter().skip(n).step_by(self.width.max(1)).copied()
    }

    pub fn is_seen(&self, row: usize, n: usize) -> bool {
        self.seen[row * self.width + n]
    }
}
