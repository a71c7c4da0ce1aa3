//! Bands: how good a stated mean and scale are, bands for methods that state none, and Prometheus' straight line.

use foretwin_learn::Band;

/// Rows that a straight line is laid through, as `predict_linear` over an hour of minutes, or five hours of five minutes.
const LINE: usize = 60;
/// Quantiles that a score is the mean over.
const QUANTILES: usize = 99;
/// The quantiles of the standard normal distribution that a band tells.
const NORMAL: [f64; 7] = [-1.644_854, -1.281_552, -0.674_490, 0.0, 0.674_490, 1.281_552, 1.644_854];

/// What a forecast's band is worth.
#[derive(Debug, Clone, Copy, Default)]
pub struct Worth {
    crps: f64,
    count: f64,
    inside: f64,
    bands: f64,
}

impl Worth {
    /// Takes a forecast with the truth and the size that errors are measured by.
    pub fn take(&mut self, band: &Band, truth: f64, size: f64) {
        let off = truth - band.expected.mean;
        if !off.is_finite() {
            return;
        }
        self.count += 1.0;
        let [low, .., high] = band.quantiles;
        if !(high - low).is_finite() {
            self.crps += off.abs() / size;
            return;
        }
        self.crps += crps(&band.quantiles, truth) / size;
        self.bands += 1.0;
        self.inside += f64::from(u8::from((low..=high).contains(&truth)));
    }

    /// Mean score, scaled, and the part of the truth within the 90 % band.
    pub fn finish(self) -> (f64, f64) {
        (self.crps / self.count.max(1.0), self.inside / self.bands)
    }
}

/// The continuous ranked probability score: twice the mean over all quantiles of what each loses to the truth (Gneiting and
/// Raftery, "Strictly proper scoring rules, prediction, and estimation", JASA 102, 2007; Laio and Tamea, HESS 11, 2007).
/// Between the quantiles that a band tells, and beyond them, they are those of normal distributions.
fn crps(told: &[f64; 7], truth: f64) -> f64 {
    let loss = |(level, score): &(f64, f64)| {
        let above = NORMAL.partition_point(|normal| normal < score).clamp(1, NORMAL.len() - 1);
        let (low, high) = (NORMAL[above - 1], NORMAL[above]);
        let quantile = told[above - 1] + (score - low) / (high - low) * (told[above] - told[above - 1]);
        let off = truth - quantile;
        if off > 0.0 { level * off } else { (level - 1.0) * off }
    };
    2.0 * scores().iter().map(loss).sum::<f64>() / QUANTILES as f64
}

/// Evenly spaced levels with the quantiles of the standard normal distribution at them.
fn scores() -> &'static [(f64, f64)] {
    static SCORES: std::sync::OnceLock<Vec<(f64, f64)>> = std::sync::OnceLock::new();
    SCORES.get_or_init(|| {
        let level = |n: usize| (n as f64 + 0.5) / QUANTILES as f64;
        (0..QUANTILES).map(|n| (level(n), normal_quantile(level(n)))).collect()
    })
}

/// Abramowitz and Stegun, 26.2.23, to 4.5e-4.
fn normal_quantile(level: f64) -> f64 {
    let t = (-2.0 * level.min(1.0 - level).ln()).sqrt();
    let x = t
        - (2.515_517 + t * (0.802_853 + t * 0.010_328))
            / (1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308)));
    if level < 0.5 { -x } else { x }
}

/// Root mean square of errors: the scale of a method that states none.
pub fn spread(errors: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = errors
        .filter(|error| error.is_finite())
        .fold((0.0, 0.0), |(sum, count), error| (sum + error * error, count + 1.0));
    if count > 0.0 { f64::sqrt(sum / count) } else { f64::NAN }
}

/// The straight line of least squares through the last rows up to `row`, `steps` later: what Prometheus'
/// `predict_linear` says.
pub fn line(values: &[f64], row: usize, steps: usize) -> f64 {
    let from = (row + 1).saturating_sub(LINE);
    let known = values[from..=row].iter().enumerate().filter(|(_, value)| value.is_finite());
    let (mut n, mut x, mut y, mut xx, mut xy) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (at, value) in known {
        let at = at as f64 - (row - from) as f64;
        (n, x, y, xx, xy) = (n + 1.0, x + at, y + value, xx + at * at, xy + at * value);
    }
    let slope = if n > 1.0 { (n * xy - x * y) / (n * xx - x * x) } else { 0.0 };
    (y - slope * x) / n + slope * steps as f64
}

#[cfg(test)]
mod tests {
    use foretwin_core::Expectation;

    use super::*;

    #[test]
    fn scores_of_normals_are_those_of_the_formula() {
        let score = |mean: f64, scale: f64, truth: f64| {
            let mut worth = Worth::default();
            worth.take(&Band::normal(Expectation { mean, scale }), truth, 1.0);
            worth.finish().0
        };
        // At its mean a standard normal scores 2 phi(0) - 1 / sqrt(pi), far away the distance less 1 / sqrt(pi).
        assert!((score(0.0, 1.0, 0.0) - 0.233_695).abs() < 3e-3, "{}", score(0.0, 1.0, 0.0));
        assert!((score(7.0, 2.0, 107.0) - (100.0 - 2.0 * 0.564_190)).abs() < 0.02);
        assert_eq!(score(5.0, f64::NAN, 2.0), 3.0);
        assert!((score(5.0, 0.0, 2.0) - 3.0).abs() < 1e-9);
        let mut worth = Worth::default();
        let band = Band::normal(Expectation { mean: 0.0, scale: 1.0 });
        [1.0, 2.0, f64::NAN].iter().for_each(|&truth| worth.take(&band, truth, 1.0));
        assert_eq!(worth.finish().1, 0.5);
    }

    #[test]
    fn a_line_goes_on_and_misses_what_is_missing() {
        let mut values: Vec<f64> = (0..100).map(|n| 3.0 + 0.5 * f64::from(n)).collect();
        values[90] = f64::NAN;
        assert!((line(&values, 99, 10) - (3.0 + 0.5 * 109.0)).abs() < 1e-9);
        assert_eq!(line(&[2.0], 0, 5), 2.0);
        assert!((spread([3.0, -4.0, f64::NAN].into_iter()) - 12.5f64.sqrt()).abs() < 1e-12);
    }
}
