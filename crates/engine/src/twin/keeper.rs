//! The thread that lets this machine's twins run as they shall: one set of probes, replays that were asked for,
//! rehearsals.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use foretwin_collect::Sink;
use foretwin_core::{Fidelity, InstanceId, Order, Probes, Timestamp, fnv64};
use foretwin_twin::fidelity::{Costs, Plan, Purse, plan};
use foretwin_twin::{Activity, Confinement, Desired, Report, Resources, Spec, Status, Twins};

use super::frames::Teller;
use super::probes_of;
use super::rehearsals::Rehearsals;
use super::replays::Replays;
use super::view::{LevelView, TwinState, TwinStatus};
use super::wishes::Wishes;
use crate::error::Chain;
use crate::handle::wall_clock;
use crate::pipeline::Pipeline;
use crate::threads::pause;
use crate::{Config, Error};

/// How often what is is made what it shall be.
const LOOK: Duration = Duration::from_millis(500);
/// Looks between two plans of who gets what.
const PLAN_LOOKS: u32 = 20;
/// Reports that wait for the keeper; a rehearsal makes at most twenty a second.
const QUEUE: usize = 1024;

/// Keeps twins.
pub(crate) struct Keeper {
    host: InstanceId,
    twins: Twins,
    reports: Receiver<Report>,
    teller: Teller,
    wishes: Arc<Wishes>,
    config: foretwin_twin::Config,
    directory: std::path::PathBuf,
    plan: Plan,
    replays: Option<Replays>,
    rehearsals: Rehearsals,
    levels: Vec<(Fidelity, Option<String>)>,
}

impl Keeper {
    /// A keeper of the twins of `host`. Without a pipeline, in an agent, only the probes are kept.
    ///
    /// # Errors
    /// If the twins' directory or the control groups cannot be read.
    pub(crate) fn new(
        config: &Config,
        host: &str,
        wishes: Arc<Wishes>,
        pipeline: Option<Arc<Pipeline>>,
    ) -> Result<Self, Error> {
        let (sink, reports) = sync_channel(QUEUE);
        let twins = Twins::of(&config.data_dir, &config.twin, sink)?;
        let directory = config.data_dir.join("twin").join("scratch");
        let made = std::fs::create_dir_all(&directory);
        made.map_err(|source| Error::File { operation: "making", path: directory.clone(), source })?;
        wishes.shared().enabled = true;
        let replays = pipeline.map(|pipeline| Replays::new(pipeline, &config.data_dir));
        Ok(Self {
            host: InstanceId::new(host),
            twins,
            reports,
            teller: Teller::new(host),
            wishes,
            config: config.twin.clone(),
            // Runners have a directory of their own to start from.
            directory: directory.canonicalize().unwrap_or(directory),
            plan: Plan::default(),
            replays,
            rehearsals: Rehearsals::default(),
            levels: Vec::new(),
        })
    }

    /// Keeps them until `stop`; what it hears goes to `sink`. Twins end with it.
    pub(crate) fn run(mut self, sink: &mut dyn Sink, stop: &AtomicBool) {
        let mut swept = false;
        for look in (0..PLAN_LOOKS).cycle() {
            if look == 0 {
                self.plan(Instant::now());
            }
            let desired = self.desired();
            if !swept {
                let (_, errors) = self.twins.sweep(&desired);
                errors.iter().for_each(|error| tracing::warn!("twin: sweeping: {}", Chain(error)));
                swept = true;
            }
            let statuses = self.twins.converge(&desired, Instant::now());
            self.hear(sink);
            self.rehearsals.watch(&statuses, &self.wishes);
            self.show(&statuses);
            if !pause(stop, LOOK) {
                return;
            }
        }
    }

    /// Decides who gets what.
    fn plan(&mut self, now: Instant) {
        self.levels = self.twins.levels(now);
        let real = |level: &&(Fidelity, Option<String>)| level.1.is_none() && level.0 > Fidelity::Model;
        let levels: Vec<Fidelity> = self.levels.iter().filter(real).map(|level| level.0).collect();
        let cores = std::thread::available_parallelism().map_or(1.0, |count| count.get() as f64);
        let purse = Purse {
            cores: self.config.budget.cpu_share * cores,
            memory_bytes: self.config.budget.memory_share * memory_bytes(),
            levels,
            costs: Costs::default(),
        };
        let asked = self.wishes.shared().replays.clone();
        let candidates = self.replays.as_ref().map_or_else(Vec::new, |replays| replays.candidates(&asked));
        let (plan, decisions) = plan(&purse, &candidates, &self.plan, wall_clock());
        self.plan = plan;
        let mut shared = self.wishes.shared();
        for decision in decisions {
            shared.decide(format!("{}: {}", decision.instance, decision.reason));
        }
        drop(shared);
        if let Some(replays) = &mut self.replays {
            replays.capture();
        }
    }

    fn desired(&mut self) -> Desired {
        let mut twins = vec![self.probes()];
        if let Some(replays) = &mut self.replays {
            twins.extend(replays.specs(&self.plan, &self.directory, &self.config.parent));
        }
        twins.extend(self.rehearsals.specs(&self.wishes));
        Desired { twins }
    }

    /// The one set of probes, at normal priority.
    fn probes(&self) -> Spec {
        let label = probes_of(self.host.as_str());
        let rate_hz = if self.plan.probe_rate_hz > 0.0 { self.plan.probe_rate_hz } else { 1.0 };
        let probes =
            Probes { rate_hz, directory: Some(self.directory.display().to_string()), ..Probes::default() };
        let order = Order {
            label: label.as_str().into(),
            seed: fnv64(label.as_str().as_bytes()),
            probes: Some(probes),
            ..Order::default()
        };
        Spec {
            label,
            order,
            resources: Resources::default(),
            level: Fidelity::Process,
            parent: self.config.parent.clone(),
            paused: false,
            restarts: true,
        }
    }

    /// Makes telemetry of what runners have reported.
    fn hear(&mut self, sink: &mut dyn Sink) {
        let reports: Vec<Report> = self.reports.try_iter().collect();
        for report in &reports {
            if self.rehearsals.frame(report) {
                continue;
            }
            let name = report.label.as_str();
            let original = match name.strip_suffix("~twin") {
                Some(original) => InstanceId::new(original),
                None => self.host.clone(),
            };
            // What a simulation says is no telemetry: nothing real ran.
            if report.fidelity > Fidelity::Model {
                self.teller.tell(report, &original, sink);
            }
        }
        sink.flush();
    }

    fn show(&self, statuses: &[Status]) {
        let mut shared = self.wishes.shared();
        let level = |(level, reason): &(Fidelity, Option<String>)| LevelView {
            level: *level,
            available: reason.is_none(),
            reason: reason.clone(),
        };
        shared.levels = self.levels.iter().map(level).collect();
        shared.statuses = statuses.iter().map(told).collect();
    }
}

/// A status as it is told.
fn told(status: &Status) -> TwinStatus {
    let (state, message) = match &status.activity {
        Activity::Starting => (TwinState::Starting, String::new()),
        Activity::Running => (TwinState::Running, String::new()),
        Activity::Paused => (TwinState::Paused, String::new()),
        Activity::Waiting { seconds, why } => {
            (TwinState::Waiting, format!("started again in {seconds} s: {why}"))
        }
        Activity::Ended(exit) => (TwinState::Ended, exit.to_string()),
    };
    let confinement = match &status.confinement {
        None => "nothing runs".into(),
        Some(Confinement::Simulated) => "simulated in this process".into(),
        Some(Confinement::Group { path, controllers }) => {
            format!("control group /{} ({})", path.trim_start_matches('/'), controllers.join(", "))
        }
        Some(Confinement::Rlimits) => "limits of the process: groups may not be made here".into(),
    };
    TwinStatus {
        twin: status.label.clone(),
        wanted: status.wanted,
        achieved: status.achieved,
        shortfall: status.shortfall.clone(),
        state,
        message,
        confinement,
        pid: status.pid,
        restarts: status.restarts,
        frames: status.traffic.frames,
        frames_lost: status.traffic.lost,
    }
}

/// Memory of the machine.
fn memory_bytes() -> f64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kilobytes.unwrap_or(0.0) * 1024.0
}

/// When a rehearsal or a replay begins: now.
pub(super) fn now() -> Timestamp {
    wall_clock()
}
