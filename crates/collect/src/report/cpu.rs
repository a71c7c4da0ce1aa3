//! The processors: how many, how loaded, how hot.

use serde_json::{Value, json};

use super::tree::Tree;

pub(super) fn section(tree: &Tree) -> Value {
    let info = tree.text("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find(|line| line.starts_with("model name") || line.starts_with("Model"));
    let stat = tree.text("/proc/stat").unwrap_or_default();
    let online = stat.lines().filter(|line| line.starts_with("cpu") && !line.starts_with("cpu ")).count();
    let load = tree.line("/proc/loadavg").unwrap_or_default();
    let load1: Option<f64> = load.split(' ').next().and_then(|word| word.parse().ok());
    let present = tree.names("/sys/devices/system/cpu").iter().filter(|name| is_processor(name)).count();
    json!({
        "model": model.and_then(|line| line.split_once(':')).map(|(_, name)| name.trim().to_owned()),
        "processors": present.max(online),
        "online": online,
        "load1": load1,
        "load1_per_processor": load1.map(|load| load / online.max(1) as f64),
        "governors": governors(tree),
        "thermal_throttles": throttles(tree),
        "pressure": pressure(tree, "cpu"),
    })
}

fn is_processor(name: &str) -> bool {
    name.strip_prefix("cpu").is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
}

fn governors(tree: &Tree) -> Vec<String> {
    let policies = tree.names("/sys/devices/system/cpu/cpufreq");
    let read = |name: &String| tree.line(&format!("/sys/devices/system/cpu/cpufreq/{name}/scaling_governor"));
    let mut governors: Vec<String> = policies.iter().filter_map(read).collect();
    governors.sort();
    governors.dedup();
    governors
}

/// Times that any processor was slowed because it was hot, since boot.
fn throttles(tree: &Tree) -> f64 {
    let cpus = tree.names("/sys/devices/system/cpu").into_iter().filter(|name| is_processor(name));
    let count = |name: String| {
        tree.number(&format!("/sys/devices/system/cpu/{name}/thermal_throttle/core_throttle_count"))
    };
    cpus.filter_map(count).sum()
}

/// Averages of pressure stall information in percent, by `some_avg60` and the like; empty where the kernel has none.
pub(super) fn pressure(tree: &Tree, resource: &str) -> Value {
    let text = tree.text(&format!("/proc/pressure/{resource}")).unwrap_or_default();
    let mut told = serde_json::Map::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let Some(kind) = words.next() else { continue };
        for (name, value) in words.filter_map(|word| word.split_once('=')) {
            if let (true, Ok(value)) = (name.starts_with("avg"), value.parse::<f64>()) {
                told.insert(format!("{kind}_{name}"), json!(value));
            }
        }
    }
    Value::Object(told)
}
