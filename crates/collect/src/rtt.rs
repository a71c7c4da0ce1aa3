//! Round-trip times of the machine's own TCP connections, as the kernel measures them all the time anyway.

use std::sync::{Arc, LazyLock};

use foretwin_core::{InstanceId, MISSING, Metric, Role, Schema, Timestamp, Value};
use foretwin_host::sock_diag::{self, Connection};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::sink::{Sink, Source};

/// How connections are looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether to look at all.
    pub enabled: bool,
    /// How often.
    pub interval_ms: u64,
    /// Connections looked at each time, at most; one costs the kernel about a microsecond.
    pub most: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { enabled: true, interval_ms: 5000, most: 20_000 }
    }
}

/// Connections to other machines, and those that never leave this one, whose round trips are far shorter.
const PEERS: [&str; 2] = ["remote", "local"];

static SCHEMA: LazyLock<Arc<Schema>> = LazyLock::new(|| {
    let columns = PEERS.iter().flat_map(|peer| {
        let gauge = |name: &str, unit: &str, role| Metric::gauge(name, unit, role).with("network.peer", peer);
        [
            gauge("system.network.tcp.connections", "{connection}", Role::Utilization),
            gauge("system.network.tcp.rtt", "us", Role::Duration).with("quantile", "0.5"),
            gauge("system.network.tcp.rtt", "us", Role::Duration).with("quantile", "0.9"),
            gauge("system.network.tcp.retransmitting", "{connection}", Role::Saturation),
            gauge("system.network.tcp.retransmitted", "{segment}", Role::Errors),
        ]
    });
    Schema::new(columns.collect())
});

/// The source of round-trip times.
#[derive(Debug)]
pub struct RoundTrips {
    host: InstanceId,
    most: usize,
    peers: [Peers; 2],
    values: Vec<Value>,
    absent: bool,
}

/// The connections of one look to one kind of peer.
#[derive(Debug, Default)]
struct Peers {
    rtt_us: Vec<u32>,
    connections: u64,
    retransmitting: u64,
    retransmitted: u64,
}

impl RoundTrips {
    /// Tells of the connections of the machine with the instance `host`.
    #[must_use]
    pub fn new(host: &str, config: &Config) -> Self {
        Self {
            host: InstanceId::new(host),
            most: config.most,
            peers: Default::default(),
            values: Vec::new(),
            absent: false,
        }
    }
}

impl Peers {
    fn clear(&mut self) {
        self.rtt_us.clear();
        (self.connections, self.retransmitting, self.retransmitted) = (0, 0, 0);
    }

    fn add(&mut self, connection: &Connection) {
        self.connections += 1;
        self.retransmitting += u64::from(connection.retransmits > 0);
        self.retransmitted += u64::from(connection.total_retransmits);
        // Nothing was acknowledged yet: not measured.
        if connection.rtt_us > 0 {
            self.rtt_us.push(connection.rtt_us);
        }
    }

    fn tell(&mut self, values: &mut Vec<Value>) {
        let (median, tail) = (quantile(&mut self.rtt_us, 0.5), quantile(&mut self.rtt_us, 0.9));
        let count = Value::unsigned;
        values.extend([count(self.connections), median, tail]);
        values.extend([count(self.retransmitting), count(self.retransmitted)]);
    }
}

/// The nearest-rank quantile; missing without any.
fn quantile(sample: &mut [u32], share: f64) -> Value {
    if sample.is_empty() {
        return MISSING;
    }
    let rank = ((sample.len() as f64 * share).ceil() as usize).clamp(1, sample.len()) - 1;
    Value::unsigned(u64::from(*sample.select_nth_unstable(rank).1))
}

impl Source for RoundTrips {
    fn name(&self) -> &'static str {
        "round trips"
    }

    /// A kernel without `tcp_diag` is asked once and then left alone.
    fn read(&mut self, at: Timestamp, sink: &mut dyn Sink) -> Result<(), Error> {
        if self.absent {
            return Ok(());
        }
        let [remote, local] = &mut self.peers;
        remote.clear();
        local.clear();
        let looked = sock_diag::established(self.most, |connection| {
            if connection.is_local() { local.add(connection) } else { remote.add(connection) }
        });
        if let Err(source) = looked {
            self.absent = source.is_absent();
            return Err(Error::Read { object: "TCP connections", source });
        }
        self.values.clear();
        for peers in &mut self.peers {
            peers.tell(&mut self.values);
        }
        sink.frame(&self.host, &SCHEMA, at, &self.values);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_by_nearest_rank() {
        let mut sample: Vec<u32> = (1..=10).rev().collect();
        assert_eq!(quantile(&mut sample, 0.5), Value(5));
        assert_eq!(quantile(&mut sample, 0.9), Value(9));
        assert_eq!(quantile(&mut [7], 0.9), Value(7));
        assert_eq!(quantile(&mut [], 0.5), MISSING);
    }

    #[test]
    fn each_peer_fills_its_columns() {
        let mut values = Vec::new();
        for peers in &mut [Peers::default(), Peers::default()] {
            peers.tell(&mut values);
        }
        assert_eq!(values.len(), SCHEMA.width());
        assert_eq!(SCHEMA.column("system.network.tcp.rtt{network.peer=local,quantile=0.9}"), Some(7));
        assert!(values[7].is_missing() && values[5] == Value(0));
    }
}
