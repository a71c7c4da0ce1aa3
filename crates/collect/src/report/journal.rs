//! The tail of the journal: warnings and worse since boot.

use serde_json::{Value, json};

use super::tree::{Tree, date};

/// Lines of a system without a journal that are looked at.
const MOST_LINES: usize = 200;

pub(super) fn section(tree: &Tree) -> Vec<Value> {
    let asked = ["--boot", "--priority=warning", "--lines=300", "--output=json", "--no-pager", "--quiet"];
    match tree.ask("journalctl", &asked) {
        Some(text) => text.lines().filter_map(entry).collect(),
        None => plain(tree),
    }
}

/// One object a line (systemd's "Journal JSON Format"); all numbers are texts.
fn entry(line: &str) -> Option<Value> {
    let entry: Value = serde_json::from_str(line).ok()?;
    let text = |key: &str| entry[key].as_str();
    let us: i64 = text("__REALTIME_TIMESTAMP")?.parse().ok()?;
    Some(json!({
        "at": date(us.div_euclid(1_000_000)),
        "priority": text("PRIORITY").and_then(|priority| priority.parse::<u8>().ok()),
        "unit": text("_SYSTEMD_UNIT").or_else(|| text("SYSLOG_IDENTIFIER")),
        "text": text("MESSAGE")?.chars().take(1000).collect::<String>(),
    }))
}

/// The last lines of the log file of a system without a journal.
fn plain(tree: &Tree) -> Vec<Value> {
    let text = tree.text("/var/log/syslog").or_else(|| tree.text("/var/log/messages")).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let newest = &lines[lines.len().saturating_sub(MOST_LINES)..];
    newest.iter().map(|line| json!({"text": line.chars().take(1000).collect::<String>()})).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_the_journal_are_read() {
        let line = r#"{"__REALTIME_TIMESTAMP":"1763632799000000","PRIORITY":"3","_SYSTEMD_UNIT":"a.service","MESSAGE":"it broke"}"#;
        let told = entry(line).unwrap();
        let expected =
            json!({"at": "2025-11-20T09:59:59Z", "priority": 3, "unit": "a.service", "text": "it broke"});
        assert_eq!(told, expected);
        // A message that is not text is an array of bytes.
        assert!(entry(r#"{"__REALTIME_TIMESTAMP":"1","MESSAGE":[1,2]}"#).is_none() && entry("{").is_none());
    }
}
