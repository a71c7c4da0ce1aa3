//! Keeps a campaign: one row a second, the runner's bytes as they came, and the truth.
//!
//! Rows are written as they are made, so that a campaign can be looked at while it lasts and a killed one is not lost.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::ChildStdout;
use std::thread;

use anyhow::{Context, Result};
use foretwin_host::ABSENT;

use super::counters::Counters;
use super::plan::Fault;
use super::pod::HOST;
use super::service::Fared;

/// The files of a campaign.
pub struct Record {
    seconds: File,
    truth: File,
}

impl Record {
    /// Begins `seconds.csv`, `truth.csv` and, where a runner runs, `frames.bin`.
    ///
    /// # Errors
    /// If a file cannot be made.
    pub fn create(dir: &Path, frames: Option<ChildStdout>) -> Result<Self> {
        std::fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
        let make = |name: &str| {
            let path = dir.join(name);
            File::create(&path).with_context(|| format!("making {}", path.display()))
        };
        let (mut seconds, mut truth) = (make("seconds.csv")?, make("truth.csv")?);
        let service = ["requests", "errors", "offered", "mean_s", "p50_s", "p90_s", "p99_s", "leaked"];
        let service = service.iter().map(|name| format!("original|{name}"));
        let names: Vec<String> = service.chain(Counters::names()).collect();
        writeln!(seconds, "t,{}", names.join(",")).context("writing seconds.csv")?;
        writeln!(truth, "kind,strength,begin,end,consumer").context("writing truth.csv")?;
        if let Some(from) = frames {
            keep(from, make("frames.bin")?)?;
        }
        Ok(Self { seconds, truth })
    }

    /// Adds a second.
    ///
    /// # Errors
    /// If writing fails.
    pub fn second(&mut self, at_unix: f64, fared: &Fared, counters: &[u64]) -> Result<()> {
        let or_empty = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.6}"));
        let mut fields = vec![
            format!("{at_unix:.3}"),
            fared.requests.to_string(),
            fared.errors.to_string(),
            fared.offered.to_string(),
        ];
        fields.extend([fared.mean_s, fared.p50_s, fared.p90_s, fared.p99_s].map(or_empty));
        fields.push(format!("{:.0}", fared.leaked));
        let counter = |&value: &u64| if value == ABSENT { String::new() } else { value.to_string() };
        fields.extend(counters.iter().map(counter));
        writeln!(self.seconds, "{}", fields.join(",")).context("writing seconds.csv")
    }

    /// Adds a fault that is over.
    ///
    /// # Errors
    /// If writing fails.
    pub fn fault(&mut self, fault: &Fault, begin_unix: f64, end_unix: f64) -> Result<()> {
        let consumer = fault
            .kind
            .neighbour()
            .map_or(String::new(), |name| format!("{}/{name}", HOST.trim_start_matches('/')));
        writeln!(self.truth, "{},{},{begin_unix:.3},{end_unix:.3},{consumer}", fault.kind, fault.strength)
            .context("writing truth.csv")
    }
}

/// Copies what the runner writes until it ends.
fn keep(mut from: ChildStdout, mut to: File) -> Result<()> {
    let act = move || {
        let mut chunk = [0; 4096];
        loop {
            match from.read(&mut chunk) {
                Ok(0) | Err(_) => return,
                Ok(read) => {
                    if to.write_all(&chunk[..read]).is_err() {
                        return;
                    }
                }
            }
        }
    };
    thread::Builder::new().spawn(act).context("starting the keeper of frames")?;
    Ok(())
}
