//! What each disk does, from `/proc/diskstats`.

use std::path::Path;

use foretwin_core::{Metric, Role, Value};
use foretwin_host::Error;
use foretwin_host::file::{Buffer, ProcFile};
use foretwin_host::proc::disks::{DiskStats, SECTOR_BYTES, rows};

use super::roster::Roster;
use super::section::{Layout, Section, fill, scaled};

/// Cells of each disk.
const WIDTH: usize = 11;

/// `/proc/diskstats`.
pub(super) struct Disks {
    file: ProcFile,
    roster: Roster,
    skip: Vec<String>,
}

impl Disks {
    pub(super) fn open(skip: &[String]) -> Result<Option<Self>, Error> {
        let file = ProcFile::open_if_present("/proc/diskstats")?;
        Ok(file.map(|file| Self { file, roster: Roster::default(), skip: skip.to_vec() }))
    }
}

impl Section for Disks {
    fn name(&self) -> &'static str {
        "disks"
    }

    fn describe(&self, metrics: &mut Vec<Metric>) {
        for disk in self.roster.names() {
            metrics.extend(describe(disk));
        }
    }

    fn read(&mut self, buffer: &mut Buffer, cells: &mut [Value]) -> Result<Layout, Error> {
        let text = self.file.read(buffer)?;
        if self.roster.update(rows(text).map(|row| row.name), |name| is_watched(name, &self.skip)) {
            return Ok(Layout::Changed);
        }
        let mut next = 0;
        for row in rows(text) {
            if let Some(index) = self.roster.index(row.name, next) {
                fill(&mut cells[index * WIDTH..(index + 1) * WIDTH], values(&row.stats()?));
                next = index + 1;
            }
        }
        Ok(Layout::Same)
    }
}

fn describe(disk: &str) -> [Metric; WIDTH] {
    let counter = |name, unit, role| Metric::counter(name, unit, role).with("system.device", disk);
    let each_way = |name, unit, role, way| counter(name, unit, role).with("disk.io.direction", way);
    [
        each_way("system.disk.operations", "{operation}", Role::Rate, "read"),
        each_way("system.disk.operations", "{operation}", Role::Rate, "write"),
        each_way("system.disk.io", "By", Role::Rate, "read"),
        each_way("system.disk.io", "By", Role::Rate, "write"),
        each_way("system.disk.operation_time", "ms", Role::Duration, "read"),
        each_way("system.disk.operation_time", "ms", Role::Duration, "write"),
        Metric::gauge("system.disk.pending", "{operation}", Role::Saturation).with("system.device", disk),
        counter("system.disk.io_time", "ms", Role::Utilization),
        counter("system.disk.weighted_io_time", "ms", Role::Saturation),
        each_way("system.disk.operations", "{operation}", Role::Rate, "flush"),
        each_way("system.disk.operation_time", "ms", Role::Duration, "flush"),
    ]
}

/// In the order of [`describe`].
fn values(disk: &DiskStats) -> [u64; WIDTH] {
    [
        disk.reads,
        disk.writes,
        scaled(disk.sectors_read, SECTOR_BYTES),
        scaled(disk.sectors_written, SECTOR_BYTES),
        disk.read_ms,
        disk.write_ms,
        disk.in_flight,
        disk.io_ms,
        disk.weighted_ms,
        disk.flushes,
        disk.flush_ms,
    ]
}

/// Whole disks have a directory in `/sys/block`, where a slash of their name is written as `!`; partitions have not.
fn is_watched(name: &str, skip: &[String]) -> bool {
    let is_skipped = skip.iter().any(|start| name.starts_with(start.as_str()));
    !is_skipped && Path::new("/sys/block").join(name.replace('/', "!")).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_and_values_stand_in_one_order() {
        let text = b"254 0 vda 1 0 3 4 5 0 7 8 9 10 11 0 0 0 0 12 13\n";
        let numbers = values(&rows(text).next().unwrap().stats().unwrap());
        let all = describe("vda");
        let value = |key: &str| all.iter().position(|metric| metric.key() == key).map(|at| numbers[at]);
        let read = "disk.io.direction=read,system.device=vda";
        assert_eq!(value(&format!("system.disk.operations{{{read}}}")), Some(1));
        assert_eq!(value(&format!("system.disk.io{{{read}}}")), Some(3 * 512));
        assert_eq!(value(&format!("system.disk.operation_time{{{read}}}")), Some(4));
        assert_eq!(value("system.disk.pending{system.device=vda}"), Some(9));
        assert_eq!(value("system.disk.weighted_io_time{system.device=vda}"), Some(11));
        assert_eq!(value("system.disk.operations{disk.io.direction=flush,system.device=vda}"), Some(12));
    }

    #[test]
    fn skipped_and_unknown_devices_are_not_watched() {
        assert!(!is_watched("loop0", &["loop".into()]));
        assert!(!is_watched("no-such-disk", &[]));
    }
}
