//! Records into memory.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use foretwin_core::{Batch, InstanceId, Partition, Position, Record, Schema};

use crate::head::Added;
use crate::{Error, Store};

impl Store {
    /// Takes a record in. What lies below [`Store::applied`] of its partition is ignored, so a log may be replayed
    /// from anywhere. Records of one partition come in order, from one thread at a time.
    ///
    /// # Errors
    /// [`Error::HeadFull`] leaves everything as it was: apply the same record again later. A batch that cannot be
    /// read back (unknown schema, wrong width, wrong partition) is refused whole and counts as applied.
    pub fn apply(&self, position: Position, record: &Record) -> Result<(), Error> {
        let mut head = self.head(position.partition);
        if position.offset < head.applied {
            return Ok(());
        }
        let result = match record {
            Record::Batch(batch) => {
                self.room()?;
                let places = head.check(position, batch, |instance| self.admit(position, instance, batch));
                places.map(|places| self.count(head.add(batch, &places, self.config.instance_quota_bytes)))
            }
            other => {
                self.catalog_write().apply(position, other);
                Ok(())
            }
        };
        if result.is_err() {
            self.counters.refused_batches.fetch_add(1, Ordering::Relaxed);
        }
        head.applied = position.offset + 1;
        result
    }

    /// Adds frames that were computed from a record (scores for instance), with a schema of their own. Add what
    /// follows from a record *before* applying the record: a flush between the two then has them made again after
    /// a crash, to the same effect, and never leaves them out.
    ///
    /// # Errors
    /// [`Error::HeadFull`], or frames that do not fit their schema or partition; nothing is added then.
    pub fn append_derived(
        &self,
        partition: Partition,
        schema: &Arc<Schema>,
        frames: &Batch,
    ) -> Result<(), Error> {
        self.room()?;
        let mut head = self.head(partition);
        let position = Position { partition, offset: head.applied };
        if frames.width() != schema.width() || frames.schema() != schema.id() {
            return Err(Error::Width { position, schema: schema.id(), width: frames.width() });
        }
        let places = head.check(position, frames, |instance| {
            belongs(position, instance)?;
            let mut catalog = self.catalog_write();
            catalog.intern(schema);
            catalog.uses(instance, schema.id());
            Ok(())
        })?;
        // What Foretwin says itself counts against nobody's quota.
        self.count(head.add(frames, &places, 0));
        Ok(())
    }

    fn count(&self, added: Added) {
        self.counters.held_bytes.fetch_add(added.bytes, Ordering::Relaxed);
        self.counters.samples.fetch_add(added.samples, Ordering::Relaxed);
        self.counters.thinned_frames.fetch_add(added.thinned, Ordering::Relaxed);
    }

    /// Whether memory takes more before the next flush.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.room().is_ok()
    }

    fn room(&self) -> Result<(), Error> {
        let held = self.counters.held_bytes.load(Ordering::Relaxed);
        if held > self.config.head_limit_bytes { Err(Error::HeadFull { held }) } else { Ok(()) }
    }

    /// Makes a series known at its first frame.
    fn admit(&self, position: Position, instance: &InstanceId, batch: &Batch) -> Result<(), Error> {
        belongs(position, instance)?;
        let (id, width) = (batch.schema(), batch.width());
        let mut catalog = self.catalog_write();
        match catalog.schema(id) {
            None => return Err(Error::UnknownSchema { position, schema: id }),
            Some(schema) if schema.width() != width => {
                return Err(Error::Width { position, schema: id, width });
            }
            Some(_) => catalog.uses(instance, id),
        }
        Ok(())
    }
}

fn belongs(position: Position, instance: &InstanceId) -> Result<(), Error> {
    let belongs = instance.partition();
    if belongs == position.partition {
        return Ok(());
    }
    Err(Error::Misplaced { position, instance: instance.clone(), belongs: belongs.0 })
}
