//! A file larger than the group is written and read again and again: page cache fills the limit, and nothing is
//! wrong.

use std::fs::File;
use std::io::{self, Read, Seek, Write};

use super::{Course, Setting, Tick};
use crate::work::TICK_S;

const BLOCK: usize = 1 << 20;
/// Dirty pages cannot be reclaimed: sync before they are many.
const SYNC_EVERY: u64 = 4;

/// A process that streams through a file.
#[derive(Debug)]
pub struct PageCache {
    file: File,
    block: Vec<u8>,
    blocks: u64,
    due: f64,
    rate: f64,
    at: u64,
    pass: u64,
}

impl PageCache {
    /// A file of 1.25 times the memory, at 4 to 16 MB/s.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn new(setting: &Setting) -> io::Result<Self> {
        let bytes = 1.25 * setting.draw.memory;
        let path = setting.scratch.join("stream");
        let file = File::options().create(true).truncate(true).read(true).write(true).open(path)?;
        let rate = (8.0 * setting.draw.rate).clamp(4.0 * BLOCK as f64, 16.0 * BLOCK as f64);
        let blocks = (bytes / BLOCK as f64).ceil() as u64;
        Ok(Self { file, block: vec![0x5a; BLOCK], blocks, due: 0.0, rate, at: 0, pass: 0 })
    }

    /// One pass writes, two read.
    fn advance(&mut self) -> io::Result<()> {
        if self.pass.is_multiple_of(3) {
            self.file.write_all(&self.block)?;
            if self.at.is_multiple_of(SYNC_EVERY) {
                self.file.sync_data()?;
            }
        } else {
            self.file.read_exact(&mut self.block)?;
        }
        self.at += 1;
        if self.at == self.blocks {
            self.file.rewind()?;
            (self.at, self.pass) = (0, self.pass + 1);
        }
        Ok(())
    }
}

impl Course for PageCache {
    fn step(&mut self, tick: &Tick) -> io::Result<()> {
        if tick.since_s < 0.0 {
            return Ok(());
        }
        self.due += self.rate * TICK_S / BLOCK as f64;
        while self.due >= 1.0 {
            self.advance()?;
            self.due -= 1.0;
        }
        Ok(())
    }
}
