//! The answer to "what will fail, when, why, and what should I do?".

use serde::{Deserialize, Serialize};

use crate::calibration::Calibration;
use crate::contrast::Contrast;
use crate::instance::InstanceId;
use crate::judgement::{Judgement, Learning};
use crate::report::{Flag, ReportId};
use crate::risk::Risk;
use crate::time::Timestamp;

/// An observation that speaks for a cause.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Key of the metric.
    pub metric: String,
    /// In an operator's words: observed, normal, since when.
    pub statement: String,
}

/// Why something is likely to fail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cause {
    /// For instance `leak`, `exhaustion`, `unknown`.
    pub class: String,
    /// Where: the instance it acts in.
    pub place: InstanceId,
    /// 0 to 1; the causes of a prediction sum to at most 1.
    pub probability: f64,
    /// What speaks for it.
    pub evidence: Vec<Evidence>,
}

/// Something an operator can do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Action {
    /// For instance `raise_limit`, `restart`, `free_space`.
    pub action: String,
    /// In words, with the object.
    pub description: String,
    /// What it is expected to bring.
    pub expected_effect: String,
}

/// The probability of failing within a horizon.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FailureProbability {
    /// Seconds from now.
    pub horizon_s: f64,
    /// By any mode.
    pub probability: f64,
}

/// What Foretwin says about an instance at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// Whose.
    pub instance: InstanceId,
    /// When it was made.
    #[serde(rename = "at_us")]
    pub at: Timestamp,
    /// Asked horizon in seconds.
    pub horizon_s: f64,
    /// By any mode, at the asked horizon.
    pub failure_probability: f64,
    /// 0 to 1: how much history supports it.
    pub confidence: f64,
    /// Best first; empty while nothing is wrong.
    pub root_causes: Vec<Cause>,
    /// Best first; empty while nothing needs doing.
    pub recommended_actions: Vec<Action>,
    /// By any mode, at the standard horizons.
    pub probabilities: Vec<FailureProbability>,
    /// Per resource with a limit, likeliest first.
    pub risks: Vec<Risk>,
    /// The latest score, once there is a model.
    pub anomaly: Option<Judgement>,
    /// What the prediction could build on.
    pub learning: Learning,
    /// Where trouble is by the contrast of production and its twin, where one runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contrast: Option<Contrast>,
    /// What recorded failures the probabilities were calibrated with; absent while none is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// The report that was asked about, or the newest there is of the instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report_id: Option<ReportId>,
    /// Known issues in it, worst first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<Flag>,
}
