//! `foretwin replay FILE`: recorded telemetry through the whole pipeline, faster than real time, as if live.

use std::io::{BufWriter, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};
use foretwin_core::Timestamp;
use foretwin_engine::{Replay, Replayed};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use crate::cli::ReplayArgs;
use crate::settings::Settings;
use crate::table;

/// A bar on a terminal, nothing when piped.
pub fn bar(length: u64, label: &str) -> ProgressBar {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let style = ProgressStyle::with_template("{msg:24} {bar:30} {pos}/{len} {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(length), target).with_style(style).with_message(label.to_owned())
}

/// A span of rows that were anomalous one after the other.
struct Episode {
    from: Timestamp,
    to: Timestamp,
    rows: usize,
    worst: f64,
    metric: String,
}

/// What is worth telling of a replay.
#[derive(Default)]
struct Findings {
    scored: usize,
    anomalous: usize,
    episodes: Vec<Episode>,
}

impl Findings {
    fn take(&mut self, row: &Replayed) {
        let Some(judged) = &row.judgement else { return };
        self.scored += 1;
        if !judged.score.is_anomalous() {
            return;
        }
        self.anomalous += 1;
        let metric = judged.contributions.first().map(|part| part.metric.clone()).unwrap_or_default();
        // Rows within a minute belong to one episode.
        match self.episodes.last_mut().filter(|last| row.at.since(last.to) <= 60.0) {
            Some(last) => {
                (last.to, last.rows) = (row.at, last.rows + 1);
                if judged.score.0 > last.worst {
                    (last.worst, last.metric) = (judged.score.0, metric);
                }
            }
            None => {
                let (from, to, worst) = (row.at, row.at, judged.score.0);
                self.episodes.push(Episode { from, to, rows: 1, worst, metric });
            }
        }
    }
}

pub fn replay(args: &ReplayArgs) -> Result<ExitCode> {
    let table = table::read(&args.file)?;
    let name = args.file.file_stem().and_then(|stem| stem.to_str()).unwrap_or("recording");
    let recording = table.window(name);
    let config = Settings::default().engine()?;
    // Nobody needs the replayed copy afterwards, however it ends.
    let dir = tempfile::Builder::new().prefix("foretwin-replay-").tempdir().context("making a directory")?;
    let mut out =
        args.out.as_ref().map(std::fs::File::create).transpose().context("--out")?.map(BufWriter::new);
    if let Some(out) = &mut out {
        writeln!(out, "t,score,failure_probability")?;
    }
    let started = Instant::now();
    let progress = bar(recording.len() as u64, name);
    let mut findings = Findings::default();
    let mut written = Ok(());
    let replay = Replay::new(&config, dir.path())?;
    replay.run(&recording, &mut |row, replayed| {
        progress.set_position(row as u64 + 1);
        findings.take(&replayed);
        if let (Some(out), Ok(())) = (&mut out, &written) {
            let score = replayed.judgement.as_ref().map_or(f64::NAN, |judged| judged.score.0);
            written = writeln!(out, "{},{score},{}", table.times[row], replayed.failure_probability);
        }
    })?;
    progress.finish_and_clear();
    written.and_then(|()| out.map_or(Ok(()), |mut out| out.flush())).context("--out")?;
    let prediction = replay.predict(&recording, 3600.0)?;
    drop(replay);
    let seconds = started.elapsed().as_secs_f64();
    let summary = json!({
        "file": args.file, "rows": recording.len(), "metrics": table.names.len(), "scored": findings.scored,
        "anomalous": findings.anomalous, "seconds": seconds, "prediction": prediction,
        "episodes": findings.episodes.iter().map(described).collect::<Vec<_>>(),
    });
    if args.json {
        println!("{}", serde_json::to_string_pretty(&summary)?);
    } else {
        print(&findings, recording.len(), seconds);
    }
    Ok(ExitCode::SUCCESS)
}

fn described(episode: &Episode) -> Value {
    json!({"from_us": episode.from, "to_us": episode.to, "rows": episode.rows, "worst": episode.worst,
        "metric": episode.metric})
}

fn print(findings: &Findings, rows: usize, seconds: f64) {
    println!(
        "{rows} rows in {seconds:.1} s, {} scored, {} anomalous in {} episodes",
        findings.scored,
        findings.anomalous,
        findings.episodes.len()
    );
    for episode in &findings.episodes {
        let (from, to) = (episode.from, episode.to);
        println!(
            "  {from} to {to}: {} rows, worst {:.1}, first of all {}",
            episode.rows, episode.worst, episode.metric
        );
    }
}
