//! The request load of a run: periodic, noisy, and the same for the same seed.

use foretwin_core::Rng;

use crate::work::TICK_S;

/// Offered load over time, in requests per second.
#[derive(Debug, Clone)]
pub struct Load {
    rng: Rng,
    base: f64,
    amplitude: f64,
    period_s: f64,
    phase: f64,
    wander: f64,
}

impl Load {
    /// Draws a load curve.
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let base = 8.0 + 17.0 * rng.uniform();
        let amplitude = 0.2 + 0.4 * rng.uniform();
        let period_s = 25.0 + 25.0 * rng.uniform();
        let phase = std::f64::consts::TAU * rng.uniform();
        Self { rng, base, amplitude, period_s, phase, wander: 0.0 }
    }

    /// Requests per second on average over all time.
    pub fn mean(&self) -> f64 {
        self.base
    }

    /// The load of one tick, multiplied by `factor`: requests per second offered, and requests that came. Called once
    /// per tick, in order.
    pub fn step(&mut self, at_s: f64, factor: f64) -> (f64, u32) {
        self.wander = 0.98 * self.wander + 0.04 * self.rng.normal();
        let wave = (std::f64::consts::TAU * at_s / self.period_s + self.phase).sin();
        let offered = factor * self.base * (1.0 + self.amplitude * wave) * self.wander.exp();
        (offered, poisson(&mut self.rng, offered * TICK_S))
    }
}

/// A Poisson number, by multiplication (Knuth, The Art of Computer Programming 2, 3.4.1); for small means.
fn poisson(rng: &mut Rng, mean: f64) -> u32 {
    let (floor, mut product, mut count) = ((-mean).exp(), rng.uniform(), 0);
    while product > floor && count < 1000 {
        product *= rng.uniform();
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(seed: u64, seconds: f64) -> Vec<(f64, u32)> {
        let mut load = Load::new(seed);
        (0..(seconds / TICK_S) as u32).map(|tick| load.step(f64::from(tick) * TICK_S, 1.0)).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_load() {
        assert_eq!(curve(3, 60.0), curve(3, 60.0));
        assert_ne!(curve(3, 60.0), curve(4, 60.0));
    }

    #[test]
    fn requests_follow_the_offer_and_the_offer_varies() {
        let curve = curve(5, 2000.0);
        let offered: f64 = curve.iter().map(|(offered, _)| offered * TICK_S).sum();
        let requests: f64 = curve.iter().map(|&(_, requests)| f64::from(requests)).sum();
        assert!((requests / offered - 1.0).abs() < 0.03, "{requests} of {offered}");
        assert!((offered / 2000.0 / Load::new(5).mean() - 1.0).abs() < 0.1);
        let most = curve.iter().map(|&(offered, _)| offered).fold(0.0, f64::max);
        let least = curve.iter().map(|&(offered, _)| offered).fold(f64::MAX, f64::min);
        assert!(most > 1.3 * least, "{least} to {most}");
    }
}
