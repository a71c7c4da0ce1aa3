//! Recorded runs as the leak lab keeps them: `telemetry.parquet`, and `runs.csv` where it may be read.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result};
use foretwin_core::{FailureMode, Timestamp};
use foretwin_foresee::{Evidence, Growth, Outcome, Series};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Row, RowAccessor};

/// Resources with their limits: mode, column of the use, column of the limit.
const RESOURCES: [(FailureMode, &str, &str); 3] = [
    (FailureMode::MemoryExhaustion, "vsize", "mem_limit"),
    (FailureMode::DiskFull, "disk_used", "disk_cap"),
    (FailureMode::DescriptorExhaustion, "nfds", "fd_limit"),
];
/// A run is short: all of it is looked back on.
const LOOKBACK_S: f64 = 86_400.0;
/// The gap before the first row of a run, and the least gap that a rate is taken over, in seconds.
const FIRST_GAP_S: f64 = 0.5;
const LEAST_GAP_S: f64 = 0.1;

/// One run.
#[derive(Debug, Default)]
pub(super) struct Run {
    /// When each row was taken.
    pub(super) times: Vec<Timestamp>,
    /// Requests per second, by row.
    work: Vec<f64>,
    /// In use, by resource and row.
    pub(super) used: [Vec<f64>; 3],
    /// Processor seconds per second, by row; empty where the telemetry has no `cpu_ns`.
    pub(super) cores: Vec<f64>,
    /// Limits, by resource and row; zero means none.
    pub(super) limits: [Vec<f64>; 3],
}

/// How a run ended, as `runs.csv` tells.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) scenario: String,
    pub(super) outcome: Outcome,
}

/// Reads every run of a telemetry file.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, Run>> {
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let reader = SerializedFileReader::new(file)?;
    let fields = reader.metadata().file_metadata().schema_descr();
    let column = |name: &str| {
        let found = (0..fields.num_columns()).find(|&i| fields.column(i).name() == name);
        found.with_context(|| format!("{}: no column {name}", path.display()))
    };
    let (rid, t, req) = (column("rid")?, column("t")?, column("req")?);
    let cpu_ns = column("cpu_ns").ok();
    let mut spent: BTreeMap<String, f64> = BTreeMap::new();
    let mut columns = Vec::new();
    for (_, used, limit) in RESOURCES {
        columns.push((column(used)?, column(limit)?));
    }
    let mut runs: BTreeMap<String, Run> = BTreeMap::new();
    for row in reader.get_row_iter(None)? {
        let row = row?;
        let run = runs.entry(row.get_string(rid)?.clone()).or_default();
        let at = Timestamp::from_seconds(row.get_double(t)?);
        let gap_s = run.times.last().map_or(FIRST_GAP_S, |&last| at.since(last)).max(LEAST_GAP_S);
        run.times.push(at);
        run.work.push(number(&row, req)? / gap_s);
        if let Some(cpu_ns) = cpu_ns {
            let now = number(&row, cpu_ns)?;
            let before = spent.insert(row.get_string(rid)?.clone(), now).unwrap_or(now);
            run.cores.push((now - before).max(0.0) / 1e9 / gap_s);
        }
        for (i, &(used, limit)) in columns.iter().enumerate() {
            run.used[i].push(number(&row, used)?);
            run.limits[i].push(number(&row, limit)?);
        }
    }
    Ok(runs)
}

fn number(row: &Row, column: usize) -> Result<f64> {
    Ok(row.get_long(column).map(|whole| whole as f64).or_else(|_| row.get_double(column))?)
}

/// Reads how the runs of a folder ended.
pub(super) fn told(dir: &Path) -> Result<BTreeMap<String, Told>> {
    let rows = table(&dir.join("runs.csv"))?;
    let mut all = BTreeMap::new();
    for row in rows {
        let field = |name: &str| row.get(name).with_context(|| format!("runs.csv: no column {name}"));
        let failed = field("failure")? != "none" && field("censored")? == "False";
        let ended_s = field("event_time")?.parse().context("runs.csv: event_time")?;
        let onset_s = row.get("onset").and_then(|onset| onset.parse().ok());
        let outcome = Outcome { ended_s, failed, mode: None, onset_s };
        all.insert(field("rid")?.clone(), Told { scenario: field("scenario")?.clone(), outcome });
    }
    Ok(all)
}

/// Rows of a CSV file of plain cells, by column name.
pub(super) fn table(path: &Path) -> Result<Vec<BTreeMap<String, String>>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let names: Vec<&str> = lines.next().context("an empty file")?.split(',').map(str::trim).collect();
    let cells = |line: &str| {
        names.iter().zip(line.split(',')).map(|(name, cell)| ((*name).into(), cell.trim().into())).collect()
    };
    Ok(lines.map(cells).collect())
}

impl Run {
    /// Seconds at the last row.
    pub(super) fn end_s(&self) -> f64 {
        self.times.last().map_or(0.0, |at| at.seconds())
    }

    /// Mean processor seconds per second up to `origin_s`; nothing where they are not known.
    pub(super) fn mean_cores(&self, origin_s: f64) -> Option<f64> {
        let seen = self.times.partition_point(|at| at.seconds() <= origin_s);
        let known = self.cores.get(..seen).filter(|known| !known.is_empty())?;
        Some(known.iter().sum::<f64>() / seen as f64)
    }

    /// What grows at `origin_s`, read from the rows up to it. `limit` may put another limit in place of memory's.
    pub(super) fn growths(&self, origin_s: f64, memory: Option<f64>, seed: u64) -> Vec<Growth> {
        let now = Timestamp::from_seconds(origin_s);
        let seen = self.times.partition_point(|&at| at <= now);
        let Some(last) = seen.checked_sub(1) else { return Vec::new() };
        let each = RESOURCES.iter().enumerate().filter_map(|(i, &(mode, metric, _))| {
            let own = self.limits[i][last];
            let limit = memory.filter(|_| mode == FailureMode::MemoryExhaustion).unwrap_or(own);
            let series =
                Series { metric, mode, times: &self.times[..seen], used: &self.used[i][..seen], limit };
            let evidence = Evidence { series, work: &self.work[..seen] };
            Growth::read(&evidence, now, LOOKBACK_S, seed ^ origin_s.to_bits() ^ i as u64)
        });
        each.collect()
    }
}
