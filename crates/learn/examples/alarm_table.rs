//! How often simulated series alarm that have nothing to say: the table of plain series in the documentation.
//!
//! `cargo run --release -p foretwin-learn --example alarm_table [SERIES_PER_KIND] [FRAMES]`
//!
//! Every series is an instance of one metric at 1 Hz. The model learns from the first half and judges the second.

use std::error::Error;
use std::ops::ControlFlow;

use foretwin_core::{InstanceId, Metric, Rng, Role, Schema, Storage, Timestamp, Value, Window};
use foretwin_learn::{Config, Job, Outcome, fit};

/// Frames without an alarm after which the next one is a new episode.
const APART: usize = 60;

/// Makes `frames` values.
type Maker = fn(&mut Rng, usize) -> Vec<f64>;

const KINDS: &[(&str, Maker)] = &[
    ("constant", |_, frames| vec![42.0; frames]),
    ("nearly constant: one frame in 500 off by 1 %", |rng, frames| {
        (0..frames).map(|_| if rng.uniform() < 0.002 { 42.42 } else { 42.0 }).collect()
    }),
    ("nearly constant: noise of one part in 10,000", |rng, frames| {
        (0..frames).map(|_| 42.0 + 0.0042 * rng.normal()).collect()
    }),
    ("constant while learning, one step of 10 % in the middle of judging", |_, frames| {
        (0..frames).map(|row| if row < frames * 3 / 4 { 42.0 } else { 46.2 }).collect()
    }),
    ("steps between two levels, one in 300 frames, and noise", |rng, frames| {
        let mut level = 0.0;
        let mut step = || {
            if rng.uniform() < 1.0 / 300.0 {
                level = 10.0 - level;
            }
            40.0 + level + 0.1 * rng.normal()
        };
        (0..frames).map(|_| step()).collect()
    }),
    ("noise, one step of 10 deviations in the middle of judging", |rng, frames| {
        (0..frames).map(|row| rng.normal() + if row < frames * 3 / 4 { 0.0 } else { 10.0 }).collect()
    }),
    ("ramp", |_, frames| (0..frames).map(|row| 10.0 + 0.01 * row as f64).collect()),
    ("ramp and noise", |rng, frames| {
        (0..frames).map(|row| 10.0 + 0.01 * row as f64 + rng.normal()).collect()
    }),
    ("white noise", |rng, frames| (0..frames).map(|_| rng.normal()).collect()),
    ("heavy-tailed noise (exponential of normal)", |rng, frames| {
        (0..frames).map(|_| rng.normal().exp()).collect()
    }),
    ("random walk", |rng, frames| {
        let mut at = 0.0;
        let mut step = || {
            at += rng.normal();
            at
        };
        (0..frames).map(|_| step()).collect()
    }),
];

/// What the second half of one series made.
struct Alarms {
    frames: usize,
    alarmed: usize,
    episodes: usize,
    /// Frames of the longest run above 1.
    longest: usize,
}

fn judge(values: &[f64], seed: u64) -> Result<Alarms, Box<dyn Error>> {
    let metric = Metric::gauge("value", "1", Role::Utilization).stored(Storage::F64);
    let schema = Schema::new(vec![metric]);
    let mut train = Window::new(InstanceId::new("simulated"), schema);
    let (learned, judged) = values.split_at(values.len() / 2);
    let at = |row: usize| Timestamp(row as i64 * 1_000_000);
    learned.iter().enumerate().for_each(|(row, &x)| train.push(at(row), &[Value::float(x)]));
    let config = Config::default();
    let job = Job { seed, ..Job::new(&train, &config) };
    let model = fit(&job, &mut |_| ControlFlow::Continue(()))?;
    let (mut state, mut out) = (model.start(), Outcome::default());
    let mut alarms = Alarms { frames: judged.len(), alarmed: 0, episodes: 0, longest: 0 };
    let (mut run, mut calm) = (0, APART);
    for (row, &x) in judged.iter().enumerate() {
        model.step(&mut state, at(learned.len() + row), &[Value::float(x)], &mut out);
        if out.score > 1.0 {
            alarms.episodes += usize::from(calm >= APART);
            (run, calm) = (run + 1, 0);
            alarms.alarmed += 1;
            alarms.longest = alarms.longest.max(run);
        } else {
            (run, calm) = (0, calm + 1);
        }
    }
    Ok(alarms)
}

fn main() -> Result<(), Box<dyn Error>> {
    let argument = |at: usize, otherwise: usize| -> Result<usize, Box<dyn Error>> {
        Ok(std::env::args().nth(at).map(|text| text.parse()).transpose()?.unwrap_or(otherwise))
    };
    let (series, frames) = (argument(1, 20)?, argument(2, 14_400)?);
    println!("{series} series of each kind, {frames} frames at 1 Hz, the second half judged\n");
    println!("| series | alarmed frames | episodes per 10,000 frames | series without alarm | longest run |");
    println!("|---|---|---|---|---|");
    for (name, make) in KINDS {
        let one = |seed: usize| judge(&make(&mut Rng::new(seed as u64 + 1), frames), seed as u64 + 1);
        let all = (0..series).map(one).collect::<Result<Vec<Alarms>, _>>()?;
        let sum = |of: fn(&Alarms) -> usize| all.iter().map(of).sum::<usize>() as f64;
        let judged = sum(|one| one.frames).max(1.0);
        let silent = all.iter().filter(|one| one.alarmed == 0).count();
        println!(
            "| {name} | {:.3} % | {:.2} | {silent} of {series} | {} |",
            100.0 * sum(|one| one.alarmed) / judged,
            1e4 * sum(|one| one.episodes) / judged,
            all.iter().map(|one| one.longest).max().unwrap_or(0)
        );
    }
    Ok(())
}
