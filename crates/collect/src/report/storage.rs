//! Disks, file systems, and what fstab wants of them.

use std::collections::{BTreeMap, HashSet};
use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use foretwin_host::proc::{Mount, mounts, space};
use serde_json::{Value, json};

use super::cpu::pressure;
use super::tree::{Tree, share};

/// File systems that hold no data of their own, or that lie on another machine, where a question may hang.
const UNREAL: [&str; 8] =
    ["squashfs", "iso9660", "overlay", "erofs", "fuse.snapfuse", "udf", "nsfs", "ramfs"];
/// What fstab may call the source of file systems that are on no device.
const NO_DEVICE: [&str; 9] =
    ["tmpfs", "proc", "sysfs", "devpts", "cgroup2", "none", "debugfs", "hugetlbfs", "overlay"];

pub(super) fn section(tree: &Tree) -> Value {
    let text = tree.text("/proc/self/mountinfo").or_else(|| tree.text("/proc/mountinfo"));
    let mounted = mounts(text.unwrap_or_default().as_bytes());
    let (entries, errors) = fstab(tree, &mounted);
    let targets: HashSet<String> = entries.iter().filter(|e| is_read_only(e)).map(target).collect();
    json!({
        "devices": devices(tree),
        "mounts": mounted_ones(tree, &mounted, &targets),
        "fstab": entries,
        "fstab_errors": errors,
        "file_system_errors": file_system_errors(tree),
        "arrays": arrays(&tree.text("/proc/mdstat").unwrap_or_default()),
        "swaps": swaps(tree),
        "pressure": pressure(tree, "io"),
    })
}

fn is_read_only(entry: &Value) -> bool {
    entry["options"].as_array().is_some_and(|options| options.iter().any(|option| option == "ro"))
}

fn target(entry: &Value) -> String {
    entry["target"].as_str().unwrap_or_default().to_owned()
}

/// Block devices and their partitions, with label and UUID where udev has links for them.
fn devices(tree: &Tree) -> Vec<Value> {
    let (labels, uuids) = (links(tree, "by-label"), links(tree, "by-uuid"));
    let mut told = Vec::new();
    for disk in tree.names("/sys/class/block") {
        let at = |file: &str| format!("/sys/class/block/{disk}/{file}");
        let bytes = tree.number(&at("size")).unwrap_or(0.0) * 512.0;
        if bytes == 0.0 || disk.starts_with("ram") {
            continue;
        }
        told.push(json!({
            "name": disk,
            "bytes": bytes,
            "read_only": tree.number(&at("ro")) == Some(1.0),
            "rotational": tree.number(&at("queue/rotational")).map(|number| number == 1.0),
            "label": labels.get(&disk).cloned().unwrap_or_default(),
            "uuid": uuids.get(&disk).cloned().unwrap_or_default(),
        }));
    }
    told
}

/// Device by link, for instance `vda1` by its label.
fn links(tree: &Tree, kind: &str) -> BTreeMap<String, String> {
    let dir = format!("/dev/disk/{kind}");
    let link = |name: String| {
        let to = fs::read_link(tree.at(&format!("{dir}/{name}"))).ok()?;
        Some((to.file_name()?.to_string_lossy().into_owned(), name))
    };
    tree.names(&dir).into_iter().filter_map(link).collect()
}

/// One entry a file system: bind mounts show the same again.
fn mounted_ones(tree: &Tree, mounted: &[Mount], read_only_by_fstab: &HashSet<String>) -> Vec<Value> {
    let mut seen = HashSet::new();
    let mut told = Vec::new();
    for mount in mounted {
        let on_device = mount.source.starts_with("/dev");
        let holds_data = on_device || ["tmpfs", "zfs", "btrfs"].contains(&mount.kind.as_str());
        if !holds_data || mount.root != Path::new("/") || !seen.insert(mount.device.clone()) {
            continue;
        }
        let point = mount.point.to_string_lossy().into_owned();
        let unreal = UNREAL.contains(&mount.kind.as_str());
        let room = if tree.is_live() { room(&mount.point) } else { None };
        told.push(json!({
            "source": mount.source.to_string_lossy(),
            "target": point,
            "kind": mount.kind,
            "read_only": mount.read_only,
            "meant_read_only": unreal || read_only_by_fstab.contains(&point) || (mount.read_only && !on_device),
            "real": on_device && !unreal,
            "bytes": room.map(|(bytes, _, _)| bytes),
            "used_share": room.and_then(|(_, used, _)| used),
            "inodes_used_share": room.and_then(|(_, _, inodes)| inodes),
        }));
    }
    told
}

/// Bytes, and the used part of bytes and inodes.
fn room(point: &Path) -> Option<(f64, Option<f64>, Option<f64>)> {
    let space = space(&CString::new(point.as_os_str().as_bytes()).ok()?).ok()?;
    let used = share(space.used_bytes as f64, space.limit_bytes as f64);
    Some((space.limit_bytes as f64, used, share(space.used_inodes as f64, space.limit_inodes as f64)))
}

/// The entries of fstab (fstab(5)) and the lines that are none.
fn fstab(tree: &Tree, mounted: &[Mount]) -> (Vec<Value>, Vec<String>) {
    let text = tree.text("/etc/fstab").unwrap_or_default();
    let (mut entries, mut errors) = (Vec::new(), Vec::new());
    for (number, line) in (1..).zip(text.lines()) {
        let fields: Vec<&str> = line.split_whitespace().take_while(|field| !field.starts_with('#')).collect();
        match fields.as_slice() {
            [] => {}
            [source, target, kind, rest @ ..]
                if rest.len() <= 3 && (*kind == "swap" || target.starts_with('/') || *target == "none") =>
            {
                let options: Vec<&str> =
                    rest.first().map_or_else(Vec::new, |options| options.split(',').collect());
                entries.push(entry(tree, mounted, (number, [source, target, kind]), &options));
            }
            [_, _, _, ..] => {
                errors.push(format!(
                    "line {number}: {:?} is no place to mount, or there are too many fields",
                    fields[1]
                ));
            }
            _ => errors
                .push(format!("line {number}: three to six fields are wanted, there are {}", fields.len())),
        }
    }
    (entries, errors)
}

fn entry(
    tree: &Tree,
    mounted: &[Mount],
    (line, [source, target, kind]): (u32, [&str; 3]),
    options: &[&str],
) -> Value {
    let on_demand = ["noauto", "nofail", "x-systemd.automount"];
    let is_mounted = if kind == "swap" {
        tree.text("/proc/swaps").is_some_and(|swaps| swaps.lines().count() > 1)
    } else {
        mounted.iter().any(|mount| mount.point == Path::new(target))
    };
    json!({
        "line": line,
        "source": source,
        "target": target,
        "kind": kind,
        "options": options,
        "source_found": found(tree, source, kind),
        "target_found": kind == "swap" || tree.has(target),
        "mounted": is_mounted,
        "wanted": !options.iter().any(|option| on_demand.contains(option)),
    })
}

/// Whether the source of an entry is there; none where that cannot be told: file systems of the network, and by link where
/// nobody makes links.
fn found(tree: &Tree, source: &str, kind: &str) -> Option<bool> {
    if NO_DEVICE.contains(&kind) || NO_DEVICE.contains(&source) {
        return Some(true);
    }
    for (prefix, dir) in [("UUID=", "by-uuid"), ("LABEL=", "by-label"), ("PARTUUID=", "by-partuuid")] {
        if let Some(name) = source.strip_prefix(prefix) {
            let links = format!("/dev/disk/{dir}");
            return tree.has(&links).then(|| tree.has(&format!("{links}/{}", name.trim_matches('"'))));
        }
    }
    source.starts_with('/').then(|| tree.has(source))
}

fn file_system_errors(tree: &Tree) -> Vec<Value> {
    let count = |device: String| {
        let errors = tree.number(&format!("/sys/fs/ext4/{device}/errors_count"))?;
        Some(json!({"device": device, "errors": errors}))
    };
    tree.names("/sys/fs/ext4").into_iter().filter_map(count).collect()
}

/// RAID arrays of `/proc/mdstat`: a line with the name, then one that ends in `[UU_]`.
fn arrays(text: &str) -> Vec<Value> {
    let mut told = Vec::new();
    let mut name = None;
    for line in text.lines() {
        if let Some((array, _)) = line.split_once(" : ").filter(|(array, _)| array.starts_with("md")) {
            name = Some(array.to_owned());
        }
        let state = line.rsplit_once('[').filter(|(_, state)| state.trim_end().ends_with(']'));
        let state = state.map(|(_, state)| state.trim_end().trim_end_matches(']'));
        let state = state.filter(|state| !state.is_empty() && state.chars().all(|c| c == 'U' || c == '_'));
        if let (Some(state), Some(array)) = (state, &name) {
            told.push(json!({"name": array, "state": format!("[{state}]"), "degraded": state.contains('_')}));
        }
    }
    told
}

fn swaps(tree: &Tree) -> Vec<Value> {
    let text = tree.text("/proc/swaps").unwrap_or_default();
    let swap = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        Some(json!({"name": fields.first()?, "bytes": fields.get(2)?.parse::<f64>().ok()? * 1024.0}))
    };
    text.lines().skip(1).filter_map(swap).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_degraded_where_a_disk_is_missing() {
        let text = "Personalities : [raid1]\nmd0 : active raid1 sdb1[1] sda1[0](F)\n      1046528 blocks super 1.2 [2/1] [_U]\n\nmd1 : active raid1 sdb2[1] sda2[0]\n      5 blocks [2/2] [UU]\n\nunused devices: <none>\n";
        let told = arrays(text);
        assert_eq!(
            (told.len(), &told[0]["degraded"], &told[1]["degraded"]),
            (2, &json!(true), &json!(false))
        );
    }

    #[test]
    fn fstab_is_held_against_what_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for made in ["etc", "dev/disk/by-uuid", "data"] {
            fs::create_dir_all(root.join(made)).unwrap();
        }
        fs::write(root.join("dev/disk/by-uuid/aa-1"), "").unwrap();
        let text = "# comment\nUUID=aa-1 / ext4 defaults 0 1\nUUID=bb-2 /data ext4 defaults,nofail 0 2\n/dev/sdz1\nLABEL=x /y ext4 rw 0 1\ntmpfs /tmp tmpfs defaults\nnfs:/x /mnt nfs rw 0 0\n";
        fs::write(root.join("etc/fstab"), text).unwrap();
        let (entries, errors) = fstab(&Tree::below(root), &[]);
        assert_eq!(errors, ["line 4: three to six fields are wanted, there are 1"]);
        let told: Vec<_> = entries
            .iter()
            .map(|e| (e["line"].clone(), e["source_found"].clone(), e["wanted"].clone()))
            .collect();
        let yes = |found: Option<bool>, wanted: bool| (json!(found), json!(wanted));
        let expected = [
            (2, yes(Some(true), true)),
            (3, yes(Some(false), false)),
            (5, yes(None, true)),
            (6, yes(Some(true), true)),
            (7, yes(None, true)),
        ];
        for (told, (line, (found, wanted))) in told.iter().zip(expected) {
            assert_eq!(told, &(json!(line), found, wanted));
        }
    }
}
