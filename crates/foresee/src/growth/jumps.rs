//! Growth in jumps with rests between them: a compound Poisson process.

use foretwin_core::Rng;

use crate::growth::bins::Regime;

/// A sample-to-sample rise below this share of the whole is none.
const NO_RISE: f64 = 0.002;
/// Longest jump, in samples.
const LONGEST: usize = 3;
/// Share of the time at rest at which growth is as likely in jumps as not, and how sharply that turns.
const REST: (f64, f64) = (0.72, 0.04);
/// Spread of the logarithm of a jump around those seen.
const SPREAD: f64 = 0.3;
/// Most jumps that one draw follows.
const MOST: usize = 64;

/// What is known of the jumps of a regime.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Jumps {
    /// Their heights, oldest first.
    pub(crate) heights: Vec<f64>,
    /// Seconds since the growth began.
    pub(crate) lasted_s: f64,
    /// Probability that it grows in jumps.
    pub(crate) weight: f64,
}

/// A rise without a rest.
struct Rise {
    height: f64,
    samples: usize,
    from: usize,
}

impl Jumps {
    /// Looks for jumps since `lasted_s` seconds before the last sample.
    pub(crate) fn new(regime: &Regime, lasted_s: f64) -> Option<Self> {
        let end = *regime.times.last()?;
        let from = regime.times.partition_point(|&t| t < end - lasted_s).saturating_sub(1);
        let rises = rises(&regime.times[from..], &regime.peaks[from..], NO_RISE * regime.rise());
        let total: f64 = rises.iter().map(|rise| rise.height).sum();
        let jumped: f64 = rises.iter().filter(|rise| rise.samples <= LONGEST).map(|rise| rise.height).sum();
        // One rise may be anything; what mostly rises at length rises evenly.
        if rises.is_empty() || jumped < 0.7 * total {
            return None;
        }
        let lasted_s = (end - regime.times[from + rises[0].from]).max(1e-9);
        let moving: f64 = moving_s(&regime.times[from..], &regime.peaks[from..], NO_RISE * regime.rise());
        let rest = 1.0 - moving / lasted_s;
        let weight = 1.0 / (1.0 + ((REST.0 - rest) / REST.1).exp());
        Some(Self { heights: rises.iter().map(|rise| rise.height).collect(), lasted_s, weight })
    }

    /// Draws jumps: seconds from now and the height reached, ascending. The rate is drawn from its Gamma posterior,
    /// heights from those seen.
    pub(crate) fn draw(&self, rng: &mut Rng) -> Vec<(f64, f64)> {
        let (mut at, mut height) = (0.0, 0.0);
        let waits = 0.5 * rng.normal().powi(2) + self.heights.iter().map(|_| exponential(rng)).sum::<f64>();
        let rate = waits / self.lasted_s;
        (0..MOST)
            .map(|_| {
                at += exponential(rng) / rate.max(1e-12);
                let seen = self.heights[rng.below(self.heights.len() as u64) as usize];
                height += seen * (SPREAD * rng.normal() - 0.5 * SPREAD * SPREAD).exp();
                (at, height)
            })
            .collect()
    }
}

fn exponential(rng: &mut Rng) -> f64 {
    -(1.0 - rng.uniform()).ln()
}

fn rises(times: &[f64], peaks: &[f64], none: f64) -> Vec<Rise> {
    let mut rises: Vec<Rise> = Vec::new();
    let mut resting = true;
    for i in 1..times.len() {
        let height = peaks[i] - peaks[i - 1];
        if height > none {
            match rises.last_mut() {
                Some(rise) if !resting => {
                    rise.height += height;
                    rise.samples += 1;
                }
                _ => rises.push(Rise { height, samples: 1, from: i - 1 }),
            }
        }
        resting = height <= none;
    }
    rises
}

fn moving_s(times: &[f64], peaks: &[f64], none: f64) -> f64 {
    (1..times.len()).filter(|&i| peaks[i] - peaks[i - 1] > none).map(|i| times[i] - times[i - 1]).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::growth::bins::tests::path;

    #[test]
    fn steps_are_jumps_and_lines_are_not() {
        let steps = Jumps::new(&Regime::new(&path(80, |t| (t / 8.0).floor())), 60.0).unwrap();
        assert!(steps.weight > 0.9 && steps.heights.len() >= 7, "{steps:?}");
        assert!(Jumps::new(&Regime::new(&path(80, |t| t)), 60.0).is_none());
        // A leak that was fixed rose at length, once.
        assert!(Jumps::new(&Regime::new(&path(80, |t| t.min(-60.0))), 80.0).is_none());
    }

    #[test]
    fn drawn_jumps_come_as_often_and_as_high_as_seen() {
        let steps = Jumps::new(&Regime::new(&path(200, |t| 3.0 * (t / 8.0).floor())), 200.0).unwrap();
        let mut rng = Rng::new(1);
        let mean = |of: &mut dyn FnMut() -> f64| (0..400).map(|_| of()).sum::<f64>() / 400.0;
        let wait = mean(&mut || steps.draw(&mut rng)[9].0 / 10.0);
        let height = mean(&mut || steps.draw(&mut rng)[9].1 / 10.0);
        assert!((wait / 8.0 - 1.0).abs() < 0.2 && (height / 3.0 - 1.0).abs() < 0.1, "{wait} {height}");
    }
}
