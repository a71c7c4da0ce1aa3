//! Settings of received metrics.

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// Who the senders of metrics are, and how much they may bring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Labels of Prometheus series that name an instance, joined by `/`.
    pub prometheus_identity: Vec<String>,
    /// Resource attributes of OTLP that name an instance.
    pub otlp_identity: Vec<String>,
    /// Tags of the InfluxDB line protocol that name an instance.
    pub influx_identity: Vec<String>,
    /// Samples of one instance that are at most so far apart stand in one frame.
    pub join_ms: u64,
    /// Most instances that senders may make.
    pub most_instances: usize,
    /// Most series of one of them.
    pub most_series_of_instance: usize,
    /// Most series of all of them.
    pub most_series: usize,
}

impl Default for Config {
    fn default() -> Self {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Self {
            prometheus_identity: names(&["instance", "job"]),
            otlp_identity: names(&["host.name", "service.namespace", "service.name", "service.instance.id"]),
            influx_identity: names(&["host"]),
            join_ms: 500,
            most_instances: 10_000,
            most_series_of_instance: 5000,
            most_series: 200_000,
        }
    }
}

impl Config {
    /// Checks that every setting can be meant.
    ///
    /// # Errors
    /// [`Error::Config`] naming the first that cannot.
    pub fn validate(&self) -> Result<(), Error> {
        let identities = [
            ("prometheus_identity", &self.prometheus_identity),
            ("otlp_identity", &self.otlp_identity),
            ("influx_identity", &self.influx_identity),
        ];
        if let Some((field, _)) = identities.iter().find(|(_, names)| names.is_empty()) {
            let problem = "nothing names an instance".to_owned();
            return Err(Error::config(&format!("receive.{field}"), problem, "name at least one label"));
        }
        if self.join_ms > 60_000 {
            let problem = format!("{} ms are in one frame", self.join_ms);
            return Err(Error::config("receive.join_ms", problem, "set at most 60000"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_be_meant_are_refused() {
        assert!(Config::default().validate().is_ok());
        let nobody = Config { influx_identity: Vec::new(), ..Config::default() };
        assert!(nobody.validate().unwrap_err().to_string().starts_with("receive.influx_identity: "));
        assert!(Config { join_ms: 60_001, ..Config::default() }.validate().is_err());
    }
}
