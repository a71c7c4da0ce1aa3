//! One run: starts the worker, samples it twice a second, and notes the exact moment and manner of its end.

use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::group::Group;
use crate::host::{Host, Place};
use crate::ledger::{HOST_GROUP, OWNER};
use crate::plan::Plan;
use crate::sample::{Row, Sampler};
use crate::scenario::{FailureKind, Scenario};
use crate::sys::{self, monotonic_s};
use crate::worker::{Order, Report};

/// Seconds between rows.
const SAMPLE_S: f64 = 0.5;
/// Seconds that a worker may overrun its duration, for instance under a hog, before it is ended.
const GRACE_S: f64 = 60.0;

/// How a run went; one line of `runs.csv`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ending {
    /// Name in the telemetry.
    pub rid: String,
    /// What happened.
    pub scenario: Scenario,
    /// The seed.
    pub seed: u64,
    /// Seconds it was to last.
    pub duration_s: f64,
    /// Memory limit, bytes.
    pub mem_cap: u64,
    /// Size of the small file system, bytes; 0 where there is none.
    pub disk_cap: u64,
    /// Seconds until the trouble started.
    pub onset: f64,
    /// Seconds from the onset that the resource was to last.
    pub designed_tte: f64,
    /// How it failed.
    pub failure: FailureKind,
    /// When, seconds since the start; where it did not fail, when it ended.
    pub event_time: f64,
    /// Whether it ended without failing.
    pub censored: bool,
    /// What the memory was multiplied with.
    pub memory_factor: f64,
    /// Its group; empty where rlimits were used.
    pub group: String,
    /// Start, seconds since the epoch.
    pub start_unix: f64,
    /// Whether all runs together hit the lab host's limit meanwhile: the death may then not be its own.
    pub host_limited: bool,
    /// The system's words for the failure.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// A finished run.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// How it went.
    pub ending: Ending,
    /// Its telemetry.
    pub rows: Vec<Row>,
}

/// The path of the group that a plan will run in.
pub fn group_path(plan: &Plan) -> String {
    format!("{HOST_GROUP}/{}", plan.name())
}

/// Why a plan cannot be run here, with the remedy.
pub fn obstacle(host: &Host, plan: &Plan) -> Option<String> {
    if !host.has_groups() && plan.scenario.needs_group() {
        return Some(format!("{} means nothing without control groups: run as root", plan.scenario));
    }
    if !host.has_groups() && plan.change.cpu_cores.is_some() {
        return Some("cpu_cores needs control groups: run as root".into());
    }
    if plan.scenario.needs().small_disk && sys::user() != 0 {
        return Some(format!("{} mounts a small file system: run as root", plan.scenario));
    }
    plan.scenario.missing()
}

/// Runs a plan to its end; `seen` is called with every row.
///
/// # Errors
/// If it cannot be run; a failure of the worker is no error but the point.
pub fn run(host: &Host, rid: &str, plan: &Plan, seen: &mut dyn FnMut(&Row)) -> Result<Outcome> {
    let place = host.place(plan)?;
    let kills_before = place.group.as_ref().and_then(Group::oom_kills).unwrap_or(0);
    let hits_before = host.limit_hits();
    let mut vigil = Vigil::start(plan, &place)?;
    vigil.keep((plan, place.group.as_ref()), seen)?;
    let (status, ended_s) = vigil.end()?;
    let kills = place.group.as_ref().and_then(Group::oom_kills).unwrap_or(0) - kills_before;
    let (failure, event_time, message) =
        verdict(vigil.event.take(), status, (ended_s, kills > 0, vigil.ended_by_us));
    let draw = plan.draw();
    let ending = Ending {
        rid: rid.into(),
        scenario: plan.scenario,
        seed: plan.seed,
        duration_s: plan.duration_s,
        mem_cap: plan.memory_bytes(),
        disk_cap: if place.disk().is_some() { plan.disk_bytes() } else { 0 },
        onset: draw.onset_s,
        designed_tte: draw.fill_s,
        failure,
        event_time,
        censored: failure == FailureKind::None,
        memory_factor: plan.memory_factor,
        group: place.group.as_ref().map_or(String::new(), |group| group.path.clone()),
        start_unix: vigil.start_unix,
        host_limited: host.limit_hits() > hits_before,
        message,
    };
    Ok(Outcome { ending, rows: std::mem::take(&mut vigil.rows) })
}

/// What an end means. `how`: when the process ended, whether the kernel killed it for memory, whether we did.
fn verdict(event: Option<Report>, status: ExitStatus, how: (f64, bool, bool)) -> (FailureKind, f64, String) {
    let (ended_s, oom, ended_by_us) = how;
    match event {
        Some(Report::Event { kind, at_s, message }) => (kind, at_s, message),
        _ if oom => (FailureKind::Oom, ended_s, "killed by the kernel for memory".into()),
        _ if ended_by_us || status.success() => (FailureKind::None, ended_s, String::new()),
        _ => (FailureKind::Crash, ended_s, status.to_string()),
    }
}

/// Watches over one worker.
struct Vigil {
    child: Child,
    pipe: ChildStdout,
    process: OwnedFd,
    sampler: Sampler,
    start_s: f64,
    start_unix: f64,
    rows: Vec<Row>,
    unread: Vec<u8>,
    event: Option<Report>,
    ended_by_us: bool,
}

impl Vigil {
    fn start(plan: &Plan, place: &Place<'_>) -> Result<Self> {
        let start_unix =
            SystemTime::now().duration_since(UNIX_EPOCH).context("reading the clock")?.as_secs_f64();
        let start_s = monotonic_s();
        let order = Order {
            plan: plan.clone(),
            lab_pid: std::process::id(),
            start_s,
            begun_s: 0.0,
            doors: place.group.as_ref().map_or(Vec::new(), Group::doors),
            disk: place.disk().map(Into::into),
            scratch: place.scratch().into(),
        };
        // Not by path: the program may be replaced while a long campaign runs.
        let mut child = Command::new("/proc/self/exe")
            .arg0(OWNER)
            .args(["worker", &serde_json::to_string(&order)?])
            // Per-thread arenas would reserve address space that no scenario means.
            .env("MALLOC_ARENA_MAX", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting the worker")?;
        let pipe = child.stdout.take().context("the worker has no pipe")?;
        let process = sys::watch_process(child.id()).context("watching the worker")?;
        let sampler = Sampler::new(child.id(), place, plan);
        let (rows, unread, event, ended_by_us) = (Vec::new(), Vec::new(), None, false);
        Ok(Self { child, pipe, process, sampler, start_s, start_unix, rows, unread, event, ended_by_us })
    }

    fn now_s(&self) -> f64 {
        monotonic_s() - self.start_s
    }

    /// Until the process ends, or has to be ended.
    fn keep(&mut self, (plan, group): (&Plan, Option<&Group>), seen: &mut dyn FnMut(&Row)) -> Result<()> {
        let mut next_s = SAMPLE_S;
        let mut unlimited = true;
        loop {
            if let Some((cores, group)) = plan.change.cores_at(self.now_s()).filter(|_| unlimited).zip(group)
            {
                group.set_cores(Some(cores))?;
                self.sampler.limit_cores(cores);
                unlimited = false;
            }
            let wait = Duration::from_secs_f64((next_s - self.now_s()).max(0.0));
            let [told, ended] = sys::wait_readable([self.pipe.as_fd(), self.process.as_fd()], wait)?;
            if ended {
                return Ok(());
            }
            if told && !self.hear()? {
                // The pipe has ended, so the process is about to: its own descriptor says when.
                sys::wait_readable([self.process.as_fd(); 2], Duration::from_secs(1))?;
                return Ok(());
            }
            if self.now_s() >= next_s {
                self.sample(seen);
                next_s = (next_s + SAMPLE_S).max(self.now_s());
            }
            if sys::stopped() || self.now_s() > plan.duration_s + GRACE_S {
                self.ended_by_us = true;
                return Ok(());
            }
        }
    }

    fn sample(&mut self, seen: &mut dyn FnMut(&Row)) {
        if let Some(row) = self.sampler.row(self.now_s()) {
            seen(&row);
            self.rows.push(row);
        }
    }

    /// Reads what the worker told; whether there may be more.
    fn hear(&mut self) -> Result<bool> {
        let mut chunk = [0; 4096];
        let read = self.pipe.read(&mut chunk).context("reading from the worker")?;
        self.unread.extend_from_slice(&chunk[..read]);
        while let Some(end) = self.unread.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.unread.drain(..=end).collect();
            match serde_json::from_slice(&line).context("a worker spoke no JSON")? {
                Report::Tick(served) => self.sampler.served(&served),
                event @ Report::Event { .. } => self.event = Some(event),
            }
        }
        Ok(read > 0)
    }

    /// Ends the worker if it still runs; its status, and when it ended.
    fn end(&mut self) -> Result<(ExitStatus, f64)> {
        let ended_s = self.now_s();
        if self.ended_by_us {
            self.child.kill().context("ending the worker")?;
        }
        let status = self.child.wait().context("waiting for the worker")?;
        // Last words may still be in the pipe.
        while self.hear()? {}
        if status.signal() == Some(libc::SIGABRT) && self.event.is_none() && self.sampler.by_rlimits() {
            // An allocator that gets no more address space aborts.
            let message = "the allocator got no more memory".into();
            self.event = Some(Report::Event { kind: FailureKind::Oom, at_s: ended_s, message });
        }
        Ok((status, ended_s))
    }
}

impl Drop for Vigil {
    fn drop(&mut self) {
        // Where the vigil ended in an error, the worker must not outlive it; otherwise it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_told_apart() {
        let (killed, fine) = (ExitStatus::from_raw(libc::SIGKILL), ExitStatus::from_raw(0));
        assert_eq!(verdict(None, killed, (3.0, true, false)).0, FailureKind::Oom);
        assert_eq!(verdict(None, killed, (3.0, false, false)).0, FailureKind::Crash);
        assert_eq!(verdict(None, killed, (3.0, false, true)).0, FailureKind::None);
        assert_eq!(verdict(None, fine, (3.0, false, false)).0, FailureKind::None);
        let event = Report::Event { kind: FailureKind::FdExhausted, at_s: 2.5, message: String::new() };
        let (kind, at_s, _) = verdict(Some(event), fine, (3.0, false, false));
        assert_eq!((kind, at_s), (FailureKind::FdExhausted, 2.5));
    }
}
