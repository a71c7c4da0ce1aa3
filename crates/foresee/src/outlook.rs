//! The distribution of the time to failure: arrivals of every shape, each cut short by the end of its trend.

use foretwin_core::{Quantiles, Rng};

use crate::climb::Climb;
use crate::math::{first_passage, normal_cdf};
use crate::persist::Persistence;
use crate::shape::Fits;

/// Points of the curve.
const POINTS: usize = 48;
/// The curve reaches from the expected arrival divided by this ...
const EARLIEST: f64 = 12.0;
/// ... to the expected arrival times this.
const LATEST: f64 = 24.0;
/// Nodes and weights of five-point Gauss-Hermite quadrature for a standard normal variable.
const NODES: [(f64, f64); 5] = [
    (-2.856_970, 0.011_257),
    (-1.355_626, 0.222_076),
    (0.0, 0.533_333),
    (1.355_626, 0.222_076),
    (2.856_970, 0.011_257),
];
/// Least relative standard deviation of a rate that is extrapolated ...
const RATE_SD: f64 = 0.05;
/// ... and what distance adds to it, at an extrapolation as long as the history.
const RATE_WALK: f64 = 0.27;

/// Cumulative probability of failure over time.
#[derive(Debug, Clone)]
pub(crate) struct Outlook {
    times: Vec<f64>,
    failed: Vec<f64>,
}

/// A climb with what was concluded from it.
#[derive(Debug, Clone)]
pub(crate) struct Judged {
    pub(crate) climb: Climb,
    pub(crate) fits: Fits,
    pub(crate) persistence: Persistence,
    /// Weight among the windows that are averaged.
    pub(crate) weight: f64,
}

impl Judged {
    /// The mean relative rate over the next `bins` bins, for a rate that returns to its mean as an autoregression of
    /// first order does: the recent departure fades with the memory of the bins.
    fn rate_ahead(&self, bins: f64) -> f64 {
        let memory = self.fits.even.memory;
        let fading = memory * (1.0 - memory.powf(bins)) / ((1.0 - memory) * bins.max(1.0));
        1.0 + fading.clamp(0.0, 1.0) * (self.fits.recent - 1.0)
    }

    /// Expected seconds to rise by `headroom` at the present rate.
    pub(crate) fn expected_s(&self, headroom: f64) -> f64 {
        let mean = self.climb.rate();
        let bins = headroom / (mean * self.climb.bin_s);
        headroom / (mean * self.rate_ahead(bins).max(0.05))
    }

    /// Relative variance of the mean rate over an extrapolation of `ahead` durations of the climb, beyond what the
    /// line's own uncertainty says.
    fn extra_variance(ahead: f64) -> f64 {
        RATE_SD * RATE_SD + RATE_WALK * RATE_WALK * ahead.min(4.0)
    }
}

impl Outlook {
    /// Averages the windows' distributions for a rise by `headroom`.
    pub(crate) fn new(windows: &[Judged], headroom: f64, seed: u64) -> Self {
        let Some(first) = windows.first() else {
            return Self { times: vec![1.0], failed: vec![0.0] };
        };
        let expected = first.expected_s(headroom).max(1e-3);
        let step = (EARLIEST * LATEST).powf(1.0 / (POINTS - 1) as f64);
        let mut times = Vec::with_capacity(POINTS);
        let mut t = expected / EARLIEST;
        for _ in 0..POINTS {
            times.push(t);
            t *= step;
        }
        let mut outlook = Self { failed: vec![0.0; POINTS], times };
        let total: f64 = windows.iter().map(|window| window.weight).sum();
        for (index, window) in windows.iter().enumerate() {
            let mut rng = Rng::new(seed.wrapping_add(index as u64));
            outlook.add(window, &first.persistence, (headroom, window.weight / total), &mut rng);
        }
        for point in 1..POINTS {
            outlook.failed[point] = outlook.failed[point].max(outlook.failed[point - 1]).min(1.0);
        }
        outlook
    }

    /// Adds one window: F(t) = P(alive) ∫ S(u) dG(u), G the window's arrival if the trend went on, S the survival of
    /// the trend, which is that of the best window: shorter ones know the present rate, not how long it has lasted.
    fn add(&mut self, window: &Judged, lasting: &Persistence, (headroom, weight): (f64, f64), rng: &mut Rng) {
        let mut arrived = [0.0; POINTS];
        self.add_even(window, headroom, &mut arrived);
        self.add_bent(window, headroom, rng, &mut arrived);
        let (mut before, mut time_before, mut failed) = (0.0, 0.0, 0.0);
        for (point, &t) in self.times.iter().enumerate() {
            let middle = 0.5 * (t + time_before);
            failed += (arrived[point] - before).max(0.0) * lasting.survival(middle);
            self.failed[point] += weight * lasting.alive * failed;
            (before, time_before) = (arrived[point], t);
        }
    }

    /// Constant drift with Wiener noise: inverse Gaussian, integrated over the uncertainty of the drift.
    fn add_even(&self, window: &Judged, headroom: f64, arrived: &mut [f64; POINTS]) {
        let (climb, even, share) = (&window.climb, &window.fits.even, window.fits.weights[0]);
        if share < 0.01 {
            return;
        }
        let rate = headroom / window.expected_s(headroom);
        let ahead = window.expected_s(headroom) / climb.lasted_s;
        let clumping = (1.0 + even.memory) / (1.0 - even.memory);
        let sigma = even.noise * climb.rate() * (climb.bin_s * clumping).sqrt();
        let drift_sd =
            rate * (1.0 / even.effective * even.noise.powi(2) + Judged::extra_variance(ahead)).sqrt();
        for (node, weight) in NODES {
            let mu = (rate + node * drift_sd).max(0.05 * rate);
            for (point, &t) in self.times.iter().enumerate() {
                arrived[point] += share * weight * first_passage(t, headroom, mu, sigma);
            }
        }
    }

    /// Bent shapes: Monte Carlo over their parameters, each draw widened by the noise of the rates still to come.
    fn add_bent(&self, window: &Judged, headroom: f64, rng: &mut Rng, arrived: &mut [f64; POINTS]) {
        let climb = &window.climb;
        let ahead = headroom / climb.rise;
        let mut draws = Vec::new();
        window.fits.arrivals(ahead, rng, &mut draws);
        let line = window.fits.best();
        let clumping = (1.0 + line.memory) / (1.0 - line.memory);
        for (arrival, weight) in draws {
            if !arrival.is_finite() {
                continue;
            }
            let bins = (arrival * climb.rates.len() as f64).max(1.0);
            let spread = (line.noise.powi(2) * clumping / bins + Judged::extra_variance(arrival)).sqrt();
            let middle = (arrival * climb.rates.len() as f64 * climb.bin_s).max(1e-6).ln();
            for (point, &t) in self.times.iter().enumerate() {
                let z = (t.ln() - middle) / spread;
                if z > -4.0 {
                    arrived[point] += weight * if z < 4.0 { normal_cdf(z) } else { 1.0 };
                }
            }
        }
    }

    /// Probability of failure within `t` seconds.
    pub(crate) fn within(&self, t: f64) -> f64 {
        let after = self.times.partition_point(|&time| time < t);
        let end = self.times.len() - 1;
        if after > end {
            return self.failed[end];
        }
        let (t0, p0) = if after == 0 { (0.0, 0.0) } else { (self.times[after - 1], self.failed[after - 1]) };
        let (t1, p1) = (self.times[after], self.failed[after]);
        p0 + (p1 - p0) * ((t - t0) / (t1 - t0)).clamp(0.0, 1.0)
    }

    /// The time before which failure has probability `p`.
    fn quantile(&self, p: f64) -> Option<f64> {
        let after = self.failed.iter().position(|&failed| failed >= p)?;
        let (t0, p0) = if after == 0 { (0.0, 0.0) } else { (self.times[after - 1], self.failed[after - 1]) };
        let (t1, p1) = (self.times[after], self.failed[after]);
        Some(t0 + (t1 - t0) * ((p - p0) / (p1 - p0).max(f64::MIN_POSITIVE)).clamp(0.0, 1.0))
    }

    /// The stated quantiles, missing where failure is less likely than that.
    pub(crate) fn quantiles(&self) -> Quantiles {
        Quantiles { p10: self.quantile(0.1), p50: self.quantile(0.5), p90: self.quantile(0.9) }
    }

    /// Probability that it never fails.
    pub(crate) fn never(&self) -> f64 {
        1.0 - self.failed.last().copied().unwrap_or(0.0)
    }
}
