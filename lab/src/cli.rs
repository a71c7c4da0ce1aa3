//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand, ValueEnum};

use crate::campaign::{Mixture, campaign};
use crate::clean::clean;
use crate::contrast::{self, ContrastConfig};
use crate::group::Hierarchies;
use crate::host::{Host, HostConfig};
use crate::judge::{JudgeConfig, Judgement, ReplaysConfig, judge, judge_replays};
use crate::ledger::Ledger;
use crate::pairs::{PairsConfig, pairs};
use crate::plan::Plan;
use crate::run::Ending;
use crate::scenario::Scenario;
use crate::{sys, worker};

/// Real processes that run to failure under a limit, with the exact time of every failure
#[derive(Debug, Parser)]
#[command(name = "foretwin-lab", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Name the scenarios
    List {
        /// For machines
        #[arg(long)]
        json: bool,
    },
    /// Run one scenario
    Run {
        #[command(flatten)]
        plan: Plan,
        /// Keep telemetry.parquet and runs.csv here
        #[arg(long)]
        out: Option<PathBuf>,
        #[command(flatten)]
        host: HostConfig,
        /// For machines
        #[arg(long)]
        json: bool,
    },
    /// Run many at once and record them
    Campaign(CampaignConfig),
    /// Run each run twice, the second time changed shortly before it fails
    Pairs {
        #[command(flatten)]
        config: PairsConfig,
        #[command(flatten)]
        host: HostConfig,
    },
    /// Run healthy load and leaks under the eyes of a running Foretwin, and judge what it foresees
    Judge {
        #[command(flatten)]
        config: JudgeConfig,
        #[command(flatten)]
        host: HostConfig,
        /// For machines
        #[arg(long)]
        json: bool,
    },
    /// Replay recorded runs of all kinds, and judge what would have been said of them
    JudgeReplays {
        #[command(flatten)]
        config: ReplaysConfig,
        /// For machines
        #[arg(long)]
        json: bool,
    },
    /// Record a service, its twin and its neighbours through one fault after another
    Contrast {
        #[command(flatten)]
        config: ContrastConfig,
        #[command(flatten)]
        host: HostConfig,
    },
    /// Remove what a killed lab left behind
    Clean {
        #[arg(long, default_value = "/var/tmp")]
        scratch: PathBuf,
    },
    /// A process of the contrast lab
    #[command(hide = true)]
    ContrastWorker {
        /// What to do, as JSON
        order: String,
    },
    /// The process under test
    #[command(hide = true)]
    Worker {
        /// What to do, as JSON
        order: String,
    },
}

#[derive(Debug, clap::Args)]
struct CampaignConfig {
    /// Runs as a JSON array of objects with the fields of `run`
    #[arg(long, conflicts_with = "plan")]
    runs: Option<PathBuf>,
    /// A mixture to draw runs from
    #[arg(long, value_enum, default_value_t = Mixture::Mixed)]
    plan: Mixture,
    /// Runs to draw
    #[arg(long, default_value_t = 20)]
    count: usize,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Multiplies every memory limit: the other half of a what-if pair
    #[arg(long, default_value_t = 1.0)]
    memory_factor: f64,
    /// Runs at once
    #[arg(long, default_value_t = 6)]
    parallel: usize,
    /// Where telemetry.parquet and runs.csv go
    #[arg(long)]
    out: PathBuf,
    #[command(flatten)]
    host: HostConfig,
    /// For machines
    #[arg(long)]
    json: bool,
}

/// Does what the command line asks.
///
/// # Errors
/// With what went wrong and what to do.
pub fn main() -> Result<ExitCode> {
    match Cli::parse().command {
        Command::List { json } => list(json)?,
        Command::Run { plan, out, host, json } => {
            sys::catch_signals();
            let host = Host::open(host)?;
            let endings = campaign(&host, vec![plan], 1, out.as_deref())?;
            ensure!(!endings.is_empty() || sys::stopped(), "nothing was run");
            report(&endings, json)?;
        }
        Command::Campaign(config) => run_campaign(config)?,
        Command::Pairs { config, host } => {
            sys::catch_signals();
            println!("{} pairs in {}", pairs(&Host::open(host)?, &config)?, config.out.display());
        }
        Command::Judge { config, host, json } => {
            sys::catch_signals();
            let host = Host::open(config.widen(host))?;
            tell(&judge(&host, &config)?, json)?;
        }
        Command::JudgeReplays { config, json } => tell_replays(&config, json)?,
        Command::Clean { scratch } => {
            let mut removed = clean(&Ledger::open(&scratch)?, &Hierarchies::find()?)?;
            if contrast::clean(&scratch)? {
                removed.push("contrast".into());
            }
            println!("removed {}", if removed.is_empty() { "nothing".into() } else { removed.join(", ") });
        }
        Command::Contrast { config, host } => {
            sys::catch_signals();
            contrast::contrast(&host, &config)?;
        }
        Command::ContrastWorker { order } => contrast::work(&order)?,
        Command::Worker { order } => worker::work(&order)?,
    }
    // As a shell reports an interrupted command.
    Ok(if sys::stopped() { ExitCode::from(130) } else { ExitCode::SUCCESS })
}

fn list(json: bool) -> Result<()> {
    let described = |scenario: &Scenario| {
        let help = scenario.to_possible_value().and_then(|value| value.get_help().map(ToString::to_string));
        (scenario.as_str(), help.unwrap_or_default(), scenario.missing())
    };
    let all: Vec<_> = Scenario::value_variants().iter().map(described).collect();
    if json {
        println!("{}", serde_json::to_string(&all)?);
        return Ok(());
    }
    for (name, help, missing) in all {
        println!("{name:<16} {help}");
        if let Some(missing) = missing {
            println!("{:<16} not on this machine: {missing}", "");
        }
    }
    Ok(())
}

fn run_campaign(config: CampaignConfig) -> Result<()> {
    sys::catch_signals();
    let mut plans = match &config.runs {
        None => config.plan.draw(config.count, config.seed),
        Some(file) => {
            let text = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
            serde_json::from_slice(&text)
                .with_context(|| format!("{} is no array of runs", file.display()))?
        }
    };
    plans.iter_mut().for_each(|plan| plan.memory_factor *= config.memory_factor);
    let host = Host::open(config.host)?;
    report(&campaign(&host, plans, config.parallel, Some(&config.out))?, config.json)
}

fn report(endings: &[Ending], json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::json!({ "runs": serde_json::to_value(endings)? }));
        return Ok(());
    }
    for end in endings {
        let (failure, name) = (end.failure.as_str(), format!("{}-{}", end.scenario, end.seed));
        println!("{} {name:<20} {failure:<18} {:8.2} s", end.rid, end.event_time);
    }
    Ok(())
}

fn tell_replays(config: &ReplaysConfig, json: bool) -> Result<()> {
    let found = judge_replays(config)?;
    print!("{}", if json { serde_json::to_string(&found)? + "\n" } else { found.text() });
    Ok(())
}

fn tell(judgement: &Judgement, json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string(judgement)?);
        return Ok(());
    }
    let or_none = |value: Option<f64>| value.map_or("-".into(), |value| format!("{value:.2}"));
    println!("leak      died        lead s   p at 60 s  covered at 60 s / 120 s  origins covered");
    for leak in &judgement.leaks {
        let yes = |answer: Option<bool>| answer.map_or("-", |yes| if yes { "yes" } else { "no" });
        println!(
            "{:<9} {:<10} {:>7} {:>11}  {:>7} / {:<7} {:>14} of {}",
            leak.rid,
            leak.failure,
            or_none(leak.lead_s),
            or_none(leak.p_60s_before),
            yes(leak.covered_60s),
            yes(leak.covered_120s),
            leak.origins_covered,
            leak.origins
        );
    }
    for worry in judgement.healthy.iter().take(5) {
        println!("healthy   {:.3} at most for {} ({})", worry.max_probability, worry.instance, worry.of);
    }
    println!("{}", serde_json::to_string_pretty(&judgement.summary)?);
    Ok(())
}
