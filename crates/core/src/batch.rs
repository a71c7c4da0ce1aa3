//! Many frames of one schema on their way.

use crate::instance::InstanceId;
use crate::schema::SchemaId;
use crate::time::Timestamp;
use crate::value::Value;

/// Who sent a batch, so that one sent twice is applied once: a batch whose sequence is not above the last one seen
/// of its (source, epoch) is a duplicate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Origin {
    /// The sender, chosen once per data directory or agent.
    pub source: u64,
    /// Which life of the sender; grows at every start.
    pub epoch: u64,
    /// Counts batches of the epoch from 1.
    pub sequence: u64,
}

/// Time and owner of one frame in a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Index into [`Batch::instances`].
    pub instance: u32,
    /// When the frame was read.
    pub at: Timestamp,
}

/// Frames of one schema, of one or many instances, with all their values in one block.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    origin: Origin,
    schema: SchemaId,
    width: usize,
    instances: Vec<InstanceId>,
    rows: Vec<Row>,
    values: Vec<Value>,
}

/// A batch whose parts do not fit together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchError(&'static str);

impl std::fmt::Display for BatchError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for BatchError {}

impl Batch {
    /// An empty batch of frames with `width` values each.
    #[must_use]
    pub fn new(schema: SchemaId, width: usize) -> Self {
        let (instances, rows, values) = (Vec::new(), Vec::new(), Vec::new());
        Self { origin: Origin::default(), schema, width, instances, rows, values }
    }

    /// A batch from decoded parts: `values` has shape rows × width, row by row.
    ///
    /// # Errors
    /// If the shape is wrong or a row names an instance that is not there.
    pub fn from_parts(
        (origin, schema, width): (Origin, SchemaId, usize),
        instances: Vec<InstanceId>,
        rows: Vec<Row>,
        values: Vec<Value>,
    ) -> Result<Self, BatchError> {
        if rows.len().checked_mul(width) != Some(values.len()) {
            return Err(BatchError("the number of values is not rows times width"));
        }
        if rows.iter().any(|row| row.instance as usize >= instances.len()) {
            return Err(BatchError("a row names an instance that the batch does not list"));
        }
        Ok(Self { origin, schema, width, instances, rows, values })
    }

    /// Adds a frame; `values` has one value per metric of the schema.
    ///
    /// # Errors
    /// If the number of values is not the batch's width.
    pub fn push(&mut self, instance: &InstanceId, at: Timestamp, values: &[Value]) -> Result<(), BatchError> {
        if values.len() != self.width {
            return Err(BatchError("a frame has another number of values than its schema"));
        }
        // Frames of one instance mostly follow each other, and batches of one sweep name each instance once.
        let index = match self.instances.last() {
            Some(last) if last == instance => self.instances.len() - 1,
            _ => self.instances.iter().position(|known| known == instance).unwrap_or_else(|| {
                self.instances.push(instance.clone());
                self.instances.len() - 1
            }),
        };
        self.rows.push(Row { instance: index as u32, at });
        self.values.extend_from_slice(values);
        Ok(())
    }

    /// The same batch, with its sender.
    #[must_use]
    pub fn from_origin(mut self, origin: Origin) -> Self {
        self.origin = origin;
        self
    }

    /// Who sent it.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// The schema of every frame.
    #[must_use]
    pub fn schema(&self) -> SchemaId {
        self.schema
    }

    /// Values per frame.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// The instances, each once.
    #[must_use]
    pub fn instances(&self) -> &[InstanceId] {
        &self.instances
    }

    /// Time and owner of each frame.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// All values, row by row: rows × width.
    #[must_use]
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// Instance, time and values of each frame, in arrival order.
    pub fn frames(&self) -> impl Iterator<Item = (&InstanceId, Timestamp, &[Value])> {
        self.rows.iter().enumerate().map(|(at, row)| {
            let values = &self.values[at * self.width..(at + 1) * self.width];
            (&self.instances[row.instance as usize], row.at, values)
        })
    }

    /// Whether it holds no frame.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many samples it holds.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.values.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_with_their_owner() {
        let mut batch = Batch::new(SchemaId(1), 2);
        let (a, b) = (InstanceId::new("a"), InstanceId::new("b"));
        for (id, at) in [(&a, 1), (&b, 1), (&a, 2)] {
            batch.push(id, Timestamp(at), &[Value(at as u64), Value(9)]).unwrap();
        }
        assert_eq!(batch.instances().len(), 2);
        let seen: Vec<_> = batch.frames().map(|(id, at, v)| (id.as_str(), at.0, v[0].0)).collect();
        assert_eq!(seen, [("a", 1, 1), ("b", 1, 1), ("a", 2, 2)]);
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        assert!(Batch::new(SchemaId(1), 2).push(&InstanceId::new("a"), Timestamp(0), &[Value(1)]).is_err());
        let row = Row { instance: 3, at: Timestamp(0) };
        let parts = Batch::from_parts((Origin::default(), SchemaId(1), 1), vec![], vec![row], vec![Value(1)]);
        assert!(parts.is_err());
    }
}
