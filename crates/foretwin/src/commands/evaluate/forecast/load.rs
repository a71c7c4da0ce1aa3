//! Series to forecast, from files of several layouts, on even grids.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use foretwin_core::{InstanceId, Metric, Role, Schema, Storage, Timestamp, Value, Window};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;

use crate::table;

/// The part of a single file that is learned from.
const LEARNED: f64 = 0.7;
/// Names of columns that tell series apart, of the time, and of what is neither.
const NAMES: [&str; 2] = ["series", "vm"];
const TIMES: [&str; 4] = ["t", "TimeStamp", "timestamp", "step"];
/// Seconds per row where rows are only numbered: five minutes, as in the traces that number them.
const NUMBERED_STEP_S: f64 = 300.0;

/// A series on an even grid: NaN where nothing was seen.
pub struct Series {
    pub name: String,
    /// The file that it came from, where that holds many: they make a cohort.
    pub group: Option<String>,
    pub window: Window,
    /// The first row that is not learned from.
    pub split: usize,
}

impl Series {
    /// From columns of values.
    pub fn made(name: &str, step_s: f64, columns: Vec<(&str, Vec<f64>)>) -> Self {
        let rows = columns.first().map_or(0, |(_, values)| values.len());
        let times: Vec<f64> = (0..rows).map(|n| n as f64 * step_s).collect();
        let columns: Vec<_> = columns.into_iter().map(|(name, values)| (name.to_owned(), values)).collect();
        Self::even(name, &times, &columns, (rows as f64 * LEARNED) as usize)
    }

    /// Puts rows on a grid of their median step; `learned` rows come before the split.
    fn even(name: &str, times: &[f64], columns: &[(String, Vec<f64>)], learned: usize) -> Self {
        let mut steps: Vec<f64> =
            times.windows(2).map(|pair| pair[1] - pair[0]).filter(|step| *step > 0.0).collect();
        steps.sort_by(f64::total_cmp);
        let step = steps.get(steps.len() / 2).copied().unwrap_or(1.0);
        let start = times.first().copied().unwrap_or(0.0);
        let place = |t: f64| ((t - start) / step).round() as usize;
        let rows = times.last().map_or(0, |&last| place(last) + 1);
        let split = times.get(learned).map_or(rows, |&t| place(t));
        let gauge =
            |(name, _): &(String, Vec<f64>)| Metric::gauge(name, "1", Role::Utilization).stored(Storage::F64);
        let schema = Schema::new(columns.iter().map(gauge).collect());
        let spread = |(_, values): &(String, Vec<f64>)| {
            let mut even = vec![f64::NAN; rows];
            times.iter().zip(values).for_each(|(&t, &value)| even[place(t)] = value);
            even.into_iter().map(Value::float).collect()
        };
        let window = Window {
            instance: InstanceId::new(name),
            schema,
            times: (0..rows).map(|n| Timestamp::from_seconds(start + n as f64 * step)).collect(),
            columns: columns.iter().map(spread).collect(),
        };
        Self { name: name.to_owned(), group: None, window, split }
    }

    /// What is learned from.
    pub fn learned(&self) -> Window {
        Window {
            instance: self.window.instance.clone(),
            schema: self.window.schema.clone(),
            times: self.window.times[..self.split].to_vec(),
            columns: self.window.columns.iter().map(|column| column[..self.split].to_vec()).collect(),
        }
    }
}

/// Every series below a directory.
pub fn load(dir: &Path) -> Result<Vec<Series>> {
    let mut paths = Vec::new();
    walk(dir, &mut paths)?;
    let mut all = Vec::new();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let read = if let Some(name) = name.strip_suffix(".train.parquet") {
            pair(dir, name).map(|series| vec![series])
        } else if name.ends_with(".test.parquet") {
            continue;
        } else if name.ends_with(".parquet") {
            many(&path)
        } else if name.ends_with(".csv") {
            csv(&path).map(|series| series.into_iter().collect())
        } else {
            continue;
        };
        all.extend(read.with_context(|| path.display().to_string())?);
    }
    if all.is_empty() {
        bail!("--data: no series in {}", dir.display());
    }
    Ok(all)
}

fn walk(dir: &Path, into: &mut Vec<PathBuf>) -> Result<()> {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(dir)
        .with_context(|| format!("--data {}", dir.display()))?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() { walk(&path, into)? } else { into.push(path) }
    }
    Ok(())
}

/// `NAME.train.parquet` and `NAME.test.parquet`, one after the other; labels are answers and left out.
fn pair(dir: &Path, name: &str) -> Result<Series> {
    let mut train = table::read(&dir.join(format!("{name}.train.parquet")))?;
    let mut test = table::read(&dir.join(format!("{name}.test.parquet")))?;
    train.take("label");
    test.take("label");
    if train.names != test.names {
        bail!("the metrics of train and test differ");
    }
    let learned = train.times.len();
    let rows = learned + test.times.len();
    // Both may count rows from zero: the test follows the training.
    let step = if learned > 1 { train.times[1] - train.times[0] } else { 1.0 };
    let times: Vec<f64> = (0..rows).map(|n| n as f64 * step).collect();
    let columns = train.names.iter().zip(train.columns.into_iter().zip(test.columns));
    let columns = columns.map(|(name, (head, tail))| (name.clone(), [head, tail].concat()));
    let columns: Vec<_> = columns.collect();
    Ok(Series::even(name, &times, &columns, learned))
}

/// Rows of one series of a file.
#[derive(Default)]
struct Rows {
    times: Vec<f64>,
    values: BTreeMap<String, Vec<f64>>,
}

/// A file of many series, told apart by a column of names.
fn many(path: &Path) -> Result<Vec<Series>> {
    let reader = SerializedFileReader::new(File::open(path)?)?;
    let mut found: BTreeMap<String, Rows> = BTreeMap::new();
    let mut numbered = false;
    for row in reader.get_row_iter(None)? {
        let row = row?;
        let (mut name, mut time, mut values) = (String::new(), f64::NAN, Vec::new());
        for (column, field) in row.get_column_iter() {
            match field {
                Field::Str(text) if NAMES.contains(&column.as_str()) => name = text.clone(),
                Field::Str(text) if TIMES.contains(&column.as_str()) => {
                    time = moment(text).unwrap_or(f64::NAN);
                }
                field if TIMES.contains(&column.as_str()) => {
                    numbered = column == "step";
                    time = number(field) * if numbered { NUMBERED_STEP_S } else { 1.0 };
                }
                _ if column.eq_ignore_ascii_case("label") => {}
                field => values.push((column.clone(), number(field))),
            }
        }
        if time.is_finite() {
            let rows = found.entry(name).or_default();
            rows.times.push(time);
            values.into_iter().for_each(|(column, value)| rows.values.entry(column).or_default().push(value));
        }
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let group = numbered.then_some(stem);
    Ok(found.into_iter().filter_map(|(name, rows)| rows.series(&name, group.clone())).collect())
}

impl Rows {
    /// In order of time, if there are enough.
    fn series(self, name: &str, group: Option<String>) -> Option<Series> {
        let mut order: Vec<usize> = (0..self.times.len()).collect();
        order.sort_by(|&a, &b| self.times[a].total_cmp(&self.times[b]));
        order.dedup_by(|a, b| self.times[*a] == self.times[*b]);
        if order.len() < 100 {
            return None;
        }
        let times: Vec<f64> = order.iter().map(|&n| self.times[n]).collect();
        let sorted = |values: &Vec<f64>| order.iter().map(|&n| values[n]).collect();
        let columns: Vec<_> =
            self.values.iter().map(|(name, values)| (name.clone(), sorted(values))).collect();
        let learned = (order.len() as f64 * LEARNED) as usize;
        Some(Series { group, ..Series::even(name, &times, &columns, learned) })
    }
}

fn number(field: &Field) -> f64 {
    match field {
        Field::Float(x) => f64::from(*x),
        Field::Double(x) => *x,
        Field::Short(x) => f64::from(*x),
        Field::Int(x) => f64::from(*x),
        Field::Long(x) => *x as f64,
        Field::TimestampMillis(x) => *x as f64 / 1e3,
        Field::TimestampMicros(x) => *x as f64 / 1e6,
        _ => f64::NAN,
    }
}

/// `timestamp,value` with a header, or nothing where a file holds something else.
fn csv(path: &Path) -> Result<Option<Series>> {
    let text = std::fs::read_to_string(path)?;
    let mut rows = Rows::default();
    for line in text.lines().skip(1) {
        let mut cells = line.split(',');
        let (time, value) = (cells.next().and_then(moment), cells.next().and_then(|cell| cell.parse().ok()));
        let (Some(time), Some(value)) = (time, value) else { return Ok(None) };
        rows.times.push(time);
        rows.values.entry("value".to_owned()).or_default().push(value);
    }
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(rows.series(&name, None))
}

/// Seconds since the epoch of `YYYY-MM-DD hh:mm:ss`, in the zone that it was written in.
fn moment(text: &str) -> Option<f64> {
    let (date, time) = text.get(..10).zip(text.get(11..)).or_else(|| Some((text.get(..10)?, "00:00:00")))?;
    let mut date = date.split('-').map(str::parse::<i64>);
    let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
    let clock: Vec<f64> =
        time.get(..8).unwrap_or(time).split(':').map(|part| part.parse().unwrap_or(0.0)).collect();
    let seconds = clock.iter().zip([3600.0, 60.0, 1.0]).map(|(part, unit)| part * unit).sum::<f64>();
    // Days by Howard Hinnant, "chrono-compatible low-level date algorithms".
    let y = if month <= 2 { year - 1 } else { year };
    let (era, of_year) = (y.div_euclid(400), (153 * ((month + 9) % 12) + 2) / 5 + day - 1);
    let of_era = y.rem_euclid(400) * 365 + y.rem_euclid(400) / 4 - y.rem_euclid(400) / 100 + of_year;
    Some((era * 146_097 + of_era - 719_468) as f64 * 86_400.0 + seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_and_rows_put_on_a_grid() {
        assert_eq!(moment("1970-01-02 00:00:01"), Some(86_401.0));
        assert_eq!(moment("2000-02-29 12:00:00+00:00"), Some(951_825_600.0));
        assert_eq!(moment("series"), None);
        let times = vec![0.0, 10.0, 20.4, 40.0, 50.0];
        let series = Series::even("a", &times, &[("x".into(), vec![1.0, 2.0, 3.0, 5.0, 6.0])], 3);
        assert_eq!((series.window.len(), series.split), (6, 4));
        assert!(series.window.columns[0][3].is_missing());
    }
}
