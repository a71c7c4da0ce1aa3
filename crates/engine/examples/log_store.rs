//! Samples per second of processor time on the way of a server's telemetry, without models: batch, encode, append,
//! sync, decode, apply, flush. 2,000 instances of 38 metrics.
//!
//! `cargo run --release -p foretwin-engine --example log_store -- [SECONDS_OF_TELEMETRY] [REPETITIONS] [single]`
//!
//! A batch holds the frames of a second of all instances of a partition, as one sender with many instances makes
//! them; with `single`, of one instance, as 2,000 agents make them.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use foretwin_core::{
    Batch, InstanceId, Metric, PARTITIONS, Partition, Position, Record, Rng, Role, SECOND_US, Schema,
    Timestamp, Value,
};
use foretwin_disk::OsDisk;
use foretwin_host::file::{Buffer, ProcFile};
use foretwin_host::proc::own_use;
use foretwin_store::Store;
use foretwin_stream::{Entry, EntryRef, Error as LogError, Log};

const INSTANCES: usize = 2000;
const METRICS: usize = 38;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;
/// What arrives in one second.
type Second = Vec<(Partition, Record)>;
/// Entries of one commit.
type Commit = Vec<(Position, Vec<u8>)>;

/// Made-up telemetry. A third of the columns count with jitter, a third wander, a third stay.
fn telemetry(seconds: usize, single: bool) -> Outcome<Vec<Second>> {
    let metric = |n| Metric::gauge(&format!("metric.{n}"), "1", Role::Utilization);
    let schema = Schema::new((0..METRICS).map(metric).collect());
    let ids: Vec<_> = (0..INSTANCES).map(|n| InstanceId::new(&format!("host-{n:04}/system.slice"))).collect();
    let (mut states, mut rng) = (vec![[Value(1_000_000); METRICS]; INSTANCES], Rng::new(1));
    let mut arriving = vec![Partition::all().map(|home| (home, Record::Schema(schema.clone()))).collect()];
    for second in 0..seconds as i64 {
        let at = Timestamp((1_700_000_000 + second) * SECOND_US);
        let mut batches: Vec<(Partition, Batch)> = Vec::new();
        if !single {
            batches.extend(Partition::all().map(|home| (home, Batch::new(schema.id(), METRICS))));
        }
        for (id, state) in ids.iter().zip(&mut states) {
            for (column, value) in state.iter_mut().enumerate() {
                match column % 3 {
                    0 => value.0 += 1000 + rng.below(50),
                    1 => value.0 = (value.0 + rng.below(9)).saturating_sub(4),
                    _ => {}
                }
            }
            let home = id.partition();
            if single {
                batches.push((home, Batch::new(schema.id(), METRICS)));
            }
            let to = if single { batches.len() - 1 } else { home.index() };
            batches[to].1.push(id, at + rng.below(2000) as i64, state)?;
        }
        arriving.push(batches.into_iter().map(|(home, batch)| (home, Record::Batch(batch))).collect());
    }
    Ok(arriving)
}

/// Processor time of this process, all threads.
fn cpu_s() -> Outcome<f64> {
    let statm = ProcFile::open("/proc/self/statm")?;
    Ok(own_use(&statm, &mut Buffer::default())?.cpu_us as f64 / 1e6)
}

fn open_log(dir: &Path) -> Outcome<Log> {
    Ok(Log::open(Arc::new(OsDisk), &dir.join("log"), foretwin_stream::Config::default())?.0)
}

fn open_store(dir: &Path) -> Outcome<Store> {
    Ok(Store::open(Arc::new(OsDisk), &dir.join("store"), foretwin_store::Config::default())?.0)
}

/// Encodes, appends, and waits until the disk has everything.
fn append(log: &Log, arriving: &[Second]) -> Outcome<()> {
    for second in arriving {
        while let Err(error) = log.append_records(second.iter().map(|(home, record)| (*home, record))) {
            let LogError::Busy { .. } = error else { return Err(error.into()) };
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    Ok(log.close()?)
}

/// Decodes and applies an entry, and flushes when its time has come.
fn apply(store: &Store, position: Position, payload: &[u8]) -> Outcome<()> {
    let record = foretwin_wire::record::decode(payload)?;
    store.apply(position, &record)?;
    if let Record::Batch(batch) = &record {
        store.flush_due(batch.rows().first().map_or(Timestamp(0), |row| row.at))?;
    }
    Ok(())
}

/// Log alone.
fn log_alone(dir: &Path, arriving: &[Second]) -> Outcome<f64> {
    let log = open_log(dir)?;
    let before = cpu_s()?;
    append(&log, arriving)?;
    Ok(cpu_s()? - before)
}

/// Store alone: what [`log_alone`] left is read back first.
fn store_alone(dir: &Path) -> Outcome<f64> {
    let log = open_log(dir)?;
    let entries = log.read_from(&[0; PARTITIONS]).collect::<Result<Vec<Entry>, _>>()?;
    let store = open_store(dir)?;
    let before = cpu_s()?;
    entries.iter().try_for_each(|entry| apply(&store, entry.position, &entry.payload))?;
    store.flush(Timestamp(0))?;
    Ok(cpu_s()? - before)
}

/// Both, as a node has them: what is committed goes through a queue to a worker.
fn together(dir: &Path, arriving: &[Second]) -> Outcome<f64> {
    let (log, store) = (open_log(dir)?, open_store(dir)?);
    let (commits, queue) = sync_channel::<Commit>(256);
    log.subscribe(move |entries: &[EntryRef<'_>]| {
        let owned = entries.iter().map(|entry| (entry.position, entry.payload.to_vec())).collect();
        let _ = commits.send(owned);
    });
    let before = cpu_s()?;
    std::thread::scope(|scope| {
        let store = &store;
        let worker = scope
            .spawn(move || queue.iter().flatten().try_for_each(|(at, payload)| apply(store, at, &payload)));
        append(&log, arriving)?;
        // Without its sender the queue ends once it is empty.
        log.subscribe(|_| ());
        worker.join().map_err(|_| "the worker panicked")?
    })?;
    store.flush(Timestamp(0))?;
    Ok(cpu_s()? - before)
}

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default| args.get(at).map_or(Ok(default), |text| text.parse::<usize>());
    let (seconds, repetitions) = (number(0, 120)?, number(1, 5)?.max(1));
    let arriving = telemetry(seconds, args.get(2).is_some_and(|arg| arg == "single"))?;
    let samples = (seconds * INSTANCES * METRICS) as f64;
    let mut rates: [Vec<f64>; 3] = Default::default();
    for _ in 0..repetitions {
        let (apart, joint) = (tempfile::tempdir()?, tempfile::tempdir()?);
        let spent = [
            log_alone(apart.path(), &arriving)?,
            store_alone(apart.path())?,
            together(joint.path(), &arriving)?,
        ];
        rates.iter_mut().zip(spent).for_each(|(rates, cpu_s)| rates.push(samples / cpu_s / 1e6));
    }
    println!("{:.1} M samples, million samples per second of processor time:", samples / 1e6);
    for (what, mut rates) in ["log alone", "store alone", "log and store"].into_iter().zip(rates) {
        rates.sort_by(f64::total_cmp);
        println!("{what:<14} {:.2}, median of {rates:.2?}", rates[rates.len() / 2]);
    }
    Ok(())
}
