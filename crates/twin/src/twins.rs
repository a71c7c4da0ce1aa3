//! Keeps the twins of this machine as they shall be: starts, commands, resizes, pauses, ends, and starts again what
//! ended by itself. Asking twice for the same changes nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use foretwin_core::{Fidelity, InstanceId};

use crate::backoff::Backoff;
use crate::container::ContainerSubstrate;
use crate::frames::Sink;
use crate::microvm::MicrovmSubstrate;
use crate::model::ModelSubstrate;
use crate::owner::Owner;
use crate::process::ProcessSubstrate;
use crate::spec::{Activity, Desired, Exit, Spec, Status, Traffic};
use crate::substrate::{Running, Substrate};
use crate::{Config, Error};

/// How long an answer about a substrate holds: whether QEMU is there is not asked every second.
const CHECK_HOLDS: Duration = Duration::from_secs(60);
/// A twin that has not reported for so many of its periods, and [`SILENCE`], is started again.
const SILENT_PERIODS: f64 = 10.0;
const SILENCE: Duration = Duration::from_secs(30);

/// All twins of this machine, and what they run in. Dropping it ends them all.
pub struct Twins {
    rungs: Vec<Rung>,
    kept: BTreeMap<InstanceId, Kept>,
    sink: Sink,
}

/// A substrate and the last answer about it.
struct Rung {
    substrate: Box<dyn Substrate>,
    answer: Option<(Instant, Option<String>)>,
}

/// One twin that shall be.
struct Kept {
    spec: Spec,
    running: Option<Alive>,
    backoff: Backoff,
    last_failure: String,
    restarts: u64,
    /// Of the runs that have ended.
    past: Traffic,
    ended: Option<Exit>,
    shortfall: Option<String>,
}

struct Alive {
    twin: Box<dyn Running>,
    fidelity: Fidelity,
    since: Instant,
}

impl Twins {
    /// Twins in everything that there is. `data_dir` names the owner, and its folder `twin` holds orders, sockets and
    /// the unpacked kernel.
    ///
    /// # Errors
    /// If the configuration cannot be meant, the owner's name can be neither read nor made, or the mounted control
    /// groups cannot be read.
    pub fn of(data_dir: &Path, config: &Config, sink: Sink) -> Result<Self, Error> {
        config.validate()?;
        // Runners start elsewhere: what they are told to read must not depend on where the node was started.
        let directory = std::path::absolute(data_dir).map_err(Error::file("find", data_dir))?.join("twin");
        let owner = Owner::of(data_dir)?;
        fs::create_dir_all(&directory).map_err(Error::file("make", &directory))?;
        let substrates: Vec<Box<dyn Substrate>> = vec![
            Box::new(ModelSubstrate),
            Box::new(ProcessSubstrate::new(&owner, config, &directory)?),
            Box::new(ContainerSubstrate::new(&owner, config)),
            Box::new(MicrovmSubstrate::new(&owner, config, &directory)?),
        ];
        Ok(Self::new(substrates, sink))
    }

    /// What can be had here, and why the rest cannot.
    pub fn levels(&mut self, now: Instant) -> Vec<(Fidelity, Option<String>)> {
        self.rungs.iter_mut().map(|rung| (rung.substrate.fidelity(), rung.why_not(now))).collect()
    }

    /// Twins in these substrates; reports go to `sink`.
    #[must_use]
    pub fn new(mut substrates: Vec<Box<dyn Substrate>>, sink: Sink) -> Self {
        // From the highest down: the order in which a lower one steps in.
        substrates.sort_by_key(|substrate| std::cmp::Reverse(substrate.fidelity()));
        let rungs = substrates.into_iter().map(|substrate| Rung { substrate, answer: None }).collect();
        Self { rungs, kept: BTreeMap::new(), sink }
    }

    /// Removes what a predecessor left behind that was not ended in order; twins of `desired` that still run and can
    /// be taken over stay. Call it once, before the first [`Twins::converge`]. Returns what was removed, and what
    /// could not be.
    pub fn sweep(&mut self, desired: &Desired) -> (Vec<String>, Vec<Error>) {
        let (mut removed, mut errors) = (Vec::new(), Vec::new());
        for rung in &mut self.rungs {
            let fidelity = rung.substrate.fidelity();
            let keep: Vec<Spec> =
                desired.twins.iter().filter(|spec| spec.level == fidelity).cloned().collect();
            match rung.substrate.sweep(&keep) {
                Ok(found) => removed.extend(found),
                Err(error) => errors.push(error),
            }
        }
        for what in &removed {
            tracing::info!(%what, "removed what an earlier run left behind");
        }
        (removed, errors)
    }

    /// Makes what is as it shall be, one step, and says how it is, in the order of `desired`.
    pub fn converge(&mut self, desired: &Desired, now: Instant) -> Vec<Status> {
        self.kept.retain(|label, _| desired.twins.iter().any(|spec| spec.label == *label));
        desired.twins.iter().map(|spec| self.tend(spec, now)).collect()
    }

    fn tend(&mut self, spec: &Spec, now: Instant) -> Status {
        let kept = self.kept.entry(spec.label.clone()).or_insert_with(|| Kept::new(spec));
        kept.watch(now);
        kept.change(spec, now);
        kept.climb(&mut self.rungs, now);
        if kept.running.is_none() && kept.ended.is_none() && kept.backoff.left(now).is_none() {
            kept.start(&mut self.rungs, &self.sink, now);
        }
        kept.status(now)
    }
}

impl Rung {
    /// Why the substrate cannot be had; none where it can.
    fn why_not(&mut self, now: Instant) -> Option<String> {
        match &self.answer {
            Some((asked, answer)) if now.duration_since(*asked) < CHECK_HOLDS => answer.clone(),
            _ => {
                let answer = self.substrate.check().err().map(|error| error.chain());
                self.answer = Some((now, answer.clone()));
                answer
            }
        }
    }
}

impl Kept {
    fn new(spec: &Spec) -> Self {
        Self {
            spec: spec.clone(),
            running: None,
            backoff: Backoff::default(),
            last_failure: String::new(),
            restarts: 0,
            past: Traffic::default(),
            ended: None,
            shortfall: None,
        }
    }

    /// Finds what has ended or fallen silent.
    fn watch(&mut self, now: Instant) {
        let Some(alive) = &mut self.running else { return };
        if let Some(exit) = alive.twin.poll() {
            self.lose(now, exit.to_string());
            if !self.spec.restarts {
                self.ended = Some(exit);
            }
        } else if !self.spec.paused {
            let patience =
                SILENCE + Duration::from_secs_f64(SILENT_PERIODS / self.spec.order.report_hz.max(0.01));
            let heard = alive.twin.traffic().1.map_or(alive.since, |last| last.max(alive.since));
            if now.saturating_duration_since(heard) > patience {
                self.lose(now, format!("it was silent for {} s", patience.as_secs()));
            }
        }
    }

    /// Takes over a changed wish, without another process where that can be.
    fn change(&mut self, spec: &Spec, now: Instant) {
        if self.spec == *spec {
            return;
        }
        let old = std::mem::replace(&mut self.spec, spec.clone());
        // A new wish is a new chance.
        self.ended = None;
        if old.needs_restart(spec) {
            self.end();
            self.backoff = Backoff::default();
            return;
        }
        let Some(alive) = &mut self.running else { return };
        let twin = &mut alive.twin;
        let mut told = Ok(());
        // A stopped runner reads no order: it goes on first, and is stopped last.
        if old.paused && (!spec.paused || old.order != spec.order) {
            told = told.and_then(|()| twin.pause(false));
        }
        if old.resources != spec.resources {
            told = told.and_then(|()| twin.resize(&spec.resources));
        }
        if old.order != spec.order {
            told = told.and_then(|()| twin.command(&spec.order));
        }
        if spec.paused && (!old.paused || old.order != spec.order) {
            told = told.and_then(|()| twin.pause(true));
        }
        if !spec.paused && old.paused {
            alive.since = now;
        }
        if let Err(error) = told {
            tracing::info!(twin = %spec.label, error = error.chain(), "the twin is started again to be changed");
            self.end();
        }
    }

    /// Gives up a level that only stepped in, once the wanted one can be had.
    fn climb(&mut self, rungs: &mut [Rung], now: Instant) {
        let Some(alive) = &self.running else { return };
        let (from, to) = (alive.fidelity, self.spec.level);
        let mut above = rungs.iter_mut().filter(|rung| {
            let fidelity = rung.substrate.fidelity();
            from < fidelity && fidelity <= to
        });
        if above.any(|rung| rung.why_not(now).is_none()) {
            self.end();
        }
    }

    fn start(&mut self, rungs: &mut [Rung], sink: &Sink, now: Instant) {
        self.shortfall = None;
        for rung in rungs.iter_mut().filter(|rung| rung.substrate.fidelity() <= self.spec.level) {
            let fidelity = rung.substrate.fidelity();
            if let Some(why) = rung.why_not(now) {
                let shortfall = self.shortfall.get_or_insert_default();
                *shortfall =
                    format!("{shortfall}{}{fidelity}: {why}", if shortfall.is_empty() { "" } else { "; " });
                continue;
            }
            match rung.substrate.start(&self.spec, sink) {
                Ok(mut twin) => {
                    if self.spec.paused
                        && let Err(error) = twin.pause(true)
                    {
                        self.fail(now, Duration::ZERO, error.chain());
                        return;
                    }
                    tracing::info!(twin = %self.spec.label, %fidelity, "a twin was started");
                    self.running = Some(Alive { twin, fidelity, since: now });
                }
                // It can be had in principle: asked again later, and not replaced by less in silence.
                Err(error) => self.fail(now, Duration::ZERO, error.chain()),
            }
            return;
        }
        let why = self.shortfall.clone().unwrap_or_else(|| "no substrate is set up".into());
        self.fail(now, Duration::ZERO, why);
    }

    /// Notes that it ended by itself.
    fn lose(&mut self, now: Instant, why: String) {
        let ran = self.running.as_ref().map_or(Duration::ZERO, |alive| now.duration_since(alive.since));
        self.end();
        self.restarts += 1;
        self.fail(now, ran, why);
    }

    fn fail(&mut self, now: Instant, ran: Duration, why: String) {
        tracing::warn!(twin = %self.spec.label, why, "a twin does not run");
        self.backoff.fail(now, ran);
        self.last_failure = why;
    }

    /// Ends it and keeps what was counted.
    fn end(&mut self) {
        if let Some(alive) = self.running.take() {
            self.past = sum(self.past, alive.twin.traffic().0);
        }
    }

    fn status(&self, now: Instant) -> Status {
        let (activity, achieved, current) = match &self.running {
            None => (self.idle(now), Fidelity::Model, Traffic::default()),
            Some(alive) => {
                let (traffic, heard) = alive.twin.traffic();
                let activity = match (self.spec.paused, heard) {
                    (true, _) => Activity::Paused,
                    (false, Some(_)) => Activity::Running,
                    (false, None) => Activity::Starting,
                };
                (activity, alive.fidelity, traffic)
            }
        };
        Status {
            label: self.spec.label.clone(),
            wanted: self.spec.level,
            achieved,
            shortfall: self.shortfall.clone(),
            confinement: self.running.as_ref().map(|alive| alive.twin.confinement()),
            activity,
            restarts: self.restarts,
            pid: self.running.as_ref().and_then(|alive| alive.twin.pid()),
            traffic: sum(self.past, current),
        }
    }

    fn idle(&self, now: Instant) -> Activity {
        match &self.ended {
            Some(exit) => Activity::Ended(exit.clone()),
            None => {
                let left = self.backoff.left(now).unwrap_or_default();
                Activity::Waiting {
                    seconds: left.as_secs_f64().ceil() as u64,
                    why: self.last_failure.clone(),
                }
            }
        }
    }
}

fn sum(a: Traffic, b: Traffic) -> Traffic {
    Traffic {
        frames: a.frames + b.frames,
        lost: a.lost + b.lost,
        damaged_bytes: a.damaged_bytes + b.damaged_bytes,
        refused: a.refused + b.refused,
        reconnects: a.reconnects + b.reconnects,
    }
}

#[cfg(test)]
mod tests;
