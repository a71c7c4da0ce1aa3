//! Training data: stretches of a window, standardised, row by row.

use std::ops::Range;

use foretwin_core::{Timestamp, Window};

use crate::cycle::Profile;
use crate::feature::{Reading, Recipe};
use crate::span::{Span, kept, locate};

/// Rows of a stretch when a long window is thinned: long against any lag, short against a day.
pub const STRETCH_ROWS: usize = 1024;
/// What stays of a value each frame that its metric is missing: a metric that went away while it was far off must not
/// mislead the expectation of others for ever.
pub(crate) const ABSENT_FADE: f32 = 0.9;
/// A pause of more than this many sampling steps is a gap: what came before explains nothing after it.
pub(crate) const GAP_STEPS: f64 = 3.5;

/// Which frames of a window are used: stretches in order of time.
#[derive(Debug, Clone)]
pub(crate) struct Rows {
    pub stretches: Vec<Range<usize>>,
    /// Median sampling interval in seconds.
    pub step_s: f64,
}

impl Rows {
    /// At most `most` frames: all, or evenly spaced stretches that include the latest.
    #[cfg(test)]
    pub fn choose(times: &[Timestamp], most: usize) -> Self {
        Self::choose_without(times, most, &[])
    }

    /// The same of the frames outside the spans that are `left_out`, which end a stretch like a gap.
    pub fn choose_without(times: &[Timestamp], most: usize, left_out: &[Span]) -> Self {
        let step_s = median_step_s(times);
        let kept = kept(times, left_out);
        let rows: usize = kept.iter().map(ExactSizeIterator::len).sum();
        let most = most.max(STRETCH_ROWS);
        if rows <= most {
            return Self { stretches: kept, step_s };
        }
        let count = most / STRETCH_ROWS;
        let spacing = (rows - STRETCH_ROWS) as f64 / count.max(2).saturating_sub(1) as f64;
        let stretches = (0..count)
            .map(|n| rows - STRETCH_ROWS - ((count - 1 - n) as f64 * spacing) as usize)
            .flat_map(|start| locate(&kept, &(start..start + STRETCH_ROWS)))
            .collect();
        Self { stretches, step_s }
    }

    /// Number of frames.
    pub fn len(&self) -> usize {
        self.stretches.iter().map(ExactSizeIterator::len).sum()
    }

    /// Transformed samples of one column at the chosen frames, NaN where missing.
    pub fn column(&self, window: &Window, recipe: &Recipe, column: usize) -> Vec<f64> {
        let mut numbers = Vec::with_capacity(self.len());
        for stretch in &self.stretches {
            let mut last = Reading::NONE;
            numbers.extend(stretch.clone().map(|row| {
                let get = |other: usize| window.columns[other][row];
                recipe.transformed(column, window.times[row], get, &mut last)
            }));
        }
        numbers
    }
}

/// The median of the positive steps between frames, in seconds; 1 where there is none.
fn median_step_s(times: &[Timestamp]) -> f64 {
    let mut steps: Vec<i64> =
        times.windows(2).map(|pair| pair[1].0 - pair[0].0).filter(|&us| us > 0).collect();
    if steps.is_empty() {
        return 1.0;
    }
    let middle = steps.len() / 2;
    *steps.select_nth_unstable(middle).1 as f64 / 1e6
}

/// Standardised samples, rows × width. What is missing returns from its last known value to its centre.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub width: usize,
    pub z: Vec<f32>,
    /// Whether the sample was there, rows × width.
    pub seen: Vec<bool>,
    /// Frames since the last gap, per row; 0 for the first after one.
    pub age: Vec<u32>,
    pub times: Vec<Timestamp>,
}

impl Table {
    pub fn new(window: &Window, recipe: &Recipe, rows: &Rows) -> Self {
        let width = recipe.features.len();
        let times: Vec<Timestamp> =
            rows.stretches.iter().flat_map(|s| window.times[s.clone()].iter().copied()).collect();
        let age = ages(&times, rows);
        let (mut z, mut seen) = (vec![0.0; times.len() * width], vec![false; times.len() * width]);
        for column in 0..width {
            let feature = &recipe.features[column];
            let mut held = 0.0;
            for (row, number) in rows.column(window, recipe, column).into_iter().enumerate() {
                let at = row * width + column;
                if number.is_nan() {
                    held *= ABSENT_FADE;
                } else {
                    held = feature.standardised(number);
                    seen[at] = true;
                }
                z[at] = held;
            }
        }
        Self { width, z, seen, age, times }
    }

    /// Takes from every sample what repeats. What is missing returns to its centre from there.
    pub fn subtract(&mut self, profile: &Profile) {
        let mut offset = vec![0.0; self.width];
        for row in 0..self.times.len() {
            offset.fill(0.0);
            profile.add(self.times[row], &mut offset);
            for &column in &profile.cycle.columns {
                let at = row * self.width + column as usize;
                let held = if row > 0 { self.z[at - self.width] } else { 0.0 };
                self.z[at] =
                    if self.seen[at] { self.z[at] - offset[column as usize] } else { ABSENT_FADE * held };
            }
        }
    }

    pub fn rows(&self) -> usize {
        self.times.len()
    }

    pub fn row(&self, row: usize) -> &[f32] {
        &self.z[row * self.width..(row + 1) * self.width]
    }

    pub fn is_seen(&self, row: usize, column: usize) -> bool {
        self.seen[row * self.width + column]
    }

    /// Whether the `lags` rows before it follow each other without a gap.
    pub fn has_past(&self, row: usize, lags: usize) -> bool {
        self.age[row] as usize >= lags
    }
}

fn ages(times: &[Timestamp], rows: &Rows) -> Vec<u32> {
    let mut age = Vec::with_capacity(times.len());
    for stretch in &rows.stretches {
        for offset in 0..stretch.len() {
            let row = age.len();
            let follows = offset > 0 && {
                let step = times[row].since(times[row - 1]);
                step > 0.0 && step <= GAP_STEPS * rows.step_s
            };
            age.push(if follows { age[row - 1] + 1 } else { 0 });
        }
    }
    age
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(n: usize) -> Vec<Timestamp> {
        (0..n as i64).map(|s| Timestamp(s * 1_000_000)).collect()
    }

    #[test]
    fn a_long_window_is_thinned_to_stretches_that_include_the_latest() {
        let rows = Rows::choose(&seconds(100_000), 10_240);
        assert_eq!(rows.len(), 10_240);
        assert_eq!(rows.stretches.last().unwrap().end, 100_000);
        assert_eq!(rows.stretches[0].start, 0);
        assert!(rows.stretches.windows(2).all(|pair| pair[0].end <= pair[1].start));
        assert_eq!(Rows::choose(&seconds(500), 10_240).stretches, vec![0..500]);
    }

    #[test]
    fn gaps_and_repeated_times_restart_the_past() {
        let times: Vec<_> = [0, 1, 2, 3, 3, 4, 60, 61].map(|s| Timestamp(s * 1_000_000)).to_vec();
        let rows = Rows::choose(&times, 2000);
        assert_eq!(rows.step_s, 1.0);
        assert_eq!(ages(&times, &rows), [0, 1, 2, 3, 0, 1, 0, 1]);
    }
}
