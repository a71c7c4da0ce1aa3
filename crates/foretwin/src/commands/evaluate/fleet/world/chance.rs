//! What the simulated world draws its luck from: one seeded generator, and the distributions of operating practice.

use foretwin_core::Rng;

/// A seeded source of luck.
#[derive(Debug, Clone)]
pub struct Chance(Rng);

impl Chance {
    /// A source of its own for `who` under one seed.
    pub fn new(seed: u64, who: u64) -> Self {
        let mut rng = Rng::new(seed ^ who.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        rng.next_u64();
        Self(rng)
    }

    pub fn happens(&mut self, probability: f64) -> bool {
        self.0.uniform() < probability
    }

    pub fn below(&mut self, bound: usize) -> usize {
        self.0.below(bound as u64) as usize
    }

    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.0.uniform()
    }

    /// Every decade alike.
    pub fn log_between(&mut self, low: f64, high: f64) -> f64 {
        self.between(low.ln(), high.ln()).exp()
    }

    pub fn normal(&mut self) -> f64 {
        self.0.normal()
    }

    /// Around a median, with the standard deviation of the logarithm.
    pub fn lognormal(&mut self, median: f64, spread: f64) -> f64 {
        median * (spread * self.0.normal()).exp()
    }

    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.0.uniform()).ln()
    }

    /// Heavy above `least`: few are large, and those are very large.
    pub fn pareto(&mut self, least: f64, exponent: f64) -> f64 {
        least * (1.0 - self.0.uniform()).powf(-1.0 / exponent)
    }

    /// Student's t with three degrees of freedom, scaled to unit variance: measurement noise with heavy tails.
    pub fn heavy(&mut self) -> f64 {
        let squares: f64 = (0..3).map(|_| self.0.normal().powi(2)).sum();
        self.0.normal() / squares.max(1e-3).sqrt()
    }

    /// How many of many rare things happen.
    pub fn count(&mut self, mean: f64) -> f64 {
        if mean > 30.0 {
            return (mean + mean.sqrt() * self.0.normal()).max(0.0).round();
        }
        let (mut term, mut count) = ((-mean).exp(), 0.0);
        let (mut reached, u) = (term, self.0.uniform());
        while u > reached && count < 200.0 {
            count += 1.0;
            term *= mean / count;
            reached += term;
        }
        count
    }

    /// An index with these weights.
    pub fn choose(&mut self, weights: &[f64]) -> usize {
        let mut place = self.0.uniform() * weights.iter().sum::<f64>();
        let chosen = weights.iter().position(|weight| {
            place -= weight;
            place < 0.0
        });
        chosen.unwrap_or(weights.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_heavy_tails_have_their_moments() {
        let mut chance = Chance::new(1, 2);
        for mean in [0.2, 5.0, 80.0] {
            let seen: f64 = (0..4000).map(|_| chance.count(mean)).sum::<f64>() / 4000.0;
            assert!((seen / mean - 1.0).abs() < 0.1, "{mean}: {seen}");
        }
        let far = (0..20_000).filter(|_| chance.heavy().abs() > 4.0).count();
        assert!((5..400).contains(&far), "{far}");
    }
}
