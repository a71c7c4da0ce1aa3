//! CSV with a header; numbers, and nothing for what is missing.

use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::Table;

/// Reads a whole file.
pub fn read(path: &Path) -> Result<Table> {
    parse(BufReader::new(std::fs::File::open(path)?))
}

/// The same, compressed by gzip.
pub fn read_compressed(path: &Path) -> Result<Table> {
    parse(BufReader::new(flate2::read::MultiGzDecoder::new(std::fs::File::open(path)?)))
}

fn parse(text: impl BufRead) -> Result<Table> {
    let mut lines = text.lines();
    let header = lines.next().context("the file is empty")??;
    let names: Vec<String> = header.split(',').map(|name| name.trim().trim_matches('"').to_owned()).collect();
    let mut columns = vec![Vec::new(); names.len()];
    for (at, line) in lines.enumerate() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        let cells: Vec<&str> = line.split(',').collect();
        if cells.len() != names.len() {
            bail!("line {}: {} cells, but the header has {}", at + 2, cells.len(), names.len());
        }
        for ((column, cell), name) in columns.iter_mut().zip(cells).zip(&names) {
            let number = number(cell.trim().trim_matches('"'));
            column.push(number.with_context(|| format!("line {}, column {name}: {cell:?}", at + 2))?);
        }
    }
    Table::from_columns(names, columns)
}

/// A number, or a date and time `YYYY-MM-DD HH:MM:SS` (as NAB writes it) in seconds since the epoch.
fn number(cell: &str) -> Result<f64> {
    if cell.is_empty() {
        return Ok(f64::NAN);
    }
    if let Ok(number) = cell.parse() {
        return Ok(number);
    }
    date_time(cell).context("is neither a number nor YYYY-MM-DD HH:MM:SS")
}

fn date_time(text: &str) -> Option<f64> {
    let (date, time) = text.split_once([' ', 'T'])?;
    let fields = |text: &str, by: char| -> Option<Vec<f64>> {
        text.trim_end_matches('Z').split(by).map(|field| field.parse().ok()).collect()
    };
    let (date, time) = (fields(date, '-')?, fields(time, ':')?);
    let ([year, month, day], [hour, minute, second]) = (date.as_slice(), time.as_slice()) else {
        return None;
    };
    // Days from the civil date (Howard Hinnant, "chrono-compatible low-level date algorithms").
    let y = if *month <= 2.0 { year - 1.0 } else { *year };
    let era = (y / 400.0).floor();
    let yoe = y - era * 400.0;
    let mp = (month + 9.0) % 12.0;
    let doy = ((153.0 * mp + 2.0) / 5.0).floor() + day - 1.0;
    let doe = yoe * 365.0 + (yoe / 4.0).floor() - (yoe / 100.0).floor() + doy;
    let days = era * 146_097.0 + doe - 719_468.0;
    Some(days * 86_400.0 + hour * 3600.0 + minute * 60.0 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_numbers_gaps_and_dates() {
        let table = parse("timestamp,a,b\n1970-01-02 00:00:01,1.5,\n86402,2,3\n".as_bytes()).unwrap();
        assert_eq!(table.times, [86_401.0, 86_402.0]);
        assert_eq!(table.columns[0], [1.5, 2.0]);
        assert!(table.columns[1][0].is_nan());
        assert_eq!(date_time("2014-04-01 00:00:00"), Some(1_396_310_400.0));
    }

    #[test]
    fn errors_name_line_and_column() {
        let error = format!("{:#}", parse("t,a\n1,x\n".as_bytes()).unwrap_err());
        assert!(error.contains("line 2, column a"), "{error}");
        assert!(parse("t,a\n1\n".as_bytes()).unwrap_err().to_string().contains("line 2"));
        assert!(parse("".as_bytes()).is_err());
    }
}
