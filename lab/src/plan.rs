//! What is asked of a run, and what its seed makes of it.

use foretwin_core::Rng;
use serde::{Deserialize, Serialize};

use crate::change::Change;
use crate::scenario::Scenario;

const MB: f64 = (1 << 20) as f64;

/// One run as asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, clap::Args)]
#[serde(deny_unknown_fields, default)]
pub struct Plan {
    /// What happens; see `foretwin-lab list`
    #[arg(long, value_enum)]
    pub scenario: Scenario,
    /// Draws load, onset and rates
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Memory limit, MB
    #[arg(long, default_value_t = 256.0)]
    pub memory_mb: f64,
    /// Multiplies the limit and nothing else: the same seed then shows what more memory would have changed
    #[arg(long, default_value_t = 1.0)]
    pub memory_factor: f64,
    /// Pace: about how fast memory leaks, MB/s; other resources last as long as the memory would
    #[arg(long, default_value_t = 1.0)]
    pub rate_mb_s: f64,
    /// Seconds until the trouble starts; drawn between 8 and 40 where absent
    #[arg(long)]
    pub onset_s: Option<f64>,
    /// The run ends here if nothing failed, seconds
    #[arg(long, default_value_t = 600.0)]
    pub duration_s: f64,
    /// Size of the small file system of the disk scenarios, MB
    #[arg(long, default_value_t = 32.0)]
    pub disk_mb: f64,
    /// Inodes of that file system
    #[arg(long, default_value_t = 2048)]
    pub inodes: u64,
    /// Descriptors that the process may open
    #[arg(long, default_value_t = 256)]
    pub descriptors: u64,
    /// Processes and threads of the group
    #[arg(long, default_value_t = 128)]
    pub pids: u64,
    /// Processor time of a request beside what the scenario does, ms
    #[arg(long, default_value_t = 0.0)]
    pub request_ms: f64,
    #[command(flatten)]
    #[serde(default)]
    pub change: Change,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            scenario: Scenario::Linear,
            seed: 1,
            memory_mb: 256.0,
            memory_factor: 1.0,
            rate_mb_s: 1.0,
            onset_s: None,
            duration_s: 600.0,
            disk_mb: 32.0,
            inodes: 2048,
            descriptors: 256,
            pids: 128,
            request_ms: 0.0,
            change: Change::default(),
        }
    }
}

impl Plan {
    /// Its name, and that of its group: scenario, seed, and what is changed.
    pub fn name(&self) -> String {
        let mut name = format!("{}-{}", self.scenario, self.seed);
        if self.memory_factor != 1.0 {
            name += &format!("-x{}", self.memory_factor);
        }
        name + &self.change.name()
    }

    /// The memory limit in bytes, a whole number of pages.
    pub fn memory_bytes(&self) -> u64 {
        (self.memory_mb * self.memory_factor * MB) as u64 / 4096 * 4096
    }

    /// Size of the small file system in bytes.
    pub fn disk_bytes(&self) -> u64 {
        (self.disk_mb * MB) as u64
    }

    /// Says what cannot be run, field by field.
    ///
    /// # Errors
    /// The first field that makes no sense.
    pub fn check(&self) -> anyhow::Result<()> {
        let positive = [
            ("memory_mb", self.memory_mb),
            ("memory_factor", self.memory_factor),
            ("rate_mb_s", self.rate_mb_s),
            ("duration_s", self.duration_s),
            ("disk_mb", self.disk_mb),
        ];
        for (field, value) in positive {
            anyhow::ensure!(value.is_finite() && value > 0.0, "{field} is {value}: give a number above zero");
        }
        anyhow::ensure!(
            self.memory_mb * self.memory_factor >= 16.0,
            "memory_mb: a worker needs 16 MB to live"
        );
        // Pages of a file system in memory are charged to the group that writes them.
        let fits = self.disk_mb + 16.0 <= self.memory_mb * self.memory_factor;
        anyhow::ensure!(
            !self.scenario.needs().small_disk || fits,
            "disk_mb: leave 16 MB of memory_mb to the process"
        );
        anyhow::ensure!(self.request_ms >= 0.0, "request_ms is {}: give zero or more", self.request_ms);
        self.change.check()?;
        anyhow::ensure!(self.onset_s.is_none_or(|onset| onset >= 0.0), "onset_s: give zero or more seconds");
        anyhow::ensure!(self.descriptors >= 16, "descriptors: a worker needs 16");
        anyhow::ensure!(self.pids >= 8 && self.inodes >= 8, "pids, inodes: give at least 8");
        Ok(())
    }

    /// What the seed makes of it. The memory factor has no part in it.
    pub fn draw(&self) -> Draw {
        let mut rng = Rng::new(self.seed);
        let onset_s = 8.0 + 32.0 * rng.uniform();
        let pace = 0.75 + 0.5 * rng.uniform();
        // Streams for the load and for the scenario, apart, so that one does not shift the other.
        let (load_seed, scenario_seed) = (rng.next_u64(), rng.next_u64());
        let rate = self.rate_mb_s * MB * pace;
        let memory = self.memory_mb * MB;
        Draw {
            onset_s: self.onset_s.unwrap_or(onset_s),
            rate,
            memory,
            fill_s: memory / rate,
            load_seed,
            scenario_seed,
        }
    }
}

/// What a seed makes of a plan.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Draw {
    /// Seconds until the trouble starts.
    pub onset_s: f64,
    /// Bytes per second that memory leaks, on average.
    pub rate: f64,
    /// Memory limit in bytes before the factor.
    pub memory: f64,
    /// Seconds that a resource lasts from the onset.
    pub fill_s: f64,
    /// Seed of the load.
    pub load_seed: u64,
    /// Seed of the scenario.
    pub scenario_seed: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_memory_changes_nothing_but_the_limit() {
        let base = Plan { seed: 9, ..Plan::default() };
        let more = Plan { memory_factor: 1.5, ..base.clone() };
        assert_eq!(base.draw(), more.draw());
        assert_eq!(more.memory_bytes(), base.memory_bytes() / 2 * 3);
        assert_ne!(base.name(), more.name());
        assert_ne!(base.draw(), Plan { seed: 10, ..base }.draw());
    }

    #[test]
    fn nonsense_is_named() {
        for (plan, field) in [
            (Plan { rate_mb_s: f64::NAN, ..Plan::default() }, "rate_mb_s"),
            (Plan { memory_mb: 2.0, ..Plan::default() }, "memory_mb"),
            (Plan { scenario: Scenario::DiskFill, memory_mb: 32.0, ..Plan::default() }, "disk_mb"),
            (Plan { onset_s: Some(-1.0), ..Plan::default() }, "onset_s"),
        ] {
            assert!(plan.check().unwrap_err().to_string().contains(field));
        }
        Plan::default().check().unwrap();
    }

    #[test]
    fn a_sparse_json_plan_takes_defaults_and_refuses_typos() {
        let plan: Plan = serde_json::from_str(r#"{"scenario": "page_cache", "seed": 4}"#).unwrap();
        assert_eq!(plan, Plan { scenario: Scenario::PageCache, seed: 4, ..Plan::default() });
        assert!(serde_json::from_str::<Plan>(r#"{"sead": 4}"#).is_err());
    }
}
