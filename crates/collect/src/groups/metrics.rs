//! The one schema of all groups, and where each of its numbers comes from. Every kernel and every version of the
//! interface fills the same columns, so that a fleet shares a schema; what one does not tell is missing.

use std::sync::{Arc, LazyLock};

use foretwin_core::{FailureMode, Metric, Role, Schema, Value};
use foretwin_host::cgroup::{Limits, Stats};

use super::census::Tally;

/// Everything read of a group in one tick.
#[derive(Debug)]
pub(super) struct Reading {
    pub stats: Stats,
    pub limits: Limits,
    pub tally: Tally,
    pub uptime_s: u64,
    pub restarts: u64,
}

struct Column {
    metric: Metric,
    get: fn(&Reading) -> u64,
}

fn column(metric: Metric, get: fn(&Reading) -> u64) -> Column {
    Column { metric, get }
}

struct Table {
    columns: Vec<Column>,
    schema: Arc<Schema>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let columns: Vec<Column> =
        [cpu(), memory(), paging(), processes(), disk()].into_iter().flatten().collect();
    let schema = Schema::new(columns.iter().map(|column| column.metric.clone()).collect());
    Table { columns, schema }
});

/// The schema of every group.
#[must_use]
pub fn schema() -> &'static Arc<Schema> {
    &TABLE.schema
}

/// The frame of a reading, in the order of [`schema`].
pub(super) fn values(reading: &Reading, values: &mut Vec<Value>) {
    values.clear();
    values.extend(TABLE.columns.iter().map(|column| Value::unsigned((column.get)(reading))));
}

fn mode(name: &str, mode: &str) -> Metric {
    Metric::counter(name, "us", Role::Rate).with("cpu.mode", mode)
}

fn stall(resource: &str, kind: &str) -> Metric {
    let time = Metric::counter("container.pressure.time", "us", Role::Saturation);
    time.with("pressure.resource", resource).with("pressure.kind", kind)
}

fn cpu() -> Vec<Column> {
    let total = Metric::counter("container.cpu.busy", "us", Role::Utilization);
    vec![
        column(total.against("container.cpu.limit", FailureMode::CpuSaturation), |r| r.stats.cpu_us),
        column(mode("container.cpu.time", "user"), |r| r.stats.cpu_user_us),
        column(mode("container.cpu.time", "system"), |r| r.stats.cpu_system_us),
        column(Metric::gauge("container.cpu.limit", "us/s", Role::Limit), |r| r.limits.cpu_us_per_s),
        column(Metric::counter("container.cpu.periods", "{period}", Role::Rate), |r| r.stats.periods),
        column(Metric::counter("container.cpu.throttled_periods", "{period}", Role::Saturation), |r| {
            r.stats.throttled_periods
        }),
        column(Metric::counter("container.cpu.throttled_time", "us", Role::Saturation), |r| {
            r.stats.throttled_us
        }),
        column(stall("cpu", "some"), |r| r.stats.cpu_some_us),
        column(stall("cpu", "full"), |r| r.stats.cpu_full_us),
    ]
}

fn memory() -> Vec<Column> {
    let size = |name: &str| Metric::gauge(name, "By", Role::Utilization);
    let bound = size("container.memory.unreclaimable");
    vec![
        column(bound.against("container.memory.limit", FailureMode::MemoryExhaustion), |r| {
            r.stats.unreclaimable()
        }),
        column(Metric::gauge("container.memory.limit", "By", Role::Limit), |r| r.limits.memory),
        column(size("container.memory.usage"), |r| r.stats.memory),
        column(size("container.memory.anon"), |r| r.stats.anon),
        column(size("container.memory.file"), |r| r.stats.file),
        column(size("container.memory.shmem"), |r| r.stats.shmem),
        column(size("container.memory.kernel"), |r| r.stats.kernel),
        column(size("container.memory.dirty"), |r| r.stats.dirty),
        column(
            size("container.paging.usage").against("container.paging.limit", FailureMode::SwapExhaustion),
            |r| r.stats.swap,
        ),
        column(Metric::gauge("container.paging.limit", "By", Role::Limit), |r| r.limits.swap),
        column(Metric::counter("container.memory.limit_hits", "{event}", Role::Saturation), |r| {
            r.stats.limit_hits
        }),
        column(Metric::counter("container.memory.ooms", "{event}", Role::Errors), |r| r.stats.ooms),
        column(Metric::counter("container.memory.oom_kills", "{kill}", Role::Errors), |r| r.stats.oom_kills),
        column(stall("memory", "some"), |r| r.stats.memory_some_us),
        column(stall("memory", "full"), |r| r.stats.memory_full_us),
    ]
}

fn paging() -> Vec<Column> {
    let pages = |name: &str, role| Metric::counter(name, "{page}", role);
    let refaults =
        |kind| pages("container.memory.refaults", Role::Saturation).with("system.memory.page.type", kind);
    let major = Metric::counter("container.paging.faults", "{fault}", Role::Saturation);
    vec![
        column(Metric::counter("container.paging.faults", "{fault}", Role::Rate), |r| r.stats.faults),
        column(major.with("system.paging.fault.type", "major"), |r| r.stats.major_faults),
        column(refaults("file"), |r| r.stats.refaults_file),
        column(refaults("anonymous"), |r| r.stats.refaults_anon),
        column(pages("container.memory.reclaim.scanned", Role::Saturation), |r| r.stats.scanned),
        column(pages("container.memory.reclaim.freed", Role::Rate), |r| r.stats.reclaimed),
    ]
}

fn processes() -> Vec<Column> {
    let count = |name: &str, unit| Metric::gauge(name, unit, Role::Utilization);
    vec![
        column(
            count("container.pids.count", "{task}")
                .against("container.pids.limit", FailureMode::PidExhaustion),
            |r| r.stats.pids,
        ),
        column(Metric::gauge("container.pids.limit", "{task}", Role::Limit), |r| r.limits.pids),
        column(count("container.process.count", "{process}"), |r| r.tally.processes),
        column(count("container.thread.count", "{thread}"), |r| r.tally.threads),
        column(
            count("container.file_descriptor.count", "{descriptor}")
                .against("container.file_descriptor.limit", FailureMode::DescriptorExhaustion),
            |r| r.tally.fullest.open,
        ),
        column(Metric::gauge("container.file_descriptor.limit", "{descriptor}", Role::Limit), |r| {
            r.tally.fullest.limit
        }),
        // Rises for ever: known, and never surprising.
        column(Metric::gauge("container.uptime", "s", Role::Command), |r| r.uptime_s),
        column(Metric::counter("container.restarts", "{restart}", Role::Errors), |r| r.restarts),
    ]
}

fn disk() -> Vec<Column> {
    let bytes = |way| Metric::counter("container.disk.io", "By", Role::Rate).with("disk.io.direction", way);
    let operations = |way| {
        Metric::counter("container.disk.operations", "{operation}", Role::Rate).with("disk.io.direction", way)
    };
    vec![
        column(bytes("read"), |r| r.stats.read_bytes),
        column(bytes("write"), |r| r.stats.written_bytes),
        column(operations("read"), |r| r.stats.reads),
        column(operations("write"), |r| r.stats.writes),
        column(stall("io", "some"), |r| r.stats.io_some_us),
        column(stall("io", "full"), |r| r.stats.io_full_us),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use foretwin_core::MISSING;

    #[test]
    fn every_limit_is_a_series_of_the_schema() {
        let schema = schema();
        let capacities: Vec<_> =
            schema.metrics().iter().filter_map(|metric| metric.capacity.as_ref()).collect();
        assert_eq!(capacities.len(), 5);
        for capacity in capacities {
            let column = schema.column(&capacity.limit).unwrap();
            assert_eq!(schema.metrics()[column].role, Role::Limit, "{}", capacity.limit);
        }
        assert_eq!(schema.width(), TABLE.columns.len(), "two columns share a key");
    }

    #[test]
    fn what_is_unknown_is_missing() {
        let (tally, limits) = (Tally::UNKNOWN, Limits::NONE);
        let mut stats = Stats::ABSENT;
        stats.memory = 7;
        let mut frame = Vec::new();
        values(&Reading { stats, limits, tally, uptime_s: 3, restarts: 0 }, &mut frame);
        assert_eq!(frame[schema().column("container.memory.usage").unwrap()], Value::unsigned(7));
        assert_eq!(frame.iter().filter(|value| **value != MISSING).count(), 3);
    }
}
