//! The last ten seconds as one row of features, each with the least scale that a departure is measured in.

use std::collections::VecDeque;

use super::baseline::{Regime, median};
use super::second::{COSTS, Kernel, Neighbour, Production, Second, TWIN};

/// Seconds in a window.
pub(super) const SECONDS: usize = 10;

/// What a feature is taken of, before the costs of the twin, which come after them in the order of [`TWIN`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Of {
    LatencyP50,
    LatencyP90,
    Work,
    Rate,
    Errors,
    Leak,
    Throttled,
    ParentThrottled,
    CpuStall,
    MemoryStall,
    IoStall,
    RunDelay,
    Refaults,
    Steal,
    MemoryFull,
}

/// Features before those of the twin.
pub(super) const OWN: usize = 15;
/// The score of the second model, after the costs that it expects.
pub(super) const MODEL: usize = OWN + COSTS;
/// All features.
pub(super) const FEATURES: usize = MODEL + 1;

/// Key of the metric and least scale of each feature: natural logarithms for costs and rates, else as they are.
const DESCRIBED: [(&str, f32); OWN] = [
    ("latency.p50", 0.1),
    ("latency.p90", 0.15),
    ("cpu.time.per_request", 0.04),
    ("request.rate", 0.1),
    ("request.errors", 0.005),
    ("memory.slope", 0.1 * MIB),
    ("cpu.throttled", 0.01),
    ("parent.cpu.throttled", 0.005),
    ("cpu.pressure", 0.02),
    ("memory.pressure", 0.01),
    ("io.pressure", 0.01),
    ("cpu.run_delay", 0.02),
    ("memory.refaults", 0.3),
    ("cpu.steal", 0.01),
    ("parent.memory.utilization", 0.02),
];
const MIB: f32 = (1 << 20) as f32;

/// Key of a feature's metric.
pub(super) fn key(feature: usize) -> &'static str {
    match feature {
        MODEL => "foretwin.twin.score",
        feature if feature < OWN => DESCRIBED[feature].0,
        feature => TWIN[feature - OWN].0,
    }
}

/// What a feature is called in a sentence.
pub(super) fn said(feature: usize) -> &'static str {
    const SAID: [&str; OWN] = [
        "median latency",
        "latency (90th percentile)",
        "processor time per request",
        "load",
        "requests failed",
        "memory grows",
        "its own quota held it back",
        "the quota of the group around it held it back",
        "it waited for a processor",
        "it waited for memory",
        "it waited for a disk",
        "its threads waited for a processor",
        "the rate of pages read again",
        "the hypervisor ran somebody else",
        "memory around it is used up",
    ];
    SAID[feature]
}

/// Whether a cost of the twin is a share of time, not a duration.
fn is_share(cost: usize) -> bool {
    TWIN.get(cost).is_some_and(|(key, _)| key.ends_with("run_delay"))
}

/// Whether a feature is a natural logarithm.
pub(super) fn is_log(feature: usize) -> bool {
    match feature.checked_sub(OWN) {
        Some(cost) => !is_share(cost),
        None => {
            const LOGS: [usize; 5] = [
                Of::LatencyP50 as usize,
                Of::LatencyP90 as usize,
                Of::Work as usize,
                Of::Rate as usize,
                Of::Refaults as usize,
            ];
            LOGS.contains(&feature)
        }
    }
}

/// The least scale of each feature.
pub(super) fn floors() -> [f32; FEATURES] {
    let mut floors = [0.0; FEATURES];
    for (feature, floor) in floors.iter_mut().enumerate() {
        *floor = match feature.checked_sub(OWN) {
            None => DESCRIBED[feature].1,
            Some(cost) if is_share(cost) => 0.005,
            Some(cost) if TWIN.get(cost).is_some_and(|(key, _)| key.contains("stretch")) => 0.05,
            Some(_) => 0.15,
        };
    }
    floors
}

/// What somebody uses; of others in the order of the neighbours of the newest second.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Use {
    /// Cores.
    pub cpu: f32,
    /// Bytes per second.
    pub io: f32,
    /// Share of the time waited for a disk.
    pub io_stall: f32,
    /// Bytes.
    pub memory: f32,
}

/// A window in numbers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub regime: Regime,
    pub features: [f32; FEATURES],
    /// What the original itself uses.
    pub own: Use,
    /// Share of its capacity that the group around the original uses; NaN where either is not known.
    pub saturation: f32,
    /// Cores that the original may use beside the others in the group around it; NaN where that is not known.
    pub room: f32,
    /// Per neighbour of the newest second.
    pub others: Vec<Use>,
    /// Whether the twin measured anything.
    pub has_twin: bool,
}

#[cfg(test)]
impl Row {
    /// Nothing measured, nothing used.
    pub fn empty() -> Self {
        Self {
            regime: Regime::default(),
            features: [f32::NAN; FEATURES],
            own: Use::default(),
            saturation: f32::NAN,
            room: f32::NAN,
            others: Vec::new(),
            has_twin: false,
        }
    }
}

/// The mean of what is known; NaN where nothing is.
fn mean(seconds: &VecDeque<Second>, of: impl Fn(&Second) -> f64) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for value in seconds.iter().map(of).filter(|value| value.is_finite()) {
        sum += value;
        count += 1.0;
    }
    if count > 0.0 { sum / count } else { f64::NAN }
}

/// A cost is never nothing: its logarithm must stay finite. What is missing stays missing.
fn log(value: f64) -> f64 {
    if value.is_nan() { value } else { value.max(1e-7).ln() }
}

/// Sums up a full window.
pub(super) fn row(seconds: &VecDeque<Second>) -> Option<Row> {
    if seconds.len() < SECONDS {
        return None;
    }
    let newest = seconds.back()?;
    let production = |of: fn(&Production) -> f64| mean(seconds, |second| of(&second.production)) as f32;
    let kernel = |of: fn(&Kernel) -> f64| mean(seconds, |second| of(&second.kernel)) as f32;
    let own = Use {
        cpu: production(|p| p.cpu),
        io: production(|p| p.io),
        io_stall: kernel(|k| k.io_stall),
        memory: production(|p| p.memory),
    };
    let others: Vec<Use> = newest.neighbours.iter().map(|who| used(seconds, who)).collect();
    let known = |value: f32| if value.is_finite() { value } else { 0.0 };
    let regime = Regime {
        own: known(own.cpu),
        others: others.iter().map(|used| known(used.cpu)).sum(),
        steal: known(kernel(|k| k.steal)),
    };
    let features = features(seconds);
    let has_twin = features[OWN..MODEL].iter().any(|feature| feature.is_finite());
    let saturation = kernel(|k| k.parent_cpu / k.parent_capacity);
    let room = kernel(|k| k.parent_capacity - k.parent_cpu) + own.cpu;
    Some(Row { regime, features, own, saturation, room, others, has_twin })
}

/// What a neighbour used on average. Who was not there used nothing.
fn used(seconds: &VecDeque<Second>, who: &Neighbour) -> Use {
    let of = |of: fn(&Neighbour) -> f64| {
        let found = |second: &Second| second.neighbours.iter().find(|other| other.id == who.id).map(of);
        mean(seconds, |second| found(second).unwrap_or(0.0)) as f32
    };
    Use { cpu: of(|n| n.cpu), io: of(|n| n.io), io_stall: of(|n| n.io_stall), memory: of(|n| n.memory) }
}

fn features(seconds: &VecDeque<Second>) -> [f32; FEATURES] {
    let production = |of: fn(&Production) -> f64| mean(seconds, |second| of(&second.production));
    let kernel = |of: fn(&Kernel) -> f64| mean(seconds, |second| of(&second.kernel));
    let mut features = [f32::NAN; FEATURES];
    let mut set = |of: Of, value: f64| features[of as usize] = value as f32;
    set(Of::LatencyP50, production(|p| log(p.latency_p50_s)));
    set(Of::LatencyP90, production(|p| log(p.latency_p90_s)));
    let rate = production(|p| p.rate);
    // Without requests there is nothing that the work could be divided by.
    set(Of::Work, if rate > 0.1 { log(production(|p| p.cpu) / rate) } else { f64::NAN });
    set(Of::Rate, rate.ln_1p());
    set(Of::Errors, production(|p| p.errors));
    set(Of::Leak, slope(seconds));
    set(Of::Throttled, production(|p| p.throttled));
    set(Of::ParentThrottled, kernel(|k| k.parent_throttled));
    set(Of::CpuStall, kernel(|k| k.cpu_stall));
    set(Of::MemoryStall, kernel(|k| k.memory_stall));
    set(Of::IoStall, kernel(|k| k.io_stall));
    set(Of::RunDelay, kernel(|k| k.run_delay));
    set(Of::Refaults, kernel(|k| k.refaults).ln_1p());
    set(Of::Steal, kernel(|k| k.steal));
    set(Of::MemoryFull, kernel(|k| k.memory_full));
    for (cost, feature) in features[OWN..MODEL].iter_mut().enumerate() {
        let of = |second: &Second| second.twin.map_or(f64::NAN, |costs| costs[cost]);
        *feature = mean(seconds, |second| if is_share(cost) { of(second) } else { log(of(second)) }) as f32;
    }
    features[MODEL] = log(mean(seconds, |second| second.twin_score)) as f32;
    features
}

/// Bytes per second by which memory grew, from the median of the first to that of the last seconds.
fn slope(seconds: &VecDeque<Second>) -> f64 {
    const ENDS: usize = 3;
    let level = |from: usize| {
        let mut levels: Vec<f32> = (seconds.iter().skip(from).take(ENDS))
            .map(|second| second.production.memory as f32)
            .filter(|value| value.is_finite())
            .collect();
        f64::from(median(&mut levels))
    };
    (level(seconds.len() - ENDS) - level(0)) / (seconds.len() - ENDS) as f64
}
