//! Where a model came from: what it was learned from, what was tried, and why it was made.

use std::collections::BTreeMap;

use foretwin_core::{Phase, Timestamp};
use serde::{Deserialize, Serialize};

/// Something that was tried while a model was fitted, judged on the held-out part of its data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// What was tried.
    pub what: String,
    /// Mean squared held-out error without it, over metrics, on the common scale.
    pub before: f64,
    /// The same with it, for every metric.
    pub after: f64,
    /// Metrics for which it was kept.
    pub kept: usize,
    /// Metrics for which it was tried.
    pub of: usize,
    /// Passes over the data that it took; 0 for what is solved in closed form.
    pub epochs: usize,
}

/// A span of time that was left out of training.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Excluded {
    /// First moment left out.
    pub from_us: Timestamp,
    /// Last moment left out.
    pub to_us: Timestamp,
    /// Why: `anomalous`, `maintenance`, `incident`.
    pub reason: String,
}

/// Where a model came from. Kept in its file; a field that an older file lacks has its default.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Provenance {
    /// Whose frames it was learned from.
    pub instance: String,
    /// Keys of the schema's metrics, in the order of a frame's values.
    pub metrics: Vec<String>,
    /// First frame.
    pub from_us: Timestamp,
    /// Last frame.
    pub to_us: Timestamp,
    /// Frames learned from.
    pub rows: usize,
    /// How far learning had come; none counts as provisional.
    pub phase: Option<Phase>,
    /// Spans between first and last frame that were left out.
    pub excluded: Vec<Excluded>,
    /// Seed of everything random.
    pub seed: u64,
    /// Of a version made for all of its workload: whose frames taught what they share, itself first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<String>,
    /// The version that judged before it or that its training began from.
    pub parent: Option<u64>,
    /// What was tried beyond what the fit itself has noted in the model (`Model::trials`).
    pub log: Vec<Trial>,
    /// Seconds that the training took.
    pub seconds: f64,
    /// Held-out measures by name.
    pub held_out: BTreeMap<String, f64>,
    /// Why it was made: `schedule`, `drift`, `imported`, ...
    pub reason: String,
    /// The settings it was learned with.
    pub config: serde_json::Value,
}
