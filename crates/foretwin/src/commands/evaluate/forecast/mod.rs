//! `foretwin evaluate forecast`: forecasts 1, 10, 60 and 600 steps ahead against VAR, seasonal naive, ETS and a straight line.
//!
//! Every method learns from the first part of a series only, and forecasts from many origins in the rest, each from what
//! came before it. The regressions' and the LSTM's choices are made within the first part.

mod bands;
mod ets;
mod forecasts;
mod load;
mod report;
mod simulated;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::cli::ForecastArgs;
use crate::commands::replay::bar;
use forecasts::Cohort;
use report::Measured;

/// Measures every series and reports, one by one and pooled.
pub(super) fn run(args: &ForecastArgs) -> Result<ExitCode> {
    let series = match (&args.data, args.simulated) {
        (Some(data), _) => load::load(data)?,
        (None, Some(seeds)) => simulated::simulated(seeds),
        (None, None) => bail!("nothing to forecast: give --data DIR, or --simulated 5"),
    };
    std::fs::create_dir_all(&args.out).with_context(|| format!("making {}", args.out.display()))?;
    let chosen: Vec<&load::Series> = match args.sample {
        Some(most) if most < series.len() => (0..most).map(|n| &series[n * series.len() / most]).collect(),
        _ => series.iter().collect(),
    };
    let cohorts = Cohort::of(&chosen, args);
    let progress = bar(chosen.len() as u64, "series");
    let mut results: Vec<Measured> = Vec::new();
    for series in chosen {
        let cohort = series.group.as_ref().and_then(|group| cohorts.get(group));
        match forecasts::measure(series, cohort, args) {
            Some(found) => results.push(found),
            None => eprintln!("{}: too short, left out", series.name),
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    report::write(&args.out, &results)?;
    if args.json {
        println!("{}", report::summary(&results, args.seed));
    } else {
        report::print(&results);
    }
    Ok(ExitCode::SUCCESS)
}
