//! The process under test: moves itself into its group, follows its course, and tells the lab what happens.

use std::fs;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use foretwin_core::Rng;
use serde::{Deserialize, Serialize};

use crate::ledger::OWNER;
use crate::load::Load;
use crate::plan::Plan;
use crate::scenario::{Course, FailureKind, Setting, Tick};
use crate::sys::{self, Resource, monotonic_s};
use crate::work::{self, TICK_S};

/// What the lab tells a worker, as JSON on its command line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Order {
    /// The run.
    pub plan: Plan,
    /// Process of the lab, with which the worker ends.
    pub lab_pid: u32,
    /// The run's start on the monotonic clock, seconds.
    pub start_s: f64,
    /// When this process began, seconds since the run's start: above zero after a restart.
    pub begun_s: f64,
    /// Files to write `0` to, to move into the group; empty where rlimits are used.
    pub doors: Vec<PathBuf>,
    /// The small file system, where there is one.
    pub disk: Option<PathBuf>,
    /// The directory on a real disk.
    pub scratch: PathBuf,
}

/// What a worker tells the lab: one JSON object a line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    /// A tick is done.
    Tick(Served),
    /// A resource ran out; nothing follows.
    Event {
        /// Which.
        kind: FailureKind,
        /// When, seconds since the run's start.
        at_s: f64,
        /// In the system's words.
        message: String,
    },
}

/// The requests of one tick.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Served {
    /// Answered.
    pub requests: u32,
    /// Not answered.
    pub errors: u32,
    /// Sum of the latencies, ms.
    pub latency_sum_ms: f64,
    /// The longest, ms.
    pub latency_max_ms: f64,
    /// Requests per second offered.
    pub offered: f64,
}

fn tell(report: &Report) -> io::Result<()> {
    let mut line = serde_json::to_vec(report)?;
    line.push(b'\n');
    let mut out = io::stdout().lock();
    out.write_all(&line)?;
    out.flush()
}

/// Runs one order to its end.
///
/// # Errors
/// If the lab is gone; everything else is told to the lab.
pub fn work(order: &str) -> Result<()> {
    let order: Order = serde_json::from_str(order).context("reading the order")?;
    sys::die_with(order.lab_pid)?;
    let Some((kind, message)) = follow(&order)? else { return Ok(()) };
    tell(&Report::Event { kind, at_s: monotonic_s() - order.start_s, message })?;
    Ok(())
}

/// Follows the course; what ran out, if something did.
fn follow(order: &Order) -> Result<Option<(FailureKind, String)>> {
    let (scenario, draw, change) = (order.plan.scenario, order.plan.draw(), order.plan.change);
    let mut load = Load::new(draw.load_seed);
    let begun = settle(order).and_then(|()| scenario.begin(setting(order, load.mean())));
    let mut course = match begun {
        Ok(course) => course,
        Err(error) => return Ok(Some((FailureKind::Crash, format!("could not begin: {error}")))),
    };
    // Trouble that had set in sets in again with the process, from its beginning.
    let onset_s = draw.onset_s.max(order.begun_s);
    let restarts = change.restarts_at(order.begun_s);
    let ticks = (order.plan.duration_s / TICK_S).round() as u64;
    for tick in 0..ticks {
        let at_s = tick as f64 * TICK_S;
        let (offered, requests) = load.step(at_s, change.load_at(at_s));
        if at_s < order.begun_s {
            continue;
        }
        if restarts.is_some_and(|restart_s| at_s >= restart_s) {
            return Err(begin_again(order, at_s));
        }
        // A worker that was held up catches up, so that the same seed does the same work.
        wait_until(order.start_s + at_s);
        let served = serve((course.as_mut(), order.plan.request_ms / 1e3), requests, offered);
        if let Err(error) = course.step(&Tick { at_s, since_s: at_s - onset_s, requests }) {
            return Ok(Some((scenario.failure(&error), error.to_string())));
        }
        // Nobody reads any more: the lab is ending.
        if tell(&Report::Tick(served)).is_err() {
            break;
        }
    }
    Ok(None)
}

/// What the course is made from.
fn setting(order: &Order, mean_load: f64) -> Setting {
    let draw = order.plan.draw();
    Setting {
        draw,
        rng: Rng::new(draw.scenario_seed),
        mean_load,
        disk: order.disk.clone().unwrap_or_default(),
        disk_bytes: order.plan.disk_bytes() as f64,
        inodes: order.plan.inodes as f64,
        descriptors: order.plan.descriptors as f64,
        pids: order.plan.pids as f64,
        scratch: order.scratch.clone(),
    }
}

/// Becomes a new process under the same number, with nothing of its memory; returns only if that failed.
fn begin_again(order: &Order, begun_s: f64) -> anyhow::Error {
    let order = Order { begun_s, ..order.clone() };
    let text = match serde_json::to_string(&order) {
        Ok(text) => text,
        Err(error) => return error.into(),
    };
    let failed = Command::new("/proc/self/exe").arg0(OWNER).args(["worker", &text]).exec();
    anyhow::Error::new(failed).context("starting again")
}

/// Enters the group and sets the limits of the process.
fn settle(order: &Order) -> io::Result<()> {
    for door in &order.doors {
        fs::write(door, "0")
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", door.display())))?;
    }
    // If the machine itself ran short, this process is the one to go.
    fs::write("/proc/self/oom_score_adj", "1000")?;
    fs::write("/proc/self/comm", order.plan.scenario.as_str())?;
    sys::refuse_huge_pages();
    sys::limit(Resource::Core, 0)?;
    sys::limit(Resource::Descriptors, order.plan.descriptors)?;
    if order.doors.is_empty() {
        sys::limit(Resource::AddressSpace, order.plan.memory_bytes())
    } else {
        Ok(())
    }
}

fn wait_until(moment_s: f64) {
    let rest = moment_s - monotonic_s();
    if rest > 0.0 {
        thread::sleep(Duration::from_secs_f64(rest));
    }
}

fn serve((course, request_s): (&mut dyn Course, f64), requests: u32, offered: f64) -> Served {
    let mut served = Served { offered, ..Served::default() };
    for _ in 0..requests {
        let before = monotonic_s();
        match course.request() {
            Ok(()) => served.requests += 1,
            Err(_) => served.errors += 1,
        }
        work::compute(request_s);
        let took_ms = (monotonic_s() - before) * 1e3;
        served.latency_sum_ms += took_ms;
        served.latency_max_ms = served.latency_max_ms.max(took_ms);
    }
    served
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_survive_the_pipe() {
        let reports = [
            Report::Tick(Served { requests: 3, latency_sum_ms: 0.25, ..Served::default() }),
            Report::Event { kind: FailureKind::DiskFull, at_s: 12.5, message: "No space".into() },
        ];
        for report in reports {
            let line = serde_json::to_string(&report).unwrap();
            assert!(!line.contains('\n'));
            assert_eq!(serde_json::from_str::<Report>(&line).unwrap(), report);
        }
    }
}
