//! Settings of the machine source.

use serde::{Deserialize, Serialize};

/// What is read of the machine, and how often.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Milliseconds between frames, 10 to 10,000.
    pub interval_ms: u64,
    /// Up to so many processors each has a series of its own.
    pub cpus_each: usize,
    /// Whether the loopback interface counts.
    pub loopback: bool,
    /// Disks whose names start like this are left out.
    pub skip_disks: Vec<String>,
    /// Interfaces whose names start like this are left out. Those that container runtimes make and remove are better
    /// seen from inside the containers.
    pub skip_interfaces: Vec<String>,
    /// Mount points that start like this are left out.
    pub skip_mounts: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        let list = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Self {
            interval_ms: 1000,
            cpus_each: 16,
            loopback: false,
            skip_disks: list(&["loop", "ram", "zram", "sr", "fd", "nbd"]),
            skip_interfaces: list(&[
                "veth",
                "ifb",
                "dummy",
                "cali",
                "lxc",
                "tap",
                "nodelocaldns",
                "kube-ipvs",
            ]),
            skip_mounts: list(&[
                "/run/user/",
                "/run/credentials/",
                "/run/docker/",
                "/run/netns",
                "/snap/",
                "/var/lib/docker/",
                "/var/lib/containers/",
                "/var/lib/kubelet/",
            ]),
        }
    }
}
