//! `foretwin evaluate whatif`: when would a run have failed with more memory, another load, less processor time, or
//! after a restart?

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use foretwin_core::{Change, FailureMode, Quantiles, Scenario};
use foretwin_foresee::{Config, Grounds, Growth, Interval, Processors};

use super::runs::{self, Run, Told};
use crate::cli::RunsArgs;

/// Memory is the first resource of a run.
const MEMORY: usize = 0;
/// Training asks so many seconds before the failure under less memory.
const LEADS_S: [f64; 4] = [8.0, 14.0, 20.0, 26.0];
/// Cores of the lab host, and how far ahead its runs are looked at.
const HOST_CORES: f64 = 1.0;
const LOOKAHEAD_S: f64 = 600.0;
/// A smaller limit for which a training run is a rerun with this many times the memory.
const SMALLER: f64 = 1.5;

/// What a memory factor multiplies: the whole limit, or what it leaves above the first level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Limit,
    Room,
}

impl Meaning {
    fn apply(self, run: &Run, factor: f64) -> f64 {
        let limit = run.limits[MEMORY].first().copied().unwrap_or(0.0);
        let first = run.used[MEMORY].first().copied().unwrap_or(0.0);
        match self {
            Self::Limit => factor * limit,
            Self::Room => first + factor * (limit - first),
        }
    }
}

/// Answers every row of `whatif_pairs.csv` from the base run's telemetry up to its origin.
pub(in crate::commands::evaluate) fn run(args: &RunsArgs) -> Result<ExitCode> {
    let told = runs::told(&args.train)?;
    let train = runs::read(&args.train.join("telemetry.parquet"))?;
    let meaning = meaning(&args.train, &train);
    let data = runs::read(&args.data.join("telemetry.parquet"))?;
    let mut out = String::from("rid,t_fail_base_p50,t_fail_whatif_p50,p10,p90\n");
    let pairs = runs::table(&args.data.join("whatif_pairs.csv"))?;
    for pair in &pairs {
        let field =
            |name: &str| pair.get(name).with_context(|| format!("whatif_pairs.csv: no column {name}"));
        let rid = field("rid")?;
        let origin_s = field("origin_s")?.parse()?;
        let (factor, scenario) = asked(pair)?;
        let run = data.get(rid).with_context(|| format!("{rid} is not in telemetry.parquet"))?;
        // A run that was trained on must not calibrate its own interval.
        let interval = calibrate(&train, &told, (rid, args.seed));
        let limits = [1.0, factor].map(|factor| meaning.apply(run, factor));
        let [base, other] = sides(run, (origin_s, limits, args.seed), (&scenario, &interval));
        let [base, p50, p10, p90] =
            [base.p50, other.p50, other.p10, other.p90].map(|t| origin_s + t.unwrap_or(f64::INFINITY));
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{rid},{base:.2},{p50:.2},{p10:.2},{p90:.2}");
    }
    std::fs::write(&args.out, out).with_context(|| format!("writing {}", args.out.display()))?;
    let summary = format!("{} pairs answered, memory read as {meaning:?}", pairs.len());
    if args.json {
        println!(
            "{}",
            serde_json::json!({"pairs": pairs.len(), "memory": format!("{meaning:?}").to_lowercase()})
        );
    } else {
        println!("{summary}");
    }
    Ok(ExitCode::SUCCESS)
}

/// What a row asks: the memory factor, and every other change.
fn asked(pair: &BTreeMap<String, String>) -> Result<(f64, Scenario)> {
    let number = |name: &str| -> Result<Option<f64>> {
        let text = pair.get(name).filter(|text| !text.is_empty());
        text.map(|text| text.parse().with_context(|| format!("whatif_pairs.csv: {name}"))).transpose()
    };
    let scenario = Scenario {
        load: number("load_factor")?.filter(|&factor| factor != 1.0),
        cpu: number("cpu_cores")?.map(Change::To),
        restart: number("restart")?.is_some_and(|restart| restart != 0.0),
        ..Scenario::default()
    };
    Ok((number("memory_factor")?.unwrap_or(1.0), scenario))
}

/// What the factor meant where reruns were recorded; what is left above the first level where none were.
fn meaning(dir: &Path, train: &BTreeMap<String, Run>) -> Meaning {
    let reruns = reruns(dir, train).unwrap_or_default();
    let error = |meaning: Meaning| -> f64 {
        let each =
            reruns.iter().map(|(run, factor, limit)| (meaning.apply(run, *factor) / limit - 1.0).abs());
        each.sum()
    };
    if error(Meaning::Limit) < error(Meaning::Room) { Meaning::Limit } else { Meaning::Room }
}

/// Recorded runs, each with a memory factor and the limit that its rerun had. Reruns are in the telemetry of the pairs; or
/// in a folder of changed runs, in which equal seeds are the same run.
fn reruns<'a>(dir: &Path, train: &'a BTreeMap<String, Run>) -> Result<Vec<(&'a Run, f64, f64)>> {
    let factor = |row: &BTreeMap<String, String>| row.get("memory_factor")?.parse::<f64>().ok();
    if let Ok(reruns) = runs::read(&dir.join("whatif_telemetry.parquet")) {
        let pairs = runs::table(&dir.join("whatif_pairs.csv"))?;
        let of = |row: &BTreeMap<String, String>| {
            let rid = row.get("rid")?;
            Some((train.get(rid)?, factor(row)?, *reruns.get(rid)?.limits[MEMORY].first()?))
        };
        return Ok(pairs.iter().filter_map(of).collect());
    }
    let (first, changed) =
        (runs::table(&dir.join("runs.csv"))?, runs::table(&dir.join("changed").join("runs.csv"))?);
    let of = |row: &BTreeMap<String, String>| {
        let same = first.iter().find(|one| one.get("seed") == row.get("seed"))?;
        let limit = row.get("mem_cap")?.parse().ok()?;
        Some((train.get(same.get("rid")?)?, factor(row).filter(|factor| *factor != 1.0)?, limit))
    };
    Ok(changed.iter().filter_map(of).collect())
}

/// Times to failure as things are, and under a scenario with another limit. That failures came later than foreseen, or
/// sooner, is taken as a height: what is in use is not measured as the kernel counts it. So it moves what a scenario
/// comes to by as much as the height takes then, and not by a share of a time that may be many times as long.
fn sides(
    run: &Run,
    (origin_s, [own, other], seed): (f64, [f64; 2], u64),
    (scenario, interval): (&Scenario, &Interval),
) -> [Quantiles; 2] {
    let arrivals = foresee(run, (origin_s, own, seed), &Scenario::default());
    let base = interval.around(&arrivals);
    let seen = run.times.partition_point(|at| at.seconds() <= origin_s);
    let room = own - seen.checked_sub(1).map_or(0.0, |last| run.used[MEMORY][last]);
    let late = base.p50.zip(Interval::middle(&arrivals)).map_or(1.0, |(p50, middle)| p50 / middle);
    let changed = foresee(run, (origin_s, other + room * (late - 1.0), seed), scenario);
    let around = interval.around(&changed);
    let centred = Interval::middle(&changed).zip(around.p50).map_or(1.0, |(middle, p50)| middle / p50);
    let scaled = |t: Option<f64>| t.map(|t| t * centred);
    [base, Quantiles { p10: scaled(around.p10), p50: scaled(around.p50), p90: scaled(around.p90) }]
}

/// Times from the origin until memory reaches `limit` under a scenario, of the futures in which it does, ascending.
fn foresee(run: &Run, (origin_s, limit, seed): (f64, f64, u64), scenario: &Scenario) -> Vec<f64> {
    let growths = run.growths(origin_s, Some(limit), seed);
    let memory = growths.iter().find(|growth| growth.mode == FailureMode::MemoryExhaustion);
    let mut arrivals = memory.map(|growth| arrivals(run, growth, origin_s, scenario)).unwrap_or_default();
    let finite = arrivals.partition_point(|t| t.is_finite());
    // A rerun is asked about because the run fails: futures in which it never does are out of the question.
    arrivals.truncate(finite);
    if arrivals.is_empty() {
        arrivals.extend(memory.and_then(|growth| even(run, growth, origin_s)));
    }
    arrivals
}

/// The futures of a growth under a scenario; memory's limit is set already.
fn arrivals(run: &Run, growth: &Growth, origin_s: f64, scenario: &Scenario) -> Vec<f64> {
    if *scenario == Scenario::default() {
        return growth.arrivals();
    }
    // Without a quota a run may use what the lab host has; its own use says how much it needs.
    let processors = run.mean_cores(origin_s).map(|used| Processors { used, limit: used.max(HOST_CORES) });
    let grounds = Grounds {
        growths: std::slice::from_ref(growth),
        stated: &[],
        highest_load: 1.0,
        knows_work: true,
        processors,
        host: &BTreeMap::new(),
        horizon_s: LOOKAHEAD_S,
    };
    // It is asked of runs that fail: what grows goes on.
    let config = Config { lasting_share: 0.999, transient_s: 1.0, ..Config::default() };
    foretwin_foresee::futures(&grounds, scenario, &config)
}

/// Even growth since the first rise: the least assumption where too little was seen to compare shapes.
fn even(run: &Run, growth: &Growth, origin_s: f64) -> Option<f64> {
    let seen = run.times.partition_point(|at| at.seconds() <= origin_s);
    let rises = (1..seen).find(|&i| run.used[MEMORY][i] > growth.base)?;
    let (since, last) = (run.times[rises - 1].seconds(), run.times[seen - 1].seconds());
    let rate = (growth.used - growth.base) / (last - since).max(0.5);
    (rate > 0.0).then(|| growth.headroom() / rate)
}

/// Learns the spread of what-if times from training runs: each is a rerun of itself under less memory.
fn calibrate(
    train: &BTreeMap<String, Run>,
    told: &BTreeMap<String, Told>,
    (asked, seed): (&String, u64),
) -> Interval {
    let mut seen: Vec<(Vec<f64>, f64)> = Vec::new();
    for (rid, run) in train.iter().filter(|(rid, _)| *rid != asked) {
        let Some(outcome) = told.get(rid).map(|told| told.outcome).filter(|outcome| outcome.failed) else {
            continue;
        };
        let smaller = Meaning::Room.apply(run, 1.0 / SMALLER);
        let crossed = run.used[MEMORY].iter().position(|&used| used >= smaller);
        let Some(fails_s) = crossed.map(|i| run.times[i].seconds()) else { continue };
        for origin_s in LEADS_S.map(|lead| fails_s - lead) {
            if outcome.onset_s.is_some_and(|onset| origin_s < onset) {
                continue;
            }
            let growths = run.growths(origin_s, None, seed);
            let memory = growths.into_iter().find(|growth| growth.mode == FailureMode::MemoryExhaustion);
            let mut arrivals = memory.map(|growth| growth.arrivals()).unwrap_or_default();
            arrivals.retain(|t| t.is_finite());
            seen.push((arrivals, outcome.ended_s - origin_s));
        }
    }
    Interval::fit(seen.iter().map(|(arrivals, left_s)| (arrivals.as_slice(), *left_s)))
}
