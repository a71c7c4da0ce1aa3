//! How requests fare, from the histogram of durations that an application keeps (Prometheus' convention: cumulative
//! buckets `NAME_bucket{le=..}`, in seconds).

use std::sync::Arc;

use foretwin_core::{Schema, SchemaId, Timestamp, Value};

/// Rate and latency over the last second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Fared {
    pub at: Timestamp,
    /// Requests per second.
    pub rate: f64,
    /// Seconds.
    pub p50_s: f64,
    pub p90_s: f64,
}

#[derive(Debug)]
struct Histogram {
    schema: SchemaId,
    /// Upper bound in seconds and columns that count up to it, ascending.
    buckets: Vec<(f64, Vec<usize>)>,
}

/// Follows the histogram of one application.
#[derive(Debug, Default)]
pub(super) struct Requests {
    histogram: Option<Histogram>,
    last: Option<(Timestamp, Vec<f64>)>,
    pub latest: Option<Fared>,
}

impl Requests {
    /// Takes a frame; nothing happens if the schema has no histogram of durations.
    pub(super) fn take(&mut self, schema: &Arc<Schema>, at: Timestamp, values: &[Value]) {
        if self.histogram.as_ref().is_none_or(|known| known.schema != schema.id()) {
            let Some(histogram) = Histogram::of(schema) else { return };
            (self.histogram, self.last) = (Some(histogram), None);
        }
        let Some(histogram) = &self.histogram else { return };
        let number = |&column: &usize| values[column].to_f64(schema.metrics()[column].storage);
        let counts: Vec<f64> =
            histogram.buckets.iter().map(|(_, columns)| columns.iter().map(number).sum()).collect();
        if let Some((before, last)) = &self.last {
            let counted: Vec<f64> = counts.iter().zip(last).map(|(now, last)| now - last).collect();
            let bounds: Vec<f64> = histogram.buckets.iter().map(|(bound, _)| *bound).collect();
            self.latest = fared(&bounds, &counted, (at, at.since(*before)));
        }
        self.last = Some((at, counts));
    }
}

impl Histogram {
    /// The first histogram whose name says that it is of durations, requests before others.
    fn of(schema: &Schema) -> Option<Self> {
        let name = |metric: &foretwin_core::Metric| metric.name.strip_suffix("_bucket").map(str::to_owned);
        let mut names: Vec<String> = schema.metrics().iter().filter_map(name).collect();
        names.retain(|name| {
            name.contains("duration") || name.contains("latency") || name.ends_with("_seconds")
        });
        names.sort_by_key(|name| (!name.contains("request"), name.clone()));
        let chosen = format!("{}_bucket", names.first()?);
        let mut buckets: Vec<(f64, Vec<usize>)> = Vec::new();
        for (column, metric) in schema.metrics().iter().enumerate().filter(|(_, m)| m.name == chosen) {
            let le = metric.attributes.iter().find(|(name, _)| name == "le")?;
            let bound: f64 = if le.1 == "+Inf" { f64::INFINITY } else { le.1.parse().ok()? };
            match buckets.iter_mut().find(|(known, _)| *known == bound) {
                Some((_, columns)) => columns.push(column),
                None => buckets.push((bound, vec![column])),
            }
        }
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        (buckets.len() > 1).then(|| Self { schema: schema.id(), buckets })
    }
}

/// Quantiles linear within a bucket; the last one, without an end, counts as its beginning.
fn fared(bounds: &[f64], counted: &[f64], (at, seconds): (Timestamp, f64)) -> Option<Fared> {
    let all = *counted.last()?;
    // A counter that fell was reset.
    if seconds <= 0.0 || counted.iter().any(|count| *count < 0.0 || count.is_nan()) {
        return None;
    }
    let quantile = |share: f64| {
        let wanted = share * all;
        let bucket = counted.iter().position(|&count| count >= wanted)?;
        let (begin, before) = bucket.checked_sub(1).map_or((0.0, 0.0), |b| (bounds[b], counted[b]));
        let (end, within) = (bounds[bucket], counted[bucket] - before);
        if !end.is_finite() || within <= 0.0 {
            return Some(begin);
        }
        Some(begin + (end - begin) * (wanted - before) / within)
    };
    let of = |share: f64| if all > 0.0 { quantile(share).unwrap_or(f64::NAN) } else { f64::NAN };
    Some(Fared { at, rate: all / seconds, p50_s: of(0.5), p90_s: of(0.9) })
}

#[cfg(test)]
mod tests {
    use foretwin_core::{Metric, Role};

    use super::*;

    #[test]
    fn quantiles_come_from_what_was_counted_between_two_frames() {
        let bucket = |le: &str| {
            Metric::counter("http_request_duration_seconds_bucket", "1", Role::Rate).with("le", le)
        };
        let schema = Schema::new(vec![
            bucket("0.1"),
            bucket("+Inf"),
            bucket("0.2"),
            Metric::counter("http_request_duration_seconds_count", "1", Role::Rate),
        ]);
        let mut requests = Requests::default();
        let mut take = |second: f64, counts: [u64; 4]| {
            requests.take(&schema, Timestamp::from_seconds(second), &counts.map(Value::unsigned));
            requests.latest
        };
        assert!(take(1.0, [100, 100, 100, 100]).is_none());
        let fared = take(3.0, [150, 200, 200, 200]).unwrap();
        assert_eq!((fared.rate, fared.p50_s), (50.0, 0.1));
        assert!((fared.p90_s - 0.18).abs() < 1e-12);
        assert!(take(4.0, [0, 0, 0, 0]).is_none(), "a reset");
        let idle = take(5.0, [0, 0, 0, 0]).unwrap();
        assert!(idle.rate == 0.0 && idle.p50_s.is_nan());
    }
}
