//! Failing as the original would: leaks at commanded rates, until a limit is met.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;

use foretwin_core::Fault;
use foretwin_core::probe::Field;

use crate::channel::Event;
use crate::gate::Gate;
use crate::probe;
use crate::sys::{self, Map, PAGE};
use crate::threads::Threads;

/// How often something leaks: a rehearsal lives through a second of the original in a few hundredths.
const STEP: Duration = Duration::from_millis(20);

/// Which limit ended the runner, as told in [`Field::Failed`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    Memory = 1,
    Descriptors = 2,
    Threads = 3,
    Disk = 4,
}

/// What has leaked so far.
#[derive(Debug, Default)]
struct Leaked {
    memory_bytes: AtomicU64,
    descriptors: AtomicU64,
    threads: AtomicU64,
    disk_bytes: AtomicU64,
}

/// A running fault. Dropping it gives back what leaked.
#[derive(Debug)]
pub struct Set {
    order: Fault,
    gate: Arc<Gate>,
    leaked: Arc<Leaked>,
    /// What the replay holds counts towards the limit of memory.
    held_bytes: Arc<AtomicU64>,
    threads: Threads,
}

/// Where a fault leaves its bytes on disk, and whom it tells that it has met a limit.
pub struct Surroundings {
    pub directory: Option<String>,
    /// What the runner holds by itself.
    pub own_bytes: u64,
    pub events: Sender<Event>,
}

impl Set {
    /// Starts to leak.
    ///
    /// # Errors
    /// If the system has no thread to give.
    pub fn start(order: &Fault, around: Surroundings) -> std::io::Result<Self> {
        let (gate, leaked, held_bytes) = (Arc::new(Gate::default()), Arc::default(), Arc::default());
        let mut threads = Threads::default();
        let mut leak = Leak {
            order: order.clone(),
            gate: Arc::clone(&gate),
            leaked: Arc::clone(&leaked),
            held_bytes: Arc::clone(&held_bytes),
            file: around.directory.and_then(|directory| probe::nameless(directory.as_ref(), "fault").ok()),
            memory: Vec::new(),
            descriptors: Vec::new(),
            threads: Threads::default(),
            owed: [0.0; 4],
        };
        threads.start("fault", move || {
            leak.fill_up(around.own_bytes);
            sys::lowest_priority();
            leak.run(&around.events);
        })?;
        Ok(Self { order: order.clone(), gate, leaked, held_bytes, threads })
    }

    /// What it was started with.
    pub fn order(&self) -> &Fault {
        &self.order
    }

    /// Tells what has leaked, and learns what the replay holds.
    pub fn report(&self, held_bytes: u64, values: &mut Vec<(Field, f64)>) {
        self.held_bytes.store(held_bytes, Ordering::Relaxed);
        let told = |count: &AtomicU64| count.load(Ordering::Relaxed) as f64;
        values.push((Field::LeakedMemory, told(&self.leaked.memory_bytes)));
        values.push((Field::LeakedDescriptors, told(&self.leaked.descriptors)));
        values.push((Field::LeakedThreads, told(&self.leaked.threads)));
        values.push((Field::LeakedDisk, told(&self.leaked.disk_bytes)));
    }
}

impl Drop for Set {
    fn drop(&mut self) {
        self.gate.end();
        self.threads.join();
    }
}

struct Leak {
    order: Fault,
    gate: Arc<Gate>,
    leaked: Arc<Leaked>,
    held_bytes: Arc<AtomicU64>,
    file: Option<File>,
    memory: Vec<Map>,
    descriptors: Vec<File>,
    threads: Threads,
    /// Parts of a whole that are still to leak: bytes, descriptors, threads, bytes on disk.
    owed: [f64; 4],
}

impl Leak {
    fn run(&mut self, events: &Sender<Event>) {
        let mut last_ns = sys::monotonic_ns();
        while self.gate.wait(STEP) {
            let now_ns = sys::monotonic_ns();
            let passed_s = (now_ns - last_ns) as f64 / 1e9;
            last_ns = now_ns;
            let rates = [
                self.order.memory_bytes_per_s,
                self.order.descriptors_per_s,
                self.order.threads_per_s,
                self.order.disk_bytes_per_s,
            ];
            self.owed.iter_mut().zip(rates).for_each(|(owed, rate)| *owed += rate * passed_s);
            if let Err(failure) = self.step() {
                let _ = events.send(Event::Failed(failure));
                break;
            }
        }
        self.threads.join();
    }

    /// Holds what the runner is said to hold by itself and does not.
    fn fill_up(&mut self, own_bytes: u64) {
        let wanted = self.order.own_bytes.unwrap_or(0);
        let lacking = wanted.saturating_sub(own_bytes) as usize / PAGE;
        if lacking > 0
            && let Ok(map) = Map::anonymous(lacking * PAGE)
        {
            (0..lacking).for_each(|page| map.store(page * PAGE, 1));
            self.memory.push(map);
        }
    }

    /// Leaks what is owed, in wholes. What the system refuses is the failure itself.
    fn step(&mut self) -> Result<(), Failure> {
        self.leak_memory()?;
        while self.owed[1] >= 1.0 {
            self.owed[1] -= 1.0;
            self.descriptors.push(File::open("/dev/null").map_err(|_| Failure::Descriptors)?);
            let count = self.leaked.descriptors.fetch_add(1, Ordering::Relaxed) + 1;
            within(count, self.order.descriptors_limit, Failure::Descriptors)?;
        }
        while self.owed[2] >= 1.0 {
            self.owed[2] -= 1.0;
            let gate = Arc::clone(&self.gate);
            let rest = move || while gate.wait(Duration::from_secs(3600)) {};
            self.threads.start("leaked", rest).map_err(|_| Failure::Threads)?;
            let count = self.leaked.threads.fetch_add(1, Ordering::Relaxed) + 1;
            within(count, self.order.threads_limit, Failure::Threads)?;
        }
        self.leak_disk()
    }

    fn leak_memory(&mut self) -> Result<(), Failure> {
        let pages = (self.owed[0] / PAGE as f64) as usize;
        if pages > 0 {
            self.owed[0] -= (pages * PAGE) as f64;
            let map = Map::anonymous(pages * PAGE).map_err(|_| Failure::Memory)?;
            (0..pages).for_each(|page| map.store(page * PAGE, 1));
            self.leaked.memory_bytes.fetch_add(map.length() as u64, Ordering::Relaxed);
            self.memory.push(map);
        }
        let grown =
            self.leaked.memory_bytes.load(Ordering::Relaxed) + self.held_bytes.load(Ordering::Relaxed);
        let used = grown + self.order.own_bytes.unwrap_or(0);
        within(used, self.order.memory_limit_bytes, Failure::Memory)
    }

    fn leak_disk(&mut self) -> Result<(), Failure> {
        let Some(file) = &self.file else { return Ok(()) };
        let piece = [0x66; PAGE];
        while self.owed[3] >= PAGE as f64 {
            self.owed[3] -= PAGE as f64;
            let at = self.leaked.disk_bytes.load(Ordering::Relaxed);
            file.write_all_at(&piece, at).map_err(|_| Failure::Disk)?;
            let bytes = self.leaked.disk_bytes.fetch_add(PAGE as u64, Ordering::Relaxed) + PAGE as u64;
            within(bytes, self.order.disk_limit_bytes, Failure::Disk)?;
        }
        Ok(())
    }
}

fn within(used: u64, limit: Option<u64>, failure: Failure) -> Result<(), Failure> {
    if limit.is_some_and(|limit| used >= limit) { Err(failure) } else { Ok(()) }
}
