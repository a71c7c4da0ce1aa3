//! `foretwin evaluate`: measures by contracts that anyone can judge.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use foretwin_core::Window;
use foretwin_learn::{Job, Model, Outcome};
use serde_json::{Value, json};

use crate::cli::{DetectionArgs, Evaluate};
use crate::commands::replay::bar;
use crate::settings::Settings;
use crate::table;

pub fn evaluate(args: &Evaluate) -> Result<ExitCode> {
    match args {
        Evaluate::Detection(args) => detection(args),
    }
}

/// Trains on `NAME.train.parquet`, scores `NAME.test.parquet` row by row, writes `OUT/NAME.csv`.
fn detection(args: &DetectionArgs) -> Result<ExitCode> {
    let names = series(&args.data)?;
    std::fs::create_dir_all(&args.out).with_context(|| format!("making {}", args.out.display()))?;
    let config = Settings::default().learn;
    let mut summary = BTreeMap::new();
    for name in &names {
        let one = score_series(args, name, &config).with_context(|| name.clone())?;
        if !args.json {
            let number = |key: &str| one[key].as_f64().unwrap_or(f64::NAN);
            println!(
                "{name}: {} rows, training {:.2} core-seconds, {:.0} rows/s scored",
                one["rows"],
                number("train_cpu_s"),
                number("rows_per_s")
            );
        }
        summary.insert(name.clone(), one);
    }
    if args.json {
        println!("{}", json!({"series": summary, "seed": args.seed}));
    }
    Ok(ExitCode::SUCCESS)
}

/// Names of which both files are there.
fn series(dir: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).with_context(|| format!("--data {}", dir.display()))? {
        let file = entry?.file_name().to_string_lossy().into_owned();
        if let Some(name) = file.strip_suffix(".train.parquet") {
            if !dir.join(format!("{name}.test.parquet")).is_file() {
                bail!("--data: {file} has no {name}.test.parquet beside it");
            }
            names.push(name.to_owned());
        }
    }
    names.sort();
    if names.is_empty() {
        bail!("--data: no NAME.train.parquet in {}", dir.display());
    }
    Ok(names)
}

fn score_series(args: &DetectionArgs, name: &str, config: &foretwin_learn::Config) -> Result<Value> {
    let path = |part: &str| -> PathBuf { args.data.join(format!("{name}.{part}.parquet")) };
    let mut train = table::read(&path("train"))?;
    let mut test = table::read(&path("test"))?;
    // A label in either file is an answer, never an input; it is copied, and zero where there is none.
    train.take("label");
    let labels = test.take("label").unwrap_or_else(|| vec![0.0; test.times.len()]);
    if train.names != test.names {
        bail!("the metrics of train and test differ");
    }
    let progress = bar(100, name);
    let mut observe = |step: foretwin_learn::Progress| {
        progress.set_position((step.done * 100.0) as u64);
        ControlFlow::Continue(())
    };
    let (train, test) = (train.window(name), test.window(name));
    let started = cpu_s();
    let job = Job { seed: args.seed, ..Job::new(&train, config) };
    let model = foretwin_learn::fit(&job, &mut observe)?;
    let trained = cpu_s();
    progress.finish_and_clear();
    let began = Instant::now();
    let scores = scores(&model, &test);
    let seconds = began.elapsed().as_secs_f64();
    write(&args.out.join(format!("{name}.csv")), &labels, &scores)?;
    Ok(json!({"rows": scores.len(), "metrics": test.schema.width(), "train_cpu_s": trained - started,
        "rows_per_s": scores.len() as f64 / seconds.max(1e-9)}))
}

/// One score per row, each from rows up to its own.
fn scores(model: &Model, test: &Window) -> Vec<f64> {
    let (mut state, mut outcome, mut frame) = (model.start(), Outcome::default(), Vec::new());
    let score = |row: usize| {
        test.frame(row, &mut frame);
        model.step(&mut state, test.times[row], &frame, &mut outcome);
        outcome.score
    };
    (0..test.len()).map(score).collect()
}

fn write(path: &Path, labels: &[f64], scores: &[f64]) -> Result<()> {
    let mut text = String::from("label,score\n");
    for (label, score) in labels.iter().zip(scores) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{label},{score}");
    }
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

/// CPU seconds of this process so far.
fn cpu_s() -> f64 {
    let Ok(stat) = std::fs::read_to_string("/proc/self/stat") else { return f64::NAN };
    // The fields after the command's closing parenthesis; utime and stime are the 12th and 13th, in ticks of 10 ms.
    let fields = stat.rsplit(')').next().unwrap_or("").split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}
