//! `foretwin replay FILE..`: recorded telemetry through the whole pipeline, faster than real time, as if live.

mod episodes;
mod predictions;
mod warned;

use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Instant, SystemTime};

use anyhow::{Context, Result, ensure};
use foretwin_core::{Prediction, Timestamp, Window};
use foretwin_engine::{Config, Replay, Replayed, ReplayedAlert};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use crate::cli::ReplayArgs;
use crate::commands::run::Shown;
use crate::settings::Settings;
use crate::table::{self, Table};
use episodes::Episodes;
use predictions::Predictions;
use warned::Warned;

/// Horizon of what is predicted.
const HORIZON_S: f64 = 3600.0;

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

/// A recording as it is replayed.
struct Recording {
    table: Table,
    window: Window,
    /// How far it was moved on the clock, in µs.
    shift_us: i64,
}

/// Where what is found goes, row by row.
struct Sinks {
    scores: Option<BufWriter<File>>,
    predictions: Option<Predictions>,
}

/// What a replay found.
struct Found {
    episodes: Episodes,
    warned: Warned,
    prediction: Prediction,
    seconds: f64,
}

pub fn replay(args: &ReplayArgs) -> Result<ExitCode> {
    let alone = args.files.len() == 1;
    ensure!(alone || args.out.is_none(), "--out is of one recording: give one file, or --predictions");
    ensure!(alone || args.listen.is_none(), "--listen shows one recording: give one file");
    ensure!(args.every > 0.0, "--every {}: give a number of seconds above zero", args.every);
    let predictions = args.predictions.as_deref().map(|path| Predictions::create(path, args.every));
    let mut sinks =
        Sinks { scores: args.out.as_deref().map(scores).transpose()?, predictions: predictions.transpose()? };
    let mut documents = Vec::new();
    for path in &args.files {
        documents.push(one(args, path, &mut sinks)?);
    }
    sinks.predictions.map_or(Ok(()), Predictions::finish)?;
    if args.json {
        let document = if alone { documents.remove(0) } else { json!({ "recordings": documents }) };
        println!("{}", serde_json::to_string_pretty(&document)?);
    }
    Ok(ExitCode::SUCCESS)
}

fn scores(path: &Path) -> Result<BufWriter<File>> {
    let mut file = BufWriter::new(File::create(path).context("--out")?);
    writeln!(file, "t,score,failure_probability").context("--out")?;
    Ok(file)
}

/// Replays one file; what was found, for machines.
fn one(args: &ReplayArgs, path: &Path, sinks: &mut Sinks) -> Result<Value> {
    let recording = Recording::read(args, path)?;
    // Nobody needs the replayed copy afterwards, however it ends.
    let dir = tempfile::Builder::new().prefix("foretwin-replay-").tempdir().context("making a directory")?;
    let mut settings = Settings { data_dir: dir.path().into(), ..Settings::default() };
    settings.serve.listen = args.listen.unwrap_or(settings.serve.listen);
    let config = settings.engine()?;
    // An address that cannot be had is told before the work.
    let shown = args.listen.map(|_| Shown::at(&settings)).transpose()?;
    let replay = Replay::new(&config, dir.path())?;
    let found = find(&replay, &recording, sinks)?;
    if !args.json {
        let (rows, seconds) = (recording.window.len(), found.seconds);
        print!("{}: {rows} rows in {seconds:.1} s, {}", path.display(), found.episodes.text());
        print!("{}", found.warned.text());
    }
    if let Some(shown) = shown {
        show(shown, replay, (&config, &recording))?;
    }
    let mut document = json!({
        "file": path, "rows": recording.window.len(), "metrics": recording.table.names.len(),
        "seconds": found.seconds, "alerts": found.warned.described(), "prediction": found.prediction,
    });
    found.episodes.described(&mut document);
    Ok(document)
}

fn show(shown: Shown, replay: Replay, (config, recording): (&Config, &Recording)) -> Result<()> {
    eprintln!(
        "showing it at {}, as if its last row were of now; Ctrl-C ends it",
        shown.address(&recording.window.instance)
    );
    shown.until_stopped(replay.into_node(config)?)
}

impl Recording {
    fn read(args: &ReplayArgs, path: &Path) -> Result<Self> {
        let table = table::read(path)?;
        let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or("recording");
        let mut window = table.recording(name, &args.limit).with_context(|| path.display().to_string())?;
        let shift_us = args.listen.map_or(0, |_| to_now(&mut window));
        Ok(Self { table, window, shift_us })
    }
}

/// Replays a recording that was moved by so much; tells by its own times.
fn find(replay: &Replay, recording: &Recording, sinks: &mut Sinks) -> Result<Found> {
    let (window, shift_us, started) = (&recording.window, recording.shift_us, Instant::now());
    let progress = bar(window.len() as u64, window.instance.as_str());
    let mut episodes = Episodes::default();
    let mut written = Ok(());
    if let Some(predictions) = &mut sinks.predictions {
        predictions.begin();
    }
    let alerts: Vec<ReplayedAlert> = replay.run(window, &mut |row, mut replayed| {
        progress.set_position(row as u64 + 1);
        if written.is_ok() {
            written = sinks.take(replay, recording, (row, &replayed));
        }
        replayed.at = replayed.at - shift_us;
        episodes.take(&replayed);
    })?;
    progress.finish_and_clear();
    written.and_then(|()| sinks.scores.as_mut().map_or(Ok(()), |out| out.flush().context("--out")))?;
    let mut prediction = replay.predict(window, HORIZON_S)?;
    prediction.at = prediction.at - shift_us;
    let warned = Warned::new(alerts, window.times.last().copied().unwrap_or_default(), shift_us);
    Ok(Found { episodes, warned, prediction, seconds: started.elapsed().as_secs_f64() })
}

impl Sinks {
    /// Writes what is wanted of a row.
    fn take(&mut self, replay: &Replay, of: &Recording, (row, replayed): (usize, &Replayed)) -> Result<()> {
        let t = of.table.times[row];
        if let Some(out) = &mut self.scores {
            let score = replayed.judgement.as_ref().map_or(f64::NAN, |judged| judged.score.0);
            writeln!(out, "{t},{score},{}", replayed.failure_probability).context("--out")?;
        }
        if let Some(predictions) = &mut self.predictions
            && predictions.is_due(replayed.at)
        {
            let mut prediction = replay.predict(&of.window, HORIZON_S)?;
            prediction.at = prediction.at - of.shift_us;
            predictions.add(t, &prediction)?;
        }
        Ok(())
    }
}

/// Moves a recording so that its last row is of now, for a node lets go of what is old; says by how much, in µs.
fn to_now(recording: &mut Window) -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now_us = i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
    let shift_us = recording.times.last().map_or(0, |last| now_us.saturating_sub(last.0));
    recording.times.iter_mut().for_each(|at| *at = Timestamp(at.0.saturating_add(shift_us)));
    shift_us
}
