//! How far stated probabilities of failure lean on failures that were recorded.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// What a prediction's probabilities were calibrated with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// When the model of failures was learned.
    #[serde(rename = "learned_us")]
    pub learned: Timestamp,
    /// Recorded failures that it was learned from.
    pub failures: usize,
    /// Horizon in seconds, and how much was seen of the like within it, 0 to 1: the weight of what was learned against
    /// the first passage alone.
    pub confidence: Vec<(f64, f64)>,
    /// Why what was learned is not used, where that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abstains: Option<String>,
}
