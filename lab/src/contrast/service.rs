//! The original: serves requests that come at random, at a rate that doubles and halves, and says how it fares.
//!
//! Arrivals are open: they come whether or not the ones before are answered, so that latency counts the time spent
//! waiting. A request works about a millisecond, touches fresh memory and the service's own, reads a page of a
//! cached file; about one in seven is made durable by a thread of its
//! own.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use foretwin_core::Rng;
use serde::{Deserialize, Serialize};

use super::worker::{Order, Tell, Told, told};
use crate::hoard::Hoard;
use crate::sys::{monotonic_s, thread_cpu_s};
use crate::work::{self, Drip};

/// CPU seconds of a request.
const REQUEST_S: f64 = 0.001;
/// Requests per second in the middle of the wave; it goes from half of that to its double and a little beyond.
const RATE: f64 = 140.0;
/// Octaves that the wave swings either way.
const SWING: f64 = 0.85;
/// Requests per second at the top of the wave.
pub const TOP: f64 = 252.0;
/// A request that would wait longer is refused.
const PATIENCE_S: f64 = 0.5;
/// Share of requests that are made durable.
const DURABLE: f64 = 0.15;
/// Bytes of memory that the service works on.
const HEAP: usize = 32 << 20;
/// Bytes of its file, a page of which each request reads.
pub const FILE: u64 = 16 << 20;
/// Bytes of fresh memory that a request touches.
const FRESH: usize = 160 << 10;
const PAGE: u64 = 4096;

/// How the service fared in one second; a line of JSON on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Fared {
    /// Requests answered.
    pub requests: u32,
    /// Requests refused or failed.
    pub errors: u32,
    /// Requests per second that came.
    pub offered: f64,
    /// Mean latency of those answered, seconds; NaN in JSON is null.
    pub mean_s: Option<f64>,
    /// Median.
    pub p50_s: Option<f64>,
    /// 90th percentile.
    pub p90_s: Option<f64>,
    /// 99th percentile.
    pub p99_s: Option<f64>,
    /// Bytes leaked so far.
    pub leaked: f64,
}

#[derive(Debug, Default)]
struct Tally {
    latencies_s: Vec<f64>,
    errors: u32,
    arrivals: u32,
    leaked: f64,
}

type Shared = Arc<Mutex<Tally>>;

fn with<T>(tally: &Shared, act: impl FnOnce(&mut Tally) -> T) -> T {
    act(&mut tally.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Serves until the lab ends.
///
/// # Errors
/// If its files or threads cannot be made.
pub fn run(order: &Order, orders: &Told) -> Result<()> {
    let tally = Shared::default();
    let durable = start_writer(&order.scratch, &tally)?;
    let mut server = Server::new(order, durable)?;
    let reported = Arc::clone(&tally);
    thread::Builder::new().spawn(move || report(&reported)).context("starting the reporter")?;
    let mut wave = Wave::new(order.seed);
    let began_s = monotonic_s();
    let mut arrival_s = began_s;
    loop {
        let tell = told(orders);
        server.leak(&tell, arrival_s, &tally);
        server.warm(&tell);
        let rate = tell.rate.unwrap_or_else(|| wave.rate(arrival_s - began_s));
        arrival_s += -(1.0 - server.rng.uniform()).ln() / rate.max(1.0);
        let wait_s = arrival_s - monotonic_s();
        if wait_s > 0.0 {
            thread::sleep(Duration::from_secs_f64(wait_s));
        }
        with(&tally, |tally| tally.arrivals += 1);
        if wait_s < -PATIENCE_S {
            with(&tally, |tally| tally.errors += 1);
            continue;
        }
        server.serve(arrival_s, &tell, &tally);
    }
}

struct Server {
    rng: Rng,
    units: f64,
    drip: Drip,
    heap: Vec<u8>,
    file: File,
    durable: SyncSender<f64>,
    hoard: Hoard,
    path: PathBuf,
    last_s: f64,
    leaking: bool,
    warm: bool,
}

impl Server {
    fn new(order: &Order, durable: SyncSender<f64>) -> Result<Self> {
        let path = order.scratch.join("data");
        fs::write(&path, vec![7; FILE as usize]).with_context(|| format!("writing {}", path.display()))?;
        let file = File::open(&path).with_context(|| format!("opening {}", path.display()))?;
        Ok(Self {
            rng: Rng::new(order.seed ^ 0x5e7),
            units: REQUEST_S / unit_s(),
            drip: Drip::default(),
            heap: vec![1; HEAP],
            file,
            durable,
            hoard: Hoard::default(),
            path,
            last_s: monotonic_s(),
            leaking: false,
            warm: false,
        })
    }

    fn serve(&mut self, arrival_s: f64, tell: &Tell, tally: &Shared) {
        for _ in 0..self.drip.take(self.units * (1.0 + tell.slower)) {
            work::serve();
        }
        let fresh = vec![0u8; FRESH];
        let mut sum = 0u8;
        // A byte of every page, so that each is really taken.
        for at in (0..FRESH).step_by(PAGE as usize) {
            sum = sum.wrapping_add(std::hint::black_box(&fresh)[at]);
        }
        for _ in 0..32 {
            let at = self.rng.below(HEAP as u64) as usize;
            self.heap[at] = self.heap[at].wrapping_add(sum);
        }
        let mut page = [0; PAGE as usize];
        let read = self.file.read_exact_at(&mut page, self.rng.below(FILE / PAGE) * PAGE);
        if self.rng.uniform() < DURABLE {
            if self.durable.try_send(arrival_s).is_err() {
                with(tally, |tally| tally.errors += 1);
            }
            return;
        }
        let took_s = monotonic_s() - arrival_s;
        with(tally, |tally| match read {
            Ok(()) => tally.latencies_s.push(took_s),
            Err(_) => tally.errors += 1,
        });
    }

    /// Reads its file once where it is told to: page cache that was taken would come back only page by page.
    fn warm(&mut self, tell: &Tell) {
        if tell.warm && !self.warm {
            // Cold is slower, nothing worse.
            let _ = fs::read(&self.path);
        }
        self.warm = tell.warm;
    }

    fn leak(&mut self, tell: &Tell, now_s: f64, tally: &Shared) {
        let passed_s = std::mem::replace(&mut self.last_s, now_s);
        let passed_s = (now_s - passed_s).clamp(0.0, 1.0);
        let bytes = if tell.leak > 0.0 { self.hoard.bytes() + tell.leak * passed_s } else { 0.0 };
        if tell.leak > 0.0 || self.leaking {
            self.leaking = tell.leak > 0.0;
            // What is refused is not leaked.
            let _ = self.hoard.set(bytes);
            with(tally, |tally| tally.leaked = bytes);
        }
    }
}

/// CPU seconds of one unit of work: the least of many, undisturbed.
fn unit_s() -> f64 {
    let one = || {
        let began_s = thread_cpu_s();
        work::serve();
        thread_cpu_s() - began_s
    };
    (0..200).map(|_| one()).fold(f64::INFINITY, f64::min).max(1e-6)
}

/// The thread that makes requests durable, in the order in which they come.
fn start_writer(scratch: &Path, tally: &Shared) -> Result<SyncSender<f64>> {
    let path = scratch.join("journal");
    let file = File::create(&path).with_context(|| format!("making {}", path.display()))?;
    let (sender, receiver): (_, Receiver<f64>) = sync_channel(64);
    let tally = Arc::clone(tally);
    let act = move || {
        for (written, arrival_s) in (0..).zip(receiver) {
            // Over and over, so that the file does not grow.
            let offset: u64 = written % 256 * PAGE;
            let done = file.write_all_at(&[3; PAGE as usize], offset).and_then(|()| file.sync_data());
            let took_s = monotonic_s() - arrival_s;
            with(&tally, |tally| match done {
                Ok(()) => tally.latencies_s.push(took_s),
                Err(_) => tally.errors += 1,
            });
        }
    };
    thread::Builder::new().spawn(act).context("starting the writer")?;
    Ok(sender)
}

/// Tells once a second how it went, until nobody reads any more.
fn report(tally: &Shared) {
    let mut next_s = monotonic_s();
    loop {
        next_s = (next_s + 1.0).max(monotonic_s() - 1.0);
        thread::sleep(Duration::from_secs_f64((next_s - monotonic_s()).max(0.0)));
        let taken = with(tally, |tally| {
            let anew = Tally { leaked: tally.leaked, ..Tally::default() };
            std::mem::replace(tally, anew)
        });
        if tell(&fared(taken)).is_err() {
            return;
        }
    }
}

fn tell(fared: &Fared) -> io::Result<()> {
    let mut line = serde_json::to_vec(fared)?;
    line.push(b'\n');
    let mut out = io::stdout().lock();
    out.write_all(&line)?;
    out.flush()
}

fn fared(mut tally: Tally) -> Fared {
    let latencies = &mut tally.latencies_s;
    latencies.sort_by(f64::total_cmp);
    let count = latencies.len();
    let quantile =
        |q: f64| latencies.get(((count as f64 * q) as usize).min(count.saturating_sub(1))).copied();
    Fared {
        requests: count as u32,
        errors: tally.errors,
        offered: f64::from(tally.arrivals),
        mean_s: (count > 0).then(|| latencies.iter().sum::<f64>() / count as f64),
        p50_s: quantile(0.5),
        p90_s: quantile(0.9),
        p99_s: quantile(0.99),
        leaked: tally.leaked,
    }
}

/// Load that doubles and halves: two waves and a random walk that comes back, in octaves.
struct Wave {
    rng: Rng,
    phases: [f64; 2],
    wander: f64,
    next_s: f64,
}

impl Wave {
    const PERIODS_S: [f64; 2] = [190.0, 67.0];

    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let phases = [0, 1].map(|_| std::f64::consts::TAU * rng.uniform());
        Self { rng, phases, wander: 0.0, next_s: 0.0 }
    }

    fn rate(&mut self, at_s: f64) -> f64 {
        while self.next_s <= at_s {
            self.wander = 0.97 * self.wander + 0.02 * self.rng.normal();
            self.next_s += 1.0;
        }
        let wave = |at: usize| (std::f64::consts::TAU * at_s / Self::PERIODS_S[at] + self.phases[at]).sin();
        RATE * (SWING * (0.75 * wave(0) + 0.25 * wave(1)) + self.wander).exp2()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_load_doubles_and_halves() {
        let mut wave = Wave::new(3);
        let rates: Vec<f64> = (0..3600).map(|second| wave.rate(f64::from(second))).collect();
        let most = rates.iter().copied().fold(0.0, f64::max);
        let least = rates.iter().copied().fold(f64::MAX, f64::min);
        assert!(most > 1.6 * RATE && least < RATE / 1.6 && most < 2.4 * RATE, "{least} to {most}");
        assert!((RATE * SWING.exp2() - TOP).abs() < 1.0, "the top of the wave is {TOP}");
    }

    #[test]
    fn a_second_without_requests_has_no_latency() {
        let none = fared(Tally { errors: 2, arrivals: 2, ..Tally::default() });
        assert_eq!((none.requests, none.errors, none.p90_s), (0, 2, None));
        let some = fared(Tally { latencies_s: vec![3.0, 1.0, 2.0], ..Tally::default() });
        assert_eq!((some.p50_s, some.p99_s, some.mean_s), (Some(2.0), Some(3.0), Some(2.0)));
    }
}
