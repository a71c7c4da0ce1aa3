//! What the contrast looks at: one second of production, of the kernel's counters, of neighbours and of the twin.

use foretwin_core::{InstanceId, Timestamp};

/// How production fared in one second. NaN where it is not known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Production {
    /// Requests answered.
    pub rate: f64,
    /// Share of requests that were refused or failed.
    pub errors: f64,
    /// Median latency in seconds.
    pub latency_p50_s: f64,
    /// 90th percentile.
    pub latency_p90_s: f64,
    /// Cores used.
    pub cpu: f64,
    /// Bytes that reclaim cannot give back.
    pub memory: f64,
    /// Bytes per second to and from disks.
    pub io: f64,
    /// Share of the time that it was held back by a quota of its own.
    pub throttled: f64,
}

impl Production {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self {
        rate: f64::NAN,
        errors: f64::NAN,
        latency_p50_s: f64::NAN,
        latency_p90_s: f64::NAN,
        cpu: f64::NAN,
        memory: f64::NAN,
        io: f64::NAN,
        throttled: f64::NAN,
    };
}

/// What the kernel counts of the original and around it, per second. NaN where it does not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Kernel {
    /// Share of the time that the group around the original was held back by its quota.
    pub parent_throttled: f64,
    /// Cores that the group around the original used.
    pub parent_cpu: f64,
    /// Cores that the group around the original may use.
    pub parent_capacity: f64,
    /// Share of the time that some of the original waited for a processor (pressure).
    pub cpu_stall: f64,
    /// For memory.
    pub memory_stall: f64,
    /// For a disk.
    pub io_stall: f64,
    /// Seconds per second that the original's threads waited for a processor.
    pub run_delay: f64,
    /// Pages per second that were faulted in again soon after they were evicted, and faults that needed the disk.
    pub refaults: f64,
    /// Cores taken by the hypervisor.
    pub steal: f64,
    /// Share of the memory of the host, or of the tightest group around the original, that reclaim cannot give back.
    pub memory_full: f64,
}

impl Kernel {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self {
        parent_throttled: f64::NAN,
        parent_cpu: f64::NAN,
        parent_capacity: f64::NAN,
        cpu_stall: f64::NAN,
        memory_stall: f64::NAN,
        io_stall: f64::NAN,
        run_delay: f64::NAN,
        refaults: f64::NAN,
        steal: f64::NAN,
        memory_full: f64::NAN,
    };
}

/// What somebody else on the same resources uses.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbour {
    /// Who.
    pub id: InstanceId,
    /// Cores.
    pub cpu: f64,
    /// Bytes per second to and from disks.
    pub io: f64,
    /// Share of the time that some of it waited for a disk (pressure). Whoever waits for a disk uses it; where the
    /// kernel does not count bytes per group, this is what names the user.
    pub io_stall: f64,
    /// Bytes of memory that reclaim cannot give back.
    pub memory: f64,
    /// Whether it shares the quota of the group around the original.
    pub inside: bool,
}

/// A kind of probe. Agreement of two kinds says more than two numbers of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Probe {
    /// Waking up.
    Wake,
    /// A unit of work.
    Work,
    /// A fresh page.
    Fault,
    /// A page that was reclaimed.
    Reclaim,
    /// A write and its sync.
    Disk,
    /// A round trip in the kernel's network.
    Network,
    /// A queued request.
    Queue,
}

impl Probe {
    /// In words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wake => "waking up",
            Self::Work => "a fixed unit of work",
            Self::Fault => "a fresh page",
            Self::Reclaim => "reclaim",
            Self::Disk => "a write and its sync",
            Self::Network => "a round trip",
            Self::Queue => "a queued request",
        }
    }
}

/// How many costs of the twin are looked at.
pub const COSTS: usize = 14;

/// The costs of the twin that are looked at: key of the metric, as the runner reports it, and kind. CPU time per unit
/// and memory touch are left out: they say nothing of contention.
pub const TWIN: [(&str, Probe); COSTS] = [
    ("foretwin.probe.wake.lag{stat=mean}", Probe::Wake),
    ("foretwin.probe.wake.lag{stat=p90}", Probe::Wake),
    ("foretwin.probe.unit.short.stretch{stat=mean}", Probe::Work),
    ("foretwin.probe.unit.long.stretch{stat=mean}", Probe::Work),
    ("foretwin.probe.run_delay", Probe::Work),
    ("foretwin.probe.memory.fault{stat=p50}", Probe::Fault),
    ("foretwin.probe.memory.fault{stat=p90}", Probe::Fault),
    ("foretwin.probe.memory.reclaim{stat=p90}", Probe::Reclaim),
    ("foretwin.probe.memory.refault{stat=p90}", Probe::Reclaim),
    ("foretwin.probe.disk.write{stat=p90}", Probe::Disk),
    ("foretwin.probe.disk.sync{stat=p50}", Probe::Disk),
    ("foretwin.probe.tcp.round_trip{stat=p50}", Probe::Network),
    ("foretwin.probe.tcp.round_trip{stat=p90}", Probe::Network),
    ("foretwin.probe.request.sojourn{stat=p90}", Probe::Queue),
];

/// One second of everything.
#[derive(Debug, Clone, PartialEq)]
pub struct Second {
    /// Its end.
    pub at: Timestamp,
    /// The original.
    pub production: Production,
    /// What the kernel counts.
    pub kernel: Kernel,
    /// Everybody else.
    pub neighbours: Vec<Neighbour>,
    /// The costs of the twin in the order of [`TWIN`], NaN where not measured; none where no twin runs.
    pub twin: Option<[f64; COSTS]>,
    /// What the second model, which expects those costs, made of them: above 1 is anomalous. NaN without one.
    pub twin_score: f64,
}
