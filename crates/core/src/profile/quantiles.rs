//! A distribution as a few of its quantiles, straight lines in between.

use super::{Cycle, Track};
use crate::time::Timestamp;

/// At which probabilities a slot's distribution is kept: both ends, the middle, and the tail where load bursts.
pub const PROBABILITIES: [f64; 9] = [0.0, 0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0];

/// What a dimension may be at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Distribution {
    /// Probability of exactly nothing. Where it is not kept apart, values that are mostly nothing come out as a little.
    pub(super) idle: f64,
    /// Values at [`PROBABILITIES`], ascending.
    pub(super) quantiles: [f64; PROBABILITIES.len()],
}

/// Of a sample, at least one value; it is sorted.
pub(super) fn of(sample: &mut [f64]) -> [f32; PROBABILITIES.len()] {
    sample.sort_by(f64::total_cmp);
    PROBABILITIES.map(|probability| {
        let place = probability * (sample.len() - 1) as f64;
        let (low, share) = (place.floor() as usize, place.fract());
        let high = (low + 1).min(sample.len() - 1);
        (sample[low] + share * (sample[high] - sample[low])) as f32
    })
}

impl Distribution {
    /// What it is on average.
    pub(super) fn mean(&self) -> f64 {
        let pieces = PROBABILITIES.windows(2).zip(self.quantiles.windows(2));
        pieces.map(|(p, q)| (p[1] - p[0]) * 0.5 * (q[0] + q[1])).sum()
    }
}

/// The share of a sample that is nothing.
pub(super) fn idle(sample: &[f64]) -> f32 {
    sample.iter().filter(|value| **value == 0.0).count() as f32 / sample.len().max(1) as f32
}

impl Track {
    /// The distribution at a moment, between the middles of the slots around it, so that nothing jumps on the hour.
    pub(super) fn at(&self, cycle: Cycle, at: Timestamp) -> Distribution {
        let slots = self.quantiles.len().max(1);
        let place = cycle.place(at) - 0.5;
        let share = place - place.floor();
        let low = (place.floor() as i64).rem_euclid(slots as i64) as usize;
        let high = (low + 1) % slots;
        let between = |low: f32, high: f32| f64::from(low) * (1.0 - share) + f64::from(high) * share;
        let idle = |slot: usize| self.idle.get(slot).copied().unwrap_or(0.0);
        let quantiles = match (self.quantiles.get(low), self.quantiles.get(high)) {
            (Some(low), Some(high)) => std::array::from_fn(|k| between(low[k], high[k])),
            _ => [0.0; PROBABILITIES.len()],
        };
        Distribution { idle: between(idle(low), idle(high)), quantiles }
    }
}

/// The value below which `probability` lies.
pub(super) fn value(of: &Distribution, probability: f64) -> f64 {
    if probability < of.idle {
        return 0.0;
    }
    let quantiles = &of.quantiles;
    let high =
        PROBABILITIES.iter().position(|known| probability <= *known).unwrap_or(PROBABILITIES.len() - 1);
    let Some(low) = high.checked_sub(1) else { return quantiles[0] };
    let share = (probability - PROBABILITIES[low]) / (PROBABILITIES[high] - PROBABILITIES[low]);
    quantiles[low] + share.clamp(0.0, 1.0) * (quantiles[high] - quantiles[low])
}

/// The probability below `value`; where the distribution has an atom, the middle of it.
pub(super) fn probability(of: &Distribution, value: f64) -> f64 {
    if value <= 0.0 && of.idle > 0.0 {
        return 0.5 * of.idle;
    }
    let quantiles = &of.quantiles;
    let last = PROBABILITIES.len() - 1;
    // From the first place that reaches the value to the last that does not exceed it.
    let below = quantiles.iter().position(|known| *known >= value);
    let above = quantiles.iter().rposition(|known| *known <= value);
    let (Some(below), Some(above)) = (below, above) else {
        return if below.is_none() { PROBABILITIES[last] } else { PROBABILITIES[0] };
    };
    if below <= above {
        return 0.5 * (PROBABILITIES[below] + PROBABILITIES[above]);
    }
    let share = (value - quantiles[above]) / (quantiles[below] - quantiles[above]);
    PROBABILITIES[above] + share * (PROBABILITIES[below] - PROBABILITIES[above])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_agree_and_atoms_are_halved() {
        let mut sample: Vec<f64> = (0..1001).map(f64::from).collect();
        let quantiles = of(&mut sample).map(f64::from);
        assert_eq!(idle(&sample), 1.0 / 1001.0);
        assert_eq!(quantiles, [0.0, 50.0, 250.0, 500.0, 750.0, 900.0, 950.0, 990.0, 1000.0]);
        let smooth = Distribution { idle: 0.0, quantiles };
        for p in [0.0, 0.01, 0.4, 0.97, 1.0] {
            assert!((probability(&smooth, value(&smooth, p)) - p).abs() < 1e-12, "{p}");
        }
        assert_eq!(probability(&smooth, -1.0), 0.0);
        assert_eq!(probability(&smooth, 2000.0), 1.0);
        let ones = Distribution { idle: 0.0, quantiles: [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 4.0, 8.0] };
        assert_eq!(probability(&ones, 1.0), 0.45);
        assert_eq!(probability(&ones, 2.0), 0.95);
    }

    #[test]
    fn nothing_is_kept_apart_from_little() {
        let mut sample: Vec<f64> = (0..100).map(|n| if n < 92 { 0.0 } else { f64::from(n) }).collect();
        let mostly =
            Distribution { idle: f64::from(idle(&sample)), quantiles: of(&mut sample).map(f64::from) };
        assert!((mostly.idle - 0.92).abs() < 1e-6);
        assert_eq!(value(&mostly, 0.919), 0.0);
        assert!(value(&mostly, 0.93) > 20.0);
        assert!((probability(&mostly, 0.0) - 0.46).abs() < 1e-6);
    }
}
