//! What an instance says of itself at one moment, and the known issues found in it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::risk::FailureMode;

/// Version of the layout of a report's document. A field may be added under the same version, never given another meaning.
pub const REPORT_VERSION: u32 = 1;

/// The name of a stored report, unique in a data directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReportId(pub String);

impl fmt::Display for ReportId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How bad a known issue is. Ascending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Notice,
    /// Will hurt if something else goes wrong, or later.
    Warning,
    /// Hurts now, or soon.
    Serious,
    /// Something has failed or is about to.
    Critical,
}

impl Severity {
    /// The name as written in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Serious => "serious",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where in a report a known issue was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// Place in the document, for instance `storage.mounts[2].used_share`.
    pub path: String,
    /// What stands there, shortened.
    pub value: String,
}

/// A known issue that a report has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flag {
    /// Id of the rule.
    pub rule: String,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in one line.
    pub title: String,
    /// Why it comes to this.
    pub cause: String,
    /// What to do.
    pub solution: String,
    /// What happens if nothing is done.
    pub risk: String,
    /// The way to fail that it speaks for, if it is one that is foreseen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<FailureMode>,
    /// Where it was seen; at least one.
    pub evidence: Vec<Sighting>,
}
