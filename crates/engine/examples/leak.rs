//! How near a rehearsal comes to a real death: processes of the lab leak below their limits, beside page cache and each
//! other; while they do, each is rehearsed at twenty times its pace, growing as foresight forecasts it, and in the end all
//! are held against what happened.
//!
//! `cargo run -p foretwin-engine --example leak -- LAB RUNNER SCRATCH [process|microvm [KERNEL [SEED]]]` as root, with the
//! paths of `foretwin-lab` and of a static `foretwin-runner`, and a directory on a real disk.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, mpsc};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use foretwin_core::{Demand, Dimension, FailureMode, Fidelity, InstanceId, Profile, Timestamp};
use foretwin_foresee::{Evidence, Growth, Series};
use foretwin_host::cgroup::{self, Budget, Hierarchy, Reader, Stats};
use foretwin_twin::rehearsal::{Leak, Outcome, Question, Rehearsal};
use foretwin_twin::{
    Activity, Config, Desired, MicrovmSubstrate, Owner, ProcessSubstrate, Sink, Substrate, Twins,
};

type Failed = Box<dyn Error>;

/// What leaks: scenario, seed, limit in MB, MB a second; and what fills the page cache beside it.
const RUNS: [(&str, u32, u32, f64); 6] = [
    ("linear", 1, 160, 0.7),
    ("linear", 2, 192, 0.8),
    ("load_coupled", 3, 160, 0.7),
    ("load_coupled", 4, 176, 0.8),
    ("accelerating", 5, 144, 0.6),
    ("page_cache", 6, 96, 2.0),
];
/// Seconds from the start of all until the first is rehearsed; they begin to leak after `ONSET_S`.
const WATCHED_S: u64 = 170;
const ONSET_S: f64 = 60.0;
const LASTS_S: f64 = 400.0;
/// Seconds of which the rate is taken.
const RATE_S: usize = 25;
const SPEED: f64 = 20.0;
const AHEAD_S: f64 = 400.0;

/// A process of the lab as it is watched.
struct Watched {
    name: String,
    limit: f64,
    reader: Reader,
    /// When, bytes that cannot be reclaimed, and processor time so far in microseconds.
    used: Vec<(f64, f64, f64)>,
}

/// What was said of one, and when.
struct Said {
    name: String,
    at: f64,
    /// Seconds by what is left, divided by the rate of late and by the forecast one; and by the whole limit, from the
    /// onset on.
    by_division: f64,
    by_forecast: f64,
    by_limit: f64,
    outcome: Outcome,
}

fn main() -> Result<(), Failed> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [lab, runner, scratch, rest @ ..] = arguments.as_slice() else {
        return Err("give the paths of foretwin-lab, foretwin-runner and a scratch directory".into());
    };
    let level = if rest.first().is_some_and(|level| level == "microvm") {
        Fidelity::Microvm
    } else {
        Fidelity::Process
    };
    let config =
        Config { runner: Some(runner.into()), kernel: rest.get(1).map(PathBuf::from), ..Config::default() };
    let out = Path::new(scratch).join("leaks");
    let seed = rest.get(2).map_or(Ok(0), |seed| seed.parse())?;
    let mut campaign = begin(Path::new(lab), &out, seed)?;
    let said = watch(&config, level, seed);
    campaign.wait()?;
    tell(&said?, &out)
}

fn begin(lab: &Path, out: &Path, first: u32) -> Result<Child, Failed> {
    let run = |&(scenario, seed, memory_mb, rate_mb_s): &(&str, u32, u32, f64)| {
        serde_json::json!({ "scenario": scenario, "seed": first + seed, "memory_mb": memory_mb, "rate_mb_s": rate_mb_s,
                            "onset_s": ONSET_S, "duration_s": LASTS_S })
    };
    std::fs::create_dir_all(out)?;
    let plan = out.join("plan.json");
    std::fs::write(&plan, serde_json::to_vec(&RUNS.iter().map(run).collect::<Vec<_>>())?)?;
    let mut command = Command::new(lab);
    command.args(["campaign", "--parallel", "6", "--confine", "groups", "--runs"]).arg(plan);
    Ok(command.arg("--out").arg(out).stdout(Stdio::null()).spawn()?)
}

/// Watches all, then rehearses one after another.
fn watch(config: &Config, level: Fidelity, first: u32) -> Result<Vec<Said>, Failed> {
    sleep(Duration::from_secs(4));
    let mut all = groups(first)?;
    let mut said = Vec::new();
    let mut buffer = vec![0; 16 << 10];
    let began = Instant::now();
    let mut next = 0;
    while next < all.len() {
        for one in &mut all {
            let mut stats = Stats::ABSENT;
            one.reader.read(&mut stats, &mut buffer);
            one.used.push((unix_s(), stats.unreclaimable() as f64, stats.cpu_us as f64));
        }
        if began.elapsed() >= Duration::from_secs(WATCHED_S) {
            said.push(rehearse(&all[next], config, level)?);
            next += 1;
        }
        sleep(Duration::from_secs(1));
    }
    Ok(said)
}

fn groups(first: u32) -> Result<Vec<Watched>, Failed> {
    let (hierarchies, budget) = (cgroup::mounted()?, Budget::new(64));
    let leaks = RUNS.iter().filter(|run| run.0 != "page_cache");
    let open = |&(scenario, seed, memory_mb, _): &(&str, u32, u32, f64)| {
        let seed = first + seed;
        let name = format!("{}-{seed}", scenario.replace('_', "-"));
        let path = [format!("foretwin-lab/{name}"), format!("foretwin-lab/{scenario}-{seed}")]
            .into_iter()
            .find(|path| hierarchies.iter().any(|found| found.dir(path).exists()))
            .ok_or_else(|| format!("there is no group of {name}"))?;
        let within: Vec<&Hierarchy> = hierarchies.iter().filter(|found| found.dir(&path).exists()).collect();
        let reader = Reader::open(&path, &within, &budget);
        let name = path.rsplit('/').next().unwrap_or_default().to_owned();
        Ok(Watched { name, limit: f64::from(memory_mb) * 1_048_576.0, reader, used: Vec::new() })
    };
    leaks.map(open).collect()
}

/// Bytes per second, by least squares over the last seconds.
fn rate(used: &[(f64, f64, f64)]) -> f64 {
    let used = &used[used.len().saturating_sub(RATE_S)..];
    let count = used.len() as f64;
    let (mean_t, mean_u) =
        used.iter().fold((0.0, 0.0), |sum, one| (sum.0 + one.0 / count, sum.1 + one.1 / count));
    let (mut tt, mut tu) = (0.0, 0.0);
    for (t, u, _) in used {
        (tt, tu) = (tt + (t - mean_t).powi(2), tu + (t - mean_t) * (u - mean_u));
    }
    tu / tt
}

/// Bytes per second until the limit, as forecast: with the processor time that may drive it.
fn forecast(one: &Watched) -> Option<f64> {
    let times: Vec<Timestamp> = one.used.iter().map(|(at, ..)| Timestamp::from_seconds(*at)).collect();
    let used: Vec<f64> = one.used.iter().map(|(_, bytes, _)| *bytes).collect();
    let spent = one.used.windows(2).map(|two| (two[1].2 - two[0].2) / (two[1].0 - two[0].0));
    let work: Vec<f64> = spent.clone().take(1).chain(spent).collect();
    let (metric, mode) = ("container.memory.usage", FailureMode::MemoryExhaustion);
    let series = Series { metric, mode, times: &times, used: &used, limit: one.limit };
    let now = *times.last()?;
    let growth = Growth::read(&Evidence { series, work: &work }, now, 3600.0, 1)?;
    eprintln!("{}: {:?}", one.name, growth.shares);
    growth.rate()
}

fn rehearse(one: &Watched, config: &Config, level: Fidelity) -> Result<Said, Failed> {
    let (at, used, _) = one.used.last().copied().ok_or("nothing was measured")?;
    let (late, rate_per_s) = (rate(&one.used), forecast(one).ok_or("it does not grow")?);
    let leak = Leak { mode: FailureMode::MemoryExhaustion, used, rate_per_s, limit: one.limit };
    let question = Question {
        instance: InstanceId::new(&one.name),
        parent: if level == Fidelity::Process { "foretwin-lab".into() } else { String::new() },
        level,
        start: Timestamp::from_seconds(at),
        ahead_s: AHEAD_S,
        speed: SPEED,
        profile: profile(used)?,
        load: 1.0,
        kept: 1.0,
        leaks: vec![leak],
        cores: None,
        latency_limit_s: None,
        memory_bytes: 6.4e7,
        cap_core: 0.5,
        directory: None,
        seed: 1,
    };
    let outcome = run(Rehearsal::new(question)?, config, level)?;
    let left = one.limit - used;
    eprintln!("{}: {:.0} MB used, {:.2} MB/s, {outcome:?}", one.name, used / 1e6, rate_per_s / 1e6);
    let (by_division, by_forecast) = (left / late, left / rate_per_s);
    Ok(Said { name: one.name.clone(), at, by_division, by_forecast, by_limit: one.limit / late, outcome })
}

/// A flat profile: a little work, and the memory in use.
fn profile(bytes: f64) -> Result<Arc<Profile>, Failed> {
    let demand = Demand::NONE.with(Dimension::Cpu, 0.02).with(Dimension::WorkingSet, bytes);
    let rows: Vec<_> = (0..900).map(|second| (Timestamp::from_seconds(f64::from(second)), demand)).collect();
    Ok(Arc::new(Profile::fit(&rows, 1).ok_or("no profile")?))
}

fn run(mut rehearsal: Rehearsal, config: &Config, level: Fidelity) -> Result<Outcome, Failed> {
    let directory = tempfile::tempdir()?;
    let owner = Owner::of(directory.path())?;
    let (sink, reports): (Sink, _) = mpsc::sync_channel(10_000);
    let substrate: Box<dyn Substrate> = match level {
        Fidelity::Microvm => Box::new(MicrovmSubstrate::new(&owner, config, directory.path())?),
        _ => Box::new(ProcessSubstrate::new(&owner, config, directory.path())?),
    };
    let mut twins = Twins::new(vec![substrate], sink);
    let (wish, began) = (Desired { twins: vec![rehearsal.spec().clone()] }, Instant::now());
    loop {
        let status = twins.converge(&wish, Instant::now()).remove(0);
        let mut over = false;
        while let Ok(report) = reports.try_recv() {
            over |= rehearsal.frame(&report.frame);
        }
        if let Activity::Ended(exit) = &status.activity {
            rehearsal.exit(exit, began.elapsed().as_secs_f64());
            over = true;
        }
        if over {
            twins.converge(&Desired { twins: Vec::new() }, Instant::now());
            return Ok(rehearsal.outcome(level).ok_or("it ended without saying anything")?);
        }
        if began.elapsed() > Duration::from_secs(180) {
            return Err(format!("it does not end: {status:?}").into());
        }
        sleep(Duration::from_millis(20));
    }
}

/// Seconds from the question to the death, as they were and as they were said to be.
fn tell(said: &[Said], out: &Path) -> Result<(), Failed> {
    let runs = std::fs::read_to_string(out.join("runs.csv"))?;
    let mut lines = runs.lines();
    let header: Vec<&str> = lines.next().ok_or("runs.csv is empty")?.split(',').collect();
    let column =
        |name: &str| header.iter().position(|known| *known == name).ok_or(format!("no column {name}"));
    let (group, failure, event, start) =
        (column("group")?, column("failure")?, column("event_time")?, column("start_unix")?);
    println!("run,died_s,rehearsed_s,percent,divided_s,percent,forecast_s,percent,limit_by_rate_s,percent");
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    for one in said {
        let Some(row) = rows.iter().find(|row| row[group].ends_with(&one.name)) else { continue };
        let died = row[start].parse::<f64>()? + row[event].parse::<f64>()? - one.at;
        let rehearsed = one.outcome.broken.as_ref().map_or(f64::NAN, |broken| broken.after_s);
        let off = |said: f64| 100.0 * (said - died) / died;
        let by_limit = row[start].parse::<f64>()? + ONSET_S + one.by_limit - one.at;
        println!(
            "{} ({}),{died:.1},{rehearsed:.1},{:.1},{:.1},{:.1},{:.1},{:.1},{:.1},{:.1}",
            one.name,
            row[failure],
            off(rehearsed),
            one.by_division,
            off(one.by_division),
            one.by_forecast,
            off(one.by_forecast),
            by_limit,
            off(by_limit)
        );
    }
    Ok(())
}

fn unix_s() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
