//! Prints what one risk costs, for a full day of history of several shapes.

use std::time::Instant;

use foretwin_core::{FailureMode, Rng, Timestamp};
use foretwin_foresee::{Config, History, Series, risk};

fn main() {
    let mut rng = Rng::new(1);
    let mut noise = move || rng.normal();
    let mut walk = 100.0_f64;
    report("flat", |_| 100.0);
    report("noisy", |_| 100.0 + 5.0 * noise());
    report("wandering", |_| {
        walk += 0.01 * (100.0 - walk) + (walk * 7919.0).sin();
        walk
    });
    report("linear", |t| 20.0 + t / 500.0);
    report("accelerating", |t| 20.0 + 200.0 * (t / 100_000.0).powi(2));
    report("sawtooth", |t| 50.0 + t % 100.0);
}

fn report(name: &str, mut used: impl FnMut(f64) -> f64) {
    let mut history = History::new();
    for second in 0..100_000 {
        let t = f64::from(second);
        history.push(Timestamp::from_seconds(t), used(t), 256.0);
    }
    let (mut times, mut values) = (Vec::new(), Vec::new());
    let (config, now, calls) = (Config::default(), Timestamp::from_seconds(99_999.0), 2000);
    let begin = Instant::now();
    let mut sum = 0.0;
    for seed in 0..calls {
        history.series(&mut times, &mut values);
        let (metric, mode) = ("m", FailureMode::MemoryExhaustion);
        let series = Series { metric, mode, times: &times, used: &values, limit: 256.0 };
        sum += risk(&series, now, &config, seed).map_or(0.0, |risk| risk.at(3600.0));
    }
    let each_us = begin.elapsed().as_secs_f64() / calls as f64 * 1e6;
    println!("{name:12} {:4} points {each_us:6.1} us a risk, p = {:.3}", times.len(), sum / calls as f64);
}
