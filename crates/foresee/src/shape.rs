//! The shapes that a climb may have, their weights, and the times at which each reaches the limit.
//!
//! The rates of a climb's bins are fitted by three models: constant (linear growth), rising with time (accelerating)
//! and changing with the level (a plateau where the rate runs out before the limit, exponential growth where it
//! grows). Each is a Bayesian linear regression with a prior on its slope; they are weighted by the Bayesian
//! information criterion over the effective number of bins (Kass and Raftery, "Bayes factors", JASA 90, 1995), since
//! rates that follow load are alike in neighbouring bins.

use foretwin_core::Rng;

use crate::climb::Climb;

/// Prior standard deviation of the slope of the relative rate over the whole climb: most
/// growth is even, and a bend is extrapolated at the user's peril (2 is a parabola from rest).
const SLOPE_SD: f64 = 0.38;
/// Least standard deviation of the relative rate of a bin: nothing real is steadier.
const NOISE_FLOOR: f64 = 0.07;
/// Most correlation of neighbouring bins that is believed: sixteen bins cannot show more.
const MEMORY_MOST: f64 = 0.85;
/// Draws per model.
const DRAWS: usize = 24;

/// A line through the relative rates (mean 1), over time or level scaled to 0..1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    /// Slope at the regressor's mean.
    slope: f64,
    slope_sd: f64,
    mean_sd: f64,
    /// Mean of the regressor.
    middle: f64,
    /// Standard deviation of a bin's rate around the line.
    pub(crate) noise: f64,
    /// Correlation of neighbouring residuals.
    pub(crate) memory: f64,
    /// Bins, corrected for that correlation.
    pub(crate) effective: f64,
}

impl Line {
    fn fit(regressor: &[f64], rates: &[f64], sloped: bool) -> Self {
        let n = rates.len() as f64;
        let middle = regressor.iter().sum::<f64>() / n;
        let spread: f64 = regressor.iter().map(|u| (u - middle).powi(2)).sum();
        let product: f64 = regressor.iter().zip(rates).map(|(u, rate)| (u - middle) * (rate - 1.0)).sum();
        let mut line =
            Self { slope: 0.0, slope_sd: 0.0, mean_sd: 0.0, middle, noise: 0.0, memory: 0.0, effective: n };
        let parameters = if sloped { 2.0 } else { 1.0 };
        // Twice: the strength of the prior depends on the noise, and the noise on the slope.
        for _ in 0..2 {
            let ridge = (line.noise / SLOPE_SD).powi(2) * n / line.effective;
            line.slope = if sloped { product / (spread + ridge) } else { 0.0 };
            line.residuals(regressor, rates, n - parameters);
            line.slope_sd =
                if sloped { line.noise / ((spread + ridge) * line.effective / n).sqrt() } else { 0.0 };
        }
        line.mean_sd = line.noise / line.effective.sqrt();
        line
    }

    /// Noise, memory and effective count of what the line leaves over.
    fn residuals(&mut self, regressor: &[f64], rates: &[f64], freedom: f64) {
        let (mut squares, mut products, mut before) = (0.0, 0.0, 0.0);
        for (u, rate) in regressor.iter().zip(rates) {
            let residual = rate - 1.0 - self.slope * (u - self.middle);
            squares += residual * residual;
            products += residual * before;
            before = residual;
        }
        self.noise = (squares / freedom).sqrt().max(NOISE_FLOOR);
        self.memory = if squares > 0.0 { (products / squares).clamp(0.0, MEMORY_MOST) } else { 0.0 };
        let n = rates.len() as f64;
        self.effective = (n * (1.0 - self.memory) / (1.0 + self.memory)).max(2.0);
    }

    /// The relative rate where the regressor is `u`, for two standard normal draws.
    fn rate_at(&self, u: f64, (mean, slope): (f64, f64)) -> f64 {
        1.0 + mean * self.mean_sd + (self.slope + slope * self.slope_sd) * (u - self.middle)
    }

    /// How surely the climb goes up at all: its mean rate in standard deviations.
    pub(crate) fn certainty(&self) -> f64 {
        1.0 / self.mean_sd
    }
}

/// The three fits of one climb, with their weights.
#[derive(Debug, Clone)]
pub(crate) struct Fits {
    /// Constant rate.
    pub(crate) even: Line,
    over_time: Line,
    over_level: Line,
    /// Weight of constant rate, rate over time, rate over level; they sum to 1.
    pub(crate) weights: [f64; 3],
    /// The mean relative rate of the last quarter of the bins.
    pub(crate) recent: f64,
}

impl Fits {
    /// Fits all three.
    pub(crate) fn new(climb: &Climb) -> Self {
        let mean = climb.rate();
        let n = climb.rates.len();
        let rates: Vec<f64> = climb.rates.iter().map(|rate| rate / mean).collect();
        let clock: Vec<f64> = (0..n).map(|i| (i as f64 + 0.5) / n as f64).collect();
        let mut level = 0.0;
        let levels: Vec<f64> = rates
            .iter()
            .map(|rate| {
                level += rate / n as f64;
                level - 0.5 * rate / n as f64
            })
            .collect();
        let even = Line::fit(&clock, &rates, false);
        let over_time = Line::fit(&clock, &rates, true);
        let over_level = Line::fit(&levels, &rates, true);
        // One count for all three: a model must not win because its residuals are alike.
        let count = even.effective.max(over_time.effective).max(over_level.effective);
        let evidence =
            |line: &Line, parameters: f64| -count * line.noise.ln() - 0.5 * parameters * count.ln();
        // A rate that falls evenly with time would reach zero for certain; falling with the level covers that.
        let rising = if over_time.slope > 0.0 { evidence(&over_time, 2.0) } else { f64::NEG_INFINITY };
        let scores = [evidence(&even, 1.0), rising, evidence(&over_level, 2.0)];
        let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let raw = scores.map(|score| (score - best).exp());
        let sum: f64 = raw.iter().sum();
        let quarter = (n / 4).max(2);
        let recent = rates[n - quarter..].iter().sum::<f64>() / quarter as f64;
        Self { even, over_time, over_level, weights: raw.map(|weight| weight / sum), recent }
    }

    /// The line with the largest weight.
    pub(crate) fn best(&self) -> &Line {
        let lines = [&self.even, &self.over_time, &self.over_level];
        let best = (0..3).max_by(|&a, &b| self.weights[a].total_cmp(&self.weights[b])).unwrap_or(0);
        lines[best]
    }

    /// Whether the rate falls as the level rises so that it ends within `ahead` further rises of the size seen.
    pub(crate) fn levels_off(&self, ahead: f64) -> bool {
        self.weights[2] > 0.5 && self.over_level.rate_at(1.0 + ahead, (0.0, 0.0)) <= 0.0
    }

    /// Whether the rate rises with time or level.
    pub(crate) fn accelerates(&self) -> bool {
        self.weights[1] + self.weights[2] > 0.5 && self.best().slope > 0.3
    }

    /// Times to reach the limit, in durations of the climb so far, drawn from the bent models with their weights; `ahead` is
    /// what is left, in rises of the climb so far. Infinite where the rate runs out first.
    pub(crate) fn arrivals(&self, ahead: f64, rng: &mut Rng, into: &mut Vec<(f64, f64)>) {
        for draw in 0..DRAWS {
            // Stratified in the slope, which matters most.
            let slope = stratum(draw, rng);
            let normals = (rng.normal(), slope);
            for (line, weight, arrival) in [
                (&self.over_time, self.weights[1], timed as fn(f64, f64, f64) -> f64),
                (&self.over_level, self.weights[2], levelled),
            ] {
                if weight > 0.01 {
                    let here = line.rate_at(1.0, normals);
                    let bend = line.slope + normals.1 * line.slope_sd;
                    into.push((arrival(here, bend, ahead), weight / DRAWS as f64));
                }
            }
        }
    }
}

/// A standard normal draw from the `index`-th of [`DRAWS`] equally likely strata: logistic approximation of the
/// normal quantile, good to 2 % within the tails that occur.
fn stratum(index: usize, rng: &mut Rng) -> f64 {
    let p = (index as f64 + rng.uniform()) / DRAWS as f64;
    let p = p.clamp(0.002, 0.998);
    (p / (1.0 - p)).ln() / 1.702
}

/// Solves here·u + bend·u²/2 = ahead.
fn timed(here: f64, bend: f64, ahead: f64) -> f64 {
    let root = here * here + 2.0 * bend * ahead;
    let denominator = here + root.max(0.0).sqrt();
    if root < 0.0 || denominator <= 1e-9 { f64::INFINITY } else { 2.0 * ahead / denominator }
}

/// Integrates dx / (here + bend·x) from 0 to ahead.
fn levelled(here: f64, bend: f64, ahead: f64) -> f64 {
    let there = here + bend * ahead;
    if here <= 1e-9 || there <= 1e-9 {
        f64::INFINITY
    } else if (bend * ahead / here).abs() < 1e-6 {
        ahead / here
    } else {
        (there / here).ln() / bend
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(rates: &[f64]) -> Fits {
        let rise = rates.iter().sum();
        let lasted_s = rates.len() as f64;
        Fits::new(&Climb {
            lasted_s,
            rise,
            bin_s: 1.0,
            rates: rates.to_vec(),
            efficiency: 1.0,
            new_ground: 1.0,
            fallen: 0.0,
        })
    }

    fn median(fits: &Fits, ahead: f64) -> f64 {
        let mut drawn = Vec::new();
        fits.arrivals(ahead, &mut Rng::new(1), &mut drawn);
        drawn.sort_by(|a, b| a.0.total_cmp(&b.0));
        drawn[drawn.len() / 2].0
    }

    #[test]
    fn even_rates_are_even() {
        let rates: Vec<f64> = (0..15).map(|i| 2.0 + 0.1 * f64::from(i * 7 % 5)).collect();
        assert!(fits(&rates).weights[0] > 0.5);
    }

    #[test]
    fn a_parabola_arrives_early() {
        let rates: Vec<f64> = (0..15).map(|i| 0.5 + f64::from(i)).collect();
        let fits = fits(&rates);
        assert!(fits.accelerates());
        // x = t²: from 1 to 2 takes √2 - 1 of the time so far.
        assert!((median(&fits, 1.0) - 0.414).abs() < 0.06, "{}", median(&fits, 1.0));
    }

    #[test]
    fn an_exponential_approach_levels_off() {
        let rates: Vec<f64> = (0..15).map(|i| (-f64::from(i) / 5.0).exp()).collect();
        let fits = fits(&rates);
        assert!(fits.levels_off(0.5) && !fits.accelerates());
        assert_eq!(median(&fits, 0.5), f64::INFINITY);
    }
}
