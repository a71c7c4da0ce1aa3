//! Memory grows to a working set and stays there: a cache that warms up.

use std::io;

use super::{Course, Setting, Tick};
use crate::hoard::Hoard;
use crate::work::between;

/// Growth that ends.
#[derive(Debug)]
pub struct Plateau {
    hoard: Hoard,
    level: f64,
    time_constant_s: f64,
    setting: Setting,
}

impl Plateau {
    /// Settles at 45 to 80 % of the memory, at first as fast as a leak or faster.
    pub fn new(mut setting: Setting) -> Self {
        let level = setting.draw.memory * between(&mut setting.rng, 0.45, 0.8);
        let time_constant_s = level / setting.draw.rate * between(&mut setting.rng, 0.3, 1.0);
        Self { hoard: Hoard::default(), level, time_constant_s, setting }
    }
}

impl Course for Plateau {
    fn step(&mut self, tick: &Tick) -> io::Result<()> {
        let risen = 1.0 - (-tick.since_s.max(0.0) / self.time_constant_s).exp();
        let breath = 1.0 + 0.01 * self.setting.rng.normal();
        self.hoard.set(self.level * risen * breath)
    }
}
