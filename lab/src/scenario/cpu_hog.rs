//! A neighbour that takes every processor it can get, on and off.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::{Course, Setting, Tick};
use crate::work::{Rhythm, burn};

/// Threads that spin while told to.
#[derive(Debug)]
pub struct CpuHog {
    on: Arc<AtomicBool>,
    rhythm: Rhythm,
}

impl CpuHog {
    /// As many threads as processors; on and off by a rhythm.
    ///
    /// # Errors
    /// If a thread cannot be started.
    pub fn new(mut setting: Setting) -> io::Result<Self> {
        let on = Arc::new(AtomicBool::new(false));
        for _ in 0..thread::available_parallelism()?.get() {
            let on = Arc::clone(&on);
            thread::Builder::new().spawn(move || {
                loop {
                    if on.load(Ordering::Relaxed) {
                        burn(0.02);
                    } else {
                        thread::sleep(Duration::from_millis(20));
                    }
                }
            })?;
        }
        Ok(Self { on, rhythm: Rhythm::new(&mut setting.rng) })
    }
}

impl Course for CpuHog {
    fn step(&mut self, tick: &Tick) -> io::Result<()> {
        self.on.store(self.rhythm.is_on(tick.since_s), Ordering::Relaxed);
        Ok(())
    }
}
