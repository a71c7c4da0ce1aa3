//! Takes out of a report what looks like a secret, before it is stored or leaves the machine.

use std::sync::LazyLock;

use regex_lite::Regex;
use serde_json::Value;

/// What stands in place of a secret.
const REDACTED: &str = "[redacted]";

/// What a secret looks like: the pattern, and what it becomes. What names the secret stays.
static PATTERNS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let patterns = [
        // Names that mean a secret, followed by a value: `password=x`, `--api-key x`, `"token": "x"`.
        (
            r#"(?i)([\w.-]*(?:passw(?:or)?d|passphrase|secret|token|api[_-]?key|apikey|access[_-]?key|private[_-]?key|credential|auth[_-]?key|sas)[\w.-]*["']?\s*(?:[=:]|\s)\s*["']?)([^\s"',;&]+)"#,
            "${1}[redacted]",
        ),
        (r"(?i)(authorization:?\s*(?:bearer|basic|digest)?\s*)([A-Za-z0-9+/=._~-]+)", "${1}[redacted]"),
        (r"(?i)(bearer\s+)([A-Za-z0-9+/=._~-]{8,})", "${1}[redacted]"),
        // User and password of a URL.
        (r"([a-zA-Z][a-zA-Z0-9+.-]*://)[^/\s:@]*:[^/\s@]+@", "${1}[redacted]@"),
        // Keys that are known by their form: AWS, GitHub, Slack, JSON web tokens.
        (r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b", REDACTED),
        (r"\bgh[pousr]_[A-Za-z0-9]{20,}", REDACTED),
        (r"\bxox[baprs]-[A-Za-z0-9-]{10,}", REDACTED),
        (r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*", REDACTED),
        (r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z ]*PRIVATE KEY-----|$)", REDACTED),
        // `-p` with a value, as database clients take it.
        (r"(\s-p)([^\s-]\S{3,})", "${1}[redacted]"),
    ];
    let compiled = patterns.into_iter().map(|(pattern, to)| Regex::new(pattern).map(|regex| (regex, to)));
    // The patterns are constants, and a test uses each of them.
    compiled.filter_map(Result::ok).collect()
});

/// Redacts every text in a document.
pub fn redact(document: &mut Value) {
    match document {
        Value::String(text) => {
            for (pattern, to) in PATTERNS.iter() {
                if pattern.is_match(text) {
                    *text = pattern.replace_all(text, *to).into_owned();
                }
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(redact),
        Value::Object(members) => members.values_mut().for_each(redact),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn planted_secrets_are_gone_and_what_names_them_stays() {
        let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJzM2NyM3QtdmFsdWUifQ.c2lnbmF0dXJl";
        for (text, keeps) in [
            ("mysqld --password=s3cr3t-value --port 3306", "--port 3306"),
            ("app --api-key s3cr3t-value", "--api-key"),
            ("DB_PASSWORD=s3cr3t-value run", "run"),
            ("curl -H 'Authorization: Bearer s3cr3t-value'", "curl"),
            ("curl -H 'Authorization: Basic czNjcjN0LXZhbHVl'", "curl"),
            ("connecting to postgres://bob:s3cr3t-value@db/x", "db/x"),
            ("mysql -uroot -ps3cr3t-value", "mysql -uroot"),
            (r#"{"client_secret": "s3cr3t-value", "a": 1}"#, r#""a": 1"#),
            ("aws_secret_access_key: s3cr3t-value", "aws_secret_access_key"),
            ("using AKIAIOSFODNN7EXAMPLE now", "now"),
            ("cloned with ghp_s3cr3tvalue0123456789abcdef done", "done"),
            ("slack xoxb-s3cr3t-value-123 ok", "ok"),
            (jwt, ""),
            ("-----BEGIN RSA PRIVATE KEY-----\ns3cr3t-value\n-----END RSA PRIVATE KEY-----", ""),
            ("-----BEGIN PRIVATE KEY-----\ns3cr3t-value", ""),
        ] {
            let mut document = json!({"a": [{"b": text}]});
            redact(&mut document);
            let after = document["a"][0]["b"].as_str().unwrap();
            for secret in ["s3cr3t", "czNjcjN0", "AKIAIOSFODNN7", "eyJzdWIi"] {
                assert!(!after.contains(secret), "{text:?} became {after:?}");
            }
            assert!(after.contains(keeps), "{text:?} became {after:?}");
        }
    }

    #[test]
    fn ordinary_lines_stay_as_they_are() {
        for text in [
            "nginx: master process /usr/sbin/nginx -g daemon on;",
            "Out of memory: Killed process 991 (worker) total-vm:123kB",
            "EXT4-fs (vda1): mounted filesystem with ordered data mode",
            "/usr/bin/prometheus --web.listen-address=:9090 --storage.tsdb.path=/data",
            "https://example.net/path?x=1 at 10:00:00",
            "ssh -p 2222 host",
        ] {
            let mut document = json!(text);
            redact(&mut document);
            assert_eq!(document, json!(text));
        }
    }
}
