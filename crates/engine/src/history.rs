//! Stored series with what the model would have expected of them.

use std::sync::Arc;

use foretwin_core::{Expectation, HOUR_US, Kind, MINUTE_US, Metric, Schema, Timestamp, Value, Window};
use foretwin_learn::{Model, Outcome};
use foretwin_store::Query;

use crate::Error;
use crate::pipeline::Pipeline;
use crate::view::{SeriesView, WindowQuery, WindowView};

/// Frames before the asked window that warm the model.
const WARM: i64 = 60;
/// Longer spans come downsampled and without expectation: stepping the model over days takes seconds.
const LONG_US: i64 = 6 * HOUR_US + MINUTE_US;
/// A pause between frames longer than this ends a rate. The coarsest tier has a point an hour.
const GAP_S: f64 = 3.0 * 3600.0;

impl Pipeline {
    /// Series of an instance over a span of time.
    pub(crate) fn window(&self, query: &WindowQuery) -> Result<WindowView, Error> {
        self.known(&query.instance)?;
        let mut view = WindowView {
            instance: query.instance.clone(),
            from_us: query.from,
            to_us: query.to,
            series: Vec::new(),
        };
        for schema in self.store.schemas(&query.instance) {
            let wanted: Vec<usize> = (0..schema.width())
                .filter(|&at| query.metrics.is_empty() || query.metrics.contains(&schema.metrics()[at].key()))
                .collect();
            if !wanted.is_empty() {
                self.series(query, &schema, (&wanted, &mut view.series))?;
            }
        }
        Ok(view)
    }

    fn series(
        &self,
        query: &WindowQuery,
        schema: &Arc<Schema>,
        (wanted, into): (&[usize], &mut Vec<SeriesView>),
    ) -> Result<(), Error> {
        let model = self.with(&query.instance, |watched| {
            let feed = watched.feeds.iter().find(|feed| feed.schema.id() == schema.id());
            feed.and_then(|feed| feed.model().map(|(model, _)| model.clone()))
        });
        // An instance that is long gone has history and no model at work.
        let model = model.ok().flatten();
        let long = query.to.0.saturating_sub(query.from.0) > LONG_US;
        let model = model.filter(|_| !long);
        let step_us = model.as_ref().map_or(1_000_000, |model| (model.step_s() * 1e6) as i64);
        let read = Query {
            schema: Some(schema.id()),
            // The model needs every column; without one only the asked ones are read.
            metrics: model.is_none().then(|| wanted.iter().map(|&at| schema.metrics()[at].key()).collect()),
            max_points: long.then_some(query.points),
            ..Query::new(query.instance.clone(), query.from - WARM * step_us, query.to + 1)
        };
        for window in self.store.read(&read)? {
            let columns = wanted.iter().filter_map(|&at| {
                let metric = &schema.metrics()[at];
                window.schema.column(&metric.key()).map(|column| (column, metric))
            });
            let columns: Vec<(usize, &Metric)> = columns.collect();
            let series = expected(&window, &columns, model.as_deref(), query);
            merge(series, into);
        }
        Ok(())
    }
}

/// Joins series of the same key, as windows of successive schema versions give them, in order of time.
fn merge(series: Vec<SeriesView>, into: &mut Vec<SeriesView>) {
    for one in series.into_iter().filter(|one| !one.at_us.is_empty()) {
        match into.iter_mut().find(|known| known.metric == one.metric) {
            Some(known) => known.join(&one),
            None => into.push(one),
        }
    }
}

/// Steps the model over a window and keeps the asked columns from `query.from` on, thinned to the asked number of
/// points.
fn expected(
    window: &Window,
    columns: &[(usize, &Metric)],
    model: Option<&Model>,
    query: &WindowQuery,
) -> Vec<SeriesView> {
    let first = window.times.partition_point(|&at| at < query.from);
    let stride = (window.len() - first).div_ceil(query.points.max(1)).max(1);
    let mut stepped = model.map(|model| (model, model.start(), Outcome::default()));
    let mut series: Vec<SeriesView> = columns.iter().map(|(_, metric)| empty(metric)).collect();
    let mut frame = Vec::new();
    for row in 0..window.len() {
        window.frame(row, &mut frame);
        if let Some((model, state, outcome)) = &mut stepped {
            model.step(state, window.times[row], &frame, outcome);
        }
        if row < first || !(window.len() - 1 - row).is_multiple_of(stride) {
            continue;
        }
        for ((column, metric), series) in columns.iter().zip(&mut series) {
            let nothing = Expectation { mean: f64::NAN, scale: f64::NAN };
            let expectation = stepped.as_ref().and_then(|(.., outcome)| outcome.expectations.get(*column));
            let observed = observed(window, *column, metric, row);
            series.push(window.times[row], observed, expectation.copied().unwrap_or(nothing));
        }
    }
    series
}

fn empty(metric: &Metric) -> SeriesView {
    let unit = match metric.kind {
        Kind::Gauge => metric.unit.clone(),
        Kind::Counter => format!("{}/s", metric.unit),
    };
    let (at_us, observed, expected, scale) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    SeriesView {
        metric: metric.key(),
        unit,
        kind: metric.kind,
        role: metric.role,
        at_us,
        observed,
        expected,
        scale,
    }
}

/// What a chart shows of a sample: the level of a gauge, the rate of a counter since the sample before it.
pub(crate) fn observed(window: &Window, column: usize, metric: &Metric, row: usize) -> f64 {
    let values = &window.columns[column];
    if metric.kind == Kind::Gauge {
        return values[row].to_f64(metric.storage);
    }
    let Some(before) = row.checked_sub(1) else { return f64::NAN };
    rate((window.times[before], values[before]), (window.times[row], values[row]), metric)
}

/// Difference per second; NaN over a gap, a reset, or a clock that stood or went back.
fn rate(before: (Timestamp, Value), now: (Timestamp, Value), metric: &Metric) -> f64 {
    let seconds = now.0.since(before.0);
    if before.1.is_missing() || now.1.is_missing() || seconds <= 0.0 || seconds > GAP_S {
        return f64::NAN;
    }
    let difference = match metric.storage {
        foretwin_core::Storage::U64 => now.1.0.checked_sub(before.1.0).map(|d| d as f64),
        storage => Some(now.1.to_f64(storage) - before.1.to_f64(storage)).filter(|d| *d >= 0.0),
    };
    difference.map_or(f64::NAN, |difference| difference / seconds)
}

#[cfg(test)]
mod tests {
    use foretwin_core::{InstanceId, MISSING, Role};

    use super::*;

    #[test]
    fn counters_become_rates_and_resets_become_gaps() {
        let metric = Metric::counter("c", "By", Role::Rate);
        let at = |s: f64| Timestamp::from_seconds(s);
        assert_eq!(rate((at(0.0), Value(10)), (at(2.0), Value(30)), &metric), 10.0);
        assert!(rate((at(0.0), Value(10)), (at(2.0), Value(3)), &metric).is_nan());
        assert!(rate((at(0.0), Value(10)), (at(0.0), Value(30)), &metric).is_nan());
        assert!(rate((at(0.0), MISSING), (at(1.0), Value(30)), &metric).is_nan());
        assert!(rate((at(0.0), Value(1)), (at(1e6), Value(30)), &metric).is_nan());
    }

    #[test]
    fn long_windows_are_thinned_and_keep_their_end() {
        let schema = Schema::new(vec![Metric::gauge("g", "1", Role::Rate)]);
        let mut window = Window::new(InstanceId::new("a"), schema.clone());
        (0..1000).for_each(|t| window.push(Timestamp(t), &[Value(t as u64)]));
        let query = WindowQuery {
            instance: window.instance.clone(),
            metrics: vec![],
            from: Timestamp(100),
            to: Timestamp(999),
            points: 50,
        };
        let series = expected(&window, &[(0, &schema.metrics()[0])], None, &query);
        assert!((45..=50).contains(&series[0].at_us.len()));
        assert_eq!(series[0].at_us.last(), Some(&999));
        assert!(series[0].at_us[0] >= 100 && series[0].expected.iter().all(|x| x.is_nan()));
    }
}
