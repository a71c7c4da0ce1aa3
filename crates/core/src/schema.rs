//! An interned list of metrics, named by its content.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::hash::Fnv64;
use crate::metric::Metric;

/// The content hash of a schema: equal lists of metrics have equal ids, on every machine of a fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SchemaId(pub u64);

impl fmt::Display for SchemaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A list of metrics; samples of a frame stand in its order. A changed list is another schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    id: SchemaId,
    metrics: Vec<Metric>,
    by_key: HashMap<String, usize>,
}

impl Schema {
    /// Interns a list. Of metrics with the same key only the first stays.
    #[must_use]
    pub fn new(metrics: Vec<Metric>) -> Arc<Self> {
        let mut by_key = HashMap::with_capacity(metrics.len());
        let mut kept: Vec<Metric> = Vec::with_capacity(metrics.len());
        for metric in metrics {
            let at = kept.len();
            if let std::collections::hash_map::Entry::Vacant(vacant) = by_key.entry(metric.key()) {
                vacant.insert(at);
                kept.push(metric);
            }
        }
        let hash = kept.iter().fold(Fnv64::default(), |hash, metric| metric.digest(hash));
        Arc::new(Self { id: SchemaId(hash.finish()), metrics: kept, by_key })
    }

    /// The content hash.
    #[must_use]
    pub fn id(&self) -> SchemaId {
        self.id
    }

    /// The metrics, in the order of a frame's values.
    #[must_use]
    pub fn metrics(&self) -> &[Metric] {
        &self.metrics
    }

    /// How many values a frame has.
    #[must_use]
    pub fn width(&self) -> usize {
        self.metrics.len()
    }

    /// The column of the metric with this key.
    #[must_use]
    pub fn column(&self, key: &str) -> Option<usize> {
        self.by_key.get(key).copied()
    }
}

/// Written as the list of its metrics; the id follows from it.
impl Serialize for Schema {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.metrics.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::Role;

    #[test]
    fn id_follows_content_and_order() {
        let a = Metric::gauge("a", "1", Role::Rate);
        let b = Metric::gauge("b", "1", Role::Rate);
        let ab = Schema::new(vec![a.clone(), b.clone()]);
        assert_eq!(ab.id(), Schema::new(vec![a.clone(), b.clone()]).id());
        assert_ne!(ab.id(), Schema::new(vec![b, a.clone()]).id());
        assert_ne!(ab.id(), Schema::new(vec![a.clone(), Metric::gauge("b", "By", Role::Rate)]).id());
        assert_eq!(ab.column("b"), Some(1));
        assert_eq!(Schema::new(vec![a.clone(), a]).width(), 1);
    }
}
