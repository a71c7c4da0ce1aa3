//! A shape that repeats, as a day does: found in the training data and taken from every sample before anything else.

use foretwin_core::{DAY_US, Timestamp};
use serde::{Deserialize, Serialize};

use crate::table::Table;

/// Parts of a period at most.
const MOST_BINS: usize = 144;
/// A shape is smoothed over neighbouring parts by these weights.
const SMOOTHING: [f64; 5] = [1.0, 2.0, 3.0, 2.0, 1.0];
/// Part of a metric's held-out variance that the shape must explain to be taken from it.
const WORTH: f64 = 0.05;
/// Samples that are looked at for each candidate.
const MOST_CELLS: usize = 2_000_000;
/// Points that the search for unknown periods sees of each metric.
const MOST_POINTS: usize = 2048;
/// The shortest unknown period, in points: what is faster is the business of lags.
const SHORTEST: usize = 16;
/// Unknown periods that are tried: the shortest of those whose autocorrelation is about as high as the highest.
const PEAKS: usize = 3;
const AS_HIGH: f64 = 0.8;
/// A longer period must explain so much more than a shorter one.
const LONGER: f64 = 1.05;

/// Which metrics follow which period.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cycle {
    /// Length of the period in seconds; its phase is that of the time itself.
    pub period_s: f64,
    /// Parts that it is seen in.
    pub bins: usize,
    /// Columns that follow it.
    pub columns: Vec<u32>,
}

/// A cycle and what it adds: bins × columns, on the common scale.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Profile {
    pub cycle: Cycle,
    pub values: Vec<f32>,
}

impl Profile {
    /// The shape of a day, of a week, or of a period that the data themselves show, whichever explains most of the
    /// later part of the rows when it was learned from the earlier. None where nothing repeats, and before two whole
    /// periods were seen.
    pub fn find(table: &Table, columns: &[u32], step_s: f64) -> Option<Self> {
        let sight = Sight::new(table, columns)?;
        let mut best: Option<(f64, f64)> = None;
        for period_s in sight.candidates(table, step_s) {
            let Some(explained) = sight.explained(table, period_s, step_s) else { continue };
            let worth = explained.iter().map(|part| part.max(0.0)).sum::<f64>() / explained.len() as f64;
            let longer = best.is_some_and(|(_, shortest)| period_s > 1.5 * shortest);
            let needed = best.map_or(0.0, |(worth, _)| if longer { LONGER * worth } else { worth });
            if worth > needed {
                best = Some((worth, period_s));
            }
        }
        let (_, period_s) = best?;
        let explained = sight.explained(table, period_s, step_s)?;
        let follow = explained.iter().zip(&sight.columns).filter(|(part, _)| **part > WORTH);
        let columns: Vec<u32> = follow.map(|(_, &column)| column).collect();
        if columns.is_empty() {
            return None;
        }
        let cycle = Cycle { period_s, bins: bins(period_s, step_s), columns };
        let rows: Vec<usize> = (0..table.rows()).collect();
        let values = shape(table, &cycle, &rows);
        Some(Self { cycle, values })
    }

    /// Adds the shape at a moment to `into`, which has one number per column of the schema.
    pub fn add(&self, at: Timestamp, into: &mut [f32]) {
        let Cycle { period_s, bins, columns } = &self.cycle;
        let place = phase(at, *period_s) * *bins as f64 - 0.5;
        let (before, part) = (place.floor(), place - place.floor());
        let bin = |n: f64| (n as i64).rem_euclid(*bins as i64) as usize * columns.len();
        let (from, to) = (bin(before), bin(before + 1.0));
        for (n, &column) in columns.iter().enumerate() {
            let (a, b) = (self.values[from + n], self.values[to + n]);
            into[column as usize] += a + (b - a) * part as f32;
        }
    }
}

fn phase(at: Timestamp, period_s: f64) -> f64 {
    let period_us = period_s * 1e6;
    (at.0 as f64).rem_euclid(period_us) / period_us
}

fn bins(period_s: f64, step_s: f64) -> usize {
    ((period_s / step_s / 2.0) as usize).clamp(8, MOST_BINS)
}

/// The mean of each column in each part of the period, smoothed over neighbouring parts, and drawn towards nothing
/// where few periods were seen.
fn shape(table: &Table, cycle: &Cycle, rows: &[usize]) -> Vec<f32> {
    let (bins, width) = (cycle.bins, cycle.columns.len());
    let (mut sums, mut counts) = (vec![0.0f64; bins * width], vec![0.0f64; bins * width]);
    for &row in rows {
        let bin = (phase(table.times[row], cycle.period_s) * bins as f64) as usize % bins;
        for (n, &column) in cycle.columns.iter().enumerate() {
            if table.is_seen(row, column as usize) {
                sums[bin * width + n] += f64::from(table.row(row)[column as usize]);
                counts[bin * width + n] += 1.0;
            }
        }
    }
    let span_s = rows.last().map_or(0.0, |&last| table.times[last].since(table.times[rows[0]]));
    let periods = (span_s / cycle.period_s).max(1.0);
    let smooth = |at: usize| {
        let (bin, n) = (at / width, at % width);
        let near = SMOOTHING.iter().enumerate().map(|(k, weight)| {
            let other = (bin + bins + k - SMOOTHING.len() / 2) % bins * width + n;
            (weight * sums[other], weight * counts[other])
        });
        let (sum, count) = near.fold((0.0, 0.0), |(a, b), (sum, count)| (a + sum, b + count));
        if count > 0.0 { (sum / count * periods / (periods + 0.5)) as f32 } else { 0.0 }
    };
    (0..bins * width).map(smooth).collect()
}

/// What of a table is looked at: evenly spread rows of the columns that may follow a cycle.
struct Sight {
    columns: Vec<u32>,
    rows: Vec<usize>,
    span_s: f64,
}

impl Sight {
    fn new(table: &Table, columns: &[u32]) -> Option<Self> {
        let (first, last) = (table.times.first()?, table.times.last()?);
        let most = (MOST_CELLS / columns.len().max(1)).max(MOST_POINTS);
        let spacing = table.rows().div_ceil(most).max(1);
        let rows = (0..table.rows()).step_by(spacing).collect();
        (!columns.is_empty()).then(|| Self { columns: columns.to_vec(), rows, span_s: last.since(*first) })
    }

    /// Periods worth trying, in seconds, shorter ones first.
    fn candidates(&self, table: &Table, step_s: f64) -> Vec<f64> {
        let day_s = DAY_US as f64 / 1e6;
        let mut found = vec![day_s, 7.0 * day_s];
        found.extend(self.repeats(table, step_s));
        found.retain(|&period_s| self.span_s >= 2.0 * period_s);
        found.sort_unstable_by(f64::total_cmp);
        found
    }

    /// Unknown periods: where the mean autocorrelation of the longest stretch without a gap peaks, and around it.
    fn repeats(&self, table: &Table, step_s: f64) -> Vec<f64> {
        let stretch = longest(table);
        let each = stretch.len().div_ceil(MOST_POINTS).max(1);
        let points = stretch.len() / each;
        let correlation = autocorrelation(table, &self.columns, (stretch.start, each, points));
        let is_peak = |lag: usize| {
            let (near, here) = (&correlation[lag - 2..=lag + 2], correlation[lag]);
            here > 0.0 && near.iter().all(|&other| other <= here)
        };
        let peaks = || (SHORTEST..correlation.len().saturating_sub(2)).filter(|&lag| is_peak(lag));
        let highest = peaks().map(|lag| correlation[lag]).fold(0.0, f64::max);
        // What repeats every n points also repeats every 2n: the shortest of about equal ones are the likeliest.
        let likely = peaks().filter(|&lag| correlation[lag] > AS_HIGH * highest).take(PEAKS);
        let around = |lag: usize| {
            let fine = (each / 3).max(1);
            let centre = lag * each;
            (centre.saturating_sub(each)..=centre + each).step_by(fine).map(|rows| rows as f64 * step_s)
        };
        likely.flat_map(around).collect()
    }

    /// Per column, the part of the later rows' variance that the shape of the earlier ones explains.
    fn explained(&self, table: &Table, period_s: f64, step_s: f64) -> Option<Vec<f64>> {
        let cycle = Cycle { period_s, bins: bins(period_s, step_s), columns: self.columns.clone() };
        let start = table.times[*self.rows.first()?];
        let split_s = self.span_s - (0.3 * self.span_s).max(period_s);
        let split = self.rows.partition_point(|&row| table.times[row].since(start) <= split_s);
        let (earlier, later) = self.rows.split_at(split);
        if earlier.is_empty() || later.is_empty() {
            return None;
        }
        let profile = Profile { values: shape(table, &cycle, earlier), cycle };
        let width = self.columns.len();
        let (mut with, mut without) = (vec![1e-9f64; width], vec![1e-9f64; width]);
        let mut offset = vec![0.0f32; table.width];
        for &row in later {
            offset.fill(0.0);
            profile.add(table.times[row], &mut offset);
            for (n, &column) in self.columns.iter().enumerate() {
                let column = column as usize;
                if table.is_seen(row, column) {
                    let z = table.row(row)[column];
                    with[n] += f64::from(z - offset[column]).powi(2);
                    without[n] += f64::from(z).powi(2);
                }
            }
        }
        Some(with.iter().zip(&without).map(|(with, without)| 1.0 - with / without).collect())
    }
}

/// The longest run of rows without a gap.
fn longest(table: &Table) -> std::ops::Range<usize> {
    let mut best = 0..0;
    for row in 0..table.rows() {
        let length = table.age[row] as usize + 1;
        if length > best.len() {
            best = row + 1 - length..row + 1;
        }
    }
    best
}

/// The mean over columns of the autocorrelation of block means: `points` blocks of `each` rows from `start` on.
fn autocorrelation(table: &Table, columns: &[u32], (start, each, points): (usize, usize, usize)) -> Vec<f64> {
    let mut total = vec![0.0f64; points / 2];
    let mut values = vec![0.0f32; points];
    for &column in columns {
        for (point, value) in values.iter_mut().enumerate() {
            let rows = start + point * each..start + (point + 1) * each;
            *value = rows.map(|row| table.row(row)[column as usize].clamp(-4.0, 4.0)).sum::<f32>();
        }
        let mean = values.iter().sum::<f32>() / points.max(1) as f32;
        values.iter_mut().for_each(|value| *value -= mean);
        let power = values.iter().map(|value| value * value).sum::<f32>() / points.max(1) as f32;
        if power <= 1e-12 {
            continue;
        }
        for (lag, sum) in total.iter_mut().enumerate() {
            let pairs = values.iter().zip(&values[lag..]);
            let cross: f32 = pairs.map(|(a, b)| a * b).sum();
            *sum += f64::from(cross / power) / (points - lag) as f64;
        }
    }
    total.iter_mut().for_each(|sum| *sum /= columns.len().max(1) as f64);
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use foretwin_core::Rng;

    /// Two columns of `rows` samples every `step_s`: one repeats every `period_s` in noise, one is noise.
    fn table(rows: usize, step_s: f64, period_s: f64) -> Table {
        let mut rng = Rng::new(7);
        let times: Vec<Timestamp> = (0..rows).map(|n| Timestamp((n as f64 * step_s * 1e6) as i64)).collect();
        let z = times.iter().flat_map(|at| {
            let turn = phase(*at, period_s) * std::f64::consts::TAU;
            [(1.5 * turn.sin() + 0.8 * (2.0 * turn).cos() + 0.5 * rng.normal()) as f32, rng.normal() as f32]
        });
        let z: Vec<f32> = z.collect();
        Table { width: 2, z, seen: vec![true; rows * 2], age: (0..rows as u32).collect(), times }
    }

    #[test]
    fn an_unknown_period_is_found_and_explains_the_next_one() {
        let table = table(9000, 1.0, 310.0);
        let profile = Profile::find(&table, &[0, 1], 1.0).expect("it repeats");
        assert!((profile.cycle.period_s - 310.0).abs() <= 1.0, "{}", profile.cycle.period_s);
        assert_eq!(profile.cycle.columns, [0], "noise follows nothing");
        let (at, mut offset) = (Timestamp((9000.0 + 77.5) as i64 * 1_000_000), [0.0f32; 2]);
        profile.add(at, &mut offset);
        let turn = phase(at, 310.0) * std::f64::consts::TAU;
        let truth = 1.5 * turn.sin() + 0.8 * (2.0 * turn).cos();
        assert!((f64::from(offset[0]) - truth).abs() < 0.25, "{} against {truth}", offset[0]);
    }

    #[test]
    fn a_day_is_known_after_two() {
        let find = |days: f64| {
            let table = table((days * 288.0) as usize, 300.0, 86_400.0);
            Profile::find(&table, &[0, 1], 300.0)
        };
        let period = find(3.0).map(|profile| profile.cycle.period_s);
        assert!(period.is_some_and(|period| (period - 86_400.0).abs() < 2000.0), "{period:?}");
        assert!(find(1.5).is_none_or(|profile| profile.cycle.period_s < 80_000.0));
    }

    #[test]
    fn noise_has_no_rhythm() {
        let (mut rng, rows) = (Rng::new(3), 6000);
        let z = (0..rows).map(|_| rng.normal() as f32).collect();
        let times = (0..rows as i64).map(|n| Timestamp(n * 1_000_000)).collect();
        let table = Table { width: 1, z, seen: vec![true; rows], age: (0..rows as u32).collect(), times };
        assert!(Profile::find(&table, &[0], 1.0).is_none());
    }
}
