//! One message to one receiver.

use std::sync::Arc;

use foretwin_core::{Alert, AlertState, Timestamp};
use serde::Serialize;

/// What is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It fires, and was not said before.
    Opened,
    /// It fires, and is worse, better, larger or something else than was said.
    Updated,
    /// It still fires.
    Repeated,
    /// It is silenced or held: not over, but nobody is to be told any more.
    Withdrawn,
    /// It is over.
    Resolved,
}

impl Change {
    /// The name as written in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Updated => "updated",
            Self::Repeated => "repeated",
            Self::Withdrawn => "withdrawn",
            Self::Resolved => "resolved",
        }
    }

    /// Whether it ends what was said.
    #[must_use]
    pub fn ends(self) -> bool {
        matches!(self, Self::Withdrawn | Self::Resolved)
    }
}

/// What is to be said.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    /// Unique among the notices of a sink since it started.
    pub number: u64,
    /// What is new.
    pub change: Change,
    /// The alert as it was then.
    pub alert: Arc<Alert>,
    /// When that was.
    pub at: Timestamp,
}

impl Notice {
    /// When what was said ends, if it does.
    #[must_use]
    pub fn ended(&self) -> Option<Timestamp> {
        let resolved = (self.alert.state == AlertState::Resolved).then_some(self.alert.resolved).flatten();
        self.change.ends().then(|| resolved.unwrap_or(self.at))
    }
}
