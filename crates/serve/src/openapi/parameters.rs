//! What may stand in a path or behind a question mark.

use serde_json::{Value, json};

const MOMENT: &str = "now, -15m, -6h, or seconds since the epoch";
const SPAN: &str = r#"{"type": "string", "pattern": "^[1-9][0-9]{0,2}[smh]$"}"#;
const TEXT: &str = r#"{"type": "string"}"#;
const NUMBER: &str = r#"{"type": "integer", "minimum": 0, "maximum": 9007199254740991}"#;

/// Name, schema, what it is, and an example. A name that means two things has a second part, which is not sent.
const KNOWN: &[(&str, &str, &str, &str)] = &[
    ("limit", r#"{"type": "integer", "minimum": 1, "maximum": 1000}"#, "Most members of a page", "100"),
    (
        "cursor",
        r#"{"type": "string", "pattern": "^c1([2-7][0-9a-f])+$"}"#,
        "The next_cursor of the page before",
        r#""c1303031""#,
    ),
    (
        "metric",
        r#"{"type": "array", "items": {"type": "string"}}"#,
        "Keys of series; may repeat; all if absent",
        r#"["system.cpu.utilization"]"#,
    ),
    (
        "metric:output",
        r#"{"type": "string", "enum": ["score", "risk"]}"#,
        "Which output; score if absent",
        r#""risk""#,
    ),
    ("from", TEXT, MOMENT, r#""-15m""#),
    ("to", TEXT, MOMENT, r#""now""#),
    ("since", TEXT, MOMENT, r#""-1d""#),
    ("state", TEXT, "States, separated by commas", r#""firing""#),
    ("name", TEXT, "Of the label", r#""instance""#),
    ("query", TEXT, "PromQL", r#""foretwin_anomaly_score""#),
    ("time", TEXT, "Seconds since the epoch, or RFC 3339", r#""1700000000""#),
    ("start", TEXT, "Seconds since the epoch, or RFC 3339", r#""1700000000""#),
    ("end", TEXT, "Seconds since the epoch, or RFC 3339", r#""1700000600""#),
    ("step", TEXT, "Seconds, or text such as 15s", r#""15s""#),
    (
        "match[]",
        r#"{"type": "array", "items": {"type": "string"}}"#,
        "Selectors",
        r#"["foretwin_anomaly_score"]"#,
    ),
    ("points", r#"{"type": "integer", "minimum": 2, "maximum": 1000}"#, "Points of a series, at most", "600"),
    ("rows", r#"{"type": "integer", "minimum": 1, "maximum": 20000}"#, "Frames", "300"),
    ("horizon", SPAN, "How far ahead, such as 90s, 15m or 6h", r#""1h""#),
    ("span", SPAN, "How far back, such as 90s, 15m or 6h", r#""1h""#),
    ("versions", TEXT, "1 to 10 numbers, separated by commas", r#""3,5""#),
    (
        "schema",
        r#"{"type": "string", "pattern": "^[0-9a-f]{16}$"}"#,
        "Which schema's line of models; the main one if absent",
        r#""00000000000000ff""#,
    ),
    ("version", NUMBER, "Its number", "7"),
    ("number", NUMBER, "Its number", "7"),
    ("file", TEXT, "Its name", r#""index.html""#),
    ("instance", r#"{"type": "string", "minLength": 1}"#, "Only of this instance", r#""web-1""#),
    ("id", r#"{"type": "string", "minLength": 1}"#, "Its id, percent-encoded", r#""web-1""#),
];

/// A parameter of an operation; `place` is `path` or `query`.
pub(super) fn parameter(name: &str, place: &str) -> Value {
    let known = KNOWN.iter().find(|(known, ..)| *known == name);
    let (_, schema, about, example) = known.copied().unwrap_or((name, TEXT, "", "null"));
    let read = |text: &str| serde_json::from_str(text).unwrap_or(Value::Null);
    json!({
        "name": name.split(':').next(),
        "in": place,
        "required": place == "path" || name == "versions",
        "description": about,
        "schema": read(schema),
        "example": read(example),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_and_examples_are_json() {
        for (name, ..) in KNOWN {
            let found = parameter(name, "query");
            assert!(found["schema"]["type"].is_string() && !found["example"].is_null(), "{name}: {found}");
        }
    }
}
