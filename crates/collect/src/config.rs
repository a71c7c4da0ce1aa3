//! Settings of collection.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::{groups, machine, probe, receive, rtt, scrape};

/// What is collected, and how often.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Name of this machine, unique in the fleet. Empty: what the machine calls itself.
    pub host: String,
    /// A tick that begins later than this share of its interval counts as late; above 0, at most 1.
    pub late_share: f64,
    /// The machine.
    pub machine: machine::Config,
    /// Its control groups: containers, services, virtual machines.
    pub groups: groups::Config,
    /// Latency to configured peers.
    pub probe: probe::Config,
    /// Round-trip times of the connections there are.
    pub rtt: rtt::Config,
    /// Metrics of applications.
    pub scrape: scrape::Config,
    /// Metrics that others send.
    pub receive: receive::Config,
    /// Hardware counters.
    pub hardware: Hardware,
}

/// Whether and how often hardware counters are read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hardware {
    /// Whether to read them, where the machine has any.
    pub enabled: bool,
    /// Milliseconds between frames, 10 to 10,000.
    pub interval_ms: u64,
}

impl Default for Hardware {
    fn default() -> Self {
        Self { enabled: true, interval_ms: 1000 }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            host: String::new(),
            late_share: 0.1,
            machine: machine::Config::default(),
            groups: groups::Config::default(),
            probe: probe::Config::default(),
            rtt: rtt::Config::default(),
            scrape: scrape::Config::default(),
            receive: receive::Config::default(),
            hardware: Hardware::default(),
        }
    }
}

/// Intervals that a source of telemetry can have: 0.1 to 100 readings a second.
const TELEMETRY_MS: RangeInclusive<u64> = 10..=10_000;
/// Intervals of what others notice.
const PROBES_MS: RangeInclusive<u64> = 100..=600_000;

impl Config {
    /// Checks that every setting can be meant.
    ///
    /// # Errors
    /// [`Error::Config`] naming the first that cannot.
    pub fn validate(&self) -> Result<(), Error> {
        if !(self.late_share > 0.0 && self.late_share <= 1.0) {
            let problem = format!("{} is no share of an interval", self.late_share);
            return Err(Error::config(
                "late_share",
                problem,
                "set it above 0 and at most 1, for instance 0.1",
            ));
        }
        if self.host.contains('/') || self.host.trim() != self.host {
            let problem = format!("{:?} has a slash or blanks around it", self.host);
            return Err(Error::config("host", problem, "name the machine without them, or leave it empty"));
        }
        self.scrape.validate()?;
        self.receive.validate()?;
        let intervals = [
            ("machine.interval_ms", self.machine.interval_ms, TELEMETRY_MS),
            ("groups.interval_ms", self.groups.interval_ms, TELEMETRY_MS),
            ("hardware.interval_ms", self.hardware.interval_ms, TELEMETRY_MS),
            ("rtt.interval_ms", self.rtt.interval_ms, PROBES_MS),
            ("probe.interval_ms", self.probe.interval_ms, PROBES_MS),
        ];
        intervals.into_iter().try_for_each(|(field, interval_ms, range)| within(field, interval_ms, &range))
    }

    /// The configured name of the machine, or what it calls itself.
    ///
    /// # Errors
    /// If it has no name.
    pub fn host_name(&self) -> Result<String, Error> {
        if self.host.is_empty() { machine::host_name() } else { Ok(self.host.clone()) }
    }
}

fn within(field: &str, interval_ms: u64, range: &RangeInclusive<u64>) -> Result<(), Error> {
    if range.contains(&interval_ms) {
        return Ok(());
    }
    let problem = format!("{interval_ms} ms is out of range");
    Err(Error::config(field, problem, format!("set it between {} and {} ms", range.start(), range.end())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        let config: Config = toml::from_str(text).unwrap();
        config.validate().unwrap_err().to_string()
    }

    #[test]
    fn defaults_are_valid_and_an_empty_file_means_them() {
        assert!(Config::default().validate().is_ok());
        assert_eq!(toml::from_str::<Config>("").unwrap(), Config::default());
        let written = toml::to_string(&Config::default()).unwrap();
        assert_eq!(toml::from_str::<Config>(&written).unwrap(), Config::default());
    }

    #[test]
    fn what_cannot_be_meant_is_named_with_its_remedy() {
        for interval_ms in ["0", "9", "10001"] {
            let text = refused(&format!("[machine]\ninterval_ms = {interval_ms}"));
            assert!(text.starts_with("machine.interval_ms: ") && text.contains("between 10"), "{text}");
        }
        assert!(refused("[probe]\ninterval_ms = 1").starts_with("probe.interval_ms: "));
        assert!(refused("late_share = 0").starts_with("late_share: "));
        assert!(refused("late_share = nan").starts_with("late_share: "));
        assert!(refused("host = 'a/b'").starts_with("host: "));
    }

    #[test]
    fn unknown_settings_are_refused() {
        assert!(toml::from_str::<Config>("interval = 1").is_err());
        assert!(toml::from_str::<Config>("[machine]\ninterval = 1").is_err());
    }
}
