//! The load to come: a mean and one harmonic of unknown period, averaged over periods.
//!
//! Bayesian linear regression on sine and cosine for each of a range of periods; periods are weighted by marginal
//! likelihood (Bretthorst, "Bayesian Spectrum Analysis and Parameter Estimation", 1988), against no harmonic at all.

use std::cmp::Ordering;

use foretwin_core::Rng;

use crate::growth::bins::Work;

/// Periods that are compared.
const PERIODS: usize = 48;
/// Fewest samples to look for a period in.
const LEAST: usize = 20;
/// Most samples that are looked at: where there are more, means over so many equal spans.
const MOST: usize = 128;
/// Prior precision of the amplitudes, in units of the noise.
const RIDGE: f64 = 0.5;
/// Most steps to find when an amount of work is done.
const STEPS: usize = 40;

/// A load as it may go on: m + s sin(2πt/P) + c cos(2πt/P), t from the last sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Wave {
    mean: f64,
    sine: f64,
    cosine: f64,
    /// Angular frequency, zero without a harmonic.
    omega: f64,
}

impl Wave {
    /// Work done within `u` seconds from now; never falls.
    pub(crate) fn done(&self, u: f64) -> f64 {
        let Self { mean, sine, cosine, omega } = *self;
        if omega == 0.0 {
            return mean * u;
        }
        mean * u + (sine * (1.0 - (omega * u).cos()) + cosine * (omega * u).sin()) / omega
    }

    /// The amplitude is at most the mean: work is never undone.
    fn bounded(mut self) -> Self {
        self.mean = self.mean.max(1e-12);
        let amplitude = self.sine.hypot(self.cosine);
        if amplitude > self.mean {
            self.sine *= self.mean / amplitude;
            self.cosine *= self.mean / amplitude;
        }
        self
    }

    /// The time at which `work` is done, to a ten-thousandth: Newton's method within bounds that close in.
    pub(crate) fn when(&self, work: f64) -> f64 {
        let even = work / self.mean;
        if self.omega == 0.0 || !even.is_finite() {
            return even;
        }
        // The harmonic is ahead or behind by at most twice its amplitude over its frequency.
        let astray = 2.0 * self.sine.hypot(self.cosine) / (self.omega * self.mean);
        let (mut low, mut high) = ((even - astray).max(0.0), even + astray);
        let mut u = even;
        for _ in 0..STEPS {
            let left = work - self.done(u);
            (low, high) = if left > 0.0 { (u, high) } else { (low, u) };
            let (sine, cosine) = (self.omega * u).sin_cos();
            let next = u + left / (self.mean + self.sine * sine + self.cosine * cosine);
            let next = if next > low && next < high { next } else { 0.5 * (low + high) };
            if (next - u).abs() <= 1e-4 * next {
                return next;
            }
            u = next;
        }
        u
    }
}

/// One period's regression.
#[derive(Debug, Clone, Copy)]
struct Fit {
    omega: f64,
    /// Mean, sine, cosine.
    beta: [f64; 3],
    /// Lower triangle of the root of their covariance.
    root: [[f64; 3]; 3],
    weight: f64,
}

/// The forecast of a load.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    fits: Vec<Fit>,
}

impl Load {
    /// A load that stays as it is.
    pub(crate) fn even(mean: f64) -> Self {
        Self { fits: vec![Fit { omega: 0.0, beta: [mean, 0.0, 0.0], root: [[0.0; 3]; 3], weight: 1.0 }] }
    }

    /// Learns from the work done so far.
    pub(crate) fn new(work: &Work) -> Self {
        let (times, rates) = &thinned(work);
        let n = rates.len().max(1) as f64;
        let mean = rates.iter().sum::<f64>() / n;
        let squares: f64 = rates.iter().map(|rate| (rate - mean).powi(2)).sum();
        let flat = Fit { omega: 0.0, beta: [mean, 0.0, 0.0], root: [[0.0; 3]; 3], weight: 0.0 };
        let mut fits = vec![flat];
        if rates.len() < LEAST || squares <= 1e-12 * mean * mean {
            return Self { fits: vec![Fit { weight: 1.0, ..flat }] };
        }
        let span = times[times.len() - 1] - times[0];
        let end = times[times.len() - 1];
        fits[0].weight = -0.5 * (n - 1.0) * squares.ln() - 0.5 * n.ln() + (PERIODS as f64).ln();
        let shortest = (span / 12.0).max(4.0 * span / n);
        let step = (2.5 * span / shortest).powf(1.0 / (PERIODS - 1) as f64);
        let mut period = shortest;
        for _ in 0..PERIODS {
            let omega = std::f64::consts::TAU / period;
            fits.extend(harmonic(times, rates, (end, omega)));
            period *= step;
        }
        let best = fits.iter().map(|fit| fit.weight).fold(f64::NEG_INFINITY, f64::max);
        fits.iter_mut().for_each(|fit| fit.weight = (fit.weight - best).exp());
        let total: f64 = fits.iter().map(|fit| fit.weight).sum();
        fits.iter_mut().for_each(|fit| fit.weight /= total);
        Self { fits }
    }

    /// Draws how it may go on.
    pub(crate) fn draw(&self, rng: &mut Rng) -> Wave {
        let mut left = rng.uniform();
        let chosen = self.fits.iter().find(|fit| {
            left -= fit.weight;
            left < 0.0
        });
        let fit = chosen.unwrap_or(&self.fits[0]);
        let normal = [rng.normal(), rng.normal(), rng.normal()];
        let value = |i: usize| fit.beta[i] + (0..3).map(|j| fit.root[i][j] * normal[j]).sum::<f64>();
        Wave { mean: value(0), sine: value(1), cosine: value(2), omega: fit.omega }.bounded()
    }
}

/// Times and rates, in the middle of equal spans where there are many: a history is finer the younger it is, and the last
/// hours must not outweigh the day before.
fn thinned(work: &Work) -> (Vec<f64>, Vec<f64>) {
    let (times, rates) = (&work.times, &work.rates);
    if times.len() <= MOST {
        return (times.clone(), rates.clone());
    }
    let (first, span) = (times[0], times[times.len() - 1] - times[0]);
    let mut sums = vec![(0.0, 0.0, 0.0); MOST];
    for (t, rate) in times.iter().zip(rates) {
        let at = (((t - first) / span * MOST as f64) as usize).min(MOST - 1);
        sums[at] = (sums[at].0 + 1.0, sums[at].1 + t, sums[at].2 + rate);
    }
    sums.into_iter().filter(|one| one.0 > 0.0).map(|(n, t, rate)| (t / n, rate / n)).unzip()
}

/// The regression for one period; the weight is the logarithm of the evidence.
fn harmonic(times: &[f64], rates: &[f64], (end, omega): (f64, f64)) -> Option<Fit> {
    let mut normal = [[0.0; 3]; 3];
    let (mut right, mut squares) = ([0.0; 3], 0.0);
    for (&t, &rate) in times.iter().zip(rates) {
        let (sine, cosine) = (omega * (t - end)).sin_cos();
        let row = [1.0, sine, cosine];
        for i in 0..3 {
            right[i] += row[i] * rate;
            for j in 0..=i {
                normal[i][j] += row[i] * row[j];
            }
        }
        squares += rate * rate;
    }
    normal[1][1] += RIDGE;
    normal[2][2] += RIDGE;
    let lower = cholesky(normal)?;
    let inverse = invert(lower);
    // β = L⁻ᵀ L⁻¹ b.
    let half = [0, 1, 2].map(|i| (0..=i).map(|j| inverse[i][j] * right[j]).sum::<f64>());
    let beta = [0, 1, 2].map(|i| (i..3).map(|j| inverse[j][i] * half[j]).sum::<f64>());
    let n = rates.len() as f64;
    let left = (squares - half.iter().map(|x| x * x).sum::<f64>()).max(1e-12 * squares);
    let noise = (left / (n - 3.0)).sqrt();
    let log_det: f64 = (0..3).map(|i| lower[i][i].ln()).sum();
    let weight = -0.5 * (n - 1.0) * left.ln() - log_det + RIDGE.ln();
    // L⁻ᵀ is a root of the covariance: upper triangular.
    let root = [0, 1, 2].map(|i| [0, 1, 2].map(|j| noise * inverse[j][i]));
    Some(Fit { omega, beta, root, weight })
}

/// Lower triangular root of a positive definite matrix given by its lower triangle.
fn cholesky(a: [[f64; 3]; 3]) -> Option<[[f64; 3]; 3]> {
    let mut l = [[0.0; 3]; 3];
    for i in 0..3 {
        for j in 0..=i {
            let sum: f64 = (0..j).map(|k| l[i][k] * l[j][k]).sum();
            if i == j {
                let rest: f64 = a[i][i] - sum;
                if rest <= 0.0 {
                    return None;
                }
                l[i][i] = rest.sqrt();
            } else {
                l[i][j] = (a[i][j] - sum) / l[j][j];
            }
        }
    }
    Some(l)
}

/// Inverse of a lower triangular matrix.
fn invert(l: [[f64; 3]; 3]) -> [[f64; 3]; 3] {
    let mut inverse = [[0.0; 3]; 3];
    for i in 0..3 {
        let before = inverse;
        let entry = |j: usize| match j.cmp(&i) {
            Ordering::Less => -(j..i).map(|k| l[i][k] * before[k][j]).sum::<f64>() / l[i][i],
            Ordering::Equal => 1.0 / l[i][i],
            Ordering::Greater => 0.0,
        };
        inverse[i] = [0, 1, 2].map(entry);
    }
    inverse
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(rate: impl Fn(f64) -> f64) -> Work {
        let mut rng = Rng::new(2);
        Work::new((0..200).map(|i| f64::from(i) / 2.0 - 99.5).map(|t| (t, rate(t) + 2.0 * rng.normal())))
    }

    #[test]
    fn a_daily_load_is_continued() {
        let rate = |t: f64| 20.0 + 8.0 * (t / 6.0).sin();
        let load = Load::new(&work(rate));
        let truth: f64 = (0..300).map(|i| 0.1 * rate(f64::from(i) * 0.1)).sum();
        let mut rng = Rng::new(1);
        for _ in 0..20 {
            let wave = load.draw(&mut rng);
            assert!((wave.done(30.0) / truth - 1.0).abs() < 0.1, "{wave:?}");
            assert!((wave.done(wave.when(100.0)) - 100.0).abs() < 0.02);
        }
    }

    #[test]
    fn steady_load_stays_steady() {
        let load = Load::new(&work(|_| 20.0));
        let mut rng = Rng::new(1);
        let mean = (0..200).map(|_| load.draw(&mut rng).done(50.0)).sum::<f64>() / 200.0;
        assert!((mean / 1000.0 - 1.0).abs() < 0.05, "{mean}");
        assert!(Load::new(&Work::default()).draw(&mut rng).done(1.0) >= 0.0);
    }
}
