//! Threads are started and never end.

use std::io;
use std::thread;

use foretwin_core::Rng;

use super::{Course, Setting, Tick};
use crate::work::{Drip, TICK_S, jitter};

/// Small stacks: the leak is of ids, not of memory.
const STACK: usize = 32 * 1024;

/// Threads that nobody ends.
#[derive(Debug)]
pub struct PidLeak {
    rate: f64,
    drip: Drip,
    rng: Rng,
}

impl PidLeak {
    /// Uses all ids of the group in the drawn time.
    pub fn new(setting: &Setting) -> Self {
        Self { rate: setting.pids / setting.draw.fill_s, drip: Drip::default(), rng: setting.rng }
    }
}

impl Course for PidLeak {
    fn step(&mut self, tick: &Tick) -> io::Result<()> {
        let count = self.rate * TICK_S * jitter(&mut self.rng);
        if tick.since_s < 0.0 {
            return Ok(());
        }
        for _ in 0..self.drip.take(count) {
            thread::Builder::new().stack_size(STACK).spawn(|| {
                loop {
                    thread::park();
                }
            })?;
        }
        Ok(())
    }
}
