//! Latency to configured peers: how long a TCP connection takes. Each peer has a thread of its own, so that one
//! that does not answer delays nobody.

use std::net::{TcpStream, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use foretwin_core::{InstanceId, MISSING, Metric, Role, Schema, Timestamp, Value};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::sink::{Sink, Source};
use crate::worker::Worker;

/// Which peers are probed, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Peers as `host:port`.
    pub peers: Vec<String>,
    /// How often each is probed.
    pub interval_ms: u64,
    /// When an attempt counts as failed.
    pub timeout_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { peers: Vec::new(), interval_ms: 5000, timeout_ms: 2000 }
    }
}

/// More peers than this are a mistake: each has a thread.
const MOST: usize = 64;

impl Config {
    fn check(&self) -> Result<(), Error> {
        if self.peers.len() > MOST {
            let problem = format!("{} peers", self.peers.len());
            return Err(Error::config("probe.peers", problem, format!("probe at most {MOST}")));
        }
        for peer in &self.peers {
            let port = peer
                .rsplit_once(':')
                .and_then(|(host, port)| (!host.is_empty()).then(|| port.parse::<u16>()));
            if !matches!(port, Some(Ok(1..))) {
                let problem = format!("\"{peer}\" is no peer");
                return Err(Error::config(
                    "probe.peers",
                    problem,
                    "write host:port, for instance db.local:5432",
                ));
            }
        }
        if self.interval_ms == 0 || self.timeout_ms == 0 {
            return Err(Error::config(
                "probe.interval_ms, probe.timeout_ms",
                "zero",
                "give at least 1 ms each",
            ));
        }
        Ok(())
    }
}

/// What is known of a peer.
#[derive(Debug, Clone, Copy, Default)]
struct Outcome {
    attempts: u64,
    errors: u64,
    /// Of the last attempt, if it succeeded.
    duration_us: Option<u64>,
}

#[derive(Debug)]
struct Peer {
    outcome: Arc<Mutex<Outcome>>,
    // Stops with the source.
    _worker: Worker,
}

/// The source of latencies to peers.
#[derive(Debug)]
pub struct Probes {
    host: InstanceId,
    schema: Arc<Schema>,
    peers: Vec<Peer>,
    values: Vec<Value>,
}

impl Probes {
    /// Begins to probe; frames belong to the instance `host`, one per reading.
    ///
    /// # Errors
    /// If a setting cannot be meant, or no thread can be started.
    pub fn start(host: &str, config: &Config) -> Result<Self, Error> {
        config.check()?;
        let (interval, timeout) =
            (Duration::from_millis(config.interval_ms), Duration::from_millis(config.timeout_ms));
        let mut names = config.peers.clone();
        names.sort();
        names.dedup();
        let start = |name: &String| {
            let outcome = Arc::new(Mutex::new(Outcome::default()));
            let (shared, address) = (Arc::clone(&outcome), name.clone());
            let worker = Worker::start("probe", interval, move || record(&shared, &address, timeout))?;
            Ok(Peer { outcome, _worker: worker })
        };
        let peers = names.iter().map(start).collect::<Result<Vec<_>, Error>>()?;
        Ok(Self { host: InstanceId::new(host), schema: schema(&names), peers, values: Vec::new() })
    }
}

fn schema(peers: &[String]) -> Arc<Schema> {
    let columns = peers.iter().flat_map(|peer| {
        [
            Metric::gauge("foretwin.probe.tcp.connect.duration", "us", Role::Duration).with("peer", peer),
            Metric::counter("foretwin.probe.tcp.connect.attempts", "{attempt}", Role::Rate)
                .with("peer", peer),
            Metric::counter("foretwin.probe.tcp.connect.errors", "{error}", Role::Errors).with("peer", peer),
        ]
    });
    Schema::new(columns.collect())
}

fn record(outcome: &Mutex<Outcome>, address: &str, timeout: Duration) {
    let duration = connect(address, timeout);
    let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
    outcome.attempts += 1;
    outcome.errors += u64::from(duration.is_none());
    outcome.duration_us = duration.map(|duration| duration.as_micros() as u64);
}

/// How long the connection took, the resolution of the name not counted; nothing if there was none.
fn connect(address: &str, timeout: Duration) -> Option<Duration> {
    let addresses = address.to_socket_addrs().ok()?;
    addresses.into_iter().find_map(|address| {
        let began = Instant::now();
        TcpStream::connect_timeout(&address, timeout).ok().map(|_| began.elapsed())
    })
}

impl Source for Probes {
    fn name(&self) -> &'static str {
        "probes"
    }

    fn read(&mut self, at: Timestamp, sink: &mut dyn Sink) -> Result<(), Error> {
        if self.peers.is_empty() {
            return Ok(());
        }
        self.values.clear();
        for peer in &self.peers {
            let outcome = *peer.outcome.lock().unwrap_or_else(PoisonError::into_inner);
            let duration = outcome.duration_us.map_or(MISSING, Value::unsigned);
            self.values.extend([
                duration,
                Value::unsigned(outcome.attempts),
                Value::unsigned(outcome.errors),
            ]);
        }
        sink.frame(&self.host, &self.schema, at, &self.values);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_be_meant_name_the_field() {
        for peers in [vec!["db"], vec![":80"], vec!["db:0"], vec!["db:http"], vec!["x:1"; 65]] {
            let config = Config { peers: peers.into_iter().map(Into::into).collect(), ..Config::default() };
            assert!(Probes::start("h", &config).unwrap_err().to_string().starts_with("probe.peers: "));
        }
        let config = Config { interval_ms: 0, ..Config::default() };
        assert!(Probes::start("h", &config).is_err());
    }
}
