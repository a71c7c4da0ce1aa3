//! `foretwin replay FILE`: recorded telemetry through the whole pipeline, faster than real time, as if live.

use std::io::{BufWriter, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Instant, SystemTime};

use anyhow::{Context, Result};
use foretwin_core::{Timestamp, Window};
use foretwin_engine::{Replay, Replayed};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use crate::cli::ReplayArgs;
use crate::commands::run::Shown;
use crate::settings::Settings;
use crate::table::{self, Table};

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
    let mut recording = table.window(name);
    let shift_us = args.listen.map_or(0, |_| to_now(&mut recording));
    // Nobody needs the replayed copy afterwards, however it ends.
    let dir = tempfile::Builder::new().prefix("foretwin-replay-").tempdir().context("making a directory")?;
    let mut settings = Settings { data_dir: dir.path().into(), ..Settings::default() };
    settings.serve.listen = args.listen.unwrap_or(settings.serve.listen);
    let config = settings.engine()?;
    // An address that cannot be had is told before the work.
    let shown = args.listen.map(|_| Shown::at(&settings)).transpose()?;
    let (started, replay) = (Instant::now(), Replay::new(&config, dir.path())?);
    let findings = findings(&replay, (&recording, &table), args.out.as_deref(), shift_us)?;
    let prediction = replay.predict(&recording, 3600.0)?;
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
    if let Some(shown) = shown {
        eprintln!(
            "showing it at {}, as if its last row were of now; Ctrl-C ends it",
            shown.address(&recording.instance)
        );
        shown.until_stopped(replay.into_node(&config)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Replays a recording that was moved by so much; tells scores by its own times.
fn findings(
    replay: &Replay,
    (recording, table): (&Window, &Table),
    out: Option<&Path>,
    shift_us: i64,
) -> Result<Findings> {
    let mut out = out.map(std::fs::File::create).transpose().context("--out")?.map(BufWriter::new);
    if let Some(out) = &mut out {
        writeln!(out, "t,score,failure_probability")?;
    }
    let progress = bar(recording.len() as u64, recording.instance.as_str());
    let mut findings = Findings::default();
    let mut written = Ok(());
    replay.run(recording, &mut |row, mut replayed| {
        progress.set_position(row as u64 + 1);
        replayed.at = replayed.at - shift_us;
        findings.take(&replayed);
        if let (Some(out), Ok(())) = (&mut out, &written) {
            let score = replayed.judgement.as_ref().map_or(f64::NAN, |judged| judged.score.0);
            written = writeln!(out, "{},{score},{}", table.times[row], replayed.failure_probability);
        }
    })?;
    progress.finish_and_clear();
    written.and_then(|()| out.map_or(Ok(()), |mut out| out.flush())).context("--out")?;
    Ok(findings)
}

/// Moves a recording so that its last row is of now, for a node lets go of what is old; says by how much, in µs.
fn to_now(recording: &mut Window) -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now_us = i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
    let shift_us = recording.times.last().map_or(0, |last| now_us.saturating_sub(last.0));
    recording.times.iter_mut().for_each(|at| *at = Timestamp(at.0.saturating_add(shift_us)));
    shift_us
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
