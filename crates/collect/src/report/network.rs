//! Interfaces, routes, names, neighbours, tracked connections, and TCP.

use std::collections::HashSet;

use foretwin_host::ABSENT;
use foretwin_host::proc::HeadedLines;
use serde_json::{Value, json};

use super::tree::{Tree, share};

/// Counters of TCP since boot.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tcp {
    pub(super) sent: f64,
    pub(super) retransmitted: f64,
    pub(super) overflows: f64,
}

/// Most interfaces that are told of; a host of containers has thousands.
const MOST: usize = 200;

pub(super) fn section(tree: &Tree) -> Value {
    let routes = routes(&tree.text("/proc/net/route").unwrap_or_default());
    let is_default = |route: &&Value| route["destination"] == "0.0.0.0/0";
    let defaults: HashSet<&str> =
        routes.iter().filter(is_default).filter_map(|r| r["interface"].as_str()).collect();
    json!({
        "interfaces": interfaces(tree, &defaults),
        "default_interfaces": defaults.len(),
        "reverse_path_filter": filter(tree, &defaults),
        "policy_rules": tree.ask("ip", &["rule"]).map(|text| text.lines().count()),
        "routes": routes,
        "dns": dns(tree),
        "neighbours": neighbours(tree),
        "conntrack": conntrack(tree),
        "tcp": connections(tree),
    })
}

fn interfaces(tree: &Tree, defaults: &HashSet<&str>) -> Vec<Value> {
    let names = tree.names("/sys/class/net").into_iter().filter(|name| name != "lo").take(MOST);
    let tell = |name: String| {
        let at = |file: &str| format!("/sys/class/net/{name}/{file}");
        let count = |file: &str| tree.number(&at(&format!("statistics/{file}"))).unwrap_or(0.0);
        let packets = count("rx_packets") + count("tx_packets");
        let speed = tree.number(&at("speed")).filter(|&speed| speed > 0.0);
        json!({
            "name": name,
            "state": tree.line(&at("operstate")),
            "carrier": tree.number(&at("carrier")).map(|number| number == 1.0),
            "mtu": tree.number(&at("mtu")),
            "speed_mbit": speed,
            "duplex": tree.line(&at("duplex")).filter(|_| speed.is_some()),
            "error_share": share(count("rx_errors") + count("tx_errors"), packets).unwrap_or(0.0),
            "drop_share": share(count("rx_dropped") + count("tx_dropped"), packets).unwrap_or(0.0),
            "default_route": defaults.contains(name.as_str()),
        })
    };
    names.map(tell).collect()
}

/// Routes of `/proc/net/route`: addresses are hexadecimal, of the machine's byte order.
fn routes(text: &str) -> Vec<Value> {
    let address = |field: &str| {
        let number = u32::from_str_radix(field, 16).ok()?;
        Some(std::net::Ipv4Addr::from(u32::from_be(number)))
    };
    let route = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [interface, destination, gateway, _, _, _, metric, mask, ..] = fields.as_slice() else {
            return None;
        };
        let bits = u32::from(address(mask)?).count_ones();
        let gateway = address(gateway)?;
        Some(json!({
            "destination": format!("{}/{bits}", address(destination)?),
            "gateway": if gateway.is_unspecified() { String::new() } else { gateway.to_string() },
            "interface": interface,
            "metric": metric.parse::<u32>().ok()?,
        }))
    };
    text.lines().skip(1).filter_map(route).collect()
}

/// The strictest of what holds for the interfaces of default routes: the larger of `all` and each (ip-sysctl.rst), where
/// 1 is strict and 2 loose.
fn filter(tree: &Tree, interfaces: &HashSet<&str>) -> Option<f64> {
    let of = |name: &str| tree.number(&format!("/proc/sys/net/ipv4/conf/{name}/rp_filter"));
    let all = of("all")?;
    let each = interfaces.iter().filter_map(|name| of(name)).map(|one| one.max(all));
    each.reduce(|a, b| if a == 1.0 || b == 1.0 { 1.0 } else { a.max(b) })
}

fn dns(tree: &Tree) -> Value {
    let text = tree.text("/etc/resolv.conf").unwrap_or_default();
    let words = |key: &'static str| {
        let lines = text.lines().filter_map(move |line| line.trim().strip_prefix(key));
        lines.flat_map(str::split_whitespace).map(str::to_owned).collect::<Vec<_>>()
    };
    json!({"nameservers": words("nameserver "), "search": words("search ")})
}

fn neighbours(tree: &Tree) -> Value {
    let text = tree.text("/proc/net/arp").unwrap_or_default();
    let entries = text.lines().skip(1).count();
    let failed = text.lines().skip(1).filter(|line| line.split_whitespace().nth(2) == Some("0x0")).count();
    let limit = tree.number("/proc/sys/net/ipv4/neigh/default/gc_thresh3");
    let share = limit.and_then(|limit| share(entries as f64, limit));
    json!({"entries": entries, "limit": limit, "share": share, "failed": failed})
}

fn conntrack(tree: &Tree) -> Value {
    let entries = tree.number("/proc/sys/net/netfilter/nf_conntrack_count");
    let limit = tree.number("/proc/sys/net/netfilter/nf_conntrack_max");
    let share = entries.zip(limit).and_then(|(entries, limit)| share(entries, limit));
    json!({"entries": entries, "limit": limit, "share": share})
}

fn connections(tree: &Tree) -> Value {
    let sockets = tree.text("/proc/net/sockstat").unwrap_or_default();
    let line = sockets.lines().find_map(|line| line.strip_prefix("TCP: ")).unwrap_or_default();
    let words: Vec<&str> = line.split_whitespace().collect();
    let count = |key: &str| {
        words.chunks(2).find(|pair| pair[0] == key).and_then(|pair| pair.get(1)?.parse::<f64>().ok())
    };
    let range = tree.line("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let ports: Vec<f64> = range.split_whitespace().filter_map(|port| port.parse().ok()).collect();
    let room = ports.get(1).zip(ports.first()).map(|(last, first)| last - first + 1.0);
    let since_boot = tcp(tree);
    json!({
        "time_wait": count("tw"),
        "orphans": count("orphan"),
        "in_use": count("inuse"),
        "retransmitted_share": since_boot.and_then(|tcp| share(tcp.retransmitted, tcp.sent)),
        "listen_overflows": since_boot.map(|tcp| tcp.overflows),
        // Lingering connections to one peer need a port each; more than one peer can share a port.
        "ephemeral_ports_share": count("tw").zip(room).and_then(|(waiting, room)| share(waiting, room)),
    })
}

/// Segments sent and sent again, and connections that a full queue refused.
pub(super) fn tcp(tree: &Tree) -> Option<Tcp> {
    let mut segments = HeadedLines::new("Tcp:", ["OutSegs", "RetransSegs"]);
    let mut queues = HeadedLines::new("TcpExt:", ["ListenOverflows"]);
    segments.scan(tree.text("/proc/net/snmp")?.as_bytes());
    queues.scan(tree.text("/proc/net/netstat")?.as_bytes());
    let number = |value: u64| (value != ABSENT).then_some(value as f64);
    Some(Tcp {
        sent: number(segments.values()[0])?,
        retransmitted: number(segments.values()[1])?,
        overflows: number(queues.values()[0])?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_written_as_people_write_them() {
        let text = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
                    eth0\t00000000\t010200C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
                    eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\nshort line\n";
        let told = routes(text);
        assert_eq!(told.len(), 2);
        assert_eq!(
            (&told[0]["destination"], &told[0]["gateway"]),
            (&json!("0.0.0.0/0"), &json!("192.0.2.1"))
        );
        assert_eq!((&told[1]["destination"], &told[1]["gateway"]), (&json!("192.0.2.0/24"), &json!("")));
    }
}
