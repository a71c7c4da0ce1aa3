//! How rare a value is among all that came before it: a distribution that adapts, and its tail beyond what was seen.
//!
//! Peaks over threshold (Siffer et al., "Anomaly Detection in Streams with Extreme Value Theory", 2017), fitted anew
//! whenever it is asked: the past is kept sorted, so the outer part is at hand. Inside, the probability of more is a
//! rank; beyond, a generalised Pareto distribution by probability-weighted moments (Hosking and Wallis, 1987).

/// The outer part of the values, to which the tail is fitted.
const OUTER: f64 = 0.02;
/// Fewest values in the outer part.
const FEWEST: usize = 10;
/// Values below which nothing is called rare.
const SHORT: usize = 20;
/// The heaviest tail believed, as in the threshold of a model.
const HEAVIEST: f64 = 0.5;
/// Values kept; beyond it every second is forgotten.
const MOST: usize = 1 << 15;
/// The largest rarity: no history says what happens once in more frames than this.
const RAREST: f64 = 12.0;

/// The distribution of a quantity so far.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct RunningTail {
    sorted: Vec<f64>,
}

impl RunningTail {
    /// The decimal exponent of the probability of a value like this or larger: 3 means once in a thousand.
    pub fn rarity(&self, value: f64) -> f64 {
        let count = self.sorted.len();
        if count < SHORT {
            return 0.0;
        }
        let above = count - self.sorted.partition_point(|seen| *seen < value);
        let outer = ((count as f64 * OUTER) as usize).max(FEWEST).min(count / 2);
        let level = self.sorted[count - outer];
        if value <= level || above >= outer {
            return -((above + 1) as f64 / (count + 1) as f64).log10();
        }
        let (shape, scale) = pareto(&self.sorted[count - outer..], level);
        let excess = (value - level) / scale;
        let beyond = if shape < 1e-6 { excess } else { (shape * excess).ln_1p() / shape };
        let rarity = beyond * std::f64::consts::LOG10_E - (outer as f64 / (count + 1) as f64).log10();
        rarity.min(RAREST)
    }

    /// Takes note of a value.
    pub fn take(&mut self, value: f64) {
        if self.sorted.len() >= MOST {
            let mut keep = false;
            self.sorted.retain(|_| {
                keep = !keep;
                keep
            });
        }
        let at = self.sorted.partition_point(|seen| *seen < value);
        self.sorted.insert(at, value);
    }
}

/// Shape and scale of the excesses of sorted values over a level, the shape held within 0 and [`HEAVIEST`].
fn pareto(sorted: &[f64], level: f64) -> (f64, f64) {
    let n = sorted.len() as f64;
    let mean = sorted.iter().sum::<f64>() / n - level;
    if mean <= 0.0 {
        // All of the outer part is equal: whatever is larger is far out.
        return (0.0, 1e-12 + 1e-6 * level.abs());
    }
    let weighted = sorted.iter().enumerate().map(|(i, x)| (x - level) * (n - 1.0 - i as f64)).sum::<f64>();
    let difference = mean - 2.0 * weighted / (n * (n - 1.0));
    let shape = if difference > 0.0 { (2.0 - mean / difference).clamp(0.0, HEAVIEST) } else { 0.0 };
    (shape, mean * (1.0 - shape))
}

#[cfg(test)]
mod tests {
    use super::*;
    use foretwin_core::Rng;

    fn filled(rows: usize, mut draw: impl FnMut() -> f64) -> RunningTail {
        let mut tail = RunningTail::default();
        (0..rows).for_each(|_| tail.take(draw()));
        tail
    }

    #[test]
    fn a_heavy_tail_is_extrapolated_beyond_what_was_seen() {
        let mut rng = Rng::new(7);
        // P(x) = x^-3: one in a million is at 100, fifty times rarer than anything expected among 20,000.
        let tail = filled(20_000, || (1.0 - rng.uniform()).powf(-1.0 / 3.0));
        assert!((tail.rarity(2.0) - 0.9).abs() < 0.1, "{}", tail.rarity(2.0));
        assert!((tail.rarity(30.0) - 4.4).abs() < 1.0, "{}", tail.rarity(30.0));
        assert!((tail.rarity(100.0) - 6.0).abs() < 2.0, "{}", tail.rarity(100.0));
    }

    #[test]
    fn nothing_is_rare_before_enough_was_seen_or_where_all_is_equal() {
        assert_eq!(filled(10, || 1.0).rarity(1e9), 0.0);
        let equal = filled(1000, || 1.0);
        assert!(equal.rarity(1.0) < 0.5);
        assert_eq!(equal.rarity(10.0), RAREST);
        assert!(filled(1000, || 0.0).rarity(0.0) < 0.5);
    }

    #[test]
    fn rarity_rises_with_the_value_and_a_long_past_is_thinned() {
        let mut rng = Rng::new(8);
        let tail = filled(MOST + 5000, || rng.normal().abs());
        assert!(tail.sorted.len() < MOST && tail.sorted.is_sorted());
        let rarities: Vec<f64> = (1..80).map(|step| tail.rarity(0.1 * f64::from(step))).collect();
        assert!(rarities.windows(2).all(|pair| pair[0] <= pair[1] + 1e-9), "{rarities:?}");
        // P(|x| > 3) = 0.0027.
        assert!((tail.rarity(3.0) - 2.57).abs() < 0.1, "{}", tail.rarity(3.0));
    }
}
