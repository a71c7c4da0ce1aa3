//! What a partition holds in memory: frames not yet flushed, the latest of each series, and how far the log has
//! been applied.

use std::collections::HashMap;
use std::sync::Arc;

use foretwin_core::{Batch, DAY_US, InstanceId, MINUTE_US, Partition, Position, SchemaId, Timestamp, Value};

use crate::Error;
use crate::frames::{Frames, Rows, Span};

/// The memory of one partition.
#[derive(Debug, Default)]
pub(crate) struct Head {
    /// Offset of the first record not applied yet.
    pub(crate) applied: u64,
    /// Taken out to be flushed, not yet safe on disk, oldest first.
    pub(crate) frozen: Vec<Arc<Frozen>>,
    series: HashMap<SchemaId, HashMap<InstanceId, Slot>>,
    days: HashMap<InstanceId, Day>,
    /// Where `applied` stood when the last flush took its part.
    flushed: u64,
}

/// One series in memory.
#[derive(Debug)]
struct Slot {
    rows: Rows,
    latest_at: Timestamp,
    latest: Vec<Value>,
    kept_at: Timestamp,
}

/// What an instance has added on one day.
#[derive(Debug, Clone, Copy, Default)]
struct Day {
    number: i64,
    bytes: u64,
}

/// The frames of a partition that one flush writes.
#[derive(Debug)]
pub(crate) struct Frozen {
    pub(crate) partition: Partition,
    /// Ordered by instance, then schema.
    pub(crate) series: Vec<(InstanceId, SchemaId, Rows)>,
    pub(crate) bytes: u64,
}

/// What adding frames came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Added {
    pub(crate) bytes: u64,
    pub(crate) samples: u64,
    pub(crate) thinned: u64,
}

impl Head {
    /// Whether a series of an instance has been seen since the start.
    pub(crate) fn knows(&self, instance: &InstanceId, schema: SchemaId) -> Option<usize> {
        Some(self.series.get(&schema)?.get(instance)?.rows.width)
    }

    pub(crate) fn admit(&mut self, instance: &InstanceId, schema: SchemaId, width: usize) {
        let rows = Rows { width, ..Rows::default() };
        let never = Timestamp(i64::MIN);
        let slot = Slot { rows, latest_at: never, latest: Vec::new(), kept_at: never };
        self.series.entry(schema).or_default().insert(instance.clone(), slot);
    }

    /// Adds a batch whose series are all admitted.
    pub(crate) fn add(&mut self, batch: &Batch, quota_bytes: u64) -> Added {
        let mut added = Added::default();
        let Some(series) = self.series.get_mut(&batch.schema()) else { return added };
        for (instance, at, values) in batch.frames() {
            let Some(slot) = series.get_mut(instance) else { continue };
            let bytes = 8 * (values.len() as u64 + 1);
            if quota_bytes > 0 && !Day::admits(&mut self.days, (instance, at), bytes, quota_bytes) {
                // Beyond the quota a frame a minute stays.
                if at.since(slot.kept_at).abs() * 1e6 < MINUTE_US as f64 {
                    added.thinned += 1;
                    continue;
                }
            }
            slot.push(at, values);
            added.bytes += bytes;
            added.samples += values.len() as u64;
        }
        added
    }

    /// Adds one frame of an admitted series.
    pub(crate) fn add_one(
        &mut self,
        instance: &InstanceId,
        schema: SchemaId,
        at: Timestamp,
        values: &[Value],
    ) -> u64 {
        let slot = self.series.get_mut(&schema).and_then(|series| series.get_mut(instance));
        slot.map_or(0, |slot| {
            slot.push(at, values);
            8 * (values.len() as u64 + 1)
        })
    }

    /// Refuses a batch whose frames no reader would find; calls `admit` for each series not seen before.
    pub(crate) fn check(
        &mut self,
        position: Position,
        batch: &Batch,
        mut admit: impl FnMut(&InstanceId) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let (schema, width) = (batch.schema(), batch.width());
        for instance in batch.instances() {
            match self.knows(instance, schema) {
                Some(known) if known == width => {}
                Some(_) => return Err(Error::Width { position, schema, width }),
                None => {
                    admit(instance)?;
                    self.admit(instance, schema, width);
                }
            }
        }
        Ok(())
    }

    /// Takes what arrived since the last flush; `None` if nothing did.
    pub(crate) fn freeze(&mut self, partition: Partition) -> Option<Arc<Frozen>> {
        let mut series = Vec::new();
        for (&schema, slots) in &mut self.series {
            for (instance, slot) in slots {
                if !slot.rows.times.is_empty() {
                    series.push((instance.clone(), schema, slot.take()));
                }
            }
        }
        if series.is_empty() && self.applied == self.flushed {
            return None;
        }
        self.flushed = self.applied;
        series.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
        let bytes = series.iter().map(|(_, _, rows)| rows.bytes()).sum();
        let frozen = Arc::new(Frozen { partition, series, bytes });
        self.frozen.push(Arc::clone(&frozen));
        Some(frozen)
    }

    /// Starts from what was recovered.
    pub(crate) fn resume(&mut self, applied: u64) {
        (self.applied, self.flushed) = (applied, applied);
    }

    /// Drops the memory of an instance that is gone, once it has been flushed.
    pub(crate) fn forget(&mut self, gone: impl Fn(&InstanceId) -> bool) {
        for slots in self.series.values_mut() {
            slots.retain(|instance, slot| !slot.rows.times.is_empty() || !gone(instance));
        }
        self.series.retain(|_, slots| !slots.is_empty());
        self.days.retain(|instance, _| !gone(instance));
    }

    /// Frames in memory of one series, in arrival order.
    pub(crate) fn select(
        &self,
        instance: &InstanceId,
        schema: SchemaId,
        columns: &[usize],
        span: Span,
    ) -> Frames {
        let mut frames = Frames::new(columns.len());
        for frozen in &self.frozen {
            let found = frozen.series.binary_search_by(|(i, s, _)| (i, *s).cmp(&(instance, schema)));
            if let Ok(at) = found {
                frames.append(frozen.series[at].2.select(columns, span));
            }
        }
        if let Some(slot) = self.series.get(&schema).and_then(|slots| slots.get(instance)) {
            frames.append(slot.rows.select(columns, span));
        }
        frames
    }

    /// Earliest and latest frame in memory of a series.
    pub(crate) fn extent(&self, instance: &InstanceId, schema: SchemaId) -> Option<(Timestamp, Timestamp)> {
        let times = self.select(instance, schema, &[], Span::ALL).times;
        Some((*times.iter().min()?, *times.iter().max()?))
    }

    /// The frame with the latest time that arrived since the start.
    pub(crate) fn latest(&self, instance: &InstanceId, schema: SchemaId) -> Option<(Timestamp, Vec<Value>)> {
        let slot = self.series.get(&schema)?.get(instance)?;
        (slot.latest_at.0 != i64::MIN).then(|| (slot.latest_at, slot.latest.clone()))
    }
}

impl Slot {
    fn push(&mut self, at: Timestamp, values: &[Value]) {
        self.rows.push(at, values);
        self.kept_at = at;
        if at >= self.latest_at {
            self.latest_at = at;
            self.latest.clear();
            self.latest.extend_from_slice(values);
        }
    }

    /// Empties the slot; the next flush will want about as much room.
    fn take(&mut self) -> Rows {
        let room = Rows {
            width: self.rows.width,
            times: Vec::with_capacity(self.rows.times.len()),
            values: Vec::with_capacity(self.rows.values.len()),
        };
        std::mem::replace(&mut self.rows, room)
    }
}

impl Day {
    /// Counts a frame against its instance's day; false beyond the quota. After a restart the day starts anew.
    fn admits(
        days: &mut HashMap<InstanceId, Self>,
        (instance, at): (&InstanceId, Timestamp),
        bytes: u64,
        quota_bytes: u64,
    ) -> bool {
        let number = at.0.div_euclid(DAY_US);
        if !days.contains_key(instance) {
            days.insert(instance.clone(), Self { number, bytes: 0 });
        }
        let Some(day) = days.get_mut(instance) else { return true };
        // Frames that are a little late count into the running day; a clock set back begins a new one.
        if number > day.number || number < day.number - 1 {
            *day = Self { number, bytes: 0 };
        }
        day.bytes += bytes;
        day.bytes <= quota_bytes
    }
}
