//! Telemetry as something to learn: standardised frames, and the change to the next one.

use std::error::Error;
use std::fs::File;
use std::path::Path;

use foretwin_learn::lstm::Series;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;

use super::plant::{Plant, WIDTH};

/// The part of the rows that is learned from.
const HEAD: f64 = 0.8;

/// A simulated week at 1 Hz.
pub fn week(seed: u64, rows: usize) -> Vec<Vec<f32>> {
    let mut plant = Plant::new(seed);
    let mut frame = Vec::with_capacity(WIDTH);
    (0..rows)
        .map(|row| {
            plant.step(row as f64, &mut frame);
            frame.clone()
        })
        .collect()
}

/// The metrics of a Parquet file, without its time.
pub fn read(path: &Path) -> Result<Vec<Vec<f32>>, Box<dyn Error>> {
    let reader = SerializedFileReader::new(File::open(path)?)?;
    let mut rows = Vec::new();
    for row in reader.get_row_iter(None)? {
        let row = row?;
        let metrics = row.get_column_iter().filter(|(name, _)| *name != "t" && *name != "label");
        rows.push(
            metrics
                .map(|(_, field)| match field {
                    Field::Float(x) => *x,
                    Field::Double(x) => *x as f32,
                    Field::Long(x) => *x as f32,
                    Field::Int(x) => *x as f32,
                    _ => f32::NAN,
                })
                .collect(),
        );
    }
    Ok(rows)
}

/// Mean and deviation of a column over the head; a constant column has the deviation 1.
fn moments(rows: &[Vec<f32>], value: impl Fn(usize) -> f32) -> (f32, f32) {
    let n = rows.len() as f64;
    let mean = (0..rows.len()).map(|row| f64::from(value(row))).sum::<f64>() / n;
    let square = (0..rows.len()).map(|row| (f64::from(value(row)) - mean).powi(2)).sum::<f64>() / n;
    (mean as f32, if square < 1e-12 { 1.0 } else { square.sqrt() as f32 })
}

/// What to learn: from a standardised frame and those before it, the change to the next frame in units of the
/// change's deviation. Expecting no change has the error 1.
pub fn series(rows: &[Vec<f32>]) -> Series {
    let (width, count) = (rows[0].len(), rows.len() - 1);
    let head = (count as f64 * HEAD) as usize;
    let (mut inputs, mut targets) = (vec![0.0; count * width], vec![0.0; count * width]);
    for column in 0..width {
        let (mean, deviation) = moments(&rows[..head], |row| rows[row][column]);
        let change = |row: usize| rows[row + 1][column] - rows[row][column];
        let (_, unit) = moments(&rows[..head], change);
        for row in 0..count {
            inputs[row * width + column] = ((rows[row][column] - mean) / deviation).clamp(-4.0, 4.0);
            targets[row * width + column] = (change(row) / unit).clamp(-4.0, 4.0);
        }
    }
    Series { inputs, targets, keep: vec![1.0; count], head }
}
