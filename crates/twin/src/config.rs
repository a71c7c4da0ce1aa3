//! What an operator can set about twins.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Error;

/// Twins on this machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Whether twins are kept at all.
    pub enabled: bool,
    /// The control group under which twins stand, below the root of every hierarchy; empty: the root itself. Where it is
    /// that of the originals, twins share what they share.
    pub parent: String,
    /// The runner: a static binary. None takes `foretwin-runner` beside this executable, else this executable.
    pub runner: Option<PathBuf>,
    /// Socket of Docker or Podman.
    pub container_socket: PathBuf,
    /// QEMU for this machine's architecture, as a path or a name to look up in `PATH`.
    pub qemu: PathBuf,
    /// Kernel for microVMs: a `vmlinuz` or `vmlinux`. None takes this machine's own where it can be read.
    pub kernel: Option<PathBuf>,
    /// Directory with that kernel's modules. None takes `/lib/modules/RELEASE`, or what stands beside the kernel.
    pub kernel_modules: Option<PathBuf>,
    /// Whether guests run on a clock that counts their instructions. Their timing is repeatable then and hides all
    /// contention: for functional tests only.
    pub qemu_icount: bool,
    /// What all twins on this machine may use together.
    pub budget: Budget,
}

/// What all twins on this machine may use together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Budget {
    /// Share of the machine's processors, 0 to 1.
    pub cpu_share: f64,
    /// Share of the machine's memory, 0 to 1.
    pub memory_share: f64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { cpu_share: 0.05, memory_share: 0.05 }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: true,
            parent: String::new(),
            runner: None,
            container_socket: "/var/run/docker.sock".into(),
            qemu: "qemu-system-x86_64".into(),
            kernel: None,
            kernel_modules: None,
            qemu_icount: false,
            budget: Budget::default(),
        }
    }
}

impl Config {
    /// Refuses what cannot be meant.
    ///
    /// # Errors
    /// [`Error::Config`] naming the setting and the remedy.
    pub fn validate(&self) -> Result<(), Error> {
        let shares = [
            ("twin.budget.cpu_share", self.budget.cpu_share),
            ("twin.budget.memory_share", self.budget.memory_share),
        ];
        match shares.into_iter().find(|(_, share)| !(0.0..=1.0).contains(share)) {
            Some((field, share)) => {
                Err(Error::Config { field, problem: format!("{share} is no share"), remedy: "give 0 to 1" })
            }
            None => Ok(()),
        }
    }
}
