//! Thresholds by extreme value theory: how high normal evidence reaches once in many frames.
//!
//! Peaks over threshold (Siffer et al., "Anomaly Detection in Streams with Extreme Value Theory", 2017): clusters
//! of high values are reduced to their peaks, a generalised Pareto distribution is fitted to the excesses by
//! probability-weighted moments (Hosking and Wallis, 1987), and its tail is extrapolated.

/// The part of frames below which evidence is ordinary.
pub(crate) const ORDINARY: f64 = 0.98;
/// Fewest peaks that a tail is fitted to.
const FEWEST_PEAKS: usize = 10;
/// The heaviest tail believed. Beyond one half the variance is infinite, and a handful of peaks cannot tell.
const HEAVIEST: f64 = 0.5;
/// A history of this many frames makes the largest value seen about half as large as what may still come.
const SHORT_FRAMES: f64 = 300.0;

/// The value that `evidence` exceeds at a new peak with probability `rate` per frame. Peaks closer than `apart`
/// frames are one. Never below the largest value seen, and well above it when little was seen.
pub(crate) fn threshold(evidence: &[f64], rate: f64, apart: usize) -> f64 {
    let mut sorted: Vec<f64> = evidence.iter().copied().filter(|value| value.is_finite()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let Some(&largest) = sorted.last() else { return 1.0 };
    let ordinary = sorted[((sorted.len() - 1) as f64 * ORDINARY) as usize];
    let cautious = largest * (1.0 + SHORT_FRAMES / sorted.len() as f64);
    let excesses = peaks(evidence, ordinary, apart);
    if excesses.len() < FEWEST_PEAKS {
        return cautious.max(f64::MIN_POSITIVE);
    }
    let beyond = excess_over(&excesses, sorted.len() as f64 * rate, 0.0);
    (ordinary + beyond).max(cautious).max(f64::MIN_POSITIVE)
}

/// The excess that `expected` of as many peaks as there are `sorted` excesses go beyond. Shapes are held to at least
/// `lightest`.
pub(crate) fn excess_over(sorted: &[f64], expected: f64, lightest: f64) -> f64 {
    let (shape, scale) = pareto(sorted, lightest);
    let rarer = sorted.len() as f64 / expected;
    if shape.abs() < 1e-6 { scale * rarer.ln() } else { scale / shape * (rarer.powf(shape) - 1.0) }
}

/// Excesses over `level` of the peak of each cluster, sorted.
fn peaks(evidence: &[f64], level: f64, apart: usize) -> Vec<f64> {
    let (mut peaks, mut last) = (Vec::new(), None);
    for (at, &value) in evidence.iter().enumerate().filter(|(_, value)| **value > level) {
        match (last, peaks.last_mut()) {
            (Some(before), Some(peak)) if at - before <= apart => *peak = f64::max(*peak, value - level),
            _ => peaks.push(value - level),
        }
        last = Some(at);
    }
    peaks.sort_unstable_by(f64::total_cmp);
    peaks
}

/// Shape and scale of a generalised Pareto distribution, shape within `lightest` and [`HEAVIEST`].
fn pareto(sorted: &[f64], lightest: f64) -> (f64, f64) {
    let n = sorted.len() as f64;
    let mean = sorted.iter().sum::<f64>() / n;
    let weighted =
        sorted.iter().enumerate().map(|(i, x)| x * (n - 1.0 - i as f64) / (n - 1.0)).sum::<f64>() / n;
    let shape = (2.0 - mean / (mean - 2.0 * weighted)).clamp(lightest, HEAVIEST);
    let shape = if shape.is_nan() { 0.0 } else { shape };
    // With the shape held within bounds, the mean alone gives the scale.
    (shape, mean * (1.0 - shape))
}

#[cfg(test)]
mod tests {
    use super::*;
    use foretwin_core::Rng;

    #[test]
    fn an_exponential_tail_is_extrapolated() {
        let mut rng = Rng::new(5);
        let evidence: Vec<f64> = (0..50_000).map(|_| -(1.0 - rng.uniform()).ln()).collect();
        // P(X > x) = exp(-x): 1e-6 is exceeded at 13.8.
        let found = threshold(&evidence, 1e-6, 0);
        assert!((11.5..20.0).contains(&found), "{found}");
    }

    #[test]
    fn a_heavy_tail_gets_a_higher_threshold() {
        let mut rng = Rng::new(6);
        let evidence: Vec<f64> = (0..50_000).map(|_| (1.0 - rng.uniform()).powf(-0.3)).collect();
        let truth = 1e-5f64.powf(-0.3);
        let found = threshold(&evidence, 1e-5, 0);
        assert!((0.6 * truth..1.8 * truth).contains(&found), "{found} against {truth}");
    }

    #[test]
    fn short_constant_and_empty_histories_are_conservative() {
        assert!(threshold(&[1.0; 30], 1e-5, 10) > 5.0);
        assert!(threshold(&[2.0; 30_000], 1e-5, 10) >= 2.0);
        assert_eq!(threshold(&[], 1e-5, 10), 1.0);
        assert!(threshold(&[0.0; 50], 1e-5, 10) > 0.0);
        assert!(threshold(&[f64::NAN, 1.0], 1e-5, 10).is_finite());
    }

    #[test]
    fn near_peaks_are_one() {
        assert_eq!(peaks(&[0.0, 3.0, 0.0, 4.0, 0.0, 0.0, 0.0, 2.0], 1.0, 2), [1.0, 3.0]);
    }
}
