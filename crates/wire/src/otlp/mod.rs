//! OTLP metrics: a request of the OpenTelemetry protocol, as Protocol Buffers or JSON, becomes series.
//!
//! Source: `opentelemetry/proto/metrics/v1/metrics.proto` and `docs/specification.md` of opentelemetry-proto 1.x.
//! Histograms become cumulative buckets (`_bucket` with `le`), `_sum` and `_count`, as Prometheus has them; exponential
//! ones `_sum` and `_count`; summaries their quantiles, `_sum` and `_count`. Monotonic sums that say what was added
//! since the last sample are [`Nature::Delta`].

mod binary;
mod json;
mod message;

use foretwin_core::Timestamp;

use crate::Error;
use crate::series::{Arrival, Nature, Origin, Room, Series};
use message::{DELTA, HistogramPoint, KeyValue, Metric, NO_VALUE, NumberPoint, Request, SummaryPoint};

/// Reads an `ExportMetricsServiceRequest`.
///
/// # Errors
/// If the bytes are no such message, or would take too much memory.
pub fn decode(bytes: &[u8]) -> Result<Arrival, Error> {
    arrival(binary::request(bytes)?)
}

/// Reads the JSON form of the same.
///
/// # Errors
/// If the text is no such message, or would take too much memory.
pub fn decode_json(text: &[u8]) -> Result<Arrival, Error> {
    arrival(json::request(text)?)
}

/// Writes an `ExportMetricsServiceResponse`; `rejected` data points are a partial success.
#[must_use]
pub fn encode_response(rejected: usize, why: &str) -> Vec<u8> {
    let (mut partial, mut response) = (Vec::new(), Vec::new());
    if rejected > 0 || !why.is_empty() {
        crate::protobuf::put_number(1, rejected as u64, &mut partial);
        crate::protobuf::put_bytes(2, why.as_bytes(), &mut partial);
        crate::protobuf::put_bytes(1, &partial, &mut response);
    }
    response
}

fn arrival(request: Request) -> Result<Arrival, Error> {
    let (mut origins, mut room) = (Vec::new(), Room::new());
    for resource in request.resource_metrics {
        let mut series = Vec::new();
        for metric in resource.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
            read_metric(metric, &mut Out { room: &mut room, series: &mut series })?;
        }
        let resource = labels(&resource.resource.attributes, &mut room)?;
        origins.push(Origin { resource, series });
    }
    Ok(Arrival { origins, ..Arrival::default() })
}

/// Where series go.
struct Out<'a> {
    room: &'a mut Room,
    series: &'a mut Vec<Series>,
}

/// What the series of a metric have in common.
struct Head<'a> {
    name: &'a str,
    unit: &'a str,
    nature: Nature,
}

impl Out<'_> {
    fn push(
        &mut self,
        head: &Head<'_>,
        (suffix, labels): (&str, &[(String, String)]),
        (at, value): (u64, f64),
    ) -> Result<(), Error> {
        let bytes: usize = labels.iter().map(|(name, value)| name.len() + value.len() + 48).sum();
        self.room.take(head.name.len() + head.unit.len() + bytes, "metrics")?;
        let name = format!("{}{suffix}", head.name);
        let at = Timestamp((at / 1000).cast_signed());
        self.series.push(Series {
            name,
            labels: labels.to_vec(),
            unit: head.unit.to_owned(),
            nature: head.nature,
            points: vec![(at, value)],
        });
        Ok(())
    }
}

fn read_metric(metric: &Metric, out: &mut Out<'_>) -> Result<(), Error> {
    if metric.name.is_empty() {
        return Err(Error::invalid("metric", "has no name"));
    }
    let head = |nature| Head { name: &metric.name, unit: &metric.unit, nature };
    let counts = |temporality| if temporality == DELTA { Nature::Delta } else { Nature::Counter };
    if let Some(gauge) = &metric.gauge {
        gauge.data_points.iter().try_for_each(|point| number(point, &head(Nature::Gauge), out))?;
    }
    if let Some(sum) = &metric.sum {
        // What may also fall is a level; said as differences, it is a count that falls, which nothing here holds.
        let nature = if sum.is_monotonic || sum.aggregation_temporality == DELTA {
            counts(sum.aggregation_temporality)
        } else {
            Nature::Gauge
        };
        sum.data_points.iter().try_for_each(|point| number(point, &head(nature), out))?;
    }
    for histogram in [&metric.histogram, &metric.exponential_histogram].into_iter().flatten() {
        let head = head(counts(histogram.aggregation_temporality));
        histogram.data_points.iter().try_for_each(|point| buckets(point, &head, out))?;
    }
    if let Some(summary) = &metric.summary {
        summary.data_points.iter().try_for_each(|point| quantiles(point, metric, out))?;
    }
    Ok(())
}

fn number(point: &NumberPoint, head: &Head<'_>, out: &mut Out<'_>) -> Result<(), Error> {
    let labels = labels(&point.attributes, out.room)?;
    let value = match (point.as_double, point.as_int) {
        _ if point.flags & NO_VALUE != 0 => f64::NAN,
        (Some(double), _) => double,
        (None, Some(integer)) => integer as f64,
        (None, None) => return Ok(()),
    };
    out.push(head, ("", &labels), (point.time_unix_nano, value))
}

fn buckets(point: &HistogramPoint, head: &Head<'_>, out: &mut Out<'_>) -> Result<(), Error> {
    let mut labels = labels(&point.attributes, out.room)?;
    let gone = point.flags & NO_VALUE != 0;
    let or_gone = |value: f64| if gone { f64::NAN } else { value };
    let at = point.time_unix_nano;
    out.push(head, ("_count", &labels), (at, or_gone(point.count as f64)))?;
    if let Some(sum) = point.sum {
        out.push(head, ("_sum", &labels), (at, or_gone(sum)))?;
    }
    if point.bucket_counts.is_empty() {
        return Ok(());
    }
    if point.bucket_counts.len() != point.explicit_bounds.len() + 1 {
        return Err(Error::invalid("histogram", "must have one bucket more than bounds"));
    }
    labels.push(("le".into(), String::new()));
    let mut below = 0;
    for (at_bound, count) in point.bucket_counts.iter().enumerate() {
        below += *count;
        let bound = point.explicit_bounds.get(at_bound);
        if let Some(label) = labels.last_mut() {
            label.1 = bound.map_or_else(|| "+Inf".into(), f64::to_string);
        }
        out.push(head, ("_bucket", &labels), (at, or_gone(below as f64)))?;
    }
    Ok(())
}

fn quantiles(point: &SummaryPoint, metric: &Metric, out: &mut Out<'_>) -> Result<(), Error> {
    let mut labels = labels(&point.attributes, out.room)?;
    let (at, gone) = (point.time_unix_nano, point.flags & NO_VALUE != 0);
    let head = |nature| Head { name: &metric.name, unit: &metric.unit, nature };
    for (suffix, value) in [("_count", point.count as f64), ("_sum", point.sum)] {
        let value = if gone { f64::NAN } else { value };
        out.push(&head(Nature::Counter), (suffix, &labels), (at, value))?;
    }
    labels.push(("quantile".into(), String::new()));
    for quantile in &point.quantile_values {
        if let Some(label) = labels.last_mut() {
            label.1 = quantile.quantile.to_string();
        }
        out.push(&head(Nature::Gauge), ("", &labels), (at, quantile.value))?;
    }
    Ok(())
}

fn labels(attributes: &[KeyValue], room: &mut Room) -> Result<Vec<(String, String)>, Error> {
    let label = |attribute: &KeyValue| {
        let value = attribute.value.text();
        Ok((room.text(&attribute.key, "attribute")?, room.text(&value, "attribute")?))
    };
    attributes.iter().map(label).collect()
}

#[cfg(test)]
mod tests;
