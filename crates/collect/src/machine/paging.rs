//! How memory is accessed and reclaimed: faults, scans, refaults, writeback, out-of-memory kills, from `/proc/vmstat`.

use foretwin_core::{Metric, Role, Value};
use foretwin_host::file::{Buffer, ProcFile};
use foretwin_host::proc::KeyedLines;
use foretwin_host::{ABSENT, Error};

use super::section::{Layout, Section, TENTH_MS, fill};

/// A series that is the sum of those `keys` that the kernel has.
#[derive(Clone, Copy)]
struct Event {
    keys: &'static [&'static str],
    name: &'static str,
    attribute: Option<(&'static str, &'static str)>,
    unit: &'static str,
    role: Role,
}

const fn event(keys: &'static [&'static str], name: &'static str, unit: &'static str, role: Role) -> Event {
    Event { keys, name, attribute: None, unit, role }
}

const fn of(event: Event, attribute: &'static str, value: &'static str) -> Event {
    Event { attribute: Some((attribute, value)), ..event }
}

const RECLAIMER: &str = "system.memory.reclaimer";
const PAGE_TYPE: &str = "system.memory.page.type";
const DIRECTION: &str = "system.paging.direction";

/// Zones have counters of their own, and kernels before 4.10 one without a zone. All faults and major faults are
/// told, not minor ones: the two are not read at one instant, and their difference could seem to fall.
#[rustfmt::skip]
const EVENTS: &[Event] = &[
    event(&["pgfault"], "system.paging.faults", "{fault}", Role::Rate),
    of(event(&["pgmajfault"], "system.paging.faults", "{fault}", Role::Saturation), "system.paging.fault.type", "major"),
    of(event(&["pswpin"], "system.paging.operations", "{page}", Role::Saturation), DIRECTION, "in"),
    of(event(&["pswpout"], "system.paging.operations", "{page}", Role::Saturation), DIRECTION, "out"),
    event(&["pgalloc_dma", "pgalloc_dma32", "pgalloc_normal", "pgalloc_movable"], "system.memory.allocated", "{page}", Role::Rate),
    event(&["pgfree"], "system.memory.freed", "{page}", Role::Rate),
    event(&["pgactivate"], "system.memory.activated", "{page}", Role::Rate),
    event(&["pgdeactivate"], "system.memory.deactivated", "{page}", Role::Saturation),
    event(&["pgrefill"], "system.memory.refilled", "{page}", Role::Saturation),
    of(event(&["pgscan_kswapd"], "system.memory.reclaim.scanned", "{page}", Role::Saturation), RECLAIMER, "kswapd"),
    of(event(&["pgscan_direct"], "system.memory.reclaim.scanned", "{page}", Role::Saturation), RECLAIMER, "direct"),
    of(event(&["pgsteal_kswapd"], "system.memory.reclaim.freed", "{page}", Role::Saturation), RECLAIMER, "kswapd"),
    of(event(&["pgsteal_direct"], "system.memory.reclaim.freed", "{page}", Role::Saturation), RECLAIMER, "direct"),
    event(&["allocstall", "allocstall_dma", "allocstall_dma32", "allocstall_normal", "allocstall_movable"], "system.memory.reclaim.stalls", "{stall}", Role::Saturation),
    event(&["kswapd_low_wmark_hit_quickly"], "system.memory.reclaim.low_watermarks", "{event}", Role::Saturation),
    event(&["slabs_scanned"], "system.memory.reclaim.slabs_scanned", "{object}", Role::Saturation),
    of(event(&["workingset_refault_anon"], "system.memory.refaults", "{page}", Role::Saturation), PAGE_TYPE, "anonymous"),
    of(event(&["workingset_refault_file", "workingset_refault"], "system.memory.refaults", "{page}", Role::Saturation), PAGE_TYPE, "file"),
    event(&["workingset_activate_anon", "workingset_activate_file", "workingset_activate"], "system.memory.refaults.active", "{page}", Role::Saturation),
    event(&["nr_dirtied"], "system.memory.dirtied", "{page}", Role::Rate),
    event(&["nr_written"], "system.memory.written_back", "{page}", Role::Rate),
    event(&["compact_stall"], "system.memory.compaction.stalls", "{stall}", Role::Saturation),
    event(&["thp_fault_alloc"], "system.memory.huge_pages.allocated", "{page}", Role::Rate),
    event(&["thp_fault_fallback"], "system.memory.huge_pages.refused", "{page}", Role::Saturation),
    event(&["pgmigrate_success"], "system.memory.migrated", "{page}", Role::Rate),
    event(&["numa_miss"], "system.memory.numa.misses", "{page}", Role::Saturation),
    event(&["oom_kill"], "system.memory.oom_kills", "{kill}", Role::Errors),
];

/// `/proc/vmstat`.
pub(super) struct Paging {
    file: ProcFile,
    numbers: KeyedLines,
}

impl Paging {
    pub(super) fn open() -> Result<Self, Error> {
        let keys = EVENTS.iter().flat_map(|event| event.keys.iter().copied());
        Ok(Self { file: ProcFile::open("/proc/vmstat")?, numbers: KeyedLines::new(keys) })
    }
}

impl Section for Paging {
    fn name(&self) -> &'static str {
        "paging"
    }

    fn describe(&self, metrics: &mut Vec<Metric>) {
        for event in EVENTS {
            let metric = Metric::counter(event.name, event.unit, event.role);
            metrics.push(match event.attribute {
                Some((name, value)) => metric.with(name, value),
                None => metric,
            });
        }
    }

    fn read(&mut self, buffer: &mut Buffer, cells: &mut [Value]) -> Result<Layout, Error> {
        if !self.numbers.scan(self.file.read(buffer)?) {
            return Err(Error::Parse { format: "/proc/vmstat", expected: "lines of key and number" });
        }
        derive(self.numbers.values(), cells);
        Ok(Layout::Same)
    }

    fn good_for_ms(&self) -> i64 {
        TENTH_MS
    }
}

fn derive(numbers: &[u64], cells: &mut [Value]) {
    let mut left = numbers;
    fill(
        cells,
        EVENTS.iter().map(|event| {
            let (of_event, after) = left.split_at(event.keys.len());
            left = after;
            sum(of_event)
        }),
    );
}

fn sum(numbers: &[u64]) -> u64 {
    let present = numbers.iter().copied().filter(|&number| number != ABSENT);
    present.reduce(u64::wrapping_add).unwrap_or(ABSENT)
}

#[cfg(test)]
mod tests {
    use foretwin_core::Schema;

    use super::*;

    fn cells_of(text: &str) -> impl Fn(&str) -> Option<u64> {
        let mut paging = Paging::open().unwrap();
        let mut metrics = Vec::new();
        paging.describe(&mut metrics);
        let schema = Schema::new(metrics);
        assert_eq!(schema.width(), EVENTS.len(), "every key is unique");
        paging.numbers.scan(text.as_bytes());
        let mut cells = vec![Value(0); EVENTS.len()];
        derive(paging.numbers.values(), &mut cells);
        move |key| Some(cells[schema.column(key)?]).filter(|cell| !cell.is_missing()).map(|cell| cell.0)
    }

    #[test]
    fn zones_are_summed_whatever_the_kernel_calls_them() {
        let new = cells_of("allocstall_dma 1\nallocstall_normal 20\nallocstall_movable 300\npgfault 7\n");
        assert_eq!(new("system.memory.reclaim.stalls"), Some(321));
        let old = cells_of("pgfault 7\nallocstall 5\nworkingset_refault 9\n");
        assert_eq!(old("system.memory.reclaim.stalls"), Some(5));
        assert_eq!(old("system.memory.refaults{system.memory.page.type=file}"), Some(9));
        assert_eq!(old("system.memory.refaults{system.memory.page.type=anonymous}"), None);
        assert_eq!((old("system.memory.oom_kills"), old("system.paging.faults")), (None, Some(7)));
    }
}
