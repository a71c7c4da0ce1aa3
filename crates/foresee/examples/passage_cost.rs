//! Prints what first-passage estimates cost: a million in closed form, and what is drawn from whole growths.

use std::time::Instant;

use foretwin_core::{Change, FailureMode, Rng, Scenario, Timestamp};
use foretwin_foresee::{Config, Evidence, Grounds, Growth, History, Series, first_passage, what_if};

const MILLION: u32 = 1_000_000;
const CALLS: u32 = 500;

fn main() {
    let mut rng = Rng::new(1);
    let questions: Vec<[f64; 4]> = (0..1024)
        .map(|_| [900.0 * rng.uniform(), 200.0 * rng.uniform(), rng.uniform(), 0.1 + 3.0 * rng.uniform()])
        .collect();
    let (begin, mut sum) = (Instant::now(), 0.0);
    for n in 0..MILLION {
        let [t, rise, drift, sigma] = questions[n as usize % questions.len()];
        sum += first_passage(t, rise, drift, sigma);
    }
    let spent = begin.elapsed().as_secs_f64();
    println!("{MILLION} closed first passages: {spent:.3} s, mean {:.3}", sum / f64::from(MILLION));
    let mut noise = move || rng.normal();
    grow("a day, linear", 86_400, |t| 20.0 + t / 500.0);
    grow("a day, noisy", 86_400, |_| 100.0 + 5.0 * noise());
    grow("ten minutes, with the work", 600, |t| 20.0 + 0.2 * t - 2.0 * (t / 20.0).cos());
    grow("ten minutes, in jumps", 600, |t| 20.0 + 6.0 * (t / 30.0).floor());
}

/// Reads a growth, asks it for five horizons and replays one scenario, each many times.
fn grow(name: &str, seconds: u32, mut used: impl FnMut(f64) -> f64) {
    let mut history = History::new();
    for second in 0..seconds {
        history.push(Timestamp::from_seconds(f64::from(second)), used(f64::from(second)), 256.0);
    }
    let (mut times, mut values) = (Vec::new(), Vec::new());
    history.series(&mut times, &mut values);
    let work: Vec<f64> = times.iter().map(|at| 1.0 + 0.5 * (at.seconds() / 20.0).sin()).collect();
    let (now, mode) = (Timestamp::from_seconds(f64::from(seconds - 1)), FailureMode::MemoryExhaustion);
    let series = Series { metric: "m", mode, times: &times, used: &values, limit: 256.0 };
    let read = |seed: u32| Growth::read(&Evidence { series, work: &work }, now, 86_400.0, u64::from(seed));
    let begin = Instant::now();
    let growths: Vec<Growth> = (0..CALLS).filter_map(read).collect();
    let read_us = begin.elapsed().as_secs_f64() * 1e6 / f64::from(CALLS);
    let begin = Instant::now();
    let horizons = [900.0, 3600.0, 21_600.0, 86_400.0, 604_800.0];
    let sum: f64 = growths.iter().flat_map(|growth| horizons.map(|horizon| growth.within(horizon))).sum();
    let ask_us = begin.elapsed().as_secs_f64() * 1e6 / f64::from(CALLS);
    let (host, config) = (std::collections::BTreeMap::new(), Config::default());
    let more = Scenario { memory: Some(Change::Times(1.5)), ..Scenario::default() };
    let grounds = Grounds {
        growths: &[],
        stated: &[],
        highest_load: 1.0,
        knows_work: true,
        processors: None,
        host: &host,
        horizon_s: 3600.0,
    };
    let begin = Instant::now();
    for growth in &growths {
        let growths = std::slice::from_ref(growth);
        std::hint::black_box(what_if(&Grounds { growths, ..grounds }, &more, &config));
    }
    let what_us = begin.elapsed().as_secs_f64() * 1e6 / f64::from(CALLS);
    let mean = sum / f64::from(CALLS) / horizons.len() as f64;
    println!(
        "{name:28} {:4} points: read {read_us:6.0} us, five horizons {ask_us:5.0} us, what-if {what_us:5.0} us, p {mean:.3}",
        times.len()
    );
}
