//! A sink that remembers what came, went and was last told of each instance.

use std::collections::BTreeMap;
use std::sync::Arc;

use foretwin_collect::Sink;
use foretwin_core::{Instance, InstanceId, Schema, Timestamp, Value};

#[derive(Default)]
pub struct Journal {
    pub here: BTreeMap<String, Instance>,
    pub gone: Vec<String>,
    pub last: BTreeMap<String, (Arc<Schema>, Vec<Value>)>,
    pub announcements: usize,
}

impl Sink for Journal {
    fn instance(&mut self, instance: &Instance) {
        self.announcements += 1;
        self.here.insert(instance.id.to_string(), instance.clone());
    }

    fn vanished(&mut self, instance: &InstanceId, _: Timestamp) {
        self.here.remove(instance.as_str());
        self.gone.push(instance.to_string());
    }

    fn frame(&mut self, instance: &InstanceId, schema: &Arc<Schema>, _: Timestamp, values: &[Value]) {
        assert_eq!(values.len(), schema.width());
        self.last.insert(instance.to_string(), (Arc::clone(schema), values.to_vec()));
    }
}

impl Journal {
    /// The last value of a metric, nothing where it was missing.
    pub fn value(&self, instance: &str, key: &str) -> Option<f64> {
        let (schema, values) = self.last.get(instance)?;
        let column = schema.column(key).unwrap_or_else(|| panic!("{instance} has no metric {key}"));
        let value = values[column];
        (!value.is_missing()).then(|| value.to_f64(schema.metrics()[column].storage))
    }

    pub fn ids(&self) -> Vec<&str> {
        self.here.keys().map(String::as_str).collect()
    }
}
