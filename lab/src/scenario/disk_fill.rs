//! A small file system fills up evenly.

use std::fs::File;
use std::io::{self, Write};

use foretwin_core::Rng;

use super::{Course, Setting, Tick};
use crate::work::{TICK_S, jitter};

/// A file that only grows.
#[derive(Debug)]
pub struct DiskFill {
    file: File,
    rate: f64,
    rng: Rng,
}

impl DiskFill {
    /// Fills the file system in the drawn time.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn new(setting: &Setting) -> io::Result<Self> {
        let file = File::create(setting.disk.join("data"))?;
        Ok(Self { file, rate: setting.disk_bytes / setting.draw.fill_s, rng: setting.rng })
    }
}

impl Course for DiskFill {
    fn step(&mut self, tick: &Tick) -> io::Result<()> {
        let bytes = self.rate * TICK_S * jitter(&mut self.rng);
        if tick.since_s < 0.0 { Ok(()) } else { self.file.write_all(&vec![0x5a; bytes as usize]) }
    }
}
