//! Plain linear detectors, kept to be compared with: what the rest of this crate must add to earn its place.
//!
//! A vector autoregression of order 3 (ridge regression of every metric on the last three frames of all), its
//! residuals in units of their training deviation, the mean of their squares over metrics, smoothed. Two kinds: as it
//! stands in textbooks, and with what helps most in practice: floors under the scales of nearly constant metrics.

use foretwin_core::Window;

use crate::Error;
use crate::solve::{add_cross, multiply, solve_ridge};

/// Frames that explain the next.
const ORDER: usize = 3;
/// Weight of the shrinkage towards zero, in frames.
const RIDGE: f64 = 1.0;
/// Rows whose products are summed in `f32`.
const BLOCK_ROWS: usize = 512;
/// The smallest input scale and residual deviation divided by, in the data's unit and in input scales. The sets of the
/// detection contract are scaled to 0..1, so the unit is the metric's range.
const TINY: (f64, f64) = (1e-3, 1e-6);
/// The same with floors: a twentieth of the range.
const FLOORS: (f64, f64) = (0.05, 0.05);
/// Frames of the plain moving average.
const AVERAGE_FRAMES: usize = 5;
/// Weight of the newest frame in the exponential average.
const SMOOTHING: f64 = 0.1;

/// A baseline detector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Baseline {
    /// Scaled by training deviations alone, moving average of 5 frames.
    Var,
    /// Scales no smaller than a twentieth of the range (of data in 0..1), exponential average of weight 0.1.
    VarFloors,
}

impl Baseline {
    /// Learns from `train` alone and gives one score per frame of `test`, each from frames up to its own only. Scores
    /// are mean squared residuals; unlike a model's they have no threshold at 1.
    ///
    /// # Errors
    /// [`Error::Schema`] where the two have different metrics, [`Error::TooShort`] for fewer frames than regressors.
    pub fn detect(self, train: &Window, test: &Window) -> Result<Vec<f64>, Error> {
        if train.schema.id() != test.schema.id() {
            return Err(Error::Schema { train: train.schema.id(), test: test.schema.id() });
        }
        let regressors = ORDER * train.schema.width() + 1;
        if train.len() < ORDER + regressors {
            return Err(Error::TooShort { rows: train.len(), needed: ORDER + regressors });
        }
        let scales = self.scales(train);
        let rows = standardised(train, &scales);
        let autoregression = Autoregression::fit(&rows, scales.len(), self.floors().1);
        let squares = autoregression.mean_squares(&standardised(test, &scales));
        Ok(match self {
            Self::Var => moving_average(&squares),
            Self::VarFloors => exponential_average(&squares),
        })
    }

    /// The smallest input scale, and the smallest deviation of residuals.
    fn floors(self) -> (f64, f64) {
        match self {
            Self::Var => TINY,
            Self::VarFloors => FLOORS,
        }
    }

    /// Mean and scale of each metric.
    fn scales(self, train: &Window) -> Vec<(f64, f64)> {
        let of = |column: Vec<f64>| {
            let seen: Vec<f64> = column.into_iter().filter(|x| x.is_finite()).collect();
            let n = seen.len().max(1) as f64;
            let mean = seen.iter().sum::<f64>() / n;
            let deviation = (seen.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt();
            (mean, deviation.max(self.floors().0))
        };
        columns(train).map(of).collect()
    }
}

/// The columns of a window as numbers, NaN where missing.
fn columns(window: &Window) -> impl Iterator<Item = Vec<f64>> {
    window
        .columns
        .iter()
        .zip(window.schema.metrics())
        .map(|(column, metric)| column.iter().map(|value| value.to_f64(metric.storage)).collect())
}

/// Rows × metrics on the common scale; what is missing stays where it was last.
fn standardised(window: &Window, scales: &[(f64, f64)]) -> Vec<f32> {
    let width = scales.len();
    let mut rows = vec![0.0; window.len() * width];
    for (at, (column, (mean, scale))) in columns(window).zip(scales).enumerate() {
        let mut last = 0.0;
        for (row, x) in column.into_iter().enumerate() {
            if x.is_finite() {
                last = ((x - mean) / scale) as f32;
            }
            rows[row * width + at] = last;
        }
    }
    rows
}

/// A fitted vector autoregression.
struct Autoregression {
    width: usize,
    /// Regressors × metrics: lags newest first, then the constant.
    weights: Vec<f32>,
    /// Per metric, the deviation of its training residuals.
    deviation: Vec<f32>,
}

impl Autoregression {
    fn fit(rows: &[f32], width: usize, floor: f64) -> Self {
        let n = ORDER * width + 1;
        let (mut g, mut c, mut scratch) = (vec![0.0; n * n], vec![0.0; n * width], Vec::new());
        let count = rows.len() / width - ORDER;
        for first in (ORDER..ORDER + count).step_by(BLOCK_ROWS) {
            let block = first..(first + BLOCK_ROWS).min(ORDER + count);
            let x = regressors(rows, width, block.clone());
            add_cross(&mut g, (&x, n), (&x, n), &mut scratch);
            let y = &rows[block.start * width..block.end * width];
            add_cross(&mut c, (&x, n), (y, width), &mut scratch);
        }
        solve_ridge(&mut g, n, RIDGE, &mut c);
        let weights = c.into_iter().map(|w| w as f32).collect();
        let mut fitted = Self { width, weights, deviation: vec![1.0; width] };
        let mut sums = vec![0.0f64; width];
        fitted.each_residual(rows, |_, residual| {
            sums.iter_mut().zip(residual).for_each(|(sum, r)| *sum += f64::from(*r).powi(2));
        });
        fitted.deviation = sums.iter().map(|sum| (sum / count as f64).sqrt().max(floor) as f32).collect();
        fitted
    }

    /// Calls `take` with each row from the first that has a past, and its residuals.
    fn each_residual(&self, rows: &[f32], mut take: impl FnMut(usize, &[f32])) {
        let (width, n) = (self.width, ORDER * self.width + 1);
        let count = rows.len() / width;
        for first in (ORDER..count).step_by(BLOCK_ROWS) {
            let block = first..(first + BLOCK_ROWS).min(count);
            let x = regressors(rows, width, block.clone());
            let mut expected = vec![0.0; block.len() * width];
            multiply((&x, [n, 1]), (&self.weights, [width, 1]), [block.len(), n, width], &mut expected);
            let seen = &rows[block.start * width..block.end * width];
            expected.iter_mut().zip(seen).for_each(|(e, x)| *e = x - *e);
            for (row, residual) in block.zip(expected.chunks_exact(width)) {
                take(row, residual);
            }
        }
    }

    /// Per row, the mean over metrics of the squared standardised residual; zero for rows without a past.
    fn mean_squares(&self, rows: &[f32]) -> Vec<f64> {
        let mut squares = vec![0.0; rows.len() / self.width];
        self.each_residual(rows, |row, residual| {
            let squared = residual.iter().zip(&self.deviation).map(|(r, d)| f64::from(r / d).powi(2));
            squares[row] = squared.sum::<f64>() / self.width as f64;
        });
        squares
    }
}

/// The last [`ORDER`] rows before each of `block`, newest first, and 1.
fn regressors(rows: &[f32], width: usize, block: std::ops::Range<usize>) -> Vec<f32> {
    let mut x = Vec::with_capacity(block.len() * (ORDER * width + 1));
    for row in block {
        for lag in 1..=ORDER {
            x.extend_from_slice(&rows[(row - lag) * width..(row - lag + 1) * width]);
        }
        x.push(1.0);
    }
    x
}

fn moving_average(values: &[f64]) -> Vec<f64> {
    let mean = |at: usize| {
        let recent = &values[(at + 1).saturating_sub(AVERAGE_FRAMES)..=at];
        recent.iter().sum::<f64>() / recent.len() as f64
    };
    (0..values.len()).map(mean).collect()
}

fn exponential_average(values: &[f64]) -> Vec<f64> {
    let mut average = 0.0;
    let step = |value: &f64| {
        average += SMOOTHING * (value - average);
        average
    };
    values.iter().map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use foretwin_core::{InstanceId, Metric, Rng, Role, Schema, Storage, Timestamp, Value};

    /// Two metrics: noise with memory, and one that follows it; from `broken` on it no longer does.
    fn window(rows: usize, broken: usize) -> Window {
        let gauge = |name: &str| Metric::gauge(name, "1", Role::Utilization).stored(Storage::F64);
        let schema = Schema::new(vec![gauge("a"), gauge("b")]);
        let mut window = Window::new(InstanceId::new("i"), schema);
        let (mut rng, mut a) = (Rng::new(5), 0.0);
        for row in 0..rows {
            let before = a;
            a = 0.7 * a + rng.normal();
            let b = if row < broken { before } else { -before } + 0.1 * rng.normal();
            window.push(Timestamp(row as i64 * 1_000_000), &[Value::float(a), Value::float(b)]);
        }
        window
    }

    #[test]
    fn a_broken_relation_stands_out_from_the_row_on_where_it_breaks() {
        for baseline in [Baseline::Var, Baseline::VarFloors] {
            let scores = baseline.detect(&window(2000, 2000), &window(1000, 600)).unwrap();
            let mean = |range: &[f64]| range.iter().sum::<f64>() / range.len() as f64;
            assert!((0.7..1.3).contains(&mean(&scores[50..600])), "{}", mean(&scores[50..600]));
            assert!(mean(&scores[600..]) > 20.0, "{}", mean(&scores[600..]));
        }
    }

    #[test]
    fn scores_know_no_future() {
        let train = window(500, 500);
        let all = Baseline::VarFloors.detect(&train, &window(400, 200)).unwrap();
        let early = Baseline::VarFloors.detect(&train, &window(150, 150)).unwrap();
        assert!(all.iter().zip(&early).all(|(a, b)| (a - b).abs() < 1e-4 * (1.0 + b)));
    }

    #[test]
    fn too_few_frames_and_other_metrics_are_refused() {
        let short = Baseline::Var.detect(&window(9, 9), &window(9, 9));
        assert!(matches!(short, Err(Error::TooShort { .. })));
    }
}
