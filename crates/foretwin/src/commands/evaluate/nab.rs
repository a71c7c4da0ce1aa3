//! `foretwin evaluate detection --format nab`: streams the series of the Numenta Anomaly Benchmark, writes its layout.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use foretwin_learn::Novelty;
use serde_json::json;

use super::cpu_s;
use crate::cli::DetectionArgs;
use crate::table;

/// The first part of a file, which NAB does not score: 15 %, at most 15 % of 5000 rows.
const PROBATION: f64 = 0.15;
const PROBATION_ROWS: f64 = 5000.0;

/// Anomaly windows by `GROUP/FILE.csv`: first and last moment, as written in the file.
type Windows = BTreeMap<String, Vec<(String, String)>>;

/// Streams every `GROUP/FILE.csv` below `--data` and writes `OUT/GROUP/DETECTOR_FILE.csv`.
pub(super) fn run(args: &DetectionArgs) -> Result<ExitCode> {
    let windows = windows(&args.data)?;
    let mut summary = BTreeMap::new();
    for (group, file) in files(&args.data)? {
        let name = format!("{group}/{file}");
        let started = cpu_s();
        let series = Series::read(&args.data.join(&group).join(&file))?;
        let scores = series.judge();
        let text = series.table(&scores, windows.get(&name).map_or(&[], Vec::as_slice));
        let folder = args.out.join(&group);
        std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        let path = folder.join(format!("{}_{file}", args.detector));
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        let (rows, cpu) = (scores.len(), cpu_s() - started);
        if !args.json {
            println!("{name}: {rows} rows, {cpu:.2} core-seconds");
        }
        summary.insert(name, json!({"rows": rows, "cpu_s": cpu}));
    }
    if args.json {
        println!("{}", json!({"series": summary, "method": args.method.name(), "seed": args.seed}));
    }
    Ok(ExitCode::SUCCESS)
}

/// Every `GROUP/FILE.csv`, sorted.
fn files(data: &Path) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for group in std::fs::read_dir(data).with_context(|| format!("--data {}", data.display()))? {
        let group = group?;
        if !group.path().is_dir() {
            continue;
        }
        for file in std::fs::read_dir(group.path())? {
            let file = file?.file_name().to_string_lossy().into_owned();
            if file.ends_with(".csv") {
                found.push((group.file_name().to_string_lossy().into_owned(), file));
            }
        }
    }
    found.sort();
    if found.is_empty() {
        bail!("--data: no GROUP/FILE.csv in {}", data.display());
    }
    Ok(found)
}

/// NAB's windows, from `labels/combined_windows.json` in or beside the data; none where there is no such file. They
/// are only copied.
fn windows(data: &Path) -> Result<Windows> {
    let places =
        [data.join("labels"), data.join("../labels")].map(|place| place.join("combined_windows.json"));
    let Some(path) = places.iter().find(|path| path.is_file()) else { return Ok(Windows::new()) };
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("reading {}", path.display()))
}

/// A file of NAB.
struct Series {
    /// Timestamp and value of each row, as written.
    cells: Vec<(String, String)>,
    values: Vec<f64>,
    /// Rows that are not scored.
    probation: usize,
}

impl Series {
    fn read(path: &Path) -> Result<Self> {
        let table = table::read(path)?;
        let [values] = &table.columns[..] else { bail!("{}: expected timestamp,value", path.display()) };
        let text = std::fs::read_to_string(path)?;
        let lines = text.lines().skip(1).filter(|line| !line.trim().is_empty());
        let cells =
            lines.filter_map(|line| line.split_once(',')).map(|(t, x)| (t.into(), x.into())).collect();
        let rows = values.len() as f64;
        let probation = (PROBATION * rows).floor().min(PROBATION * PROBATION_ROWS) as usize;
        Ok(Self { cells, values: values.clone(), probation })
    }

    /// One score per row from 0 to 1, from rows up to its own: one half where the product's is 1, zero on probation.
    fn judge(&self) -> Vec<f64> {
        let (past, coming) = self.values.split_at(self.probation);
        let mut novelty = Novelty::of(past);
        let mut scores = vec![0.0; past.len()];
        scores.extend(coming.iter().map(|value| {
            let score = novelty.step(*value);
            score / (1.0 + score)
        }));
        scores
    }

    /// `timestamp,value,anomaly_score,label`.
    fn table(&self, scores: &[f64], windows: &[(String, String)]) -> String {
        let mut text = String::from("timestamp,value,anomaly_score,label\n");
        for ((time, value), score) in self.cells.iter().zip(scores) {
            let inside = |(from, to): &(String, String)| {
                // Dates of one layout are ordered like their text; the labels have fractions of seconds, too.
                time.as_str() >= seconds(from) && time.as_str() <= seconds(to)
            };
            let label = u8::from(windows.iter().any(inside));
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{time},{value},{score:.9},{label}");
        }
        text
    }
}

/// A moment without the fraction of its second.
fn seconds(moment: &str) -> &str {
    moment.split('.').next().unwrap_or(moment)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(rows: usize) -> Series {
        let values: Vec<f64> =
            (0..rows).map(|row| (row % 12) as f64 + if row == 400 { 500.0 } else { 0.0 }).collect();
        let at = |row: usize| format!("2014-02-{:02} {:02}:00:00", 1 + row / 24, row % 24);
        let cells = values.iter().enumerate().map(|(row, value)| (at(row), value.to_string())).collect();
        Series { values, cells, probation: (PROBATION * rows as f64) as usize }
    }

    #[test]
    fn probation_is_silent_and_a_spike_stands_out() {
        let series = series(500);
        let scores = series.judge();
        assert!(scores[..series.probation].iter().all(|score| *score == 0.0));
        let loudest = (0..500).max_by(|a, b| scores[*a].total_cmp(&scores[*b])).unwrap();
        assert!(loudest == 400 && scores[400] > 0.5, "{loudest}: {}", scores[loudest]);
    }

    #[test]
    fn scores_know_no_future() {
        let all = series(600);
        let cut = Series { values: all.values[..450].to_vec(), cells: Vec::new(), probation: all.probation };
        assert_eq!(all.judge()[..450], cut.judge());
    }

    #[test]
    fn labels_are_the_windows_rows() {
        let window = ("2014-02-01 02:00:00.000000".to_owned(), "2014-02-01 03:00:00.000000".to_owned());
        let text = series(48).table(&[0.25; 48], &[window]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "timestamp,value,anomaly_score,label");
        let labels: Vec<bool> = lines[1..].iter().map(|line| line.ends_with(",1")).collect();
        assert_eq!((labels[1], labels[2], labels[3], labels[4]), (false, true, true, false));
        assert_eq!(lines[1], "2014-02-01 00:00:00,0,0.250000000,0");
    }
}
