//! One instance: it works, it is watched, and now and then it fails.

use foretwin_core::FailureMode;

use super::chance::Chance;
use super::disk::Disk;
use super::fault::{Fault, FaultKind};
use super::identity::Identity;
use super::memory::Memory;
use super::telemetry::{RESOURCES, Sample, Telemetry};

/// Minutes above what was promised that are a breach, and below it after which the next is another one.
const BREACH: u32 = 3;
const RECOVERED: u32 = 30;

/// A failure, with what only the world knows of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ending {
    pub minute: u32,
    pub instance: usize,
    pub mode: FailureMode,
    pub kind: FaultKind,
    /// When what led to it began; for an instance that was restarted meanwhile, that.
    pub onset: u32,
}

/// The state of an instance.
#[derive(Debug, Clone)]
pub struct Instance {
    pub name: String,
    pub identity: usize,
    pub host: usize,
    pub fault: Option<Fault>,
    /// Shares of the limits that this one has of its identity's.
    limit: f64,
    /// How much more than others it is asked.
    weight: f64,
    memory: Memory,
    disk: Disk,
    descriptors: f64,
    /// What was asked of it in this minute.
    pub requests: f64,
    counter: f64,
    down_until: u32,
    /// A bad release dies until then.
    loop_until: u32,
    started: u32,
    /// When the life before this one began.
    pub began: u32,
    above: u32,
    below: u32,
    telemetry: Telemetry,
    pub chance: Chance,
}

impl Instance {
    pub fn new(name: String, (identity, host): (usize, usize), mut chance: Chance) -> Self {
        Self {
            name,
            identity,
            host,
            fault: None,
            limit: 1.0,
            weight: chance.lognormal(1.0, 0.15),
            memory: Memory::default(),
            disk: Disk::default(),
            descriptors: 0.0,
            requests: 0.0,
            counter: 0.0,
            down_until: 0,
            loop_until: 0,
            started: 0,
            began: 0,
            above: 0,
            below: RECOVERED,
            telemetry: Telemetry::default(),
            chance,
        }
    }

    /// What is asked of it in this minute, from what is asked of every instance.
    pub fn ask(&mut self, minute: u32, per_s: f64) -> f64 {
        let up = minute >= self.down_until;
        self.requests = if up { 60.0 * per_s * self.weight * self.chance.lognormal(1.0, 0.08) } else { 0.0 };
        self.requests
    }

    /// The process begins anew: all that was in memory is gone.
    pub fn restart(&mut self, minute: u32, for_min: u32) {
        self.memory = Memory::default();
        (self.descriptors, self.counter) = (0.0, 0.0);
        (self.began, self.started) = (self.started, minute + for_min);
        self.down_until = minute + for_min;
    }

    /// More memory is given to it.
    pub fn enlarge(&mut self) {
        self.limit = (self.limit * 1.25).min(2.0);
    }

    /// What is wrong with it ends.
    pub fn mend(&mut self, minute: u32) {
        if let Some(fault) = self.fault.take() {
            match fault.kind.mode() {
                FailureMode::DiskFull => self.disk.clean(),
                _ => self.restart(minute, 2),
            }
        }
    }

    /// What a fault of this kind would have to use up.
    pub fn headroom(&self, kind: FaultKind, identity: &Identity) -> f64 {
        match kind.mode() {
            FailureMode::MemoryExhaustion => {
                self.limit * identity.memory.limit - self.memory.live(&identity.memory)
            }
            FailureMode::DiskFull => identity.disk.size - self.disk.used,
            _ => identity.descriptors - identity.fixed - self.memory.open_sessions() * identity.per_session,
        }
    }

    /// A bad release: it dies, and dies again, until that is rolled back.
    pub fn crash(&mut self, minute: u32, kind: FaultKind) {
        if kind == FaultKind::CrashLoop {
            self.loop_until = minute + self.chance.between(20.0, 180.0) as u32;
        }
        self.down_until = minute;
    }

    /// Lives through a minute on a host where a request takes `delay` times as long; what arrives of it, and whether
    /// and how it failed.
    pub fn step(
        &mut self,
        (minute, delay): (u32, f64),
        identity: &Identity,
    ) -> (Option<Sample>, Option<FailureMode>) {
        if minute < self.down_until {
            return (None, None);
        }
        self.lose(minute, identity);
        let sample = self.live(minute, delay, identity);
        let failed = self.fails(minute, &sample);
        let sample =
            if failed.is_some() { None } else { self.telemetry.pass(minute, sample, &mut self.chance) };
        (sample, failed)
    }

    /// What is wrong takes its part.
    fn lose(&mut self, minute: u32, identity: &Identity) {
        let Some(fault) = self.fault.as_mut().filter(|fault| minute >= fault.from) else { return };
        let load = self.requests / (60.0 * identity.demand.usual());
        let lost = match fault.kind.mode() {
            FailureMode::MemoryExhaustion => &mut self.memory.leaked,
            FailureMode::DiskFull => &mut self.disk.stray,
            _ => &mut self.descriptors,
        };
        *lost += fault.loses(minute, (load, *lost), &mut self.chance);
    }

    fn live(&mut self, minute: u32, delay: f64, identity: &Identity) -> Sample {
        let limit = self.limit * identity.memory.limit;
        let memory = self.memory.step(&identity.memory, (minute, self.requests), &mut self.chance);
        let broken = self.fault.is_some_and(|fault| fault.kind == FaultKind::LogsKept);
        let disk = self.disk.step(&identity.disk, (minute, self.requests, broken), &mut self.chance);
        let open = identity.fixed + self.memory.open_sessions() * identity.per_session + self.descriptors;
        let response = identity.service_ms * delay;
        self.counter += self.requests;
        let limits: [f64; RESOURCES] =
            [limit, identity.disk.size, identity.descriptors, identity.promised_ms];
        Sample { used: [memory, disk, open, response], limits, requests: self.counter }
    }

    /// Whether it fails in this minute, and what follows.
    fn fails(&mut self, minute: u32, sample: &Sample) -> Option<FailureMode> {
        let full = |n: usize| sample.used[n] >= sample.limits[n];
        let dies = minute < self.loop_until && minute > self.started && self.chance.happens(0.25);
        if full(0) || full(2) || dies {
            let pause = if dies { self.chance.between(1.0, 6.0) } else { self.chance.between(1.0, 4.0) };
            self.restart(minute, pause as u32);
            return Some(if dies {
                FailureMode::Crash
            } else if full(0) {
                FailureMode::MemoryExhaustion
            } else {
                FailureMode::DescriptorExhaustion
            });
        }
        if full(1) {
            // Nothing can be written until somebody has made room.
            self.down_until = minute + self.chance.between(10.0, 90.0) as u32;
            self.disk.clean();
            return Some(FailureMode::DiskFull);
        }
        self.breaches(full(3))
    }

    /// Three slow minutes in a row are a breach; the next is another one only after half an hour of ease.
    fn breaches(&mut self, slow: bool) -> Option<FailureMode> {
        if !slow {
            (self.above, self.below) = (0, self.below + 1);
            return None;
        }
        self.above += 1;
        if self.above < BREACH {
            return None;
        }
        let fresh = self.below >= RECOVERED;
        self.below = 0;
        fresh.then_some(FailureMode::LatencyBreach)
    }

    /// Whether it is in trouble that everybody sees.
    pub fn suffers(&self, minute: u32) -> bool {
        minute < self.down_until || minute < self.loop_until || self.below < RECOVERED
    }
}
