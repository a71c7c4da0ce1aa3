//! Memory leaks for a while; then the leak is fixed, and what leaked is freed or stays.

use std::io;

use super::{Course, Setting, Tick};
use crate::hoard::Hoard;
use crate::work::{TICK_S, between, jitter};

/// A leak that stops in time.
#[derive(Debug)]
pub struct FixedLeak {
    hoard: Hoard,
    worst: f64,
    frees: bool,
    fixed: bool,
    setting: Setting,
}

impl FixedLeak {
    /// Fixed when 35 to 70 % of the memory is used; every other seed frees it.
    pub fn new(mut setting: Setting) -> Self {
        let worst = setting.draw.memory * between(&mut setting.rng, 0.35, 0.7);
        let frees = setting.rng.uniform() < 0.5;
        Self { hoard: Hoard::default(), worst, frees, fixed: false, setting }
    }
}

impl Course for FixedLeak {
    fn step(&mut self, tick: &Tick) -> io::Result<()> {
        if tick.since_s < 0.0 || self.fixed {
            return Ok(());
        }
        if self.hoard.bytes() < self.worst {
            return self.hoard.grow(self.setting.draw.rate * TICK_S * jitter(&mut self.setting.rng));
        }
        self.fixed = true;
        if self.frees { self.hoard.set(0.0) } else { Ok(()) }
    }
}
