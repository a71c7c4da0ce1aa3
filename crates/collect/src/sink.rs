//! The two faces of collection: what drives sources, and where their frames go.

use std::sync::Arc;

use foretwin_core::{Instance, InstanceId, Schema, Timestamp, Value};

use crate::error::Error;

/// Where a source puts what it reads. One implementation per destination (log, network, test).
pub trait Sink {
    /// An instance appeared, or what is known of it changed.
    fn instance(&mut self, instance: &Instance);
    /// An instance is gone.
    fn vanished(&mut self, instance: &InstanceId, at: Timestamp);
    /// A frame: `values` in the order of `schema`.
    fn frame(&mut self, instance: &InstanceId, schema: &Arc<Schema>, at: Timestamp, values: &[Value]);
    /// The tick is over: what was handed over since the last call belongs together.
    fn flush(&mut self) {}
}

/// One source of telemetry with its own rate.
pub trait Source: Send {
    /// Name for people, e.g. "machine", "groups".
    fn name(&self) -> &'static str;
    /// Reads once and hands the frames to `sink`. `at` is the wall clock at the tick.
    ///
    /// # Errors
    /// What could not be read. Whatever could be read was handed on before.
    fn read(&mut self, at: Timestamp, sink: &mut dyn Sink) -> Result<(), Error>;
}
