//! Control groups of both versions: made, limited, read and removed.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::mounts::{self, Mount};
use crate::sys;

/// Controllers that a run needs or that an observer reads.
const CONTROLLERS: [&str; 5] = ["memory", "cpu", "cpuacct", "pids", "blkio"];

/// The hierarchies of this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hierarchies {
    /// Version 1: mount point and its controllers.
    v1: Vec<(PathBuf, Vec<String>)>,
    /// Version 2: mount point and the controllers it offers; in a hybrid machine mostly none.
    v2: Option<(PathBuf, Vec<String>)>,
}

impl Hierarchies {
    /// Finds what is mounted.
    ///
    /// # Errors
    /// If `/proc` cannot be read.
    pub fn find() -> Result<Self> {
        Ok(Self::of(&mounts::read()?, |point| {
            fs::read_to_string(point.join("cgroup.controllers")).unwrap_or_default()
        }))
    }

    fn of(mounts: &[Mount], offered: impl Fn(&Path) -> String) -> Self {
        let mut found = Self::default();
        for mount in mounts {
            if mount.kind == "cgroup2" && found.v2.is_none() {
                let offered = offered(&mount.point).split_whitespace().map(Into::into).collect();
                found.v2 = Some((mount.point.clone(), offered));
            } else if mount.kind == "cgroup" {
                let ours = |name: &&String| CONTROLLERS.contains(&name.as_str());
                let names: Vec<String> = mount.options.iter().filter(ours).cloned().collect();
                if !names.is_empty() && found.v1.iter().all(|(point, _)| *point != mount.point) {
                    found.v1.push((mount.point.clone(), names));
                }
            }
        }
        found
    }

    /// Where a controller lives, and whether that is version 2.
    fn home(&self, controller: &str) -> Option<(&Path, bool)> {
        let holds = |names: &[String]| names.iter().any(|name| name == controller);
        let v1 = self.v1.iter().find(|(_, names)| holds(names)).map(|(point, _)| (point.as_path(), false));
        v1.or_else(|| {
            self.v2.as_ref().filter(|(_, names)| holds(names)).map(|(point, _)| (point.as_path(), true))
        })
    }

    /// The directory of a group in every hierarchy.
    fn dirs(&self, path: &str) -> Vec<PathBuf> {
        let points = self.v1.iter().map(|(point, _)| point).chain(self.v2.iter().map(|(point, _)| point));
        points.map(|point| point.join(path.trim_start_matches('/'))).collect()
    }

    /// Names of the groups directly below one, over all hierarchies.
    pub fn children(&self, path: &str) -> Vec<String> {
        let mut names: Vec<String> =
            (self.dirs(path).iter().filter_map(|dir| fs::read_dir(dir).ok()).flatten())
                .filter_map(|entry| entry.ok().filter(|entry| entry.path().is_dir()))
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .collect();
        names.sort();
        names.dedup();
        names
    }
}

/// What a group may use.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
    /// Cores.
    pub cores: Option<f64>,
    /// Weight beside its siblings, of 1024.
    pub shares: Option<u64>,
}

/// Weight of a group that says nothing else, as version 1 counts.
pub const USUAL_SHARES: u64 = 1024;

/// A group in every hierarchy of the machine.
#[derive(Debug, Clone)]
pub struct Group {
    /// Its path below the mount points, beginning with `/`.
    pub path: String,
    hierarchies: Hierarchies,
}

impl Group {
    /// Names a group, without making it.
    pub fn named(hierarchies: &Hierarchies, path: &str) -> Self {
        Self { path: path.into(), hierarchies: hierarchies.clone() }
    }

    /// Makes a group and sets its limits.
    ///
    /// # Errors
    /// Where the user may not, or a needed controller is missing.
    pub fn create(hierarchies: &Hierarchies, path: &str, limits: &Limits) -> Result<Self> {
        let group = Self::named(hierarchies, path);
        if hierarchies.home("memory").is_none() {
            bail!("no control group hierarchy offers the memory controller; use --confine rlimits");
        }
        group.delegate()?;
        for dir in hierarchies.dirs(path) {
            fs::create_dir_all(&dir).with_context(|| format!("making the group {}", dir.display()))?;
        }
        group.apply(limits)?;
        Ok(group)
    }

    /// Version 2 hands controllers down only where each ancestor says so.
    fn delegate(&self) -> Result<()> {
        let Some((point, offered)) = &self.hierarchies.v2 else { return Ok(()) };
        let mut dir = point.clone();
        let parts: Vec<&str> = self.path.trim_matches('/').split('/').collect();
        for part in parts {
            for name in offered.iter().filter(|name| ["memory", "cpu", "pids", "io"].contains(&name.as_str()))
            {
                let file = dir.join("cgroup.subtree_control");
                fs::write(&file, format!("+{name}"))
                    .with_context(|| format!("handing {name} down in {}", file.display()))?;
            }
            dir.push(part);
            fs::create_dir_all(&dir).with_context(|| format!("making the group {}", dir.display()))?;
        }
        Ok(())
    }

    fn apply(&self, limits: &Limits) -> Result<()> {
        if let Some(bytes) = limits.memory {
            self.write("memory", ["memory.limit_in_bytes", "memory.max"], &bytes.to_string())?;
            // Swap would turn a death into a long agony. Kernels without swap accounting lack the file.
            let swap = self.file("memory", ["memory.memsw.limit_in_bytes", "memory.swap.max"]);
            if let Some((file, v2)) = swap.filter(|(file, _)| file.exists()) {
                let value = if v2 { 0 } else { bytes };
                fs::write(&file, value.to_string()).with_context(|| format!("writing {}", file.display()))?;
            }
        }
        if let Some(count) = limits.pids {
            self.write("pids", ["pids.max"; 2], &count.to_string())?;
        }
        if limits.cores.is_some() {
            self.set_cores(limits.cores)?;
        }
        if let Some(shares) = limits.shares {
            self.set_shares(shares)?;
        }
        Ok(())
    }

    /// Changes the weight; 1024 is usual.
    ///
    /// # Errors
    /// Where the user may not, or the controller is missing.
    pub fn set_shares(&self, shares: u64) -> Result<()> {
        let v2 = self.hierarchies.home("cpu").is_some_and(|(_, v2)| v2);
        // Version 2 counts from 100.
        let value = if v2 { (shares * 100 / USUAL_SHARES).max(1) } else { shares };
        self.write("cpu", ["cpu.shares", "cpu.weight"], &value.to_string())
    }

    /// Changes the quota, in cores; none takes it away.
    ///
    /// # Errors
    /// Where the user may not, or the controller is missing.
    pub fn set_cores(&self, cores: Option<f64>) -> Result<()> {
        let v2 = self.hierarchies.home("cpu").is_some_and(|(_, v2)| v2);
        let value = match cores.map(|cores| (cores * 100_000.0) as u64) {
            Some(quota) if v2 => format!("{quota} 100000"),
            Some(quota) => quota.to_string(),
            None if v2 => "max 100000".into(),
            None => "-1".into(),
        };
        self.write("cpu", ["cpu.cfs_quota_us", "cpu.max"], &value)
    }

    /// The file of a controller, by its names in version 1 and 2, and whether it is version 2.
    fn file(&self, controller: &str, names: [&str; 2]) -> Option<(PathBuf, bool)> {
        let (point, v2) = self.hierarchies.home(controller)?;
        Some((point.join(self.path.trim_start_matches('/')).join(names[usize::from(v2)]), v2))
    }

    fn write(&self, controller: &str, names: [&str; 2], value: &str) -> Result<()> {
        let found = self.file(controller, names);
        let (file, _) = found
            .with_context(|| format!("no control group hierarchy offers the {controller} controller"))?;
        fs::write(&file, value).with_context(|| format!("writing {value} to {}", file.display()))
    }

    fn read(&self, controller: &str, names: [&str; 2]) -> Option<String> {
        fs::read_to_string(self.file(controller, names)?.0).ok()
    }

    fn number(&self, controller: &str, names: [&str; 2]) -> Option<u64> {
        self.read(controller, names)?.trim().parse().ok()
    }

    /// The value after `key` in a file of `key value` lines.
    fn field(&self, controller: &str, names: [&str; 2], keys: [&str; 2]) -> Option<u64> {
        let v2 = self.hierarchies.home(controller)?.1;
        let key = keys[usize::from(v2)];
        let text = self.read(controller, names)?;
        text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
    }

    /// Bytes charged to the group, page cache included.
    pub fn memory_usage(&self) -> Option<u64> {
        self.number("memory", ["memory.usage_in_bytes", "memory.current"])
    }

    /// Bytes of page cache among them that can be reclaimed: files in memory are counted as cache, but cannot.
    pub fn memory_cache(&self) -> Option<u64> {
        let stat = |keys| self.field("memory", ["memory.stat"; 2], keys);
        Some(stat(["total_cache", "file"])?.saturating_sub(stat(["total_shmem", "shmem"]).unwrap_or(0)))
    }

    /// Processes killed in this group because memory ran out.
    pub fn oom_kills(&self) -> Option<u64> {
        self.field("memory", ["memory.oom_control", "memory.events"], ["oom_kill"; 2])
    }

    /// How often the group itself ran against its own limit.
    pub fn limit_hits(&self) -> Option<u64> {
        self.number("memory", ["memory.failcnt", ""])
            .or_else(|| self.field("memory", ["", "memory.events.local"], ["max"; 2]))
    }

    /// Processor time used, in nanoseconds.
    pub fn cpu_ns(&self) -> Option<u64> {
        let v1 = self.number("cpuacct", ["cpuacct.usage", ""]);
        v1.or_else(|| Some(self.field("cpu", ["", "cpu.stat"], ["", "usage_usec"])? * 1000))
    }

    /// Processes and threads in the group.
    pub fn pids(&self) -> Option<u64> {
        self.number("pids", ["pids.current"; 2])
    }

    /// The files to which a process writes `0` to move itself in.
    pub fn doors(&self) -> Vec<PathBuf> {
        self.hierarchies.dirs(&self.path).iter().map(|dir| dir.join("cgroup.procs")).collect()
    }

    /// Whether it exists in any hierarchy.
    pub fn exists(&self) -> bool {
        self.hierarchies.dirs(&self.path).iter().any(|dir| dir.exists())
    }

    fn kill(&self) {
        for door in self.doors() {
            let text = fs::read_to_string(door).unwrap_or_default();
            text.lines().filter_map(|line| line.parse().ok()).for_each(sys::kill);
        }
    }

    /// Kills what is in the group and removes it, with patience for the dying.
    ///
    /// # Errors
    /// If it is still occupied after two seconds, or the user may not.
    pub fn remove(&self) -> Result<()> {
        // The same path may be somebody else's: an unprivileged lab leaves root's alone.
        let ours = |dir: &PathBuf| fs::metadata(dir).is_ok_and(|found| found.uid() == sys::user());
        for dir in self.hierarchies.dirs(&self.path).into_iter().filter(ours) {
            let mut patience = 100;
            while let Err(error) = fs::remove_dir(&dir) {
                match error.kind() {
                    io::ErrorKind::NotFound => break,
                    io::ErrorKind::ResourceBusy if patience > 0 => self.kill(),
                    _ => return Err(error).with_context(|| format!("removing the group {}", dir.display())),
                }
                patience -= 1;
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(point: &str, kind: &str, options: &[&str]) -> Mount {
        let options = options.iter().map(|&option| option.into()).collect();
        Mount { point: point.into(), kind: kind.into(), source: kind.into(), options }
    }

    #[test]
    fn hybrid_machines_keep_controllers_in_version_1() {
        let mounts = [
            mount("/c/memory", "cgroup", &["rw", "memory"]),
            mount("/c/cpu,cpuacct", "cgroup", &["rw", "cpu", "cpuacct"]),
            mount("/c/systemd", "cgroup", &["rw", "name=systemd"]),
            mount("/c/unified", "cgroup2", &["rw"]),
        ];
        let found = Hierarchies::of(&mounts, |_| "hugetlb\n".into());
        assert_eq!(found.home("memory"), Some((Path::new("/c/memory"), false)));
        assert_eq!(found.home("cpuacct"), Some((Path::new("/c/cpu,cpuacct"), false)));
        assert_eq!(found.home("pids"), None);
        assert_eq!(found.dirs("/lab/a").len(), 3);
        let group = Group::named(&found, "/lab/a");
        assert!(group.doors().contains(&PathBuf::from("/c/unified/lab/a/cgroup.procs")));
    }

    #[test]
    fn unified_machines_have_everything_in_version_2() {
        let found = Hierarchies::of(&[mount("/c", "cgroup2", &["rw"])], |_| "cpu io memory pids".into());
        assert_eq!(found.home("memory"), Some((Path::new("/c"), true)));
        let file = Group::named(&found, "/x").file("memory", ["memory.limit_in_bytes", "memory.max"]);
        assert_eq!(file, Some((PathBuf::from("/c/x/memory.max"), true)));
    }
}
