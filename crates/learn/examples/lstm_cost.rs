//! What the LSTM's kernels cost, in processor time of one thread, as `name value unit` lines.
//!
//! `cargo run --release -p foretwin-learn --example lstm_cost -- [train] [train=BATCHxSTEPS] [step] [fleet[=INSTANCES]]`

use std::hint::black_box;
use std::time::Instant;

use foretwin_core::Rng;
use foretwin_learn::lstm::{Bf16, Learner, Level, Memory, Packed, Seat, Size, Stretch, Weights, step_all_at};

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

/// Forward, backward and Adam, a loss at every step; in windows of 100 steps, whatever the stretch.
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

/// A network's step: inputs, memory, outputs.
type Step<'a> = dyn FnMut(&[f32], &mut Memory, &mut [f32]) + 'a;

/// One frame of one instance: weights as stored, packed, and packed as bf16.
fn step() {
    let (weights, inputs) = (Weights::new(SIZE, 1), noise(38, 3));
    let (single, half) = (Packed::<f32>::new(&weights), Packed::<Bf16>::new(&weights));
    let (mut memory, mut out) = (Memory::new(64), vec![0.0; 38]);
    let count = 20_000;
    for level in Level::all() {
        let mut tell = |name: &str, step: &mut Step<'_>| {
            let ns = median_ns(|| (0..count).for_each(|_| step(black_box(&inputs), &mut memory, &mut out)));
            println!("step_{name}_{} {:.3} us", level.name(), ns / f64::from(count) / 1e3);
        };
        tell("stored", &mut |x, memory, out| weights.step_at(level, x, memory, out));
        tell("packed", &mut |x, memory, out| single.step_at(level, x, memory, out));
        tell("bf16", &mut |x, memory, out| half.step_at(level, x, memory, out));
    }
}

/// Instances with weights of their own, in bf16, stepped once each by two threads; wall time.
fn fleet(instances: usize) {
    let mut weights = Weights::new(SIZE, 1);
    let mut networks = Vec::with_capacity(instances);
    for n in 0..instances {
        // Distinct weights; drawing all of them anew would take minutes.
        let at = n * 7 % weights.values.len();
        weights.values[at] += 0.01;
        networks.push(Packed::<Bf16>::new(&weights));
    }
    let mut memories = vec![Memory::new(64); instances];
    let (inputs, mut outputs) = (noise(instances * 38, 4), vec![0.0; instances * 38]);
    let gigabytes = networks.iter().map(Packed::bytes).sum::<usize>() as f64 / 1e9;
    println!("fleet_weights {gigabytes:.2} GB");
    let parts = networks.iter().zip(inputs.chunks(38)).zip(memories.iter_mut().zip(outputs.chunks_mut(38)));
    let mut seats: Vec<_> = parts
        .map(|((network, inputs), (memory, outputs))| Seat { network, inputs, memory, outputs })
        .collect();
    for level in Level::all() {
        let half = instances.div_ceil(2);
        let mut times: Vec<f64> = (0..REPETITIONS)
            .map(|_| {
                let start = Instant::now();
                std::thread::scope(|scope| {
                    for seats in seats.chunks_mut(half) {
                        scope.spawn(|| step_all_at(level, seats));
                    }
                });
                start.elapsed().as_secs_f64()
            })
            .collect();
        times.sort_by(f64::total_cmp);
        println!("fleet_{instances}_{} {:.3} s", level.name(), times[REPETITIONS / 2]);
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let asked = |word: &str| words.is_empty() || words.iter().any(|other| other == word);
    for shape in words.iter().filter_map(|word| word.strip_prefix("train=")) {
        let (batch, steps) = shape.split_once('x').expect("train=BATCHxSTEPS");
        train(batch.parse().expect("a batch"), steps.parse().expect("steps"));
    }
    if asked("train") {
        for (batch, steps) in [(64, 100), (16, 32)] {
            train(batch, steps);
        }
    }
    if asked("step") {
        step();
    }
    if let Some(count) = words.iter().find_map(|word| word.strip_prefix("fleet")) {
        fleet(count.trim_start_matches('=').parse().unwrap_or(100_000));
    }
}
