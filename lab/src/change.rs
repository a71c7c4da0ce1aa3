//! What is changed in the middle of a run, so that the same seed shows what the change was worth.

use serde::{Deserialize, Serialize};

/// Changes from one moment on; nothing by default.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, clap::Args)]
#[serde(deny_unknown_fields, default)]
pub struct Change {
    /// When the changes come, seconds since the start
    #[arg(long, default_value_t = 0.0)]
    pub change_at_s: f64,
    /// Multiplies the load from then on
    #[arg(long, default_value_t = 1.0)]
    pub load_factor: f64,
    /// Cores that the run may use from then on
    #[arg(long)]
    pub cpu_cores: Option<f64>,
    /// The process is started again then
    #[arg(long)]
    pub restart: bool,
}

impl Default for Change {
    fn default() -> Self {
        Self { change_at_s: 0.0, load_factor: 1.0, cpu_cores: None, restart: false }
    }
}

impl Change {
    /// Its part of a run's name.
    pub fn name(&self) -> String {
        let mut name = String::new();
        if self.load_factor != 1.0 {
            name += &format!("-load{}", self.load_factor);
        }
        if let Some(cores) = self.cpu_cores {
            name += &format!("-cpu{cores}");
        }
        if self.restart {
            name += "-restart";
        }
        name
    }

    /// Says what cannot be changed so.
    ///
    /// # Errors
    /// The first field that makes no sense.
    pub fn check(&self) -> anyhow::Result<()> {
        let at = self.change_at_s;
        anyhow::ensure!(at.is_finite() && at >= 0.0, "change_at_s is {at}: give zero or more seconds");
        let load = self.load_factor;
        anyhow::ensure!(load.is_finite() && load > 0.0, "load_factor is {load}: give a number above zero");
        let cores = self.cpu_cores.unwrap_or(1.0);
        anyhow::ensure!(cores.is_finite() && cores >= 0.01, "cpu_cores is {cores}: give at least 0.01");
        Ok(())
    }

    /// What the load is multiplied with at a moment.
    pub fn load_at(&self, at_s: f64) -> f64 {
        if at_s < self.change_at_s { 1.0 } else { self.load_factor }
    }

    /// Cores that it may use at a moment; none where that is not limited.
    pub fn cores_at(&self, at_s: f64) -> Option<f64> {
        self.cpu_cores.filter(|_| at_s >= self.change_at_s)
    }

    /// When a process that began at `begun_s` is started again; never for one that was.
    pub fn restarts_at(&self, begun_s: f64) -> Option<f64> {
        (self.restart && begun_s < self.change_at_s).then_some(self.change_at_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_come_in_their_time() {
        let change = Change { change_at_s: 30.0, load_factor: 2.0, cpu_cores: Some(0.2), restart: true };
        assert_eq!((change.load_at(29.9), change.load_at(30.0)), (1.0, 2.0));
        assert_eq!((change.cores_at(29.9), change.cores_at(30.0)), (None, Some(0.2)));
        assert_eq!((change.restarts_at(0.0), change.restarts_at(30.0)), (Some(30.0), None));
        assert_eq!(
            (change.name().as_str(), Change::default().name().as_str()),
            ("-load2-cpu0.2-restart", "")
        );
        assert!(
            Change { load_factor: 0.0, ..change }.check().unwrap_err().to_string().contains("load_factor")
        );
    }
}
