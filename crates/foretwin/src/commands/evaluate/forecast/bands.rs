//! Bands: how good a stated mean and scale are, bands for methods that state none, and Prometheus' straight line.

use foretwin_core::Expectation;

/// Rows that a straight line is laid through, as `predict_linear` over an hour of minutes, or five hours of five minutes.
const LINE: usize = 60;
/// Half the width of a band that holds 90 %, in standard deviations.
const NINETY: f64 = 1.645;

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
    pub fn take(&mut self, expected: Expectation, truth: f64, size: f64) {
        let off = truth - expected.mean;
        if !off.is_finite() {
            return;
        }
        self.crps += crps(off, expected.scale) / size;
        self.count += 1.0;
        if expected.scale.is_finite() {
            self.bands += 1.0;
            self.inside += f64::from(u8::from(off.abs() <= NINETY * expected.scale));
        }
    }

    /// Mean score, scaled, and the part of the truth within the 90 % band.
    pub fn finish(self) -> (f64, f64) {
        (self.crps / self.count.max(1.0), self.inside / self.bands)
    }
}

/// The continuous ranked probability score of a normal forecast (Gneiting and Raftery, "Strictly proper scoring rules,
/// prediction, and estimation", JASA 102, 2007, equation 21); without a scale that of a certain one, the absolute error.
fn crps(off: f64, scale: f64) -> f64 {
    if !(scale.is_finite() && scale > 0.0) {
        return off.abs();
    }
    let z = off / scale;
    let density = (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
    scale * (z * (2.0 * normal_cdf(z) - 1.0) + 2.0 * density - 1.0 / std::f64::consts::PI.sqrt())
}

/// Abramowitz and Stegun, 26.2.17, to 1e-7.
fn normal_cdf(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * z.abs());
    let series = t
        * (0.319_381_530
            + t * (-0.356_563_782 + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    let tail = series * (-0.5 * z * z).exp() * 0.398_942_280_401_432_7;
    if z > 0.0 { 1.0 - tail } else { tail }
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
    use super::*;

    #[test]
    fn scores_of_normals_are_those_of_the_formula() {
        // At its mean a standard normal scores 2 φ(0) − 1/√π.
        assert!((crps(0.0, 1.0) - 0.233_695).abs() < 1e-5);
        assert!((crps(50.0, 1.0) - (50.0 - 0.564_190)).abs() < 1e-4);
        assert_eq!(crps(-3.0, f64::NAN), 3.0);
        let mut worth = Worth::default();
        worth.take(Expectation { mean: 0.0, scale: 1.0 }, 1.0, 1.0);
        worth.take(Expectation { mean: 0.0, scale: 1.0 }, 2.0, 1.0);
        worth.take(Expectation { mean: 0.0, scale: 1.0 }, f64::NAN, 1.0);
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
