//! What only two readings tell: rates of counters that the kernel keeps since boot.

use serde_json::{Value, json};

use super::kernel::{logged, swapped};
use super::network::{Tcp, tcp};
use super::tree::Tree;

/// Counters at one moment; what cannot be read is missing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counts {
    /// Steal, wait for disks, and all time of the processors, in ticks.
    cpu: Option<[f64; 3]>,
    swapped: Option<(f64, f64)>,
    logged: Option<f64>,
    tcp: Option<Tcp>,
}

/// Their changes.
pub(super) struct Rates(Vec<([&'static str; 3], Option<f64>)>);

impl Counts {
    pub(super) fn read(tree: &Tree) -> Self {
        Self { cpu: cpu(tree), swapped: swapped(tree), logged: logged(tree), tcp: tcp(tree) }
    }

    /// Changes per second, and parts of what happened meanwhile.
    pub(super) fn rates(&self, after: &Self, seconds: f64) -> Rates {
        let cpu = |which: usize| {
            let (before, after) = self.cpu.zip(after.cpu)?;
            super::tree::share(after[which] - before[which], after[2] - before[2])
        };
        let swapped = self.swapped.zip(after.swapped);
        let per_s = |before: f64, after: f64| (after - before).max(0.0) / seconds;
        let logged = self.logged.zip(after.logged).map(|(before, after)| per_s(before, after));
        let tcp = self.tcp.zip(after.tcp);
        let overflows = tcp.map(|(before, after)| per_s(before.overflows, after.overflows));
        // Few segments say little: then the share since boot stands.
        let sent = tcp.filter(|(before, after)| after.sent - before.sent > 1000.0);
        let again = sent
            .map(|(before, after)| (after.retransmitted - before.retransmitted) / (after.sent - before.sent));
        Rates(vec![
            (["cpu", "steal_share", ""], cpu(0)),
            (["cpu", "iowait_share", ""], cpu(1)),
            (["memory", "swap", "in_pages_per_s"], swapped.map(|(before, after)| per_s(before.0, after.0))),
            (["memory", "swap", "out_pages_per_s"], swapped.map(|(before, after)| per_s(before.1, after.1))),
            (["kernel", "log_lines_per_s", ""], logged),
            (["network", "tcp", "listen_overflows_per_s"], overflows),
            (["network", "tcp", "retransmitted_share"], again),
        ])
    }
}

impl Rates {
    pub(super) fn add_to(&self, document: &mut Value) {
        for ([section, part, field], value) in &self.0 {
            let Some(value) = value else { continue };
            if field.is_empty() {
                document[section][part] = json!(value);
            } else {
                document[section][part][field] = json!(value);
            }
        }
    }
}

fn cpu(tree: &Tree) -> Option<[f64; 3]> {
    let line = tree.line("/proc/stat")?;
    let ticks: Vec<f64> = line.split_whitespace().skip(1).filter_map(|word| word.parse().ok()).collect();
    // Guests' time, the ninth and tenth column, is in user's and nice's already.
    Some([*ticks.get(7)?, *ticks.get(4)?, ticks.iter().take(8).sum()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_what_happened_between_two_readings() {
        let tcp = |sent, retransmitted| Tcp { sent, retransmitted, overflows: sent };
        let before = Counts {
            cpu: Some([0.0, 10.0, 100.0]),
            swapped: Some((5.0, 5.0)),
            logged: None,
            tcp: Some(tcp(0.0, 0.0)),
        };
        let after = Counts {
            cpu: Some([50.0, 10.0, 300.0]),
            swapped: Some((25.0, 5.0)),
            logged: Some(9.0),
            tcp: Some(tcp(2000.0, 100.0)),
        };
        let mut document = json!({"cpu": {}, "memory": {"swap": {}}, "kernel": {}, "network": {"tcp": {}}});
        before.rates(&after, 2.0).add_to(&mut document);
        assert_eq!(document["cpu"], json!({"steal_share": 0.25, "iowait_share": 0.0}));
        assert_eq!(document["memory"]["swap"], json!({"in_pages_per_s": 10.0, "out_pages_per_s": 0.0}));
        assert_eq!(document["kernel"], json!({}), "what was not read twice is not told");
        assert_eq!(document["network"]["tcp"]["retransmitted_share"], json!(0.05));
    }
}
