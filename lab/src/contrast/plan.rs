//! Which faults come, in which order, how strong, and what is true while they last.

use std::fmt;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::ValueEnum;
use foretwin_core::Rng;

use super::service::TOP;

/// What happens to the original or beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Kind {
    /// Nothing.
    Healthy,
    /// A neighbour that uses the processor.
    CpuHog,
    /// A neighbour that writes and syncs.
    DiskHog,
    /// A neighbour that takes memory and lets go of it again, up to the lab host's limit.
    MemoryHog,
    /// A sidecar that uses up the quota of the pod.
    Throttled,
    /// The original leaks.
    Leak,
    /// The original needs more work per request.
    Slower,
    /// The original reaches a quota of its own.
    Quota,
    /// The original's load doubles and saturates nothing.
    Load,
    /// The original's load doubles and saturates the pod.
    Saturate,
    /// A neighbour hogs the processor while the original gets slower.
    CpuHogSlower,
    /// A neighbour hogs the disk while the original leaks.
    DiskHogLeak,
    /// A neighbour hogs the processor more and more.
    RampCpu,
    /// A neighbour hogs the disk more and more.
    RampDisk,
    /// A sidecar uses up more and more of the quota of the pod.
    RampThrottled,
}

impl Kind {
    /// As written in `truth.csv`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::CpuHog => "cpu_hog",
            Self::DiskHog => "disk_hog",
            Self::MemoryHog => "memory_hog",
            Self::Throttled => "throttled",
            Self::Leak => "leak",
            Self::Slower => "slower",
            Self::Quota => "quota",
            Self::Load => "load",
            Self::Saturate => "saturate",
            Self::CpuHogSlower => "cpu_hog_slower",
            Self::DiskHogLeak => "disk_hog_leak",
            Self::RampCpu => "ramp_cpu",
            Self::RampDisk => "ramp_disk",
            Self::RampThrottled => "ramp_throttled",
        }
    }

    /// Whether it grows from nothing to its strength while it lasts.
    pub fn ramps(self) -> bool {
        matches!(self, Self::RampCpu | Self::RampDisk | Self::RampThrottled)
    }

    /// The neighbour that uses what the original lacks.
    pub fn neighbour(self) -> Option<&'static str> {
        match self {
            Self::CpuHog | Self::CpuHogSlower | Self::RampCpu => Some("cpu-hog"),
            Self::DiskHog | Self::DiskHogLeak | Self::RampDisk => Some("disk-hog"),
            Self::MemoryHog => Some("memory-hog"),
            Self::Throttled | Self::RampThrottled => Some("pod/sidecar"),
            _ => None,
        }
    }

    /// Load that has to be held for the fault to be what it is called, requests per second. A load has doubled when
    /// it is twice the highest that was usual.
    pub fn rate(self) -> Option<f64> {
        match self {
            Self::Quota | Self::Slower | Self::CpuHogSlower => Some(0.6 * TOP),
            Self::Load => Some(2.0 * TOP),
            Self::Saturate => Some(3.6 * TOP),
            _ => None,
        }
    }

    /// A doubled load is doubled, not doubled by so many percent.
    fn is_graded(self) -> bool {
        !matches!(self, Self::Load | Self::Saturate | Self::Healthy)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A contrast campaign as asked.
#[derive(Debug, Clone, clap::Args)]
pub struct ContrastConfig {
    /// Where seconds.csv, frames.csv and truth.csv go
    #[arg(long)]
    pub out: PathBuf,
    /// How often each fault comes
    #[arg(long, default_value_t = 1)]
    pub runs: usize,
    /// Faults
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [
        Kind::CpuHog, Kind::DiskHog, Kind::MemoryHog, Kind::Throttled, Kind::Leak, Kind::Slower, Kind::Quota,
        Kind::Load, Kind::Saturate, Kind::CpuHogSlower, Kind::DiskHogLeak,
    ])]
    pub kinds: Vec<Kind>,
    /// Strengths of faults that have one, percent
    #[arg(long, value_delimiter = ',', default_values_t = [30.0, 100.0])]
    pub grades: Vec<f64>,
    /// Seconds that a fault lasts
    #[arg(long, default_value_t = 40.0)]
    pub fault_s: f64,
    /// Healthy seconds after each fault
    #[arg(long, default_value_t = 20.0)]
    pub gap_s: f64,
    /// Healthy seconds before the first fault
    #[arg(long, default_value_t = 300.0)]
    pub learn_s: f64,
    /// Healthy seconds after that, which count as healthy
    #[arg(long, default_value_t = 0.0)]
    pub healthy_s: f64,
    /// Draws the order of faults and the load
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The program that probes; without it nothing stands in
    #[arg(long)]
    pub runner: Option<PathBuf>,
    /// Cores that the pod may use
    #[arg(long, default_value_t = 0.75)]
    pub pod_cores: f64,
    /// How many neighbours the hogs of processor and disk are at full strength, each with the weight of the pod, or with
    /// four writers
    #[arg(long, default_value_t = 1)]
    pub neighbours: u64,
    /// Milliseconds of latency (90th percentile, mean of ten seconds) that end a ramp a little after they are exceeded
    #[arg(long)]
    pub until_ms: Option<f64>,
}

impl ContrastConfig {
    /// Says what cannot be run.
    ///
    /// # Errors
    /// The first field that makes no sense.
    pub fn check(&self) -> Result<()> {
        for (field, value) in [("fault_s", self.fault_s), ("gap_s", self.gap_s), ("learn_s", self.learn_s)] {
            ensure!(value.is_finite() && value >= 1.0, "--{field} is {value}: give at least one second");
        }
        ensure!(
            (0.2..=1.0).contains(&self.pod_cores),
            "--pod-cores is {}: give 0.2 to 1 core",
            self.pod_cores
        );
        ensure!((1..=16).contains(&self.neighbours), "--neighbours is {}: give 1 to 16", self.neighbours);
        ensure!(
            !self.grades.is_empty() && self.grades.iter().all(|grade| (1.0..=100.0).contains(grade)),
            "--grades: give 1 to 100 percent"
        );
        Ok(())
    }

    /// All faults in a drawn order: round by round, so that a campaign that is cut short has some of each.
    pub fn faults(&self) -> Vec<Fault> {
        let mut rng = Rng::new(self.seed);
        let mut faults = Vec::new();
        for _ in 0..self.runs {
            let mut round: Vec<Fault> = self.kinds.iter().flat_map(|&kind| self.graded(kind)).collect();
            // Fisher and Yates.
            for at in (1..round.len()).rev() {
                round.swap(at, rng.below(at as u64 + 1) as usize);
            }
            faults.append(&mut round);
        }
        faults
    }

    fn graded(&self, kind: Kind) -> Vec<Fault> {
        let grades = if kind.is_graded() { &self.grades[..] } else { &[100.0] };
        grades.iter().map(|grade| Fault { kind, strength: grade / 100.0 }).collect()
    }
}

/// One fault of a campaign.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fault {
    /// What happens.
    pub kind: Kind,
    /// How strong, 0 to 1.
    pub strength: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> ContrastConfig {
        ContrastConfig {
            out: PathBuf::new(),
            runs: 3,
            kinds: vec![Kind::CpuHog, Kind::Load, Kind::Leak],
            grades: vec![30.0, 100.0],
            fault_s: 40.0,
            gap_s: 20.0,
            learn_s: 60.0,
            healthy_s: 0.0,
            seed: 5,
            runner: None,
            pod_cores: 0.75,
            neighbours: 1,
            until_ms: None,
        }
    }

    #[test]
    fn every_round_has_every_fault_in_an_order_of_its_own() {
        let faults = config().faults();
        assert_eq!(faults.len(), 15);
        assert_eq!(faults, config().faults());
        for round in faults.chunks(5) {
            assert_eq!(round.iter().filter(|fault| fault.kind == Kind::Load).count(), 1);
            assert_eq!(round.iter().filter(|fault| fault.kind == Kind::CpuHog).count(), 2);
        }
        assert!(faults[..5] != faults[5..10] || faults[..5] != faults[10..]);
    }

    #[test]
    fn nonsense_is_named() {
        let wrong = ContrastConfig { grades: vec![0.0], ..config() };
        assert!(wrong.check().unwrap_err().to_string().contains("--grades"));
        let wrong = ContrastConfig { gap_s: f64::NAN, ..config() };
        assert!(wrong.check().unwrap_err().to_string().contains("gap_s"));
        config().check().unwrap();
    }
}
