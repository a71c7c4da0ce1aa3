//! What a metric may be at a later moment: the middle, and the bands around it.

use foretwin_core::{Expectation, Timestamp, Window};

use super::Ahead;
use super::expect::{Origin, Standard};
use crate::feature::{Duty, Recipe};
use crate::outcome::NONE;

/// What a band tells quantiles of, and those of the standard normal distribution.
pub(super) const LEVELS: [f32; 7] = [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95];
pub(super) const NORMAL: [f32; 7] =
    [-1.644_853_6, -1.281_551_6, -0.674_489_75, 0.0, 0.674_489_75, 1.281_551_6, 1.644_853_6];
/// How much the closed loop gains by smaller held-out errors, as a power of their ratio.
const PREFERENCE: f64 = 6.0;

/// What a metric may be at a later moment, in its own unit (per second for counters); NaN where nothing is expected.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Band {
    /// Quantiles at [`Band::LEVELS`].
    pub quantiles: [f64; 7],
    /// Mean and scale of the same.
    pub expected: Expectation,
    /// Root mean square of held-out errors, by which ways to expect it are compared.
    pub held_out: f64,
    /// How many independent errors of late the band rests on: with less than a few it is a guess. NaN where it rests on
    /// held-out errors alone.
    pub independent: f64,
}

impl Band {
    /// One value in twenty lies below the first of the quantiles, one in ten below the second, and so on.
    pub const LEVELS: [f64; 7] = [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95];
    pub(crate) const NONE: Self =
        Self { quantiles: [f64::NAN; 7], expected: NONE, held_out: f64::NAN, independent: f64::NAN };

    /// Of a value that stays.
    #[must_use]
    pub fn certain(value: f64) -> Self {
        Self::normal(Expectation { mean: value, scale: 0.0 })
    }

    /// Of an expectation whose errors are taken to be normal.
    #[must_use]
    pub fn normal(expected: Expectation) -> Self {
        let quantiles = NORMAL.map(|quantile| expected.mean + f64::from(quantile) * expected.scale);
        Self { quantiles, expected, held_out: expected.scale, independent: f64::NAN }
    }

    /// With a closed loop's expectation of the same value at the native step of both: each weighs by its held-out error,
    /// and the band is the narrower the better the closed loop was.
    #[must_use]
    pub fn beside(self, closed: Expectation) -> Self {
        let direct = self.expected;
        if direct.mean.is_nan() || closed.mean.is_nan() {
            return if direct.mean.is_nan() { Self::normal(closed) } else { self };
        }
        let ratio = closed.scale / self.held_out.max(f64::MIN_POSITIVE);
        let weight = 1.0 / (1.0 + ratio.powf(PREFERENCE));
        let mean = direct.mean + weight * (closed.mean - direct.mean);
        let width = 1.0 - weight + weight * ratio.min(1.0);
        let quantiles = self.quantiles.map(|quantile| mean + width * (quantile - direct.mean));
        let expected = Expectation { mean, scale: width * direct.scale };
        Self { quantiles, expected, held_out: width * self.held_out, ..self }
    }
}

impl Ahead {
    /// The bands of all metrics of the schema at each of `moments`, as of the last frame of a recent window that should
    /// reach back [`Self::memory_s`]: moments × metrics. A moment beyond the farthest lead has none. The quantiles are
    /// those of what would have been missed lately, carried through the metric's transform.
    #[must_use]
    pub fn bands(&self, recipe: &Recipe, recent: &Window, moments: &[Timestamp]) -> Vec<Vec<Band>> {
        let mut bands = vec![vec![Band::NONE; recipe.features.len()]; moments.len()];
        let Some(&last) = recent.times.last() else { return bands };
        self.each_origin(recipe, (recent, &[last]), |at, limits| {
            for (bands, &moment) in bands.iter_mut().zip(moments) {
                let k = at.source.grid.row_of(moment) - at.row as i64;
                if k > 0 && k <= self.farthest() as i64 {
                    *bands = self.band(recipe, at, k as usize, limits);
                }
            }
        });
        bands
    }

    /// The bands of the rows that lie `steps` after each of the `origins` (moments in ascending order), each from frames
    /// up to its origin only: origins × steps × metrics of the schema. Beyond the farthest lead they widen as those of a
    /// random walk. Empty for a window without frames and for the recipe of another schema.
    #[must_use]
    pub fn bands_from(
        &self,
        recipe: &Recipe,
        window: &Window,
        (origins, steps): (&[Timestamp], &[usize]),
    ) -> Vec<Vec<Vec<Band>>> {
        let mut bands = Vec::with_capacity(origins.len());
        self.each_origin(recipe, (window, origins), |at, limits| {
            bands.push(steps.iter().map(|&k| self.band(recipe, at, k, limits)).collect());
        });
        bands
    }

    /// All metrics of the schema `k` rows ahead.
    fn band(&self, recipe: &Recipe, at: &Origin, k: usize, limits: &[f64]) -> Vec<Band> {
        let mut bands = vec![Band::NONE; recipe.features.len()];
        for (n, &column) in self.columns.iter().enumerate() {
            let Standard { mean, scale, held_out, independent, quantiles } = self.standard(at, (n, k));
            let (feature, limit) = (&recipe.features[column as usize], limits[column as usize]);
            let quantiles = quantiles.map(|off| feature.in_unit(mean + off, 0.0, limit).0);
            let held_out = feature.in_unit(mean, held_out, limit).1;
            let (mean, scale) = feature.in_unit(mean, scale, limit);
            bands[column as usize] = Band {
                quantiles,
                expected: Expectation { mean, scale },
                held_out,
                independent: f64::from(independent),
            };
        }
        for (column, feature) in recipe.features.iter().enumerate() {
            if let Duty::Duplicate { of } = feature.duty {
                bands[column] = bands[of];
            }
        }
        bands
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closed_loop_weighs_by_its_held_out_error() {
        let direct = Band::normal(Expectation { mean: 1.0, scale: 2.0 });
        let with = |scale: f64| direct.beside(Expectation { mean: 3.0, scale });
        assert!((with(2.0).expected.mean - 2.0).abs() < 1e-9 && with(2.0).expected.scale == 2.0);
        let better = with(0.5);
        assert!((better.expected.mean - 3.0).abs() < 0.01 && (better.expected.scale - 0.5).abs() < 0.01);
        assert!(better.quantiles.is_sorted() && (better.quantiles[3] - better.expected.mean).abs() < 1e-9);
        assert!((with(20.0).expected.mean - 1.0).abs() < 0.01, "a worse one says little");
        let closed = Expectation { mean: 3.0, scale: 1.0 };
        assert_eq!(Band::NONE.beside(closed).quantiles, Band::normal(closed).quantiles);
        assert_eq!(direct.beside(NONE).quantiles, direct.quantiles);
    }
}
