//! What senders say of families of series apart from their samples.

use std::collections::HashMap;

use foretwin_core::Metric;
use foretwin_wire::series::{Nature, Series};

use super::block::Class;
use crate::exposition::Type;
use crate::scrape::guess;

/// Families remembered at most.
const MOST: usize = 20_000;
/// What histograms and summaries add to the name of their family.
const SUFFIXES: [&str; 5] = ["_total", "_bucket", "_count", "_sum", "_created"];

/// Types by name of the family.
#[derive(Debug, Default)]
pub(super) struct Families {
    types: HashMap<String, Type>,
    generation: u64,
}

impl Families {
    /// Takes in what a request says.
    pub fn learn(&mut self, said: Vec<(String, Nature)>) {
        for (name, nature) in said {
            let Some(kind) = kind(nature) else { continue };
            if self.types.len() >= MOST && !self.types.contains_key(&name) {
                continue;
            }
            if self.types.insert(name, kind) != Some(kind) {
                self.generation += 1;
            }
        }
    }

    /// Changes when something becomes known.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The metric of a series with these labels.
    pub fn metric(&self, series: &Series, labels: Vec<(String, String)>) -> Metric {
        let family = kind(series.nature).unwrap_or_else(|| self.family(&series.name));
        let mut metric = guess::of(&series.name, labels, family);
        if !series.unit.is_empty() {
            metric.unit.clone_from(&series.unit);
        }
        if Class::of(&metric) == Class::Buckets {
            // Of the roles, the one that no model looks at.
            metric.role = foretwin_core::Role::Limit;
        }
        metric
    }

    fn family(&self, name: &str) -> Type {
        let own = self.types.get(name);
        let base = || SUFFIXES.iter().find_map(|suffix| self.types.get(name.strip_suffix(suffix)?));
        // Before anything is said, names that only histograms and summaries have.
        let parts = ["_bucket", "_count", "_sum"].iter().any(|suffix| name.ends_with(suffix));
        own.or_else(base).copied().unwrap_or(if parts { Type::Histogram } else { Type::Untyped })
    }

    /// Metrics as they would be taken for now, if that is otherwise than before.
    pub fn again(&self, metrics: &[Metric]) -> Option<Vec<Metric>> {
        let again = |metric: &Metric| {
            let known = self.types.contains_key(&metric.name)
                || SUFFIXES.iter().any(|end| {
                    metric.name.strip_suffix(end).is_some_and(|base| self.types.contains_key(base))
                });
            if !known {
                return metric.clone();
            }
            let series = Series { name: metric.name.clone(), ..Series::default() };
            let said = self.metric(&series, metric.attributes.clone());
            Metric { unit: metric.unit.clone(), ..said }
        };
        let now: Vec<Metric> = metrics.iter().map(again).collect();
        (now != metrics).then_some(now)
    }
}

fn kind(nature: Nature) -> Option<Type> {
    match nature {
        Nature::Untold => None,
        Nature::Gauge => Some(Type::Gauge),
        Nature::Counter | Nature::Delta => Some(Type::Counter),
        Nature::Histogram => Some(Type::Histogram),
        Nature::Summary => Some(Type::Summary),
    }
}
