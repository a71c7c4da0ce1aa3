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

/// Windows kept. Beyond them a new one takes the place of the oldest in its regime, so that a regime that is rare stays
/// known however often another is seen.
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
    /// Oldest first.
    windows: Vec<Learned>,
}

impl Baseline {
    /// Takes a window in.
    pub fn learn(&mut self, regime: Regime, features: &[f32]) {
        let learned = Learned { regime, features: features.to_vec() };
        if self.windows.len() == KEPT {
            self.windows.remove(self.oldest_near(regime));
        }
        self.windows.push(learned);
    }

    /// The place of the oldest of the windows that are nearest to a regime.
    fn oldest_near(&self, regime: Regime) -> usize {
        let mut near: Vec<(f32, usize)> = self
            .windows
            .iter()
            .enumerate()
            .map(|(at, window)| (distance(regime, window.regime), at))
            .collect();
        near.select_nth_unstable_by(NEAREST - 1, |a, b| a.0.total_cmp(&b.0));
        near[..NEAREST].iter().map(|(_, at)| *at).min().unwrap_or_default()
    }

    /// Whether as many windows of about this load of its own are known as one is compared with.
    pub fn knows_load(&self, regime: Regime) -> bool {
        let alike = |window: &&Learned| {
            let here = Regime { own: window.regime.own, ..regime };
            distance(regime, here) <= 1.0
        };
        self.windows.iter().filter(alike).take(NEAREST).count() == NEAREST
    }

    /// Whether new windows take the place of old ones.
    pub fn is_full(&self) -> bool {
        self.windows.len() == KEPT
    }

    pub fn encode(&self, to: &mut Writer) {
        to.count(self.windows.len());
        for Learned { regime, features } in &self.windows {
            [regime.own, regime.others, regime.steal].iter().chain(features).for_each(|&value| to.f32(value));
        }
    }

    pub fn decode(from: &mut Reader<'_>) -> Result<Self, Error> {
        let count = from.count(Regime::LEARNED)?;
        if count > KEPT {
            return Err(Error::Comparison("it learned more windows than are kept"));
        }
        let mut windows = Vec::with_capacity(count);
        for _ in 0..count {
            let regime = Regime { own: from.f32()?, others: from.f32()?, steal: from.f32()? };
            let features = (0..FEATURES).map(|_| from.f32()).collect::<Result<_, _>>()?;
            windows.push(Learned { regime, features });
        }
        Ok(Self { windows })
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
    fn old_windows_give_way_to_new_ones_of_their_regime() {
        let mut baseline = learned();
        let at = |others| Regime { own: 0.25, others, steal: 0.0 };
        for _ in 0..3 * KEPT {
            baseline.learn(at(0.1), &[5.0, 1.0]);
        }
        assert!(baseline.is_full() && baseline.len() == KEPT);
        assert_eq!(baseline.usual(at(0.1), &[0.01, 0.5])[0].median, 5.0);
        let busy = baseline.usual(at(0.7), &[0.01, 0.5])[0].median;
        assert!((busy - 1.0).abs() < 0.06, "a busy host is still known: {busy}");
    }

    #[test]
    fn a_load_is_known_once_it_was_seen_often() {
        let baseline = learned();
        let knows = |own| baseline.knows_load(Regime { own, others: 3.0, steal: 0.0 });
        assert!(knows(0.25) && !knows(0.6) && !Baseline::default().knows_load(Regime::default()));
    }
}
