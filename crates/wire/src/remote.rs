//! Prometheus remote write (1.0 and 2.0) and remote read, without their compression.
//!
//! Sources: <https://prometheus.io/docs/specs/prw/remote_write_spec/>,
//! <https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/>, and `prompb/*.proto` of Prometheus.

use foretwin_core::Timestamp;

use crate::Error;
use crate::protobuf::{Field, Fields, put_bytes, put_double, put_number};
use crate::series::{Arrival, Nature, Origin, Room, Series};

/// Reads a `prometheus.WriteRequest`.
///
/// # Errors
/// If the bytes are no such message, or would take too much memory.
pub fn decode(bytes: &[u8]) -> Result<Arrival, Error> {
    let (mut arrival, mut room) = (Arrival::default(), Room::new());
    let mut all = Vec::new();
    for field in Fields::of(bytes, "write request") {
        match field? {
            (1, series) => read_series(series.bytes("time series")?, &mut room, &mut all)?,
            (3, family) => arrival.families.extend(read_family(family.bytes("metadata")?, &mut room)?),
            _ => {}
        }
    }
    arrival.origins.push(Origin { resource: Vec::new(), series: all });
    Ok(arrival)
}

/// Reads a `io.prometheus.write.v2.Request`, whose strings are numbered.
///
/// # Errors
/// If the bytes are no such message, or would take too much memory.
pub fn decode_v2(bytes: &[u8]) -> Result<Arrival, Error> {
    let (mut symbols, mut all, mut room) = (Vec::new(), Vec::new(), Room::new());
    for field in Fields::of(bytes, "write request") {
        if let (4, symbol) = field? {
            room.take(0, "symbols")?;
            symbols.push(symbol.text("symbol")?);
        }
    }
    for field in Fields::of(bytes, "write request") {
        if let (5, series) = field? {
            read_numbered(series.bytes("time series")?, (&symbols, &mut room), &mut all)?;
        }
    }
    Ok(Arrival { origins: vec![Origin { resource: Vec::new(), series: all }], ..Arrival::default() })
}

fn read_series(bytes: &[u8], room: &mut Room, into: &mut Vec<Series>) -> Result<(), Error> {
    let mut series = Series::default();
    let mut histograms = Vec::new();
    for field in Fields::of(bytes, "time series") {
        match field? {
            (1, label) => {
                let (name, value) = pair(label.bytes("label")?)?;
                add_label(&mut series, (name, value), room)?;
            }
            (2, sample) => series.points.push(read_sample(sample.bytes("sample")?, room)?),
            (4, histogram) => histograms.push(read_histogram(histogram.bytes("histogram")?, room)?),
            _ => {}
        }
    }
    finish(series, &histograms, into)
}

fn read_numbered(
    bytes: &[u8],
    (symbols, room): (&[&str], &mut Room),
    into: &mut Vec<Series>,
) -> Result<(), Error> {
    let (mut series, mut histograms, mut numbers) = (Series::default(), Vec::new(), Vec::new());
    for field in Fields::of(bytes, "time series") {
        match field? {
            (1, label) => label.varints("label references", &mut numbers)?,
            (2, sample) => series.points.push(read_sample(sample.bytes("sample")?, room)?),
            (3, histogram) => histograms.push(read_histogram(histogram.bytes("histogram")?, room)?),
            (5, metadata) => {
                for field in Fields::of(metadata.bytes("metadata")?, "metadata") {
                    if let (1, kind) = field? {
                        series.nature = nature(kind.number("metric type")?);
                    }
                }
            }
            _ => {}
        }
    }
    let symbol = |number: u64| {
        let symbol = usize::try_from(number).ok().and_then(|at| symbols.get(at));
        symbol
            .copied()
            .ok_or_else(|| Error::invalid("label reference", format!("there is no symbol {number}")))
    };
    if !numbers.len().is_multiple_of(2) {
        return Err(Error::invalid("label references", "a name without a value"));
    }
    for both in numbers.chunks_exact(2) {
        add_label(&mut series, (symbol(both[0])?, symbol(both[1])?), room)?;
    }
    finish(series, &histograms, into)
}

fn add_label(series: &mut Series, (name, value): (&str, &str), room: &mut Room) -> Result<(), Error> {
    if name == "__name__" {
        series.name = room.text(value, "metric name")?;
    } else {
        let label = (room.text(name, "label name")?, room.text(value, "label value")?);
        series.labels.push(label);
    }
    Ok(())
}

/// A native histogram is kept as its number and sum: buckets whose bounds move are no series.
fn finish(series: Series, histograms: &[[(Timestamp, f64); 2]], into: &mut Vec<Series>) -> Result<(), Error> {
    if series.name.is_empty() {
        return Err(Error::invalid("time series", "has no label __name__"));
    }
    if !histograms.is_empty() {
        for (at, suffix) in ["_count", "_sum"].into_iter().enumerate() {
            let points = histograms.iter().map(|both| both[at]).collect();
            let name = format!("{}{suffix}", series.name);
            into.push(Series { name, nature: Nature::Histogram, points, ..series.clone() });
        }
    }
    if !series.points.is_empty() {
        into.push(series);
    }
    Ok(())
}

fn pair(bytes: &[u8]) -> Result<(&str, &str), Error> {
    let (mut name, mut value) = ("", "");
    for field in Fields::of(bytes, "label") {
        match field? {
            (1, text) => name = text.text("label name")?,
            (2, text) => value = text.text("label value")?,
            _ => {}
        }
    }
    Ok((name, value))
}

fn read_sample(bytes: &[u8], room: &mut Room) -> Result<(Timestamp, f64), Error> {
    room.take(0, "samples")?;
    let (mut value, mut at) = (0.0, 0);
    for field in Fields::of(bytes, "sample") {
        match field? {
            (1, number) => value = number.double("sample value")?,
            (2, number) => at = number.number("sample time")?,
            _ => {}
        }
    }
    Ok((millis(at), value))
}

/// Number and sum of a native histogram.
fn read_histogram(bytes: &[u8], room: &mut Room) -> Result<[(Timestamp, f64); 2], Error> {
    room.take(0, "histograms")?;
    let (mut count, mut sum, mut at) = (0.0, 0.0, 0);
    for field in Fields::of(bytes, "histogram") {
        match field? {
            (1, Field::Varint(number)) => count = number as f64,
            (2, number) => count = number.double("histogram count")?,
            (3, number) => sum = number.double("histogram sum")?,
            (15, number) => at = number.number("histogram time")?,
            _ => {}
        }
    }
    Ok([(millis(at), count), (millis(at), sum)])
}

fn millis(at: u64) -> Timestamp {
    Timestamp(at.cast_signed().saturating_mul(1000))
}

fn read_family(bytes: &[u8], room: &mut Room) -> Result<Option<(String, Nature)>, Error> {
    let (mut name, mut kind) = ("", 0);
    for field in Fields::of(bytes, "metadata") {
        match field? {
            (1, number) => kind = number.number("metric type")?,
            (2, text) => name = text.text("metric family")?,
            _ => {}
        }
    }
    let kind = nature(kind);
    Ok(if kind == Nature::Untold { None } else { Some((room.text(name, "metric family")?, kind)) })
}

/// The metric types, numbered alike in both versions.
fn nature(kind: u64) -> Nature {
    match kind {
        1 => Nature::Counter,
        2 | 6 | 7 => Nature::Gauge,
        3 | 4 => Nature::Histogram,
        5 => Nature::Summary,
        _ => Nature::Untold,
    }
}

/// How a label must relate to a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// Equals it.
    Equal,
    /// Differs from it.
    NotEqual,
    /// Matches it as an anchored regular expression.
    Matches,
    /// Does not match it.
    MatchesNot,
}

/// One query of a remote read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadQuery {
    /// First moment, ms since the epoch.
    pub from_ms: i64,
    /// Last moment.
    pub to_ms: i64,
    /// What labels must be, `__name__` among them.
    pub matchers: Vec<(String, Relation, String)>,
}

/// Reads a `prometheus.ReadRequest`.
///
/// # Errors
/// If the bytes are no such message.
pub fn decode_read(bytes: &[u8]) -> Result<Vec<ReadQuery>, Error> {
    let (mut queries, mut room) = (Vec::new(), Room::new());
    for field in Fields::of(bytes, "read request") {
        let (1, query) = field? else { continue };
        let mut read = ReadQuery { from_ms: 0, to_ms: 0, matchers: Vec::new() };
        for field in Fields::of(query.bytes("query")?, "query") {
            match field? {
                (1, at) => read.from_ms = at.number("start")?.cast_signed(),
                (2, at) => read.to_ms = at.number("end")?.cast_signed(),
                (3, matcher) => read.matchers.push(read_matcher(matcher.bytes("matcher")?, &mut room)?),
                _ => {}
            }
        }
        room.take(0, "queries")?;
        queries.push(read);
    }
    Ok(queries)
}

fn read_matcher(bytes: &[u8], room: &mut Room) -> Result<(String, Relation, String), Error> {
    let (mut relation, mut name, mut value) = (Relation::Equal, "", "");
    for field in Fields::of(bytes, "matcher") {
        match field? {
            (1, kind) => {
                relation = match kind.number("matcher type")? {
                    0 => Relation::Equal,
                    1 => Relation::NotEqual,
                    2 => Relation::Matches,
                    3 => Relation::MatchesNot,
                    other => return Err(Error::invalid("matcher type", format!("{other} does not exist"))),
                }
            }
            (2, text) => name = text.text("matcher name")?,
            (3, text) => value = text.text("matcher value")?,
            _ => {}
        }
    }
    Ok((room.text(name, "matcher name")?, relation, room.text(value, "matcher value")?))
}

/// A series as a remote read answers it: labels sorted by name, and times in ms with values.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadSeries {
    /// Names and values, `__name__` among them.
    pub labels: Vec<(String, String)>,
    /// In order of time.
    pub points: Vec<(i64, f64)>,
}

/// Writes a `prometheus.ReadResponse`: a result for each query, in their order.
#[must_use]
pub fn encode_read(results: &[Vec<ReadSeries>]) -> Vec<u8> {
    let mut response = Vec::new();
    for result in results {
        let mut all = Vec::new();
        for series in result {
            put_bytes(1, &encode_series(&series.labels, &series.points), &mut all);
        }
        put_bytes(1, &all, &mut response);
    }
    response
}

/// Writes a `prometheus.TimeSeries`.
fn encode_series(labels: &[(String, String)], points: &[(i64, f64)]) -> Vec<u8> {
    let (mut series, mut part) = (Vec::new(), Vec::new());
    for (name, value) in labels {
        part.clear();
        put_bytes(1, name.as_bytes(), &mut part);
        put_bytes(2, value.as_bytes(), &mut part);
        put_bytes(1, &part, &mut series);
    }
    for &(at, value) in points {
        part.clear();
        put_double(1, value, &mut part);
        put_number(2, at.cast_unsigned(), &mut part);
        put_bytes(2, &part, &mut series);
    }
    series
}

/// Writes a `prometheus.WriteRequest`: what a sender sends.
#[must_use]
pub fn encode(series: &[ReadSeries]) -> Vec<u8> {
    let mut request = Vec::new();
    for one in series {
        put_bytes(1, &encode_series(&one.labels, &one.points), &mut request);
    }
    request
}

#[cfg(test)]
mod tests;
