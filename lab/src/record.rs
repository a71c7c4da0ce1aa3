//! Keeps runs: telemetry as Parquet, endings as CSV.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{Type, TypePtr};

use crate::run::{Ending, Outcome};
use crate::sample::Row;

/// How a column is taken from a row.
enum Field {
    Int(fn(&Row) -> i64),
    Float(fn(&Row) -> f64),
}
use Field::{Float, Int};

/// The columns after `rid`, in the order of the recorded data that judges know; new ones stand at the end.
const COLUMNS: [(&str, Field); 24] = [
    ("t", Float(|row| row.t)),
    ("vsize", Int(|row| row.vsize)),
    ("rss", Int(|row| row.rss)),
    ("mem_limit", Int(|row| row.mem_limit)),
    ("cpu_ticks", Int(|row| row.cpu_ticks)),
    ("minflt", Int(|row| row.minflt)),
    ("majflt", Int(|row| row.majflt)),
    ("nfds", Int(|row| row.nfds)),
    ("fd_limit", Int(|row| row.fd_limit)),
    ("disk_used", Int(|row| row.disk_used)),
    ("disk_cap", Int(|row| row.disk_cap)),
    ("req", Int(|row| row.req)),
    ("lat_ms_mean", Float(|row| row.lat_ms_mean)),
    ("lat_ms_max", Float(|row| row.lat_ms_max)),
    ("errors", Int(|row| row.errors)),
    ("offered_rate", Float(|row| row.offered_rate)),
    ("mem_usage", Int(|row| row.mem_usage)),
    ("mem_cache", Int(|row| row.mem_cache)),
    ("cpu_ns", Int(|row| row.cpu_ns)),
    ("pids", Int(|row| row.pids)),
    ("pid_limit", Int(|row| row.pid_limit)),
    ("inodes_used", Int(|row| row.inodes_used)),
    ("inode_cap", Int(|row| row.inode_cap)),
    ("cores", Float(|row| row.cores)),
];

const HEADER: &str = "rid,scenario,seed,T,mem_cap,disk_cap,onset,designed_tte,failure,event_time,censored,\
                      memory_factor,group,start_unix,host_limited";

fn schema() -> Result<TypePtr> {
    let rid = Type::primitive_type_builder("rid", Physical::BYTE_ARRAY)
        .with_logical_type(Some(LogicalType::String))
        .with_repetition(Repetition::REQUIRED)
        .build()?;
    let mut fields = vec![Arc::new(rid)];
    for (name, field) in &COLUMNS {
        let physical = if matches!(field, Int(_)) { Physical::INT64 } else { Physical::DOUBLE };
        let column =
            Type::primitive_type_builder(name, physical).with_repetition(Repetition::REQUIRED).build()?;
        fields.push(Arc::new(column));
    }
    Ok(Arc::new(Type::group_type_builder("telemetry").with_fields(fields).build()?))
}

/// Writes `telemetry.parquet` and `runs.csv` of a directory, run by run.
pub struct Recorder {
    telemetry: SerializedFileWriter<File>,
    runs: File,
}

impl Recorder {
    /// Begins both files.
    ///
    /// # Errors
    /// If the directory or a file cannot be made.
    pub fn create(dir: &Path) -> Result<Self> {
        std::fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
        let make = |name: &str| {
            let path = dir.join(name);
            File::create(&path).with_context(|| format!("making {}", path.display()))
        };
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let telemetry =
            SerializedFileWriter::new(make("telemetry.parquet")?, schema()?, Arc::new(properties))?;
        let mut runs = make("runs.csv")?;
        writeln!(runs, "{HEADER}").context("writing runs.csv")?;
        Ok(Self { telemetry, runs })
    }

    /// Adds a run, as a row group of its own.
    ///
    /// # Errors
    /// If writing fails.
    pub fn add(&mut self, outcome: &Outcome) -> Result<()> {
        writeln!(self.runs, "{}", line(&outcome.ending)).context("writing runs.csv")?;
        if outcome.rows.is_empty() {
            return Ok(());
        }
        let mut group = self.telemetry.next_row_group()?;
        let rids = vec![ByteArray::from(outcome.ending.rid.as_str()); outcome.rows.len()];
        write_column::<ByteArrayType>(&mut group, &rids)?;
        for (_, field) in &COLUMNS {
            let rows = outcome.rows.iter();
            match field {
                Int(take) => write_column::<Int64Type>(&mut group, &rows.map(take).collect::<Vec<_>>())?,
                Float(take) => write_column::<DoubleType>(&mut group, &rows.map(take).collect::<Vec<_>>())?,
            };
        }
        group.close()?;
        Ok(())
    }

    /// Ends both files; without this the telemetry cannot be read.
    ///
    /// # Errors
    /// If writing fails.
    pub fn finish(self) -> Result<()> {
        self.telemetry.close().context("ending telemetry.parquet")?;
        self.runs.sync_all().context("syncing runs.csv")
    }
}

fn write_column<T: parquet::data_type::DataType>(
    group: &mut SerializedRowGroupWriter<'_, File>,
    values: &[T::T],
) -> Result<()> {
    let mut column = group.next_column()?.context("the schema has fewer columns than rows have fields")?;
    column.typed::<T>().write_batch(values, None, None)?;
    column.close()?;
    Ok(())
}

fn line(end: &Ending) -> String {
    // Booleans as pandas writes them.
    let truth = |value: bool| if value { "True" } else { "False" };
    [
        end.rid.clone(),
        end.scenario.to_string(),
        end.seed.to_string(),
        end.duration_s.to_string(),
        end.mem_cap.to_string(),
        end.disk_cap.to_string(),
        format!("{:.3}", end.onset),
        format!("{:.3}", end.designed_tte),
        end.failure.as_str().into(),
        format!("{:.4}", end.event_time),
        truth(end.censored).into(),
        end.memory_factor.to_string(),
        end.group.clone(),
        format!("{:.4}", end.start_unix),
        truth(end.host_limited).into(),
    ]
    .join(",")
}

/// Reads how the runs of a `runs.csv` ended; the system's words are not in it.
///
/// # Errors
/// If the file cannot be read, or a cell makes no sense.
pub fn read_runs(path: &Path) -> Result<Vec<Ending>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    lines.map(|line| ending(&names, line).with_context(|| format!("{}: {line}", path.display()))).collect()
}

fn ending(names: &[&str], line: &str) -> Result<Ending> {
    let cells: Vec<&str> = line.split(',').collect();
    let cell = |name: &str| {
        let at = names.iter().position(|known| *known == name);
        at.and_then(|at| cells.get(at).copied()).with_context(|| format!("no column {name}"))
    };
    let number = |name: &str| -> Result<f64> { cell(name)?.parse().with_context(|| name.to_owned()) };
    let whole = |name: &str| -> Result<u64> { cell(name)?.parse().with_context(|| name.to_owned()) };
    let word = |name: &str| Ok::<_, anyhow::Error>(serde_json::Value::from(cell(name)?));
    Ok(Ending {
        rid: cell("rid")?.into(),
        scenario: serde_json::from_value(word("scenario")?).context("scenario")?,
        seed: whole("seed")?,
        duration_s: number("T")?,
        mem_cap: whole("mem_cap")?,
        disk_cap: whole("disk_cap")?,
        onset: number("onset")?,
        designed_tte: number("designed_tte")?,
        failure: serde_json::from_value(word("failure")?).context("failure")?,
        event_time: number("event_time")?,
        censored: cell("censored")? == "True",
        memory_factor: number("memory_factor")?,
        group: cell("group")?.into(),
        start_unix: number("start_unix")?,
        host_limited: cell("host_limited")? == "True",
        message: String::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{FailureKind, Scenario};
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::RowAccessor;

    fn outcome(rid: &str, rows: usize) -> Outcome {
        let ending = Ending {
            rid: rid.into(),
            scenario: Scenario::Linear,
            seed: 7,
            duration_s: 110.0,
            mem_cap: 1 << 28,
            disk_cap: 0,
            onset: 9.5,
            designed_tte: 50.0,
            failure: FailureKind::Oom,
            event_time: 61.25,
            censored: false,
            memory_factor: 1.5,
            group: "/foretwin-lab/linear-7".into(),
            start_unix: 1.7e9,
            host_limited: false,
            message: "words, with a comma".into(),
        };
        let row = |at: usize| Row { t: at as f64 / 2.0, vsize: at as i64, inode_cap: 9, ..Row::default() };
        Outcome { ending, rows: (0..rows).map(row).collect() }
    }

    #[test]
    fn files_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut recorder = Recorder::create(dir.path()).unwrap();
        for (rid, rows) in [("r000", 3), ("r001", 0), ("r002", 2)] {
            recorder.add(&outcome(rid, rows)).unwrap();
        }
        recorder.finish().unwrap();
        let reader =
            SerializedFileReader::new(File::open(dir.path().join("telemetry.parquet")).unwrap()).unwrap();
        let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
        assert_eq!(rows.len(), 5);
        assert_eq!(rows[2].get_string(0).unwrap(), "r000");
        assert_eq!((rows[2].get_double(1).unwrap(), rows[2].get_long(2).unwrap()), (1.0, 2));
        assert_eq!((rows[4].get_string(0).unwrap().as_str(), rows[4].get_long(23).unwrap()), ("r002", 9));
        let csv = std::fs::read_to_string(dir.path().join("runs.csv")).unwrap();
        let width = HEADER.split(',').count();
        assert!(csv.lines().all(|line| line.split(',').count() == width), "{csv}");
        let read = read_runs(&dir.path().join("runs.csv")).unwrap();
        let told = Ending { message: String::new(), ..outcome("r000", 3).ending };
        assert_eq!((read.len(), &read[0]), (3, &told));
        assert!(csv.contains("r000,linear,7,110,268435456,0,9.500,50.000,oom,61.2500,False,1.5,"));
    }
}
