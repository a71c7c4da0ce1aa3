//! Settings of scraping.

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// Which applications are scraped.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The targets.
    pub targets: Vec<Target>,
}

/// One application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Target {
    /// Where it answers, for instance `http://localhost:9100/metrics`.
    pub url: String,
    /// What it is called where it is an instance of its own; without, the URL's host and port.
    pub name: Option<String>,
    /// The instance it belongs to; without, the group of the process that answers on this machine.
    pub instance: Option<String>,
    /// How often it is scraped.
    pub interval_ms: u64,
    /// When an attempt counts as failed.
    pub timeout_ms: u64,
    /// Series kept of it; the rest is counted.
    pub most_series: usize,
}

impl Default for Target {
    fn default() -> Self {
        Self {
            url: String::new(),
            name: None,
            instance: None,
            interval_ms: 10_000,
            timeout_ms: 5000,
            most_series: 500,
        }
    }
}

impl Target {
    /// The configured name, or the URL's host and port.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_else(|| self.authority())
    }

    /// Host and port of the URL.
    pub(super) fn authority(&self) -> &str {
        let rest = self.url.strip_prefix("http://").unwrap_or(&self.url);
        rest.split(['/', '?', '#']).next().unwrap_or(rest)
    }
}

impl Config {
    /// Checks that every setting can be meant.
    ///
    /// # Errors
    /// [`Error::Config`] naming the first that cannot.
    pub fn validate(&self) -> Result<(), Error> {
        for (at, target) in self.targets.iter().enumerate() {
            let field = |name: &str| format!("scrape.targets[{at}].{name}");
            if !target.url.starts_with("http://") || target.authority().is_empty() {
                let problem = format!("\"{}\" is no URL that can be scraped", target.url);
                return Err(Error::config(
                    &field("url"),
                    problem,
                    "write http://host:port/metrics, without TLS",
                ));
            }
            if target.interval_ms < 100 || target.timeout_ms == 0 {
                let problem =
                    format!("every {} ms, for at most {} ms", target.interval_ms, target.timeout_ms);
                return Err(Error::config(
                    &field("interval_ms"),
                    problem,
                    "scrape at most ten times a second",
                ));
            }
            if self.targets[..at].iter().any(|other| other.url == target.url) {
                let problem = format!("\"{}\" is listed twice", target.url);
                return Err(Error::config(&field("url"), problem, "list each target once"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(toml: &str) -> Config {
        toml::from_str(&format!("[[targets]]\n{toml}")).unwrap()
    }

    #[test]
    fn names_follow_the_url() {
        assert_eq!(one("url = \"http://localhost:9100/metrics\"").targets[0].name(), "localhost:9100");
        assert_eq!(one("url = \"http://h:1?x=/\"\nname = \"db\"").targets[0].name(), "db");
    }

    #[test]
    fn settings_that_cannot_be_meant_are_refused() {
        for bad in ["url = \"https://h/\"", "url = \"localhost:9100\"", "url = \"http:///x\""] {
            assert!(
                one(bad).validate().unwrap_err().to_string().starts_with("scrape.targets[0].url: "),
                "{bad}"
            );
        }
        assert!(one("url = \"http://h:1/\"\ninterval_ms = 1").validate().is_err());
        assert!(one("url = \"http://h:1/\"\n[[targets]]\nurl = \"http://h:1/\"").validate().is_err());
        assert!(one("url = \"http://h:1/\"").validate().is_ok());
    }
}
