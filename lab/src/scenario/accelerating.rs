//! Memory leaks faster and faster: a power of the time since the onset.

use std::io;

use super::{Course, Setting, Tick};
use crate::hoard::Hoard;
use crate::work::between;

/// A leak that accelerates.
#[derive(Debug)]
pub struct Accelerating {
    hoard: Hoard,
    memory: f64,
    fill_s: f64,
    power: f64,
}

impl Accelerating {
    /// Uses the nominal memory up in the drawn time, along a drawn power.
    pub fn new(mut setting: Setting) -> Self {
        let power = between(&mut setting.rng, 1.6, 2.6);
        Self { hoard: Hoard::default(), memory: setting.draw.memory, fill_s: setting.draw.fill_s, power }
    }

    fn level(&self, since_s: f64) -> f64 {
        self.memory * (since_s.max(0.0) / self.fill_s).powf(self.power)
    }
}

impl Course for Accelerating {
    fn step(&mut self, tick: &Tick) -> io::Result<()> {
        self.hoard.set(self.level(tick.since_s))
    }
}
