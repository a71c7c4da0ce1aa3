//! Descriptors are opened and never closed.

use std::fs::File;
use std::io;

use foretwin_core::Rng;

use super::{Course, Setting, Tick};
use crate::work::{Drip, TICK_S, jitter};

/// Descriptors that nobody closes.
#[derive(Debug)]
pub struct DescriptorLeak {
    open: Vec<File>,
    rate: f64,
    drip: Drip,
    rng: Rng,
}

impl DescriptorLeak {
    /// Uses all descriptors in the drawn time.
    pub fn new(setting: &Setting) -> Self {
        let rate = setting.descriptors / setting.draw.fill_s;
        Self { open: Vec::new(), rate, drip: Drip::default(), rng: setting.rng }
    }
}

impl Course for DescriptorLeak {
    fn step(&mut self, tick: &Tick) -> io::Result<()> {
        let count = self.rate * TICK_S * jitter(&mut self.rng);
        if tick.since_s < 0.0 {
            return Ok(());
        }
        for _ in 0..self.drip.take(count) {
            self.open.push(File::open("/dev/null")?);
        }
        Ok(())
    }
}
