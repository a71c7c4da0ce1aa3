//! Processes: how many, which are large, and which are close to their limits.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::tree::{Tree, share, value};

/// Processes looked at, and told of.
const MOST: usize = 20_000;
const TOLD: usize = 25;

struct Process {
    told: Value,
    memory: f64,
    descriptors: f64,
}

pub(super) fn section(tree: &Tree) -> Value {
    let pids = tree.names("/proc").into_iter().filter_map(|name| name.parse::<u32>().ok()).take(MOST);
    let (mut states, mut threads, mut all) = (BTreeMap::<char, u64>::new(), 0.0, Vec::new());
    for pid in pids {
        let Some(status) = tree.text(&format!("/proc/{pid}/status")) else { continue };
        let of = |key: &str| status.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
        let state = of("State:").and_then(|state| state.chars().next()).unwrap_or('?');
        *states.entry(state).or_default() += 1;
        threads += value(&status, "Threads").unwrap_or(1.0);
        all.push(process(tree, pid, &status));
    }
    let limit = tree.number("/proc/sys/kernel/pid_max");
    let count = |state: char| states.get(&state).copied().unwrap_or(0);
    json!({
        "count": states.values().sum::<u64>(),
        "threads": threads,
        "pid_limit": limit,
        "pid_share": limit.and_then(|limit| share(threads, limit)),
        "zombies": count('Z'),
        "uninterruptible": count('D'),
        "top": top(all),
        "descriptors": descriptors(tree),
    })
}

fn process(tree: &Tree, pid: u32, status: &str) -> Process {
    let memory = value(status, "VmRSS").unwrap_or(0.0) * 1024.0;
    let limits = tree.text(&format!("/proc/{pid}/limits")).unwrap_or_default();
    let soft = limits.lines().find(|line| line.starts_with("Max open files"));
    let limit: Option<f64> = soft.and_then(|line| line.split_whitespace().nth(3)?.parse().ok());
    let open = tree.names(&format!("/proc/{pid}/fd")).len() as f64;
    let descriptors = limit.and_then(|limit| share(open, limit)).unwrap_or(0.0);
    let command = tree.line(&format!("/proc/{pid}/cmdline")).map(|line| line.replace('\0', " "));
    let name = tree.line(&format!("/proc/{pid}/comm"));
    let told = json!({
        "pid": pid,
        "name": name,
        "command": command.map(|line| line.chars().take(300).collect::<String>()),
        "memory_bytes": memory,
        "threads": value(status, "Threads"),
        "descriptors": open,
        "descriptor_limit": limit,
        "descriptor_share": descriptors,
    });
    Process { told, memory, descriptors }
}

/// The largest by memory, and those closest to their limit of descriptors.
fn top(mut all: Vec<Process>) -> Vec<Value> {
    all.sort_by(|a, b| b.memory.total_cmp(&a.memory));
    let rest = all.split_off(all.len().min(TOLD));
    let close = rest.into_iter().filter(|process| process.descriptors > 0.5).take(TOLD);
    all.into_iter().chain(close).map(|process| process.told).collect()
}

/// `file-nr`: open, free, and the most there may be.
fn descriptors(tree: &Tree) -> Value {
    let line = tree.line("/proc/sys/fs/file-nr").unwrap_or_default();
    let numbers: Vec<f64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [open, _, limit] = numbers.as_slice() else { return json!({}) };
    json!({"open": open, "limit": limit, "share": share(*open, *limit)})
}
