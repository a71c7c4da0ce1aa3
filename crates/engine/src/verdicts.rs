//! What one batch led to, gathered so that it is stored and announced in one go.

use foretwin_core::{Batch, BatchError, InstanceId, Origin, Row, Schema, Timestamp, Value};

use crate::view::Event;

/// No verdict on an instance yet.
const NONE: u32 = u32::MAX;

/// Outputs of the instances of a batch, in the order of its frames.
pub(crate) struct Verdicts<'a> {
    /// The instances of the batch, and where they are among those with a verdict.
    known: &'a [InstanceId],
    schema: &'a Schema,
    place_of: Vec<u32>,
    instances: Vec<InstanceId>,
    rows: Vec<Row>,
    values: Vec<Value>,
}

impl<'a> Verdicts<'a> {
    pub(crate) fn of(batch: &'a Batch, schema: &'a Schema) -> Self {
        let (known, frames) = (batch.instances(), batch.rows().len());
        Self {
            known,
            schema,
            place_of: vec![NONE; known.len()],
            instances: Vec::with_capacity(known.len()),
            rows: Vec::with_capacity(frames),
            values: Vec::with_capacity(frames * schema.width()),
        }
    }

    /// Adds what is thought of an instance, by its number in the batch: a value for each metric of the schema.
    pub(crate) fn add(&mut self, instance: u32, at: Timestamp, frame: &[Value]) {
        let place = &mut self.place_of[instance as usize];
        if *place == NONE {
            *place = self.instances.len() as u32;
            self.instances.push(self.known[instance as usize].clone());
        }
        self.rows.push(Row { instance: *place, at });
        self.values.extend_from_slice(frame);
    }

    /// As telemetry.
    pub(crate) fn batch(self) -> Result<Batch, BatchError> {
        let head = (Origin::default(), self.schema.id(), self.schema.width());
        Batch::from_parts(head, self.instances, self.rows, self.values)
    }
}

/// What a batch of outputs is to those who listen.
pub(crate) fn events(outputs: &Batch) -> impl Iterator<Item = Event> {
    outputs.frames().map(|(instance, at_us, values)| {
        let number = |n: usize| values[n].to_f64(foretwin_core::Storage::F64);
        let score = Some(number(0)).filter(|score| score.is_finite());
        Event::Score { instance: instance.clone(), at_us, score, failure_probability: number(2) }
    })
}
