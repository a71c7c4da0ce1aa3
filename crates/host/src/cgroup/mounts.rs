//! Where control groups are mounted, and which controllers each mount serves.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Error;

/// The interface of a hierarchy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// One hierarchy per controller or set of controllers.
    V1,
    /// The unified hierarchy.
    V2,
}

/// One mounted tree of control groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    /// Directory of its root group.
    pub root: PathBuf,
    /// Its interface.
    pub version: Version,
    /// Version 1: its controllers, or `name=...`. Version 2: empty, since each group says what it has.
    pub controllers: Vec<String>,
}

impl Hierarchy {
    /// Whether it serves a version 1 controller.
    #[must_use]
    pub fn has(&self, controller: &str) -> bool {
        self.version == Version::V1 && self.controllers.iter().any(|name| name == controller)
    }

    /// The directory of a group; the root group's path is empty.
    #[must_use]
    pub fn dir(&self, group: &str) -> PathBuf {
        // Joining an empty path would append a separator.
        if group.is_empty() { self.root.clone() } else { self.root.join(group) }
    }
}

/// The hierarchies that this process can see.
///
/// # Errors
/// If the mount table cannot be read.
pub fn mounted() -> Result<Vec<Hierarchy>, Error> {
    let path = PathBuf::from("/proc/self/mountinfo");
    match fs::read_to_string(&path) {
        Ok(text) => Ok(from_mountinfo(&text)),
        Err(source) => Err(Error::Read { path, source }),
    }
}

/// Options of a mount that are not controllers.
const OPTIONS: &[&str] =
    &["rw", "ro", "xattr", "noprefix", "clone_children", "cpuset_v2_mode", "nsdelegate", "favordynmods"];

/// The hierarchies in a mount table of `proc_pid_mountinfo(5)`. A hierarchy mounted twice counts once: a mount of
/// its whole tree goes before a bind mount of a part.
#[must_use]
pub fn from_mountinfo(text: &str) -> Vec<Hierarchy> {
    let mut found: Vec<(&str, bool, Hierarchy)> = Vec::new();
    for (device, whole, hierarchy) in text.lines().filter_map(mount_line) {
        match found.iter_mut().find(|(known, ..)| *known == device) {
            Some(known) if whole && !known.1 => *known = (device, whole, hierarchy),
            Some(_) => {}
            None => found.push((device, whole, hierarchy)),
        }
    }
    found.into_iter().map(|(.., hierarchy)| hierarchy).collect()
}

/// Device, whether the mount shows the whole tree, and the hierarchy, if the line mounts control groups.
fn mount_line(line: &str) -> Option<(&str, bool, Hierarchy)> {
    let (mount, source) = line.split_once(" - ")?;
    let mut mount = mount.split(' ').skip(2);
    let (device, inner, point) = (mount.next()?, mount.next()?, mount.next()?);
    let mut source = source.split(' ');
    let (kind, options) = (source.next()?, source.nth(1)?);
    let version = match kind {
        "cgroup" => Version::V1,
        "cgroup2" => Version::V2,
        _ => return None,
    };
    let mut controllers = Vec::new();
    if version == Version::V1 {
        let named = |option: &&str| !OPTIONS.contains(option) && !option.starts_with("release_agent=");
        controllers.extend(options.split(',').filter(named).map(str::to_owned));
    }
    Some((device, inner == "/", Hierarchy { root: unescape(point).into(), version, controllers }))
}

/// The mount table writes blanks and backslashes as three octal digits.
fn unescape(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                plain.push(char::from(byte));
                plain.push_str(&part[3..]);
            }
            None => plain.extend(["\\", part]),
        }
    }
    plain
}

/// The hierarchies of a tree laid out like `/sys/fs/cgroup`: either a version 2 root itself, or a directory with
/// one hierarchy per entry, named after its controllers (`cpu,cpuacct`, `memory`, `unified`).
///
/// # Errors
/// If the directory cannot be listed.
pub fn below(root: &Path) -> Result<Vec<Hierarchy>, Error> {
    let unified = |root: PathBuf| Hierarchy { root, version: Version::V2, controllers: Vec::new() };
    if root.join("cgroup.controllers").exists() {
        return Ok(vec![unified(root.into())]);
    }
    let failed = |source| Error::Read { path: root.into(), source };
    let mut found = Vec::new();
    for entry in fs::read_dir(root).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        // Links such as `cpu -> cpu,cpuacct` would show a hierarchy twice.
        if !entry.file_type().map_err(failed)?.is_dir() {
            continue;
        }
        if entry.path().join("cgroup.controllers").exists() {
            found.push(unified(entry.path()));
        } else {
            let controllers = entry.file_name().to_string_lossy().split(',').map(str::to_owned).collect();
            found.push(Hierarchy { root: entry.path(), version: Version::V1, controllers });
        }
    }
    found.sort_by(|a, b| a.root.cmp(&b.root));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
22 27 0:21 / /proc rw,relatime - proc proc rw
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,release_agent=/lib/agent,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate
50 31 0:32 /docker/abc /var/lib/some\\040where/memory rw - cgroup cgroup rw,memory
garbage
";

    #[test]
    fn hybrid_mounts_are_told_apart() {
        let found = from_mountinfo(HYBRID);
        let roots: Vec<_> = found.iter().map(|h| h.root.to_str().unwrap()).collect();
        let base = "/sys/fs/cgroup";
        assert_eq!(
            roots,
            ["cpu,cpuacct", "memory", "systemd", "unified"].map(|name| format!("{base}/{name}"))
        );
        assert!(found[0].has("cpu") && found[0].has("cpuacct") && !found[0].has("memory"));
        assert_eq!(found[2].controllers, ["name=systemd"]);
        assert_eq!(found[3], Hierarchy { root: roots[3].into(), version: Version::V2, controllers: vec![] });
    }

    #[test]
    fn a_whole_tree_goes_before_a_part_of_it() {
        let part = "50 31 0:32 /docker/abc /with\\040blank rw - cgroup cgroup rw,memory\n";
        assert_eq!(from_mountinfo(part)[0].root, Path::new("/with blank"));
        let whole = "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
        assert_eq!(from_mountinfo(&format!("{part}{whole}"))[0].root, Path::new("/sys/fs/cgroup/memory"));
        assert_eq!(from_mountinfo(&format!("{part}{whole}")).len(), 1);
    }

    #[test]
    fn a_backslash_that_escapes_nothing_stays() {
        assert_eq!(unescape("a\\x2db\\134c"), "a\\x2db\\c");
    }
}
