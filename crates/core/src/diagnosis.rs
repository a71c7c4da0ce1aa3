//! What a diagnosis says: ranked causes, and the anomalies they were found from.

use serde::{Deserialize, Serialize};

use crate::instance::InstanceId;
use crate::prediction::Cause;
use crate::time::Timestamp;

/// A metric that is out of its normal range.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Anomaly {
    /// Whose.
    pub instance: InstanceId,
    /// Key of the metric.
    pub metric: String,
    /// How far from normal, in standard deviations of a normal distribution that would be as surprising.
    pub strength: f64,
    /// Probability of a departure at least as large, either way, while all is well.
    pub chance: f64,
    /// When it left its range, where that is known.
    #[serde(rename = "since_us")]
    pub since: Option<Timestamp>,
}

/// Anomalies near in time and dependent on each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnomalyGroup {
    /// When the first of them began.
    #[serde(rename = "since_us")]
    pub since: Option<Timestamp>,
    /// Most surprising first.
    pub anomalies: Vec<Anomaly>,
}

/// Where trouble of an instance comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// About whom.
    pub instance: InstanceId,
    /// When it was made.
    #[serde(rename = "at_us")]
    pub at: Timestamp,
    /// Instances that were compared: itself, what it runs on, and what runs on it.
    pub considered: Vec<InstanceId>,
    /// Likeliest first; empty while no metric stands out. With `unknown` their probabilities sum to at most 1.
    pub causes: Vec<Cause>,
    /// That none of them is the cause.
    pub unknown: f64,
    /// Largest group first.
    pub groups: Vec<AnomalyGroup>,
}
