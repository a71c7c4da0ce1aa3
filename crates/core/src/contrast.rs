//! What the contrast of production and its twin says: the application, or the machine underneath.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::instance::InstanceId;
use crate::prediction::Evidence;
use crate::time::Timestamp;

/// What a twin runs in: how much of the original's world it shares. Ascending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fidelity {
    /// Simulated in this process: nothing real runs, so there is no contrast.
    Model,
    /// A process in a control group, or within rlimits.
    Process,
    /// A container.
    Container,
    /// A guest with a kernel of its own.
    Microvm,
}

impl Fidelity {
    /// The name as written in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Process => "process",
            Self::Container => "container",
            Self::Microvm => "microvm",
        }
    }
}

impl fmt::Display for Fidelity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where the trouble is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerdictClass {
    /// Neither production nor its twin departs from what is normal.
    Healthy,
    /// The instance is asked to do more, or something else.
    Workload,
    /// The instance itself: a bug, a leak, its own limit, its configuration.
    Instance,
    /// The machine underneath: a neighbour, a parent's limit used up by others, a device, the hypervisor.
    Infrastructure,
    /// The instance and the machine underneath.
    Both,
    /// The twin misbehaves alone, without anything that corroborates it.
    TwinFault,
    /// There is trouble, and what is known does not tell where.
    Undetermined,
    /// No twin runs on the same resources.
    NoContrast,
}

impl VerdictClass {
    /// All classes, in the order of their declaration.
    pub const ALL: [Self; 8] = [
        Self::Healthy,
        Self::Workload,
        Self::Instance,
        Self::Infrastructure,
        Self::Both,
        Self::TwinFault,
        Self::Undetermined,
        Self::NoContrast,
    ];

    /// The name as written in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Workload => "workload",
            Self::Instance => "instance",
            Self::Infrastructure => "infrastructure",
            Self::Both => "both",
            Self::TwinFault => "twin_fault",
            Self::Undetermined => "undetermined",
            Self::NoContrast => "no_contrast",
        }
    }
}

impl fmt::Display for VerdictClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where the trouble of one instance is, how sure that is, and what speaks for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The likeliest class.
    pub class: VerdictClass,
    /// Whether the instance's own demand saturates what it runs on.
    pub self_inflicted: bool,
    /// Who uses what the instance lacks, where somebody visible does.
    pub consumer: Option<InstanceId>,
    /// Of `class`, 0 to 1.
    pub probability: f64,
    /// When the present departure began; none while healthy.
    #[serde(rename = "since_us")]
    pub since: Option<Timestamp>,
    /// In an operator's words, strongest first.
    pub evidence: Vec<Evidence>,
    /// Of every class that was considered; they sum to 1.
    pub probabilities: Vec<(VerdictClass, f64)>,
}

/// The verdict about one instance at one moment, given twice, so that what the twin adds can be seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contrast {
    /// About whom.
    pub instance: InstanceId,
    /// When it was made.
    #[serde(rename = "at_us")]
    pub at: Timestamp,
    /// What the twin ran in.
    pub fidelity: Fidelity,
    /// With the twin.
    pub verdict: Verdict,
    /// From the kernel's counters alone: pressure, steal, throttling, run delay, utilisation.
    pub verdict_counters_only: Verdict,
}
