//! The failure lab: real processes that run to failure under a limit, with the exact time of every failure.
//!
//! Each run is one worker process in a control group of its own below the lab host `/foretwin-lab`. Foretwin knows
//! nothing of the lab: it watches these groups as it would watch any. `list` names the scenarios, `run` and
//! `campaign` run and record them, `pairs` records what a change was worth, `judge` measures how well a running
//! Foretwin foresees them, `contrast` records a service, its
//! twin and bad neighbours.

mod campaign;
mod change;
mod clean;
mod cli;
mod contrast;
mod group;
mod hoard;
mod host;
mod http;
mod judge;
mod ledger;
mod load;
mod mounts;
mod pairs;
mod plan;
mod progress;
mod record;
mod run;
mod sample;
mod scenario;
mod sys;
mod work;
mod worker;

fn main() -> anyhow::Result<std::process::ExitCode> {
    cli::main()
}
