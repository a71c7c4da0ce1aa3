//! Known issues: readable rules that say what in a report is wrong, why, and what to do about it.
//!
//! A rule file is TOML with `version = 1` and `[[rule]]` tables. Each rule carries examples: changes of an ordinary
//! report, with or without the issue, that every rule file is checked against.

mod condition;
mod path;
mod recurrence;
mod rule;

use foretwin_core::Flag;
use serde_json::Value;

pub use recurrence::recurrence;
pub use rule::Rule;

use crate::Error;

/// Rules that come with Foretwin: the file's name, and its text.
const OURS: [(&str, &str); 6] = [
    ("kernel.toml", include_str!("../../issues/kernel.toml")),
    ("memory.toml", include_str!("../../issues/memory.toml")),
    ("storage.toml", include_str!("../../issues/storage.toml")),
    ("network.toml", include_str!("../../issues/network.toml")),
    ("services.toml", include_str!("../../issues/services.toml")),
    ("system.toml", include_str!("../../issues/system.toml")),
];

/// An ordinary report without any issue, which examples change.
const ORDINARY: &str = include_str!("../../issues/ordinary.json");

/// The store of known issues.
#[derive(Debug, Clone)]
pub struct Issues(Vec<Rule>);

impl Issues {
    /// The rules that come with Foretwin, then those of `more`: names and texts of rule files. A later rule replaces an
    /// earlier one of the same id.
    ///
    /// # Errors
    /// The file and rule that cannot be used, and why.
    pub fn new<'a>(more: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, Error> {
        let mut rules: Vec<Rule> = Vec::new();
        for (name, text) in OURS.into_iter().chain(more) {
            let read = rule::read(text);
            for rule in read.map_err(|reason| Error::Rules { file: name.into(), reason })? {
                rules.retain(|known| known.id() != rule.id());
                rules.push(rule);
            }
        }
        Ok(Self(rules))
    }

    /// All rules.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.0
    }

    /// What of them a report has, worst first.
    #[must_use]
    pub fn flags(&self, document: &Value) -> Vec<Flag> {
        let mut flags: Vec<Flag> = self.0.iter().filter_map(|rule| rule.flag(document)).collect();
        flags.sort_by_key(|flag| std::cmp::Reverse(flag.severity));
        flags
    }

    /// Holds every rule against its own examples.
    ///
    /// # Errors
    /// The first example that turned out otherwise than it says.
    pub fn check(&self) -> Result<(), Error> {
        // It is part of this program, and a test reads it.
        let ordinary: Value = serde_json::from_str(ORDINARY).unwrap_or_default();
        let checked = self.0.iter().try_for_each(|rule| rule.check(&ordinary));
        checked.map_err(|reason| Error::Rules { file: "the rules".into(), reason })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_that_comes_with_it_proves_itself_both_ways() {
        let issues = Issues::new([]).unwrap();
        issues.check().unwrap();
        assert!(issues.rules().len() >= 40, "{} rules", issues.rules().len());
        for rule in issues.rules() {
            assert!(rule.shows(true) && rule.shows(false), "{} lacks an example", rule.id());
        }
    }

    #[test]
    fn an_ordinary_report_has_no_flag() {
        let ordinary = serde_json::from_str(ORDINARY).unwrap();
        assert_eq!(Issues::new([]).unwrap().flags(&ordinary), []);
    }

    #[test]
    fn operators_replace_and_add_rules_and_hear_what_is_wrong_with_theirs() {
        let own = r#"
            version = 1
            [[rule]]
            id = "disk-nearly-full"
            title = "Ours"
            severity = "notice"
            match = { path = "identity.hostname", equals = "db-1" }
            cause = "a"
            solution = "b"
            risk = "c"
        "#;
        let issues = Issues::new([("own.toml", own)]).unwrap();
        assert_eq!(issues.rules().iter().filter(|rule| rule.id() == "disk-nearly-full").count(), 1);
        let flags = issues.flags(&serde_json::json!({"identity": {"hostname": "db-1"}}));
        assert_eq!(
            (flags[0].title.as_str(), flags[0].evidence[0].path.as_str()),
            ("Ours", "identity.hostname")
        );
        for (bad, says) in [
            (own.replace("version = 1", "version = 9"), "version"),
            (own.replace("equals", "equal"), "equal"),
            (own.replace("identity.hostname", "identity..hostname"), "disk-nearly-full"),
            (own.replace(", equals = \"db-1\"", ""), "no test"),
            (own.replace("\"notice\"", "\"bad\""), "severity"),
        ] {
            let error = Issues::new([("own.toml", bad.as_str())]).unwrap_err().to_string();
            assert!(error.contains("own.toml") && error.contains(says), "{says}: {error}");
        }
    }
}
