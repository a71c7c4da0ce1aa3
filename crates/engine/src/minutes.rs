//! The past of an instance by the minute, whatever its schema was called then: what forecasts of hours and days look at.

use std::sync::Arc;

use foretwin_core::{
    InstanceId, Kind, MINUTE_US, Metric, Schema, SchemaId, Storage, Timestamp, Value, Window,
};
use foretwin_store::Query;

use crate::Error;
use crate::pipeline::Pipeline;

/// Length of a row.
pub(crate) const ROW_US: i64 = MINUTE_US;

impl Pipeline {
    /// One row a minute of all series of a schema, gauges as means and doubles, counters as their last value. Minutes
    /// from before the schema came are there as far as an earlier one had the same series; frames that come less often
    /// than once a minute are there as they are.
    pub(crate) fn minutes(
        &self,
        id: &InstanceId,
        schema: SchemaId,
        (from, to): (Timestamp, Timestamp),
    ) -> Result<Window, Error> {
        let into = self.schema(schema).ok_or(Error::UnknownSchema(schema))?;
        let mut minutes = Window::new(id.clone(), doubles(&into));
        let from = Timestamp(from.0.div_euclid(ROW_US) * ROW_US);
        let to = Timestamp((to.0 - 1).div_euclid(ROW_US) * ROW_US + ROW_US);
        let points = ((to.0 - from.0) / ROW_US).max(1) as usize;
        for earlier in self.store.schemas(id) {
            let shared =
                into.metrics().iter().filter(|metric| earlier.column(&metric.key()).is_some()).count();
            // A schema with little in common is another source, not an earlier form of this one.
            if 2 * shared < into.width() {
                continue;
            }
            let all = Query::new(id.clone(), from, to);
            let query = Query { schema: Some(earlier.id()), max_points: Some(points), ..all };
            self.store.read(&query)?.iter().for_each(|window| append(&mut minutes, window));
        }
        sort(&mut minutes);
        Ok(minutes)
    }
}

/// The schema with gauges as doubles.
fn doubles(schema: &Schema) -> Arc<Schema> {
    let metric = |metric: &Metric| match metric.kind {
        Kind::Gauge => metric.clone().stored(Storage::F64),
        Kind::Counter => metric.clone(),
    };
    Schema::new(schema.metrics().iter().map(metric).collect())
}

/// Appends the series that both have; the others are missing.
fn append(into: &mut Window, window: &Window) {
    into.times.extend_from_slice(&window.times);
    let metrics = into.schema.metrics().iter();
    for (column, metric) in into.columns.iter_mut().zip(metrics) {
        let known = window.schema.column(&metric.key()).map(|at| (at, &window.schema.metrics()[at]));
        match known.filter(|(_, other)| other.kind == metric.kind) {
            Some((at, other)) if other.storage == metric.storage => {
                column.extend_from_slice(&window.columns[at]);
            }
            Some((at, other)) if metric.kind == Kind::Gauge => {
                let double = |value: &Value| match value.is_missing() {
                    true => foretwin_core::MISSING,
                    false => Value::float(value.to_f64(other.storage)),
                };
                column.extend(window.columns[at].iter().map(double));
            }
            _ => {}
        }
        column.resize(into.times.len(), foretwin_core::MISSING);
    }
}

/// Puts rows in the order of time; of two with one time the later schema's stays.
fn sort(window: &mut Window) {
    if window.times.is_sorted_by(|a, b| a < b) {
        return;
    }
    let mut order: Vec<usize> = (0..window.len()).collect();
    order.sort_by_key(|&row| (window.times[row], std::cmp::Reverse(row)));
    order.dedup_by_key(|&mut row| window.times[row]);
    window.times = order.iter().map(|&row| window.times[row]).collect();
    for column in &mut window.columns {
        *column = order.iter().map(|&row| column[row]).collect();
    }
}

#[cfg(test)]
mod tests {
    use foretwin_core::{MISSING, Role};

    use super::*;

    #[test]
    fn an_earlier_schema_lends_what_both_have() {
        let gauge = |name: &str| Metric::gauge(name, "1", Role::Rate);
        let counter = Metric::counter("c", "1", Role::Rate);
        let now = Schema::new(vec![gauge("new"), gauge("g"), counter.clone()]);
        let mut minutes = Window::new(InstanceId::new("a"), doubles(&now));
        let mut later = Window::new(InstanceId::new("a"), doubles(&now));
        later.push(Timestamp(2 * ROW_US), &[Value::float(1.0), Value::float(2.0), Value(30)]);
        let mut earlier = Window::new(InstanceId::new("a"), Schema::new(vec![counter, gauge("g")]));
        earlier.push(Timestamp(0), &[Value(10), Value(7)]);
        earlier.push(Timestamp(ROW_US), &[Value(20), MISSING]);
        [&later, &earlier].into_iter().for_each(|window| append(&mut minutes, window));
        sort(&mut minutes);
        assert_eq!(minutes.times, [0, 1, 2].map(|n| Timestamp(n * ROW_US)));
        assert_eq!(minutes.columns[0], [MISSING, MISSING, Value::float(1.0)]);
        assert_eq!(minutes.columns[1], [Value::float(7.0), MISSING, Value::float(2.0)]);
        assert_eq!(minutes.columns[2], [Value(10), Value(20), Value(30)]);
    }
}
