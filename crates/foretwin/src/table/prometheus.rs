//! The answer of a Prometheus range query, as `/api/v1/query_range` gives it.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, bail};
use serde::Deserialize;

use super::Table;

#[derive(Deserialize)]
struct Answer {
    status: String,
    #[serde(default)]
    error: String,
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "resultType")]
    kind: String,
    result: Vec<Series>,
}

#[derive(Deserialize)]
struct Series {
    metric: BTreeMap<String, String>,
    values: Vec<(f64, String)>,
}

/// Reads a whole file.
pub fn read(path: &Path) -> Result<Table> {
    parse(&std::fs::read(path)?)
}

/// Series with steps of their own are joined by time: what one lacks at a moment is missing there.
fn parse(bytes: &[u8]) -> Result<Table> {
    let answer: Answer = serde_json::from_slice(bytes)?;
    let Some(data) = answer.data.filter(|_| answer.status == "success") else {
        bail!("the query failed: {}", answer.error);
    };
    if data.kind != "matrix" {
        bail!("the result is a {}, expected a matrix: use /api/v1/query_range", data.kind);
    }
    let mut rows: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
    let names: Vec<String> = data.result.iter().map(|series| key(&series.metric)).collect();
    super::distinct(&names)?;
    for (column, series) in data.result.iter().enumerate() {
        for (seconds, value) in &series.values {
            let row = rows.entry((seconds * 1000.0).round() as i64);
            row.or_insert_with(|| vec![f64::NAN; names.len()])[column] = value.parse().unwrap_or(f64::NAN);
        }
    }
    let times = rows.keys().map(|&ms| ms as f64 / 1000.0).collect();
    let columns = (0..names.len()).map(|column| rows.values().map(|row| row[column]).collect()).collect();
    Ok(Table { times, names, columns })
}

/// `name{label=value,...}`, as Foretwin writes keys.
fn key(labels: &BTreeMap<String, String>) -> String {
    let name = labels.get("__name__").map_or("", String::as_str);
    let rest: Vec<String> = labels
        .iter()
        .filter(|(label, _)| *label != "__name__")
        .map(|(label, value)| format!("{label}={value}"))
        .collect();
    if rest.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", rest.join(",")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_series_by_time() {
        let table = parse(
            br#"{"status":"success","data":{"resultType":"matrix","result":[
            {"metric":{"__name__":"up","job":"a"},"values":[[1,"1"],[2,"0"]]},
            {"metric":{"__name__":"x"},"values":[[2,"2.5"],[3,"NaN"]]}]}}"#,
        )
        .unwrap();
        assert_eq!(table.names, ["up{job=a}", "x"]);
        assert_eq!(table.times, [1.0, 2.0, 3.0]);
        assert_eq!(table.columns[1][1], 2.5);
        assert!(table.columns[0][2].is_nan());
    }

    #[test]
    fn failures_are_told() {
        let error = parse(br#"{"status":"error","error":"bad query"}"#).err().unwrap();
        assert!(error.to_string().contains("bad query"));
    }
}
