//! What happened lately: boots, core dumps, changes.

use foretwin_core::Timestamp;
use serde_json::{Value, json};

use super::tree::{Tree, changed, date};

const DAY_S: i64 = 86_400;
/// Length of a record of wtmp (struct utmp of glibc, utmp(5)), and where its parts lie.
const RECORD: usize = 384;
const USER: usize = 44;
const USER_LENGTH: usize = 32;
const SECONDS: usize = 340;
/// Types of records: a change of run level, and a boot.
const RUN_LEVEL: i16 = 1;
const BOOT: i16 = 2;
/// Files of `/etc` looked at, and how deep.
const MOST_FILES: usize = 5_000;
const DEPTH: usize = 3;

pub(super) fn section(tree: &Tree, at: Timestamp) -> Value {
    let now = at.0.div_euclid(1_000_000);
    let boots = boots(&std::fs::read(tree.at("/var/log/wtmp")).unwrap_or_default());
    let week = |boot: &&(i64, bool)| now - boot.0 < 7 * DAY_S;
    let recent = boots.iter().filter(week);
    let packages =
        tree.text("/run/reboot-required.pkgs").or_else(|| tree.text("/var/run/reboot-required.pkgs"));
    let told = |boot: &(i64, bool)| json!({"at": date(boot.0), "clean": boot.1});
    json!({
        "boots": boots.iter().rev().take(20).map(told).collect::<Vec<_>>(),
        "boots_per_day": recent.clone().count() as f64 / 7.0,
        "unclean_boots_7d": recent.filter(|boot| !boot.1).count(),
        "core_dumps_7d": core_dumps(tree, now),
        "reboot_required": tree.has("/run/reboot-required") || tree.has("/var/run/reboot-required"),
        "reboot_packages": packages.unwrap_or_default().lines().map(str::to_owned).collect::<Vec<_>>(),
        "changes_24h": packages_changed(tree, now),
        "changed_files_24h": files_changed(tree, now),
    })
}

/// Boots in order, each with whether the machine was shut down before it. Of the first one nothing is known, so it counts
/// as clean.
fn boots(wtmp: &[u8]) -> Vec<(i64, bool)> {
    let (mut boots, mut shut_down) = (Vec::new(), true);
    for record in wtmp.chunks_exact(RECORD) {
        let kind = i16::from_le_bytes([record[0], record[1]]);
        let seconds =
            record[SECONDS..SECONDS + 4].first_chunk().map_or(0, |bytes| i32::from_le_bytes(*bytes));
        let user = &record[USER..USER + USER_LENGTH];
        match kind {
            RUN_LEVEL if user.starts_with(b"shutdown") => shut_down = true,
            BOOT => {
                boots.push((i64::from(seconds), shut_down));
                shut_down = false;
            }
            _ => {}
        }
    }
    boots
}

fn core_dumps(tree: &Tree, now: i64) -> Vec<Value> {
    let mut told = Vec::new();
    for dir in ["/var/lib/systemd/coredump", "/var/crash"] {
        for name in tree.names(dir) {
            let Some(at) = changed(&tree.at(&format!("{dir}/{name}"))) else { continue };
            if now - at < 7 * DAY_S {
                told.push(json!({"at": date(at), "name": name}));
            }
        }
    }
    told
}

/// Packages installed, upgraded or removed within a day, as dpkg logs them, on its machine's own clock.
fn packages_changed(tree: &Tree, now: i64) -> Vec<Value> {
    let text = tree.text("/var/log/dpkg.log").unwrap_or_default();
    let since = date(now - DAY_S);
    let change = |line: &str| {
        let fields: Vec<&str> = line.split(' ').collect();
        let [day, hour, what @ ("install" | "upgrade" | "remove" | "purge"), name, from, to, ..] =
            fields.as_slice()
        else {
            return None;
        };
        let at = format!("{day}T{hour}Z");
        (at > since).then(|| json!({"at": at, "what": what, "name": name, "from": from, "to": to}))
    };
    text.lines().filter_map(change).collect()
}

/// Files of `/etc` that changed within a day, by name only.
fn files_changed(tree: &Tree, now: i64) -> Vec<Value> {
    let (mut dirs, mut told, mut looked) = (vec![("/etc".to_owned(), 0)], Vec::new(), 0);
    while let Some((dir, depth)) = dirs.pop() {
        for name in tree.names(&dir) {
            let path = format!("{dir}/{name}");
            let at = tree.at(&path);
            looked += 1;
            if looked > MOST_FILES {
                return told;
            }
            if at.is_dir() && !at.is_symlink() {
                if depth < DEPTH {
                    dirs.push((path, depth + 1));
                }
            } else if let Some(changed) = changed(&at).filter(|changed| now - changed < DAY_S) {
                told.push(json!({"at": date(changed), "path": path}));
            }
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: i16, user: &str, seconds: i32) -> Vec<u8> {
        let mut record = vec![0; RECORD];
        record[..2].copy_from_slice(&kind.to_le_bytes());
        record[USER..USER + user.len()].copy_from_slice(user.as_bytes());
        record[SECONDS..SECONDS + 4].copy_from_slice(&seconds.to_le_bytes());
        record
    }

    #[test]
    fn a_boot_without_a_shutdown_before_it_is_unclean() {
        let wtmp = [
            record(BOOT, "reboot", 100),
            record(7, "alice", 150),
            record(RUN_LEVEL, "shutdown", 200),
            record(BOOT, "reboot", 210),
            record(BOOT, "reboot", 300),
            vec![1, 2, 3],
        ];
        assert_eq!(boots(&wtmp.concat()), [(100, true), (210, true), (300, false)]);
    }
}
