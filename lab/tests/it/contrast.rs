//! A short contrast campaign records what it says and leaves nothing behind.

use std::fs;

use super::{groups, lab};

const HOST: &str = "foretwin-contrast";

fn column(header: &str, name: &str) -> usize {
    header.split(',').position(|column| column == name).unwrap_or_else(|| panic!("no column {name}"))
}

#[test]
fn a_campaign_records_faults_and_their_truth() {
    let Some(root) = groups() else { return };
    let dir = tempfile::tempdir().unwrap();
    let arguments = ["--learn-s", "4", "--fault-s", "4", "--gap-s", "1", "--grades", "100", "--kinds"];
    let done = lab()
        .args(["contrast", "--out"])
        .arg(dir.path())
        .args(arguments)
        .arg("quota,leak,cpu_hog")
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(!root.join(HOST).exists(), "groups are left behind");
    let truth = fs::read_to_string(dir.path().join("truth.csv")).unwrap();
    assert_eq!(truth.lines().count(), 4, "{truth}");
    assert!(truth.contains("cpu_hog,1,") && truth.contains("foretwin-contrast/cpu-hog"), "{truth}");
    let seconds = fs::read_to_string(dir.path().join("seconds.csv")).unwrap();
    let mut lines = seconds.lines();
    let header = lines.next().unwrap();
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    assert!(rows.len() >= 15 && rows.iter().all(|row| row.len() == header.split(',').count()));
    // Each fault shows in its counter while it lasts.
    let grown = |kind: &str, name: &str| {
        let fault = truth.lines().find(|line| line.starts_with(&format!("{kind},"))).unwrap();
        let bounds: Vec<f64> = fault.split(',').skip(2).take(2).map(|end| end.parse().unwrap()).collect();
        let at = column(header, name);
        let during: Vec<f64> = rows
            .iter()
            .filter(|row| (bounds[0]..=bounds[1]).contains(&row[0].parse().unwrap()))
            .map(|row| row[at].parse().unwrap())
            .collect();
        during.last().unwrap() - during.first().unwrap()
    };
    assert!(grown("quota", "pod/original|throttled_us") > 2e5);
    assert!(grown("leak", "original|leaked") > 4e6);
    assert!(grown("cpu_hog", "cpu-hog|cpu_us") > 5e5);
}
