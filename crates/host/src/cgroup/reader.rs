//! Reads everything about one group through files that stay open.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::budget::{Budget, Permit};
use super::mounts::{Hierarchy, Version};
use super::stats::{self, Stats};

/// One file of the interface and what it tells.
struct Source {
    /// Version 1: the controller whose hierarchy has the file. Version 2: the controller that, where it is mounted
    /// as version 1 for this group, has the better number.
    controller: &'static str,
    file: &'static str,
    take: fn(&[u8], &mut Stats),
}

const fn source(controller: &'static str, file: &'static str, take: fn(&[u8], &mut Stats)) -> Source {
    Source { controller, file, take }
}

const V1: &[Source] = &[
    source("cpuacct", "cpuacct.usage", stats::cpuacct_usage),
    source("cpuacct", "cpuacct.stat", stats::cpuacct_stat),
    source("cpu", "cpu.stat", stats::v1_cpu_stat),
    source("memory", "memory.stat", stats::v1_memory_stat),
    source("memory", "memory.usage_in_bytes", stats::memory),
    source("memory", "memory.kmem.usage_in_bytes", stats::kernel_memory),
    source("memory", "memory.failcnt", stats::fail_count),
    source("memory", "memory.oom_control", stats::oom_control),
    source("pids", "pids.current", stats::pids),
    source("blkio", "blkio.throttle.io_service_bytes_recursive", stats::blkio_bytes),
    source("blkio", "blkio.throttle.io_serviced_recursive", stats::blkio_operations),
];

const V2: &[Source] = &[
    source("cpuacct", "cpu.stat", stats::v2_cpu_stat),
    source("memory", "memory.stat", stats::v2_memory_stat),
    source("memory", "memory.current", stats::memory),
    source("memory", "memory.swap.current", stats::swap),
    source("memory", "memory.events", stats::memory_events),
    source("pids", "pids.current", stats::pids),
    source("blkio", "io.stat", stats::io_stat),
    source("", "cpu.pressure", stats::cpu_pressure),
    source("", "memory.pressure", stats::memory_pressure),
    source("", "io.pressure", stats::io_pressure),
];

/// What a reading said about the group itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vitality {
    /// All its files answered.
    Alive,
    /// Some hierarchy no longer has the group: it is going, or was made again.
    Fading,
    /// No file answers any more.
    Gone,
}

/// The files of one group.
#[derive(Debug)]
pub struct Reader {
    slots: Vec<Slot>,
}

#[derive(Debug)]
struct Slot {
    file: Handle,
    take: fn(&[u8], &mut Stats),
}

#[derive(Debug)]
enum Handle {
    Open(File, #[expect(dead_code, reason = "held to be dropped with the file")] Permit),
    /// Beyond the budget: opened at each reading.
    Path(PathBuf),
}

impl Reader {
    /// Opens what the given hierarchies, those in which the group exists, tell of it. Files that this kernel does
    /// not have are left out.
    #[must_use]
    pub fn open(group: &str, hierarchies: &[&Hierarchy], budget: &Budget) -> Self {
        let mut slots = Vec::with_capacity(V1.len() + V2.len());
        let older = |controller: &str| hierarchies.iter().any(|hierarchy| hierarchy.has(controller));
        for hierarchy in hierarchies {
            let dir = hierarchy.dir(group);
            let sources = if hierarchy.version == Version::V1 { V1 } else { V2 };
            for source in sources {
                if older(source.controller) == (hierarchy.version == Version::V1) && serves(hierarchy, source)
                {
                    slots.extend(Slot::open(&dir.join(source.file), source.take, budget));
                }
            }
        }
        Self { slots }
    }

    /// Reads all files into `stats`. `buffer` is reused and must hold the longest file (16 KiB do).
    pub fn read(&mut self, stats: &mut Stats, buffer: &mut [u8]) -> Vitality {
        *stats = Stats::ABSENT;
        let (mut answered, mut gone) = (0, 0);
        for slot in &self.slots {
            match slot.read(buffer) {
                Ok(length) => {
                    (slot.take)(&buffer[..length], stats);
                    answered += 1;
                }
                Err(error) if is_gone(&error) => gone += 1,
                // Not offered here, or not at this moment: the number is missing, nothing more.
                Err(_) => {}
            }
        }
        match (answered, gone) {
            (_, 0) => Vitality::Alive,
            (0, _) => Vitality::Gone,
            _ => Vitality::Fading,
        }
    }
}

/// Whether this hierarchy, of either version, is the one that has the file.
fn serves(hierarchy: &Hierarchy, source: &Source) -> bool {
    hierarchy.version == Version::V2 || hierarchy.has(source.controller)
}

/// Files of a removed group answer `ENODEV`, paths of one `ENOENT`.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENODEV | libc::ENOENT))
}

impl Slot {
    fn open(path: &Path, take: fn(&[u8], &mut Stats), budget: &Budget) -> Option<Self> {
        let file = match budget.take() {
            None => {
                File::open(path).ok()?;
                Handle::Path(path.into())
            }
            Some(permit) => match File::open(path) {
                Ok(file) => Handle::Open(file, permit),
                Err(error) if error.raw_os_error() == Some(libc::EMFILE) => Handle::Path(path.into()),
                Err(_) => return None,
            },
        };
        Some(Self { file, take })
    }

    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.file {
            Handle::Open(file, _) => read_whole(file, buffer),
            Handle::Path(path) => read_whole(&File::open(path)?, buffer),
        }
    }
}

/// Kernel files of this kind come whole in one read where the buffer holds them; longer ones come in pieces.
fn read_whole(file: &File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match file.read_at(&mut buffer[length..], length as u64) {
            Ok(0) => break,
            // A page short of its end: what is missing may come with the next read.
            Ok(read) if read >= 4000 => length += read,
            Ok(read) => return Ok(length + read),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ABSENT;
    use std::fs;

    fn tree(name: &str, files: &[(&str, &str)]) -> PathBuf {
        let root = std::env::temp_dir().join(format!("foretwin-reader-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    fn v1(root: &Path, controllers: &[&str]) -> Hierarchy {
        let root = root.join(controllers[0]);
        Hierarchy { root, version: Version::V1, controllers: controllers.iter().map(|&c| c.into()).collect() }
    }

    #[test]
    fn a_hybrid_group_is_the_union_and_version_1_goes_first() {
        let root = tree(
            "hybrid",
            &[
                ("cpuacct/g/cpuacct.usage", "5000000\n"),
                ("memory/g/memory.usage_in_bytes", "4096\n"),
                ("unified/g/cpu.stat", "usage_usec 1\nuser_usec 1\nsystem_usec 0\n"),
                ("unified/g/cpu.pressure", "some avg10=0.00 total=9\n"),
            ],
        );
        let unified = Hierarchy { root: root.join("unified"), version: Version::V2, controllers: vec![] };
        let (cpu, memory) = (v1(&root, &["cpuacct"]), v1(&root, &["memory"]));
        let (mut stats, mut buffer) = (Stats::ABSENT, [0; 4096]);
        let budget = Budget::new(100);
        let mut reader = Reader::open("g", &[&cpu, &memory, &unified], &budget);
        assert_eq!(reader.read(&mut stats, &mut buffer), Vitality::Alive);
        assert_eq!((stats.cpu_us, stats.memory, stats.cpu_some_us, stats.pids), (5000, 4096, 9, ABSENT));
        // Where the group is in the unified hierarchy alone, its own time is what there is.
        let mut reader = Reader::open("g", &[&unified], &budget);
        reader.read(&mut stats, &mut buffer);
        assert_eq!((stats.cpu_us, stats.memory), (1, ABSENT));
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn beyond_the_budget_files_are_read_by_path_and_seen_to_go() {
        let root = tree("budget", &[("g/memory.current", "7\n"), ("g/pids.current", "3\n")]);
        let unified = Hierarchy { root: root.clone(), version: Version::V2, controllers: vec![] };
        let budget = Budget::new(1);
        let (mut stats, mut buffer) = (Stats::ABSENT, [0; 4096]);
        let mut reader = Reader::open("g", &[&unified], &budget);
        assert_eq!(budget.left(), 0);
        reader.read(&mut stats, &mut buffer);
        assert_eq!((stats.memory, stats.pids), (7, 3));
        fs::remove_dir_all(&root).unwrap();
        // The open file still answers here, as it would not on a control group file system.
        assert_eq!(reader.read(&mut stats, &mut buffer), Vitality::Fading);
        drop(reader);
        assert_eq!(budget.left(), 1);
    }

    #[test]
    fn long_files_are_read_whole() {
        let long = format!("{}pgfault 42\n", "padding_of_no_meaning 1\n".repeat(400));
        let root = tree("long", &[("g/memory.stat", &long)]);
        let unified = Hierarchy { root: root.clone(), version: Version::V2, controllers: vec![] };
        let mut stats = Stats::ABSENT;
        Reader::open("g", &[&unified], &Budget::new(9)).read(&mut stats, &mut [0; 16384]);
        assert_eq!(stats.faults, 42);
        fs::remove_dir_all(root).unwrap();
    }
}
