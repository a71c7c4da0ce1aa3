//! The hands of the replay: each works off what is due in its dimensions, in small slices.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

use foretwin_core::{Dimension, Rng};

use super::Shared;
use crate::board::Cost;
use crate::sys::{self, Map, PAGE};
use crate::work;

/// How long a worker that has nothing to do waits.
const PAUSE: Duration = Duration::from_millis(25);
/// CPU seconds that are worked off in one go.
const SLICE_S: f64 = 0.004;
/// Memory is taken in pieces of this size.
const PIECE: usize = 1 << 20;
/// Bytes of the file that is read and written: more is not left on disk, whatever the original wrote.
const FILE_BYTES: u64 = 16 << 20;
/// Most operations in one go.
const MOST_AT_ONCE: u64 = 32;
/// Requests that may wait; what arrives beyond is late and comes later.
const LONGEST_QUEUE: u64 = 10_000;

/// CPU work that no request does.
pub fn compute(shared: &Shared) {
    loop {
        let due_s = shared.ledger.due(Dimension::Cpu);
        let count = (due_s.min(SLICE_S) * shared.work_rate) as u64;
        if count == 0 {
            if !shared.gate.wait(PAUSE) {
                return;
            }
            continue;
        }
        std::hint::black_box(work::units(count));
        shared.ledger.did(Dimension::Cpu, count as f64 / shared.work_rate);
        if !shared.gate.pass() {
            return;
        }
    }
}

/// Holds the working set, and turns it over.
pub fn remember(shared: &Shared) {
    let mut pieces: Vec<Map> = Vec::new();
    let mut turn = 0usize;
    while shared.gate.wait(4 * PAUSE) {
        let wanted = (shared.ledger.level(Dimension::WorkingSet) / PIECE as f64).round() as usize;
        pieces.truncate(wanted);
        // A few at a time: a jump of the profile is not a jump of the machine's.
        for _ in 0..wanted.saturating_sub(pieces.len()).min(64) {
            let Ok(piece) = Map::anonymous(PIECE) else { break };
            touch(&piece, 0..PIECE);
            pieces.push(piece);
        }
        let held = pieces.len() * PIECE;
        shared.held.store(held as u64, Ordering::Relaxed);
        shared.ledger.did(Dimension::WorkingSet, held as f64);
        let pages = (shared.ledger.due(Dimension::Turnover) / PAGE as f64) as usize;
        for _ in 0..pages.min(4096) {
            let Some(piece) = pieces.get(turn / (PIECE / PAGE) % pieces.len().max(1)) else { break };
            let at = turn % (PIECE / PAGE) * PAGE;
            piece.give_back(at..at + PAGE);
            touch(piece, at..at + PAGE);
            turn = turn.wrapping_add(1);
            shared.ledger.did(Dimension::Turnover, PAGE as f64);
        }
    }
}

fn touch(piece: &Map, bytes: std::ops::Range<usize>) {
    bytes.step_by(PAGE).for_each(|at| piece.store(at, 1));
}

/// Reads, writes and syncs a file of bounded size.
pub fn store(shared: &Shared, file: &File, seed: u64) {
    let mut rng = Rng::new(seed ^ 0xf11e);
    let mut bytes = vec![0x33u8; 1 << 20];
    while shared.gate.wait(PAUSE) {
        for (count, amount, reads) in [
            (Dimension::Reads, Dimension::ReadBytes, true),
            (Dimension::Writes, Dimension::WriteBytes, false),
        ] {
            let (operations, size) = operations(shared.ledger.due(count), shared.ledger.due(amount));
            for _ in 0..operations.min(MOST_AT_ONCE) {
                let at = rng.below(FILE_BYTES / PAGE as u64) * PAGE as u64;
                let buffer = &mut bytes[..size];
                let done = if reads {
                    // Else the page cache would answer.
                    sys::forget_cached(file, at, size as u64);
                    file.read_at(buffer, at).is_ok()
                } else {
                    // It may reach past the end by one operation, no further.
                    file.write_all_at(buffer, at.min(FILE_BYTES - size as u64)).is_ok()
                };
                if done {
                    shared.ledger.did(count, 1.0);
                    shared.ledger.did(amount, size as f64);
                }
            }
        }
        for _ in 0..(shared.ledger.due(Dimension::Syncs) as u64).min(MOST_AT_ONCE) {
            if file.sync_data().is_ok() {
                shared.ledger.did(Dimension::Syncs, 1.0);
            }
        }
    }
}

/// How many operations are due, and of what size, where either number may be unknown.
fn operations(count: f64, bytes: f64) -> (u64, usize) {
    const USUAL: f64 = 16_384.0;
    if count >= 1.0 {
        let size = (bytes / count).clamp(512.0, (1 << 20) as f64);
        (count as u64, size as usize)
    } else {
        ((bytes / USUAL) as u64, USUAL as usize)
    }
}

/// Both ends of a loopback connection: near and far.
///
/// # Errors
/// If loopback is not there.
pub fn connection() -> std::io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let near = TcpStream::connect(listener.local_addr()?)?;
    let (far, _) = listener.accept()?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    near.set_read_timeout(Some(Duration::from_secs(5)))?;
    Ok((near, far))
}

/// Round trips, each with its share of the bytes, half out and half back.
pub fn talk(shared: &Shared, mut near: TcpStream) {
    let mut bytes = vec![0u8; 64 << 10];
    while shared.gate.wait(PAUSE) {
        let due = shared.ledger.due(Dimension::RoundTrips);
        let (trips, size) = operations(due, shared.ledger.due(Dimension::NetworkBytes));
        let size = (size / 2).clamp(8, bytes.len());
        for _ in 0..trips.min(4 * MOST_AT_ONCE) {
            bytes[..4].copy_from_slice(&(size as u32).to_le_bytes());
            if near.write_all(&bytes[..size]).is_err() || near.read_exact(&mut bytes[..size]).is_err() {
                return;
            }
            shared.ledger.did(Dimension::RoundTrips, 1.0);
            shared.ledger.did(Dimension::NetworkBytes, 2.0 * size as f64);
        }
    }
}

/// Sends back what comes, message by message, until the near end is gone.
pub fn answer(mut far: TcpStream) {
    let mut bytes = vec![0u8; 64 << 10];
    while far.read_exact(&mut bytes[..4]).is_ok() {
        let size = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
        if !(8..=bytes.len()).contains(&size) || far.read_exact(&mut bytes[4..size]).is_err() {
            return;
        }
        if far.write_all(&bytes[..size]).is_err() {
            return;
        }
    }
}

/// Lets requests arrive at random (a Poisson process), at most 200 times a second; above that several at once.
pub fn arrive(shared: &Shared, queue: &Sender<u64>, seed: u64) {
    let mut rng = Rng::new(seed ^ 0xa771);
    let mut due_s = 0.0f64;
    let mut last_ns = sys::monotonic_ns();
    loop {
        let rate = shared.ledger.level(Dimension::Requests);
        let pause_s = if rate > 0.0 { (due_s / rate).clamp(0.005, 0.1) } else { 0.1 };
        if !shared.gate.wait(Duration::from_secs_f64(pause_s)) {
            return;
        }
        let now_ns = sys::monotonic_ns();
        // Time is counted in mean gaps, so that a changed rate needs no new draw.
        due_s -= (now_ns - last_ns) as f64 / 1e9 * rate;
        last_ns = now_ns;
        while due_s <= 0.0 {
            if shared.waiting.load(Ordering::Relaxed) >= LONGEST_QUEUE {
                due_s = 0.0;
                break;
            }
            shared.waiting.fetch_add(1, Ordering::Relaxed);
            if queue.send(now_ns).is_err() {
                return;
            }
            due_s -= (1.0 - rng.uniform()).ln();
        }
    }
}

/// Serves requests in order; each takes the service time of the moment, in work and not in time.
pub fn serve(shared: &Shared, queue: &Receiver<u64>) {
    for arrived_ns in queue {
        let service_s = shared.ledger.level(Dimension::ServiceTime) + shared.request_extra_s;
        let count = (service_s * shared.work_rate).round() as u64;
        std::hint::black_box(work::units(count));
        shared.ledger.did(Dimension::Cpu, count as f64 / shared.work_rate);
        shared.ledger.did(Dimension::Requests, 1.0);
        shared.ledger.did(Dimension::ServiceTime, count as f64 / shared.work_rate);
        shared.waiting.fetch_sub(1, Ordering::Relaxed);
        shared.board.push_ns(Cost::ReplaySojourn, sys::monotonic_ns().saturating_sub(arrived_ns));
        if shared.gate.is_ended() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_follow_from_bytes_and_counts() {
        assert_eq!(operations(4.0, 8192.0), (4, 2048));
        assert_eq!(operations(0.0, 40_000.0), (2, 16_384));
        assert_eq!(operations(3.0, 0.0), (3, 512));
        assert_eq!(operations(0.0, 100.0), (0, 16_384));
    }
}
