//! Memory leaks in jumps, with quiet between them.

use std::io;

use super::{Course, Setting, Tick};
use crate::hoard::Hoard;
use crate::work::{between, jitter};

/// A leak in jumps.
#[derive(Debug)]
pub struct Step {
    hoard: Hoard,
    jump: f64,
    next_s: f64,
    setting: Setting,
}

impl Step {
    /// Jumps of 10 to 25 % of the memory.
    pub fn new(mut setting: Setting) -> Self {
        let jump = setting.draw.memory * between(&mut setting.rng, 0.1, 0.25);
        Self { hoard: Hoard::default(), jump, next_s: 0.0, setting }
    }
}

impl Course for Step {
    fn step(&mut self, tick: &Tick) -> io::Result<()> {
        if tick.since_s < self.next_s {
            return Ok(());
        }
        self.next_s += self.jump / self.setting.draw.rate * jitter(&mut self.setting.rng);
        self.hoard.grow(self.jump * between(&mut self.setting.rng, 0.7, 1.3))
    }
}
