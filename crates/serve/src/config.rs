//! Where the node listens, and what it takes from whom.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::fault::Error;

/// Settings of the HTTP face.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Address and port. Beyond loopback only with a token (`foretwin token create`) or TLS.
    pub listen: SocketAddr,
    /// Certificate and key; without them plain HTTP is spoken.
    pub tls: Tls,
    /// What one client and all of them may ask for.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 7878));
        Self { listen, tls: Tls::default(), limits: Limits::default() }
    }
}

/// Files of TLS, read again when they change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// The chain of certificates, PEM; empty: no TLS.
    pub certificate: PathBuf,
    /// The key of the first of them, PEM.
    pub key: PathBuf,
}

/// Bounds on what clients may ask for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Requests a second of one token, or of one address without one; loopback without a token is not counted.
    pub requests_per_s: f64,
    /// Requests that may come at once beyond that.
    pub burst: f64,
    /// Failed tries of a token a minute, of one address.
    pub failures_per_minute: f64,
    /// Open connections, and those of one address beyond loopback.
    pub connections: usize,
    /// See above.
    pub connections_each: usize,
    /// Requests that are worked on at once.
    pub requests: usize,
    /// Seconds until the head of a request must be there; an idle connection is closed after as long.
    pub head_s: f64,
    /// Seconds until a request must be read and answered.
    pub answer_s: f64,
    /// The same where a large body comes: telemetry, a model, a report.
    pub upload_s: f64,
    /// Seconds for which a client may take nothing of an answer.
    pub stall_s: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests_per_s: 100.0,
            burst: 400.0,
            failures_per_minute: 20.0,
            connections: 1024,
            connections_each: 128,
            requests: 256,
            head_s: 30.0,
            answer_s: 60.0,
            upload_s: 300.0,
            stall_s: 60.0,
        }
    }
}

impl Config {
    /// Whether every setting is of use.
    ///
    /// # Errors
    /// Names the field and a value that would do.
    pub fn validate(&self) -> Result<(), Error> {
        let (tls, limits) = (&self.tls, &self.limits);
        let empty = |path: &Path| path.as_os_str().is_empty();
        if empty(&tls.certificate) != empty(&tls.key) {
            return Err(Error::Setting("serve.tls: set both certificate and key, or neither".into()));
        }
        let positive = [
            ("requests_per_s", limits.requests_per_s, 100.0),
            ("burst", limits.burst, 400.0),
            ("failures_per_minute", limits.failures_per_minute, 20.0),
            ("connections", limits.connections as f64, 1024.0),
            ("connections_each", limits.connections_each as f64, 128.0),
            ("requests", limits.requests as f64, 256.0),
            ("head_s", limits.head_s, 30.0),
            ("answer_s", limits.answer_s, 60.0),
            ("upload_s", limits.upload_s, 300.0),
            ("stall_s", limits.stall_s, 60.0),
        ];
        for (name, value, good) in positive {
            if !(1.0..=1e6).contains(&value) {
                let text = format!("serve.limits.{name} must be 1 to 1000000, such as {good}");
                return Err(Error::Setting(text));
            }
        }
        Ok(())
    }

    /// Whether TLS is wanted.
    pub fn has_tls(&self) -> bool {
        !self.tls.certificate.as_os_str().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_named_with_a_remedy() {
        assert!(Config::default().validate().is_ok());
        let mut half = Config::default();
        half.tls.certificate = "chain.pem".into();
        assert!(half.validate().unwrap_err().to_string().contains("both"));
        for value in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let mut wrong = Config::default();
            wrong.limits.head_s = value;
            let error = wrong.validate().unwrap_err().to_string();
            assert!(error.contains("head_s") && error.contains("such as 30"), "{error}");
        }
    }
}
