//! A neighbour that keeps the disk busy with writes and syncs, on and off.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::{Course, Setting, Tick};
use crate::work::Rhythm;

const BLOCK: usize = 1 << 20;
/// Blocks of the file that is written over and over.
const BLOCKS: usize = 64;

/// A thread that writes while told to.
#[derive(Debug)]
pub struct DiskHog {
    on: Arc<AtomicBool>,
    rhythm: Rhythm,
}

impl DiskHog {
    /// On and off by a rhythm.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn new(mut setting: Setting) -> io::Result<Self> {
        let mut file = File::create(setting.scratch.join("hog"))?;
        let on = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&on);
        thread::Builder::new().spawn(move || {
            loop {
                // A full disk ends the pressure, not the run.
                if !told.load(Ordering::Relaxed) || round(&mut file, &told).is_err() {
                    thread::sleep(Duration::from_millis(50));
                }
            }
        })?;
        Ok(Self { on, rhythm: Rhythm::new(&mut setting.rng) })
    }
}

/// Writes the file once, syncing every four blocks.
fn round(file: &mut File, on: &AtomicBool) -> io::Result<()> {
    let block = vec![0x5a; BLOCK];
    file.rewind()?;
    for at in 1..=BLOCKS {
        if !on.load(Ordering::Relaxed) {
            break;
        }
        file.write_all(&block)?;
        if at.is_multiple_of(4) {
            file.sync_data()?;
        }
    }
    Ok(())
}

impl Course for DiskHog {
    fn step(&mut self, tick: &Tick) -> io::Result<()> {
        self.on.store(self.rhythm.is_on(tick.since_s), Ordering::Relaxed);
        Ok(())
    }
}
