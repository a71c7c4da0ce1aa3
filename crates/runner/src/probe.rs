//! The probes: short fixed units of work at normal priority, which measure what they cost and never yield.

mod disk;
mod echo;
mod peers;
mod queue;
mod ticker;

pub use disk::nameless;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use foretwin_core::probe::Field;
use foretwin_core::{Probes, Rng};

use crate::board::{Board, Counts};
use crate::gate::Gate;
use crate::meter::{Meter, Spent};
use crate::threads::Threads;
use crate::work::Calibration;

/// What the threads of a set share.
#[derive(Debug)]
struct Shared {
    board: Arc<Board>,
    gate: Gate,
    meter: Meter,
    /// Ticks per second, now; the bits of an f64.
    rate_hz: AtomicU64,
    calibration: Calibration,
}

impl Shared {
    fn rate_hz(&self) -> f64 {
        f64::from_bits(self.rate_hz.load(Ordering::Relaxed))
    }
}

/// A running set of probes. Dropping it ends its threads.
#[derive(Debug)]
pub struct Set {
    shared: Arc<Shared>,
    order: Probes,
    threads: Threads,
    governor: Governor,
    switch: Switch,
    before: Spent,
    last_s: f64,
}

impl Set {
    /// Starts the threads.
    pub fn start(
        order: &Probes,
        seed: u64,
        board: &Arc<Board>,
        calibration: Calibration,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            board: Arc::clone(board),
            gate: Gate::default(),
            meter: Meter::default(),
            rate_hz: AtomicU64::new(order.rate_hz.to_bits()),
            calibration,
        });
        let mut threads = Threads::default();
        let join = |shared: &Arc<Shared>| {
            let (shared, cpus) = (Arc::clone(shared), order.cpus.clone());
            move || {
                crate::sys::exact_timers();
                crate::sys::stay_on(&cpus);
                shared.meter.register();
                shared
            }
        };
        let ((requests, served), begin) = (std::sync::mpsc::channel(), join(&shared));
        threads.start("probe-serve", move || queue::serve(&begin(), &served))?;
        let (echo, stream) = echo::pair()?;
        let begin = join(&shared);
        threads.start("probe-echo", move || {
            begin();
            echo::answer(echo);
        })?;
        let (begin, long_unit_hz) = (join(&shared), order.long_unit_hz);
        threads.start("probe-tick", move || {
            let shared = begin();
            ticker::Ticker::new(&shared, stream, requests, Rng::new(seed)).run(long_unit_hz);
        })?;
        if let Some(directory) = order.directory.clone() {
            let (begin, sync_hz) = (join(&shared), order.sync_hz);
            threads.start("probe-disk", move || disk::run(&begin(), directory.as_ref(), sync_hz, seed))?;
        }
        if !order.peers.is_empty() {
            let (begin, peers) = (join(&shared), order.peers.clone());
            threads.start("probe-peers", move || peers::run(&begin(), &peers))?;
        }
        let governor = Governor::new(order.rate_hz, order.cap_core);
        let switch = Switch::new(order.switch_s, seed);
        let (order, before, last_s) = (order.clone(), Spent::default(), 0.0);
        Ok(Self { shared, order, threads, governor, switch, before, last_s })
    }

    /// What it was started with.
    pub fn order(&self) -> &Probes {
        &self.order
    }

    /// Tells of the period that ends at `now_s`, and sets what the next one may do.
    pub fn report(&mut self, now_s: f64, counts: &Counts, values: &mut Vec<(Field, f64)>) {
        let period_s = (now_s - self.last_s).max(1e-6);
        let is_first = self.last_s == 0.0;
        self.last_s = now_s;
        values.push((Field::ProbesOn, f64::from(u8::from(self.switch.is_on))));
        values.push((Field::ProbeRate, self.shared.rate_hz()));
        values.push((Field::Ticks, counts.ticks as f64));
        values.push((Field::TicksMissed, counts.missed as f64));
        if !self.order.peers.is_empty() {
            values.push((Field::PeerErrors, counts.peer_errors as f64));
        }
        if let Some(spent) = self.shared.meter.read()
            && !is_first
        {
            let cpu = spent.cpu_ns.saturating_sub(self.before.cpu_ns) as f64 / 1e9 / period_s;
            let delay = spent.delay_ns.saturating_sub(self.before.delay_ns) as f64 / 1e9 / period_s;
            values.push((Field::ProbeCpu, cpu));
            values.push((Field::ProbeRunDelay, delay));
            if self.switch.is_on {
                let rate_hz = self.governor.rate_hz(cpu);
                self.shared.rate_hz.store(rate_hz.to_bits(), Ordering::Relaxed);
            }
        }
        self.before = self.shared.meter.read().unwrap_or_default();
        let usage = counts.usage;
        values.push((Field::ProbePreempted, usage.preempted as f64 / period_s));
        values.push((Field::ProbeMinorFaults, usage.minor_faults as f64 / period_s));
        values.push((Field::ProbeMajorFaults, usage.major_faults as f64 / period_s));
        if self.switch.turns(now_s) {
            self.shared.gate.switch(self.switch.is_on);
        }
    }
}

impl Drop for Set {
    fn drop(&mut self) {
        self.shared.gate.end();
        self.threads.join();
    }
}

/// Keeps the probes below their cap by making them rarer, never by making them yield.
#[derive(Debug)]
struct Governor {
    asked_hz: f64,
    rate_hz: f64,
    cap: f64,
    /// Smoothed use in cores; NaN before the first period.
    used: f64,
}

impl Governor {
    fn new(asked_hz: f64, cap: f64) -> Self {
        Self { asked_hz, rate_hz: asked_hz, cap, used: f64::NAN }
    }

    /// The rate for the next period, after one in which `cpu` cores were used.
    fn rate_hz(&mut self, cpu: f64) -> f64 {
        // Over about five periods: a single slow one is what the probes are there to see.
        self.used = if self.used.is_nan() { cpu } else { self.used + 0.2 * (cpu - self.used) };
        let fit = self.cap / self.used.max(1e-9);
        if fit < 1.0 {
            self.rate_hz *= fit.max(0.5);
            // What is smoothed was measured at the old rate.
            self.used *= fit.max(0.5);
        } else if fit > 1.15 {
            self.rate_hz *= 1.05;
        }
        self.rate_hz = self.rate_hz.clamp(self.asked_hz.min(0.5), self.asked_hz);
        self.rate_hz
    }
}

/// Random blocks of on and off, so that what the probes cost others can be told from chance.
#[derive(Debug)]
struct Switch {
    mean_s: Option<f64>,
    is_on: bool,
    until_s: f64,
    rng: Rng,
}

impl Switch {
    fn new(mean_s: Option<f64>, seed: u64) -> Self {
        Self { mean_s, is_on: true, until_s: 0.0, rng: Rng::new(seed ^ 0x5717) }
    }

    /// Whether it has just turned.
    fn turns(&mut self, now_s: f64) -> bool {
        let Some(mean_s) = self.mean_s else { return false };
        if now_s < self.until_s {
            return false;
        }
        self.until_s = now_s + mean_s * (0.5 + self.rng.uniform());
        let was_on = std::mem::replace(&mut self.is_on, self.rng.uniform() < 0.5);
        was_on != self.is_on
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cap_makes_ticks_rarer_and_lets_them_come_back() {
        let mut governor = Governor::new(10.0, 0.015);
        // 2 ms of CPU a tick would be 2 % of a core.
        for _ in 0..40 {
            let rate_hz = governor.rate_hz;
            governor.rate_hz(rate_hz * 0.002);
        }
        assert!(governor.rate_hz * 0.002 < 0.0151, "{}", governor.rate_hz);
        assert!(governor.rate_hz > 5.0);
        (0..60).for_each(|_| {
            let rate_hz = governor.rate_hz;
            governor.rate_hz(rate_hz * 0.001);
        });
        assert_eq!(governor.rate_hz, 10.0);
    }

    #[test]
    fn blocks_are_on_about_half_of_the_time() {
        let mut switch = Switch::new(Some(5.0), 7);
        let mut on = 0;
        for second in 0..4000 {
            switch.turns(f64::from(second));
            on += u32::from(switch.is_on);
        }
        assert!((1600..2400).contains(&on), "{on}");
        let mut always = Switch::new(None, 7);
        assert!(!always.turns(1e9) && always.is_on);
    }
}
