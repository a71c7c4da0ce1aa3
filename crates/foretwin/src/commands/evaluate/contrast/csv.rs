//! The lab's comma-separated files: a header, then fields without quotes.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};

/// A file read whole.
pub struct Csv {
    columns: HashMap<String, usize>,
    /// Rows of fields.
    pub rows: Vec<Vec<String>>,
}

impl Csv {
    /// Reads a file. A last line that was cut short by a kill is left out.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let mut lines = whole.lines();
        let header = lines.next().with_context(|| format!("{} is empty", path.display()))?;
        let columns: HashMap<String, usize> =
            header.split(',').enumerate().map(|(at, name)| (name.to_owned(), at)).collect();
        let rows: Vec<Vec<String>> = lines.map(|line| line.split(',').map(str::to_owned).collect()).collect();
        ensure!(
            rows.iter().all(|row: &Vec<String>| row.len() == columns.len()),
            "{}: a row has another width than the header",
            path.display()
        );
        Ok(Self { columns, rows })
    }

    /// A field as text; empty where there is no such column.
    pub fn text(&self, row: usize, column: &str) -> &str {
        self.columns.get(column).map_or("", |&at| &self.rows[row][at])
    }

    /// A field as a number, NaN where it is not one.
    pub fn number(&self, row: usize, column: &str) -> f64 {
        self.text(row, column).parse().unwrap_or(f64::NAN)
    }

    /// Growth of a counter per second since the row before, NaN for the first one.
    pub fn rate(&self, row: usize, column: &str) -> f64 {
        let Some(before) = row.checked_sub(1) else { return f64::NAN };
        let seconds = self.number(row, "t") - self.number(before, "t");
        let grown = self.number(row, column) - self.number(before, column);
        if grown >= 0.0 && seconds > 0.0 { grown / seconds } else { f64::NAN }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_become_rates_and_a_cut_line_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("seconds.csv");
        std::fs::write(&path, "t,a|n,b\n1.0,10,x\n3.0,16,\n4.0,2,y\n5.0,4").unwrap();
        let csv = Csv::read(&path).unwrap();
        assert_eq!(csv.rows.len(), 3);
        assert_eq!((csv.rate(1, "a|n"), csv.text(0, "b")), (3.0, "x"));
        assert!(csv.rate(0, "a|n").is_nan() && csv.rate(2, "a|n").is_nan() && csv.number(1, "b").is_nan());
        assert!(csv.number(0, "nothing").is_nan());
    }
}
