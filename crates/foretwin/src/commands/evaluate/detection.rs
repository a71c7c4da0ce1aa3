//! `foretwin evaluate detection`: trains on one file of a series, scores the other, row by row.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use foretwin_core::Window;
use foretwin_learn::{Baseline, Job};
use serde_json::{Value, json};

use super::cpu_s;
use crate::cli::{DetectionArgs, Method};
use crate::commands::replay::bar;
use crate::settings::Settings;
use crate::table;

/// Trains on `NAME.train.parquet`, scores `NAME.test.parquet` row by row, writes `OUT/NAME.csv`.
pub(super) fn run(args: &DetectionArgs) -> Result<ExitCode> {
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
        println!("{}", json!({"series": summary, "method": args.method.name(), "seed": args.seed}));
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
    let (train, test) = (train.window(name), test.window(name));
    let scored = match args.method {
        Method::Foretwin => by_model(&train, &test, args.seed, config)?,
        Method::Var => by_baseline(Baseline::Var, &train, &test)?,
        Method::VarFloors => by_baseline(Baseline::VarFloors, &train, &test)?,
    };
    write(&args.out.join(format!("{name}.csv")), &labels, &scored.scores)?;
    Ok(json!({"rows": scored.scores.len(), "metrics": test.schema.width(), "train_cpu_s": scored.train_cpu_s,
        "rows_per_s": scored.rows_per_s}))
}

/// Scores of a series, and what they cost.
struct Scored {
    scores: Vec<f64>,
    train_cpu_s: f64,
    rows_per_s: f64,
}

fn by_model(train: &Window, test: &Window, seed: u64, config: &foretwin_learn::Config) -> Result<Scored> {
    let progress = bar(100, train.instance.as_str());
    let mut observe = |step: foretwin_learn::Progress| {
        progress.set_position((step.done * 100.0) as u64);
        ControlFlow::Continue(())
    };
    let started = cpu_s();
    let job = Job { seed, ..Job::new(train, config) };
    let model = foretwin_learn::fit(&job, &mut observe)?;
    let train_cpu_s = cpu_s() - started;
    progress.finish_and_clear();
    let began = Instant::now();
    let scores = foretwin_learn::scores(&model, train, test);
    let rows_per_s = scores.len() as f64 / began.elapsed().as_secs_f64().max(1e-9);
    Ok(Scored { scores, train_cpu_s, rows_per_s })
}

/// A baseline learns and scores in one call: its CPU seconds hold both.
fn by_baseline(baseline: Baseline, train: &Window, test: &Window) -> Result<Scored> {
    let (started, began) = (cpu_s(), Instant::now());
    let scores = baseline.detect(train, test)?;
    let rows_per_s = scores.len() as f64 / began.elapsed().as_secs_f64().max(1e-9);
    Ok(Scored { scores, train_cpu_s: cpu_s() - started, rows_per_s })
}

fn write(path: &Path, labels: &[f64], scores: &[f64]) -> Result<()> {
    let mut text = String::from("label,score\n");
    for (label, score) in labels.iter().zip(scores) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{label},{score}");
    }
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}
