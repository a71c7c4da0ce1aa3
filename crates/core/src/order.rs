//! What a runner is told to do.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::profile::{DIMENSIONS, Profile};
use crate::time::Timestamp;

/// Everything a runner does follows from its order; a new one replaces the old one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Order {
    /// Whose twin it is: the instance, or the host for its probe set.
    pub label: String,
    /// Everything random follows from it.
    pub seed: u64,
    /// Frames per second.
    pub report_hz: f64,
    /// The probes; none to only replay.
    pub probes: Option<Probes>,
    /// The replay; none to only probe, or to pause.
    pub replay: Option<Replay>,
    /// How to fail; none to stay well.
    pub fault: Option<Fault>,
}

impl Default for Order {
    fn default() -> Self {
        Self { label: String::new(), seed: 1, report_hz: 1.0, probes: None, replay: None, fault: None }
    }
}

/// Short fixed units of work that measure what they cost, at normal priority.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Probes {
    /// Mean ticks per second; each is jittered, so that no period of the kernel's is aliased.
    pub rate_hz: f64,
    /// Long units per second.
    pub long_unit_hz: f64,
    /// Syncs per second, 4 KiB each.
    pub sync_hz: f64,
    /// Where the disk is probed; none leaves disk and reclaim out.
    pub directory: Option<String>,
    /// Most cores that the probes may use; the rate adapts to it.
    pub cap_core: f64,
    /// `host:port` of peers to connect to, one after the other, each once in five seconds.
    pub peers: Vec<String>,
    /// Mean seconds between random switches on and off, to estimate what the probes cost others; none is always on.
    pub switch_s: Option<f64>,
    /// CPUs to stay on; none for any.
    pub cpus: Vec<u32>,
}

impl Default for Probes {
    fn default() -> Self {
        Self {
            rate_hz: 10.0,
            long_unit_hz: 1.0,
            sync_hz: 2.5,
            directory: None,
            cap_core: 0.015,
            peers: Vec::new(),
            switch_s: None,
            cpus: Vec::new(),
        }
    }
}

/// Bulk work that resembles the original, at the lowest priority.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Replay {
    /// What to replay. It travels beside the rest, as bytes of its own.
    #[serde(skip)]
    pub profile: Arc<Profile>,
    /// The moment of the profile's week at which the replay begins.
    #[serde(rename = "start_us")]
    pub start: Timestamp,
    /// Factor on the demand of each dimension, in the order of [`crate::Dimension::ALL`].
    pub scale: [f64; DIMENSIONS],
    /// Seconds of the profile per second. Rates stay rates: a day replayed in an hour does a 24th of its work.
    pub speed: f64,
    /// Most cores that the replay may use.
    pub cap_core: f64,
    /// Whether it works less while others are under pressure.
    pub yields: bool,
    /// Work units per second of CPU time on the original's machine; none takes the runner's own. With it, a slow
    /// guest is asked for the same work, not for the same time.
    pub work_rate: Option<f64>,
    /// Where files are read and written; none leaves the disk out.
    pub directory: Option<String>,
    /// CPUs to stay on; none for any.
    pub cpus: Vec<u32>,
}

impl Default for Replay {
    fn default() -> Self {
        Self {
            profile: Arc::default(),
            start: Timestamp(0),
            scale: [1.0; DIMENSIONS],
            speed: 1.0,
            cap_core: 0.1,
            yields: true,
            work_rate: None,
            directory: None,
            cpus: Vec::new(),
        }
    }
}

/// How to fail as the original would: rates per second of the runner's time, and the limits it fails at.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fault {
    /// Bytes of memory leaked per second, touched.
    pub memory_bytes_per_s: f64,
    /// Descriptors leaked per second.
    pub descriptors_per_s: f64,
    /// Threads leaked per second.
    pub threads_per_s: f64,
    /// Bytes per second left in the replay's or the probes' directory.
    pub disk_bytes_per_s: f64,
    /// CPU seconds added to each replayed request.
    pub request_extra_s: f64,
    /// Cores burnt beside the demand.
    pub cpu_extra: f64,
    /// Bytes that the runner itself holds, filled up where it needs less, so that what its group leaves for growth is
    /// known; none fills nothing up.
    pub own_bytes: Option<u64>,
    /// Bytes, leaked, working set and own, at which the runner ends; none leaves it to its control group.
    pub memory_limit_bytes: Option<u64>,
    /// Open descriptors at which it ends.
    pub descriptors_limit: Option<u64>,
    /// Threads at which it ends.
    pub threads_limit: Option<u64>,
    /// Bytes on disk at which it ends.
    pub disk_limit_bytes: Option<u64>,
}

impl Order {
    /// What cannot be meant, as field and remedy.
    #[must_use]
    pub fn fault_in(&self) -> Option<(&'static str, &'static str)> {
        // Written so that NaN fails too.
        let within = |value: f64, least: f64, most: f64| value >= least && value <= most;
        if !within(self.report_hz, 0.01, 100.0) {
            return Some(("report_hz", "give 0.01 to 100 frames per second"));
        }
        let probes = self.probes.as_ref().and_then(Probes::fault_in);
        let replay = self.replay.as_ref().and_then(Replay::fault_in);
        probes.or(replay).or_else(|| self.fault.as_ref().and_then(Fault::fault_in))
    }
}

impl Probes {
    fn fault_in(&self) -> Option<(&'static str, &'static str)> {
        let within = |value: f64, least: f64, most: f64| value >= least && value <= most;
        if !within(self.rate_hz, 0.1, 100.0) {
            Some(("probes.rate_hz", "give 0.1 to 100 ticks per second"))
        } else if !within(self.long_unit_hz, 0.0, 10.0) {
            Some(("probes.long_unit_hz", "give 0 to 10 long units per second"))
        } else if !within(self.sync_hz, 0.0, 20.0) {
            Some(("probes.sync_hz", "give 0 to 20 syncs per second"))
        } else if !within(self.cap_core, 0.0001, 1.0) {
            Some(("probes.cap_core", "give 0.0001 to 1 core"))
        } else if self.switch_s.is_some_and(|switch_s| !within(switch_s, 0.1, 86_400.0)) {
            Some(("probes.switch_s", "give 0.1 to 86400 seconds, or leave it out"))
        } else if self.peers.len() > 64 {
            Some(("probes.peers", "name at most 64 peers"))
        } else {
            None
        }
    }
}

impl Replay {
    fn fault_in(&self) -> Option<(&'static str, &'static str)> {
        let within = |value: f64, least: f64, most: f64| value >= least && value <= most;
        if self.profile.fault().is_some() {
            Some(("replay.profile", "send one that was fitted or decoded, its shape is wrong"))
        } else if !self.scale.iter().all(|scale| within(*scale, 0.0, 1e6)) {
            Some(("replay.scale", "give factors of 0 to 1000000, one per dimension"))
        } else if !within(self.speed, 0.001, 1e5) {
            Some(("replay.speed", "give 0.001 to 100000 profile seconds per second"))
        } else if !within(self.cap_core, 0.0001, 1024.0) {
            Some(("replay.cap_core", "give 0.0001 to 1024 cores"))
        } else if self.work_rate.is_some_and(|rate| !within(rate, 1.0, 1e12)) {
            Some(("replay.work_rate", "give 1 or more work units per second, or leave it out"))
        } else {
            None
        }
    }
}

impl Fault {
    fn fault_in(&self) -> Option<(&'static str, &'static str)> {
        let rates = [
            ("fault.memory_bytes_per_s", self.memory_bytes_per_s),
            ("fault.descriptors_per_s", self.descriptors_per_s),
            ("fault.threads_per_s", self.threads_per_s),
            ("fault.disk_bytes_per_s", self.disk_bytes_per_s),
            ("fault.request_extra_s", self.request_extra_s),
            ("fault.cpu_extra", self.cpu_extra),
        ];
        let wrong = rates.into_iter().find(|(_, rate)| !(rate.is_finite() && *rate >= 0.0));
        wrong.map(|(field, _)| (field, "give a finite number of at least 0"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_meant_names_its_field() {
        let sound = Order {
            probes: Some(Probes::default()),
            replay: Some(Replay::default()),
            fault: Some(Fault::default()),
            ..Order::default()
        };
        assert_eq!(sound.fault_in(), None);
        let probes = |change: fn(&mut Probes)| {
            let mut probes = Probes::default();
            change(&mut probes);
            Order { probes: Some(probes), ..Order::default() }.fault_in().map(|(field, _)| field)
        };
        assert_eq!(probes(|p| p.rate_hz = f64::NAN), Some("probes.rate_hz"));
        assert_eq!(probes(|p| p.cap_core = 0.0), Some("probes.cap_core"));
        assert_eq!(probes(|p| p.switch_s = Some(0.0)), Some("probes.switch_s"));
        let replay = Replay { speed: f64::INFINITY, ..Replay::default() };
        let order = Order { replay: Some(replay), ..Order::default() };
        assert_eq!(order.fault_in().map(|(field, _)| field), Some("replay.speed"));
        let fault = Fault { threads_per_s: -1.0, ..Fault::default() };
        let order = Order { fault: Some(fault), ..Order::default() };
        assert_eq!(order.fault_in().map(|(field, _)| field), Some("fault.threads_per_s"));
    }
}
