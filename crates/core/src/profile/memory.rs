//! How long a dimension remembers: the Gaussian process whose image has the autocorrelation that was seen.

use super::fit::LEAST_ROWS;
use super::{Transition, normal};

/// Shares of variance are tried in steps of one in so many.
const SHARES: usize = 20;
/// Correlations at which the curve is known, denser towards 1 where it bends.
const KNOTS: [f64; 16] =
    [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.94, 0.97, 0.985, 0.995, 1.0];
/// Points, a tenth apart, over which the normal distribution is summed; peaks live far out.
const POINTS: i32 = 71;

/// Mean product of two series, the second `lag` steps later, over their standard deviations; none where nothing moves.
pub(super) fn correlation(a: &[f32], b: &[f32], lag: usize) -> Option<f64> {
    let pairs = || {
        let both = a.iter().zip(b.iter().skip(lag)).map(|(x, y)| (f64::from(*x), f64::from(*y)));
        both.filter(|(x, y)| x.is_finite() && y.is_finite())
    };
    let count = pairs().count() as f64;
    let (mean_x, mean_y) = pairs().fold((0.0, 0.0), |(x, y), pair| (x + pair.0 / count, y + pair.1 / count));
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    for (x, y) in pairs() {
        xx += (x - mean_x).powi(2);
        yy += (y - mean_y).powi(2);
        xy += (x - mean_x) * (y - mean_y);
    }
    (count >= LEAST_ROWS as f64 && xx > 1e-9 && yy > 1e-9).then(|| xy / (xx * yy).sqrt())
}

/// What a correlation of normal scores becomes when they are mapped to values, as rare peaks are far less correlated
/// than their ranks (NORTA, Cario and Nelson 1997).
struct Curve([f64; KNOTS.len()]);

impl Curve {
    /// Of values with this distribution.
    fn of(values: &[f32]) -> Self {
        let mut sorted: Vec<f64> = values.iter().filter(|x| x.is_finite()).map(|x| f64::from(*x)).collect();
        sorted.sort_by(f64::total_cmp);
        let mean = sorted.iter().sum::<f64>() / sorted.len().max(1) as f64;
        // The map from scores to values, finely enough to look up.
        let table: Vec<f64> = (0..=800)
            .map(|n| normal::cdf((f64::from(n) - 400.0) / 100.0))
            .map(|p| {
                sorted.get((p * sorted.len() as f64) as usize).or(sorted.last()).map_or(0.0, |x| x - mean)
            })
            .collect();
        let image = |z: f64| table[((z * 100.0 + 400.0).round().clamp(0.0, 800.0)) as usize];
        let points: Vec<(f64, f64)> = (0..POINTS)
            .map(|n| f64::from(n - POINTS / 2) / 10.0)
            .map(|z| (z, (-0.5 * z * z).exp()))
            .collect();
        let product = |correlation: f64| {
            let own = (1.0 - correlation * correlation).sqrt();
            let pairs = points.iter().flat_map(|x| points.iter().map(move |y| (x, y)));
            pairs.map(|(x, y)| x.1 * y.1 * image(x.0) * image(correlation * x.0 + own * y.0)).sum::<f64>()
        };
        let made = KNOTS.map(product);
        let (none, whole) = (made[0], made[KNOTS.len() - 1]);
        Self(made.map(|product| (product - none) / (whole - none).max(f64::MIN_POSITIVE)))
    }

    /// The correlation of scores that gives this one of values. The process knows no negative ones.
    fn driving(&self, seen: f64) -> f64 {
        let Some(high) = self.0.iter().position(|made| *made >= seen) else { return 1.0 };
        let Some(low) = high.checked_sub(1) else { return 0.0 };
        let share = (seen - self.0[low]) / (self.0[high] - self.0[low]).max(f64::MIN_POSITIVE);
        KNOTS[low] + share.clamp(0.0, 1.0) * (KNOTS[high] - KNOTS[low])
    }
}

/// The two exponentials and the noise whose sum is nearest to the autocorrelation, by trying all of a grid.
pub(super) fn transition(residuals: &[f32], step_s: f32) -> Transition {
    let longest = (residuals.len() / 4).clamp(1, 8192) as f64;
    let mut lags: Vec<usize> =
        (0..32).map(|n| 1.5f64.powi(n)).take_while(|lag| *lag <= longest).map(|lag| lag as usize).collect();
    lags.dedup();
    let curve = Curve::of(residuals);
    let wanted = |lag: usize| Some((lag as f64, curve.driving(correlation(residuals, residuals, lag)?)));
    let known: Vec<(f64, f64)> = lags.into_iter().filter_map(wanted).collect();
    let memories: Vec<f64> =
        (0..40).map(|n| 0.7 * 1.6f64.powi(n)).take_while(|memory| *memory <= 2.0 * longest).collect();
    let faded: Vec<Vec<f64>> =
        memories.iter().map(|memory| known.iter().map(|(lag, _)| (-lag / memory).exp()).collect()).collect();
    let mut best = (f64::INFINITY, 1.0, 0.0, 0, 0);
    for fast in 0..memories.len() {
        for slow in fast..memories.len() {
            for (white, share) in (0..=SHARES).flat_map(|w| (0..=SHARES - w).map(move |f| (w, f))) {
                let [white, share] = [white, share].map(|part| part as f64 / SHARES as f64);
                let miss: f64 = known
                    .iter()
                    .enumerate()
                    .map(|(k, (_, wanted))| {
                        let made = share * faded[fast][k] + (1.0 - white - share) * faded[slow][k];
                        (made - wanted).powi(2)
                    })
                    .sum();
                if miss < best.0 {
                    best = (miss, white, share, fast, slow);
                }
            }
        }
    }
    let (_, white, share, fast, slow) = best;
    let seconds = |index: usize| memories.get(index).map_or(step_s, |memory| *memory as f32 * step_s);
    Transition { white: white as f32, fast: share as f32, fast_s: seconds(fast), slow_s: seconds(slow) }
}

impl Transition {
    /// Shares of variance and factors per `seconds`: noise, short and slow memory.
    pub(super) fn parts(self, seconds: f64) -> [(f64, f64); 3] {
        let fade = |memory: f32| (-seconds / f64::from(memory)).exp();
        let slow = (1.0 - self.white - self.fast).max(0.0);
        [
            (f64::from(self.white), 0.0),
            (f64::from(self.fast), fade(self.fast_s)),
            (f64::from(slow), fade(self.slow_s)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn the_curve_is_straight_for_normal_values_and_bent_for_peaks() {
        let mut rng = Rng::new(1);
        let values: Vec<f32> = (0..20_000).map(|_| rng.normal() as f32).collect();
        let straight = Curve::of(&values);
        assert!((straight.driving(0.5) - 0.5).abs() < 0.03, "{}", straight.driving(0.5));
        let peaks: Vec<f32> = values.iter().map(|z| z.exp()).collect();
        let bent = Curve::of(&peaks).driving(0.5);
        // ln(1 + 0.5 (e - 1)), in closed form for the lognormal.
        assert!((bent - 0.62).abs() < 0.05, "{bent}");
        assert_eq!(straight.driving(-0.2), 0.0);
        assert_eq!(straight.driving(1.5), 1.0);
    }

    #[test]
    fn memories_are_found_again() {
        let mut rng = Rng::new(9);
        let (mut quick, mut slow) = (0.0f64, 0.0f64);
        let keep = |memory: f64| (-1.0 / memory).exp();
        let values: Vec<f32> = (0..40_000)
            .map(|_| {
                quick = keep(5.0) * quick + (1.0 - keep(5.0).powi(2)).sqrt() * rng.normal();
                slow = keep(200.0) * slow + (1.0 - keep(200.0).powi(2)).sqrt() * rng.normal();
                (0.2f64.sqrt() * rng.normal() + 0.4f64.sqrt() * quick + 0.4f64.sqrt() * slow) as f32
            })
            .collect();
        let found = transition(&values, 2.0);
        assert!((found.white - 0.2).abs() < 0.1 && (found.fast - 0.4).abs() < 0.15, "{found:?}");
        assert!((5.0..20.0).contains(&found.fast_s) && (200.0..900.0).contains(&found.slow_s), "{found:?}");
    }
}
