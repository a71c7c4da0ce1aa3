//! What the model sees of a metric: counters as rates, levels against their limits, on a common scale.

use foretwin_core::{Storage, Timestamp, Value};
use serde::{Deserialize, Serialize};

/// How a metric's samples become numbers of one meaning.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transform {
    /// As it is.
    Level,
    /// Divided by the limit in another column.
    Ratio {
        /// Column of the limit.
        limit: usize,
    },
    /// A counter's growth per second.
    Rate,
    /// ln(1 + rate / unit): the rate of a counter whose bursts dwarf its ordinary pace.
    LogRate {
        /// The ordinary pace, per second.
        unit: f64,
    },
}

/// What the model does with a metric.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Duty {
    /// Expected and judged.
    Modelled,
    /// A known input: explains others, is never judged.
    Input,
    /// Never moved while learning: that it moves is evidence, that it stays is none.
    Constant,
    /// Equal to another column, which speaks for both.
    Duplicate {
        /// The other column.
        of: usize,
    },
    /// A limit, or never seen while learning: nothing is expected.
    Ignored,
}

/// One metric's entry in the recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Feature {
    /// How its samples are stored.
    pub storage: Storage,
    /// How they become numbers.
    pub transform: Transform,
    /// What they are used for.
    pub duty: Duty,
    /// Whether movement of the metric means that something went wrong (the role `errors`).
    pub grave: bool,
    /// Mean while learning, after the transform.
    pub center: f64,
    /// What one standardised unit is worth, after the transform; never zero.
    pub scale: f64,
}

/// The features of a schema as data: one [`Feature`] per metric, in its order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// One per metric of the schema.
    pub features: Vec<Feature>,
}

/// The latest sample of a counter, from which its next rate is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reading {
    pub value: Value,
    pub at: Timestamp,
}

impl Reading {
    pub const NONE: Self = Self { value: foretwin_core::MISSING, at: Timestamp(0) };
}

/// Standardised numbers beyond this say nothing more, and their squares must stay finite in `f32`.
const LARGEST: f64 = 1e6;

impl Recipe {
    /// The same recipe for frames whose columns are stored as `schema` says: means over minutes are doubles.
    pub(crate) fn stored_as(&self, schema: &foretwin_core::Schema) -> Self {
        let mut recipe = self.clone();
        for (feature, metric) in recipe.features.iter_mut().zip(schema.metrics()) {
            feature.storage = metric.storage;
        }
        recipe
    }

    /// The transformed sample of `column`, NaN where missing. `get` reads a column of the frame at `at`; `last` is
    /// the column's latest reading and moves on.
    pub(crate) fn transformed(
        &self,
        column: usize,
        at: Timestamp,
        get: impl Fn(usize) -> Value,
        last: &mut Reading,
    ) -> f64 {
        let feature = &self.features[column];
        let number = match feature.transform {
            Transform::Level => get(column).to_f64(feature.storage),
            Transform::Ratio { limit } => {
                let limit = get(limit).to_f64(self.features[limit].storage);
                if limit > 0.0 { get(column).to_f64(feature.storage) / limit } else { f64::NAN }
            }
            Transform::Rate => rate(feature.storage, get(column), at, last),
            Transform::LogRate { unit } => (rate(feature.storage, get(column), at, last) / unit).ln_1p(),
        };
        if number.is_finite() { number } else { f64::NAN }
    }
}

impl Feature {
    /// On the common scale.
    pub(crate) fn standardised(&self, transformed: f64) -> f32 {
        ((transformed - self.center) / self.scale).clamp(-LARGEST, LARGEST) as f32
    }

    /// Mean and scale, given on the common scale, in the metric's own unit (per second for counters). `limit` is the
    /// current limit for ratios.
    pub(crate) fn in_unit(&self, mean: f32, scale: f32, limit: f64) -> (f64, f64) {
        let (mean, scale) = (self.center + f64::from(mean) * self.scale, f64::from(scale) * self.scale);
        match self.transform {
            Transform::Level => (mean, scale),
            Transform::Ratio { .. } => (mean * limit, scale * limit),
            Transform::Rate => (mean.max(0.0), scale),
            Transform::LogRate { unit } => {
                let grown = mean.clamp(0.0, 60.0).exp();
                (unit * (grown - 1.0), unit * grown * scale)
            }
        }
    }

    /// A transformed number in the metric's own unit.
    pub(crate) fn observed(&self, transformed: f64, limit: f64) -> f64 {
        match self.transform {
            Transform::Level | Transform::Rate => transformed,
            Transform::Ratio { .. } => transformed * limit,
            Transform::LogRate { unit } => unit * transformed.exp_m1(),
        }
    }
}

/// Growth per second since the last reading, which may lie several frames back (some counters are read less often).
/// NaN where there is none, or where the counter fell: it was reset, and how far it came before that is unknown.
fn rate(storage: Storage, value: Value, at: Timestamp, last: &mut Reading) -> f64 {
    if value.is_missing() {
        return f64::NAN;
    }
    let before = std::mem::replace(last, Reading { value, at });
    let seconds = at.since(before.at);
    if before.value.is_missing() || seconds <= 0.0 {
        return f64::NAN;
    }
    let growth = match storage {
        // Differences first: beyond 2^53 a double no longer counts single steps.
        Storage::U64 => value.0.checked_sub(before.value.0).map_or(f64::NAN, |steps| steps as f64),
        _ => value.to_f64(storage) - before.value.to_f64(storage),
    };
    if growth >= 0.0 { growth / seconds } else { f64::NAN }
}

#[cfg(test)]
mod tests {
    use super::*;
    use foretwin_core::MISSING;

    fn rates(values: &[(i64, u64)]) -> Vec<f64> {
        let mut last = Reading::NONE;
        values
            .iter()
            .map(|&(second, value)| {
                rate(Storage::U64, Value(value), Timestamp(second * 1_000_000), &mut last)
            })
            .collect()
    }

    #[test]
    fn counters_become_rates_across_resets_and_missing_samples() {
        let big = 1u64 << 60;
        let seen = rates(&[(0, big), (1, big + 3), (2, u64::MAX), (4, big + 9), (5, 2), (6, 4)]);
        assert!(seen[0].is_nan(), "nothing to compare the first sample with");
        assert_eq!(seen[1], 3.0, "differences of large counters are exact");
        assert!(seen[2].is_nan(), "missing");
        assert_eq!(seen[3], 2.0, "the mean rate over the missing sample");
        assert!(seen[4].is_nan(), "a reset has no rate");
        assert_eq!(seen[5], 2.0);
    }

    #[test]
    fn repeated_and_earlier_times_have_no_rate() {
        assert!(rates(&[(5, 1), (5, 2), (4, 3)]).iter().all(|rate| rate.is_nan()));
    }

    fn feature(transform: Transform) -> Feature {
        Feature {
            storage: Storage::F64,
            transform,
            duty: Duty::Modelled,
            grave: false,
            center: 0.5,
            scale: 0.25,
        }
    }

    #[test]
    fn units_come_back() {
        for transform in [
            Transform::Level,
            Transform::Ratio { limit: 0 },
            Transform::Rate,
            Transform::LogRate { unit: 10.0 },
        ] {
            let feature = feature(transform);
            let (mean, scale) = feature.in_unit(2.0, 0.1, 8.0);
            assert!(
                (mean - feature.observed(0.5 + 2.0 * 0.25, 8.0)).abs() < 1e-9 && scale > 0.0,
                "{transform:?}"
            );
        }
    }

    #[test]
    fn a_ratio_needs_its_limit_and_infinities_are_missing() {
        let limited =
            Recipe { features: vec![feature(Transform::Ratio { limit: 1 }), feature(Transform::Level)] };
        let at = |limit: Value, value: f64| {
            let frame = [Value::float(value), limit];
            limited.transformed(0, Timestamp(0), |column| frame[column], &mut { Reading::NONE })
        };
        assert_eq!(at(Value::float(8.0), 2.0), 0.25);
        assert!(at(MISSING, 2.0).is_nan() && at(Value::float(0.0), 2.0).is_nan());
        assert!(at(Value::float(1.0), f64::INFINITY).is_nan());
    }
}
