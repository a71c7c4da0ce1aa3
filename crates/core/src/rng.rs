//! A small seeded generator, so that every result can be had again.

/// SplitMix64 (Steele, Lea, Flood 2014): passes BigCrush, eight bytes of state, any seed is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rng(u64);

impl Rng {
    /// Starts from a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in [0, 1), 53 bits.
    pub fn uniform(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform below `bound` (0 for 0), by multiplication; the bias is below bound / 2^64.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// Standard normal, by the polar method of Marsaglia.
    pub fn normal(&mut self) -> f64 {
        loop {
            let (u, v) = (2.0 * self.uniform() - 1.0, 2.0 * self.uniform() - 1.0);
            let s = u * u + v * v;
            if s > 0.0 && s < 1.0 {
                return u * (-2.0 * s.ln() / s).sqrt();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_right_and_seeds_repeat() {
        let (mut rng, mut again) = (Rng::new(7), Rng::new(7));
        let (mut sum, mut squares, mut uniform) = (0.0, 0.0, 0.0);
        for _ in 0..100_000 {
            let x = rng.normal();
            assert_eq!(x.to_bits(), again.normal().to_bits());
            sum += x;
            squares += x * x;
            uniform += rng.uniform();
            again.uniform();
        }
        assert!(
            (sum / 1e5).abs() < 0.02
                && (squares / 1e5 - 1.0).abs() < 0.03
                && (uniform / 1e5 - 0.5).abs() < 0.01
        );
        assert!((0..1000).all(|_| rng.below(3) < 3));
    }
}
