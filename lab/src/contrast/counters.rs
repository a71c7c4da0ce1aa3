//! What the kernel counts, of every group of the lab and of the machine.

use std::fs;

use anyhow::{Context, Result};
use foretwin_host::cgroup::{self, Budget, Hierarchy, Reader, Stats};
use foretwin_host::file::{Buffer, ProcFile};
use foretwin_host::parse::Fields;
use foretwin_host::proc::{Pressure, Stat, run_delay_ns};
use foretwin_host::{ABSENT, Error};

use super::pod::{GROUPS, HOST};

/// Longest file of a group's interface.
const BUFFER: usize = 16 << 10;

/// A column of a group, and where it comes from.
type Column = (&'static str, fn(&Stats) -> u64);

/// What is kept of each group: counters in microseconds, bytes and events, levels in bytes.
const COLUMNS: [Column; 24] = [
    ("cpu_us", |s| s.cpu_us),
    ("system_us", |s| s.cpu_system_us),
    ("periods", |s| s.periods),
    ("throttled_periods", |s| s.throttled_periods),
    ("throttled_us", |s| s.throttled_us),
    ("memory", |s| s.memory),
    ("anon", |s| s.anon),
    ("file", |s| s.file),
    ("unreclaimable", Stats::unreclaimable),
    ("faults", |s| s.faults),
    ("major_faults", |s| s.major_faults),
    ("refaults", |s| s.refaults_file),
    ("limit_hits", |s| s.limit_hits),
    ("oom_kills", |s| s.oom_kills),
    ("read_bytes", |s| s.read_bytes),
    ("written_bytes", |s| s.written_bytes),
    ("reads", |s| s.reads),
    ("writes", |s| s.writes),
    ("cpu_some_us", |s| s.cpu_some_us),
    ("cpu_full_us", |s| s.cpu_full_us),
    ("memory_some_us", |s| s.memory_some_us),
    ("memory_full_us", |s| s.memory_full_us),
    ("io_some_us", |s| s.io_some_us),
    ("io_full_us", |s| s.io_full_us),
];

/// What is kept of the machine.
const MACHINE: [&str; 8] = [
    "busy_ticks",
    "steal_ticks",
    "own_cpu_steal_ticks",
    "run_delay_ns",
    "cpu_some_us",
    "memory_some_us",
    "io_some_us",
    "original_run_delay_ns",
];

/// Files of all groups and of the machine, kept open.
pub struct Counters {
    readers: Vec<Reader>,
    stat: ProcFile,
    schedstat: Option<ProcFile>,
    pressures: [Option<ProcFile>; 3],
    times: Stat,
    text: Buffer,
    buffer: Vec<u8>,
    cpu: Option<u32>,
}

impl Counters {
    /// Opens everything; the groups exist already.
    ///
    /// # Errors
    /// If the mount table or `/proc/stat` cannot be read.
    pub fn open() -> Result<Self> {
        let hierarchies = cgroup::mounted().context("finding control groups")?;
        let budget = Budget::new(512);
        let open = |name: &str| {
            let path = format!("{HOST}/{name}");
            let path = path.trim_matches('/');
            let within: Vec<&Hierarchy> =
                hierarchies.iter().filter(|found| found.dir(path).exists()).collect();
            Reader::open(path, &within, &budget)
        };
        let readers = std::iter::once("").chain(GROUPS).map(open).collect();
        let pressure = |what| ProcFile::open_if_present(format!("/proc/pressure/{what}"));
        Ok(Self {
            readers,
            stat: ProcFile::open("/proc/stat")?,
            schedstat: ProcFile::open_if_present("/proc/schedstat")?,
            pressures: [pressure("cpu")?, pressure("memory")?, pressure("io")?],
            times: Stat::default(),
            text: Buffer::default(),
            buffer: vec![0; BUFFER],
            cpu: own_cpu(),
        })
    }

    /// Names of all columns: the machine's, then `GROUP|NAME` for each group, the host's with nothing before the bar.
    pub fn names() -> Vec<String> {
        let groups = std::iter::once("").chain(GROUPS);
        let of_groups =
            groups.flat_map(|group| COLUMNS.iter().map(move |(column, _)| format!("{group}|{column}")));
        MACHINE.iter().map(|name| format!("machine|{name}")).chain(of_groups).collect()
    }

    /// The values of all columns; [`ABSENT`] where this kernel does not tell. `pid` is the original's process.
    ///
    /// # Errors
    /// If a file of the machine cannot be read.
    pub fn read(&mut self, pid: u32) -> Result<Vec<u64>> {
        let mut values = Vec::new();
        self.machine(pid, &mut values)?;
        let mut stats = Stats::ABSENT;
        for reader in &mut self.readers {
            reader.read(&mut stats, &mut self.buffer);
            values.extend(COLUMNS.iter().map(|(_, take)| take(&stats)));
        }
        Ok(values)
    }

    fn machine(&mut self, pid: u32, values: &mut Vec<u64>) -> Result<(), Error> {
        self.times.parse(self.stat.read(&mut self.text)?)?;
        let own = self.times.cpus.iter().find(|(number, _)| Some(*number) == self.cpu);
        values.extend([
            self.times.total.busy(),
            self.times.total.steal,
            own.map_or(ABSENT, |(_, times)| times.steal),
        ]);
        values.push(match &self.schedstat {
            Some(file) => run_delay_ns(file.read(&mut self.text)?)?,
            None => ABSENT,
        });
        for file in &self.pressures {
            values.push(match file {
                Some(file) => Pressure::parse(file.read(&mut self.text)?)?.some_us,
                None => ABSENT,
            });
        }
        values.push(run_delay_of(pid));
        Ok(())
    }
}

/// The one processor that this process is bound to.
fn own_cpu() -> Option<u32> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    list.trim().parse().ok()
}

/// Nanoseconds that the threads of a process have waited for a processor: the second field of each `schedstat`.
fn run_delay_of(pid: u32) -> u64 {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return ABSENT };
    let delay = |text: Vec<u8>| Fields::new(&text).past(1).number();
    tasks.flatten().filter_map(|task| delay(fs::read(task.path().join("schedstat")).ok()?)).sum()
}
