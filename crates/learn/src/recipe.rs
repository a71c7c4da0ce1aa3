//! Chooses features from data: what is constant, what repeats another metric, on which scale the rest is seen.

use std::collections::HashMap;

use foretwin_core::{Fnv64, Kind, Metric, Role, Schema, Window};

use crate::Config;
use crate::feature::{Duty, Feature, Recipe, Transform};
use crate::table::Rows;

/// A counter is seen on a logarithmic scale where its largest rate is this many times an ordinary one.
const BURST: f64 = 20.0;
/// Part of the frames in which a limit must be known for a metric to be seen as a ratio to it.
const LIMIT_KNOWN: f64 = 0.9;

impl Recipe {
    /// Learns the features of a window's schema from the chosen rows.
    pub(crate) fn learn(window: &Window, rows: &Rows, config: &Config) -> Self {
        let schema = &window.schema;
        let features = schema.metrics().iter().map(|metric| initial(metric, schema)).collect();
        let mut recipe = Self { features };
        let mut known: HashMap<u64, usize> = HashMap::new();
        for (column, metric) in schema.metrics().iter().enumerate() {
            if metric.role == Role::Limit {
                continue;
            }
            if let Transform::Ratio { limit } = recipe.features[column].transform
                && !limit_is_known(&rows.column(window, &recipe, limit))
            {
                recipe.features[column].transform = Transform::Level;
            }
            let mut numbers = rows.column(window, &recipe, column);
            if let Some(unit) = burst_unit(recipe.features[column].transform, &numbers) {
                recipe.features[column].transform = Transform::LogRate { unit };
                numbers.iter_mut().for_each(|rate| *rate = (*rate / unit).ln_1p());
            }
            let Some(spread) = Spread::of(&numbers) else { continue };
            settle(&mut recipe.features[column], metric, &spread, config);
            if recipe.features[column].duty == Duty::Modelled {
                let of = *known.entry(digest(&numbers)).or_insert(column);
                if of != column {
                    recipe.features[column].duty = Duty::Duplicate { of };
                }
            }
        }
        recipe
    }

    /// Columns whose features have one of the given duties.
    pub(crate) fn columns(&self, wanted: impl Fn(Duty) -> bool) -> Vec<u32> {
        let chosen = self.features.iter().enumerate().filter(|(_, feature)| wanted(feature.duty));
        chosen.map(|(column, _)| column as u32).collect()
    }
}

fn initial(metric: &Metric, schema: &Schema) -> Feature {
    let limit = metric.capacity.as_ref().and_then(|capacity| schema.column(&capacity.limit));
    let transform = match (metric.kind, limit) {
        (Kind::Counter, _) => Transform::Rate,
        (Kind::Gauge, Some(limit)) => Transform::Ratio { limit },
        (Kind::Gauge, None) => Transform::Level,
    };
    let (duty, grave) = (Duty::Ignored, metric.role == Role::Errors);
    Feature { storage: metric.storage, transform, duty, grave, center: 0.0, scale: 1.0 }
}

fn limit_is_known(limits: &[f64]) -> bool {
    let known = limits.iter().filter(|&&limit| limit > 0.0).count();
    known as f64 >= LIMIT_KNOWN * limits.len() as f64
}

/// The ordinary pace of a bursty counter: the mean of all but its fastest twentieth.
fn burst_unit(transform: Transform, rates: &[f64]) -> Option<f64> {
    if transform != Transform::Rate {
        return None;
    }
    let mut rates: Vec<f64> = rates.iter().copied().filter(|rate| !rate.is_nan()).collect();
    rates.sort_unstable_by(f64::total_cmp);
    let ordinary = &rates[..rates.len() * 19 / 20];
    let (&largest, &pace) = (rates.last()?, ordinary.last()?);
    let mean = ordinary.iter().sum::<f64>() / ordinary.len() as f64;
    (largest > BURST * pace.max(1.0)).then(|| mean.max(largest * 1e-4).max(1e-9))
}

/// Where the numbers of a column lie.
struct Spread {
    count: f64,
    mean: f64,
    deviation: f64,
    range: f64,
    largest: f64,
}

impl Spread {
    fn of(numbers: &[f64]) -> Option<Self> {
        let seen = || numbers.iter().copied().filter(|number| !number.is_nan());
        let count = seen().count() as f64;
        if count < 2.0 {
            return None;
        }
        let mean = seen().sum::<f64>() / count;
        let deviation = (seen().map(|x| (x - mean).powi(2)).sum::<f64>() / count).sqrt();
        let (low, high) = seen().fold((f64::MAX, f64::MIN), |(low, high), x| (low.min(x), high.max(x)));
        Some(Self { count, mean, deviation, range: high - low, largest: high.abs().max(low.abs()) })
    }
}

/// Duty, center and scale of a feature whose spread is known.
fn settle(feature: &mut Feature, metric: &Metric, spread: &Spread, config: &Config) {
    feature.center = spread.mean;
    let share = metric.unit == "1" || matches!(feature.transform, Transform::Ratio { .. });
    if spread.range <= 1e-9 * spread.largest {
        // No range to measure by: a whole for shares, else the level itself, and at least one thing (per second).
        let range = if share { 1.0 } else { spread.largest.max(1.0) };
        feature.scale = config.scale_floor * range;
        feature.duty = if metric.is_scored() { Duty::Constant } else { Duty::Ignored };
        return;
    }
    // A short history has not seen the range yet: then the level is a hint of what may still come.
    let hint = 5.0 * spread.mean.abs() / spread.count;
    let least = if share { config.share_floor } else { 0.0 };
    feature.scale = spread.deviation.max(config.scale_floor * spread.range).max(hint).max(least);
    feature.duty = if metric.is_scored() { Duty::Modelled } else { Duty::Input };
}

fn digest(numbers: &[f64]) -> u64 {
    numbers.iter().fold(Fnv64::default(), |hash, number| hash.write(&number.to_le_bytes())).finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use foretwin_core::{FailureMode, InstanceId, Storage, Timestamp, Value};

    fn window(metrics: Vec<Metric>, row: impl Fn(u64) -> Vec<Value>) -> Window {
        let mut window = Window::new(InstanceId::new("a"), Schema::new(metrics));
        for n in 0..200 {
            window.push(Timestamp(n as i64 * 1_000_000), &row(n));
        }
        window
    }

    fn learned(window: &Window) -> Recipe {
        Recipe::learn(window, &Rows::choose(&window.times, 100_000), &Config::default())
    }

    #[test]
    fn duties_follow_what_is_seen() {
        let metrics = vec![
            Metric::gauge("moving", "1", Role::Utilization).stored(Storage::F64),
            Metric::gauge("same", "1", Role::Utilization).stored(Storage::F64),
            Metric::counter("oom", "{kill}", Role::Errors),
            Metric::gauge("absent", "1", Role::Rate),
            Metric::gauge("command", "1", Role::Command),
            Metric::gauge("limit", "By", Role::Limit),
            Metric::gauge("used", "By", Role::Utilization).against("limit", FailureMode::MemoryExhaustion),
        ];
        let window = window(metrics, |n| {
            let x = Value::float((n as f64 / 7.0).sin());
            let absent = foretwin_core::MISSING;
            vec![x, x, Value(3), absent, Value(n % 5), Value(1000), Value(100 + n)]
        });
        let recipe = learned(&window);
        let duties: Vec<Duty> = recipe.features.iter().map(|feature| feature.duty).collect();
        use Duty::{Constant, Duplicate, Ignored, Input, Modelled};
        assert_eq!(duties, [Modelled, Duplicate { of: 0 }, Constant, Ignored, Input, Ignored, Modelled]);
        assert!(recipe.features[2].grave && recipe.features[2].transform == Transform::Rate);
        assert_eq!(recipe.features[6].transform, Transform::Ratio { limit: 5 });
        assert!((recipe.features[6].center - 0.1995).abs() < 1e-9);
    }

    #[test]
    fn the_scale_has_a_floor_by_range() {
        let metrics = vec![Metric::gauge("spiky", "1", Role::Rate).stored(Storage::F64)];
        let window = window(metrics, |n| vec![Value::float(if n == 100 { 1.0 } else { 0.0 })]);
        let feature = &learned(&window).features[0];
        assert!(feature.scale >= 0.05);
    }

    #[test]
    fn bursty_counters_are_seen_logarithmically_and_limits_that_are_missing_are_not_used() {
        let metrics = vec![
            Metric::counter("bytes", "By", Role::Rate),
            Metric::gauge("used", "By", Role::Utilization).against("limit", FailureMode::MemoryExhaustion),
            Metric::gauge("limit", "By", Role::Limit),
        ];
        let window = window(metrics, |n| {
            vec![Value(n * 10 + if n > 150 { 1_000_000 } else { 0 }), Value(n), foretwin_core::MISSING]
        });
        let recipe = learned(&window);
        assert!(matches!(recipe.features[0].transform, Transform::LogRate { unit } if unit > 9.0));
        assert_eq!(recipe.features[1].transform, Transform::Level);
    }
}
