//! What a target last said, as a frame of a schema that changes seldom.

use std::collections::HashMap;
use std::sync::Arc;

use foretwin_core::{MISSING, Metric, Role, Schema, Storage, Value};

use super::guess;
use crate::exposition::Exposition;

/// Scrapes between two schemas: each new one costs everything downstream.
const PATIENCE: u64 = 10;
/// Scrapes after which a series not seen makes room for another.
const FORGET: u64 = 100;

/// Columns that every target has: what the scrape itself was like.
const OWN: usize = 5;

fn own() -> [Metric; OWN] {
    let scrape = |name: &str, unit, role| Metric::gauge(&format!("foretwin.scrape.{name}"), unit, role);
    [
        // A target that is down is an error of its own, not merely missing numbers.
        Metric::gauge("up", "1", Role::Errors),
        scrape("duration", "us", Role::Duration),
        scrape("series", "{series}", Role::Utilization),
        scrape("series.left_out", "{series}", Role::Errors),
        scrape("lines.malformed", "{line}", Role::Errors),
    ]
}

/// The columns of a target and their latest values.
#[derive(Debug)]
pub(super) struct Board {
    most: usize,
    columns: HashMap<String, Column>,
    schema: Arc<Schema>,
    values: Vec<Value>,
    scrapes: u64,
    schema_at: u64,
    owner: Option<String>,
}

#[derive(Debug)]
struct Column {
    metric: Metric,
    /// The scrape that last had it.
    seen: u64,
}

impl Board {
    pub fn new(most: usize) -> Self {
        let schema = Schema::new(own().into());
        let values = vec![MISSING; OWN];
        Self { most, columns: HashMap::new(), schema, values, scrapes: 0, schema_at: 0, owner: None }
    }

    /// How many scrapes were taken in, failed ones included.
    pub fn scrapes(&self) -> u64 {
        self.scrapes
    }

    /// The metrics of [`Board::values`].
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// The latest frame.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// The control group that answers, where it was found.
    pub fn owner(&self) -> Option<&str> {
        self.owner.as_deref()
    }

    /// Remembers whose the target is.
    pub fn own(&mut self, group: Option<String>) {
        self.owner = group;
    }

    /// The target did not answer: it is down, and everything it would have said is missing.
    pub fn failed(&mut self) {
        self.scrapes += 1;
        self.values.fill(MISSING);
        self.values[0] = Value::unsigned(0);
    }

    /// Takes in an answer. Series beyond the limit are left out, histogram buckets first; new ones wait until the
    /// schema may change again.
    pub fn update(&mut self, found: &Exposition<'_>, duration_us: u64) {
        self.scrapes += 1;
        let mut series: Vec<(String, Metric, f64)> = Vec::with_capacity(found.samples.len());
        for sample in &found.samples {
            let metric = guess::metric(sample, found.family(&sample.name));
            series.push((metric.key(), metric, sample.value));
        }
        // Buckets last, and otherwise in the order written.
        series.sort_by_key(|(_, metric, _)| metric.name.ends_with("_bucket"));
        for (key, ..) in &series {
            if let Some(column) = self.columns.get_mut(key) {
                column.seen = self.scrapes;
            }
        }
        let is_new = |(key, ..): &(String, Metric, f64)| !self.columns.contains_key(key);
        let may_change = self.columns.is_empty() || self.scrapes >= self.schema_at + PATIENCE;
        if may_change && series.iter().any(is_new) {
            self.extend(&series);
        }
        self.fill(&series, duration_us, found.malformed);
    }

    /// Makes room, adds what fits, and states a new schema if that changed anything.
    fn extend(&mut self, series: &[(String, Metric, f64)]) {
        let mut changed = false;
        if self.columns.len() >= self.most {
            let (before, now) = (self.columns.len(), self.scrapes);
            self.columns.retain(|_, column| now - column.seen <= FORGET);
            changed = before != self.columns.len();
        }
        for (key, metric, _) in series {
            if self.columns.len() >= self.most {
                break;
            }
            let seen = self.scrapes;
            self.columns.entry(key.clone()).or_insert_with(|| {
                changed = true;
                Column { metric: metric.clone(), seen }
            });
        }
        if changed {
            // In order of key, so that every instance of an application has the same schema.
            let mut keys: Vec<&String> = self.columns.keys().collect();
            keys.sort();
            let rest = keys.into_iter().map(|key| self.columns[key].metric.clone());
            self.schema = Schema::new(own().into_iter().chain(rest).collect());
            self.schema_at = self.scrapes;
        }
    }

    fn fill(&mut self, series: &[(String, Metric, f64)], duration_us: u64, malformed: usize) {
        self.values.clear();
        self.values.resize(self.schema.width(), MISSING);
        let mut left_out = 0u64;
        for (key, metric, value) in series {
            match self.schema.column(key) {
                // Infinity is a bound of a bucket or a broken ratio: nothing to learn from.
                Some(column) if column >= OWN && value.is_finite() => {
                    self.values[column] = Value::from_f64(*value, metric.storage);
                }
                Some(column) if column >= OWN => {}
                _ => left_out += 1,
            }
        }
        let own = [1, duration_us, series.len() as u64, left_out, malformed as u64];
        for (value, own) in self.values.iter_mut().zip(own) {
            *value = Value::from_f64(own as f64, Storage::U64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::parse;

    fn get(board: &Board, key: &str) -> Option<f64> {
        let column = board.schema().column(key)?;
        Some(board.values()[column].to_f64(board.schema().metrics()[column].storage))
    }

    #[test]
    fn what_goes_is_missing_and_what_comes_waits() {
        let mut board = Board::new(500);
        board.update(&parse("a 1\nb 2\n"), 7);
        let first = board.schema().id();
        assert_eq!(
            (get(&board, "a"), get(&board, "up"), get(&board, "foretwin.scrape.duration")),
            (Some(1.0), Some(1.0), Some(7.0))
        );
        for _ in 0..PATIENCE - 1 {
            board.update(&parse("a 1\nc 3\n"), 7);
            assert_eq!(
                (board.schema().id(), get(&board, "foretwin.scrape.series.left_out")),
                (first, Some(1.0))
            );
            assert!(get(&board, "b").unwrap().is_nan());
        }
        board.update(&parse("a 1\nc 3\n"), 7);
        assert_ne!(board.schema().id(), first);
        assert_eq!(
            (get(&board, "c"), get(&board, "foretwin.scrape.series.left_out")),
            (Some(3.0), Some(0.0))
        );
        assert!(get(&board, "b").unwrap().is_nan(), "what was once seen keeps its column");
    }

    #[test]
    fn a_target_that_is_down_loses_no_column() {
        let mut board = Board::new(500);
        board.update(&parse("a 1\n"), 7);
        let schema = board.schema().id();
        board.failed();
        assert_eq!((get(&board, "up"), board.schema().id(), board.scrapes()), (Some(0.0), schema, 2));
        assert!(get(&board, "a").unwrap().is_nan());
    }

    #[test]
    fn buckets_are_left_out_first() {
        let mut board = Board::new(2);
        let text = "# TYPE d histogram\nd_bucket{le=\"1\"} 1\nd_bucket{le=\"+Inf\"} 2\nd_sum 3\nd_count 2\n";
        board.update(&parse(text), 0);
        assert_eq!((get(&board, "d_sum"), get(&board, "d_count")), (Some(3.0), Some(2.0)));
        assert_eq!(
            (board.schema().width(), get(&board, "foretwin.scrape.series.left_out")),
            (OWN + 2, Some(2.0))
        );
    }

    #[test]
    fn series_long_gone_make_room() {
        let mut board = Board::new(1);
        board.update(&parse("old 1\n"), 0);
        for _ in 0..=FORGET {
            board.update(&parse("new 1\n"), 0);
        }
        assert_eq!((get(&board, "old"), get(&board, "new")), (None, Some(1.0)));
    }

    #[test]
    fn a_target_cannot_overwrite_what_is_said_of_it() {
        let mut board = Board::new(9);
        board.update(&parse("up 7\nx +Inf\ny NaN\n"), 0);
        assert_eq!(get(&board, "up"), Some(1.0));
        assert!(get(&board, "x").unwrap().is_nan() && get(&board, "y").unwrap().is_nan());
    }
}
