//! What limits a group: its own settings, and the tightest of its ancestors'.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::mounts::{Hierarchy, Version};
use super::stats::v1_limit;
use super::text::{number, words};
use crate::ABSENT;

/// Limits of a group; [`ABSENT`] where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory.
    pub memory: u64,
    /// Bytes of swap; version 1, which limits memory and swap together, has the difference here.
    pub swap: u64,
    /// Microseconds of processor time per second, all processors together.
    pub cpu_us_per_s: u64,
    /// Tasks.
    pub pids: u64,
}

impl Limits {
    /// No limit at all.
    pub const NONE: Self = Self { memory: ABSENT, swap: ABSENT, cpu_us_per_s: ABSENT, pids: ABSENT };

    /// What the group itself sets, in the hierarchies in which it exists.
    #[must_use]
    pub fn own(group: &str, hierarchies: &[&Hierarchy]) -> Self {
        hierarchies.iter().fold(Self::NONE, |limits, hierarchy| {
            let dir = hierarchy.dir(group);
            limits.tighter(match hierarchy.version {
                Version::V1 => v1(hierarchy, &dir),
                Version::V2 => v2(&dir),
            })
        })
    }

    /// What holds for the group: the tightest of what it and its ancestors set. The root group of a mount counts
    /// too: inside a container it is the container's own.
    #[must_use]
    pub fn effective(group: &str, hierarchies: &[&Hierarchy]) -> Self {
        let mut limits = Self::own("", hierarchies);
        for end in group.match_indices('/').map(|(at, _)| at).chain([group.len()]) {
            limits = limits.tighter(Self::own(&group[..end], hierarchies));
        }
        limits
    }

    /// Whether anything is limited.
    #[must_use]
    pub fn any(&self) -> bool {
        *self != Self::NONE
    }

    /// The smaller of each; [`ABSENT`] is larger than every limit.
    fn tighter(self, other: Self) -> Self {
        Self {
            memory: self.memory.min(other.memory),
            swap: self.swap.min(other.swap),
            cpu_us_per_s: self.cpu_us_per_s.min(other.cpu_us_per_s),
            pids: self.pids.min(other.pids),
        }
    }
}

fn v1(hierarchy: &Hierarchy, dir: &Path) -> Limits {
    let mut limits = Limits::NONE;
    if hierarchy.has("memory") {
        limits.memory = v1_limit(value(dir, "memory.limit_in_bytes"));
        let both = v1_limit(value(dir, "memory.memsw.limit_in_bytes"));
        if both != ABSENT && limits.memory != ABSENT {
            limits.swap = both.saturating_sub(limits.memory);
        }
    }
    if hierarchy.has("cpu") {
        // "No quota" is written as -1, which is no number here.
        limits.cpu_us_per_s = per_second(value(dir, "cpu.cfs_quota_us"), value(dir, "cpu.cfs_period_us"));
    }
    if hierarchy.has("pids") {
        limits.pids = value(dir, "pids.max");
    }
    limits
}

fn v2(dir: &Path) -> Limits {
    let mut text = [0; 64];
    let cpu = read(dir, "cpu.max", &mut text);
    let mut quota = words(cpu).map(number);
    Limits {
        cpu_us_per_s: per_second(quota.next().unwrap_or(ABSENT), quota.next().unwrap_or(ABSENT)),
        memory: value(dir, "memory.max"),
        swap: value(dir, "memory.swap.max"),
        pids: value(dir, "pids.max"),
    }
}

/// A quota per period as microseconds per second.
fn per_second(quota: u64, period: u64) -> u64 {
    if quota == ABSENT || period == ABSENT || period == 0 {
        return ABSENT;
    }
    quota.saturating_mul(1_000_000) / period
}

fn value(dir: &Path, file: &str) -> u64 {
    number(read(dir, file, &mut [0; 64]))
}

/// The start of a small file; nothing where it is not there.
fn read<'a>(dir: &Path, file: &str, buffer: &'a mut [u8; 64]) -> &'a [u8] {
    let read = File::open(dir.join(file)).and_then(|file| file.read_at(buffer, 0));
    &buffer[..read.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::PathBuf;

    fn scratch(name: &str, files: &[(&str, &str)]) -> PathBuf {
        let root = std::env::temp_dir().join(format!("foretwin-limits-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        for (path, text) in files {
            fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            fs::write(root.join(path), text).unwrap();
        }
        root
    }

    #[test]
    fn the_tightest_ancestor_counts() {
        let root = scratch(
            "v2",
            &[
                ("memory.max", "900\n"),
                ("a/memory.max", "500\n"),
                ("a/cpu.max", "max 100000\n"),
                ("a/b/memory.max", "max\n"),
                ("a/b/cpu.max", "150000 100000\n"),
                ("a/b/pids.max", "77\n"),
            ],
        );
        let unified = Hierarchy { root: root.clone(), version: Version::V2, controllers: vec![] };
        let limits = Limits::effective("a/b", &[&unified]);
        assert_eq!(limits, Limits { memory: 500, swap: ABSENT, cpu_us_per_s: 1_500_000, pids: 77 });
        assert_eq!(Limits::own("a/b", &[&unified]).memory, ABSENT);
        assert_eq!(Limits::effective("ab", &[&unified]).memory, 900);
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn version_1_writes_none_in_its_own_way() {
        let root = scratch(
            "v1",
            &[
                ("memory/g/memory.limit_in_bytes", "9223372036854771712\n"),
                ("memory/h/memory.limit_in_bytes", "1000\n"),
                ("memory/h/memory.memsw.limit_in_bytes", "1500\n"),
                ("cpu/g/cpu.cfs_quota_us", "-1\n"),
                ("cpu/g/cpu.cfs_period_us", "100000\n"),
                ("cpu/h/cpu.cfs_quota_us", "20000\n"),
                ("cpu/h/cpu.cfs_period_us", "100000\n"),
                ("pids/g/pids.max", "max\n"),
            ],
        );
        let hierarchies = super::super::below(&root).unwrap();
        let all: Vec<_> = hierarchies.iter().collect();
        assert!(!Limits::own("g", &all).any());
        let limits = Limits::own("h", &all);
        assert_eq!((limits.memory, limits.swap, limits.cpu_us_per_s), (1000, 500, 200_000));
        fs::remove_dir_all(root).unwrap();
    }
}
