//! Pairs of runs with one seed, one of them changed shortly before it fails: what a change was really worth.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use foretwin_core::Rng;

use crate::campaign::{Mixture, campaign};
use crate::change::Change;
use crate::host::Host;
use crate::load::Load;
use crate::plan::Plan;
use crate::run::Ending;
use crate::scenario::{FailureKind, Scenario};
use crate::sys;
use crate::work::between;

/// Runs drawn for each pair: not all of them fail, and some too soon after their onset to be asked about.
const DRAWN: f64 = 1.6;
/// A changed run may last this many times as long.
const LONGER: f64 = 2.5;
/// Seconds before the failure at which is asked, and that trouble must have lasted by then.
const LEAD_S: (f64, f64) = (10.0, 25.0);
const LASTED_S: f64 = 8.0;
/// How much more memory the other run has.
const MEMORY_FACTOR: f64 = 1.5;
/// Processor time of a request where processors matter, ms.
const REQUEST_MS: (f64, f64) = (8.0, 14.0);

/// What is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// 1.5 times the memory
    Memory,
    /// A quota of processor time below what the load needs
    Cpu,
    /// Half the load, or twice
    Load,
    /// The process is started again
    Restart,
}

/// What is asked of the pairs.
#[derive(Debug, Clone, clap::Args)]
pub struct PairsConfig {
    /// What the second run of a pair has changed
    #[arg(long, value_enum)]
    pub what: What,
    /// Pairs
    #[arg(long, default_value_t = 12)]
    pub count: usize,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Runs at once
    #[arg(long, default_value_t = 6)]
    pub parallel: usize,
    /// Where telemetry.parquet and runs.csv of the first runs go, `changed/` with those of the second, and
    /// whatif_pairs.csv and whatif_truth.csv
    #[arg(long)]
    pub out: PathBuf,
}

/// One pair: the run that failed, and when is asked.
struct Pair {
    base: Ending,
    origin_s: f64,
    changed: Plan,
}

/// Runs and records pairs; how many there are.
///
/// # Errors
/// If a run could not be run or recorded.
pub fn pairs(host: &Host, config: &PairsConfig) -> Result<usize> {
    ensure!(config.count > 0, "--count: give at least 1");
    let drawn = (config.count as f64 * DRAWN).ceil() as usize;
    let plans = config.what.plans(drawn, config.seed);
    let bases = campaign(host, plans.clone(), config.parallel, Some(&config.out))?;
    let mut pairs: Vec<Pair> =
        plans.iter().enumerate().filter_map(|(at, plan)| pair(config.what, (at, plan), &bases)).collect();
    pairs.truncate(config.count);
    ensure!(
        !pairs.is_empty() || sys::stopped(),
        "no run failed late enough after its onset: give more --count"
    );
    let changed: Vec<Plan> = pairs.iter().map(|pair| pair.changed.clone()).collect();
    let endings = campaign(host, changed, config.parallel, Some(&config.out.join("changed")))?;
    write(&config.out, &pairs, &endings)?;
    Ok(pairs.len())
}

impl What {
    /// Runs that fail, if nothing is changed.
    fn plans(self, count: usize, seed: u64) -> Vec<Plan> {
        let mut plans = Mixture::Leaks.draw(count, seed);
        for (at, plan) in plans.iter_mut().enumerate() {
            let mut rng = Rng::new(plan.seed ^ 0x7061_6972);
            match self {
                Self::Memory | Self::Restart => {}
                // Every third does not follow the load: a change of it must then be seen to change nothing.
                Self::Load if at % 3 == 2 => plan.scenario = Scenario::Linear,
                Self::Load => plan.scenario = Scenario::LoadCoupled,
                Self::Cpu => {
                    plan.scenario = Scenario::LoadCoupled;
                    plan.request_ms = between(&mut rng, REQUEST_MS.0, REQUEST_MS.1);
                }
            }
        }
        plans
    }

    /// The other run.
    fn changed(self, plan: &Plan, change_at_s: f64) -> Plan {
        let mut rng = Rng::new(plan.seed ^ 0x6368_616e);
        let change = Change { change_at_s, ..Change::default() };
        let mut plan = Plan { duration_s: LONGER * plan.duration_s, change, ..plan.clone() };
        match self {
            Self::Memory => plan.memory_factor = MEMORY_FACTOR,
            Self::Load => plan.change.load_factor = if rng.uniform() < 0.5 { 0.5 } else { 2.0 },
            Self::Restart => plan.change.restart = true,
            Self::Cpu => {
                let needed = Load::new(plan.draw().load_seed).mean() * plan.request_ms / 1e3;
                plan.change.cpu_cores = Some(needed * between(&mut rng, 0.35, 0.65));
            }
        }
        plan
    }
}

/// Asks about a run that ran out of memory a while after its onset.
fn pair(what: What, (at, plan): (usize, &Plan), bases: &[Ending]) -> Option<Pair> {
    let base = bases.iter().find(|base| base.rid == format!("r{at:03}"))?;
    let mut rng = Rng::new(plan.seed ^ 0x6c65_6164);
    // Rows are half a second apart: nothing is asked between two.
    let origin_s = (2.0 * (base.event_time - between(&mut rng, LEAD_S.0, LEAD_S.1))).floor() / 2.0;
    let asked = base.failure == FailureKind::Oom && !base.host_limited && origin_s > base.onset + LASTED_S;
    asked.then(|| Pair { base: base.clone(), origin_s, changed: what.changed(plan, origin_s) })
}

/// Asks and tells, in the columns that judges know; the time of the changed run is named after the first change asked.
fn write(out: &Path, pairs: &[Pair], endings: &[Ending]) -> Result<()> {
    let mut asked = String::from("rid,origin_s,memory_factor,load_factor,cpu_cores,restart\n");
    let mut told = String::from("rid,scenario,t_fail_base,t_fail_1p5x,fail_cf\n");
    for (at, Pair { base, origin_s, changed }) in pairs.iter().enumerate() {
        let Some(end) = endings.iter().find(|end| end.rid == format!("r{at:03}")) else { continue };
        let Change { load_factor, cpu_cores, restart, .. } = changed.change;
        let cores = cpu_cores.map(|cores| format!("{cores:.4}")).unwrap_or_default();
        asked += &format!(
            "{},{origin_s},{},{load_factor},{cores},{}\n",
            base.rid,
            changed.memory_factor,
            u8::from(restart)
        );
        told += &format!(
            "{},{},{:.2},{:.2},{}\n",
            base.rid,
            base.scenario,
            base.event_time,
            end.event_time,
            end.failure.as_str()
        );
    }
    for (name, text) in [("whatif_pairs.csv", asked), ("whatif_truth.csv", told)] {
        fs::write(out.join(name), text).with_context(|| format!("writing {name}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_change_differs() {
        for what in What::value_variants() {
            for plan in what.plans(6, 40) {
                let changed = what.changed(&plan, 30.0);
                changed.check().unwrap();
                assert_eq!(changed.draw(), plan.draw());
                assert_ne!(
                    (changed.memory_factor, changed.change.name()),
                    (plan.memory_factor, String::new())
                );
            }
        }
    }
}
