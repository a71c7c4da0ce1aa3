//! A distribution as a few of its quantiles, straight lines in between.

use super::{Cycle, Track};
use crate::time::Timestamp;

/// At which probabilities a slot's distribution is kept: both ends, the middle, and the tail where load bursts.
pub const PROBABILITIES: [f64; 9] = [0.0, 0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0];

/// Values at [`PROBABILITIES`], ascending.
pub(super) type Quantiles = [f64; PROBABILITIES.len()];

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

impl Track {
    /// The distribution at a moment, between the middles of the slots around it, so that nothing jumps on the hour.
    pub(super) fn at(&self, cycle: Cycle, at: Timestamp) -> Quantiles {
        let slots = self.quantiles.len().max(1);
        let place = cycle.place(at) - 0.5;
        let share = place - place.floor();
        let low = (place.floor() as i64).rem_euclid(slots as i64) as usize;
        let high = (low + 1) % slots;
        let (Some(low), Some(high)) = (self.quantiles.get(low), self.quantiles.get(high)) else {
            return [0.0; PROBABILITIES.len()];
        };
        std::array::from_fn(|k| f64::from(low[k]) * (1.0 - share) + f64::from(high[k]) * share)
    }
}

/// The value below which `probability` lies.
pub(super) fn value(quantiles: &Quantiles, probability: f64) -> f64 {
    let high =
        PROBABILITIES.iter().position(|known| probability <= *known).unwrap_or(PROBABILITIES.len() - 1);
    let Some(low) = high.checked_sub(1) else { return quantiles[0] };
    let share = (probability - PROBABILITIES[low]) / (PROBABILITIES[high] - PROBABILITIES[low]);
    quantiles[low] + share.clamp(0.0, 1.0) * (quantiles[high] - quantiles[low])
}

/// The probability below `value`; where the distribution has an atom, the middle of it.
pub(super) fn probability(quantiles: &Quantiles, value: f64) -> f64 {
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
        assert_eq!(quantiles, [0.0, 50.0, 250.0, 500.0, 750.0, 900.0, 950.0, 990.0, 1000.0]);
        for p in [0.0, 0.01, 0.4, 0.97, 1.0] {
            assert!((probability(&quantiles, value(&quantiles, p)) - p).abs() < 1e-12, "{p}");
        }
        assert_eq!(probability(&quantiles, -1.0), 0.0);
        assert_eq!(probability(&quantiles, 2000.0), 1.0);
        let zeros = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0, 4.0, 8.0];
        assert_eq!(probability(&zeros, 0.0), 0.45);
        assert_eq!(probability(&zeros, 2.0), 0.95);
    }
}
