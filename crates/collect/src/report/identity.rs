//! Who the machine is, since when it runs, and what it runs on.

use serde_json::{Value, json};

use super::tree::{Tree, date};

pub(super) fn section(tree: &Tree) -> Value {
    let stat = tree.text("/proc/stat").unwrap_or_default();
    let booted = super::tree::value(&stat, "btime");
    let uptime = tree.line("/proc/uptime").and_then(|line| line.split(' ').next()?.parse::<f64>().ok());
    let dmi = |name: &str| tree.line(&format!("/sys/class/dmi/id/{name}"));
    json!({
        "hostname": tree.line("/proc/sys/kernel/hostname"),
        "machine_id": tree.line("/etc/machine-id"),
        "boot_id": tree.line("/proc/sys/kernel/random/boot_id"),
        "os": os(tree),
        "uptime_s": uptime,
        "booted_at": booted.map(|seconds| date(seconds as i64)),
        "virtualization": virtualization(tree),
        "container": container(tree),
        "vendor": dmi("sys_vendor"),
        "product": dmi("product_name"),
    })
}

fn os(tree: &Tree) -> Option<String> {
    let text = tree.text("/etc/os-release").or_else(|| tree.text("/usr/lib/os-release"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(line.trim_matches('"').to_owned())
}

/// The hypervisor, as far as firmware and processor tell; empty on bare metal.
fn virtualization(tree: &Tree) -> String {
    let vendor = tree.line("/sys/class/dmi/id/sys_vendor").unwrap_or_default();
    let known = [
        ("QEMU", "kvm"),
        ("Amazon EC2", "kvm"),
        ("Google", "kvm"),
        ("OpenStack", "kvm"),
        ("KVM", "kvm"),
        ("VMware", "vmware"),
        ("innotek", "virtualbox"),
        ("Xen", "xen"),
        ("Microsoft Corporation", "hyper-v"),
    ];
    if let Some((_, name)) = known.iter().find(|(begins, _)| vendor.starts_with(begins)) {
        return (*name).to_owned();
    }
    if let Some(kind) = tree.line("/sys/hypervisor/type") {
        return kind;
    }
    let cpu = tree.text("/proc/cpuinfo").unwrap_or_default();
    let flagged = cpu
        .lines()
        .find(|line| line.starts_with("flags"))
        .is_some_and(|line| line.split_whitespace().any(|flag| flag == "hypervisor"));
    if flagged { "unknown".into() } else { String::new() }
}

/// The container runtime around this process; empty outside of containers.
fn container(tree: &Tree) -> String {
    if tree.has("/.dockerenv") {
        return "docker".into();
    }
    if tree.has("/run/.containerenv") {
        return "podman".into();
    }
    tree.line("/run/systemd/container").unwrap_or_default()
}
