//! What an operator can set about twins.

use std::collections::BTreeMap;
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
    /// What instances have to keep, by id or by workload; of both, the id counts. What is not set is learned.
    pub limits: BTreeMap<String, Limits>,
}

/// What an instance has to keep.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Highest 90th percentile of latency, in seconds. None: twice the highest while all was well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_p90_s: Option<f64>,
    /// Fewest requests per second that it must be able to answer. None: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throughput: Option<f64>,
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
            limits: BTreeMap::new(),
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
        if let Some((field, share)) = shares.into_iter().find(|(_, share)| !(0.0..=1.0).contains(share)) {
            let problem = format!("{share} is no share");
            return Err(Error::Config { field, problem, remedy: "give 0 to 1" });
        }
        self.limits.iter().try_for_each(|(name, limits)| limits.check(name))
    }

    /// What an instance has to keep, by its id or else its workload; nothing by default.
    #[must_use]
    pub fn limits_of(&self, instance: &str, workload: &str) -> Limits {
        let of = |name: &str| self.limits.get(name).copied();
        of(instance).or_else(|| of(workload)).unwrap_or_default()
    }
}

impl Limits {
    fn check(&self, name: &str) -> Result<(), Error> {
        const FIELD: &str = "twin.limits";
        let wrong =
            |problem: String, remedy: &'static str| Err(Error::Config { field: FIELD, problem, remedy });
        if name.is_empty() {
            return wrong(
                "a name is empty".into(),
                "name an instance or a workload as [twin.limits.\"NAME\"]",
            );
        }
        let usable = |value: f64| value.is_finite() && value > 0.0;
        match (self.latency_p90_s, self.throughput) {
            (None, None) => {
                wrong(format!("\"{name}\" sets nothing"), "give latency_p90_s, throughput or both")
            }
            (Some(seconds), _) if !usable(seconds) => wrong(
                format!("\"{name}\": latency_p90_s = {seconds} is no duration"),
                "give seconds above 0, for instance 0.25",
            ),
            (_, Some(rate)) if !usable(rate) => wrong(
                format!("\"{name}\": throughput = {rate} is no rate"),
                "give requests per second above 0, for instance 100",
            ),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &str, latency_p90_s: Option<f64>, throughput: Option<f64>) -> Config {
        let limits = BTreeMap::from([(name.to_owned(), Limits { latency_p90_s, throughput })]);
        Config { limits, ..Config::default() }
    }

    #[test]
    fn an_id_counts_before_a_workload() {
        let mut config = with("shop", Some(0.5), None);
        let own = Limits { latency_p90_s: Some(0.1), throughput: Some(20.0) };
        config.limits.insert("h/a".into(), own);
        config.validate().unwrap();
        assert_eq!(config.limits_of("h/a", "shop"), own);
        assert_eq!(config.limits_of("h/b", "shop").latency_p90_s, Some(0.5));
        assert_eq!(config.limits_of("h/c", "other"), Limits::default());
    }

    #[test]
    fn what_cannot_be_meant_is_named_with_a_remedy() {
        let said = |config: Config| config.validate().unwrap_err().to_string();
        let negative = said(with("h/a", Some(-0.1), None));
        for word in ["twin.limits", "h/a", "latency_p90_s = -0.1", "0.25"] {
            assert!(negative.contains(word), "{negative}");
        }
        assert!(said(with("h/a", Some(0.1), Some(f64::NAN))).contains("throughput = NaN"));
        assert!(said(with("h/a", None, None)).contains("sets nothing"));
        assert!(said(with("", Some(0.1), None)).contains("NAME"));
        let budget = Budget { cpu_share: 2.0, ..Budget::default() };
        assert!(said(Config { budget, ..Config::default() }).contains("twin.budget.cpu_share"));
    }
}
