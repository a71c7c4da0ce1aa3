//! What the LSTM's kernels cost, in processor time of one thread, as `name value unit` lines.
//!
//! `cargo run --release -p foretwin-learn --example lstm_cost -- [train|step] ...`

use std::hint::black_box;

use foretwin_core::Rng;
use foretwin_learn::lstm::{Learner, Level, Memory, Size, Stretch, Weights};

const SIZE: Size = Size { inputs: 38, hidden: 64, outputs: 38 };
const REPETITIONS: usize = 7;

/// Nanoseconds that this thread spent on a processor.
fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|ns| ns.parse().ok()).expect("needs Linux with schedstat")
}

/// The median over repetitions of the nanoseconds that `work` takes.
fn median_ns(mut work: impl FnMut()) -> f64 {
    work();
    let mut times: Vec<u64> = (0..REPETITIONS)
        .map(|_| {
            let start = cpu_ns();
            work();
            cpu_ns() - start
        })
        .collect();
    times.sort_unstable();
    times[REPETITIONS / 2] as f64
}

fn noise(n: usize, seed: u64) -> Vec<f32> {
    let mut rng = Rng::new(seed);
    (0..n).map(|_| rng.normal() as f32).collect()
}

/// Forward, backward and Adam on windows of 100 steps, a loss at every step.
fn train(batch: usize, steps: usize) {
    let (inputs, targets) = (noise(batch * steps * 38, 1), noise(batch * steps * 38, 2));
    let keep = vec![1.0; batch * steps];
    let stretch = Stretch { steps, batch, inputs: &inputs, keep: &keep };
    for level in Level::all() {
        let mut learner = Learner::new(&Weights::new(SIZE, 1), level);
        let rounds = (64 * 100 * 10) / (batch * steps);
        let ns = median_ns(|| {
            for _ in 0..rounds {
                learner.clear(batch);
                black_box(learner.learn(&stretch, &targets, 1e-3));
            }
        });
        let windows = (rounds * batch * steps) as f64 / 100.0;
        println!("train_{batch}x{steps}_{} {:.0} windows/s", level.name(), windows / ns * 1e9);
    }
}

/// One frame of one instance.
fn step() {
    let (weights, inputs) = (Weights::new(SIZE, 1), noise(38, 3));
    let (mut memory, mut out) = (Memory::new(64), vec![0.0; 38]);
    let count = 20_000;
    for level in Level::all() {
        let ns = median_ns(|| {
            (0..count).for_each(|_| weights.step_at(level, black_box(&inputs), &mut memory, &mut out));
        });
        println!("step_{} {:.3} us", level.name(), ns / f64::from(count) / 1e3);
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let asked = |word: &str| words.is_empty() || words.iter().any(|other| other == word);
    if asked("train") {
        for (batch, steps) in [(64, 100), (16, 32)] {
            train(batch, steps);
        }
    }
    if asked("step") {
        step();
    }
}
