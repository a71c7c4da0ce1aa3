//! The kernel: what runs, what taints it, what it logged, and what it says of the clock.

use std::fs;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;

use serde_json::{Value, json};

use super::tree::{Tree, value};

/// Lines of the kernel's log that are told: the newest, and older ones of level warning and worse.
const MOST_LINES: usize = 200;
const MOST_WARNINGS: usize = 400;

const LEVELS: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];

/// What each bit of `kernel.tainted` means (Documentation/admin-guide/tainted-kernels.rst).
const TAINTS: [&str; 19] = [
    "proprietary module",
    "module loaded by force",
    "processor out of specification",
    "module unloaded by force",
    "machine check",
    "bad page",
    "tainted by a user",
    "oops or BUG",
    "ACPI table overridden",
    "warning",
    "staging driver",
    "firmware workaround",
    "module from outside the tree",
    "unsigned module",
    "soft lockup",
    "live patch",
    "auxiliary",
    "structure randomised",
    "test run",
];

const PARAMETERS: [&str; 12] = [
    "vm.overcommit_memory",
    "vm.swappiness",
    "vm.dirty_ratio",
    "vm.max_map_count",
    "kernel.panic",
    "kernel.pid_max",
    "kernel.threads-max",
    "fs.file-max",
    "net.core.somaxconn",
    "net.ipv4.tcp_tw_reuse",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_max_syn_backlog",
];

pub(super) fn section(tree: &Tree) -> Value {
    let tainted = tree.number("/proc/sys/kernel/tainted").unwrap_or(0.0);
    let console = tree.line("/proc/sys/kernel/printk");
    let parameters = PARAMETERS.iter().filter_map(|name| {
        let text = tree.line(&format!("/proc/sys/{}", name.replace('.', "/")))?;
        let told = text.parse::<f64>().map_or_else(|_| json!(text), |number| json!(number));
        Some(((*name).to_owned(), told))
    });
    json!({
        "release": tree.line("/proc/sys/kernel/osrelease"),
        "version": tree.line("/proc/sys/kernel/version"),
        "command_line": tree.line("/proc/cmdline"),
        "tainted": tainted,
        "taints": taints(tainted as u64),
        "console_level": console.and_then(|line| line.split_whitespace().next()?.parse::<u32>().ok()),
        "modules": modules(tree),
        "parameters": parameters.collect::<serde_json::Map<_, _>>(),
        "log": log(tree),
    })
}

fn taints(bits: u64) -> Vec<&'static str> {
    TAINTS.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1).map(|(_, name)| *name).collect()
}

fn modules(tree: &Tree) -> Vec<Value> {
    let text = tree.text("/proc/modules").unwrap_or_default();
    let module = |line: &str| {
        let mut words = line.split(' ');
        Some(json!({"name": words.next()?, "bytes": words.next()?.parse::<u64>().ok()?}))
    };
    text.lines().filter_map(module).collect()
}

struct Line {
    level: usize,
    at_s: f64,
    text: String,
}

/// The newest lines, and as many warnings before them as there is room for, in order.
fn log(tree: &Tree) -> Vec<Value> {
    let lines = if tree.is_live() { ring() } else { saved(tree) };
    let newest = lines.len().saturating_sub(MOST_LINES);
    let warnings: Vec<usize> = (0..newest).filter(|&n| lines[n].level <= 4).collect();
    let warned = &warnings[warnings.len().saturating_sub(MOST_WARNINGS)..];
    let told = warned.iter().copied().chain(newest..lines.len());
    told.map(|n| &lines[n])
        .map(|line| json!({"at_s": line.at_s, "level": LEVELS[line.level], "text": line.text}))
        .collect()
}

/// Every record of the kernel's ring (Documentation/ABI/testing/dev-kmsg); none where this process may not read it.
fn ring() -> Vec<Line> {
    let options = fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open("/dev/kmsg");
    let Ok(mut ring) = options else { return Vec::new() };
    let (mut lines, mut record) = (Vec::new(), [0u8; 16 << 10]);
    loop {
        match ring.read(&mut record) {
            Ok(length) if length > 0 => lines.extend(line(&String::from_utf8_lossy(&record[..length]))),
            // Overwritten while it was read: the next read goes on behind.
            Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {}
            _ => return lines,
        }
    }
}

/// `priority,sequence,microseconds,flags;text`, perhaps with lines of properties below.
fn line(record: &str) -> Option<Line> {
    let (head, text) = record.split_once(';')?;
    let mut fields = head.split(',');
    let priority: usize = fields.next()?.parse().ok()?;
    let us: f64 = fields.nth(1)?.parse().ok()?;
    let text = text.lines().next().unwrap_or_default().to_owned();
    Some(Line { level: priority & 7, at_s: us / 1e6, text })
}

/// The log as `dmesg` printed it into `/var/log/dmesg`: `[seconds] text`.
fn saved(tree: &Tree) -> Vec<Line> {
    let text = tree.text("/var/log/dmesg").unwrap_or_default();
    let line = |line: &str| {
        let (at, text) = line.strip_prefix('[')?.split_once(']')?;
        Some(Line { level: 4, at_s: at.trim().parse().ok()?, text: text.trim_start().to_owned() })
    };
    text.lines().filter_map(line).collect()
}

/// What keeps the clock, and whether something corrects it.
pub(super) fn clock(tree: &Tree) -> Value {
    let source = tree.line("/sys/devices/system/clocksource/clocksource0/current_clocksource");
    let told = if tree.is_live() { foretwin_host::clock::discipline() } else { None };
    json!({
        "synchronised": told.map(|told| told.synchronised),
        "offset_s": told.map(|told| told.offset_s),
        "max_error_s": told.filter(|told| told.synchronised).map(|told| told.max_error_s),
        "source": source,
        "rtc_difference_s": if tree.is_live() { rtc_difference(tree) } else { None },
        "daemon": daemon(tree),
    })
}

/// Wall clock less hardware clock, in whole seconds; the latter is taken to run on UTC.
fn rtc_difference(tree: &Tree) -> Option<f64> {
    let rtc = tree.number("/sys/class/rtc/rtc0/since_epoch")?;
    Some(foretwin_host::clock::wall_us() as f64 / 1e6 - rtc)
}

/// The program that synchronises the clock, by the name of a process.
fn daemon(tree: &Tree) -> Option<String> {
    let known = ["chronyd", "ntpd", "systemd-timesyn", "ptp4l", "openntpd"];
    let mut pids = tree.names("/proc").into_iter().filter(|name| name.bytes().all(|b| b.is_ascii_digit()));
    pids.find_map(|pid| {
        let name = tree.line(&format!("/proc/{pid}/comm"))?;
        known.contains(&name.as_str()).then_some(name)
    })
}

/// Lines logged since boot, as far as the ring says.
pub(super) fn logged(tree: &Tree) -> Option<f64> {
    if !tree.is_live() {
        return None;
    }
    let mut ring = fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open("/dev/kmsg").ok()?;
    // The last record's sequence number counts all lines, overwritten ones too.
    let (mut last, mut record) = (None, [0u8; 16 << 10]);
    loop {
        match ring.read(&mut record) {
            Ok(length) if length > 0 => {
                let text = String::from_utf8_lossy(&record[..length]);
                last = text.split(',').nth(1).and_then(|sequence| sequence.parse().ok()).or(last);
            }
            Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {}
            _ => return last,
        }
    }
}

/// Pages swapped in and out since boot.
pub(super) fn swapped(tree: &Tree) -> Option<(f64, f64)> {
    let vmstat = tree.text("/proc/vmstat")?;
    Some((value(&vmstat, "pswpin")?, value(&vmstat, "pswpout")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_the_ring_are_read() {
        let read = line("28,17,2500000,-;disk: \\x09full\n SUBSYSTEM=block\n").unwrap();
        assert_eq!((read.level, read.at_s, read.text.as_str()), (4, 2.5, "disk: \\x09full"));
        assert!(line("garbage").is_none() && line("x,1,2,-;y").is_none());
    }

    #[test]
    fn taints_are_told_by_name() {
        assert_eq!(taints(1 | 1 << 13), ["proprietary module", "unsigned module"]);
        assert!(taints(0).is_empty());
    }
}
