//! A fleet at one frame a second through a real node: how far behind its scores are, and what that takes.
//!
//! `cargo run --release -p foretwin-engine --example fleet -- DIR [INSTANCES] [SECONDS] [WORKLOADS] [SENDERS] [flat] [seal=MB] [head=MB]`
//!
//! Senders hand in batches as agents and collectors do, through [`foretwin_engine::Handle::ingest`], spread over the
//! second; each returns when its frames are durable. The lag of a frame is the time from the moment it was due until
//! its score is in the store: batch, log commit with its sync, queue, decoding, judgement, storing. The first frames
//! of all instances, which make everything known, are sent in [`SETTLE_S`] seconds that are not counted. With `flat`
//! nothing waits for its second, and the lag means nothing. `seal` and `head` set `store.seal_bytes` and
//! `store.head_limit_bytes`, so that a smaller fleet seals as often as a large one.

mod load;
mod spent;

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use foretwin_core::{InstanceId, Phase, Record, SECOND_US, Timestamp};
use foretwin_engine::{Config, Event, Handle, Node, Roles, WindowQuery};

use load::{Fleet, METRICS, Sender};
use spent::{Others, Spent};

/// Seconds of telemetry before the measurement.
const SETTLE_S: usize = 10;
/// Seconds of history of the first instance of each workload, from which its model is made.
const HISTORY_S: usize = 4000;
/// Records handed in at once while the fleet is made known.
const AT_ONCE: usize = 4000;
/// Milliseconds that the histogram of lags covers.
const LONGEST_MS: usize = 120_000;
/// Seconds of a minute.
const MINUTE_S: usize = 60;
/// Instances whose stored scores are counted at the end.
const LOOKED_AT: usize = 50;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// What is asked for.
struct Args {
    dir: PathBuf,
    instances: usize,
    seconds: usize,
    workloads: usize,
    senders: usize,
    flat: bool,
    seal_mb: Option<u64>,
    head_mb: Option<u64>,
}

fn args() -> Outcome<Args> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let dir = args.first().ok_or("usage: fleet DIR [INSTANCES] [SECONDS] [WORKLOADS] [SENDERS] [flat]")?;
    let number = |at: usize, default| args.get(at).map_or(Ok(default), |text| text.parse::<usize>());
    let option =
        |name: &str| args.iter().find_map(|arg| arg.strip_prefix(name)).map(str::parse::<u64>).transpose();
    Ok(Args {
        dir: PathBuf::from(dir),
        instances: number(1, 10_000)?.max(1),
        seconds: number(2, 60)?.max(1),
        workloads: number(3, 8)?.max(1),
        senders: number(4, 16)?.max(1),
        flat: args.iter().any(|arg| arg == "flat"),
        seal_mb: option("seal=")?,
        head_mb: option("head=")?,
    })
}

/// When which frames are due.
struct Plan {
    start: Timestamp,
    /// Where the measurement begins.
    from: Timestamp,
    seconds: usize,
    /// Nobody waits until they are due.
    flat: bool,
}

impl Plan {
    fn to(&self) -> Timestamp {
        self.from + self.seconds as i64 * SECOND_US
    }
}

/// How late scores were, by millisecond.
struct Lags {
    by_ms: Vec<AtomicU64>,
    /// The longest in each minute of telemetry, in milliseconds.
    longest_ms: Vec<AtomicU64>,
    /// The longest in each minute until a batch was durable, in milliseconds: what of a lag is the log's.
    durable_ms: Vec<AtomicU64>,
    /// Only frames of this span count.
    from: Timestamp,
    to: Timestamp,
}

impl Lags {
    fn new(plan: &Plan) -> Arc<Self> {
        let by_ms = (0..=LONGEST_MS).map(|_| AtomicU64::new(0)).collect();
        let minutes = || (0..plan.seconds.div_ceil(MINUTE_S)).map(|_| AtomicU64::new(0)).collect();
        Arc::new(Self { by_ms, longest_ms: minutes(), durable_ms: minutes(), from: plan.from, to: plan.to() })
    }

    fn minute(&self, at: Timestamp) -> Option<usize> {
        let minute = (at.0 - self.from.0) / (MINUTE_S as i64 * SECOND_US);
        (self.from..self.to).contains(&at).then_some(minute as usize)
    }

    fn durable(&self, at: Timestamp, now: Timestamp) {
        if let Some(minute) = self.minute(at) {
            self.durable_ms[minute].fetch_max(((now.0 - at.0) / 1000).max(0) as u64, Ordering::Relaxed);
        }
    }

    fn note(&self, at: Timestamp, now: Timestamp) {
        if let Some(minute) = self.minute(at) {
            let ms = ((now.0 - at.0) / 1000).clamp(0, LONGEST_MS as i64) as usize;
            self.by_ms[ms].fetch_add(1, Ordering::Relaxed);
            self.longest_ms[minute].fetch_max(ms as u64, Ordering::Relaxed);
        }
    }

    fn count(&self) -> u64 {
        self.by_ms.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    fn print(&self) {
        let [half, most, nearly, all] = [0.5, 0.99, 0.999, 1.0].map(|share| self.within(share));
        println!("lag ms: p50 {half}, p99 {most}, p99.9 {nearly}, max {all}");
        println!("longest lag of each minute, ms: {:?}", self.longest_ms);
        println!("longest time of each minute until durable, ms: {:?}", self.durable_ms);
    }

    /// Milliseconds within which this share of the scores came.
    fn within(&self, share: f64) -> usize {
        let wanted = (share * self.count() as f64).ceil() as u64;
        let mut sum = 0;
        let reached = |count: &AtomicU64| {
            sum += count.load(Ordering::Relaxed);
            sum >= wanted
        };
        self.by_ms.iter().position(reached).unwrap_or(LONGEST_MS)
    }
}

/// Makes every instance known, and gives the first of each workload a history to learn from.
fn introduce(handle: &Handle, fleet: &Fleet, start: Timestamp) -> Outcome<()> {
    let mut records = vec![Record::Schema(fleet.schema.clone())];
    for workload in 0..fleet.workloads() {
        records.push(Record::Instance(fleet.instance(workload)));
        records.push(Record::Batch(fleet.history(workload, HISTORY_S, start)?));
    }
    handle.ingest(records)?;
    for first in 0..fleet.workloads() {
        let id = fleet.id(first);
        let learned = || handle.instance(id).is_ok_and(|view| view.learning.phase == Phase::Learned);
        while !learned() {
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    let rest: Vec<Record> =
        (fleet.workloads()..fleet.len()).map(|n| Record::Instance(fleet.instance(n))).collect();
    for some in rest.chunks(AT_ONCE) {
        handle.ingest(some.to_vec())?;
    }
    Ok(())
}

/// What a lane of senders did while it was measured.
#[derive(Default)]
struct Sent {
    /// How often the log was busy.
    busy: u64,
    /// Processor time of making the telemetry, and of handing it in.
    making_s: f64,
    handing_s: f64,
}

/// Sends until the time is over, each batch when it is due.
fn send(
    handle: &Handle,
    fleet: &Fleet,
    senders: &mut [Sender],
    (plan, lags): (&Plan, &Lags),
) -> Outcome<Sent> {
    let mut sent = Sent::default();
    for tick in 0..SETTLE_S + plan.seconds {
        if tick == SETTLE_S {
            sent = Sent::default();
        }
        for sender in &mut *senders {
            let due = plan.start + (tick as i64 * SECOND_US) + sender.phase_us;
            let begun_s = spent::own_s()?;
            let records = sender.records(fleet, tick, due)?;
            let made_s = spent::own_s()?;
            let early_us = due.0 - handle.now().0;
            if early_us > 0 && !plan.flat {
                std::thread::sleep(Duration::from_micros(early_us as u64));
            }
            // An agent, too, sends again what was refused.
            while let Err(error) = handle.ingest(records.clone()) {
                if error.code() != "busy" {
                    return Err(error.into());
                }
                sent.busy += 1;
                std::thread::sleep(Duration::from_millis(5));
            }
            lags.durable(due, handle.now());
            sent.making_s += made_s - begun_s;
            sent.handing_s += spent::own_s()? - made_s;
        }
    }
    Ok(sent)
}

/// Scores stored of an instance in a span.
fn stored(handle: &Handle, id: &InstanceId, (from, to): (Timestamp, Timestamp)) -> Outcome<usize> {
    let metrics = vec!["foretwin.anomaly.score".to_owned()];
    let query = WindowQuery { instance: id.clone(), metrics, from, to: to - 1, points: usize::MAX };
    let view = handle.window(&query)?;
    let seen =
        |series: &foretwin_engine::SeriesView| series.observed.iter().filter(|x| x.is_finite()).count();
    Ok(view.series.iter().map(seen).sum())
}

/// Who hears of scores while the frames of the plan are sent.
fn listen(handle: &Handle, plan: &Plan) -> Arc<Lags> {
    let lags = Lags::new(plan);
    let (noted, clock) = (lags.clone(), handle.clone());
    handle.subscribe(Box::new(move |event: &Arc<Event>| {
        if let Event::Score { at_us, score: Some(_), .. } = event.as_ref() {
            noted.note(*at_us, clock.now());
        }
        true
    }));
    lags
}

/// Sends the frames of the plan, waits until all are scored, and says what that took.
fn measure(handle: &Handle, fleet: &Fleet, (plan, senders): (&Plan, usize)) -> Outcome<()> {
    let lags = listen(handle, plan);
    let others = Others::default();
    let (mut before, mut begun) = (Spent::now()?, Instant::now());
    let sent = std::thread::scope(|scope| -> Outcome<Vec<Sent>> {
        let spawn = |mut lane: Vec<Sender>| {
            let work = {
                let lags = lags.clone();
                move || send(handle, fleet, &mut lane, (plan, &lags))
            };
            std::thread::Builder::new().name("sender".into()).spawn_scoped(scope, work)
        };
        let lanes = Sender::lanes(fleet, senders).into_iter().map(spawn).collect::<Result<Vec<_>, _>>()?;
        // The measurement begins when its first frame is due; flat out, when it is through.
        while (!plan.flat && handle.now() < plan.from) || (plan.flat && lags.count() == 0) {
            std::thread::sleep(Duration::from_millis(1));
        }
        (before, begun) = (Spent::now()?, Instant::now());
        others.begin();
        lanes.into_iter().map(|lane| lane.join().map_err(|_| "a sender panicked")?).collect()
    })?;
    let frames = (fleet.len() * plan.seconds) as u64;
    let deadline = Instant::now() + Duration::from_secs(60);
    while lags.count() < frames && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
    let (wall_s, spent, scored) = (begun.elapsed().as_secs_f64(), Spent::now()?, lags.count());
    let sum = |part: fn(&Sent) -> f64| sent.iter().map(part).sum::<f64>();
    println!("frames {frames}, scored {scored}, missed {}", frames.saturating_sub(scored));
    if !plan.flat {
        lags.print();
        println!("the log was busy {} times", sum(|sent| sent.busy as f64));
        println!("cores that others took in each minute: {:.2?}", others.cores());
    }
    println!(
        "  {:<16} {:>9.2} s of processor time, not counted below",
        "making telemetry",
        sum(|sent| sent.making_s)
    );
    spent.since(&before).print(sum(|sent| sent.handing_s), (frames as usize * METRICS) as f64, wall_s);
    Ok(())
}

/// Counts what is stored of some instances, evenly chosen.
fn look(handle: &Handle, fleet: &Fleet, plan: &Plan) -> Outcome<()> {
    let count = LOOKED_AT.min(fleet.len());
    let looked = (0..count).map(|n| n * fleet.len() / count);
    let found =
        looked.map(|n| stored(handle, fleet.id(n), (plan.from, plan.to()))).collect::<Outcome<Vec<_>>>()?;
    let (fewest, most) = (found.iter().min(), found.iter().max());
    println!("stored scores of {count} instances: fewest {fewest:?}, most {most:?} of {}", plan.seconds);
    Ok(())
}

fn main() -> Outcome<()> {
    let args = args()?;
    let fleet = Fleet::new(args.instances.max(args.workloads), args.workloads);
    let mut config = Config { data_dir: args.dir.clone(), ..Config::default() };
    // Many rows of a series together take less to write and fewer bytes: memory for half a minute of the fleet.
    config.store.flush_bytes = 3 << 29;
    config.store.head_limit_bytes = args.head_mb.map_or(4 << 30, |mb| mb << 20);
    config.store.flush_bytes = config.store.flush_bytes.min(config.store.head_limit_bytes);
    if let Some(mb) = args.seal_mb {
        config.store.seal_bytes = mb << 20;
    }
    let node = Node::start(&config, Roles { collect: false })?;
    let handle = node.handle();
    let begun = Instant::now();
    introduce(&handle, &fleet, handle.now())?;
    println!(
        "{} instances x {METRICS} metrics, introduced in {:.1} s",
        fleet.len(),
        begun.elapsed().as_secs_f64()
    );
    let start = Timestamp((handle.now().0 / SECOND_US + 2) * SECOND_US);
    let from = start + SETTLE_S as i64 * SECOND_US;
    let plan = Plan { start, from, seconds: args.seconds, flat: args.flat };
    println!("{} s, {} senders", args.seconds, args.senders);
    measure(&handle, &fleet, (&plan, args.senders))?;
    look(&handle, &fleet, &plan)?;
    node.stop()?;
    Ok(())
}
