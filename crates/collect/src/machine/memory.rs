//! What memory is used for, and what of it cannot be reclaimed, from `/proc/meminfo`.

use foretwin_core::{FailureMode, Metric, Role, Value};
use foretwin_host::file::{Buffer, ProcFile};
use foretwin_host::proc::KeyedLines;
use foretwin_host::{ABSENT, Error};

use super::section::{Layout, Section, fill, limit, scaled};

/// Keys whose numbers are reported as they are, and the state they tell of.
const STATES: &[(&str, &str)] = &[
    ("MemFree", "free"),
    ("Buffers", "buffers"),
    ("Cached", "cached"),
    ("AnonPages", "anonymous"),
    ("Mapped", "mapped"),
    ("Shmem", "shared"),
    ("Dirty", "dirty"),
    ("Writeback", "writeback"),
    ("SReclaimable", "slab_reclaimable"),
    ("SUnreclaim", "slab_unreclaimable"),
    ("KernelStack", "kernel_stack"),
    ("PageTables", "page_tables"),
    ("Percpu", "per_cpu"),
    ("Mlocked", "locked"),
    ("AnonHugePages", "anonymous_huge"),
    ("Committed_AS", "committed"),
];

/// Keys that other series are made from, after those of the states.
const OTHERS: [&str; 4] = ["MemTotal", "MemAvailable", "SwapTotal", "SwapFree"];

/// `/proc/meminfo`.
pub(super) struct Memory {
    file: ProcFile,
    numbers: KeyedLines,
}

impl Memory {
    pub(super) fn open() -> Result<Self, Error> {
        let keys = STATES.iter().map(|state| state.0).chain(OTHERS);
        Ok(Self { file: ProcFile::open("/proc/meminfo")?, numbers: KeyedLines::new(keys) })
    }
}

impl Section for Memory {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn describe(&self, metrics: &mut Vec<Metric>) {
        for (_, state) in STATES {
            let usage = Metric::gauge("system.memory.usage", "By", Role::Utilization);
            metrics.push(usage.with("system.memory.state", state));
        }
        metrics.extend([
            Metric::gauge("system.memory.limit", "By", Role::Limit),
            Metric::gauge("system.memory.linux.available", "By", Role::Utilization),
            Metric::gauge("system.memory.unreclaimable", "By", Role::Utilization)
                .against("system.memory.limit", FailureMode::MemoryExhaustion),
            Metric::gauge("system.paging.limit", "By", Role::Limit),
            Metric::gauge("system.paging.usage", "By", Role::Saturation)
                .with("system.paging.state", "used")
                .against("system.paging.limit", FailureMode::SwapExhaustion),
        ]);
    }

    fn read(&mut self, buffer: &mut Buffer, cells: &mut [Value]) -> Result<Layout, Error> {
        if !self.numbers.scan(self.file.read_record(buffer)?) {
            return Err(Error::Parse { format: "/proc/meminfo", expected: "lines of key and number" });
        }
        derive(self.numbers.values(), cells);
        Ok(Layout::Same)
    }
}

/// Fills the cells from the numbers of `STATES` and `OTHERS`, which are in KiB.
fn derive(numbers: &[u64], cells: &mut [Value]) {
    let (states, others) = numbers.split_at(STATES.len());
    fill(cells, states.iter().map(|&kib| scaled(kib, 1024)));
    let &[total, available, swap_total, swap_free] = others else { return };
    let unreclaimable = difference(total, available);
    let swap_used = difference(swap_total, swap_free);
    let kib = [total, available, unreclaimable, limit(swap_total), swap_used];
    fill(&mut cells[STATES.len()..], kib.map(|kib| scaled(kib, 1024)));
}

/// Kernels before 3.14 do not tell what is available, and then nobody knows what cannot be reclaimed.
fn difference(whole: u64, part: u64) -> u64 {
    if whole == ABSENT || part == ABSENT { ABSENT } else { whole.saturating_sub(part) }
}

#[cfg(test)]
mod tests {
    use foretwin_core::Schema;

    use super::*;

    fn derived(text: &str) -> impl Fn(&str) -> Option<u64> {
        let mut memory = Memory::open().unwrap();
        let mut metrics = Vec::new();
        memory.describe(&mut metrics);
        let schema = Schema::new(metrics);
        memory.numbers.scan(text.as_bytes());
        let mut cells = vec![Value(0); schema.width()];
        derive(memory.numbers.values(), &mut cells);
        move |key| Some(cells[schema.column(key)?]).filter(|cell| !cell.is_missing()).map(|cell| cell.0)
    }

    #[test]
    fn a_recent_kernel() {
        let cell = derived(
            "MemTotal:       1000 kB\nMemFree:  100 kB\nMemAvailable:    700 kB\nCached: 500 kB\n\
             SwapTotal:      64 kB\nSwapFree:        60 kB\n",
        );
        assert_eq!(cell("system.memory.unreclaimable"), Some(300 * 1024));
        assert_eq!(cell("system.memory.usage{system.memory.state=cached}"), Some(500 * 1024));
        assert_eq!(cell("system.memory.usage{system.memory.state=per_cpu}"), None);
        assert_eq!(cell("system.paging.usage{system.paging.state=used}"), Some(4 * 1024));
    }

    #[test]
    fn without_swap_there_is_no_limit_and_before_3_14_no_unreclaimable() {
        let cell = derived("MemTotal: 1000 kB\nMemFree: 100 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n");
        assert_eq!((cell("system.paging.limit"), cell("system.memory.unreclaimable")), (None, None));
        assert_eq!(cell("system.memory.limit"), Some(1000 * 1024));
    }
}
