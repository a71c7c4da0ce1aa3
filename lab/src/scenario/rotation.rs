//! A log grows with the load and is rotated in time.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;

use super::{Course, Setting, Tick};
use crate::work::{between, jitter};

/// A log that is looked after.
#[derive(Debug)]
pub struct Rotation {
    log: File,
    written: f64,
    rotate_at: f64,
    bytes_per_request: f64,
    setting: Setting,
}

impl Rotation {
    /// Two generations, which together never exceed 90 % of the file system.
    ///
    /// # Errors
    /// If the log cannot be made.
    pub fn new(mut setting: Setting) -> io::Result<Self> {
        let rotate_at = setting.disk_bytes * between(&mut setting.rng, 0.3, 0.42);
        let bytes_per_request = 4.0 * rotate_at / setting.draw.fill_s / setting.mean_load;
        let log = File::create(path(&setting, "log"))?;
        Ok(Self { log, written: 0.0, rotate_at, bytes_per_request, setting })
    }
}

fn path(setting: &Setting, name: &str) -> PathBuf {
    setting.disk.join(name)
}

impl Course for Rotation {
    fn step(&mut self, tick: &Tick) -> io::Result<()> {
        for _ in 0..tick.requests {
            let bytes = self.bytes_per_request * jitter(&mut self.setting.rng);
            self.log.write_all(&vec![b'.'; bytes as usize])?;
            self.written += bytes;
        }
        if self.written >= self.rotate_at {
            fs::rename(path(&self.setting, "log"), path(&self.setting, "log.1"))?;
            self.log = File::create(path(&self.setting, "log"))?;
            self.written = 0.0;
        }
        Ok(())
    }
}
