//! A small file system runs out of inodes: many empty files.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use foretwin_core::Rng;

use super::{Course, Setting, Tick};
use crate::work::{Drip, TICK_S, jitter};

/// Files that nobody removes.
#[derive(Debug)]
pub struct InodeFill {
    dir: PathBuf,
    made: usize,
    rate: f64,
    drip: Drip,
    rng: Rng,
}

impl InodeFill {
    /// Uses all inodes in the drawn time.
    pub fn new(setting: &Setting) -> Self {
        let rate = setting.inodes / setting.draw.fill_s;
        Self { dir: setting.disk.clone(), made: 0, rate, drip: Drip::default(), rng: setting.rng }
    }
}

impl Course for InodeFill {
    fn step(&mut self, tick: &Tick) -> io::Result<()> {
        let files = self.rate * TICK_S * jitter(&mut self.rng);
        if tick.since_s < 0.0 {
            return Ok(());
        }
        for _ in 0..self.drip.take(files) {
            File::create(self.dir.join(self.made.to_string()))?;
            self.made += 1;
        }
        Ok(())
    }
}
