//! Generators of series against a limit of 256, sampled at 1 Hz, and the loop that watches them.

use foretwin_core::{FailureMode, Risk, Rng, Timestamp};
use foretwin_foresee::{Config, History, Series, risk};

pub const LIMIT: f64 = 256.0;

/// One second of a workload: takes the time in seconds and the level before, gives the level after.
pub type Step = Box<dyn FnMut(f64, f64) -> f64>;

/// Watches a workload until it reaches the limit or `end_s`, at every `every_s` from 15 s on; gives the time of death
/// and the statements with their times.
pub fn watch(mut step: Step, start: f64, end_s: usize, every_s: usize) -> (Option<f64>, Vec<(f64, Risk)>) {
    let (config, mut history) = (Config::default(), History::new());
    let (mut times, mut used, mut said, mut level) = (Vec::new(), Vec::new(), Vec::new(), start);
    for second in 0..end_s {
        let t = second as f64;
        level = step(t, level).max(0.0);
        if level >= LIMIT {
            return (Some(t), said);
        }
        let now = Timestamp::from_seconds(1.7e9 + t);
        history.push(now, level, LIMIT);
        if second >= 15 && second % every_s == 0 {
            history.series(&mut times, &mut used);
            let (metric, mode) = ("memory", FailureMode::MemoryExhaustion);
            let series = Series { metric, mode, times: &times, used: &used, limit: LIMIT };
            said.extend(risk(&series, now, &config, second as u64).map(|risk| (t, risk)));
        }
    }
    (None, said)
}

/// The workloads that die, by name, at about `rate` per second.
pub fn failing(name: &str, rate: f64, seed: u64) -> Step {
    let mut rng = Rng::new(seed);
    let phase = rng.uniform() * 6.3;
    let period = 40.0 + 80.0 * rng.uniform();
    let (mut floor, mut tooth) = (20.0, 0.0);
    match name {
        "linear" => Box::new(move |_, x| x + rate * (1.0 + 0.2 * rng.normal())),
        "delayed" => Box::new(move |t, x| if t < 300.0 { x } else { x + rate * (1.0 + 0.2 * rng.normal()) }),
        "bursty" => {
            Box::new(move |_, x| if rng.uniform() < 0.2 { x + 10.0 * rate * rng.uniform() } else { x })
        }
        "load" => Box::new(move |t, x| x + rate * (1.0 + 0.5 * (t / period * 6.3 + phase).sin())),
        "accelerating" => Box::new(move |t, _| 20.0 + (rate * t / 16.0).powi(2)),
        "sawtooth" => Box::new(move |_, _| {
            floor += rate;
            tooth = if tooth > 25.0 { 0.0 } else { tooth + 2.0 * rng.uniform() };
            floor + tooth
        }),
        "steps" => {
            Box::new(move |_, x| if rng.uniform() < 0.07 { x + 28.0 * rate * rng.uniform() } else { x })
        }
        other => panic!("no workload {other}"),
    }
}

/// Names for [`failing`].
pub const FAILING: [&str; 7] = ["linear", "delayed", "bursty", "load", "accelerating", "sawtooth", "steps"];

/// The workloads that stay well, by name; each is a little different per seed.
pub fn healthy(name: &str, seed: u64) -> Step {
    let mut rng = Rng::new(seed);
    let size = 0.7 + 0.6 * rng.uniform();
    let begin = 30.0 + 600.0 * rng.uniform();
    let period = 120.0 + 480.0 * rng.uniform();
    match name {
        "startup" => Box::new(move |t, _| 10.0 + 2.0 * size * t.min(60.0) + 0.3 * rng.normal()),
        "plateau" => Box::new(move |t, _| {
            10.0 + 150.0 * size * (1.0 - (-t / (period / 2.0)).exp()) + 0.2 * rng.normal()
        }),
        "noisy" => Box::new(move |_, _| 120.0 + 8.0 * size * rng.normal()),
        "wandering" => Box::new(move |_, x| x + 0.002 * (100.0 - x) + 0.8 * size * rng.normal()),
        "breathing" => Box::new(move |t, _| 90.0 + 60.0 * size * (t / period * 6.3).sin() + rng.normal()),
        "step" => {
            Box::new(move |t, _| if t < begin { 40.0 } else { 40.0 + 90.0 * size } + 0.2 * rng.normal())
        }
        "jvm" => Box::new(move |_, x| {
            let up = x + 1.5 * size * rng.uniform();
            if up > 150.0 + 4.0 * rng.normal() { 60.0 + 5.0 * rng.normal() } else { up }
        }),
        "logs" => Box::new(move |_, x| if x > 100.0 { 60.0 } else { x + 0.05 * size * rng.uniform() }),
        "build" => Box::new(move |t, _| {
            let swell = if t > begin && t < begin + 40.0 { 3.0 * size * (t - begin) } else { 0.0 };
            30.0 + swell + 0.3 * rng.normal()
        }),
        "batches" => Box::new(move |t, _| {
            let into = (t + begin) % (period + 60.0);
            40.0 + if into < 60.0 { 1.5 * size * into } else { 0.0 } + 0.3 * rng.normal()
        }),
        "steady" => Box::new(|_, _| 200.0),
        "tight" => Box::new(move |_, _| 240.0 + 2.0 * size * rng.normal()),
        "descriptors" => {
            Box::new(move |t, _| (60.0 + 30.0 * size * (t / period).sin() + 3.0 * rng.normal()).round())
        }
        "ratchet" => Box::new(move |t, _| 40.0 + 12.0 * size * (1.0 + t / 30.0).ln() + rng.normal()),
        other => panic!("no workload {other}"),
    }
}

/// Names for [`healthy`], with the level each starts from.
pub const HEALTHY: [(&str, f64); 14] = [
    ("startup", 10.0),
    ("plateau", 10.0),
    ("noisy", 120.0),
    ("wandering", 100.0),
    ("breathing", 90.0),
    ("step", 40.0),
    ("jvm", 60.0),
    ("logs", 60.0),
    ("build", 30.0),
    ("batches", 40.0),
    ("steady", 200.0),
    ("tight", 240.0),
    ("descriptors", 60.0),
    ("ratchet", 40.0),
];
