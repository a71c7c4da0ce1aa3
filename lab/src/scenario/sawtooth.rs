//! Garbage piles up and is collected, over a floor that rises from the onset on.

use std::io;

use super::{Course, Setting, Tick};
use crate::hoard::Hoard;
use crate::work::{TICK_S, between, jitter};

/// A leak under garbage collection.
#[derive(Debug)]
pub struct Sawtooth {
    floor: Hoard,
    garbage: Hoard,
    tooth: f64,
    period_s: f64,
    setting: Setting,
}

impl Sawtooth {
    /// Teeth of 10 to 20 % of the memory, every 4 to 10 s.
    pub fn new(mut setting: Setting) -> Self {
        let tooth = setting.draw.memory * between(&mut setting.rng, 0.1, 0.2);
        let period_s = between(&mut setting.rng, 4.0, 10.0);
        Self { floor: Hoard::default(), garbage: Hoard::default(), tooth, period_s, setting }
    }
}

impl Course for Sawtooth {
    fn step(&mut self, tick: &Tick) -> io::Result<()> {
        let (leak, garbage) = (jitter(&mut self.setting.rng), jitter(&mut self.setting.rng));
        if tick.since_s >= 0.0 {
            self.floor.grow(self.setting.draw.rate * TICK_S * leak)?;
        }
        if self.garbage.bytes() > self.tooth {
            return self.garbage.set(0.0);
        }
        self.garbage.grow(self.tooth / self.period_s * TICK_S * garbage)
    }
}
