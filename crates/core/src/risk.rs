//! What may fail, when, and how sure that is.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A way to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureMode {
    /// Memory that cannot be reclaimed reaches its limit.
    MemoryExhaustion,
    /// Swap is used up.
    SwapExhaustion,
    /// A file system is full.
    DiskFull,
    /// A file system has no inode left.
    InodeExhaustion,
    /// No descriptor left.
    DescriptorExhaustion,
    /// No process or thread id left.
    PidExhaustion,
    /// The processors have no room left.
    CpuSaturation,
    /// Responses take longer than promised.
    LatencyBreach,
    /// The workload dies by itself.
    Crash,
    /// Unreachable.
    Outage,
    /// Anything an operator names.
    Custom,
}

impl FailureMode {
    /// The name as written in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MemoryExhaustion => "memory_exhaustion",
            Self::SwapExhaustion => "swap_exhaustion",
            Self::DiskFull => "disk_full",
            Self::InodeExhaustion => "inode_exhaustion",
            Self::DescriptorExhaustion => "descriptor_exhaustion",
            Self::PidExhaustion => "pid_exhaustion",
            Self::CpuSaturation => "cpu_saturation",
            Self::LatencyBreach => "latency_breach",
            Self::Crash => "crash",
            Self::Outage => "outage",
            Self::Custom => "custom",
        }
    }
}

impl fmt::Display for FailureMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Time to failure in seconds from now. A missing quantile lies beyond all times: the failure may never come.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Quantiles {
    /// One in ten fails before this.
    pub p10: Option<f64>,
    /// Half fail before this.
    pub p50: Option<f64>,
    /// Nine in ten fail before this.
    pub p90: Option<f64>,
}

/// How a series moves: each shape extrapolates differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// Level, with noise.
    Flat,
    /// Rose, and levels off.
    Plateau,
    /// Rises evenly.
    Linear,
    /// Rises faster and faster.
    Accelerating,
    /// Jumps and stays.
    Step,
    /// Rises and is collected; what matters is the floor.
    Sawtooth,
    /// Too little seen to tell.
    Unknown,
}

/// The recent movement of a series.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Trend {
    /// The likeliest shape.
    pub shape: Shape,
    /// Change per second, in the series' unit.
    pub rate: f64,
    /// One standard deviation of that rate.
    pub rate_sd: f64,
    /// Seconds of history the trend was taken from.
    pub span_s: f64,
}

/// The chance that one resource of an instance runs out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Risk {
    /// How it would fail.
    pub mode: FailureMode,
    /// Key of the series that runs against the limit.
    pub metric: String,
    /// Where the series stands, in its unit.
    pub used: f64,
    /// What it runs against, in the same unit.
    pub limit: f64,
    /// Horizon in seconds and the probability of failure within it, ascending in both.
    pub within: Vec<(f64, f64)>,
    /// When.
    pub time_to_failure: Quantiles,
    /// Probability that it never fails if things go on as they do.
    pub never: f64,
    /// 0 to 1: how much recent history supports this.
    pub confidence: f64,
    /// Movement it was taken from.
    pub trend: Trend,
}

impl Risk {
    /// The probability of failure within `horizon_s` seconds, linear between the stated horizons.
    #[must_use]
    pub fn at(&self, horizon_s: f64) -> f64 {
        probability_at(&self.within, horizon_s)
    }
}

/// A probability within `horizon_s` from those at stated horizons, which ascend: linear between them, from none now, and
/// constant beyond the last.
#[must_use]
pub fn probability_at(within: &[(f64, f64)], horizon_s: f64) -> f64 {
    let mut before = (0.0, 0.0);
    for &(horizon, p) in within {
        if horizon_s <= horizon {
            let share = (horizon_s - before.0) / (horizon - before.0).max(f64::MIN_POSITIVE);
            return before.1 + share.clamp(0.0, 1.0) * (p - before.1);
        }
        before = (horizon, p);
    }
    before.1
}
