//! Runs that were recorded, as recordings that Foretwin can replay: series by the names that it gives itself.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};

use crate::run::Ending;

/// Numbers of a row by the name of their column.
type Numbers = BTreeMap<String, f64>;

/// How a series is made from a row, and from what was added up before it.
type Take = fn(&Numbers, &mut Sums) -> f64;

/// What the telemetry has as amounts of a row, and Foretwin as counts since the start.
#[derive(Default)]
struct Sums {
    requests: f64,
    errors: f64,
}

/// A column that is not there, or a limit of zero, is no number.
fn number(row: &Numbers, name: &str) -> f64 {
    row.get(name).copied().unwrap_or(f64::NAN)
}

fn limit(row: &Numbers, name: &str) -> f64 {
    Some(number(row, name)).filter(|&limit| limit > 0.0).unwrap_or(f64::NAN)
}

/// Series of the group of a run, and of what it serves.
const SERIES: [(&str, Take); 16] = [
    ("container.memory.unreclaimable", |row, _| number(row, "mem_usage") - number(row, "mem_cache")),
    ("container.memory.limit", |row, _| limit(row, "mem_limit")),
    ("container.memory.usage", |row, _| number(row, "mem_usage")),
    ("container.memory.file", |row, _| number(row, "mem_cache")),
    ("container.cpu.busy", |row, _| (number(row, "cpu_ns") / 1e3).round()),
    ("container.paging.faults", |row, _| number(row, "minflt") + number(row, "majflt")),
    ("container.paging.faults{system.paging.fault.type=major}", |row, _| number(row, "majflt")),
    ("container.pids.count", |row, _| number(row, "pids")),
    ("container.pids.limit", |row, _| limit(row, "pid_limit")),
    ("container.file_descriptor.count", |row, _| number(row, "nfds")),
    ("container.file_descriptor.limit", |row, _| limit(row, "fd_limit")),
    ("service_requests_total", |row, sums| {
        sums.requests += number(row, "req");
        sums.requests
    }),
    ("service_errors_total", |row, sums| {
        sums.errors += number(row, "errors");
        sums.errors
    }),
    ("service_latency_ms", |row, _| number(row, "lat_ms_mean")),
    ("service_latency_max_ms", |row, _| number(row, "lat_ms_max")),
    ("service_offered", |row, _| number(row, "offered_rate")),
];

/// Series of the small file system, where a run has one.
const DISK: [(&str, Take); 4] = [
    ("system.filesystem.usage", |row, _| number(row, "disk_used")),
    ("system.filesystem.limit", |row, _| limit(row, "disk_cap")),
    ("system.filesystem.inode.usage", |row, _| number(row, "inodes_used")),
    ("system.filesystem.inode.limit", |row, _| limit(row, "inode_cap")),
];

/// Writes a CSV file `RID.csv` for every run of a directory with an ending, by the time of day; how many rows each has.
///
/// # Errors
/// If the telemetry cannot be read, or a file not written.
pub fn write(runs: &Path, endings: &[Ending], out: &Path) -> Result<BTreeMap<String, usize>> {
    let path = runs.join("telemetry.parquet");
    let file = File::open(&path).with_context(|| format!("opening {}", path.display()))?;
    let reader = SerializedFileReader::new(file).with_context(|| format!("reading {}", path.display()))?;
    let mut all: BTreeMap<String, Vec<Numbers>> = BTreeMap::new();
    for row in reader.get_row_iter(None)? {
        let (rid, numbers) = numbers(&row?)?;
        all.entry(rid).or_default().push(numbers);
    }
    std::fs::create_dir_all(out).with_context(|| format!("making {}", out.display()))?;
    let mut written = BTreeMap::new();
    for ending in endings {
        let Some(rows) = all.get(&ending.rid) else { continue };
        let path = out.join(format!("{}.csv", ending.rid));
        std::fs::write(&path, csv(ending, rows)).with_context(|| format!("writing {}", path.display()))?;
        written.insert(ending.rid.clone(), rows.len());
    }
    Ok(written)
}

/// The run that a row is of, and its numbers.
fn numbers(row: &Row) -> Result<(String, Numbers)> {
    let (mut rid, mut numbers) = (None, Numbers::new());
    for (name, field) in row.get_column_iter() {
        match field {
            Field::Str(text) => rid = (name == "rid").then(|| text.clone()).or(rid),
            Field::Long(whole) => drop(numbers.insert(name.clone(), *whole as f64)),
            Field::Double(number) => drop(numbers.insert(name.clone(), *number)),
            _ => (),
        }
    }
    Ok((rid.context("telemetry.parquet: a row without a rid")?, numbers))
}

fn csv(ending: &Ending, rows: &[Numbers]) -> String {
    let disk = if ending.disk_cap > 0 { &DISK[..] } else { &[] };
    let series: Vec<&(&str, Take)> = SERIES.iter().chain(disk).collect();
    let names: Vec<&str> = series.iter().map(|(name, _)| *name).collect();
    let mut text = format!("t,{}\n", names.join(","));
    let mut sums = Sums::default();
    for row in rows {
        // Writing to a string cannot fail.
        let _ = write!(text, "{:.3}", ending.start_unix + number(row, "t"));
        for (_, take) in &series {
            let value = take(row, &mut sums);
            let _ = if value.is_finite() { write!(text, ",{value}") } else { write!(text, ",") };
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::fake;

    #[test]
    fn amounts_become_counts_and_no_limit_is_no_number() {
        let row = |t: f64, requests: f64| {
            let pairs =
                [("t", t), ("req", requests), ("mem_usage", 9.0), ("mem_cache", 2.0), ("fd_limit", 0.0)];
            pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
        };
        let text = csv(&fake::ending(), &[row(0.5, 3.0), row(1.0, 4.0)]);
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
        let cell = |line: usize, name: &str| {
            let at = lines[0].iter().position(|known| *known == name).unwrap();
            lines[line][at]
        };
        assert_eq!((cell(1, "t"), cell(2, "t")), ("1000.500", "1001.000"));
        assert_eq!(cell(1, "container.memory.unreclaimable"), "7");
        assert_eq!((cell(1, "service_requests_total"), cell(2, "service_requests_total")), ("3", "7"));
        assert_eq!(cell(1, "container.file_descriptor.limit"), "");
        assert!(!text.contains("system.filesystem"), "it has no file system of its own");
    }
}
