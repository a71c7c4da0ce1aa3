//! Sinks for tests.

use std::sync::Arc;

use foretwin_collect::Sink;
use foretwin_core::{Instance, InstanceId, Schema, Timestamp, Value};

/// A frame as it was handed over.
type Kept = (InstanceId, Arc<Schema>, Timestamp, Vec<Value>);

/// Keeps everything.
#[derive(Default)]
pub struct Keeping {
    pub instances: Vec<Instance>,
    pub frames: Vec<Kept>,
}

impl Sink for Keeping {
    fn instance(&mut self, instance: &Instance) {
        self.instances.push(instance.clone());
    }

    fn vanished(&mut self, _: &InstanceId, _: Timestamp) {}

    fn frame(&mut self, instance: &InstanceId, schema: &Arc<Schema>, at: Timestamp, values: &[Value]) {
        assert_eq!(schema.width(), values.len());
        self.frames.push((instance.clone(), Arc::clone(schema), at, values.to_vec()));
    }
}

impl Keeping {
    /// The newest value of a metric, none where it is missing.
    pub fn newest(&self, key: &str) -> Option<f64> {
        self.of(self.frames.last()?, key)
    }

    /// The oldest value of a metric, none where it is missing.
    pub fn oldest(&self, key: &str) -> Option<f64> {
        self.of(self.frames.first()?, key)
    }

    fn of(&self, (_, schema, _, values): &Kept, key: &str) -> Option<f64> {
        let column = schema.column(key)?;
        Some(values[column].to_f64(schema.metrics()[column].storage)).filter(|value| !value.is_nan())
    }
}

/// Keeps nothing and allocates nothing.
#[derive(Default)]
pub struct Counting {
    pub frames: usize,
    pub schema: Option<Arc<Schema>>,
}

impl Sink for Counting {
    fn instance(&mut self, _: &Instance) {}

    fn vanished(&mut self, _: &InstanceId, _: Timestamp) {}

    fn frame(&mut self, _: &InstanceId, schema: &Arc<Schema>, _: Timestamp, _: &[Value]) {
        self.frames += 1;
        self.schema = Some(Arc::clone(schema));
    }
}
