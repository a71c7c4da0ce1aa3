//! What a metric may be at a later moment: the middle, and the band that four of five values fall into.

use foretwin_core::{Expectation, Timestamp, Window};

use super::Ahead;
use crate::feature::{Duty, Recipe};
use crate::outcome::NONE;

/// What a metric may be at a later moment, in its own unit (per second for counters); NaN where nothing is expected.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Band {
    /// One value in ten lies below.
    pub p10: f64,
    /// One in two.
    pub p50: f64,
    /// Nine in ten.
    pub p90: f64,
    /// Mean and scale of the same, by which ways to expect it are compared.
    pub expected: Expectation,
}

impl Band {
    pub(crate) const NONE: Self = Self { p10: f64::NAN, p50: f64::NAN, p90: f64::NAN, expected: NONE };

    /// Of a value that stays.
    #[must_use]
    pub fn certain(value: f64) -> Self {
        let expected = Expectation { mean: value, scale: 0.0 };
        Self { p10: value, p50: value, p90: value, expected }
    }

    /// Of an expectation whose errors are taken to be normal.
    pub(crate) fn normal(expected: Expectation) -> Self {
        let [p10, p50, p90] =
            super::heads::normal().map(|quantile| expected.mean + f64::from(quantile) * expected.scale);
        Self { p10, p50, p90, expected }
    }
}

impl Ahead {
    /// The bands of all metrics of the schema at each of `moments`, as of the last frame of a recent window that should
    /// reach back [`Self::memory_s`]: moments × metrics. A moment beyond the farthest lead has none. The quantiles are
    /// those of held-out errors, carried through the metric's transform.
    #[must_use]
    pub fn bands(&self, recipe: &Recipe, recent: &Window, moments: &[Timestamp]) -> Vec<Vec<Band>> {
        let mut bands = vec![vec![Band::NONE; recipe.features.len()]; moments.len()];
        let Some(&last) = recent.times.last() else { return bands };
        self.each_origin(recipe, (recent, &[last]), |at, limits| {
            let mut room = Vec::new();
            for (bands, &moment) in bands.iter_mut().zip(moments) {
                let k = at.source.grid.row_of(moment) - at.row as i64;
                if k <= 0 || k > self.farthest() as i64 {
                    continue;
                }
                for (n, &column) in self.columns.iter().enumerate() {
                    let standard = self.standard(at, (n, k as usize), &mut room);
                    let (feature, limit) = (&recipe.features[column as usize], limits[column as usize]);
                    let (mean, scale) = feature.in_unit(standard.mean, standard.scale, limit);
                    let [p10, p50, p90] = standard.quantiles.map(|quantile| {
                        feature.in_unit(standard.mean + quantile * standard.scale, 0.0, limit).0
                    });
                    bands[column as usize] = Band { p10, p50, p90, expected: Expectation { mean, scale } };
                }
                speak_for_duplicates(recipe, bands);
            }
        });
        bands
    }
}

fn speak_for_duplicates(recipe: &Recipe, bands: &mut [Band]) {
    for (column, feature) in recipe.features.iter().enumerate() {
        if let Duty::Duplicate { of } = feature.duty {
            bands[column] = bands[of];
        }
    }
}
