//! The Protocol Buffers form of OTLP.

use super::message::{
    AnyValue, Histogram, HistogramPoint, KeyValue, Metric, NumberPoint, Numbers, Quantile, Request,
    ResourceMetrics, ScopeMetrics, Summary, SummaryPoint,
};
use crate::Error;
use crate::protobuf::{Field, Fields};
use crate::series::Room;

pub(super) fn request(bytes: &[u8]) -> Result<Request, Error> {
    let mut room = Room::new();
    let mut request = Request::default();
    for field in Fields::of(bytes, "metrics request") {
        if let (1, resource) = field? {
            let read = resource_metrics(resource.bytes("resource metrics")?, &mut room)?;
            request.resource_metrics.push(read);
        }
    }
    Ok(request)
}

fn resource_metrics(bytes: &[u8], room: &mut Room) -> Result<ResourceMetrics, Error> {
    room.take(size_of::<ResourceMetrics>(), "resource metrics")?;
    let mut read = ResourceMetrics::default();
    for field in Fields::of(bytes, "resource metrics") {
        match field? {
            (1, resource) => {
                for field in Fields::of(resource.bytes("resource")?, "resource") {
                    if let (1, attribute) = field? {
                        read.resource.attributes.push(key_value(attribute, room)?);
                    }
                }
            }
            (2, scope) => {
                room.take(size_of::<ScopeMetrics>(), "scope metrics")?;
                let mut metrics = Vec::new();
                for field in Fields::of(scope.bytes("scope metrics")?, "scope metrics") {
                    if let (2, one) = field? {
                        metrics.push(metric(one.bytes("metric")?, room)?);
                    }
                }
                read.scope_metrics.push(ScopeMetrics { metrics });
            }
            _ => {}
        }
    }
    Ok(read)
}

fn metric(bytes: &[u8], room: &mut Room) -> Result<Metric, Error> {
    room.take(size_of::<Metric>(), "metrics")?;
    let mut metric = Metric::default();
    for field in Fields::of(bytes, "metric") {
        match field? {
            (1, name) => metric.name = room.text(name.text("metric name")?, "metric name")?,
            (3, unit) => metric.unit = room.text(unit.text("metric unit")?, "metric unit")?,
            (5, gauge) => metric.gauge = Some(numbers(gauge.bytes("gauge")?, room)?),
            (7, sum) => metric.sum = Some(numbers(sum.bytes("sum")?, room)?),
            (9, one) => metric.histogram = Some(histogram(one.bytes("histogram")?, (false, room))?),
            (10, one) => {
                metric.exponential_histogram =
                    Some(histogram(one.bytes("exponential histogram")?, (true, room))?);
            }
            (11, one) => metric.summary = Some(summary(one.bytes("summary")?, room)?),
            _ => {}
        }
    }
    Ok(metric)
}

fn numbers(bytes: &[u8], room: &mut Room) -> Result<Numbers, Error> {
    let mut numbers = Numbers::default();
    for field in Fields::of(bytes, "numbers") {
        match field? {
            (1, point) => numbers.data_points.push(number_point(point.bytes("data point")?, room)?),
            (2, kind) => numbers.aggregation_temporality = kind.number("temporality")?,
            (3, flag) => numbers.is_monotonic = flag.number("monotonic")? != 0,
            _ => {}
        }
    }
    Ok(numbers)
}

fn number_point(bytes: &[u8], room: &mut Room) -> Result<NumberPoint, Error> {
    room.take(size_of::<NumberPoint>(), "data points")?;
    let mut point = NumberPoint::default();
    for field in Fields::of(bytes, "data point") {
        match field? {
            (7, attribute) => point.attributes.push(key_value(attribute, room)?),
            (3, at) => point.time_unix_nano = at.number("time")?,
            (4, value) => point.as_double = Some(value.double("value")?),
            (6, value) => point.as_int = Some(value.number("value")?.cast_signed()),
            (8, flags) => point.flags = flags.number("flags")?,
            _ => {}
        }
    }
    Ok(point)
}

/// The points of both kinds of histogram say alike what is read of them, but for their attributes and buckets.
fn histogram(bytes: &[u8], (exponential, room): (bool, &mut Room)) -> Result<Histogram, Error> {
    let mut histogram = Histogram::default();
    for field in Fields::of(bytes, "histogram") {
        match field? {
            (1, point) => {
                let point = histogram_point(point.bytes("data point")?, (exponential, room))?;
                histogram.data_points.push(point);
            }
            (2, kind) => histogram.aggregation_temporality = kind.number("temporality")?,
            _ => {}
        }
    }
    Ok(histogram)
}

fn histogram_point(bytes: &[u8], (exponential, room): (bool, &mut Room)) -> Result<HistogramPoint, Error> {
    room.take(size_of::<HistogramPoint>() + 8 * bytes.len(), "data points")?;
    let mut point = HistogramPoint::default();
    let mut bounds = Vec::new();
    for field in Fields::of(bytes, "data point") {
        match (exponential, field?) {
            (false, (9, attribute)) | (true, (1, attribute)) => {
                point.attributes.push(key_value(attribute, room)?);
            }
            (_, (3, at)) => point.time_unix_nano = at.number("time")?,
            (_, (4, count)) => point.count = count.number("count")?,
            (_, (5, sum)) => point.sum = Some(sum.double("sum")?),
            (false, (6, counts)) => counts.fixed("bucket counts", &mut point.bucket_counts)?,
            (false, (7, some)) => some.fixed("explicit bounds", &mut bounds)?,
            (_, (10, flags)) => point.flags = flags.number("flags")?,
            _ => {}
        }
    }
    point.explicit_bounds = bounds.into_iter().map(f64::from_bits).collect();
    Ok(point)
}

fn summary(bytes: &[u8], room: &mut Room) -> Result<Summary, Error> {
    let mut summary = Summary::default();
    for field in Fields::of(bytes, "summary") {
        if let (1, point) = field? {
            summary.data_points.push(summary_point(point.bytes("data point")?, room)?);
        }
    }
    Ok(summary)
}

fn summary_point(bytes: &[u8], room: &mut Room) -> Result<SummaryPoint, Error> {
    room.take(size_of::<SummaryPoint>() + 8 * bytes.len(), "data points")?;
    let mut point = SummaryPoint::default();
    for field in Fields::of(bytes, "data point") {
        match field? {
            (7, attribute) => point.attributes.push(key_value(attribute, room)?),
            (3, at) => point.time_unix_nano = at.number("time")?,
            (4, count) => point.count = count.number("count")?,
            (5, sum) => point.sum = sum.double("sum")?,
            (6, quantile) => {
                let mut read = Quantile::default();
                for field in Fields::of(quantile.bytes("quantile")?, "quantile") {
                    match field? {
                        (1, of) => read.quantile = of.double("quantile")?,
                        (2, value) => read.value = value.double("value")?,
                        _ => {}
                    }
                }
                point.quantile_values.push(read);
            }
            (8, flags) => point.flags = flags.number("flags")?,
            _ => {}
        }
    }
    Ok(point)
}

fn key_value(field: Field<'_>, room: &mut Room) -> Result<KeyValue, Error> {
    room.take(size_of::<KeyValue>(), "attributes")?;
    let mut read = KeyValue::default();
    for field in Fields::of(field.bytes("attribute")?, "attribute") {
        match field? {
            (1, key) => read.key = room.text(key.text("attribute key")?, "attribute key")?,
            (2, value) => read.value = any_value(value.bytes("attribute value")?, room)?,
            _ => {}
        }
    }
    Ok(read)
}

fn any_value(bytes: &[u8], room: &mut Room) -> Result<AnyValue, Error> {
    let mut read = AnyValue::default();
    for field in Fields::of(bytes, "attribute value") {
        match field? {
            (1, text) => {
                read.string_value = Some(room.text(text.text("attribute value")?, "attribute value")?);
            }
            (2, flag) => read.bool_value = Some(flag.number("attribute value")? != 0),
            (3, number) => read.int_value = Some(number.number("attribute value")?.cast_signed()),
            (4, number) => read.double_value = Some(number.double("attribute value")?),
            _ => {}
        }
    }
    Ok(read)
}
