//! A running node: recovers, starts its threads, and stops without losing anything.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use foretwin_collect::{Collector, Sink as _};
use foretwin_core::{PARTITIONS, Partition, Record, Timestamp};
use foretwin_disk::{Disk, OsDisk};
use foretwin_store::Store;
use foretwin_stream::{DirectoryLock, EntryRef, Log};

use crate::Error;
use crate::alerts::{self, Alerts};
use crate::config::Config;
use crate::error::Chain;
use crate::handle::{Handle, wall_clock};
use crate::ingest::{Ingest, LocalSink};
use crate::messages::Messages;
use crate::pipeline::Pipeline;
use crate::receive::Gateway;
use crate::registry::Registry;
use crate::reporter;
use crate::reports::Reports;
use crate::threads::{Threads, cpu_time, lower_priority, pause};
use crate::trainer::{Budget, Due};
use crate::twin::{Keeper, Wishes};
use crate::worker::{self, Applied};

const LOOK: Duration = Duration::from_secs(1);
/// A look for feeds that are due may take one part in this many of the time.
const LOOK_SHARE: u32 = 50;
/// Looks of the keeper between two searches for instances that are silent: these are gone after a minute.
const LOOKS: u32 = 5;

/// Which stages a node has beside log, store, learning and foresight.
#[derive(Debug, Clone, Copy)]
pub struct Roles {
    /// Watch the machine it runs on.
    pub collect: bool,
}

/// A running node.
pub struct Node {
    handle: Handle,
    log: Arc<Log>,
    threads: Threads,
    messages: Messages,
    _lock: DirectoryLock,
}

impl Node {
    /// Recovers what the data directory holds and starts.
    ///
    /// # Errors
    /// If the directory is in use or cannot be used, or a source cannot be opened.
    pub fn start(config: &Config, roles: Roles) -> Result<Self, Error> {
        let lock = open_dir(&config.data_dir)?;
        let disk: Arc<dyn Disk> = Arc::new(OsDisk);
        let (store, recovered) =
            Store::open(disk.clone(), &config.data_dir.join("store"), config.store.clone())?;
        tracing::info!("store: {} sealed and {} hot files", recovered.sealed_files, recovered.hot_files);
        recovered.damages.iter().for_each(|damage| tracing::warn!("store: {damage}"));
        let registry = Registry::open(disk, &config.data_dir.join("models"))?;
        let pipeline = Arc::new(Pipeline::new(config.clone(), Arc::new(store), registry));
        Self::around(pipeline, config, (roles, lock))
    }

    /// Starts around a pipeline, which may have seen something already, in its locked directory.
    pub(crate) fn around(
        pipeline: Arc<Pipeline>,
        config: &Config,
        (roles, lock): (Roles, DirectoryLock),
    ) -> Result<Self, Error> {
        let disk: Arc<dyn Disk> = Arc::new(OsDisk);
        let reports = Arc::new(Reports::open(disk.clone(), &config.data_dir, &config.reports)?);
        let alerts = Arc::new(Alerts::open(disk.clone(), &config.data_dir, &config.alerts)?);
        pipeline.checkpoints.open(disk.clone(), config.data_dir.join("states"))?;
        pipeline.contrasts.recall(disk.clone(), &config.data_dir);
        reports.recall(&pipeline.past)?;
        let log = open_log(disk, config, &pipeline)?;
        let ingest = Arc::new(Ingest::new(log.clone()));
        let mut threads = Threads::new();
        let messages = Messages::start(&config.notify, identity(&config.data_dir)?.0)?;
        let handle = Handle {
            pipeline: pipeline.clone(),
            ingest: ingest.clone(),
            gateway: Arc::new(Gateway::new(&config.collect.receive)),
            reports,
            wishes: Arc::default(),
            alerts,
            notifier: messages.notifier(),
            collects: roles.collect,
        };
        let lanes = worker::start(&mut threads, &pipeline)?;
        log.subscribe(move |entries: &[EntryRef<'_>]| lanes.send(entries));
        start_trainer(&mut threads, pipeline.clone())?;
        start_keeper(&mut threads, handle.clone(), log.clone())?;
        messages.connect(&handle);
        alerts::start(&mut threads, handle.clone())?;
        reporter::start(&mut threads, handle.clone())?;
        if roles.collect {
            let sink = LocalSink::new(ingest, identity(&config.data_dir)?, Some(pipeline));
            start_collector(&mut threads, config, sink)?;
            let (ingest, pipeline) = (handle.ingest.clone(), Some(handle.pipeline.clone()));
            start_twins(&mut threads, (config, handle.wishes.clone()), ingest, pipeline)?;
        }
        Ok(Self { handle, log, threads, messages, _lock: lock })
    }

    /// How to ask it.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Stops in the order of the flow, so that what was collected is logged, and what was logged is stored.
    ///
    /// # Errors
    /// If the last flush fails; then the log still holds what it would have stored.
    pub fn stop(mut self) -> Result<(), Error> {
        self.threads.join("collector");
        self.threads.join("twin");
        self.threads.join("reporter");
        // It records failures in the log.
        self.threads.join("sentinel");
        // Alerts come from there: what it said last is told.
        self.messages.stop();
        let sealed = self.log.close();
        // Without their lanes the workers end once their queues are empty.
        self.log.subscribe(|_| ());
        self.threads.join("worker");
        self.threads.join("trainer");
        self.threads.join("lessons");
        self.threads.join("keeper");
        let pipeline = &self.handle.pipeline;
        pipeline.store.flush(wall_clock())?;
        pipeline.checkpoint();
        if let Err(error) = pipeline.contrasts.keep_all() {
            tracing::warn!("comparisons are not kept: {}", Chain(&error));
        }
        self.log.trim(&pipeline.store.durable())?;
        Ok(sealed?)
    }
}

/// Makes and locks a data directory.
pub(crate) fn open_dir(dir: &Path) -> Result<DirectoryLock, Error> {
    let failed = |source| Error::File { operation: "creating", path: dir.to_path_buf(), source };
    std::fs::create_dir_all(dir).map_err(failed)?;
    Ok(DirectoryLock::acquire(dir)?)
}

/// Source and epoch of this life: the source is drawn once per data directory, the epoch is the time of the start.
pub(crate) fn identity(dir: &Path) -> Result<(u64, u64), Error> {
    let path = dir.join("source");
    let failed = |operation| {
        let path = path.clone();
        move |source| Error::File { operation, path, source }
    };
    let epoch = wall_clock().0.cast_unsigned();
    if let Some(source) = std::fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok()) {
        return Ok((source, epoch));
    }
    let mut bytes = [0u8; 8];
    let random = std::fs::File::open("/dev/urandom")
        .and_then(|mut file| std::io::Read::read_exact(&mut file, &mut bytes));
    random.map_err(failed("reading /dev/urandom for"))?;
    let source = u64::from_le_bytes(bytes).max(1);
    std::fs::write(&path, format!("{source}\n")).map_err(failed("writing"))?;
    Ok((source, epoch))
}

/// Opens the log and applies what it holds beyond the store.
fn open_log(disk: Arc<dyn Disk>, config: &Config, pipeline: &Pipeline) -> Result<Arc<Log>, Error> {
    let applied: [u64; PARTITIONS] = std::array::from_fn(|p| pipeline.store.applied(Partition(p as u8)));
    let dir = config.data_dir.join("log");
    let (log, recovery) = Log::open_after(disk, &dir, config.stream.clone(), &applied)?;
    // Behind a replay there never was a log.
    let mut replayed = false;
    pipeline.each(|watched| replayed |= !watched.feeds.is_empty());
    if !recovery.is_clean() && !replayed {
        tracing::warn!("log: {recovery:?}");
    }
    let (mut records, mut unreadable) = (0u64, 0u64);
    let never = AtomicBool::new(false);
    for entry in log.read_from(&applied) {
        match entry {
            Ok(entry) => {
                records += 1;
                let applied = worker::apply(pipeline, (entry.position, &entry.payload), &never);
                unreadable += u64::from(applied == Applied::Unreadable);
            }
            // Reading goes on behind the damage, which the log has reported.
            Err(damage @ foretwin_stream::Error::Damaged { .. }) => tracing::warn!("log: {damage}"),
            Err(error) => return Err(error.into()),
        }
    }
    tracing::info!("log: {records} records replayed, {unreadable} unreadable");
    Ok(Arc::new(log))
}

fn start_trainer(threads: &mut Threads, pipeline: Arc<Pipeline>) -> Result<(), Error> {
    let stop = threads.stop.clone();
    threads.start("trainer", move || {
        lower_priority();
        while !stop.load(Ordering::Relaxed) {
            let before = (cpu_time(), Instant::now());
            guarded(&pipeline, "training", || train_once(&pipeline, &stop));
            // The budget is kept while training, and what was used ahead of it is made up for by resting.
            let used = cpu_time().saturating_sub(before.0);
            let due = used.div_f64(pipeline.config.training.cpu_share);
            let rest = due.saturating_sub(before.1.elapsed());
            if !pause(&stop, rest.max(Duration::from_millis(20))) {
                return;
            }
        }
    })
}

fn train_once(pipeline: &Pipeline, stop: &AtomicBool) {
    let before = cpu_time();
    let share = Some(pipeline.config.training.cpu_share);
    let told = |due: &Due, done: Result<bool, Error>| {
        if let Err(error) = done {
            pipeline.counters.training_errors.add(1);
            tracing::warn!("training {}: {}", due.name(), Chain(&error));
        }
    };
    if let Some(due) = pipeline.due() {
        let task = pipeline.tasks.begin("training", Some(due.instance()), wall_clock());
        let budget = Budget::new(stop, share).also(task.cancelled()).telling(task.gauge(), due.fits());
        let done = pipeline.train(&due, &budget);
        task.end(ended(&done));
        told(&due, done);
    } else if let Some(due) = pipeline.due_outlook() {
        let task = pipeline.tasks.begin("training", Some(due.instance()), wall_clock());
        let budget = Budget::new(stop, share).also(task.cancelled()).telling(task.gauge(), 2);
        let done = pipeline.learn_outlook(&due, &budget);
        task.end(ended(&done));
        told(&due, done);
    } else {
        // Looking for work over a large fleet must not become work itself.
        let took = cpu_time().saturating_sub(before);
        pause(stop, LOOK.max(LOOK_SHARE * took));
    }
}

/// What came of a training, for the list of tasks.
fn ended(done: &Result<bool, Error>) -> Result<(String, Option<String>), String> {
    let said = |learned: bool| if learned { "a model was made" } else { "nothing came of it" };
    done.as_ref().map(|&learned| (said(learned).into(), None)).map_err(|error| Chain(error).to_string())
}

fn start_keeper(threads: &mut Threads, handle: Handle, log: Arc<Log>) -> Result<(), Error> {
    let stop = threads.stop.clone();
    let started = wall_clock();
    threads.start("keeper", move || {
        lower_priority();
        let pipeline = &handle.pipeline;
        let mut searched = None;
        // Silence is noticed while a large store is being compacted, too.
        let mut search = || {
            if searched.is_none_or(|at: Instant| at.elapsed() >= LOOKS * LOOK) {
                searched = Some(Instant::now());
                guarded(pipeline, "presence", || dismiss(&handle, started));
            }
            if pipeline.checkpoints.is_due() {
                guarded(pipeline, "checkpoint", || _ = pipeline.checkpoint());
            }
        };
        while pause(&stop, LOOK) {
            guarded(pipeline, "maintenance", || keep((&handle, &log), &stop, &mut search));
            guarded(pipeline, "keeping comparisons", || keep_comparisons(pipeline));
        }
    })
}

/// Flushes, compacts, deletes and trims, and does what else is due between the steps of that.
fn keep((handle, log): (&Handle, &Log), stop: &AtomicBool, between: &mut dyn FnMut()) {
    let store = &handle.pipeline.store;
    let mut clock = || {
        between();
        // What a flush between two steps made durable leaves the log at once. If that fails, the trim below says why.
        let _ = log.trim(&store.durable());
        (!stop.load(Ordering::Relaxed)).then(wall_clock)
    };
    let maintained = store.maintain_in_steps(&mut clock).map_err(Error::from);
    match maintained.and_then(|_| log.trim(&store.durable()).map_err(Error::from)) {
        Ok(trimmed) if trimmed.over_bytes > 0 => tracing::warn!(
            "the log holds {} bytes more than stream.retain_bytes that the store has not made durable",
            trimmed.over_bytes
        ),
        Ok(_) => {}
        Err(error) => {
            handle.pipeline.counters.maintenance_errors.add(1);
            tracing::warn!("maintenance: {}", Chain(&error));
            // Whatever is wrong with the disk, asking every second does not help.
            pause(stop, 10 * LOOK);
        }
    }
}

fn keep_comparisons(pipeline: &Pipeline) {
    if let Err(error) = pipeline.contrasts.keep_due() {
        pipeline.counters.maintenance_errors.add(1);
        tracing::warn!("comparisons are not kept: {}", Chain(&error));
    }
}

/// Runs something that must not end its thread when it panics.
pub(crate) fn guarded(pipeline: &Pipeline, what: &str, run: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(run)).is_err() {
        pipeline.counters.panics.add(1);
        tracing::error!("{what} panicked; it goes on with the next");
    }
}

/// Says of the silent that they are gone.
fn dismiss(handle: &Handle, started: Timestamp) {
    let gone = handle.pipeline.silent(started).into_iter();
    let records: Vec<Record> = gone.map(|(instance, at)| Record::Vanished { instance, at }).collect();
    if !records.is_empty() {
        // If the log takes none now, they are still silent in a second.
        if let Err(error) = handle.ingest(records) {
            tracing::debug!("vanished instances are not recorded yet: {}", Chain(&error));
        }
    }
    handle.pipeline.forget(wall_clock());
}

/// The source of what twins report: another one than the collector's, since each numbers its own batches.
fn twins(source: u64) -> u64 {
    source.rotate_left(32) | 1
}

/// Starts the keeper of twins, where they are wanted. What keeps it from starting costs the twins, not the node.
pub(crate) fn start_twins(
    threads: &mut Threads,
    (config, wishes): (&Config, Arc<Wishes>),
    ingest: Arc<Ingest>,
    pipeline: Option<Arc<Pipeline>>,
) -> Result<(), Error> {
    if !config.twin.enabled {
        return Ok(());
    }
    let (source, epoch) = identity(&config.data_dir)?;
    let mut sink = LocalSink::new(ingest, (twins(source), epoch), pipeline.clone());
    let named = config.collect.host.clone();
    let host = if named.is_empty() { foretwin_collect::machine::host_name() } else { Ok(named) };
    let host = host.map_err(|source| Error::Collect { source })?;
    let keeper = match Keeper::new(config, &host, wishes, pipeline) {
        Ok(keeper) => keeper,
        Err(error) => {
            tracing::warn!("no twins: {}", Chain(&error));
            return Ok(());
        }
    };
    let stop = threads.stop.clone();
    threads.start("twin", move || {
        keeper.run(&mut sink, &stop);
        sink.flush();
    })
}

/// Starts the collector of a node or an agent.
pub(crate) fn start_collector(
    threads: &mut Threads,
    config: &Config,
    mut sink: LocalSink,
) -> Result<(), Error> {
    let collector = Collector::new(&config.collect).map_err(|source| Error::Collect { source })?;
    let stop = threads.stop.clone();
    threads.start("collector", move || {
        if let Err(error) = collector.run(&mut sink, &stop) {
            tracing::error!("collecting ended: {}", Chain(&error));
        }
        sink.flush();
    })
}
