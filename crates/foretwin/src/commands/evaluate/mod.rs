//! `foretwin evaluate`: measures by contracts that anyone can judge.

mod contrast;
mod detection;
mod failure;
pub(crate) mod fleet;
mod forecast;
mod nab;
mod rca;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::cli::{Evaluate, Format, Method};

/// Runs one of the contracts.
pub fn evaluate(args: &Evaluate) -> Result<ExitCode> {
    match args {
        Evaluate::Detection(args) => match args.format {
            Format::Parquet => detection::run(args),
            Format::Nab if args.method == Method::Foretwin => nab::run(args),
            Format::Nab => {
                bail!("--method: the baselines are for --format parquet; NAB has its own references")
            }
        },
        Evaluate::Forecast(args) => forecast::run(args),
        Evaluate::Contrast(args) => contrast::run(args),
        Evaluate::Rca(args) => rca::run(args),
        Evaluate::Failure(args) => failure::run(args),
        Evaluate::Fleet(args) => fleet::run(args),
        Evaluate::Whatif(args) => failure::whatif(args),
    }
}

/// CPU seconds of this process so far.
fn cpu_s() -> f64 {
    let Ok(stat) = std::fs::read_to_string("/proc/self/stat") else { return f64::NAN };
    // The fields after the command's closing parenthesis; utime and stime are the 12th and 13th, in ticks of 10 ms.
    let fields = stat.rsplit(')').next().unwrap_or("").split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}
