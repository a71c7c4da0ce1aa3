//! Control groups of twins: made under the original's parent, limited, removed. Nothing but groups that carry the
//! owner's name is changed: where a parent does not hand a controller down, the twin does without.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use foretwin_host::cgroup::{Hierarchy, Version, mounted, pids_of};

use super::spawn::signal;
use crate::Error;
use crate::owner::{Owner, Role};
use crate::spec::Resources;

/// Controllers of version 1 that a twin is held by or accounted with. `cpuset` is left out: it must be configured
/// before a process can join, and no twin needs it.
const CONTROLLERS: [&str; 6] = ["blkio", "cpu", "cpuacct", "freezer", "memory", "pids"];

/// The length of a period of a processor quota: the kernel's default.
const PERIOD_US: f64 = 100_000.0;

/// How long a group may take to lose its last process.
const EMPTYING: Duration = Duration::from_secs(2);

/// The hierarchies of this machine in which twins get groups.
#[derive(Debug, Clone)]
pub(crate) struct Groups(Vec<Hierarchy>);

/// A group in every hierarchy that admits it. Dropping it kills what is in it and removes it.
#[derive(Debug)]
pub(crate) struct Group {
    /// Its path below the root of every hierarchy.
    pub path: String,
    dirs: Vec<(PathBuf, Version)>,
    controllers: Vec<String>,
}

impl Groups {
    /// Finds what is mounted.
    pub fn find() -> Result<Self, Error> {
        let mut hierarchies = mounted().map_err(Error::Groups)?;
        hierarchies
            .retain(|found| found.version == Version::V2 || CONTROLLERS.iter().any(|name| found.has(name)));
        Ok(Self(hierarchies))
    }

    /// Makes a group; one that is there already is taken. None where no hierarchy that schedules processors admits
    /// it: then groups are of no use here.
    pub fn make(&self, parent: &str, name: &str) -> Option<Group> {
        let parent = parent.trim_matches('/');
        let path = if parent.is_empty() { name.to_owned() } else { format!("{parent}/{name}") };
        let mut group = Group { path, dirs: Vec::new(), controllers: Vec::new() };
        for hierarchy in &self.0 {
            // A parent that does not exist in this hierarchy is not made: it would not be ours.
            let dir = hierarchy.dir(&group.path);
            let made = match fs::create_dir(&dir) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => true,
                made => made.is_ok(),
            };
            if made && is_writable(&dir.join("cgroup.procs")) {
                group.controllers.extend(controllers(hierarchy, &dir));
                group.dirs.push((dir, hierarchy.version));
            } else if made {
                let _ = fs::remove_dir(&dir);
            }
        }
        group.controllers.sort();
        group.controllers.dedup();
        group.has("cpu").then_some(group)
    }

    /// Removes every group whose name the owner gives, with what is in it.
    pub fn remove_owned(&self, owner: &Owner) -> Result<Vec<String>, Error> {
        let mut removed = Vec::new();
        for dir in self.owned(owner) {
            remove(&dir).map_err(Error::file("remove", &dir))?;
            removed.push(format!("group {}", dir.display()));
        }
        Ok(removed)
    }

    /// Those groups as directories, the deepest first.
    fn owned(&self, owner: &Owner) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for hierarchy in &self.0 {
            collect_owned(&hierarchy.root, owner, &mut found);
        }
        found
    }
}

fn collect_owned(dir: &Path, owner: &Owner, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        collect_owned(&entry.path(), owner, found);
        if entry.file_name().to_str().is_some_and(|name| owner.owns(name)) {
            found.push(entry.path());
        }
    }
}

fn is_writable(path: &Path) -> bool {
    OpenOptions::new().write(true).open(path).is_ok()
}

fn controllers(hierarchy: &Hierarchy, dir: &Path) -> Vec<String> {
    match hierarchy.version {
        Version::V1 => hierarchy.controllers.clone(),
        Version::V2 => {
            let text = fs::read_to_string(dir.join("cgroup.controllers")).unwrap_or_default();
            text.split_whitespace().map(str::to_owned).collect()
        }
    }
}

impl Group {
    /// The controllers that hold it, sorted.
    pub fn controllers(&self) -> &[String] {
        &self.controllers
    }

    /// Whether a controller holds it.
    pub fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|name| name == controller)
    }

    /// The lists through which processes join.
    pub fn joins(&self) -> io::Result<Vec<File>> {
        self.dirs
            .iter()
            .map(|(dir, _)| OpenOptions::new().write(true).open(dir.join("cgroup.procs")))
            .collect()
    }

    /// Sets priority and limits. The probes' group has the weight that every group has by default.
    pub fn limit(&self, role: Role, resources: &Resources) -> Result<(), Error> {
        for (dir, version) in &self.dirs {
            for (file, text) in settings(*version, role, resources) {
                let path = dir.join(file);
                // The file is there only where the controller is.
                if path.exists() {
                    fs::write(&path, text).map_err(Error::file("write", path))?;
                }
            }
        }
        Ok(())
    }

    /// Times the kernel killed a process for want of memory in this group.
    pub fn out_of_memory_kills(&self) -> u64 {
        let count = |text: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
            line.and_then(|number| number.trim().parse::<u64>().ok())
        };
        let files =
            self.dirs.iter().flat_map(|(dir, _)| [dir.join("memory.oom_control"), dir.join("memory.events")]);
        files
            .filter_map(|path| fs::read_to_string(path).ok())
            .filter_map(|text| count(&text))
            .max()
            .unwrap_or(0)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for (dir, _) in &self.dirs {
            if let Err(error) = remove(dir) {
                tracing::warn!(group = %dir.display(), %error, "a twin's group cannot be removed");
            }
        }
    }
}

/// The group of a process that another program started: the longest of its paths, and the controllers of all its
/// hierarchies (`cgroups(7)`).
pub(crate) fn group_of(pid: u32) -> Option<(String, Vec<String>)> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let lines = text.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
    let path =
        lines.clone().map(|(_, path)| path.trim_matches('/')).max_by_key(|path| path.len())?.to_owned();
    let held = lines.filter(|(_, own)| own.trim_matches('/') == path).flat_map(|(names, _)| names.split(','));
    let mut controllers: Vec<String> =
        held.filter(|name| CONTROLLERS.contains(name)).map(str::to_owned).collect();
    if controllers.is_empty() {
        // The unified hierarchy lists none here, but in the group itself.
        let file = format!("/sys/fs/cgroup/{path}/cgroup.controllers");
        let text = fs::read_to_string(file).unwrap_or_default();
        controllers = text.split_whitespace().map(str::to_owned).collect();
    }
    controllers.sort();
    Some((path, controllers))
}

/// The files of the interface and what is written to them.
fn settings(version: Version, role: Role, resources: &Resources) -> Vec<(&'static str, String)> {
    let quota_us = resources.cores.map(|cores| (cores * PERIOD_US).max(1000.0).round() as u64);
    let bytes = resources.memory_bytes;
    let pids = resources.pids.map_or("max".to_owned(), |pids| pids.to_string());
    let lowest = role == Role::Replay;
    match version {
        Version::V1 => vec![
            ("cpu.shares", if lowest { "2" } else { "1024" }.into()),
            ("cpu.cfs_quota_us", quota_us.map_or("-1".into(), |quota| quota.to_string())),
            ("memory.limit_in_bytes", bytes.map_or("-1".into(), |bytes| bytes.to_string())),
            ("pids.max", pids),
        ],
        Version::V2 => vec![
            ("cpu.weight", if lowest { "1" } else { "100" }.into()),
            ("cpu.max", quota_us.map_or("max".into(), |quota| format!("{quota} {PERIOD_US}"))),
            ("memory.max", bytes.map_or("max".into(), |bytes| bytes.to_string())),
            ("memory.swap.max", if bytes.is_some() { "0" } else { "max" }.into()),
            ("pids.max", pids),
        ],
    }
}

/// Kills what is in a group and removes it; one that is gone is fine.
fn remove(dir: &Path) -> io::Result<()> {
    let deadline = Instant::now() + EMPTYING;
    loop {
        let mut pids = Vec::new();
        // The group is ours, and so is whatever is in it.
        if pids_of(&dir.join("cgroup.procs"), &mut pids).is_ok() {
            for pid in pids {
                let _ = signal(pid, libc::SIGKILL);
            }
        }
        match fs::remove_dir(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if Instant::now() > deadline => return Err(error),
            // Busy until the last process has been reaped.
            Err(_) => thread::sleep(Duration::from_millis(5)),
            Ok(()) => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replays_get_the_least_and_probes_the_usual() {
        let resources = Resources { cores: Some(0.25), memory_bytes: Some(1 << 20), pids: None };
        let of = |version, role| settings(version, role, &resources);
        let value = |set: &[(&str, String)], file: &str| {
            set.iter().find(|(name, _)| *name == file).map(|(_, text)| text.clone()).unwrap()
        };
        let v1 = of(Version::V1, Role::Replay);
        assert_eq!(value(&v1, "cpu.shares"), "2");
        assert_eq!(value(&v1, "cpu.cfs_quota_us"), "25000");
        assert_eq!(value(&v1, "memory.limit_in_bytes"), "1048576");
        let v2 = of(Version::V2, Role::Probes);
        assert_eq!((value(&v2, "cpu.weight"), value(&v2, "cpu.max")), ("100".into(), "25000 100000".into()));
        let free = settings(Version::V1, Role::Probes, &Resources::default());
        assert_eq!((value(&free, "cpu.cfs_quota_us"), value(&free, "pids.max")), ("-1".into(), "max".into()));
    }

    #[test]
    fn a_plain_directory_is_no_group() {
        let root = tempfile::tempdir().unwrap();
        let groups = Groups(vec![Hierarchy {
            root: root.path().into(),
            version: Version::V1,
            controllers: vec!["cpu".into()],
        }]);
        assert!(groups.make("", "foretwin-twin-00000000-0000000000000000").is_none());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0, "nothing stays behind");
        assert!(groups.make("absent", "x").is_none());
    }

    #[test]
    fn owned_groups_are_found_however_deep() {
        let root = tempfile::tempdir().unwrap();
        let owner = Owner::parse("00c0ffee").unwrap();
        let ours = root.path().join("a/b/foretwin-twin-00c0ffee-0123456789abcdef");
        fs::create_dir_all(&ours).unwrap();
        fs::create_dir_all(root.path().join("a/foretwin-twin-deadbeef-0123456789abcdef")).unwrap();
        let groups = Groups(vec![Hierarchy {
            root: root.path().into(),
            version: Version::V2,
            controllers: Vec::new(),
        }]);
        assert_eq!(groups.owned(&owner), [ours]);
    }
}
