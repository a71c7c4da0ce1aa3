//! Exponential smoothing with additive errors, damped trend and additive season: a reference for forecasts.
//!
//! Hyndman, Koehler, Ord and Snyder, "Forecasting with Exponential Smoothing", 2008: the error-correction form, fitted
//! by least squares with the method of Nelder and Mead (1965), the variant chosen by Akaike's criterion.

/// Steps of the optimiser for each variant.
const STEPS: usize = 160;

/// A fitted variant.
#[derive(Debug, Clone)]
pub struct Ets {
    /// Level, trend, damping and season weights.
    parameters: [f64; 4],
    trend: bool,
    start: State,
}

/// What it carries from value to value.
#[derive(Debug, Clone)]
pub struct State {
    level: f64,
    trend: f64,
    season: Vec<f64>,
    at: usize,
}

impl Ets {
    /// Fits level alone, with trend, with a season of `period` (below 2: none), and with both; keeps the best.
    pub fn fit(values: &[f64], period: usize) -> Self {
        let seasonal = period >= 2 && values.len() >= 2 * period + 3;
        let mut variants = vec![(false, 1), (true, 1)];
        if seasonal {
            variants.extend([(false, period), (true, period)]);
        }
        let mut best: Option<(f64, Self)> = None;
        for (trend, period) in variants {
            let (sum, found) = Self::fit_variant(values, trend, period);
            let n = values.iter().filter(|value| value.is_finite()).count().max(1) as f64;
            let parameters =
                2.0 + 3.0 * f64::from(u8::from(trend)) + if period > 1 { 1.0 + period as f64 } else { 0.0 };
            let criterion = n * (sum / n).max(1e-300).ln() + 2.0 * parameters;
            if best.as_ref().is_none_or(|(least, _)| criterion < *least) {
                best = Some((criterion, found));
            }
        }
        best.expect("two variants were fitted").1
    }

    fn fit_variant(values: &[f64], trend: bool, period: usize) -> (f64, Self) {
        let start = State::first(values, period);
        let made = |x: &[f64; 4]| Self {
            parameters: [part(x[0]), 0.3 * part(x[1]), 0.8 + 0.19 * part(x[2]), part(x[3])],
            trend,
            start: start.clone(),
        };
        let error = |x: &[f64; 4]| {
            let mut state = start.clone();
            let ets = made(x);
            values.iter().map(|&value| ets.take(&mut state, value).powi(2)).sum::<f64>()
        };
        let (least, x) = descend([-0.5, -3.0, 0.0, -2.0], &error);
        (least, made(&x))
    }

    /// Where it starts.
    pub fn start(&self) -> State {
        self.start.clone()
    }

    /// Takes the next value; a missing one changes nothing but the season's place. Gives the error.
    pub fn take(&self, state: &mut State, value: f64) -> f64 {
        let [alpha, beta, phi, gamma] = self.parameters;
        let damped = if self.trend { phi * state.trend } else { 0.0 };
        let place = state.at % state.season.len();
        let error = value - (state.level + damped + state.season[place]);
        let error = if error.is_finite() { error } else { 0.0 };
        state.level += damped + alpha * error;
        state.trend = damped + if self.trend { beta * error } else { 0.0 };
        if state.season.len() > 1 {
            state.season[place] += gamma * error;
        }
        state.at += 1;
        error
    }

    /// The value `steps` after the last one taken.
    pub fn ahead(&self, state: &State, steps: usize) -> f64 {
        let phi = self.parameters[2];
        let damping = if self.trend { phi * (1.0 - phi.powi(steps as i32)) / (1.0 - phi) } else { 0.0 };
        state.level + damping * state.trend + state.season[(state.at + steps - 1) % state.season.len()]
    }
}

impl State {
    fn first(values: &[f64], period: usize) -> Self {
        let known = |range: std::ops::Range<usize>| {
            let seen: Vec<f64> = values[range].iter().copied().filter(|value| value.is_finite()).collect();
            seen.iter().sum::<f64>() / seen.len().max(1) as f64
        };
        if period < 2 {
            return Self { level: known(0..values.len().min(10)), trend: 0.0, season: vec![0.0], at: 0 };
        }
        let level = known(0..2 * period);
        let place = |n: usize| {
            let pair = [values[n], values[n + period]];
            let seen: Vec<f64> = pair.into_iter().filter(|value| value.is_finite()).collect();
            if seen.is_empty() { 0.0 } else { seen.iter().sum::<f64>() / seen.len() as f64 - level }
        };
        Self { level, trend: 0.0, season: (0..period).map(place).collect(), at: 0 }
    }
}

/// Any number as a part between 0 and 1.
fn part(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// The method of Nelder and Mead from a starting point: the least value and where it is.
fn descend(start: [f64; 4], value: &dyn Fn(&[f64; 4]) -> f64) -> (f64, [f64; 4]) {
    let mut corners: Vec<(f64, [f64; 4])> = vec![(value(&start), start)];
    for n in 0..4 {
        let mut corner = start;
        corner[n] += 1.5;
        corners.push((value(&corner), corner));
    }
    for _ in 0..STEPS {
        corners.sort_by(|a, b| a.0.total_cmp(&b.0));
        let worst = corners[4];
        let center: [f64; 4] =
            std::array::from_fn(|n| corners[..4].iter().map(|corner| corner.1[n]).sum::<f64>() / 4.0);
        let toward = |by: f64| {
            let at: [f64; 4] = std::array::from_fn(|n| center[n] + by * (center[n] - worst.1[n]));
            (value(&at), at)
        };
        let reflected = toward(1.0);
        corners[4] = if reflected.0 < corners[0].0 {
            let expanded = toward(2.0);
            if expanded.0 < reflected.0 { expanded } else { reflected }
        } else if reflected.0 < corners[3].0 {
            reflected
        } else {
            let contracted = toward(if reflected.0 < worst.0 { 0.5 } else { -0.5 });
            if contracted.0 < worst.0 {
                contracted
            } else {
                let best = corners[0].1;
                for corner in &mut corners[1..] {
                    corner.1 = std::array::from_fn(|n| best[n] + 0.5 * (corner.1[n] - best[n]));
                    corner.0 = value(&corner.1);
                }
                corners[4]
            }
        };
    }
    corners.sort_by(|a, b| a.0.total_cmp(&b.0));
    corners[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use foretwin_core::Rng;

    #[test]
    fn a_season_with_noise_is_forecast() {
        let mut rng = Rng::new(1);
        let truth = |n: usize| 10.0 + 3.0 * (n as f64 / 24.0 * std::f64::consts::TAU).sin();
        let values: Vec<f64> = (0..480).map(|n| truth(n) + 0.3 * rng.normal()).collect();
        let ets = Ets::fit(&values, 24);
        let mut state = ets.start();
        values.iter().for_each(|&value| {
            ets.take(&mut state, value);
        });
        for steps in [1, 10, 30] {
            let off = ets.ahead(&state, steps) - truth(479 + steps);
            assert!(off.abs() < 0.6, "{steps}: {off}");
        }
    }

    #[test]
    fn noise_has_a_level_and_a_walk_stays_where_it_is() {
        let mut rng = Rng::new(2);
        let noise: Vec<f64> = (0..1000).map(|_| 5.0 + rng.normal()).collect();
        let mut walk = vec![0.0];
        (0..1000).for_each(|n| walk.push(walk[n] + rng.normal()));
        let end = |values: &[f64]| {
            let ets = Ets::fit(values, 1);
            let mut state = ets.start();
            values.iter().for_each(|&value| {
                ets.take(&mut state, value);
            });
            ets.ahead(&state, 5)
        };
        assert!((end(&noise) - 5.0).abs() < 0.4, "{}", end(&noise));
        assert!((end(&walk) - walk[1000]).abs() < 3.0);
    }
}
