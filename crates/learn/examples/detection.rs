//! Writes `OUT/NAME.csv` (label, score) for every `NAME.train.parquet` and `NAME.test.parquet` in a directory.
//!
//! `cargo run --release -p foretwin-learn --example detection -- DATA_DIR OUT_DIR [linear]`

use std::error::Error;
use std::fmt::Write;
use std::fs::File;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use foretwin_core::{InstanceId, Metric, Role, Schema, Storage, Timestamp, Value, Window};
use foretwin_learn::{Config, detect};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};

fn number(field: &Field) -> f64 {
    match field {
        Field::Bool(x) => f64::from(u8::from(*x)),
        Field::Byte(x) => f64::from(*x),
        Field::UByte(x) => f64::from(*x),
        Field::Short(x) => f64::from(*x),
        Field::Int(x) => f64::from(*x),
        Field::Long(x) => *x as f64,
        Field::Float(x) => f64::from(*x),
        Field::Double(x) => *x,
        _ => f64::NAN,
    }
}

/// The metrics of a file as a window, and its labels (empty without a column `label`).
fn read(path: &Path) -> Result<(Window, Vec<f64>), Box<dyn Error>> {
    let rows: Vec<Row> =
        SerializedFileReader::new(File::open(path)?)?.get_row_iter(None)?.collect::<Result<_, _>>()?;
    let first = rows.first().ok_or("a file without rows")?;
    let is_metric = |name: &str| name != "t" && name != "label";
    let metrics = first.get_column_iter().filter(|(name, _)| is_metric(name));
    let metrics =
        metrics.map(|(name, _)| Metric::gauge(name, "1", Role::Utilization).stored(Storage::F64)).collect();
    let mut window = Window::new(InstanceId::new("benchmark"), Schema::new(metrics));
    let (mut labels, mut values) = (Vec::new(), Vec::new());
    for row in &rows {
        values.clear();
        let mut at = Timestamp(0);
        for (name, field) in row.get_column_iter() {
            match name.as_str() {
                "t" => at = Timestamp::from_seconds(number(field)),
                "label" => labels.push(number(field)),
                _ => values.push(Value::float(number(field))),
            }
        }
        window.push(at, &values);
    }
    Ok((window, labels))
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [data, out, rest @ ..] = &arguments[..] else {
        return Err("usage: detection DATA_DIR OUT_DIR [linear]".into());
    };
    let mut config = Config::default();
    if rest.iter().any(|word| word == "linear") {
        config.lstm_min_rows = usize::MAX;
    }
    std::fs::create_dir_all(out)?;
    let mut names: Vec<String> = std::fs::read_dir(data)?
        .filter_map(|entry| {
            Some(entry.ok()?.file_name().to_str()?.strip_suffix(".train.parquet")?.to_owned())
        })
        .collect();
    names.sort();
    for name in names {
        let (train, _) = read(&Path::new(data).join(format!("{name}.train.parquet")))?;
        let (test, labels) = read(&Path::new(data).join(format!("{name}.test.parquet")))?;
        let start = Instant::now();
        let scores = detect(&train, &test, (&config, 1), &mut |_| ControlFlow::Continue(()))?;
        println!("{name}: {} rows in {:.2} s", scores.len(), start.elapsed().as_secs_f64());
        let mut csv = String::from("label,score\n");
        for (label, score) in labels.iter().zip(&scores) {
            writeln!(csv, "{label},{score:.9}")?;
        }
        std::fs::write(Path::new(out).join(format!("{name}.csv")), csv)?;
    }
    Ok(())
}
