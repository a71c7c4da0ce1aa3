//! The acceptance experiment: does a running Foretwin foresee real leaks, and keep quiet about healthy load?

#[cfg(test)]
mod fake;
mod poll;
mod recordings;
mod replays;
mod score;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use crate::campaign::{Stage, each};
use crate::host::{Host, HostConfig};
use crate::http::Server;
use crate::plan::Plan;
use crate::record::Recorder;
use crate::run;
use crate::scenario::Scenario;
use crate::sys;
use poll::{Aim, Oracle, Told};
pub use replays::{ReplaysConfig, judge_replays};
use score::{Foreseen, Summary, Worry};

/// What the judge does.
#[derive(Debug, Clone, clap::Args)]
pub struct JudgeConfig {
    /// The Foretwin to judge
    #[arg(long, default_value = "http://127.0.0.1:7878")]
    pub server: String,
    /// Minutes of varied healthy load before the leaks
    #[arg(long, default_value_t = 30.0)]
    pub healthy_minutes: f64,
    /// Leaks to run
    #[arg(long, default_value_t = 10)]
    pub leaks: usize,
    /// Shapes of the leaks, in turn
    #[arg(long, value_enum, value_delimiter = ',', default_value = "linear")]
    pub shapes: Vec<Scenario>,
    /// Runs at once
    #[arg(long, default_value_t = 5)]
    pub parallel: usize,
    /// Memory limit of each run, MB
    #[arg(long, default_value_t = 256.0)]
    pub memory_mb: f64,
    /// About how fast memory leaks, MB/s
    #[arg(long, default_value_t = 1.0)]
    pub rate_mb_s: f64,
    /// The first seed; give another one to judge the same Foretwin again
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Where predictions, telemetry and the summary go
    #[arg(long)]
    pub out: PathBuf,
}

/// What the judge found.
#[derive(Debug, Clone, Serialize)]
pub struct Judgement {
    /// In a few numbers.
    pub summary: Summary,
    /// Leak by leak.
    pub leaks: Vec<Foreseen>,
    /// Healthy instances, most worrying first.
    pub healthy: Vec<Worry>,
}

impl JudgeConfig {
    /// The lab host grows with the runs that the experiment wants at once.
    pub fn widen(&self, mut host: HostConfig) -> HostConfig {
        let wanted = (self.parallel as f64 * self.memory_mb).ceil() as u64;
        if wanted > host.host_memory_mb {
            eprintln!("the lab host gets {wanted} MB, for {} runs at once", self.parallel);
            host.host_memory_mb = wanted;
        }
        host
    }

    fn plan(&self, scenario: Scenario, seed: u64, duration_s: f64) -> Plan {
        let (memory_mb, rate_mb_s) = (self.memory_mb, self.rate_mb_s);
        Plan { scenario, seed, memory_mb, rate_mb_s, duration_s, ..Plan::default() }
    }

    /// One long run per place, all truly healthy: a leak that is fixed in time may rightly alarm while it leaks.
    fn healthy_plans(&self) -> Vec<Plan> {
        let kinds = [
            Scenario::Healthy,
            Scenario::Plateau,
            Scenario::PageCache,
            Scenario::Rotation,
            Scenario::Healthy,
        ];
        let one = |at: usize| {
            self.plan(kinds[at % kinds.len()], self.seed + at as u64, self.healthy_minutes * 60.0)
        };
        (0..self.parallel).filter(|_| self.healthy_minutes > 0.0).map(one).collect()
    }

    fn leak_plans(&self) -> Vec<Plan> {
        let duration_s = 60.0 + 3.0 * self.memory_mb / self.rate_mb_s;
        let one = |at: usize| {
            self.plan(self.shapes[at % self.shapes.len()], self.seed + 1000 + at as u64, duration_s)
        };
        (0..self.leaks).map(one).collect()
    }
}

/// Runs the experiment.
///
/// # Errors
/// If the server cannot be reached, runs cannot be run, or nothing can be recorded.
pub fn judge(host: &Host, config: &JudgeConfig) -> Result<Judgement> {
    ensure!(!config.shapes.is_empty() && config.parallel > 0, "give at least one shape and one run at once");
    ensure!(host.has_groups(), "Foretwin watches control groups, and none can be made here: run as root");
    let oracle = Oracle::open(Server::parse(&config.server)?, &config.out)?;
    let stage = Stage::new(host);
    let (healthy, leaks) = (stage.admit(config.healthy_plans())?, stage.admit(config.leak_plans())?);
    let court = Court { stage, oracle, recorder: Mutex::new(Recorder::create(&config.out)?) };
    let told = court.healthy_phase(&healthy, config.parallel)?;
    let healthy = score::worries(&told);
    let (leaks, failed) = court.leak_phase(&leaks, config.parallel);
    court.recorder.into_inner().unwrap_or_else(PoisonError::into_inner).finish()?;
    let judgement = Judgement { summary: score::summarize(&leaks, &healthy), leaks, healthy };
    keep(&config.out, &judgement)?;
    ensure!(failed == 0, "{failed} leaks could not be run; judgement.json holds the others");
    Ok(judgement)
}

fn keep(out: &Path, judgement: &impl Serialize) -> Result<()> {
    let path = out.join("judgement.json");
    let text = serde_json::to_vec_pretty(judgement)?;
    std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
}

struct Court<'a> {
    stage: Stage<'a>,
    oracle: Oracle,
    recorder: Mutex<Recorder>,
}

impl Court<'_> {
    fn record(&self, outcome: &run::Outcome) -> Result<()> {
        self.recorder.lock().unwrap_or_else(PoisonError::into_inner).add(outcome)
    }

    /// Runs healthy load while every instance is asked about every five seconds.
    fn healthy_phase(&self, plans: &[Plan], parallel: usize) -> Result<Vec<Told>> {
        if plans.is_empty() {
            return Ok(Vec::new());
        }
        let over = AtomicBool::new(false);
        let (failed, told) = thread::scope(|scope| {
            let asking = scope.spawn(|| self.ask_everyone(&over));
            let failed = self.stage.run_all(plans, parallel, &|mut outcome| {
                outcome.ending.rid = format!("h-{}", outcome.ending.rid);
                self.record(&outcome)
            });
            over.store(true, Ordering::SeqCst);
            (failed, asking.join())
        });
        ensure!(failed == 0, "{failed} healthy runs could not be run");
        told.map_err(|_| anyhow::anyhow!("asking about healthy instances failed"))
    }

    fn ask_everyone(&self, over: &AtomicBool) -> Vec<Told> {
        let mut told = Vec::new();
        let mut clock = Beat::every(5.0);
        while clock.wait(over) {
            let round = self.oracle.instances().and_then(|names| {
                let memory = Aim::memory();
                names
                    .iter()
                    .map(|name| self.oracle.ask("healthy", (name, &memory)))
                    .collect::<Result<Vec<_>>>()
            });
            match round {
                Ok(round) => told.extend(round.into_iter().flatten()),
                Err(error) => eprintln!("asking about healthy instances: {error:#}"),
            }
        }
        told
    }

    /// Runs the leaks while each one's own instance is asked about every second; also how many could not be run.
    fn leak_phase(&self, plans: &[Plan], parallel: usize) -> (Vec<Foreseen>, usize) {
        let foreseen = Mutex::new(Vec::new());
        let failed = each(plans, parallel, &|at, plan| {
            let one = self.leak(&format!("l-r{at:03}"), plan)?;
            foreseen.lock().unwrap_or_else(PoisonError::into_inner).extend(one);
            Ok(())
        });
        let mut foreseen = foreseen.into_inner().unwrap_or_else(PoisonError::into_inner);
        foreseen.sort_by(|a: &Foreseen, b| a.rid.cmp(&b.rid));
        (foreseen, failed)
    }

    fn leak(&self, rid: &str, plan: &Plan) -> Result<Option<Foreseen>> {
        let over = AtomicBool::new(false);
        let (outcome, told) = thread::scope(|scope| {
            let asking = scope.spawn(|| self.ask_about(plan, &over));
            let outcome = self.stage.run(rid, plan);
            over.store(true, Ordering::SeqCst);
            (outcome, asking.join())
        });
        let Some(outcome) = outcome? else { return Ok(None) };
        self.record(&outcome)?;
        let told = told.map_err(|_| anyhow::anyhow!("asking about {} failed", plan.name()))?;
        Ok(Some(score::foresee(&outcome.ending, &told)))
    }

    /// Asks about the instance whose resource runs out: the group, or for a file system the machine that it is of.
    fn ask_about(&self, plan: &Plan, over: &AtomicBool) -> Vec<Told> {
        let shared = plan.scenario.needs().small_disk;
        let aim = Aim::of(plan.scenario, shared.then(|| format!("/{}.disk", plan.name())));
        let group = &run::group_path(plan);
        let (mut told, mut name) = (Vec::new(), None);
        let mut clock = Beat::every(1.0);
        let mut complained = false;
        while clock.wait(over) {
            let answer = self.find(&mut name, group).and_then(|name| match name {
                Some(name) if shared => self.oracle.ask("leak", (machine_of(name, group), &aim)),
                Some(name) => self.oracle.ask("leak", (name, &aim)),
                None => Ok(None),
            });
            match answer {
                Ok(answer) => told.extend(answer),
                Err(error) if !complained => {
                    complained = true;
                    eprintln!("asking about {group}: {error:#} (said once)");
                }
                Err(_) => (),
            }
        }
        told
    }

    /// The instance of a group, once Foretwin has found it.
    fn find<'n>(&self, name: &'n mut Option<String>, group: &str) -> Result<Option<&'n str>> {
        if name.is_none() {
            *name = self.oracle.instances()?.into_iter().find(|id| id.ends_with(group));
        }
        Ok(name.as_deref())
    }
}

/// The machine that a group of this path is on.
fn machine_of<'a>(instance: &'a str, group: &str) -> &'a str {
    instance.strip_suffix(group).unwrap_or(instance)
}

/// A steady beat that can be ended early.
struct Beat {
    next_s: f64,
    every_s: f64,
}

impl Beat {
    fn every(every_s: f64) -> Self {
        Self { next_s: sys::monotonic_s(), every_s }
    }

    /// Waits for the next beat; false when it is over.
    fn wait(&mut self, over: &AtomicBool) -> bool {
        loop {
            if over.load(Ordering::SeqCst) || sys::stopped() {
                return false;
            }
            let rest = self.next_s - sys::monotonic_s();
            if rest <= 0.0 {
                break;
            }
            thread::sleep(Duration::from_secs_f64(rest.min(0.05)));
        }
        // A slow server shifts the beat rather than being asked in bursts.
        self.next_s = (self.next_s + self.every_s).max(sys::monotonic_s());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        config: JudgeConfig,
    }

    #[test]
    fn the_experiment_keeps_leaks_out_of_the_healthy_phase() {
        let config = Line::parse_from(["x", "--out", "o", "--shapes", "linear,step", "--leaks", "3"]).config;
        let healthy = config.healthy_plans();
        assert_eq!(healthy.len(), 5);
        assert!(healthy.iter().all(|plan| plan.scenario != Scenario::FixedLeak && plan.duration_s == 1800.0));
        let leaks = config.leak_plans();
        let kinds: Vec<_> = leaks.iter().map(|plan| plan.scenario).collect();
        assert_eq!(kinds, [Scenario::Linear, Scenario::Step, Scenario::Linear]);
        let mut names: Vec<String> = healthy.iter().chain(&leaks).map(Plan::name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 8);
    }

    #[test]
    fn beats_end_at_once() {
        let over = AtomicBool::new(false);
        let mut beat = Beat::every(100.0);
        assert!(beat.wait(&over));
        over.store(true, Ordering::SeqCst);
        assert!(!beat.wait(&over));
    }
}
