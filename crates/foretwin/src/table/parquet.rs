//! Parquet with flat columns of numbers.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result, bail};
use parquet::column::reader::ColumnReader;
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};

use super::Table;

/// Reads a whole file; columns that hold no numbers are left out.
pub fn read(path: &Path) -> Result<Table> {
    let reader = SerializedFileReader::new(File::open(path)?)?;
    let schema = reader.metadata().file_metadata().schema_descr_ptr();
    let mut names = Vec::new();
    let mut columns = Vec::new();
    for at in 0..schema.num_columns() {
        let described = schema.column(at);
        if described.max_rep_level() > 0 {
            bail!("column {}: lists are not read; store one number per row", described.path());
        }
        let mut column = Vec::new();
        let mut numeric = true;
        for group in 0..reader.num_row_groups() {
            let group = reader.get_row_group(group)?;
            numeric &= append(group.as_ref(), at, described.max_def_level(), &mut column)
                .with_context(|| format!("column {}", described.path()))?;
        }
        if numeric {
            names.push(described.path().string());
            columns.push(column);
        }
    }
    Table::from_columns(names, columns)
}

/// Appends one column of one row group; false if it holds no numbers.
fn append(group: &dyn RowGroupReader, at: usize, max_def: i16, into: &mut Vec<f64>) -> Result<bool> {
    let rows = group.metadata().num_rows() as usize;
    macro_rules! numbers {
        ($reader:expr, $to:expr) => {{
            let mut definitions = Vec::new();
            let mut values = Vec::new();
            let mut read = 0;
            while read < rows {
                let (records, ..) =
                    $reader.read_records(rows - read, Some(&mut definitions), None, &mut values)?;
                if records == 0 {
                    break;
                }
                read += records;
            }
            spread(values.into_iter().map($to), &definitions, max_def, into);
        }};
    }
    match group.get_column_reader(at)? {
        ColumnReader::BoolColumnReader(mut reader) => numbers!(reader, |x: bool| f64::from(u8::from(x))),
        ColumnReader::Int32ColumnReader(mut reader) => numbers!(reader, f64::from),
        ColumnReader::Int64ColumnReader(mut reader) => numbers!(reader, |x: i64| x as f64),
        ColumnReader::FloatColumnReader(mut reader) => numbers!(reader, f64::from),
        ColumnReader::DoubleColumnReader(mut reader) => numbers!(reader, |x: f64| x),
        _ => return Ok(false),
    }
    Ok(true)
}

/// Puts values where their definition level says that there is one, NaN elsewhere.
fn spread(mut values: impl Iterator<Item = f64>, definitions: &[i16], max_def: i16, into: &mut Vec<f64>) {
    if max_def == 0 {
        into.extend(values);
        return;
    }
    for &definition in definitions {
        let value = if definition == max_def { values.next() } else { None };
        into.push(value.unwrap_or(f64::NAN));
    }
}
