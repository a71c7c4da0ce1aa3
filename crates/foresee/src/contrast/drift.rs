//! The drift of the twin: how much more its costs are than usual in the same regime, as one natural logarithm.
//!
//! A shortage reaches some kinds of probe and others not, and which it reaches is not known before. So each cost counts
//! by the square of how far it has moved of late, as in a matched filter whose template is learned while it is used:
//! what did not move does not hide what did, and what jumps for a second alone hardly counts.

use super::baseline::Usual;
use super::second::COSTS;
use super::state::{Reader, Writer};
use super::window::{self, Row};
use crate::Error;

/// Weight of the newest second in how far a cost has moved of late.
const LATE: f64 = 1.0 / 90.0;
/// Weight of a cost that has not moved.
const LEAST: f64 = 0.003;
/// Weight of a second in what is known to be calm: over hours, or a slow rise were calm itself.
const CALM: f64 = 1.0 / 3600.0;

/// What the drift is made from.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Drift {
    /// How far each cost has moved of late.
    moved: [f64; COSTS],
    /// The mean of a twin that all is well with.
    calm: f64,
}

impl Drift {
    /// The drift of a window: 0 where costs are as usual, 0.69 where they are twice that. Nothing where none is known.
    pub fn take(&mut self, row: &Row, usual: &[Usual], is_calm: bool) -> Option<f64> {
        let (mut sum, mut all) = (0.0, 0.0);
        for (cost, moved) in self.moved.iter_mut().enumerate() {
            let feature = window::OWN + cost;
            let over = f64::from(row.features[feature] - usual[feature].median);
            if window::is_log(feature) && over.is_finite() {
                *moved += LATE * (over - *moved);
                let weight = moved.max(0.0).powi(2) + LEAST;
                (sum, all) = (sum + weight * over, all + weight);
            }
        }
        if all == 0.0 {
            return None;
        }
        let mean = sum / all;
        if is_calm {
            self.calm += CALM * (mean - self.calm);
        }
        Some(mean - self.calm)
    }

    pub fn encode(&self, to: &mut Writer) {
        to.f64(self.calm);
        self.moved.iter().for_each(|&value| to.f64(value));
    }

    pub fn decode(from: &mut Reader<'_>) -> Result<Self, Error> {
        let mut read = Self { calm: from.f64()?, ..Self::default() };
        for moved in &mut read.moved {
            *moved = from.f64()?;
        }
        let fine = read.calm.is_finite() && read.moved.iter().all(|value| value.is_finite());
        fine.then_some(read).ok_or(Error::Comparison("the drift of the twin is out of range"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(seconds: usize, over: impl Fn(usize, usize) -> f32) -> f64 {
        let usual = vec![Usual { median: -6.0, scale: 0.1 }; window::FEATURES];
        let mut drift = Drift::default();
        let mut last = f64::NAN;
        for second in 0..seconds {
            let mut row = Row::empty();
            for cost in 0..COSTS {
                row.features[window::OWN + cost] = -6.0 + over(second, cost);
            }
            last = drift.take(&row, &usual, false).unwrap();
        }
        last
    }

    #[test]
    fn costs_that_a_shortage_does_not_reach_do_not_hide_it() {
        let reached = after(120, |_, cost| if cost < 3 { 0.6 } else { 0.0 });
        assert!((0.5..0.6).contains(&reached), "{reached}");
        assert!((after(120, |_, _| 0.6) - 0.6).abs() < 1e-6);
    }

    #[test]
    fn one_cost_that_jumps_for_a_moment_hardly_counts() {
        let jumped = after(120, |second, cost| if cost == 2 && second > 117 { 2.0 } else { 0.0 });
        assert!(jumped < 0.5, "{jumped}");
    }

    #[test]
    fn what_was_not_measured_is_left_out() {
        let usual = vec![Usual { median: f32::NAN, scale: 0.1 }; window::FEATURES];
        assert_eq!(Drift::default().take(&Row::empty(), &usual, true), None);
    }
}
