//! How well known causes are found: AC@k and Avg@5 (RCAEval), and how well the probabilities are calibrated.

use std::collections::HashSet;

use foretwin_core::Rng;

/// Bins of the calibration error.
const BINS: usize = 10;
/// Samples of the bootstrap.
const SAMPLES: usize = 2000;

/// AC@1 to AC@5 of ranked nodes: hits among the first k by the fewer of k and the number of causes.
pub fn accuracy(ranked: &[String], causes: &[String]) -> [f64; 5] {
    let causes: HashSet<&String> = causes.iter().collect();
    std::array::from_fn(|at| {
        let hits = ranked.iter().take(at + 1).filter(|node| causes.contains(node)).count();
        hits as f64 / causes.len().clamp(1, at + 1) as f64
    })
}

/// Expected calibration error of `(probability, came true, weight)`.
pub fn calibration_error(said: &[(f64, bool, f64)]) -> f64 {
    let total: f64 = said.iter().map(|(.., weight)| weight).sum();
    let bin = |p: f64| ((p * BINS as f64) as usize).min(BINS - 1);
    let gap = |at: usize| {
        let inside = said.iter().filter(|(p, ..)| bin(*p) == at);
        inside.map(|(p, true_, weight)| weight * (f64::from(u8::from(*true_)) - p)).sum::<f64>().abs()
    };
    (0..BINS).map(gap).sum::<f64>() / total
}

/// Mean and its 95 % bootstrap interval.
pub fn interval(values: &[f64], seed: u64) -> (f64, [f64; 2]) {
    let mean = |values: &mut dyn Iterator<Item = f64>, n: usize| values.sum::<f64>() / n.max(1) as f64;
    let mut rng = Rng::new(seed);
    let draw = |rng: &mut Rng| values[rng.below(values.len() as u64) as usize];
    let mut means: Vec<f64> =
        (0..SAMPLES).map(|_| mean(&mut (0..values.len()).map(|_| draw(&mut rng)), values.len())).collect();
    means.sort_by(f64::total_cmp);
    let at = |share: f64| means[(share * (SAMPLES - 1) as f64) as usize];
    (mean(&mut values.iter().copied(), values.len()), [at(0.025), at(0.975)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accuracy_counts_as_the_benchmark_does() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let ranked = names(&["a", "b", "c", "d", "e"]);
        assert_eq!(accuracy(&ranked, &names(&["b"])), [0.0, 1.0, 1.0, 1.0, 1.0]);
        assert_eq!(accuracy(&ranked, &names(&["a", "e"])), [1.0, 0.5, 0.5, 0.5, 1.0]);
    }

    #[test]
    fn honest_probabilities_have_no_error() {
        let honest: Vec<(f64, bool, f64)> = (0..100).map(|at| (0.75, at % 4 != 0, 1.0)).collect();
        assert!(calibration_error(&honest) < 1e-12);
        assert!((calibration_error(&[(0.95, false, 2.0)]) - 0.95).abs() < 1e-12);
    }
}
