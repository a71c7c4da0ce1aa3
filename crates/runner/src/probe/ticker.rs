//! The tick: sleeps a jittered while, then does one of each short unit and measures it.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use foretwin_core::Rng;

use super::queue::{self, Request};
use super::{Shared, echo};
use crate::board::Cost;
use crate::sys::{self, Map, PAGE, Usage};
use crate::work;

/// CPU seconds of a short unit.
const SHORT_S: f64 = 0.33e-3;
/// CPU seconds of a long unit.
const LONG_S: f64 = 3.3e-3;
/// Memory that is walked through: more than the second-level cache of most machines.
const WALKED: usize = 4 << 20;
/// Dependent loads of a tick.
const LOADS: usize = 1024;
/// Fresh pages of a tick.
const FRESH: usize = 16;

/// What a tick works with.
pub struct Ticker {
    shared: Arc<Shared>,
    stream: Option<echo::Near>,
    requests: Sender<Request>,
    rng: Rng,
    walked: Option<Map>,
    /// Where the walk through memory is.
    at: usize,
    fresh: Option<Map>,
    usage: Usage,
}

impl Ticker {
    /// Prepares the memory. What the system refuses is not probed.
    pub fn new(shared: &Arc<Shared>, stream: echo::Near, requests: Sender<Request>, mut rng: Rng) -> Self {
        let walked = Map::anonymous(WALKED).ok();
        if let Some(map) = &walked {
            (0..WALKED).step_by(PAGE).for_each(|at| map.store(at, 1));
            // Random steps: each byte read says how far to go on, so that no prefetcher can guess.
            (0..WALKED).step_by(64).for_each(|at| map.store(at, rng.below(256) as u8));
        }
        let fresh = Map::anonymous(FRESH * PAGE).ok();
        let (shared, stream, at) = (Arc::clone(shared), Some(stream), 0);
        Self { shared, stream, requests, rng, walked, at, fresh, usage: sys::thread_usage() }
    }

    /// Ticks until told to end.
    pub fn run(mut self, long_unit_hz: f64) {
        let mut due = sys::monotonic_ns();
        let mut long_due = due;
        loop {
            let period_ns = 1e9 / self.shared.rate_hz();
            // Half to one and a half periods: no rhythm of the kernel's (quota periods of 100 ms) is in step with it.
            due += (period_ns * (0.5 + self.rng.uniform())) as u64;
            let late_ns = sys::monotonic_ns().saturating_sub(due);
            if late_ns > 0 {
                let missed = (late_ns as f64 / period_ns).ceil();
                due += (missed * period_ns) as u64;
                self.shared.board.count(|counts| counts.missed += missed as u64);
            }
            if !self.shared.gate.sleep_until(due) {
                return;
            }
            let lag_ns = sys::monotonic_ns() - due;
            // It was switched off meanwhile: the rhythm begins anew.
            if lag_ns as f64 > 20.0 * period_ns {
                due = sys::monotonic_ns();
                continue;
            }
            self.shared.board.push_ns(Cost::WakeLag, lag_ns);
            self.tick();
            if long_unit_hz > 0.0 && due >= long_due {
                self.unit(LONG_S, Cost::LongStretch, Cost::LongCpu);
                long_due = due + (1e9 / long_unit_hz * (0.5 + self.rng.uniform())) as u64;
            }
            self.account();
        }
    }

    fn tick(&mut self) {
        self.unit(SHORT_S, Cost::ShortStretch, Cost::ShortCpu);
        self.touch();
        self.fault();
        if let Some(stream) = &mut self.stream {
            match stream.round_trip_ns() {
                Ok(took_ns) => self.shared.board.push_ns(Cost::Tcp, took_ns),
                // A connection that failed once is out of step; the field stays missing from here on.
                Err(_) => self.stream = None,
            }
        }
        queue::arrive(&self.requests, &mut self.rng);
    }

    fn unit(&self, seconds: f64, stretch: Cost, cpu: Cost) {
        let count = self.shared.calibration.units_in(seconds);
        let (wall, own) = (sys::monotonic_ns(), sys::thread_cpu_ns());
        std::hint::black_box(work::units(count));
        let (own, wall) = (sys::thread_cpu_ns() - own, sys::monotonic_ns() - wall);
        if own > 0 {
            self.shared.board.push(stretch, wall as f64 / own as f64);
            self.shared.board.push(cpu, own as f64 / 1e9 / count as f64);
        }
    }

    fn touch(&mut self) {
        let Some(map) = &self.walked else { return };
        let began = sys::monotonic_ns();
        for _ in 0..LOADS {
            let step = usize::from(map.load(self.at));
            // A prime number of cache lines, and what was read on top: the next place depends on this one.
            self.at = (self.at + (6_151 + step * 251) * 64) % WALKED;
        }
        self.shared.board.push_ns(Cost::Touch, (sys::monotonic_ns() - began) / LOADS as u64);
    }

    fn fault(&self) {
        let Some(map) = &self.fresh else { return };
        if !map.give_back(0..FRESH * PAGE) {
            return;
        }
        let began = sys::monotonic_ns();
        (0..FRESH).for_each(|page| map.store(page * PAGE, 1));
        self.shared.board.push_ns(Cost::Fault, (sys::monotonic_ns() - began) / FRESH as u64);
    }

    fn account(&mut self) {
        let now = sys::thread_usage();
        let before = std::mem::replace(&mut self.usage, now);
        self.shared.board.count(|counts| {
            counts.ticks += 1;
            counts.usage.preempted += now.preempted - before.preempted;
            counts.usage.minor_faults += now.minor_faults - before.minor_faults;
            counts.usage.major_faults += now.major_faults - before.major_faults;
        });
    }
}
