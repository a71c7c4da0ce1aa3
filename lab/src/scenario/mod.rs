//! What happens in a run: leaks, look-alikes that are healthy, other resources, and bad neighbours.

mod accelerating;
mod cpu_hog;
mod descriptor_leak;
mod disk_fill;
mod disk_hog;
mod fixed_leak;
mod healthy;
mod inode_fill;
mod linear;
mod load_coupled;
mod network_delay;
mod page_cache;
mod pid_leak;
mod plateau;
mod rotation;
mod sawtooth;
mod step;

use std::fmt;
use std::io;
use std::path::PathBuf;

use clap::ValueEnum;
use foretwin_core::Rng;
use serde::{Deserialize, Serialize};

use crate::plan::Draw;
use crate::work;

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Scenario {
    /// Memory leaks evenly.
    Linear,
    /// Memory leaks faster and faster.
    Accelerating,
    /// Every request leaks: the rate follows the load.
    LoadCoupled,
    /// Garbage is collected, over a floor that rises.
    Sawtooth,
    /// Memory leaks in jumps.
    Step,
    /// Memory grows to a working set and stays.
    Plateau,
    /// Memory leaks for a while, until the leak is fixed.
    FixedLeak,
    /// Memory breathes, with jobs and bursts of work.
    Healthy,
    /// Page cache fills the group; the kernel takes it back when asked.
    PageCache,
    /// A log grows and is rotated.
    Rotation,
    /// A small file system fills up.
    DiskFill,
    /// A small file system runs out of inodes.
    InodeFill,
    /// Descriptors are opened and never closed.
    DescriptorLeak,
    /// Threads are started and never end.
    PidLeak,
    /// A neighbour that takes every processor now and then.
    CpuHog,
    /// A neighbour that keeps the disk busy now and then.
    DiskHog,
    /// Packets are delayed, in a network of the run's own.
    NetworkDelay,
}

/// What a scenario needs besides a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Needs {
    /// A small file system mounted for it.
    pub small_disk: bool,
    /// A directory on a real disk.
    pub scratch: bool,
    /// Network emulation.
    pub network: bool,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// It did not fail.
    None,
    /// Memory ran out.
    Oom,
    /// The file system was full.
    DiskFull,
    /// The file system had no inode left.
    InodesExhausted,
    /// No descriptor was left.
    FdExhausted,
    /// No process or thread could be started.
    PidsExhausted,
    /// It died of something that the scenario does not mean.
    Crash,
}

impl FailureKind {
    /// As written in `runs.csv`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Oom => "oom",
            Self::DiskFull => "disk_full",
            Self::InodesExhausted => "inodes_exhausted",
            Self::FdExhausted => "fd_exhausted",
            Self::PidsExhausted => "pids_exhausted",
            Self::Crash => "crash",
        }
    }

    /// What Foretwin calls it; nothing for what it has no limit of.
    pub fn mode(self) -> Option<&'static str> {
        Some(match self {
            Self::Oom => "memory_exhaustion",
            Self::DiskFull => "disk_full",
            Self::InodesExhausted => "inode_exhaustion",
            Self::FdExhausted => "descriptor_exhaustion",
            Self::PidsExhausted => "pid_exhaustion",
            Self::None | Self::Crash => return None,
        })
    }

    /// The class of its cause: what a process should give back leaks, what it stores grows.
    pub fn class(self) -> Option<&'static str> {
        Some(match self {
            Self::Oom | Self::FdExhausted | Self::PidsExhausted => "leak",
            Self::DiskFull | Self::InodesExhausted => "growth",
            Self::None | Self::Crash => return None,
        })
    }

    /// Actions that put it off or end it.
    pub fn actions(self) -> &'static [&'static str] {
        match self {
            Self::Oom | Self::FdExhausted | Self::PidsExhausted => &["restart", "raise_limit", "find_leak"],
            Self::DiskFull => &["free_space", "find_writer", "extend_volume"],
            Self::InodesExhausted => &["remove_files", "find_writer", "extend_volume"],
            Self::None | Self::Crash => &[],
        }
    }
}

/// One step of a worker's time.
#[derive(Debug, Clone, Copy)]
pub struct Tick {
    /// Seconds since the run's start.
    pub at_s: f64,
    /// Seconds since the onset, negative before it.
    pub since_s: f64,
    /// Requests served in this tick.
    pub requests: u32,
}

/// What a scenario does, tick by tick.
pub trait Course {
    /// Serves one request.
    ///
    /// # Errors
    /// If the request failed; the run goes on.
    fn request(&mut self) -> io::Result<()> {
        work::serve();
        Ok(())
    }

    /// Does what this tick brings, after its requests.
    ///
    /// # Errors
    /// When a resource runs out: the event that the run is about.
    fn step(&mut self, tick: &Tick) -> io::Result<()>;
}

/// What a course is made from.
#[derive(Debug, Clone)]
pub struct Setting {
    /// What the seed drew.
    pub draw: Draw,
    /// Random numbers of the scenario.
    pub rng: Rng,
    /// Requests per second on average.
    pub mean_load: f64,
    /// The small file system, where one is mounted.
    pub disk: PathBuf,
    /// Its size in bytes.
    pub disk_bytes: f64,
    /// Its inodes.
    pub inodes: f64,
    /// Descriptors that the process may open.
    pub descriptors: f64,
    /// Threads that the group may have.
    pub pids: f64,
    /// A directory on a real disk, where one is made.
    pub scratch: PathBuf,
}

impl Scenario {
    /// Its name, as on the command line and in `runs.csv`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Accelerating => "accelerating",
            Self::LoadCoupled => "load_coupled",
            Self::Sawtooth => "sawtooth",
            Self::Step => "step",
            Self::Plateau => "plateau",
            Self::FixedLeak => "fixed_leak",
            Self::Healthy => "healthy",
            Self::PageCache => "page_cache",
            Self::Rotation => "rotation",
            Self::DiskFill => "disk_fill",
            Self::InodeFill => "inode_fill",
            Self::DescriptorLeak => "descriptor_leak",
            Self::PidLeak => "pid_leak",
            Self::CpuHog => "cpu_hog",
            Self::DiskHog => "disk_hog",
            Self::NetworkDelay => "network_delay",
        }
    }

    /// What it needs besides a group.
    pub fn needs(self) -> Needs {
        let small_disk = matches!(self, Self::Rotation | Self::DiskFill | Self::InodeFill);
        let scratch = matches!(self, Self::PageCache | Self::DiskHog);
        Needs { small_disk, scratch, network: self == Self::NetworkDelay }
    }

    /// Whether it only fails where a group limits it.
    pub fn needs_group(self) -> bool {
        matches!(self, Self::PidLeak | Self::PageCache)
    }

    /// Why it cannot run on this machine, with the remedy.
    pub fn missing(self) -> Option<String> {
        if self == Self::NetworkDelay { network_delay::missing() } else { None }
    }

    /// How it fails if nothing ends it before; what is healthy, or harms others only, does not.
    pub fn meant(self) -> FailureKind {
        match self {
            Self::Linear | Self::Accelerating | Self::LoadCoupled | Self::Sawtooth | Self::Step => {
                FailureKind::Oom
            }
            // Fixed before it dies: an alert while it leaks is of memory.
            Self::FixedLeak => FailureKind::Oom,
            Self::DiskFill => FailureKind::DiskFull,
            Self::InodeFill => FailureKind::InodesExhausted,
            Self::DescriptorLeak => FailureKind::FdExhausted,
            Self::PidLeak => FailureKind::PidsExhausted,
            Self::Plateau
            | Self::Healthy
            | Self::PageCache
            | Self::Rotation
            | Self::CpuHog
            | Self::DiskHog
            | Self::NetworkDelay => FailureKind::None,
        }
    }

    /// The failure that an error of the system means here.
    pub fn failure(self, error: &io::Error) -> FailureKind {
        match error.raw_os_error() {
            Some(libc::ENOMEM) => FailureKind::Oom,
            Some(libc::ENOSPC) if self == Self::InodeFill => FailureKind::InodesExhausted,
            Some(libc::ENOSPC) => FailureKind::DiskFull,
            Some(libc::EMFILE) => FailureKind::FdExhausted,
            Some(libc::EAGAIN) => FailureKind::PidsExhausted,
            _ => FailureKind::Crash,
        }
    }

    /// Begins it.
    ///
    /// # Errors
    /// If what it needs cannot be had.
    pub fn begin(self, setting: Setting) -> io::Result<Box<dyn Course>> {
        Ok(match self {
            Self::Linear => Box::new(linear::Linear::new(&setting)),
            Self::Accelerating => Box::new(accelerating::Accelerating::new(setting)),
            Self::LoadCoupled => Box::new(load_coupled::LoadCoupled::new(&setting)),
            Self::Sawtooth => Box::new(sawtooth::Sawtooth::new(setting)),
            Self::Step => Box::new(step::Step::new(setting)),
            Self::Plateau => Box::new(plateau::Plateau::new(setting)),
            Self::FixedLeak => Box::new(fixed_leak::FixedLeak::new(setting)),
            Self::Healthy => Box::new(healthy::Healthy::new(setting)),
            Self::PageCache => Box::new(page_cache::PageCache::new(&setting)?),
            Self::Rotation => Box::new(rotation::Rotation::new(setting)?),
            Self::DiskFill => Box::new(disk_fill::DiskFill::new(&setting)?),
            Self::InodeFill => Box::new(inode_fill::InodeFill::new(&setting)),
            Self::DescriptorLeak => Box::new(descriptor_leak::DescriptorLeak::new(&setting)),
            Self::PidLeak => Box::new(pid_leak::PidLeak::new(&setting)),
            Self::CpuHog => Box::new(cpu_hog::CpuHog::new(setting)?),
            Self::DiskHog => Box::new(disk_hog::DiskHog::new(setting)?),
            Self::NetworkDelay => Box::new(network_delay::NetworkDelay::new(setting)?),
        })
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_everywhere() {
        for &scenario in Scenario::value_variants() {
            let json = serde_json::to_value(scenario).unwrap();
            assert_eq!(json, scenario.as_str());
            assert_eq!(Scenario::from_str(scenario.as_str(), false), Ok(scenario));
        }
    }

    #[test]
    fn errors_are_told_apart() {
        let full = io::Error::from_raw_os_error(libc::ENOSPC);
        assert_eq!(Scenario::DiskFill.failure(&full), FailureKind::DiskFull);
        assert_eq!(Scenario::InodeFill.failure(&full), FailureKind::InodesExhausted);
        assert_eq!(Scenario::Linear.failure(&io::Error::other("?")), FailureKind::Crash);
    }
}
