//! `foretwin evaluate fleet`: a fleet that is simulated minute by minute, foreseen by the product's own path, and judged.

mod calibration;
mod judge;
mod plot;
mod report;
mod run;
#[cfg(test)]
mod tests;
mod watch;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use foretwin_foresee::Config;

use crate::commands::replay::bar;
use world::Plan;

#[derive(Debug, Args)]
pub struct FleetArgs {
    /// Instances of the fleet
    #[arg(long, default_value_t = 1000)]
    pub instances: usize,
    /// Days that it lives
    #[arg(long, default_value_t = 30)]
    pub days: u32,
    /// Days until the first lesson from what failed; alerts begin then [default: a third of all]
    #[arg(long)]
    pub learn_days: Option<u32>,
    /// Draw said against came to this SVG file
    #[arg(long)]
    pub plot: Option<PathBuf>,
    /// Seed of everything random
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// One JSON document instead of text
    #[arg(long)]
    pub json: bool,
}

/// Simulates, judges and reports.
pub(super) fn run(args: &FleetArgs) -> Result<ExitCode> {
    let learn_days = args.learn_days.unwrap_or(args.days / 3);
    if args.instances < 20 || learn_days == 0 || learn_days >= args.days {
        bail!("--instances must be at least 20, and --learn-days between 1 and one less than --days");
    }
    let plan = Plan { instances: args.instances, days: args.days, seed: args.seed, misfortune: 1.0 };
    let config = Config::default();
    let progress = bar(u64::from(args.days), "days");
    let course = run::run(plan, learn_days, &config, |_| progress.inc(1));
    progress.finish_and_clear();
    let (judgement, horizons) = (judge::judge(&course), calibration::calibrate(&course, &config.horizons_s));
    if let Some(path) = &args.plot {
        let caption = format!(
            "{} simulated instances, days {} to {}, seed {}; learned from {} failures; bars: 95 %",
            plan.instances, learn_days, plan.days, plan.seed, course.lessons
        );
        let svg = plot::draw(&horizons, &caption);
        std::fs::write(path, svg).with_context(|| format!("writing {}", path.display()))?;
    }
    if args.json {
        println!("{}", report::json(&course, &judgement, &horizons));
    } else {
        print!("{}", report::text(&course, &judgement, &horizons));
    }
    Ok(ExitCode::SUCCESS)
}
