//! How large surprises ordinarily are, with rare extremes held down: an incident in the training data must not make
//! the next one look ordinary.

/// Magnitudes are counted in eighths of an octave from 2^-20 on.
const OCTAVES: usize = 40;
const PER_OCTAVE: usize = 8;
const LOWEST: f64 = 20.0;
/// Beyond this quantile a magnitude counts as the quantile (Winsor's mean).
const ORDINARY: f64 = 0.999;

/// A histogram of magnitudes.
#[derive(Debug, Clone)]
pub(crate) struct Sizes {
    counts: Vec<u32>,
    squares: Vec<f64>,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { counts: vec![0; OCTAVES * PER_OCTAVE], squares: vec![0.0; OCTAVES * PER_OCTAVE] }
    }
}

impl Sizes {
    /// Counts one surprise.
    pub fn take(&mut self, surprise: f32) {
        let size = f64::from(surprise.abs());
        let place =
            ((size.log2() + LOWEST) * PER_OCTAVE as f64).clamp(0.0, (OCTAVES * PER_OCTAVE - 1) as f64);
        self.counts[place as usize] += 1;
        self.squares[place as usize] += size * size;
    }

    /// The root of the mean square, extremes held down; at least `floor`, and wider where few were seen.
    pub fn deviation(&self, floor: f64) -> f64 {
        let count: u32 = self.counts.iter().sum();
        let beyond = (f64::from(count) * (1.0 - ORDINARY)) as u32;
        let (mut above, mut held, mut sum) = (0, None, 0.0);
        for (&count, &squares) in self.counts.iter().zip(&self.squares).rev().filter(|(count, _)| **count > 0)
        {
            let mean = squares / f64::from(count);
            if above + count <= beyond {
                above += count;
                continue;
            }
            // The first place that is not wholly beyond the quantile is what everything beyond counts as.
            if held.is_none() {
                held = Some(mean);
                sum += mean * f64::from(above);
            }
            sum += squares;
        }
        let few = (1.0 + 10.0 / f64::from(count.max(1))).sqrt();
        (sum / f64::from(count.max(1))).sqrt().max(floor) * few
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use foretwin_core::Rng;

    #[test]
    fn a_normal_spread_is_measured_and_an_incident_hardly_changes_it() {
        let mut rng = Rng::new(9);
        let mut sizes = Sizes::default();
        (0..50_000).for_each(|_| sizes.take(rng.normal() as f32 * 0.5));
        let calm = sizes.deviation(0.01);
        assert!((calm - 0.5).abs() < 0.01, "{calm}");
        (0..40).for_each(|_| sizes.take(500.0));
        let after = sizes.deviation(0.01);
        assert!((after / calm - 1.0).abs() < 0.05, "{after}");
    }

    #[test]
    fn few_and_none_are_cautious() {
        let mut sizes = Sizes::default();
        assert!((sizes.deviation(0.1) - 0.1 * 11.0f64.sqrt()).abs() < 1e-9);
        (0..10).for_each(|_| sizes.take(1.0));
        assert!((sizes.deviation(0.1) - 2.0f64.sqrt()).abs() < 1e-9);
    }
}
