//! Both forms of OTLP say the same, and neither takes what cannot be.

use proptest::prelude::*;

use super::*;
use crate::protobuf::{put_bytes, put_double, put_number};

fn put_fixed(number: u64, value: u64, into: &mut Vec<u8>) {
    put_double(number, f64::from_bits(value), into);
}

fn message(fields: &[(u64, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    fields.iter().for_each(|(number, field)| put_bytes(*number, field, &mut bytes));
    bytes
}

fn attribute(key: &str, value: &str) -> Vec<u8> {
    message(&[(1, key.as_bytes()), (2, &message(&[(1, value.as_bytes())]))])
}

/// A request with a counter, and a histogram with bounds 0.1 and 1.
fn request(temporality: u64) -> Vec<u8> {
    let mut point = message(&[(7, &attribute("method", "GET"))]);
    put_fixed(3, 1_700_000_000_000_000_000, &mut point);
    put_fixed(6, 42, &mut point);
    let mut sum = message(&[(1, &point)]);
    put_number(2, temporality, &mut sum);
    put_number(3, 1, &mut sum);
    let mut point = message(&[(9, &attribute("method", "GET"))]);
    put_fixed(3, 1_700_000_000_000_000_000, &mut point);
    put_fixed(4, 10, &mut point);
    put_double(5, 7.5, &mut point);
    let packed = |numbers: &[u64]| numbers.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>();
    put_bytes(6, &packed(&[5, 3, 2]), &mut point);
    put_bytes(7, &packed(&[0.1f64.to_bits(), 1f64.to_bits()]), &mut point);
    let mut histogram = message(&[(1, &point)]);
    put_number(2, temporality, &mut histogram);
    let counter = message(&[(1, b"requests"), (3, b"{request}"), (7, &sum)]);
    let duration = message(&[(1, b"duration"), (3, b"s"), (9, &histogram)]);
    let scope = message(&[(2, &counter), (2, &duration)]);
    let resource = message(&[(1, &attribute("service.name", "shop"))]);
    message(&[(1, &message(&[(1, &resource), (2, &scope)]))])
}

const JSON: &str = r#"{"resourceMetrics": [{
  "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
  "scopeMetrics": [{"scope": {"name": "x"}, "metrics": [
    {"name": "requests", "unit": "{request}", "sum": {"aggregationTemporality": 2, "isMonotonic": true, "dataPoints": [
      {"attributes": [{"key": "method", "value": {"stringValue": "GET"}}],
       "timeUnixNano": "1700000000000000000", "asInt": "42"}]}},
    {"name": "duration", "unit": "s", "histogram": {"aggregationTemporality": 2, "dataPoints": [
      {"attributes": [{"key": "method", "value": {"stringValue": "GET"}}], "timeUnixNano": 1700000000000000000,
       "count": "10", "sum": 7.5, "bucketCounts": ["5", "3", 2], "explicitBounds": [0.1, 1]}]}}]}]}]}"#;

#[test]
fn both_forms_become_the_same_series() {
    let arrival = decode(&request(2)).unwrap();
    assert_eq!(arrival, decode_json(JSON.as_bytes()).unwrap());
    let origin = &arrival.origins[0];
    assert_eq!(origin.resource, [("service.name".to_owned(), "shop".to_owned())]);
    let read: Vec<(&str, Option<&str>, f64)> = origin
        .series
        .iter()
        .map(|one| {
            let le = one.labels.iter().find(|(name, _)| name == "le").map(|(_, value)| value.as_str());
            (one.name.as_str(), le, one.points[0].1)
        })
        .collect();
    let expected = [
        ("requests", None, 42.0),
        ("duration_count", None, 10.0),
        ("duration_sum", None, 7.5),
        ("duration_bucket", Some("0.1"), 5.0),
        ("duration_bucket", Some("1"), 8.0),
        ("duration_bucket", Some("+Inf"), 10.0),
    ];
    assert_eq!(read, expected);
    assert!(origin.series.iter().all(|one| one.nature == Nature::Counter));
    assert_eq!(origin.series[0].points[0].0, Timestamp(1_700_000_000_000_000));
    let delta = decode(&request(1)).unwrap();
    assert!(delta.origins[0].series.iter().all(|one| one.nature == Nature::Delta));
}

#[test]
fn what_has_no_value_is_not_a_number() {
    let point = r#"{"timeUnixNano": "1000", "asDouble": "NaN"}, {"timeUnixNano": "2000", "flags": 1}"#;
    let json = format!(
        r#"{{"resourceMetrics": [{{"scopeMetrics": [{{"metrics": [
            {{"name": "g", "gauge": {{"dataPoints": [{point}]}}}}]}}]}}]}}"#
    );
    let series = decode_json(json.as_bytes()).unwrap().origins.remove(0).series;
    assert!(series.len() == 2 && series.iter().all(|one| one.points[0].1.is_nan()));
}

#[test]
fn a_partial_success_is_written() {
    assert!(encode_response(0, "").is_empty());
    let fields: Vec<_> = crate::protobuf::Fields::of(&encode_response(3, "why"), "test")
        .map(|field| field.map(|(number, _)| number).unwrap())
        .collect();
    assert_eq!(fields, [1]);
}

#[test]
fn nonsense_is_refused() {
    for bad in [
        r#"{"resourceMetrics": 1}"#,
        r#"{"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": ""}]}]}]}"#,
        r#"{"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "h", "histogram": {"dataPoints": [{"bucketCounts": [1, 2], "explicitBounds": []}]}}]}]}]}"#,
        "[",
    ] {
        assert!(decode_json(bad.as_bytes()).is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn a_damaged_request_is_survived(
        cut in 0usize..200, at in 0usize..200, byte in any::<u8>(),
    ) {
        let mut bytes = request(2);
        let length = bytes.len();
        bytes[at % length] = byte;
        let _ = decode(&bytes);
        let _ = decode(&bytes[..cut.min(length)]);
        let _ = decode_json(&JSON.as_bytes()[..cut.min(JSON.len())]);
    }
}
