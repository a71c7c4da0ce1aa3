//! Series of an instance that stand in one schema, and its newest frames, which late parts may still join.

use std::collections::VecDeque;
use std::sync::{Arc, LazyLock};

use foretwin_core::{InstanceId, MISSING, Metric, Role, Schema, SchemaId, Timestamp, Value};

use crate::sink::Sink;

/// Key of the column that every received frame has: how many samples came of it so far.
pub const SAMPLES: &str = "foretwin.receive.samples";
/// Frames held at least, by number ...
const FEWEST: usize = 4;
/// ... and for so long: what a frame is made of comes within seconds, and by then the store has it.
const HELD_US: i64 = 30 * foretwin_core::SECOND_US;
/// Values held at most; beyond, the oldest frames go.
const MOST_VALUES: usize = 1 << 16;

static MARK: LazyLock<Metric> = LazyLock::new(|| Metric::gauge(SAMPLES, "{sample}", Role::Command));

/// Whether a schema is one of received series.
#[must_use]
pub fn is_received(schema: &Schema) -> bool {
    schema.metrics().first().is_some_and(|first| first == &*MARK)
}

/// What kind of series stand together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Those that models see.
    Plain,
    /// Buckets of histograms: kept to take quantiles, too many to model.
    Buckets,
}

impl Class {
    pub fn of(metric: &Metric) -> Self {
        let bounded = metric.attributes.iter().any(|(name, _)| name == "le");
        if bounded && metric.name.ends_with("_bucket") { Self::Buckets } else { Self::Plain }
    }
}

/// Part of an instance's series.
#[derive(Debug)]
pub(super) struct Block {
    pub schema: Arc<Schema>,
    pub class: Class,
    /// In order of time.
    held: VecDeque<Held>,
    /// Frames up to here may be in the store without being held.
    floor: Timestamp,
}

/// A frame, as complete as it is so far.
#[derive(Debug)]
struct Held {
    at: Timestamp,
    values: Vec<Value>,
    heard: Timestamp,
    /// The last taking that handed it on, until that is durable.
    pending: Option<u64>,
    /// Whether the taking under way concerns it.
    touched: bool,
}

/// A sample on its way into a frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Put {
    pub column: usize,
    pub at: Timestamp,
    pub value: Value,
    /// Whether it is newer than all before of its series.
    pub newer: bool,
    pub join_us: i64,
    pub now: Timestamp,
}

impl Block {
    /// Of metrics of one class, in order of key so that equal instances have equal schemas.
    pub fn new(mut metrics: Vec<Metric>, class: Class) -> Self {
        metrics.sort_by_cached_key(Metric::key);
        let schema = Schema::new(std::iter::once(MARK.clone()).chain(metrics).collect());
        Self { schema, class, held: VecDeque::new(), floor: Timestamp(i64::MIN) }
    }

    /// A schema of an earlier life, which has frames up to `newest` in the store.
    pub fn known(schema: Arc<Schema>, newest: Timestamp) -> Self {
        let class = schema.metrics().get(1).map_or(Class::Plain, Class::of);
        Self { schema, class, held: VecDeque::new(), floor: newest }
    }

    pub fn id(&self) -> SchemaId {
        self.schema.id()
    }

    /// Series in it.
    pub fn series(&self) -> &[Metric] {
        &self.schema.metrics()[1..]
    }

    /// Puts a sample into the frame where it belongs; `recall` reads a frame back that is stored. False if it is there
    /// already.
    pub fn put(&mut self, put: Put, recall: impl FnOnce(Timestamp) -> Option<Vec<Value>>) -> bool {
        let place = self.held.partition_point(|frame| frame.at < put.at);
        if let Some(frame) = self.held.get_mut(place).filter(|frame| frame.at == put.at) {
            return frame.set(put.column, put.value);
        }
        let fits = |frame: &Held| match frame.values[put.column] {
            MISSING => put.newer,
            // Sent again, it is found where it once joined.
            value => !put.newer && value == put.value,
        };
        let distance = |at: usize| (self.held[at].at.0 - put.at.0).abs();
        let near = (0..self.held.len()).filter(|&at| distance(at) <= put.join_us && fits(&self.held[at]));
        if let Some(near) = near.min_by_key(|&at| distance(at)) {
            return self.held[near].set(put.column, put.value);
        }
        let stored = if put.at <= self.floor { recall(put.at) } else { None };
        let values = stored.unwrap_or_else(|| vec![MISSING; self.schema.width()]);
        let mut frame = Held { at: put.at, values, heard: put.now, pending: None, touched: false };
        let fresh = frame.set(put.column, put.value);
        self.held.insert(place, frame);
        fresh
    }

    /// Hands on what this taking concerns.
    pub fn emit(&mut self, (taking, now): (u64, Timestamp), instance: &InstanceId, sink: &mut dyn Sink) {
        for frame in self.held.iter_mut().filter(|frame| frame.touched) {
            frame.touched = false;
            frame.pending = Some(taking);
            let samples = frame.values[1..].iter().filter(|value| !value.is_missing()).count();
            frame.values[0] = Value::unsigned(samples as u64);
            sink.frame(instance, &self.schema, frame.at, &frame.values);
        }
        self.let_go(now);
    }

    /// What that taking handed on is durable.
    pub fn settle(&mut self, taking: u64) {
        for frame in self.held.iter_mut().filter(|frame| frame.pending == Some(taking)) {
            frame.pending = None;
        }
    }

    /// Lets frames go that are complete as far as anybody knows. One that never became durable is sent again.
    fn let_go(&mut self, now: Timestamp) {
        let most = (MOST_VALUES / self.schema.width()).max(FEWEST);
        while let Some(oldest) = self.held.front() {
            let rests = now.0.saturating_sub(oldest.heard.0) > HELD_US;
            if self.held.len() <= FEWEST || !(rests || self.held.len() > most) {
                break;
            }
            self.floor = self.floor.max(oldest.at);
            self.held.pop_front();
        }
    }
}

impl Held {
    /// Sets a value and marks the frame; false if it was there and is durable, or on its way.
    fn set(&mut self, column: usize, value: Value) -> bool {
        let fresh = self.values[column] != value;
        self.values[column] = value;
        // What is there and not durable is handed on again: its sender does not know that it arrived.
        self.touched |= fresh || self.pending.is_some();
        fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block() -> Block {
        let metric = |name: &str| Metric::gauge(name, "1", Role::Rate).stored(foretwin_core::Storage::F64);
        Block::new(vec![metric("b"), metric("a")], Class::Plain)
    }

    fn put(column: usize, at: i64, value: f64, newer: bool) -> Put {
        let (at, value, now) = (Timestamp(at), Value::float(value), Timestamp(0));
        Put { column, at, value, newer, join_us: 500, now }
    }

    /// Times and values, as they are handed on.
    #[derive(Default)]
    struct Seen(Vec<(i64, Vec<f64>)>);

    impl Sink for Seen {
        fn instance(&mut self, _: &foretwin_core::Instance) {}
        fn vanished(&mut self, _: &InstanceId, _: Timestamp) {}
        fn frame(&mut self, _: &InstanceId, schema: &Arc<Schema>, at: Timestamp, values: &[Value]) {
            let number = |(value, metric): (&Value, &Metric)| value.to_f64(metric.storage);
            self.0.push((at.0, values.iter().zip(schema.metrics()).map(number).collect()));
        }
    }

    fn emitted(block: &mut Block, taking: u64) -> Vec<(i64, Vec<f64>)> {
        let mut seen = Seen::default();
        block.emit((taking, Timestamp(0)), &InstanceId::new("i"), &mut seen);
        seen.0
    }

    #[test]
    fn parts_of_a_frame_come_together() {
        let mut block = block();
        assert!(block.put(put(1, 1000, 1.0, true), |_| None));
        assert_eq!(emitted(&mut block, 1)[0].1[..2], [1.0, 1.0]);
        // The other half: what is handed on holds both.
        assert!(block.put(put(2, 1000, 2.0, true), |_| None));
        assert_eq!(emitted(&mut block, 2), [(1000, vec![2.0, 1.0, 2.0])]);
        // Near enough to be of the same frame; then again, which changes nothing.
        assert!(block.put(put(1, 2000, 3.0, true), |_| None));
        assert!(block.put(put(2, 2300, 4.0, true), |_| None));
        assert_eq!(emitted(&mut block, 3), [(2000, vec![2.0, 3.0, 4.0])]);
        block.settle(3);
        assert!(!block.put(put(2, 2300, 4.0, false), |_| None));
        assert_eq!(emitted(&mut block, 4), []);
    }

    #[test]
    fn a_fast_series_keeps_its_own_times() {
        let mut block = block();
        for n in 0..20 {
            assert!(block.put(put(1, 10 * n, 5.0, true), |_| None), "{n}");
        }
        assert_eq!(emitted(&mut block, 1).len(), 20);
    }

    #[test]
    fn what_is_not_durable_is_handed_on_again() {
        let mut block = block();
        block.put(put(1, 1000, 1.0, true), |_| None);
        emitted(&mut block, 1);
        // The log refused; the sender tries again.
        assert!(!block.put(put(1, 1000, 1.0, false), |_| None));
        assert_eq!(emitted(&mut block, 2).len(), 1);
        block.settle(2);
        assert!(!block.put(put(1, 1000, 1.0, false), |_| None));
        assert_eq!(emitted(&mut block, 3).len(), 0);
    }

    #[test]
    fn what_is_no_longer_held_is_read_back() {
        let (one, other) = (block(), Value::float(9.0));
        let mut block = Block::known(one.schema, Timestamp(5000));
        let stored = |at: Timestamp| (at.0 == 3000).then(|| vec![Value(1), MISSING, other]);
        assert!(block.put(put(1, 3000, 1.0, false), stored));
        assert!(block.put(put(1, 4000, 1.0, false), stored));
        assert!(block.put(put(1, 6000, 1.0, true), |_| panic!("it is newer than all that is stored")));
        let seen = emitted(&mut block, 1);
        assert_eq!(seen[0], (3000, vec![2.0, 1.0, 9.0]));
        assert!(seen[1].1[2].is_nan() && seen.len() == 3);
    }
}
