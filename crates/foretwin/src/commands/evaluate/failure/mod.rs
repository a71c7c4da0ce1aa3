//! `foretwin evaluate failure` and `evaluate whatif`: learns from recorded runs to failure, predicts others.

mod runs;
mod score;
mod whatif;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use foretwin_core::Quantiles;
use foretwin_foresee::{Alert, Experience, Record, Situation};

use crate::cli::RunsArgs;
use runs::{Run, Told};
pub(super) use whatif::run as whatif;

/// Horizons that are stated, in seconds; the middle one is judged.
const HORIZONS_S: [f64; 3] = [10.0, 20.0, 40.0];
const JUDGED: usize = 1;
/// Origins: from the first on, every so many seconds.
const FIRST_S: f64 = 15.0;
const EVERY_S: f64 = 5.0;
/// A run that was trained on is predicted by a model that was not: the runs are cut into so many parts.
const FOLDS: usize = 10;

/// What is said at one origin.
#[derive(Debug, Clone)]
struct Said {
    t: f64,
    within: Vec<f64>,
    time_to_failure: Quantiles,
    alert: bool,
}

/// Predicts the runs of `--data` by what the runs of `--train` taught.
pub(super) fn run(args: &RunsArgs) -> Result<ExitCode> {
    let told = runs::told(&args.train)?;
    let train = records(&args.train, Some(&told), args.seed)?;
    let learned: Vec<(&String, &Record)> = train.iter().filter(|(rid, _)| told.contains_key(*rid)).collect();
    if learned.is_empty() {
        bail!("--train: no run of telemetry.parquet is in runs.csv");
    }
    let all = Experience::learn(&cloned(&learned, None), &HORIZONS_S);
    let parts: Vec<Experience> =
        (0..FOLDS).map(|fold| Experience::learn(&cloned(&learned, Some(fold)), &HORIZONS_S)).collect();
    let fold_of: BTreeMap<&String, usize> =
        learned.iter().enumerate().map(|(index, (rid, _))| (*rid, fold(index))).collect();
    let expert = |rid: &String| fold_of.get(rid).map_or(&all, |&fold| &parts[fold]);

    let data = records(&args.data, None, args.seed)?;
    let mut out = String::from("rid,t,horizon_s,p_fail,ttf_p10,ttf_p50,ttf_p90,alert\n");
    for (rid, record) in &data {
        for said in state(record, expert(rid), args.threshold) {
            write(&mut out, rid, &said);
        }
    }
    std::fs::write(&args.out, out).with_context(|| format!("writing {}", args.out.display()))?;

    let checked = learned
        .iter()
        .map(|(rid, record)| (&told[*rid], state(record, expert(rid), args.threshold), record.outcome));
    let summary = score::summarise(checked.collect(), args.seed);
    if args.json {
        println!("{}", summary.json(data.len()));
    } else {
        println!("{}", summary.text(data.len()));
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs are dealt to the folds in turn, in the order of their names.
fn fold(index: usize) -> usize {
    index % FOLDS
}

/// The records outside `left_out`.
fn cloned(learned: &[(&String, &Record)], left_out: Option<usize>) -> Vec<Record> {
    let kept = learned.iter().enumerate().filter(|(index, _)| Some(fold(*index)) != left_out);
    kept.map(|(_, (_, record))| (*record).clone()).collect()
}

/// The situations of every run of a folder, with their outcomes where they are told.
fn records(
    dir: &std::path::Path,
    told: Option<&BTreeMap<String, Told>>,
    seed: u64,
) -> Result<BTreeMap<String, Record>> {
    let runs = runs::read(&dir.join("telemetry.parquet"))?;
    let record = |(rid, run): (String, Run)| {
        let moments =
            origins(run.end_s()).map(|t| (t, Situation::new(&run.growths(t, None, seed), &HORIZONS_S)));
        let known = told.and_then(|told| told.get(&rid)).map(|told| told.outcome);
        let unknown =
            foretwin_foresee::Outcome { ended_s: run.end_s(), failed: false, mode: None, onset_s: None };
        (rid, Record { identity: None, moments: moments.collect(), outcome: known.unwrap_or(unknown) })
    };
    Ok(runs.into_iter().map(record).collect())
}

/// Moments to predict at; one more than the rows reach to, since a run may outlive its last row.
fn origins(end_s: f64) -> impl Iterator<Item = f64> {
    (0..).map(|step| FIRST_S + EVERY_S * f64::from(step)).take_while(move |t| *t <= end_s + EVERY_S)
}

/// What is said of a run, origin by origin.
fn state(record: &Record, experience: &Experience, threshold: f64) -> Vec<Said> {
    let mut alert = Alert::default();
    let said = record.moments.iter().map(|(t, situation)| {
        let statement = experience.judge(situation, record.identity);
        let alert = alert.take(statement.within[JUDGED], threshold);
        Said { t: *t, within: statement.within, time_to_failure: statement.time_to_failure, alert }
    });
    said.collect()
}

fn write(out: &mut String, rid: &str, said: &Said) {
    let Quantiles { p10, p50, p90 } = said.time_to_failure;
    let [p10, p50, p90] = [p10, p50, p90].map(|quantile| quantile.unwrap_or(f64::INFINITY));
    for (horizon, p) in HORIZONS_S.iter().zip(&said.within) {
        let (t, alert) = (said.t, u8::from(said.alert));
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{rid},{t},{horizon},{p:.5},{p10:.2},{p50:.2},{p90:.2},{alert}");
    }
}
