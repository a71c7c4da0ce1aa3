//! One row of telemetry: what the kernel says of a worker and its group, and what the worker served.

use std::fs;
use std::path::PathBuf;

use crate::group::Group;
use crate::host::Place;
use crate::plan::Plan;
use crate::sys;
use crate::worker::Served;

const PAGE: i64 = 4096;

/// One row; sizes in bytes. Counters since the start stay counters; `req`, `errors` and latencies are of the time
/// since the row before.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Row {
    /// Seconds since the run's start.
    pub t: f64,
    /// Address space of the process.
    pub vsize: i64,
    /// Resident memory of the process.
    pub rss: i64,
    /// Memory limit.
    pub mem_limit: i64,
    /// Processor time of the process in clock ticks.
    pub cpu_ticks: i64,
    /// Minor faults of the process.
    pub minflt: i64,
    /// Major faults of the process.
    pub majflt: i64,
    /// Open descriptors of the process.
    pub nfds: i64,
    /// Their limit.
    pub fd_limit: i64,
    /// Bytes used in the small file system.
    pub disk_used: i64,
    /// Its size; 0 where there is none.
    pub disk_cap: i64,
    /// Requests served.
    pub req: i64,
    /// Mean latency, ms.
    pub lat_ms_mean: f64,
    /// Longest latency, ms.
    pub lat_ms_max: f64,
    /// Requests that failed.
    pub errors: i64,
    /// Requests per second offered.
    pub offered_rate: f64,
    /// Memory charged to the group, page cache included.
    pub mem_usage: i64,
    /// Page cache of the group that can be reclaimed.
    pub mem_cache: i64,
    /// Processor time of the group, ns.
    pub cpu_ns: i64,
    /// Processes and threads of the group.
    pub pids: i64,
    /// Their limit.
    pub pid_limit: i64,
    /// Inodes used in the small file system.
    pub inodes_used: i64,
    /// Its inodes; 0 where there is none.
    pub inode_cap: i64,
    /// Cores that the group may use; 0 where only the lab host limits it.
    pub cores: f64,
}

/// Reads rows of one run.
#[derive(Debug)]
pub struct Sampler {
    pid: u32,
    group: Option<Group>,
    disk: Option<PathBuf>,
    limits: Row,
    served: Served,
}

impl Sampler {
    /// Watches a worker in its place.
    pub fn new(pid: u32, place: &Place<'_>, plan: &Plan) -> Self {
        let limits = Row {
            mem_limit: plan.memory_bytes().cast_signed(),
            fd_limit: plan.descriptors.cast_signed(),
            pid_limit: if place.group.is_some() { plan.pids.cast_signed() } else { 0 },
            ..Row::default()
        };
        Self {
            pid,
            group: place.group.clone(),
            disk: place.disk().map(Into::into),
            limits,
            served: Served::default(),
        }
    }

    /// Whether the limits are the process's own, not a group's.
    pub fn by_rlimits(&self) -> bool {
        self.group.is_none()
    }

    /// From now on the group may use so many cores.
    pub fn limit_cores(&mut self, cores: f64) {
        self.limits.cores = cores;
    }

    /// Adds what the worker served.
    pub fn served(&mut self, tick: &Served) {
        self.served.requests += tick.requests;
        self.served.errors += tick.errors;
        self.served.latency_sum_ms += tick.latency_sum_ms;
        self.served.latency_max_ms = self.served.latency_max_ms.max(tick.latency_max_ms);
        self.served.offered = tick.offered;
    }

    /// The row of this moment; nothing once the worker is dying.
    pub fn row(&mut self, t: f64) -> Option<Row> {
        let mut row = Row { t, ..self.limits.clone() };
        self.process(&mut row)?;
        self.surroundings(&mut row);
        let anew = Served { offered: self.served.offered, ..Served::default() };
        let served = std::mem::replace(&mut self.served, anew);
        let all = served.requests + served.errors;
        row.req = i64::from(served.requests);
        row.errors = i64::from(served.errors);
        row.lat_ms_mean = if all == 0 { 0.0 } else { served.latency_sum_ms / f64::from(all) };
        row.lat_ms_max = served.latency_max_ms;
        row.offered_rate = served.offered;
        Some(row)
    }

    /// Fields of `/proc/PID/stat`, counted after the name, which may hold blanks (proc_pid_stat(5)).
    fn process(&self, row: &mut Row) -> Option<()> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).ok()?;
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse::<i64>().ok();
        (row.minflt, row.majflt) = (number(7)?, number(9)?);
        row.cpu_ticks = number(11)? + number(12)?;
        (row.vsize, row.rss) = (number(20)?, number(21)? * PAGE);
        row.nfds = fs::read_dir(format!("/proc/{}/fd", self.pid)).ok()?.count() as i64;
        // A process that has given its memory back already is dead, whatever its entry says.
        (row.vsize > 0).then_some(())
    }

    fn surroundings(&self, row: &mut Row) {
        // Without a group the limit is one of address space, and that is what counts against it.
        (row.mem_usage, row.pids) = (row.vsize, 1);
        if let Some(group) = &self.group {
            let signed = |value: Option<u64>| value.unwrap_or(0).cast_signed();
            row.mem_usage = signed(group.memory_usage());
            row.mem_cache = signed(group.memory_cache());
            row.cpu_ns = signed(group.cpu_ns());
            row.pids = signed(group.pids());
        }
        if let Some(found) = self.disk.as_ref().and_then(|disk| sys::fullness(disk).ok()) {
            row.disk_used = found.used.cast_signed();
            row.disk_cap = found.capacity.cast_signed();
            row.inodes_used = found.inodes_used.cast_signed();
            row.inode_cap = found.inodes.cast_signed();
        }
    }
}
