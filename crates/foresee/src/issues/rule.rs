//! One known issue: what it looks like in a report, and what is to be said about it.

use std::collections::BTreeMap;

use foretwin_core::{FailureMode, Flag, Severity, Sighting};
use serde::Deserialize;
use serde_json::Value;

use super::condition::{Condition, Written};

/// Version of the layout of rule files.
const VERSION: u32 = 1;
/// Most sightings that a flag shows, and most characters of each.
const MOST_SIGHTINGS: usize = 8;
const MOST_CHARACTERS: usize = 240;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    #[serde(default)]
    rule: Vec<Text>,
}

/// A rule as it is written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    id: String,
    title: String,
    severity: Severity,
    #[serde(rename = "match")]
    matches: Written,
    cause: String,
    solution: String,
    risk: String,
    #[serde(default)]
    mode: Option<FailureMode>,
    #[serde(default)]
    example: Vec<Example>,
}

/// An ordinary report with changes, and whether the issue is in it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Example {
    flagged: bool,
    /// Places, members joined by dots, and what stands there instead.
    set: BTreeMap<String, toml::Value>,
}

/// A known issue.
#[derive(Debug, Clone)]
pub struct Rule {
    text: Text,
    condition: Condition,
}

/// Reads the rules of a file.
pub(super) fn read(text: &str) -> Result<Vec<Rule>, String> {
    let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
    if file.version != VERSION {
        return Err(format!("version is {}, but this Foretwin reads version {VERSION}", file.version));
    }
    file.rule.into_iter().map(Rule::new).collect()
}

impl Rule {
    fn new(text: Text) -> Result<Self, String> {
        let condition = text.matches.compile().map_err(|reason| format!("rule {:?}: {reason}", text.id))?;
        Ok(Self { text, condition })
    }

    /// Its name, which never changes.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.text.id
    }

    /// What it says is wrong.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.text.title
    }

    /// How bad it says that is.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.text.severity
    }

    /// Whether it has an example with the issue, or without.
    #[must_use]
    pub fn shows(&self, flagged: bool) -> bool {
        self.text.example.iter().any(|example| example.flagged == flagged)
    }

    /// The issue, if the report has it.
    #[must_use]
    pub fn flag(&self, document: &Value) -> Option<Flag> {
        let seen = self.condition.seen(&(String::new(), document))?;
        let mut evidence: Vec<Sighting> = Vec::new();
        for (path, value) in seen {
            if evidence.len() < MOST_SIGHTINGS && evidence.iter().all(|known| known.path != path) {
                evidence.push(Sighting { path, value: shortened(value) });
            }
        }
        let text = &self.text;
        Some(Flag {
            rule: text.id.clone(),
            severity: text.severity,
            title: text.title.clone(),
            cause: text.cause.clone(),
            solution: text.solution.clone(),
            risk: text.risk.clone(),
            mode: text.mode,
            evidence,
        })
    }

    /// Holds it against its examples.
    pub(super) fn check(&self, ordinary: &Value) -> Result<(), String> {
        for (number, example) in self.text.example.iter().enumerate() {
            let mut document = ordinary.clone();
            for (place, value) in &example.set {
                let value = serde_json::to_value(value).map_err(|error| error.to_string())?;
                put(&mut document, place, value);
            }
            if self.flag(&document).is_some() != example.flagged {
                let verb = if example.flagged { "misses" } else { "flags" };
                return Err(format!("rule {:?} {verb} its example {}", self.id(), number + 1));
            }
        }
        Ok(())
    }
}

/// Puts a value at a place; objects on the way are made.
fn put(document: &mut Value, place: &str, value: Value) {
    let mut at = document;
    for name in place.split('.') {
        if !at.is_object() {
            *at = Value::Object(serde_json::Map::new());
        }
        at = &mut at[name];
    }
    *at = value;
}

fn shortened(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_string);
    if text.chars().count() <= MOST_CHARACTERS {
        return text;
    }
    text.chars().take(MOST_CHARACTERS).chain("...".chars()).collect()
}
