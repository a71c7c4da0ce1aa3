//! Fitting a profile: distributions per slot, then what is left as a Gaussian process that forgets.

use super::memory::correlation;
use super::quantiles::{self, PROBABILITIES};
use super::{Cycle, Demand, Dimension, Profile, Track, Transition, memory, normal, season};
use crate::time::{DAY_US, Timestamp};

/// Fewer rows say nothing of a distribution.
pub(super) const LEAST_ROWS: usize = 16;
/// Fewer rows in a slot, and it takes the distribution of all times.
const LEAST_IN_SLOT: usize = 8;
/// A longer gap, in steps, counts as this long: what is autocorrelated has long been forgotten.
const LONGEST_GAP: i64 = 1024;
impl Profile {
    /// The profile of a history: rows in ascending time, about evenly spaced, NaN where unknown. None from fewer than
    /// 16 rows, or if nothing is known.
    ///
    /// Per slot of the [`Cycle`] and dimension the quantiles; then, of the normal scores of every row within its slot's
    /// distribution (a Gaussian copula, Nelsen 2006) the correlation between dimensions, and of what is left beside the
    /// slots' means the autocorrelation, fitted as the sum of white noise and two exponentials.
    #[must_use]
    pub fn fit(rows: &[(Timestamp, Demand)], version: u64) -> Option<Self> {
        let (first, last) = (rows.first()?.0, rows.last()?.0);
        let step_s = median_step_s(rows)?;
        let cycle = match last.0.saturating_sub(first.0) {
            span if span >= 14 * DAY_US => Cycle::Week,
            span if span >= 2 * DAY_US => Cycle::Day,
            _ => Cycle::Flat,
        };
        let places = grid(rows, step_s);
        let (mut tracks, mut scores) = (Vec::new(), Vec::new());
        for dimension in Dimension::ALL {
            let Some((quantiles, idle)) = slots(rows, dimension, cycle) else { continue };
            // Filled in below; a track knows its distribution without it.
            let transition = Transition { white: 1.0, fast: 0.0, fast_s: step_s, slow_s: step_s };
            let mut track = Track { dimension, quantiles, idle, transition };
            let score = normal_scores(rows, &places, &track, cycle);
            track.transition = memory::transition(&residuals(rows, &places, &track, cycle), step_s);
            tracks.push(track);
            scores.push(score);
        }
        let correlation = innovations(&tracks, &scores, step_s);
        let rows = rows.len() as u64;
        (!tracks.is_empty()).then_some(Self { version, made: last, step_s, rows, cycle, tracks, correlation })
    }
}

fn median_step_s(rows: &[(Timestamp, Demand)]) -> Option<f32> {
    if rows.len() < LEAST_ROWS {
        return None;
    }
    let mut steps: Vec<i64> = rows.windows(2).map(|pair| pair[1].0.0.saturating_sub(pair[0].0.0)).collect();
    let middle = steps.len() / 2;
    let (_, median, _) = steps.select_nth_unstable(middle);
    (*median > 0).then_some((*median as f64 / 1e6) as f32)
}

/// Place of each row on an even grid.
fn grid(rows: &[(Timestamp, Demand)], step_s: f32) -> Vec<usize> {
    let mut place = 0i64;
    let mut places = vec![0];
    for pair in rows.windows(2) {
        let steps = (pair[1].0.since(pair[0].0) / f64::from(step_s)).round() as i64;
        place += steps.clamp(0, LONGEST_GAP);
        places.push(place as usize);
    }
    places
}

/// Quantiles and idle share of each slot.
type Slots = (Vec<[f32; PROBABILITIES.len()]>, Vec<f32>);

/// The distribution of each slot of `cycle`. A dimension that does not follow the cycle has the same one everywhere:
/// else a slow wandering would be taken for a habit, and the generator would repeat it.
fn slots(rows: &[(Timestamp, Demand)], dimension: Dimension, cycle: Cycle) -> Option<Slots> {
    let known = || {
        let values = rows.iter().map(|(at, demand)| (*at, demand.get(dimension)));
        values.filter(|(_, value)| value.is_finite())
    };
    let mut all: Vec<f64> = known().map(|(_, value)| value.clamp(0.0, f64::from(f32::MAX))).collect();
    if all.len() < LEAST_ROWS {
        return None;
    }
    let of = |sample: &mut Vec<f64>| (quantiles::of(sample), quantiles::idle(sample));
    let whole = of(&mut all);
    let habit = season::habit(known(), cycle);
    let mut samples = vec![Vec::new(); habit.slots()];
    for (at, value) in known() {
        samples[habit.place(at) as usize].push(value.clamp(0.0, f64::from(f32::MAX)));
    }
    let slot = |sample: &mut Vec<f64>| if sample.len() < LEAST_IN_SLOT { whole } else { of(sample) };
    let found: Vec<_> = samples.iter_mut().map(slot).collect();
    // The day repeats over the week, a flat habit over both.
    Some(found.iter().copied().cycle().take(cycle.slots()).unzip())
}

/// Where each row stands in its moment's distribution, as a standard normal number, on the even grid; NaN elsewhere.
fn normal_scores(rows: &[(Timestamp, Demand)], places: &[usize], track: &Track, cycle: Cycle) -> Vec<f32> {
    let mut scores = vec![f32::NAN; places.last().map_or(0, |last| last + 1)];
    for ((at, demand), place) in rows.iter().zip(places) {
        let value = demand.get(track.dimension);
        if value.is_finite() {
            let probability = quantiles::probability(&track.at(cycle, *at), value.max(0.0));
            scores[*place] = normal::quantile(probability.clamp(0.002, 0.998)) as f32;
        }
    }
    scores
}

/// What each row is beside the mean of its moment, on the even grid; NaN elsewhere.
fn residuals(rows: &[(Timestamp, Demand)], places: &[usize], track: &Track, cycle: Cycle) -> Vec<f32> {
    let mut left = vec![f32::NAN; places.last().map_or(0, |last| last + 1)];
    for ((at, demand), place) in rows.iter().zip(places) {
        let value = demand.get(track.dimension);
        if value.is_finite() {
            left[*place] = (value.max(0.0) - track.at(cycle, *at).mean()) as f32;
        }
    }
    left
}

/// How the innovations of the tracks must be correlated for the scores to be correlated as they are.
fn innovations(tracks: &[Track], scores: &[Vec<f32>], step_s: f32) -> Vec<f32> {
    let count = tracks.len();
    let mut wanted = vec![0.0f32; count * count];
    for i in 0..count {
        wanted[i * count + i] = 1.0;
        for j in 0..i {
            let Some(seen) = correlation(&scores[i], &scores[j], 0) else { continue };
            // Two processes of different memory are less correlated than what drives them.
            let [a, b] = [i, j].map(|k| tracks[k].transition.parts(f64::from(step_s)));
            let passed: f64 = a
                .iter()
                .zip(b)
                .map(|((wa, fa), (wb, fb))| {
                    (wa * wb * (1.0 - fa * fa) * (1.0 - fb * fb)).sqrt() / (1.0 - fa * fb)
                })
                .sum();
            let driven = (seen / passed.max(0.05)).clamp(-0.98, 0.98) as f32;
            wanted[i * count + j] = driven;
            wanted[j * count + i] = driven;
        }
    }
    // Pairs that were estimated one by one may not fit together: nearer to independence they do.
    for _ in 0..200 {
        if cholesky(&wanted, count).is_some() {
            break;
        }
        (0..count * count).filter(|at| at / count != at % count).for_each(|at| wanted[at] *= 0.97);
    }
    wanted
}

/// The lower triangle whose product with its transpose is the matrix; none if there is none.
pub(super) fn cholesky(matrix: &[f32], count: usize) -> Option<Vec<f64>> {
    let mut lower = vec![0.0f64; count * count];
    for i in 0..count {
        for j in 0..=i {
            let done: f64 = (0..j).map(|k| lower[i * count + k] * lower[j * count + k]).sum();
            let left = f64::from(matrix[i * count + j]) - done;
            if i != j {
                lower[i * count + j] = left / lower[j * count + j];
            } else if left > 1e-6 {
                lower[i * count + i] = left.sqrt();
            } else {
                return None;
            }
        }
    }
    Some(lower)
}
