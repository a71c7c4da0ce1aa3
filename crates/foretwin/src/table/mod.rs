//! Recorded telemetry from files: Parquet, CSV, or the answer of a Prometheus range query.

mod csv;
mod parquet;
mod prometheus;
mod recording;

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use foretwin_core::{InstanceId, Metric, Role, Schema, Storage, Timestamp, Value, Window};
pub use recording::Limit;

/// Columns of numbers over time. All columns are as long as `times`; NaN is missing.
#[derive(Debug, Default, PartialEq)]
pub struct Table {
    /// As in the file: any unit, or a row number.
    pub times: Vec<f64>,
    /// Names of the columns.
    pub names: Vec<String>,
    /// One column per name.
    pub columns: Vec<Vec<f64>>,
}

/// What the time column may be called.
const TIME_NAMES: &[&str] = &["t", "time", "timestamp", "ts"];

/// Reads a file by its ending: `.parquet`, `.csv`, `.csv.gz`, `.json`.
pub fn read(path: &Path) -> Result<Table> {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or("");
    let table = match ending {
        "parquet" => parquet::read(path),
        "csv" => csv::read(path),
        "gz" => csv::read_compressed(path),
        "json" => prometheus::read(path),
        _ => bail!("{}: expected a file ending in .parquet, .csv, .csv.gz or .json", path.display()),
    };
    let table = table.with_context(|| format!("reading {}", path.display()))?;
    if table.times.is_empty() || table.names.is_empty() {
        bail!("{}: no rows, or no column beside the time", path.display());
    }
    Ok(table)
}

impl Table {
    /// From columns of which one is the time; without one, rows are numbered.
    fn from_columns(mut names: Vec<String>, mut columns: Vec<Vec<f64>>) -> Result<Self> {
        distinct(&names)?;
        let time = names.iter().position(|name| TIME_NAMES.contains(&name.to_lowercase().as_str()));
        let times = match time {
            Some(at) => {
                names.remove(at);
                columns.remove(at)
            }
            None => (0..columns.first().map_or(0, Vec::len)).map(|row| row as f64).collect(),
        };
        Ok(Self { times, names, columns })
    }

    /// Takes a column out, for instance the labels that a model must not see.
    pub fn take(&mut self, name: &str) -> Option<Vec<f64>> {
        let at = self.names.iter().position(|known| known == name)?;
        self.names.remove(at);
        Some(self.columns.remove(at))
    }

    /// As a window of gauges; row numbers count as seconds.
    pub fn window(&self, instance: &str) -> Window {
        let gauge = |name: &String| Metric::gauge(name, "1", role(name)).stored(Storage::F64);
        let schema: Arc<Schema> = Schema::new(self.names.iter().map(gauge).collect());
        let unit_s = unit_of(&self.times);
        let times = self.times.iter().map(|&t| Timestamp::from_seconds(t * unit_s)).collect();
        let columns =
            self.columns.iter().map(|column| column.iter().map(|&x| Value::float(x)).collect()).collect();
        Window { instance: InstanceId::new(instance), schema, times, columns }
    }
}

/// Two metrics of one name could not be told apart.
fn distinct(names: &[String]) -> Result<()> {
    let mut seen = HashSet::new();
    match names.iter().find(|name| !seen.insert(name.as_str())) {
        Some(twice) => bail!("two columns are named {twice:?}; rename or drop one"),
        None => Ok(()),
    }
}

/// Seconds per unit of a time column, by its size: nanoseconds, microseconds and milliseconds since the epoch are told
/// by their magnitude; anything smaller is seconds (or row numbers taken as seconds).
fn unit_of(times: &[f64]) -> f64 {
    match times.first().copied().unwrap_or(0.0).abs() {
        t if t > 1e17 => 1e-9,
        t if t > 1e14 => 1e-6,
        t if t > 1e11 => 1e-3,
        _ => 1.0,
    }
}

/// The role that a name suggests.
fn role(name: &str) -> Role {
    match name {
        name if name.contains("error") => Role::Errors,
        name if name.contains("latency") || name.contains("duration") => Role::Duration,
        name if name.contains("queue") || name.contains("pressure") => Role::Saturation,
        _ => Role::Utilization,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_column_is_found_or_made() {
        let table = Table::from_columns(vec!["a".into(), "t".into()], vec![vec![1.0], vec![9.0]]).unwrap();
        assert_eq!((table.times[0], table.names.as_slice()), (9.0, &["a".to_owned()][..]));
        let table = Table::from_columns(vec!["a".into()], vec![vec![1.0, 2.0]]).unwrap();
        assert_eq!(table.times, [0.0, 1.0]);
    }

    #[test]
    fn columns_of_one_name_are_refused() {
        let names = ["t", "a", "a"].map(String::from).to_vec();
        let error = Table::from_columns(names, vec![vec![1.0]; 3]).unwrap_err().to_string();
        assert!(error.contains("\"a\""), "{error}");
    }

    #[test]
    fn time_units_follow_magnitude() {
        assert_eq!(unit_of(&[1.7e9]), 1.0);
        assert_eq!(unit_of(&[1.7e12]), 1e-3);
        assert_eq!(unit_of(&[1.7e15]), 1e-6);
        assert_eq!(unit_of(&[1.7e18]), 1e-9);
    }
}
