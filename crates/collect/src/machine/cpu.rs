//! Processor time, interrupts and context switches, from `/proc/stat` and `/proc/schedstat`.

use foretwin_core::{FailureMode, Metric, Role, Value};
use foretwin_host::Error;
use foretwin_host::file::{Buffer, ProcFile};
use foretwin_host::proc::{Stat, TICK_US, run_delay_ns};

use super::section::{Layout, Section, fill, scaled};

/// Modes of all processors together, in the order of their cells.
const MODES: [(&str, Role); 8] = [
    ("user", Role::Utilization),
    ("nice", Role::Utilization),
    ("system", Role::Utilization),
    ("idle", Role::Utilization),
    ("iowait", Role::Saturation),
    ("interrupt", Role::Utilization),
    ("softirq", Role::Utilization),
    ("steal", Role::Saturation),
];

/// Cells after the modes and before the processors.
const SINGLE: usize = 8;
/// What one processor can work in a second, microseconds.
const CPU_US_PER_S: u64 = 1_000_000;

/// `/proc/stat`.
pub(super) struct Processors {
    file: ProcFile,
    stat: Stat,
    /// Processors with a cell of their own.
    each: Vec<u32>,
    most_each: usize,
}

impl Processors {
    pub(super) fn open(most_each: usize) -> Result<Self, Error> {
        let file = ProcFile::open("/proc/stat")?;
        Ok(Self { file, stat: Stat::default(), each: Vec::new(), most_each })
    }

    /// Whether the processors with a cell are still those that are online.
    fn update(&mut self) -> Layout {
        let online = &self.stat.cpus;
        let wanted = if online.len() > self.most_each { &online[..0] } else { &online[..] };
        if wanted.iter().map(|cpu| cpu.0).eq(self.each.iter().copied()) {
            return Layout::Same;
        }
        self.each = wanted.iter().map(|cpu| cpu.0).collect();
        Layout::Changed
    }
}

impl Section for Processors {
    fn name(&self) -> &'static str {
        "processors"
    }

    fn describe(&self, metrics: &mut Vec<Metric>) {
        for (mode, role) in MODES {
            metrics.push(Metric::counter("system.cpu.time", "us", role).with("cpu.mode", mode));
        }
        let counter = |name, unit| Metric::counter(name, unit, Role::Rate);
        metrics.extend([
            Metric::counter("system.cpu.busy", "us", Role::Utilization)
                .against("system.cpu.limit", FailureMode::CpuSaturation),
            Metric::gauge("system.cpu.limit", "us/s", Role::Limit),
            counter("system.cpu.context_switches", "{switch}"),
            counter("system.cpu.interrupts", "{interrupt}"),
            counter("system.cpu.soft_interrupts", "{interrupt}"),
            counter("system.process.created", "{process}"),
        ]);
        for status in ["running", "blocked"] {
            let threads = Metric::gauge("system.thread.waiting", "{thread}", Role::Saturation);
            metrics.push(threads.with("thread.status", status));
        }
        for cpu in &self.each {
            let busy = Metric::counter("system.cpu.busy", "us", Role::Utilization);
            metrics.push(busy.with("cpu.logical_number", &cpu.to_string()));
        }
    }

    fn read(&mut self, buffer: &mut Buffer, cells: &mut [Value]) -> Result<Layout, Error> {
        self.stat.parse(self.file.read_record(buffer)?)?;
        if self.update() == Layout::Changed {
            return Ok(Layout::Changed);
        }
        let (stat, t) = (&self.stat, &self.stat.total);
        let modes = [t.user, t.nice, t.system, t.idle, t.iowait, t.irq, t.softirq, t.steal];
        fill(cells, modes.map(|ticks| scaled(ticks, TICK_US)));
        let cells = &mut cells[MODES.len()..];
        let limit = stat.cpus.len() as u64 * CPU_US_PER_S;
        let events = [stat.context_switches, stat.interrupts, stat.soft_interrupts, stat.forks];
        let total = [scaled(t.busy(), TICK_US), limit];
        fill(cells, total.into_iter().chain(events).chain([stat.running, stat.blocked]));
        let busy = stat.cpus.iter().map(|(_, times)| scaled(times.busy(), TICK_US));
        fill(&mut cells[SINGLE..], busy);
        Ok(Layout::Same)
    }
}

/// `/proc/schedstat`.
pub(super) struct RunDelay(ProcFile);

impl RunDelay {
    pub(super) fn open() -> Result<Option<Self>, Error> {
        Ok(ProcFile::open_if_present("/proc/schedstat")?.map(Self))
    }
}

impl Section for RunDelay {
    fn name(&self) -> &'static str {
        "run delay"
    }

    fn describe(&self, metrics: &mut Vec<Metric>) {
        metrics.push(Metric::counter("system.cpu.run_delay", "ns", Role::Saturation));
    }

    fn read(&mut self, buffer: &mut Buffer, cells: &mut [Value]) -> Result<Layout, Error> {
        fill(cells, [run_delay_ns(self.0.read(buffer)?)?]);
        Ok(Layout::Same)
    }
}
