//! What one instance uses in a second, from two frames of its telemetry.

use std::sync::Arc;

use foretwin_core::{Schema, SchemaId, Timestamp, Value};

/// Frames further apart than this say little about the present.
const LONGEST_S: f64 = 5.0;

/// Use over the last second. NaN where it is not known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Usage {
    pub at: Timestamp,
    /// Cores.
    pub cpu: f64,
    /// Bytes per second to and from disks.
    pub io: f64,
    /// Bytes that reclaim cannot give back.
    pub memory: f64,
    /// Share of the time that a quota, its own or one above it, held it back.
    pub throttled: f64,
    /// Shares of the time that some of it waited.
    pub cpu_stall: f64,
    pub memory_stall: f64,
    pub io_stall: f64,
    /// Pages per second that came back soon after they were evicted, and faults that needed the disk.
    pub refaults: f64,
    /// Cores that the hypervisor took.
    pub steal: f64,
    /// Cores that it may use.
    pub limit: f64,
    /// Share of the memory that it may use which reclaim cannot give back.
    pub memory_full: f64,
}

/// Where the numbers stand in a schema: sums of counters, each by the key it ends with or is.
#[derive(Debug)]
struct Columns {
    schema: SchemaId,
    cpu: Vec<usize>,
    io: Vec<usize>,
    memory: Vec<usize>,
    throttled: Vec<usize>,
    stalls: [Vec<usize>; 3],
    refaults: Vec<usize>,
    steal: Vec<usize>,
    limit: Vec<usize>,
    memory_limit: Vec<usize>,
}

impl Columns {
    /// None of a schema that tells of no processor: an application's own metrics.
    fn of(schema: &Schema) -> Option<Self> {
        let keys: Vec<String> = schema.metrics().iter().map(foretwin_core::Metric::key).collect();
        let find = |wanted: &dyn Fn(&str) -> bool| -> Vec<usize> {
            keys.iter().enumerate().filter(|(_, key)| wanted(key)).map(|(column, _)| column).collect()
        };
        let named = |names: &'static [&'static str]| find(&|key| names.contains(&key));
        let stall = |resource: &str| {
            let tail = format!("pressure.time{{pressure.kind=some,pressure.resource={resource}}}");
            find(&|key| key.ends_with(&tail))
        };
        let cpu = named(&["container.cpu.busy", "system.cpu.busy"]);
        (!cpu.is_empty()).then(|| Self {
            schema: schema.id(),
            cpu,
            io: find(&|key| key.starts_with("container.disk.io{") || key.starts_with("system.disk.io{")),
            memory: named(&["container.memory.unreclaimable", "system.memory.unreclaimable"]),
            throttled: named(&["container.cpu.throttled_time"]),
            stalls: ["cpu", "memory", "io"].map(stall),
            refaults: named(&[
                "container.memory.refaults{system.memory.page.type=file}",
                "container.paging.faults{system.paging.fault.type=major}",
            ]),
            steal: named(&["system.cpu.time{cpu.mode=steal}"]),
            limit: named(&["container.cpu.limit", "system.cpu.limit"]),
            memory_limit: named(&["container.memory.limit", "system.memory.limit"]),
        })
    }
}

/// Turns frames into use.
#[derive(Debug, Default)]
pub(super) struct Meter {
    columns: Option<Columns>,
    last: Option<(Timestamp, Vec<f64>)>,
    pub latest: Option<Usage>,
}

impl Meter {
    /// Takes a frame; false if its schema tells nothing of use.
    pub(super) fn take(&mut self, schema: &Arc<Schema>, at: Timestamp, values: &[Value]) -> bool {
        if self.columns.as_ref().is_none_or(|columns| columns.schema != schema.id()) {
            let Some(columns) = Columns::of(schema) else { return false };
            (self.columns, self.last) = (Some(columns), None);
        }
        let numbers: Vec<f64> = (values.iter().zip(schema.metrics()))
            .map(|(value, metric)| value.to_f64(metric.storage))
            .collect();
        if let (Some(columns), Some((before, last))) = (&self.columns, &self.last) {
            let seconds = at.since(*before);
            self.latest = (seconds > 0.0 && seconds < LONGEST_S)
                .then(|| usage(columns, (last, &numbers), (at, seconds)));
        }
        self.last = Some((at, numbers));
        true
    }
}

fn usage(columns: &Columns, (last, now): (&[f64], &[f64]), (at, seconds): (Timestamp, f64)) -> Usage {
    // A counter that fell was reset, and what is not there does not count; nothing there at all is not known.
    let rate = |of: &[usize]| {
        let changes = of.iter().map(|&column| now[column] - last[column]);
        let known: Vec<f64> = changes.filter(|change| *change >= 0.0).collect();
        if known.is_empty() { f64::NAN } else { known.iter().sum::<f64>() / seconds }
    };
    let share_us = |of: &[usize]| rate(of) / 1e6;
    let level = |of: &[usize]| of.first().map_or(f64::NAN, |&column| now[column]);
    Usage {
        at,
        cpu: share_us(&columns.cpu),
        io: rate(&columns.io),
        memory: level(&columns.memory),
        throttled: share_us(&columns.throttled),
        cpu_stall: share_us(&columns.stalls[0]),
        memory_stall: share_us(&columns.stalls[1]),
        io_stall: share_us(&columns.stalls[2]),
        refaults: rate(&columns.refaults),
        steal: share_us(&columns.steal),
        limit: level(&columns.limit) / 1e6,
        memory_full: level(&columns.memory) / level(&columns.memory_limit),
    }
}

#[cfg(test)]
mod tests {
    use foretwin_core::{Metric, Role};

    use super::*;

    #[test]
    fn counters_become_rates_and_a_reset_is_no_use() {
        let schema = Schema::new(vec![
            Metric::counter("container.cpu.busy", "us", Role::Utilization),
            Metric::gauge("container.memory.unreclaimable", "By", Role::Utilization),
            Metric::counter("container.disk.io", "By", Role::Rate).with("disk.io.direction", "read"),
            Metric::counter("container.disk.io", "By", Role::Rate).with("disk.io.direction", "write"),
        ]);
        let mut meter = Meter::default();
        let mut take = |second: f64, numbers: [u64; 4]| {
            assert!(meter.take(&schema, Timestamp::from_seconds(second), &numbers.map(Value::unsigned)));
            meter.latest
        };
        assert!(take(1.0, [0, 5, 100, 100]).is_none());
        let usage = take(3.0, [1_000_000, 7, 200, 300]).unwrap();
        assert_eq!((usage.cpu, usage.memory, usage.io), (0.5, 7.0, 150.0));
        assert!(usage.steal.is_nan() && usage.cpu_stall.is_nan());
        let reset = take(4.0, [5, 7, 200, 300]).unwrap();
        assert!(reset.cpu.is_nan() && reset.io == 0.0);
        assert!(take(60.0, [6, 7, 200, 300]).is_none(), "too long ago");
    }

    #[test]
    fn metrics_of_applications_tell_nothing_of_use() {
        let schema = Schema::new(vec![Metric::counter("http_requests_total", "1", Role::Rate)]);
        assert!(!Meter::default().take(&schema, Timestamp(1), &[Value::unsigned(1)]));
    }
}
