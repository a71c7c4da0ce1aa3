//! What the model expected, and how surprising the truth was.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// What the model expected of one metric at one moment, in the metric's own unit (per second for counters).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Expectation {
    /// Expected value; NaN while nothing can be expected.
    pub mean: f64,
    /// One standard deviation of what is normal around it.
    pub scale: f64,
}

/// How surprising a frame was: above 1 is anomalous, whatever the instance.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Score(pub f64);

impl Score {
    /// Whether it is beyond the threshold.
    #[must_use]
    pub fn is_anomalous(self) -> bool {
        self.0 > 1.0
    }
}

/// The part of one metric in a score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contribution {
    /// Key of the metric.
    pub metric: String,
    /// Its share of the score, 0 to 1.
    pub share: f64,
    /// What was seen, in the unit of the expectation.
    pub observed: f64,
    /// What was expected.
    pub expected: Expectation,
}

/// How far learning has come for an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Too little was seen to expect anything.
    Gathering,
    /// Scores come from a model of the first minute or minutes and mean little yet.
    Provisional,
    /// Scores come from a model trained on a fair window.
    Learned,
}

/// Learning progress of an instance, for people and for `confidence`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Learning {
    /// Phase.
    pub phase: Phase,
    /// 0 to 1: how much of the span that a settled model wants has been seen.
    pub progress: f64,
    /// The champion's version, 0 while there is none.
    pub model_version: u64,
    /// In words, for instance "learning 37 %, seasonality after two full days".
    pub message: String,
}

/// The verdict on one frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// The frame's time.
    #[serde(rename = "at_us")]
    pub at: Timestamp,
    /// How surprising.
    pub score: Score,
    /// Version of the model that judged.
    pub model_version: u64,
    /// Phase of that model.
    pub phase: Phase,
    /// The metrics that made the score, largest first, a few.
    pub contributions: Vec<Contribution>,
}
