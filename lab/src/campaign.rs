//! Several runs at once, as many as the lab host has room for.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use foretwin_core::Rng;

use crate::host::Host;
use crate::plan::Plan;
use crate::progress::Board;
use crate::record::Recorder;
use crate::run::{self, Ending, Outcome};
use crate::sample::Row;
use crate::scenario::Scenario;
use crate::sys;
use crate::work::between;

/// A ready-made mixture of runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mixture {
    /// Leaks, look-alikes and other resources.
    Mixed,
    /// Memory leaks of all shapes.
    Leaks,
    /// Nothing that fails.
    Healthy,
}

impl Mixture {
    fn scenarios(self) -> &'static [Scenario] {
        use Scenario::{
            Accelerating, DescriptorLeak, DiskFill, FixedLeak, Healthy, InodeFill, Linear, LoadCoupled,
            PageCache, PidLeak, Plateau, Rotation, Sawtooth, Step,
        };
        match self {
            Self::Mixed => &[
                Linear,
                Healthy,
                LoadCoupled,
                Plateau,
                Accelerating,
                DiskFill,
                Sawtooth,
                FixedLeak,
                Step,
                Rotation,
                DescriptorLeak,
                PageCache,
                Linear,
                InodeFill,
                LoadCoupled,
                PidLeak,
            ],
            Self::Leaks => &[Linear, Accelerating, LoadCoupled, Sawtooth, Step],
            Self::Healthy => &[Healthy, Plateau, PageCache, Rotation],
        }
    }

    /// Draws `count` runs of 110 s: limits from 68 to 168 MB, that last 21 to 98 s from the onset.
    pub fn draw(self, count: usize, seed: u64) -> Vec<Plan> {
        let scenarios = self.scenarios();
        let one = |at: usize| {
            let seed = seed + at as u64;
            let mut rng = Rng::new(seed ^ 0x006d_6978);
            let memory_mb = between(&mut rng, 68.0, 168.0).round();
            let rate_mb_s = memory_mb / between(&mut rng, 21.0, 98.0);
            let disk_mb = between(&mut rng, 12.0, 42.0).round();
            let scenario = scenarios[at % scenarios.len()];
            Plan { scenario, seed, memory_mb, rate_mb_s, disk_mb, duration_s: 110.0, ..Plan::default() }
        };
        (0..count).map(one).collect()
    }
}

/// The memory of the lab host, lent to runs.
#[derive(Debug)]
pub struct Room {
    free: Mutex<u64>,
    freed: Condvar,
}

impl Room {
    /// As much as the host has.
    pub fn of(host: &Host) -> Self {
        Self { free: Mutex::new(host.config.host_memory_mb << 20), freed: Condvar::new() }
    }

    /// Waits until `bytes` are free; nothing if the lab is to stop.
    fn take(&self, bytes: u64) -> Option<Seat<'_>> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        while *free < bytes {
            if sys::stopped() {
                return None;
            }
            let waited = self.freed.wait_timeout(free, Duration::from_millis(200));
            free = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        *free -= bytes;
        Some(Seat { room: self, bytes })
    }
}

/// Memory that a run has been lent.
struct Seat<'a> {
    room: &'a Room,
    bytes: u64,
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        *self.room.free.lock().unwrap_or_else(PoisonError::into_inner) += self.bytes;
        self.room.freed.notify_all();
    }
}

/// A host with room and a board: where runs happen.
pub struct Stage<'a> {
    /// The lab host.
    pub host: &'a Host,
    /// Its memory.
    pub room: Room,
    /// What people see.
    pub board: Board,
}

impl<'a> Stage<'a> {
    /// On a host.
    pub fn new(host: &'a Host) -> Self {
        Self { host, room: Room::of(host), board: Board::new() }
    }

    /// Sets plans apart that cannot be run here, aloud.
    ///
    /// # Errors
    /// If a plan makes no sense.
    pub fn admit(&self, plans: Vec<Plan>) -> Result<Vec<Plan>> {
        let mut admitted = Vec::new();
        for plan in plans {
            plan.check().with_context(|| format!("the run {}", plan.name()))?;
            let total_mb = self.host.config.host_memory_mb;
            ensure!(
                plan.memory_bytes() <= total_mb << 20,
                "{} needs more memory than the lab host's {total_mb} MB: raise --host-memory-mb",
                plan.name()
            );
            match run::obstacle(self.host, &plan) {
                Some(reason) => eprintln!("SKIPPED {}: {reason}", plan.name()),
                None => admitted.push(plan),
            }
        }
        Ok(admitted)
    }

    /// Waits for room and runs one plan. Nothing if the lab is to stop.
    ///
    /// # Errors
    /// If it cannot be run.
    pub fn run(&self, rid: &str, plan: &Plan) -> Result<Option<Outcome>> {
        let Some(_seat) = self.room.take(plan.memory_bytes()) else { return Ok(None) };
        if sys::stopped() {
            return Ok(None);
        }
        let name = plan.name();
        self.board.begin(&name);
        let outcome =
            run::run(self.host, rid, plan, &mut |row| self.board.update(&name, share(row), &describe(row)));
        let text = outcome.as_ref().map_or("could not be run".into(), |outcome| summary(&outcome.ending));
        self.board.end(&name, &text);
        outcome.map(Some)
    }

    /// Runs all plans, `parallel` at a time, in order; `done` is called as each ends. Returns how many could not
    /// be run.
    pub fn run_all(
        &self,
        plans: &[Plan],
        parallel: usize,
        done: &(dyn Fn(Outcome) -> Result<()> + Sync),
    ) -> usize {
        each(plans, parallel, &|at, plan| {
            let outcome = self.run(&format!("r{at:03}"), plan)?;
            outcome.map_or(Ok(()), done)
        })
    }
}

/// Does a job for every plan, `parallel` at a time, in order; failures are told aloud and counted.
pub fn each(plans: &[Plan], parallel: usize, job: &(dyn Fn(usize, &Plan) -> Result<()> + Sync)) -> usize {
    let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let one = || {
        let at = next.fetch_add(1, Ordering::SeqCst);
        let plan = plans.get(at)?;
        if let Err(error) = job(at, plan) {
            failed.fetch_add(1, Ordering::SeqCst);
            eprintln!("{}: {error:#}", plan.name());
        }
        Some(())
    };
    thread::scope(|scope| {
        for _ in 0..parallel.clamp(1, plans.len().max(1)) {
            scope.spawn(|| while one().is_some() {});
        }
    });
    failed.into_inner()
}

/// How much of the scarcest resource is used.
fn share(row: &Row) -> f64 {
    let of = |used: i64, limit: i64| if limit > 0 { used as f64 / limit as f64 } else { 0.0 };
    let shares = [
        of(row.mem_usage, row.mem_limit),
        of(row.disk_used, row.disk_cap),
        of(row.nfds, row.fd_limit),
        of(row.pids, row.pid_limit),
        of(row.inodes_used, row.inode_cap),
    ];
    shares.into_iter().fold(0.0, f64::max)
}

fn describe(row: &Row) -> String {
    let mb = |bytes: i64| bytes / (1 << 20);
    format!("{:5.0} s  {} of {} MB  {} req/s", row.t, mb(row.mem_usage), mb(row.mem_limit), 2 * row.req)
}

fn summary(end: &Ending) -> String {
    let limited = if end.host_limited { " (the lab host itself was full: lower --parallel)" } else { "" };
    if end.censored {
        return format!("ended after {:.1} s without failing{limited}", end.event_time);
    }
    format!("{} at {:.2} s: {}{limited}", end.failure.as_str(), end.event_time, end.message)
}

/// Runs plans and records them; the endings, in the order they came.
///
/// # Errors
/// If a plan makes no sense, a run could not be run, or recording failed.
pub fn campaign(host: &Host, plans: Vec<Plan>, parallel: usize, out: Option<&Path>) -> Result<Vec<Ending>> {
    let stage = Stage::new(host);
    let plans = stage.admit(plans)?;
    let recorder = Mutex::new(out.map(Recorder::create).transpose()?);
    let endings = Mutex::new(Vec::new());
    let failed = stage.run_all(&plans, parallel, &|outcome| {
        if let Some(recorder) = recorder.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            recorder.add(&outcome)?;
        }
        endings.lock().unwrap_or_else(PoisonError::into_inner).push(outcome.ending);
        Ok(())
    });
    if let Some(recorder) = recorder.into_inner().unwrap_or_else(PoisonError::into_inner) {
        recorder.finish()?;
    }
    ensure!(failed == 0, "{failed} of {} runs could not be run", plans.len());
    Ok(endings.into_inner().unwrap_or_else(PoisonError::into_inner))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixtures_are_seeded_and_of_many_kinds() {
        let plans = Mixture::Mixed.draw(20, 1);
        assert_eq!(plans, Mixture::Mixed.draw(20, 1));
        assert_ne!(plans, Mixture::Mixed.draw(20, 2));
        let mut kinds: Vec<&str> = plans.iter().map(|plan| plan.scenario.as_str()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        assert!(kinds.len() >= 14);
        let mut names: Vec<String> = plans.iter().map(Plan::name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 20, "names must differ, since they name groups");
        plans.iter().for_each(|plan| plan.check().unwrap());
    }

    #[test]
    fn room_is_lent_and_given_back() {
        let room = Room { free: Mutex::new(100), freed: Condvar::new() };
        let seat = room.take(80).unwrap();
        assert_eq!(*room.free.lock().unwrap(), 20);
        thread::scope(|scope| {
            let waiting = scope.spawn(|| room.take(50).is_some());
            thread::sleep(Duration::from_millis(20));
            assert!(!waiting.is_finished());
            drop(seat);
            assert!(waiting.join().unwrap());
        });
        assert_eq!(*room.free.lock().unwrap(), 100);
    }
}
