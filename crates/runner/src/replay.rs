//! Bulk replay: work that resembles the original, at the lowest priority, apart from the probes, and yielding.

mod ledger;
mod pressure;
mod workers;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use foretwin_core::probe::Field;
use foretwin_core::profile::{Generator, into_week_us};
use foretwin_core::{Demand, Dimension, Fault, Replay};

use crate::board::Board;
use crate::gate::Gate;
use crate::meter::{Meter, Spent};
use crate::threads::Threads;
use crate::work::Calibration;
use crate::{probe, sys};

use ledger::Ledger;
use pressure::Pace;

/// How often the command changes.
const STEP: Duration = Duration::from_millis(250);
/// Most threads that compute.
const MOST_COMPUTING: f64 = 16.0;

/// What the threads of a replay share.
#[derive(Debug)]
struct Shared {
    board: Arc<Board>,
    gate: Gate,
    meter: Meter,
    ledger: Ledger,
    /// Work units that stand for a second of the original's CPU time.
    work_rate: f64,
    /// CPU seconds that each request takes beyond its service time.
    request_extra_s: f64,
    /// Cores burnt beside the demand.
    cpu_extra: f64,
    /// Bytes of the working set, now.
    held: AtomicU64,
    /// Requests that were not served yet.
    waiting: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy, Default)]
struct State {
    pace: f64,
    clock_s: f64,
}

/// A running replay. Dropping it ends its threads.
#[derive(Debug)]
pub struct Set {
    shared: Arc<Shared>,
    order: Replay,
    threads: Threads,
    before: Spent,
    last_s: f64,
}

impl Set {
    /// Starts the threads.
    ///
    /// # Errors
    /// If the system has no thread or connection to give.
    pub fn start(
        order: &Replay,
        fault: Option<&Fault>,
        seed: u64,
        (board, calibration, now_s): (&Arc<Board>, Calibration, f64),
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            board: Arc::clone(board),
            gate: Gate::default(),
            meter: Meter::default(),
            ledger: Ledger::default(),
            work_rate: order.work_rate.unwrap_or(calibration.rate),
            request_extra_s: fault.map_or(0.0, |fault| fault.request_extra_s),
            cpu_extra: fault.map_or(0.0, |fault| fault.cpu_extra),
            held: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            state: Mutex::new(State { pace: 1.0, clock_s: 0.0 }),
        });
        let mut set = Self {
            shared,
            order: order.clone(),
            threads: Threads::default(),
            before: Spent::default(),
            last_s: now_s,
        };
        set.start_workers(seed)?;
        let generator = Generator::new(Arc::clone(&order.profile), seed);
        let order = order.clone();
        set.thread("replay-drive", move |shared| drive(shared, generator, &order))?;
        Ok(set)
    }

    fn start_workers(&mut self, seed: u64) -> std::io::Result<()> {
        let computing = self.order.cap_core.ceil().clamp(1.0, MOST_COMPUTING) as usize;
        for _ in 0..computing {
            self.thread("replay-compute", workers::compute)?;
        }
        self.thread("replay-memory", workers::remember)?;
        if let Some(directory) = &self.order.directory {
            match probe::nameless(directory.as_ref(), "replay") {
                Ok(file) => self.thread("replay-disk", move |shared| workers::store(shared, &file, seed))?,
                Err(error) => {
                    eprintln!("replay.directory: {directory}: {error}; name one that can be written");
                }
            }
        }
        let (near, far) = workers::connection()?;
        self.thread("replay-answer", move |_| workers::answer(far))?;
        self.thread("replay-talk", move |shared| workers::talk(shared, near))?;
        let (arrivals, queue) = std::sync::mpsc::channel();
        self.thread("replay-serve", move |shared| workers::serve(shared, &queue))?;
        self.thread("replay-arrive", move |shared| workers::arrive(shared, &arrivals, seed))
    }

    fn thread(&mut self, name: &str, work: impl FnOnce(&Shared) + Send + 'static) -> std::io::Result<()> {
        let (shared, cpus) = (Arc::clone(&self.shared), self.order.cpus.clone());
        self.threads.start(name, move || {
            sys::lowest_priority();
            sys::stay_on(&cpus);
            shared.meter.register();
            work(&shared);
        })
    }

    /// What it was started with.
    pub fn order(&self) -> &Replay {
        &self.order
    }

    /// Bytes of its working set.
    pub fn held_bytes(&self) -> u64 {
        self.shared.held.load(Ordering::Relaxed)
    }

    /// Tells of the period that ends at `now_s`.
    pub fn report(&mut self, now_s: f64, values: &mut Vec<(Field, f64)>) {
        let period_s = (now_s - self.last_s).max(1e-6);
        self.last_s = now_s;
        let mut behind_s = 0.0f64;
        for dimension in Dimension::ALL {
            let told = self.shared.ledger.take(dimension, period_s);
            values.push((Field::Commanded(dimension), told.commanded));
            values.push((Field::Achieved(dimension), told.achieved));
            values.push((Field::Behind(dimension), told.behind_s));
            behind_s = behind_s.max(told.behind_s);
        }
        values.push((Field::ReplayBehind, behind_s));
        let state = *self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        values.push((Field::ReplayPace, state.pace));
        values.push((Field::ReplayClock, state.clock_s));
        if let Some(spent) = self.shared.meter.read() {
            let share = |now: u64, before: u64| now.saturating_sub(before) as f64 / 1e9 / period_s;
            values.push((Field::ReplayCpu, share(spent.cpu_ns, self.before.cpu_ns)));
            values.push((Field::ReplayRunDelay, share(spent.delay_ns, self.before.delay_ns)));
            self.before = spent;
        }
    }
}

impl Drop for Set {
    fn drop(&mut self) {
        self.shared.gate.end();
        self.threads.join();
    }
}

/// Commands what the profile asks, moment by moment of its own clock.
fn drive(shared: &Shared, mut generator: Generator, order: &Replay) {
    let began_ns = sys::monotonic_ns();
    let mut pace = Pace::new(order.cap_core, order.yields);
    let (mut share, mut paced_ns, mut last_ns) = (1.0, began_ns, began_ns);
    loop {
        let now_ns = sys::monotonic_ns();
        let clock = order.start + ((now_ns - began_ns) as f64 / 1e3 * order.speed) as i64;
        if now_ns - paced_ns >= 1_000_000_000 {
            let spent = shared.meter.read().unwrap_or_default();
            share = pace.next((now_ns - paced_ns) as f64 / 1e9, spent);
            paced_ns = now_ns;
        }
        let demand = scaled(&generator.next(clock), order, share, shared.cpu_extra);
        shared.ledger.command(&demand, (now_ns - last_ns) as f64 / 1e9);
        last_ns = now_ns;
        let state = State { pace: share, clock_s: into_week_us(clock) as f64 / 1e6 };
        *shared.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
        if !shared.gate.wait(STEP) {
            return;
        }
    }
}

/// The demand at the order's scale; rates, not what is held or what a request takes, also at the pace.
fn scaled(demand: &Demand, order: &Replay, pace: f64, cpu_extra: f64) -> Demand {
    let mut scaled = *demand;
    for (at, dimension) in Dimension::ALL.into_iter().enumerate() {
        scaled.0[at] *= order.scale[at];
        if dimension == Dimension::Cpu {
            scaled.0[at] += cpu_extra;
        }
        if !matches!(dimension, Dimension::WorkingSet | Dimension::ServiceTime) {
            scaled.0[at] *= pace;
        }
    }
    scaled
}
