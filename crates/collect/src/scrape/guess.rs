//! What a scraped or received series means, guessed from its type and name as the Prometheus conventions have it.

use foretwin_core::{FailureMode, Kind, Metric, Role, Storage};

use crate::exposition::{Sample, Type};

/// The metric of a sample whose family has a type.
pub(super) fn metric(sample: &Sample<'_>, family: Type) -> Metric {
    let labels = sample.labels.iter().map(|(name, value)| (name.to_string(), value.to_string()));
    of(&sample.name, labels.collect(), family)
}

/// The metric of a series of which nothing but name and labels is known, for instance from a recording.
#[must_use]
pub fn guessed(name: &str, labels: Vec<(String, String)>) -> Metric {
    of(name, labels, Type::Untyped)
}

/// The metric of this name and these labels, whose family has a type.
pub(crate) fn of(name: &str, labels: Vec<(String, String)>, family: Type) -> Metric {
    let kind = kind(name, family);
    let mut metric = Metric::gauge(name, unit(name), role(name, kind)).stored(Storage::F64);
    metric.kind = kind;
    metric.attributes = labels;
    metric.attributes.sort();
    // Exported by nearly every client library.
    if name == "process_open_fds" && metric.attributes.is_empty() {
        metric = metric.against("process_max_fds", FailureMode::DescriptorExhaustion);
    }
    metric
}

fn kind(name: &str, family: Type) -> Kind {
    let counts = match family {
        Type::Counter => !name.ends_with("_created"),
        Type::Histogram | Type::Summary => {
            ["_bucket", "_count", "_sum"].iter().any(|suffix| name.ends_with(suffix))
        }
        Type::Gauge => false,
        Type::Untyped => name.ends_with("_total"),
    };
    if counts { Kind::Counter } else { Kind::Gauge }
}

fn unit(name: &str) -> &'static str {
    let base =
        ["_total", "_sum", "_limit"].iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name);
    match base.rsplit('_').next() {
        Some("seconds") => "s",
        Some("milliseconds") => "ms",
        Some("bytes") => "By",
        Some("celsius") => "Cel",
        Some("volts") => "V",
        Some("joules") => "J",
        _ => "1",
    }
}

fn role(name: &str, kind: Kind) -> Role {
    let has = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
    let ends = |parts: &[&str]| parts.iter().any(|part| name.ends_with(part));
    if ends(&["_created", "_timestamp_seconds", "_start_time_seconds", "_info"]) {
        // Known or constant by nature; a model would only be confused.
        Role::Command
    } else if ends(&["_limit", "_limit_bytes", "process_max_fds", "_max_bytes"]) {
        Role::Limit
    } else if has(&["error", "fail", "exception", "dropped", "reject", "timeout"]) {
        Role::Errors
    } else if has(&["queue", "pending", "waiting", "backlog", "inflight", "in_flight", "lag"]) {
        Role::Saturation
    } else if kind == Kind::Gauge && has(&["_seconds", "latency", "duration"]) || ends(&["_seconds_sum"]) {
        Role::Duration
    } else if kind == Kind::Counter {
        Role::Rate
    } else {
        Role::Utilization
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::parse;

    fn guess(text: &str) -> Metric {
        let found = parse(text);
        metric(&found.samples[0], found.family(&found.samples[0].name))
    }

    #[test]
    fn names_and_types_tell() {
        let cases = [
            ("# TYPE http_requests_total counter\nhttp_requests_total 1", Kind::Counter, Role::Rate, "1"),
            ("http_requests_total 1", Kind::Counter, Role::Rate, "1"),
            ("# TYPE x_errors_total counter\nx_errors_total 1", Kind::Counter, Role::Errors, "1"),
            ("# TYPE m gauge\nm 1", Kind::Gauge, Role::Utilization, "1"),
            ("process_resident_memory_bytes 1", Kind::Gauge, Role::Utilization, "By"),
            ("# TYPE d_seconds histogram\nd_seconds_sum 1", Kind::Counter, Role::Duration, "s"),
            ("# TYPE d_seconds histogram\nd_seconds_bucket{le=\"1\"} 1", Kind::Counter, Role::Rate, "1"),
            ("# TYPE d_seconds summary\nd_seconds{quantile=\".9\"} 1", Kind::Gauge, Role::Duration, "s"),
            ("# TYPE jobs_queue_length gauge\njobs_queue_length 1", Kind::Gauge, Role::Saturation, "1"),
            ("process_start_time_seconds 1", Kind::Gauge, Role::Command, "s"),
            ("process_max_fds 1024", Kind::Gauge, Role::Limit, "1"),
        ];
        for (text, kind, role, unit) in cases {
            let metric = guess(text);
            assert_eq!((metric.kind, metric.role, metric.unit.as_str()), (kind, role, unit), "{text}");
            assert_eq!(metric.storage, Storage::F64);
        }
    }

    #[test]
    fn labels_become_sorted_attributes() {
        assert_eq!(guess("a{z=\"1\",b=\"2\"} 1").key(), "a{b=2,z=1}");
        assert_eq!(guess("process_open_fds 7").capacity.unwrap().limit, "process_max_fds");
    }
}
