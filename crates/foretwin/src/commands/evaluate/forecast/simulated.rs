//! Simulated load for forecasts: periodic, nonlinear and coupled, seeded, so that anyone can make it again.

use foretwin_core::Rng;

use super::load::Series;

/// Frames of a series.
const ROWS: usize = 14_000;

/// One series of each kind for each seed.
pub fn simulated(seeds: u64) -> Vec<Series> {
    let mut all = Vec::new();
    for seed in 1..=seeds {
        all.push(Series::made(&format!("periodic-{seed}"), 1.0, periodic(seed)));
        all.push(Series::made(&format!("nonlinear-{seed}"), 1.0, nonlinear(seed)));
        all.push(Series::made(&format!("coupled-{seed}"), 1.0, coupled(seed)));
        all.push(Series::made(&format!("calendar-{seed}"), 300.0, calendar(seed)));
    }
    all
}

type Columns = Vec<(&'static str, Vec<f64>)>;

fn columns<const N: usize>(names: [&'static str; N], row: impl FnMut(usize) -> [f64; N]) -> Columns {
    let rows: Vec<[f64; N]> = (0..ROWS).map(row).collect();
    names.iter().enumerate().map(|(n, &name)| (name, rows.iter().map(|row| row[n]).collect())).collect()
}

/// A batch job of fixed period whose phases are steps, a sawtooth of memory collected at intervals of its own.
fn periodic(seed: u64) -> Columns {
    let mut rng = Rng::new(seed);
    let period = 90 + rng.below(120) as usize;
    let (busy, garbage) = (period / 3, 37 + rng.below(60) as usize);
    columns(["cpu", "memory", "requests"], move |n| {
        let phase = n % period;
        let on = if phase < busy { 1.0 } else { 0.0 };
        let ramp = (n % garbage) as f64 / garbage as f64;
        let wave = (n as f64 / period as f64 * std::f64::consts::TAU).sin();
        [
            0.2 + 0.6 * on + 0.03 * rng.normal(),
            0.4 + 0.3 * ramp + 0.01 * rng.normal(),
            100.0 + 30.0 * wave + 40.0 * on + 4.0 * rng.normal(),
        ]
    })
}

/// A load with memory; a queue whose delay grows without bound towards full use; a governor that switches the clock
/// with hysteresis; a chaotic map seen with noise.
fn nonlinear(seed: u64) -> Columns {
    let mut rng = Rng::new(seed ^ 0xA5);
    let (mut load, mut fast, mut map) = (0.5f64, false, 0.3f64);
    columns(["load", "delay", "clock", "map"], move |_| {
        load = (load + 0.02 * (0.5 - load) + 0.03 * rng.normal()).clamp(0.02, 0.98);
        fast = if load > 0.65 { true } else { fast && load > 0.35 };
        let capacity = if fast { 1.25 } else { 1.0 };
        map = 3.8 * map * (1.0 - map);
        [
            load + 0.01 * rng.normal(),
            1.0 / (1.05 - load / capacity).max(0.05) * (1.0 + 0.03 * rng.normal()),
            capacity + 0.01 * rng.normal(),
            map + 0.02 * rng.normal(),
        ]
    })
}

/// Requests arrive in waves whose length wanders; a front end, a cache that fills and empties, a store that follows with
/// a delay and pushes back when it is full.
fn coupled(seed: u64) -> Columns {
    let mut rng = Rng::new(seed ^ 0x5A);
    let (mut phase, mut pace, mut cache, mut queue) = (0.0f64, 0.05f64, 0.5f64, 0.0f64);
    let mut delayed = std::collections::VecDeque::from(vec![0.0f64; 12]);
    columns(["requests", "front", "cache", "queue", "store"], move |_| {
        pace = (pace + 0.02 * (0.05 - pace) + 0.001 * rng.normal()).clamp(0.02, 0.1);
        phase += pace;
        let requests = (1.0 + phase.sin() + 0.1 * rng.normal()).max(0.0);
        cache = (cache + 0.01 * requests - 0.012).clamp(0.0, 1.0);
        delayed.push_back(requests * (1.0 - 0.8 * cache));
        let arriving = delayed.pop_front().unwrap_or(0.0);
        queue = (queue + arriving - 0.9).clamp(0.0, 20.0);
        let front = requests / (1.0 + 0.1 * queue) + 0.03 * rng.normal();
        [
            requests,
            front,
            cache + 0.01 * rng.normal(),
            queue + 0.1 * rng.normal(),
            (arriving + queue).min(0.9),
        ]
    })
}

/// Five-minute rows of seven weeks: working hours, weekends, a backup every night, and load that feeds on itself.
fn calendar(seed: u64) -> Columns {
    let mut rng = Rng::new(seed ^ 0x33);
    let (mut wander, mut level) = (0.0f64, 1.0f64);
    let backup = 12 + rng.below(48) as usize;
    columns(["users", "cpu", "disk"], move |n| {
        let (of_day, day) = (n % 288, n / 288);
        let hour = of_day as f64 / 12.0;
        let working = day % 7 < 5;
        let shape = (-((hour - 14.0) / 4.0).powi(2)).exp() * if working { 1.0 } else { 0.35 };
        wander = 0.97 * wander + 0.05 * rng.normal();
        level += 0.0005 * rng.normal();
        let users = (100.0 * level * (0.1 + shape) * (1.0 + wander)).max(0.0);
        let running = (of_day >= backup && of_day < backup + 6) as u8;
        let disk = 5.0 + 60.0 * f64::from(running) + 0.05 * users + 2.0 * rng.normal().abs();
        let cpu = 100.0 * (1.0 - (-users / 80.0).exp()) + 20.0 * f64::from(running) + 2.0 * rng.normal();
        [users, cpu.clamp(0.0, 100.0), disk]
    })
}
