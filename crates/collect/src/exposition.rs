//! The Prometheus text format 0.0.4, and what OpenMetrics adds to it: lines become samples; a line that cannot be
//! read is counted and costs nothing but itself.

use std::borrow::Cow;
use std::collections::HashMap;

/// What `# TYPE` says of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// Counts upwards.
    Counter,
    /// A level.
    Gauge,
    /// Counts per bucket, their sum and number.
    Histogram,
    /// Quantiles, their sum and number.
    Summary,
    /// Anything else.
    Untyped,
}

/// One sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample<'a> {
    /// Its name, suffixes such as `_bucket` included.
    pub name: Cow<'a, str>,
    /// Names and values, in the order written.
    pub labels: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// The number; may be NaN or infinite. A timestamp beside it is ignored: what counts is when it was read.
    pub value: f64,
}

/// One answer of a target.
#[derive(Debug, Default)]
pub struct Exposition<'a> {
    /// All samples, in the order written.
    pub samples: Vec<Sample<'a>>,
    /// Lines that could not be read.
    pub malformed: usize,
    types: HashMap<Cow<'a, str>, Type>,
}

impl Exposition<'_> {
    /// The type of the family that a sample belongs to: its own name's, or without the suffix that a counter,
    /// histogram or summary adds.
    #[must_use]
    pub fn family(&self, name: &str) -> Type {
        if let Some(own) = self.types.get(name) {
            return *own;
        }
        let suffixes = ["_total", "_bucket", "_count", "_sum", "_created"];
        let family = suffixes.iter().find_map(|suffix| self.types.get(name.strip_suffix(suffix)?));
        family.copied().unwrap_or(Type::Untyped)
    }
}

/// Reads the answer of a target.
#[must_use]
pub fn parse(text: &str) -> Exposition<'_> {
    let mut found = Exposition::default();
    for line in text.lines().map(str::trim) {
        if let Some(comment) = line.strip_prefix('#') {
            if comment.trim() == "EOF" {
                break;
            }
            found.types.extend(declaration(comment));
        } else if !line.is_empty() {
            match sample(line) {
                Some(sample) => found.samples.push(sample),
                None => found.malformed += 1,
            }
        }
    }
    found
}

/// `TYPE name kind`; every other comment says nothing here.
fn declaration(comment: &str) -> Option<(Cow<'_, str>, Type)> {
    let rest = comment.trim_start().strip_prefix("TYPE")?.strip_prefix([' ', '\t'])?.trim();
    let (name, kind) = rest.rsplit_once([' ', '\t'])?;
    let kind = match kind {
        "counter" => Type::Counter,
        "gauge" => Type::Gauge,
        "histogram" | "gaugehistogram" => Type::Histogram,
        "summary" => Type::Summary,
        _ => Type::Untyped,
    };
    let name = name.trim();
    let name = if name.starts_with('"') { quoted(&mut Cursor(name))? } else { name.into() };
    Some((name, kind))
}

fn sample(line: &str) -> Option<Sample<'_>> {
    let mut cursor = Cursor(line);
    let mut name: Cow<'_, str> = cursor.word(|c| c == ':').into();
    let mut labels = Vec::new();
    cursor.blanks();
    if cursor.eat('{') {
        while !cursor.eat('}') {
            match pair(&mut cursor)? {
                (label, Some(value)) => labels.push((label, value)),
                // A name with letters that the old format has no room for: `{"my.metric", a="b"}`.
                (quoted, None) if name.is_empty() => name = quoted,
                _ => return None,
            }
            cursor.blanks();
            if !cursor.eat(',') && !cursor.0.starts_with('}') {
                return None;
            }
            cursor.blanks();
        }
    }
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    // What follows the value is a timestamp, or an exemplar.
    let value = cursor.0.split_ascii_whitespace().next()?;
    Some(Sample { name, labels, value: number(value)? })
}

/// `name="value"`, or a quoted name alone.
fn pair<'a>(cursor: &mut Cursor<'a>) -> Option<(Cow<'a, str>, Option<Cow<'a, str>>)> {
    cursor.blanks();
    let name = if cursor.0.starts_with('"') { quoted(cursor)? } else { cursor.word(|_| false).into() };
    cursor.blanks();
    if !cursor.eat('=') {
        return Some((name, None));
    }
    if name.is_empty() {
        return None;
    }
    cursor.blanks();
    Some((name, Some(quoted(cursor)?)))
}

/// A string in double quotes, in which a backslash escapes itself, quotes, and `n` for a line end.
fn quoted<'a>(cursor: &mut Cursor<'a>) -> Option<Cow<'a, str>> {
    if !cursor.eat('"') {
        return None;
    }
    let plain = cursor.0.find(['"', '\\'])?;
    if cursor.0.as_bytes()[plain] == b'"' {
        let (text, rest) = cursor.0.split_at(plain);
        cursor.0 = &rest[1..];
        return Some(text.into());
    }
    let mut text = String::new();
    let mut characters = cursor.0.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => {
                cursor.0 = &cursor.0[at + 1..];
                return Some(text.into());
            }
            '\\' => match characters.next()?.1 {
                'n' => text.push('\n'),
                escaped @ ('\\' | '"') => text.push(escaped),
                other => text.extend(['\\', other]),
            },
            other => text.push(other),
        }
    }
    None
}

/// A number as Go writes it.
fn number(text: &str) -> Option<f64> {
    match text {
        "+Inf" | "Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        _ => text.parse().ok(),
    }
}

/// The rest of a line.
struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    fn blanks(&mut self) {
        self.0 = self.0.trim_start_matches([' ', '\t']);
    }

    fn eat(&mut self, expected: char) -> bool {
        let rest = self.0.strip_prefix(expected);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// Letters, digits and underscores, and what else may be part of it.
    fn word(&mut self, also: impl Fn(char) -> bool) -> &'a str {
        let end = self.0.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || also(c)));
        let (word, rest) = self.0.split_at(end.unwrap_or(self.0.len()));
        self.0 = rest;
        word
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const REAL: &str = r#"
# HELP http_requests_total The total number of HTTP requests.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027 1395066363000
http_requests_total{method="post",code="400"}    3 1395066363000

# Escaping in label values:
msdos_file_access_time_seconds{path="C:\\DIR\\FILE.TXT",error="Cannot find file:\n\"FILE.TXT\""} 1.458255915e9

# Minimalistic line:
metric_without_timestamp_and_labels 12.47

# A weird metric from before the epoch:
something_weird{problem="division by zero"} +Inf -3982045

# A histogram, which has a pretty complex representation in the text format:
# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{le="0.05"} 24054
http_request_duration_seconds_bucket{le="+Inf"} 144320
http_request_duration_seconds_sum 53423
http_request_duration_seconds_count 144320

# TYPE rpc_duration_seconds summary
rpc_duration_seconds{quantile="0.01"} NaN
rpc_duration_seconds{quantile="0.99",} 76656
rpc_duration_seconds_sum 1.7560473e+07
"#;

    fn labels<'a>(sample: &'a Sample<'_>) -> Vec<(&'a str, &'a str)> {
        sample.labels.iter().map(|(name, value)| (name.as_ref(), value.as_ref())).collect()
    }

    /// The example of the format's own documentation.
    #[test]
    fn the_documented_example_is_read_whole() {
        let found = parse(REAL);
        assert_eq!((found.samples.len(), found.malformed), (12, 0));
        assert_eq!(labels(&found.samples[0]), [("method", "post"), ("code", "200")]);
        assert_eq!(labels(&found.samples[2])[0].1, "C:\\DIR\\FILE.TXT");
        assert_eq!(labels(&found.samples[2])[1].1, "Cannot find file:\n\"FILE.TXT\"");
        assert_eq!(found.samples[4].value, f64::INFINITY);
        assert!(found.samples[9].value.is_nan());
        assert_eq!(found.family("http_requests_total"), Type::Counter);
        assert_eq!(found.family("http_request_duration_seconds_bucket"), Type::Histogram);
        assert_eq!(found.family("rpc_duration_seconds"), Type::Summary);
        assert_eq!(found.family("metric_without_timestamp_and_labels"), Type::Untyped);
    }

    #[test]
    fn openmetrics_is_understood() {
        let found = parse(
            "# TYPE foo counter\nfoo_total{a=\"b\"} 17.0 1520879607.789 # {trace_id=\"KOO\"} 0.67\n\
             # TYPE \"my.gauge\" gauge\n{\"my.gauge\",\"a.b\"=\"c\"} 3\n# EOF\nafter_the_end 1\n",
        );
        assert_eq!((found.samples.len(), found.malformed), (2, 0));
        assert_eq!((found.family("foo_total"), found.samples[0].value), (Type::Counter, 17.0));
        assert_eq!((found.samples[1].name.as_ref(), found.family("my.gauge")), ("my.gauge", Type::Gauge));
        assert_eq!(labels(&found.samples[1]), [("a.b", "c")]);
    }

    #[test]
    fn a_broken_line_costs_only_itself() {
        let broken = [
            "a{b=\"c} 1",
            "a{b=} 1",
            "a{=\"b\"} 1",
            "a",
            "a x",
            "1a 2",
            "{} 1",
            "a{b=\"c\" d=\"e\"} 1",
            "a{",
        ];
        for line in broken {
            let text = format!("before 1\n{line}\nafter 2\n");
            let found = parse(&text);
            assert_eq!((found.samples.len(), found.malformed), (2, 1), "{line}");
        }
    }

    fn escape(text: &str) -> String {
        text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read(
            name in "[a-zA-Z_:][a-zA-Z0-9_:]{0,20}",
            pairs in proptest::collection::vec(("[a-zA-Z_][a-zA-Z0-9_]{0,10}", "[^\r\u{85}\u{2028}]{0,20}"), 0..4),
            value in proptest::num::f64::ANY,
            blanks in "[ \t]{0,2}",
        ) {
            let written: Vec<_> = pairs.iter().map(|(k, v)| format!("{k}{blanks}={blanks}\"{}\"", escape(v))).collect();
            let text = format!("{name}{blanks}{{{}}}{blanks} {value:?} 17\n", written.join(","));
            let found = parse(&text);
            prop_assert_eq!((found.samples.len(), found.malformed), (1, 0), "{}", text);
            prop_assert_eq!(found.samples[0].name.as_ref(), name.as_str());
            let read = labels(&found.samples[0]);
            prop_assert!(read.iter().copied().eq(pairs.iter().map(|(k, v)| (k.as_str(), v.as_str()))));
            prop_assert!(found.samples[0].value == value || value.is_nan());
        }

        #[test]
        fn nothing_panics(text in "\\PC{0,200}", lines in "([a-z{}\"\\\\=, #\n0-9.]|TYPE){0,200}") {
            let _ = (parse(&text), parse(&lines));
        }
    }
}
