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
    series: HashMap<SchemaId, Table>,
    /// Where in `days` an instance is.
    day_of: HashMap<InstanceId, u32>,
    days: Vec<Day>,
    /// Where `applied` stood when the last flush took its part.
    flushed: u64,
}

/// The series of one schema. An instance is looked up once a batch, its slot is found by number afterwards.
#[derive(Debug)]
struct Table {
    width: usize,
    place_of: HashMap<InstanceId, u32>,
    slots: Vec<Slot>,
}

/// One series in memory.
#[derive(Debug)]
struct Slot {
    instance: InstanceId,
    /// Its instance's place in the days.
    day: u32,
    rows: Rows,
    latest_at: Timestamp,
    /// The latest frame of those that were flushed.
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
    /// Makes room for a series and gives its place.
    fn admit(&mut self, instance: &InstanceId, schema: SchemaId, width: usize) -> u32 {
        let days = &mut self.days;
        let day = *self.day_of.entry(instance.clone()).or_insert_with(|| {
            days.push(Day::default());
            days.len() as u32 - 1
        });
        let rows = Rows { width, ..Rows::default() };
        let never = Timestamp(i64::MIN);
        let instance = instance.clone();
        let slot = Slot { instance, day, rows, latest_at: never, latest: Vec::new(), kept_at: never };
        let table = self.series.entry(schema).or_insert_with(|| Table::new(width));
        table.put(slot)
    }

    /// Adds a batch to the places that [`Head::check`] gave. Without a quota everything stays.
    pub(crate) fn add(&mut self, batch: &Batch, places: &[u32], quota_bytes: u64) -> Added {
        let mut added = Added::default();
        let Some(table) = self.series.get_mut(&batch.schema()) else { return added };
        let bytes = 8 * (batch.width() as u64 + 1);
        for (n, row) in batch.rows().iter().enumerate() {
            let values = &batch.values()[n * batch.width()..(n + 1) * batch.width()];
            let slot = &mut table.slots[places[row.instance as usize] as usize];
            if quota_bytes > 0 && !self.days[slot.day as usize].admits(row.at, bytes, quota_bytes) {
                // Beyond the quota a frame a minute stays.
                if row.at.since(slot.kept_at).abs() * 1e6 < MINUTE_US as f64 {
                    added.thinned += 1;
                    continue;
                }
            }
            slot.push(row.at, values);
            added.bytes += bytes;
            added.samples += values.len() as u64;
        }
        added
    }

    /// The places of a batch's instances. Refuses a batch whose frames no reader would find; calls `admit` for each
    /// series not seen before.
    pub(crate) fn check(
        &mut self,
        position: Position,
        batch: &Batch,
        mut admit: impl FnMut(&InstanceId) -> Result<(), Error>,
    ) -> Result<Vec<u32>, Error> {
        let (schema, width) = (batch.schema(), batch.width());
        if self.series.get(&schema).is_some_and(|table| table.width != width) {
            return Err(Error::Width { position, schema, width });
        }
        let mut places = Vec::with_capacity(batch.instances().len());
        for instance in batch.instances() {
            let known = self.series.get(&schema).and_then(|table| table.place_of.get(instance));
            places.push(match known {
                Some(&place) => place,
                None => {
                    admit(instance)?;
                    self.admit(instance, schema, width)
                }
            });
        }
        Ok(places)
    }

    /// Takes what arrived since the last flush; `None` if nothing did.
    pub(crate) fn freeze(&mut self, partition: Partition) -> Option<Arc<Frozen>> {
        let mut series = Vec::new();
        for (&schema, table) in &mut self.series {
            for slot in &mut table.slots {
                if !slot.rows.times.is_empty() {
                    series.push((slot.instance.clone(), schema, slot.take()));
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
        for table in self.series.values_mut() {
            table.retain(|slot| !slot.rows.times.is_empty() || !gone(&slot.instance));
        }
        self.series.retain(|_, table| !table.slots.is_empty());
        let before = std::mem::take(&mut self.days);
        self.day_of.clear();
        for slot in self.series.values_mut().flat_map(|table| &mut table.slots) {
            let days = &mut self.days;
            let day = before[slot.day as usize];
            slot.day = *self.day_of.entry(slot.instance.clone()).or_insert_with(|| {
                days.push(day);
                days.len() as u32 - 1
            });
        }
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
        if let Some(slot) = self.slot(instance, schema) {
            frames.append(slot.rows.select(columns, span));
        }
        frames
    }

    fn slot(&self, instance: &InstanceId, schema: SchemaId) -> Option<&Slot> {
        let table = self.series.get(&schema)?;
        table.slots.get(*table.place_of.get(instance)? as usize)
    }

    /// Earliest and latest frame in memory of a series.
    pub(crate) fn extent(&self, instance: &InstanceId, schema: SchemaId) -> Option<(Timestamp, Timestamp)> {
        let times = self.select(instance, schema, &[], Span::ALL).times;
        Some((*times.iter().min()?, *times.iter().max()?))
    }

    /// The frame with the latest time that arrived since the start.
    pub(crate) fn latest(&self, instance: &InstanceId, schema: SchemaId) -> Option<(Timestamp, Vec<Value>)> {
        let slot = self.slot(instance, schema)?;
        (slot.latest_at.0 != i64::MIN).then(|| (slot.latest_at, slot.latest().to_vec()))
    }
}

impl Table {
    fn new(width: usize) -> Self {
        Self { width, place_of: HashMap::new(), slots: Vec::new() }
    }

    fn put(&mut self, slot: Slot) -> u32 {
        let place = self.slots.len() as u32;
        self.place_of.insert(slot.instance.clone(), place);
        self.slots.push(slot);
        place
    }

    fn retain(&mut self, keep: impl Fn(&Slot) -> bool) {
        if self.slots.iter().all(&keep) {
            return;
        }
        let slots = std::mem::take(&mut self.slots);
        self.place_of.clear();
        for slot in slots.into_iter().filter(keep) {
            self.put(slot);
        }
    }
}

impl Slot {
    fn push(&mut self, at: Timestamp, values: &[Value]) {
        self.rows.push(at, values);
        self.kept_at = at;
        self.latest_at = self.latest_at.max(at);
    }

    /// The last to arrive of the frames with the latest time.
    fn latest(&self) -> &[Value] {
        let row = self.rows.times.iter().rposition(|&at| at == self.latest_at);
        row.map_or(&self.latest, |row| &self.rows.values[row * self.rows.width..(row + 1) * self.rows.width])
    }

    /// Empties the slot; the next flush will want about as much room.
    fn take(&mut self) -> Rows {
        self.latest = self.latest().to_vec();
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
    fn admits(&mut self, at: Timestamp, bytes: u64, quota_bytes: u64) -> bool {
        let number = at.0.div_euclid(DAY_US);
        // Frames that are a little late count into the running day; a clock set back begins a new one.
        if number > self.number || number < self.number - 1 {
            *self = Self { number, bytes: 0 };
        }
        self.bytes += bytes;
        self.bytes <= quota_bytes
    }
}
