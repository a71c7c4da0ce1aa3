//! Many frames of one instance, columnar, to learn or judge from.

use std::sync::Arc;

use crate::instance::InstanceId;
use crate::schema::Schema;
use crate::time::Timestamp;
use crate::value::Value;

/// Frames of one instance and one schema, in order of time. Values keep their stored bits, so that counters lose
/// nothing before their differences are taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// Whose.
    pub instance: InstanceId,
    /// Of what.
    pub schema: Arc<Schema>,
    /// When, ascending.
    pub times: Vec<Timestamp>,
    /// One column per metric of the schema, each as long as `times`.
    pub columns: Vec<Vec<Value>>,
}

impl Window {
    /// A window without frames.
    #[must_use]
    pub fn new(instance: InstanceId, schema: Arc<Schema>) -> Self {
        let columns = vec![Vec::new(); schema.width()];
        Self { instance, schema, times: Vec::new(), columns }
    }

    /// Frames in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether it has no frame.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Adds a frame at the end. Values beyond the schema's width are ignored, absent ones are missing.
    pub fn push(&mut self, at: Timestamp, values: &[Value]) {
        self.times.push(at);
        for (index, column) in self.columns.iter_mut().enumerate() {
            column.push(values.get(index).copied().unwrap_or(crate::value::MISSING));
        }
    }

    /// The column with this key as numbers, NaN where missing.
    #[must_use]
    pub fn numbers(&self, key: &str) -> Option<Vec<f64>> {
        let column = self.schema.column(key)?;
        let storage = self.schema.metrics()[column].storage;
        Some(self.columns[column].iter().map(|value| value.to_f64(storage)).collect())
    }

    /// The values of one frame, copied into `into` (cleared first).
    pub fn frame(&self, at: usize, into: &mut Vec<Value>) {
        into.clear();
        into.extend(self.columns.iter().map(|column| column[at]));
    }
}
