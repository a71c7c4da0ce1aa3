//! The course of a campaign: healthy time, then fault after fault, sampled once a second.

use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use foretwin_core::Rng;

use super::counters::Counters;
use super::neighbour::SWING;
use super::plan::{ContrastConfig, Fault, Kind};
use super::pod::Pod;
use super::record::Record;
use super::service::{FILE as CACHE, Fared};
use crate::group::USUAL_SHARES;
use crate::host::HostConfig;
use crate::sys::{self, monotonic_s};
use crate::work::between;

/// CPU seconds of a request, all told, for a quota that it reaches: measured anew at each fault.
const LOOKBACK_S: usize = 15;
/// Seconds whose mean latency ends a ramp, and seconds that it goes on then.
const BROKEN_S: usize = 10;
const AFTER_S: f64 = 15.0;
/// Bytes per second that a leak of full strength leaks.
const LEAK: f64 = (4 << 20) as f64;
/// What the sidecar uses when all is well, cores.
const SIDECAR: f64 = 0.03;
/// Bytes that a memory hog leaves free even when it holds most: below them the kernel kills.
const MARGIN: f64 = (12 << 20) as f64;

/// Runs a campaign and records it.
///
/// # Errors
/// If the lab cannot be set up, or a process that is observed ends.
pub fn contrast(host: &HostConfig, config: &ContrastConfig) -> Result<()> {
    config.check()?;
    let mut pod = Pod::open(host, config)?;
    let record = Record::create(&config.out, pod.frames.take())?;
    let counters = Counters::open()?;
    pod.tell("pod/sidecar", |tell| tell.duty = SIDECAR)?;
    let memory_bytes = (host.host_memory_mb << 20) as f64;
    let ContrastConfig { pod_cores, neighbours, seed, .. } = *config;
    let until_s = config.until_ms.map(|until_ms| 1e-3 * until_ms);
    let (recent, next_s) = (Vec::new(), monotonic_s());
    let batch = Batch { rng: Rng::new(seed ^ 0xba7c), left_s: 0.0, duty: 0.0 };
    let mut course = Course {
        pod,
        record,
        counters,
        recent,
        next_s,
        memory_bytes,
        pod_cores,
        neighbours,
        until_s,
        seed,
        batch,
    };
    course.last(config.learn_s, None)?;
    if config.healthy_s > 0.0 {
        course.suffer(&Fault { kind: Kind::Healthy, strength: 1.0 }, config.healthy_s)?;
    }
    let faults = config.faults();
    for (at, fault) in faults.iter().enumerate() {
        if sys::stopped() {
            break;
        }
        eprintln!("{} of {}: {} {:.0} %", at + 1, faults.len(), fault.kind, fault.strength * 100.0);
        course.suffer(fault, config.fault_s)?;
        course.last(config.gap_s, None)?;
    }
    Ok(())
}

/// What a second told that later faults depend on.
#[derive(Debug, Clone, Copy)]
struct Second {
    requests: f64,
    cpu_us: u64,
    p90_s: f64,
}

struct Course {
    pod: Pod,
    record: Record,
    counters: Counters,
    recent: Vec<Second>,
    next_s: f64,
    memory_bytes: f64,
    pod_cores: f64,
    neighbours: u64,
    until_s: Option<f64>,
    seed: u64,
    batch: Batch,
}

/// A neighbour of low weight that works now and then and harms nobody: use alone is no interference.
struct Batch {
    rng: Rng,
    left_s: f64,
    duty: f64,
}

impl Batch {
    /// What it uses in the next second, share of a core.
    fn step(&mut self) -> f64 {
        self.left_s -= 1.0;
        if self.left_s <= 0.0 {
            let works = self.duty == 0.0;
            self.duty = if works { between(&mut self.rng, 0.1, 1.0) } else { 0.0 };
            self.left_s = between(&mut self.rng, 10.0, 45.0);
        }
        self.duty
    }
}

impl Course {
    /// Lets a fault last, and ends it.
    fn suffer(&mut self, fault: &Fault, seconds: f64) -> Result<()> {
        let (begin_s, begin_unix) = (monotonic_s(), unix_s()?);
        self.begin(fault)?;
        self.last(seconds, fault.kind.ramps().then_some((fault, begin_s)))?;
        self.end(fault)?;
        self.record.fault(fault, begin_unix, unix_s()?)
    }

    fn begin(&mut self, fault: &Fault) -> Result<()> {
        let (kind, strength) = (fault.kind, fault.strength);
        let rate = kind.rate();
        self.pod.tell("pod/original", |tell| tell.rate = rate)?;
        match kind {
            Kind::Slower | Kind::CpuHogSlower => {
                self.pod.tell("pod/original", |tell| tell.slower = strength)?;
            }
            Kind::Leak | Kind::DiskHogLeak => {
                self.pod.tell("pod/original", |tell| tell.leak = strength * LEAK)?;
            }
            Kind::Quota => {
                let wanted = rate.unwrap_or_default() * self.request_cpu_s();
                self.limit_original(Some((wanted / (1.0 + strength)).max(0.02)))?;
            }
            _ => {}
        }
        if !kind.ramps() {
            self.press(kind, strength)?;
        }
        Ok(())
    }

    /// Has the neighbour of a fault press so hard.
    fn press(&mut self, kind: Kind, strength: f64) -> Result<()> {
        let Some(name) = kind.neighbour() else { return Ok(()) };
        let duty = match kind {
            // All that is left of the quota, and so much more.
            Kind::Throttled => {
                let used = self.pod_use();
                (self.pod_cores * (1.0 + strength) - used).clamp(0.05, 1.0)
            }
            Kind::RampThrottled => SIDECAR + strength * (1.0 - SIDECAR),
            Kind::MemoryHog => strength,
            _ => strength * self.neighbours as f64,
        };
        // A ramp of the processor never rests and grows by its weight, so that it is smooth; else the first neighbour
        // comes in bursts, and others join it.
        let (duty, weight) = if kind == Kind::RampCpu { (1.0, duty) } else { (duty, duty.max(1.0)) };
        if name == "cpu-hog" {
            let group = self.pod.group(name).context("the hog has no group")?;
            group.set_shares((USUAL_SHARES as f64 * weight) as u64)?;
        }
        // At full strength nothing is left for page cache at the top of a swing.
        let spared = MARGIN + CACHE as f64 * (1.0 - strength) + SWING * strength;
        let bytes = if kind == Kind::MemoryHog { (self.room() - spared).max(0.0) } else { 0.0 };
        self.pod.tell(name, |tell| (tell.duty, tell.bytes) = (duty, bytes))
    }

    fn end(&mut self, fault: &Fault) -> Result<()> {
        if let Some(name) = fault.kind.neighbour() {
            let duty = if name == "pod/sidecar" { SIDECAR } else { 0.0 };
            self.pod.tell(name, |tell| (tell.duty, tell.bytes) = (duty, 0.0))?;
        }
        if fault.kind == Kind::Quota {
            self.limit_original(None)?;
        }
        self.pod.tell("pod/original", |tell| {
            (tell.rate, tell.slower, tell.leak) = (None, 0.0, 0.0);
            tell.warm = fault.kind == Kind::MemoryHog;
        })
    }

    fn limit_original(&self, cores: Option<f64>) -> Result<()> {
        self.pod.group("pod/original").context("the original has no group")?.set_cores(cores)
    }

    /// Whether latency exceeds what ends a ramp.
    fn is_broken(&self) -> bool {
        let recent = self.recent.len().checked_sub(BROKEN_S).map(|from| &self.recent[from..]);
        let mean =
            recent.map(|recent| recent.iter().map(|second| second.p90_s).sum::<f64>() / BROKEN_S as f64);
        mean.zip(self.until_s).is_some_and(|(mean, until)| mean > until)
    }

    /// CPU seconds of a request lately.
    fn request_cpu_s(&self) -> f64 {
        let (Some(first), Some(last)) = (self.recent.first(), self.recent.last()) else { return 0.001 };
        let requests: f64 = self.recent.iter().skip(1).map(|second| second.requests).sum();
        (last.cpu_us - first.cpu_us) as f64 * 1e-6 / requests.max(1.0)
    }

    /// Cores that the pod has used lately without its sidecar, about.
    fn pod_use(&self) -> f64 {
        let requests: f64 = self.recent.iter().map(|second| second.requests).sum();
        requests / self.recent.len().max(1) as f64 * self.request_cpu_s() + 0.02
    }

    /// Bytes that a neighbour can take before page cache has to give way.
    fn room(&self) -> f64 {
        let of = |name: &str| {
            self.pod
                .group(name)
                .and_then(|group| Some((group.memory_usage()?.saturating_sub(group.memory_cache()?)) as f64))
        };
        self.memory_bytes - of("").unwrap_or(0.0)
    }

    /// Samples for so many seconds; meanwhile a ramp grows from nothing to its strength.
    fn last(&mut self, seconds: f64, ramp: Option<(&Fault, f64)>) -> Result<()> {
        let mut until_s = monotonic_s() + seconds;
        while monotonic_s() < until_s && !sys::stopped() {
            if ramp.is_some() && self.is_broken() {
                until_s = until_s.min(monotonic_s() + AFTER_S);
            }
            if let Some((fault, begin_s)) = ramp {
                let share = ((monotonic_s() - begin_s) / seconds).min(1.0);
                self.press(fault.kind, fault.strength * share)?;
            }
            let duty = self.batch.step();
            self.pod.tell("batch", |tell| tell.duty = duty)?;
            self.next_s = (self.next_s + 1.0).max(monotonic_s() - 1.0);
            let wait_s = (self.next_s - monotonic_s()).max(0.0);
            thread::sleep(Duration::from_secs_f64(wait_s));
            self.sample()?;
        }
        Ok(())
    }

    fn sample(&mut self) -> Result<()> {
        match self.pod.fallen() {
            Some("memory-hog") => {
                eprintln!("the memory hog was killed for memory; it is started anew");
                self.pod.revive("memory-hog", self.seed)?;
            }
            Some(name) => ensure!(false, "{name} has ended: the campaign is over"),
            None => {}
        }
        let counters = self.counters.read(self.pod.original())?;
        let fared = together(&self.pod.fared());
        let cpu_us = self.pod.group("pod/original").and_then(|group| group.cpu_ns()).unwrap_or(0) / 1000;
        self.recent.push(Second {
            requests: f64::from(fared.requests),
            cpu_us,
            p90_s: fared.p90_s.unwrap_or_default(),
        });
        if self.recent.len() > LOOKBACK_S {
            self.recent.remove(0);
        }
        self.record.second(unix_s()?, &fared, &counters)
    }
}

/// Mostly one report comes a second; of several, the last says the latency.
fn together(reports: &[Fared]) -> Fared {
    let mut all = reports.last().copied().unwrap_or_default();
    all.requests = reports.iter().map(|report| report.requests).sum();
    all.errors = reports.iter().map(|report| report.errors).sum();
    all.offered = reports.iter().map(|report| report.offered).sum();
    all
}

fn unix_s() -> Result<f64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH).context("reading the clock")?.as_secs_f64())
}
