//! Settings of the groups.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How control groups are watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether groups are watched.
    pub enabled: bool,
    /// Milliseconds between frames, 10 to 10,000.
    pub interval_ms: u64,
    /// A tree laid out like `/sys/fs/cgroup` to read instead of what is mounted.
    pub root: Option<PathBuf>,
    /// How often to look for groups that came or went; stretched where looking costs more than 2 % of that.
    pub rescan_ms: u64,
    /// How often limits are looked up, beyond those that the statistics tell at every tick.
    pub limits_ms: u64,
    /// How often the processes of a group are looked at one by one.
    pub census_ms: u64,
    /// Descriptors to keep open for all groups together.
    pub descriptors: usize,
    /// Groups watched at most.
    pub most: usize,
    /// Paths not to watch, with everything below them.
    pub exclude: Vec<String>,
    /// Data directories of Docker or Podman in unusual places.
    pub container_roots: Vec<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: true,
            interval_ms: 1000,
            root: None,
            rescan_ms: 1000,
            limits_ms: 5000,
            census_ms: 5000,
            descriptors: 4096,
            most: 2000,
            exclude: Vec::new(),
            container_roots: Vec::new(),
        }
    }
}

impl Config {
    /// Whether a group is among those not to watch.
    pub(super) fn excludes(&self, path: &str) -> bool {
        self.exclude.iter().any(|excluded| {
            let excluded = excluded.trim_matches('/');
            !excluded.is_empty()
                && path.strip_prefix(excluded).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exclusion_is_by_whole_components() {
        let config = Config { exclude: vec!["/build/".into(), String::new()], ..Config::default() };
        assert!(config.excludes("build") && config.excludes("build/x"));
        assert!(!config.excludes("builder") && !config.excludes("a/build"));
    }

    #[test]
    fn unknown_settings_are_refused() {
        assert!(toml::from_str::<Config>("rescan_ms = 500").is_ok_and(|config| config.rescan_ms == 500));
        assert!(toml::from_str::<Config>("rescan = 500").is_err());
    }
}
