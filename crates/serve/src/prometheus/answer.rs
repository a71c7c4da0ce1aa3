//! What the query API answers: data, or an error with its type.

use std::collections::BTreeMap;
use std::fmt::Write;

use axum::Json;
use axum::extract::rejection::BytesRejection;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use foretwin_query::{Answer, Error, Labels, NAME};
use serde_json::{Map, Value, json};

/// An error in the shape of Prometheus.
#[derive(Debug)]
pub(super) struct Failure {
    status: StatusCode,
    kind: &'static str,
    message: String,
}

impl Failure {
    /// A parameter is wrong.
    pub(super) fn bad(parameter: &'static str, why: impl AsRef<str>) -> Self {
        let message = format!("invalid parameter {parameter:?}: {}", why.as_ref());
        Self { status: StatusCode::BAD_REQUEST, kind: "bad_data", message }
    }

    pub(super) fn internal(message: impl Into<String>) -> Self {
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, kind: "internal", message: message.into() }
    }

    /// The body could not be read.
    pub(super) fn rejected(rejection: &BytesRejection) -> Self {
        Self { status: rejection.status(), kind: "bad_data", message: rejection.body_text() }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let (status, kind) = match &error {
            Error::Parse { .. } => (StatusCode::BAD_REQUEST, "bad_data"),
            Error::Execution(_) | Error::TooMuch(_) => (StatusCode::UNPROCESSABLE_ENTITY, "execution"),
        };
        let message = match &error {
            Error::Parse { .. } => format!("invalid parameter \"query\": {error}"),
            _ => error.to_string(),
        };
        Self { status, kind, message }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = json!({"status": "error", "errorType": self.kind, "error": self.message});
        (self.status, Json(body)).into_response()
    }
}

pub(super) fn success(data: &Value) -> Response {
    Json(json!({"status": "success", "data": data})).into_response()
}

pub(super) fn labels(labels: &Labels) -> Value {
    Value::Object(labels.iter().map(|(name, value)| (name.to_owned(), value.into())).collect::<Map<_, _>>())
}

/// The answer of a query. Written as it is made: a matrix may have millions of points.
pub(super) fn data(answer: &Answer) -> Response {
    let mut text = String::from("{\"status\":\"success\",\"data\":{\"resultType\":");
    match answer {
        Answer::Scalar(points) => {
            text.push_str("\"scalar\",\"result\":");
            points.iter().for_each(|point| put_point(&mut text, *point));
        }
        Answer::Text(words) => {
            let _ = write!(text, "\"string\",\"result\":[0,{}]", Value::from(words.as_str()));
        }
        Answer::Vector(elements) => {
            text.push_str("\"vector\",\"result\":[");
            put_all(&mut text, elements, |text, element| {
                let _ = write!(text, "{{\"metric\":{},\"value\":", labels(&element.labels));
                element.points.iter().for_each(|point| put_point(text, *point));
                text.push('}');
            });
            text.push(']');
        }
        Answer::Matrix(series) => {
            text.push_str("\"matrix\",\"result\":[");
            put_all(&mut text, series, |text, one| {
                let _ = write!(text, "{{\"metric\":{},\"values\":[", labels(&one.labels));
                put_all(text, &one.points, |text, point| put_point(text, *point));
                text.push_str("]}");
            });
            text.push(']');
        }
    }
    text.push_str("}}");
    (StatusCode::OK, [(header::CONTENT_TYPE, "application/json")], text).into_response()
}

fn put_all<T>(text: &mut String, all: &[T], put: impl Fn(&mut String, &T)) {
    for (at, one) in all.iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        put(text, one);
    }
}

/// `[1700000000.123,"1.5"]`; writing to a string cannot fail.
fn put_point(text: &mut String, (at_ms, value): (i64, f64)) {
    let _ = write!(text, "[{},\"{}\"]", at_ms as f64 / 1000.0, number(value));
}

/// A number as Prometheus writes it.
fn number(value: f64) -> String {
    match value {
        f64::INFINITY => "+Inf".into(),
        f64::NEG_INFINITY => "-Inf".into(),
        _ if value.is_nan() => "NaN".into(),
        _ => value.to_string(),
    }
}

/// A series with time and value of its latest sample.
type Latest<'a> = (&'a Labels, (i64, f64));

/// Latest samples in text format 0.0.4, the series of a name together.
pub(super) fn exposition(latest: &BTreeMap<Labels, (i64, f64)>) -> String {
    let mut by_name: BTreeMap<&str, Vec<Latest<'_>>> = BTreeMap::new();
    for (labels, point) in latest {
        by_name.entry(super::name(labels)).or_default().push((labels, *point));
    }
    let mut page = String::new();
    for (name, all) in by_name {
        let _ = writeln!(page, "# TYPE {name} untyped");
        for (labels, (at_ms, value)) in all {
            let pairs: Vec<String> = labels
                .iter()
                .filter(|(label, _)| *label != NAME)
                .map(|(label, value)| format!("{label}=\"{}\"", escaped(value)))
                .collect();
            let _ = writeln!(page, "{name}{{{}}} {} {at_ms}", pairs.join(","), number(value));
        }
    }
    page
}

pub(super) fn text(page: String) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page).into_response()
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_prometheus_does() {
        let shown = [1.0, 0.1, 1e21, -1e-7, f64::INFINITY, f64::NEG_INFINITY, f64::NAN].map(number);
        assert_eq!(shown, ["1", "0.1", "1000000000000000000000", "-0.0000001", "+Inf", "-Inf", "NaN"]);
    }

    #[test]
    fn a_page_has_each_family_once() {
        let labels = |name: &str, a: &str| -> Labels { [(NAME, name), ("a", a)].into_iter().collect() };
        let latest = [("y", "1"), ("x", "\"\\"), ("y", "2")].map(|(name, a)| (labels(name, a), (1000, 2.5)));
        let page = exposition(&latest.into_iter().collect());
        let expected = "# TYPE x untyped\nx{a=\"\\\"\\\\\"} 2.5 1000\n# TYPE y untyped\ny{a=\"1\"} 2.5 1000\ny{a=\"2\"} 2.5 1000\n";
        assert_eq!(page, expected);
    }
}
