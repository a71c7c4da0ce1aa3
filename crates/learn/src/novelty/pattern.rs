//! A memory of patterns: how far the latest samples are from the most similar ones that were ever seen.
//!
//! The distance to the nearest neighbour in the past, kept while time passes (the left matrix profile; Yeh et al.,
//! "Matrix Profile I", 2016, without its normalisation: a level that was never seen is news, too). What happened once
//! is known from then on.

/// Samples remembered; beyond it the older half is forgotten.
const MOST: usize = 1 << 15;
/// The least distance in time: the sample before is always similar.
const LEAST_GAP: usize = 3;

/// The past of one metric, and how far the latest pattern is from each earlier one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Patterns {
    length: usize,
    values: Vec<f64>,
    /// Per sample, the squared distance between the pattern that ends there and the latest one.
    squares: Vec<f64>,
}

impl Patterns {
    /// No past; patterns of `length` samples.
    pub fn new(length: usize) -> Self {
        Self { length, values: Vec::new(), squares: Vec::new() }
    }

    /// Takes a sample and gives the distance of the pattern that it ends from the nearest earlier one, as a root mean
    /// square; zero where there is none.
    pub fn nearest(&mut self, value: f64) -> f64 {
        if self.values.len() >= MOST {
            self.forget();
        }
        let (now, length) = (self.values.len(), self.length);
        self.values.push(value);
        self.squares.push(0.0);
        let leaves = now.checked_sub(length).map(|row| self.values[row]);
        // Patterns move on by one sample: what is new is added, what leaves is subtracted (from the latest on, so that
        // each still finds its predecessor).
        for row in (0..now).rev() {
            let before = if row > 0 { self.squares[row - 1] } else { 0.0 };
            let mut square = before + (value - self.values[row]).powi(2);
            if let (Some(own), Some(other)) = (leaves, row.checked_sub(length)) {
                square -= (own - self.values[other]).powi(2);
            }
            // Differences of sums may fall below zero by rounding.
            self.squares[row] = square.max(0.0);
        }
        let gap = length.max(LEAST_GAP);
        let known = (length - 1)..(now + 1).saturating_sub(gap);
        let nearest = self.squares.get(known).unwrap_or(&[]).iter().copied().fold(f64::INFINITY, f64::min);
        if nearest.is_finite() { (nearest / length as f64).sqrt() } else { 0.0 }
    }

    fn forget(&mut self) {
        let half = self.values.len() / 2;
        self.values.drain(..half);
        self.squares.drain(..half);
        let last = self.values.len() - 1;
        // Patterns that reach into what is forgotten are cut.
        for row in 0..self.length.min(self.values.len()) {
            let of = |back: usize| (self.values[last - back] - self.values[row - back]).powi(2);
            self.squares[row] = (0..=row.min(self.length - 1)).map(of).sum();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use foretwin_core::Rng;

    /// The definition.
    fn direct(values: &[f64], length: usize) -> f64 {
        let now = values.len() - 1;
        let gap = length.max(LEAST_GAP);
        let distance = |end: usize| {
            let square = |back: usize| (values[now - back] - values[end - back]).powi(2);
            ((0..length).map(square).sum::<f64>() / length as f64).sqrt()
        };
        let nearest = (length - 1..(now + 1).saturating_sub(gap)).map(distance).fold(f64::INFINITY, f64::min);
        if nearest.is_finite() { nearest } else { 0.0 }
    }

    #[test]
    fn distances_are_those_of_the_definition_also_after_forgetting() {
        for length in [1, 8] {
            let (mut rng, mut patterns) = (Rng::new(4), Patterns::new(length));
            let mut values = Vec::new();
            for row in 0..300 {
                if row == 200 {
                    patterns.forget();
                    values.drain(..100);
                }
                values.push(rng.normal());
                let found = patterns.nearest(values[values.len() - 1]);
                assert!((found - direct(&values, length)).abs() < 1e-6, "{length} {row}");
            }
        }
    }

    #[test]
    fn what_happened_once_is_known() {
        let mut patterns = Patterns::new(4);
        let series = |row: usize| if row % 100 == 50 && row > 200 { 90.0 } else { (row % 10) as f64 };
        let distances: Vec<f64> = (0..500).map(|row| patterns.nearest(series(row))).collect();
        assert!(distances[250] > 40.0 && distances[350] < 1e-6, "{} {}", distances[250], distances[350]);
    }
}
