//! Parquet files of the benchmarks as windows, for the examples.

use std::error::Error;
use std::fs::File;
use std::path::Path;

use foretwin_core::{InstanceId, Metric, Role, Schema, Storage, Timestamp, Value, Window};
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
pub fn read(path: &Path) -> Result<(Window, Vec<f64>), Box<dyn Error>> {
    let rows: Vec<Row> =
        SerializedFileReader::new(File::open(path)?)?.get_row_iter(None)?.collect::<Result<_, _>>()?;
    let first = rows.first().ok_or("a file without rows")?;
    let metrics = first.get_column_iter().filter(|(name, _)| *name != "t" && *name != "label");
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

/// Names in a directory that have a training file, sorted.
pub fn names(dir: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let file = entry?.file_name();
        names.extend(file.to_str().and_then(|name| name.strip_suffix(".train.parquet")).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

/// Some of the rows of a window.
#[allow(dead_code)] // Not every example needs it.
pub fn rows(window: &Window, rows: std::ops::Range<usize>) -> Window {
    let columns = window.columns.iter().map(|column| column[rows.clone()].to_vec()).collect();
    let times = window.times[rows.clone()].to_vec();
    Window { instance: window.instance.clone(), schema: window.schema.clone(), times, columns }
}
