//! Neighbours: processes that use the processor, the disk or memory, as much as they are told.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::worker::{Told, told};
use crate::hoard::Hoard;
use crate::sys::{monotonic_s, thread_cpu_s};
use crate::work;

/// Seconds in which a duty is kept on average by who works steadily.
pub const STEADY_S: f64 = 0.05;
/// The same of a hog of the processor: jobs come in bursts, which harm for as long as they last; a tenth of a core in
/// slices of milliseconds between those of others harms nobody.
pub const BURSTS_S: f64 = 1.0;
const BLOCK: usize = 256 << 10;
/// Blocks of each file that is written over and over.
const BLOCKS: u64 = 64;
/// Threads of one neighbour that write at once.
pub const WRITERS: usize = 4;
/// Bytes that the memory hog takes or lets go of in one step.
const GULP: f64 = (4 << 20) as f64;
/// What a full duty of the memory hog takes and lets go of, beside what it holds.
pub const SWING: f64 = (48 << 20) as f64;

/// Uses a share of a core: processor time, so that it wants the same under contention.
pub fn cpu(orders: &Told, period_s: f64) {
    loop {
        let began_s = monotonic_s();
        let until_s = thread_cpu_s() + period_s * told(orders).duty.min(1.0);
        // Beyond twice the period it will not catch up: a hog does not save its hunger.
        while thread_cpu_s() < until_s && monotonic_s() < began_s + 2.0 * period_s {
            work::serve();
        }
        sleep(began_s + period_s - monotonic_s());
    }
}

/// Writes and syncs a share of the time, with several writes under way at once.
///
/// # Errors
/// If a file or thread cannot be made.
pub fn disk(scratch: &Path, writers: usize, orders: &Told) -> io::Result<()> {
    for writer in 1..writers {
        let (file, orders) = (File::create(scratch.join(format!("hog-{writer}")))?, Arc::clone(orders));
        thread::Builder::new().spawn(move || keep_writing(file, writer / WRITERS, &orders))?;
    }
    keep_writing(File::create(scratch.join("hog-0"))?, 0, orders);
    Ok(())
}

/// Works for the neighbour of a number, which comes when all before it work all the time.
fn keep_writing(mut file: File, neighbour: usize, orders: &Told) {
    let block = vec![0x5a; BLOCK];
    loop {
        let duty = (told(orders).duty - neighbour as f64).clamp(0.0, 1.0);
        let began_s = monotonic_s();
        // A full disk ends the pressure, not the campaign.
        if duty <= 0.0 || write(&mut file, &block).is_err() {
            sleep(STEADY_S);
            continue;
        }
        let took_s = monotonic_s() - began_s;
        sleep(took_s * (1.0 / duty - 1.0));
    }
}

fn write(file: &mut File, block: &[u8]) -> io::Result<()> {
    if file.stream_position()? >= BLOCKS * BLOCK as u64 {
        file.rewind()?;
    }
    file.write_all(block)?;
    file.sync_data()
}

/// Holds memory and, a share of the time, takes more and lets go of it again.
pub fn memory(orders: &Told) {
    let mut hoard = Hoard::default();
    let mut swing = 0.0;
    loop {
        let order = told(orders);
        let began_s = monotonic_s();
        swing = if swing >= SWING * order.duty { 0.0 } else { swing + GULP };
        let goal = if order.bytes > 0.0 { order.bytes + swing } else { 0.0 };
        // In gulps: memory taken at once would be one long stall, not pressure.
        let held = hoard.bytes();
        // What is refused is tried again.
        let _ = hoard.set(if goal > held { goal.min(held + 4.0 * GULP) } else { goal });
        let took_s = monotonic_s() - began_s;
        let rest = if order.duty > 0.0 { took_s * (1.0 / order.duty - 1.0) } else { STEADY_S };
        sleep(rest.clamp(0.001, 1.0));
    }
}

fn sleep(seconds: f64) {
    if seconds > 0.0 {
        thread::sleep(Duration::from_secs_f64(seconds));
    }
}
