//! What somebody is to be told: one alert for one cause, with all whom it concerns, from its opening to its outcome.
//!
//! An alert *fires* while somebody should know of it. It is *silenced* where planned work or an operator's word covers
//! it, and *held* where the day's budget is spent on likelier ones; both are recorded and listed, but not shown as
//! firing. It is *resolved* when none of its members exceeds the bar any more. Its [`AlertOutcome`] is known later.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::instance::{InstanceId, WorkloadId};
use crate::prediction::{Action, Cause};
use crate::report::Severity;
use crate::risk::{FailureMode, Quantiles};
use crate::time::Timestamp;

/// The name of an alert, unique in a fleet; names sort by the time of opening.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AlertId(pub String);

impl fmt::Display for AlertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where an alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// Somebody should know.
    Firing,
    /// It is over; its outcome may still be open.
    Resolved,
    /// Covered by planned work, or told to be expected or false.
    Silenced,
    /// Held back by the budget of its team, or because what it foretells is there already.
    Held,
}

impl AlertState {
    /// All states.
    pub const ALL: [Self; 4] = [Self::Firing, Self::Resolved, Self::Silenced, Self::Held];

    /// The name as written in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
            Self::Silenced => "silenced",
            Self::Held => "held",
        }
    }
}

impl fmt::Display for AlertState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an alert is about. Feedback moves the bar of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "mode")]
pub enum AlertKind {
    /// A failure is likely within a horizon.
    Failure(FailureMode),
    /// The contrast of production and twin says that the machine underneath is in trouble.
    Infrastructure,
    /// The instance behaves unlike itself, for long and by much, and nothing says that it will fail.
    Anomaly,
}

impl AlertKind {
    /// The failure mode, where it is about one.
    #[must_use]
    pub fn mode(self) -> Option<FailureMode> {
        match self {
            Self::Failure(mode) => Some(mode),
            Self::Infrastructure | Self::Anomaly => None,
        }
    }
}

impl fmt::Display for AlertKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Failure(mode) => mode.as_str(),
            Self::Infrastructure => "infrastructure",
            Self::Anomaly => "anomaly",
        })
    }
}

/// One instance that an alert concerns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertMember {
    /// Who.
    pub instance: InstanceId,
    /// What it runs.
    pub workload: WorkloadId,
    /// What of it.
    #[serde(flatten)]
    pub kind: AlertKind,
    /// When it joined.
    #[serde(rename = "since_us")]
    pub since: Timestamp,
    /// When it was over for this one.
    #[serde(rename = "ended_us", default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// The latest probability at `horizon_s`.
    pub probability: f64,
    /// Seconds ahead that the probability speaks of; 0: of now.
    pub horizon_s: f64,
    /// The highest probability that was said of it while it was a member.
    pub peak: f64,
    /// Seconds ahead that the highest probability spoke of; 0: of that moment.
    #[serde(default)]
    pub peak_horizon_s: f64,
    /// Seconds to failure, counted from the last statement.
    pub time_to_failure: Quantiles,
}

/// What came of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "what")]
pub enum AlertOutcome {
    /// A member failed while it fired, or within the horizon after.
    Failed {
        /// When.
        at_us: Timestamp,
        /// How, as recorded.
        mode: FailureMode,
        /// Seconds from the opening to the failure.
        lead_s: f64,
    },
    /// All members were seen until the horizon was over, and none failed.
    Nothing,
    /// Members went out of sight before it could be known.
    Unknown,
}

/// An operator's word on an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rating {
    /// Right, and known: this instance does that, nobody needs to hear of it.
    Expected,
    /// Wrong.
    False,
    /// Right, and worth being told.
    Useful,
}

impl fmt::Display for Rating {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expected => "expected",
            Self::False => "false",
            Self::Useful => "useful",
        })
    }
}

/// An operator's word, with when and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feedback {
    /// When it was given.
    #[serde(rename = "at_us")]
    pub at: Timestamp,
    /// What was said.
    pub rating: Rating,
    /// Beyond that, for people.
    #[serde(default)]
    pub note: String,
}

/// One thing that somebody is to be told, with all whom it concerns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Its name.
    pub id: AlertId,
    /// Where it stands.
    pub state: AlertState,
    /// Why it stands there: what silences it, what holds it back, how it ended.
    pub reason: String,
    /// What it is about: the kind of its likeliest member, and for a failure the mode.
    #[serde(flatten)]
    pub kind: AlertKind,
    /// Class of the likeliest cause, for instance `leak`, `contention`, `unknown`.
    pub class: String,
    /// How bad it is: by probability, time and criticality.
    pub severity: Severity,
    /// In one line, for a list or a message.
    pub title: String,
    /// When it opened.
    #[serde(rename = "opened_us")]
    pub opened: Timestamp,
    /// When something was last said about it.
    #[serde(rename = "last_us")]
    pub last: Timestamp,
    /// When it was over.
    #[serde(rename = "resolved_us", default, skip_serializing_if = "Option::is_none")]
    pub resolved: Option<Timestamp>,
    /// Whether it ever fired: who sends messages says the end of those only.
    pub shown: bool,
    /// Whose: the team's label, empty where there is none.
    #[serde(default)]
    pub team: String,
    /// What the members have in common, where there are several: the consumer, place, host or workload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub common: Option<String>,
    /// Members, in order of joining; the first opened it.
    pub members: Vec<AlertMember>,
    /// How many instances it concerns.
    pub count: usize,
    /// Highest probability among members that are not over, at `horizon_s`; of all, once it is resolved.
    pub probability: f64,
    /// Seconds ahead that the probability speaks of; 0: of now.
    pub horizon_s: f64,
    /// How much was seen of the like, 0 to 1.
    pub confidence: f64,
    /// Seconds to failure of that member, counted from `last`.
    pub time_to_failure: Quantiles,
    /// The likeliest cause, with its evidence in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// What to do first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// Path of the alert below the node's address.
    pub link: String,
    /// What came of it; missing while that is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<AlertOutcome>,
    /// What operators said of it, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub feedback: Vec<Feedback>,
}

impl Alert {
    /// Whether it concerns an instance.
    #[must_use]
    pub fn concerns(&self, instance: &InstanceId) -> bool {
        self.members.iter().any(|member| member.instance == *instance)
    }

    /// Whether it is not over.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state != AlertState::Resolved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_outcomes_are_readable_json() {
        let kind = |kind: AlertKind| serde_json::to_string(&kind).unwrap();
        assert_eq!(
            kind(AlertKind::Failure(FailureMode::DiskFull)),
            r#"{"kind":"failure","mode":"disk_full"}"#
        );
        assert_eq!(kind(AlertKind::Infrastructure), r#"{"kind":"infrastructure"}"#);
        let outcome =
            AlertOutcome::Failed { at_us: Timestamp(7), mode: FailureMode::MemoryExhaustion, lead_s: 2.5 };
        let text = serde_json::to_string(&outcome).unwrap();
        assert_eq!(text, r#"{"what":"failed","at_us":7,"mode":"memory_exhaustion","lead_s":2.5}"#);
        assert_eq!(serde_json::from_str::<AlertOutcome>(&text).unwrap(), outcome);
    }
}
