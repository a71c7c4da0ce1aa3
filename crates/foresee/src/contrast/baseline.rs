//! What is normal in a regime: the learned windows most like this one in load, in what others use, and in steal.
//!
//! One baseline pooled over busy and quiet hosts calls every busy moment a departure. So nothing is pooled: the
//! nearest learned windows are what a window is compared with (k-nearest-neighbour regression, Stone 1977), by median
//! and median absolute deviation. Beyond the loads learned there are none that are near, and the answer says so.

use super::state::{Reader, Writer};
use super::window::FEATURES;
use crate::Error;

/// How a window is compared with learned ones: own load, what others use, steal, all in cores.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Regime {
    pub own: f32,
    pub others: f32,
    pub steal: f32,
}

/// Windows kept; an old one gives way to a new one.
const KEPT: usize = 360;
/// Windows that are compared with.
const NEAREST: usize = 16;
/// Fewest windows before anything is judged.
pub(super) const FEWEST: usize = 18;
/// A load is beyond those learned if it exceeds the highest by this factor and this many cores.
const BEYOND: (f32, f32) = (1.2, 0.03);
/// Standard deviations in a median absolute deviation of the normal distribution.
const MAD: f32 = 1.4826;

/// A learned window.
#[derive(Debug, Clone, PartialEq)]
struct Learned {
    regime: Regime,
    features: Vec<f32>,
}

/// Where a feature lies and how far it strays.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Usual {
    pub median: f32,
    pub scale: f32,
}

/// The learned windows.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Baseline {
    windows: Vec<Learned>,
    next: usize,
}

impl Baseline {
    /// Takes a window in.
    pub fn learn(&mut self, regime: Regime, features: &[f32]) {
        let learned = Learned { regime, features: features.to_vec() };
        if self.windows.len() < KEPT {
            self.windows.push(learned);
        } else {
            self.windows[self.next] = learned;
            self.next = (self.next + 1) % KEPT;
        }
    }

    pub fn encode(&self, to: &mut Writer) {
        to.count(self.next);
        to.count(self.windows.len());
        for Learned { regime, features } in &self.windows {
            [regime.own, regime.others, regime.steal].iter().chain(features).for_each(|&value| to.f32(value));
        }
    }

    pub fn decode(from: &mut Reader<'_>) -> Result<Self, Error> {
        let next = from.count(0)?;
        let count = from.count(Regime::LEARNED)?;
        if count > KEPT || next >= KEPT {
            return Err(Error::Comparison("it learned more windows than are kept"));
        }
        let mut windows = Vec::with_capacity(count);
        for _ in 0..count {
            let regime = Regime { own: from.f32()?, others: from.f32()?, steal: from.f32()? };
            let features = (0..FEATURES).map(|_| from.f32()).collect::<Result<_, _>>()?;
            windows.push(Learned { regime, features });
        }
        Ok(Self { windows, next })
    }

    /// Windows known.
    pub fn len(&self) -> usize {
        self.windows.len()
    }

    /// Whether the own load goes beyond every load that was learned.
    pub fn is_beyond(&self, regime: Regime) -> bool {
        let most = self.windows.iter().map(|window| window.regime.own).fold(0.0, f32::max);
        regime.own > (most * BEYOND.0).max(most + BEYOND.1)
    }

    /// The highest value of a feature that was learned.
    pub fn highest(&self, feature: usize) -> f32 {
        self.windows.iter().map(|window| window.features[feature]).fold(f32::NEG_INFINITY, f32::max)
    }

    /// Two features of every learned window.
    pub fn pairs(&self, features: (usize, usize)) -> impl Iterator<Item = (f32, f32)> {
        self.windows.iter().map(move |window| (window.features[features.0], window.features[features.1]))
    }

    /// What is usual of each feature in a regime; `floors` are the least scales.
    pub fn usual(&self, regime: Regime, floors: &[f32]) -> Vec<Usual> {
        let mut near: Vec<(f32, &Learned)> =
            self.windows.iter().map(|window| (distance(regime, window.regime), window)).collect();
        let count = NEAREST.min(near.len());
        if count == 0 {
            return floors.iter().map(|&scale| Usual { median: f32::NAN, scale }).collect();
        }
        near.select_nth_unstable_by(count - 1, |a, b| a.0.total_cmp(&b.0));
        let of = |feature: usize| {
            let mut seen: Vec<f32> = near[..count]
                .iter()
                .map(|(_, window)| window.features[feature])
                .filter(|value| value.is_finite())
                .collect();
            let median = median(&mut seen);
            seen.iter_mut().for_each(|value| *value = (*value - median).abs());
            // Few windows have seen too little of what strays.
            let few = 1.0 + 4.0 / seen.len().max(1) as f32;
            Usual { median, scale: (MAD * few * self::median(&mut seen)).max(floors[feature]) }
        };
        (0..floors.len()).map(of).collect()
    }
}

/// Loads by their ratio, what others use and steal by their difference.
fn distance(a: Regime, b: Regime) -> f32 {
    let own = ((a.own + 0.02) / (b.own + 0.02)).ln() / 0.25;
    let others = (a.others - b.others) / 0.25;
    let steal = (a.steal - b.steal) / 0.05;
    own * own + others * others + steal * steal
}

/// The middle of numbers, NaN where there are none.
pub(super) fn median(numbers: &mut [f32]) -> f32 {
    if numbers.is_empty() {
        return f32::NAN;
    }
    let middle = numbers.len() / 2;
    *numbers.select_nth_unstable_by(middle, f32::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::*;
    use foretwin_core::Rng;

    /// Cost doubles with what others use, and has a little noise.
    fn learned() -> Baseline {
        let (mut rng, mut baseline) = (Rng::new(1), Baseline::default());
        for n in 0..200 {
            let others = if n % 2 == 0 { 0.1 } else { 0.7 };
            let regime = Regime { own: 0.2 + 0.1 * rng.uniform() as f32, others, steal: 0.0 };
            let cost = if others > 0.5 { 1.0 } else { 0.3 } + 0.05 * rng.normal() as f32;
            baseline.learn(regime, &[cost, f32::NAN]);
        }
        baseline
    }

    #[test]
    fn a_busy_regime_is_compared_with_busy_windows() {
        let baseline = learned();
        let at = |others| baseline.usual(Regime { own: 0.25, others, steal: 0.0 }, &[0.01, 0.5]);
        let (busy, quiet) = (at(0.7), at(0.1));
        assert!((busy[0].median - 1.0).abs() < 0.06 && (quiet[0].median - 0.3).abs() < 0.06);
        assert!(busy[0].scale > 0.02 && busy[0].scale < 0.12, "{busy:?}");
        assert!(busy[1].median.is_nan() && busy[1].scale == 0.5, "what was never measured has no median");
        // Busier than ever: the busiest windows are the nearest.
        assert!((at(3.0)[0].median - 1.0).abs() < 0.06);
    }

    #[test]
    fn loads_never_seen_are_beyond() {
        let baseline = learned();
        let at = |own| Regime { own, others: 0.1, steal: 0.0 };
        assert!(!baseline.is_beyond(at(0.31)) && baseline.is_beyond(at(0.5)));
    }

    #[test]
    fn old_windows_give_way() {
        let mut baseline = learned();
        for _ in 0..2 * KEPT {
            baseline.learn(Regime { own: 0.25, others: 0.1, steal: 0.0 }, &[5.0, 1.0]);
        }
        assert_eq!(baseline.len(), KEPT);
        let usual = baseline.usual(Regime { own: 0.25, others: 0.7, steal: 0.0 }, &[0.01, 0.5]);
        assert_eq!(usual[0].median, 5.0);
    }
}
