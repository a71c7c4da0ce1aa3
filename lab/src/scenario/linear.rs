//! Memory leaks evenly, with jitter.

use std::io;

use foretwin_core::Rng;

use super::{Course, Setting, Tick};
use crate::hoard::Hoard;
use crate::work::{TICK_S, jitter};

/// An even leak.
#[derive(Debug)]
pub struct Linear {
    hoard: Hoard,
    rate: f64,
    rng: Rng,
}

impl Linear {
    /// Leaks at the drawn rate.
    pub fn new(setting: &Setting) -> Self {
        Self { hoard: Hoard::default(), rate: setting.draw.rate, rng: setting.rng }
    }
}

impl Course for Linear {
    fn step(&mut self, tick: &Tick) -> io::Result<()> {
        let bytes = self.rate * TICK_S * jitter(&mut self.rng);
        if tick.since_s < 0.0 { Ok(()) } else { self.hoard.grow(bytes) }
    }
}
