//! The messages of OTLP that metrics need, as their JSON form names them.

use serde::{Deserialize, Deserializer};

/// `AggregationTemporality::DELTA`.
pub(super) const DELTA: u64 = 1;
/// Data point flag: there is no value (it went stale).
pub(super) const NO_VALUE: u64 = 1;

/// `ExportMetricsServiceRequest`.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Request {
    pub resource_metrics: Vec<ResourceMetrics>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ResourceMetrics {
    pub resource: Resource,
    pub scope_metrics: Vec<ScopeMetrics>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Resource {
    pub attributes: Vec<KeyValue>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct ScopeMetrics {
    pub metrics: Vec<Metric>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Metric {
    pub name: String,
    pub unit: String,
    pub gauge: Option<Numbers>,
    pub sum: Option<Numbers>,
    pub histogram: Option<Histogram>,
    pub exponential_histogram: Option<Histogram>,
    pub summary: Option<Summary>,
}

/// `Gauge` and `Sum`.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Numbers {
    pub data_points: Vec<NumberPoint>,
    #[serde(deserialize_with = "temporality")]
    pub aggregation_temporality: u64,
    pub is_monotonic: bool,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct NumberPoint {
    pub attributes: Vec<KeyValue>,
    #[serde(deserialize_with = "unsigned")]
    pub time_unix_nano: u64,
    #[serde(deserialize_with = "maybe_double")]
    pub as_double: Option<f64>,
    #[serde(deserialize_with = "maybe_signed")]
    pub as_int: Option<i64>,
    pub flags: u64,
}

/// `Histogram` and `ExponentialHistogram`, whose buckets are not read.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Histogram {
    pub data_points: Vec<HistogramPoint>,
    #[serde(deserialize_with = "temporality")]
    pub aggregation_temporality: u64,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct HistogramPoint {
    pub attributes: Vec<KeyValue>,
    #[serde(deserialize_with = "unsigned")]
    pub time_unix_nano: u64,
    #[serde(deserialize_with = "unsigned")]
    pub count: u64,
    #[serde(deserialize_with = "maybe_double")]
    pub sum: Option<f64>,
    #[serde(deserialize_with = "unsigneds")]
    pub bucket_counts: Vec<u64>,
    pub explicit_bounds: Vec<f64>,
    pub flags: u64,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Summary {
    pub data_points: Vec<SummaryPoint>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct SummaryPoint {
    pub attributes: Vec<KeyValue>,
    #[serde(deserialize_with = "unsigned")]
    pub time_unix_nano: u64,
    #[serde(deserialize_with = "unsigned")]
    pub count: u64,
    #[serde(deserialize_with = "double")]
    pub sum: f64,
    pub quantile_values: Vec<Quantile>,
    pub flags: u64,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Quantile {
    #[serde(deserialize_with = "double")]
    pub quantile: f64,
    #[serde(deserialize_with = "double")]
    pub value: f64,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct KeyValue {
    pub key: String,
    pub value: AnyValue,
}

/// One of its fields, or none.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct AnyValue {
    pub string_value: Option<String>,
    pub bool_value: Option<bool>,
    #[serde(deserialize_with = "maybe_signed")]
    pub int_value: Option<i64>,
    #[serde(deserialize_with = "maybe_double")]
    pub double_value: Option<f64>,
}

impl AnyValue {
    /// As a label has it. Lists, maps and bytes are empty: they name no series.
    pub(super) fn text(&self) -> String {
        let number = self.int_value.map(|value| value.to_string());
        let number = number.or_else(|| self.double_value.map(|value| value.to_string()));
        let other = number.or_else(|| self.bool_value.map(|value| value.to_string()));
        self.string_value.clone().or(other).unwrap_or_default()
    }
}

/// A number, or text of one: JSON has no 64 bits, and the format writes such numbers as text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Loose {
    Unsigned(u64),
    Signed(i64),
    Double(f64),
    Text(String),
}

fn wrong<E: serde::de::Error>(what: &str) -> E {
    E::custom(format!("expected {what}"))
}

impl Loose {
    fn unsigned<E: serde::de::Error>(self) -> Result<u64, E> {
        match self {
            Self::Unsigned(number) => Ok(number),
            Self::Text(text) => text.parse().map_err(|_| wrong("an unsigned integer")),
            Self::Signed(_) | Self::Double(_) => Err(wrong("an unsigned integer")),
        }
    }

    fn signed<E: serde::de::Error>(self) -> Result<i64, E> {
        match self {
            Self::Unsigned(number) => i64::try_from(number).map_err(|_| wrong("an integer of 64 bits")),
            Self::Signed(number) => Ok(number),
            Self::Text(text) => text.parse().map_err(|_| wrong("an integer")),
            Self::Double(_) => Err(wrong("an integer")),
        }
    }

    fn double<E: serde::de::Error>(self) -> Result<f64, E> {
        match self {
            Self::Unsigned(number) => Ok(number as f64),
            Self::Signed(number) => Ok(number as f64),
            Self::Double(number) => Ok(number),
            // "NaN", "Infinity" and "-Infinity" are read, too.
            Self::Text(text) => text.parse().map_err(|_| wrong("a number")),
        }
    }
}

fn unsigned<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    Loose::deserialize(from)?.unsigned()
}

fn unsigneds<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u64>, D::Error> {
    Vec::<Loose>::deserialize(from)?.into_iter().map(Loose::unsigned).collect()
}

fn double<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Loose::deserialize(from)?.double()
}

fn maybe_double<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    Option::<Loose>::deserialize(from)?.map(Loose::double).transpose()
}

fn maybe_signed<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    Option::<Loose>::deserialize(from)?.map(Loose::signed).transpose()
}

/// Enums are numbers in OTLP's JSON; some senders write their names all the same.
fn temporality<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    match Loose::deserialize(from)? {
        Loose::Text(text) => Ok(u64::from(text == "AGGREGATION_TEMPORALITY_DELTA")),
        other => other.unsigned(),
    }
}
