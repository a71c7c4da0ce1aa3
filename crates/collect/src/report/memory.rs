//! Memory: what there is, who holds it, and what waits for it.

use serde_json::{Value, json};

use super::cpu::pressure;
use super::tree::{Tree, keyed, share, value};

pub(super) fn section(tree: &Tree) -> Value {
    let info = tree.text("/proc/meminfo").unwrap_or_default();
    let bytes = |key: &str| value(&info, key).map(|kilobytes| kilobytes * 1024.0);
    let total = bytes("MemTotal").unwrap_or(0.0);
    let of_total = |key: &str| bytes(key).and_then(|part| share(part, total));
    let vmstat = tree.text("/proc/vmstat").unwrap_or_default();
    let committed = bytes("Committed_AS").zip(bytes("CommitLimit"));
    let swap = bytes("SwapTotal").unwrap_or(0.0);
    json!({
        "total_bytes": total,
        "available_bytes": bytes("MemAvailable"),
        "available_share": of_total("MemAvailable"),
        "committed_share": committed.and_then(|(used, limit)| share(used, limit)),
        "slab_unreclaimable_share": of_total("SUnreclaim"),
        "dirty_share": of_total("Dirty"),
        "swap": {
            "total_bytes": swap,
            "used_share": bytes("SwapFree").and_then(|free| share(swap - free, swap)).unwrap_or(0.0),
        },
        "huge_pages": huge_pages(tree, &info, total),
        "oom_kills": value(&vmstat, "oom_kill"),
        "pressure": pressure(tree, "memory"),
        "nodes": nodes(tree),
    })
}

fn huge_pages(tree: &Tree, info: &str, memory: f64) -> Value {
    let count = |key: &str| value(info, key).unwrap_or(0.0);
    let (total, free) = (count("HugePages_Total"), count("HugePages_Free"));
    let each = count("Hugepagesize") * 1024.0;
    // The setting in force stands in brackets.
    let setting = tree.line("/sys/kernel/mm/transparent_hugepage/enabled").unwrap_or_default();
    let inside = setting.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    json!({
        "total": total,
        "free": free,
        "bytes_each": each,
        "share_of_memory": share(total * each, memory).unwrap_or(0.0),
        "free_share": share(free, total).unwrap_or(0.0),
        "transparent": inside.map(|(setting, _)| setting),
    })
}

fn nodes(tree: &Tree) -> Vec<Value> {
    let names = tree.names("/sys/devices/system/node");
    let numbers = names.iter().filter_map(|name| name.strip_prefix("node")?.parse::<u32>().ok());
    let read = |node: u32| {
        let text = tree.text(&format!("/sys/devices/system/node/node{node}/meminfo"))?;
        // Each line begins with `Node N`.
        let lines: String = text
            .lines()
            .filter_map(|line| line.splitn(3, ' ').nth(2))
            .fold(String::new(), |all, line| all + line + "\n");
        let find = |key: &str| keyed(&lines).find(|(name, _)| *name == key).map(|(_, kb)| kb * 1024.0);
        let (total, free) = (find("MemTotal")?, find("MemFree")?);
        Some(json!({"node": node, "total_bytes": total, "free_share": share(free, total)}))
    };
    numbers.filter_map(read).collect()
}
