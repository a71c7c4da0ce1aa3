//! Prints what learning and stepping cost, on random walks: `cargo run --release -p foretwin-learn --example step_cost`.

use std::ops::ControlFlow;
use std::time::Instant;

use foretwin_core::{InstanceId, Metric, Rng, Role, Schema, Storage, Timestamp, Value, Window};
use foretwin_learn::{Config, Job, Outcome, fit};

fn walk(rows: usize, width: usize) -> Window {
    let metric = |n: usize| Metric::gauge(&format!("m{n}"), "1", Role::Rate).stored(Storage::F64);
    let mut window = Window::new(InstanceId::new("cost"), Schema::new((0..width).map(metric).collect()));
    let (mut rng, mut level, mut frame) = (Rng::new(1), vec![0.0; width], Vec::new());
    for row in 0..rows as i64 {
        frame.clear();
        for n in 0..width {
            level[n] = 0.9 * level[n] + 0.1 * level[(n + 1) % width] + 0.1 * rng.normal();
            frame.push(Value::float(level[n]));
        }
        window.push(Timestamp(row * 1_000_000), &frame);
    }
    window
}

fn measure(rows: usize, width: usize, lstm: bool) -> Result<(), Box<dyn std::error::Error>> {
    let (window, config) = (walk(rows, width), Config::default());
    let job = Job { lstm, ..Job::new(&window, &config) };
    let start = Instant::now();
    let model = fit(&job, &mut |_| ControlFlow::Continue(()))?;
    let fitted_s = start.elapsed().as_secs_f64();
    let (mut state, mut out, mut frame) = (model.start(), Outcome::default(), Vec::new());
    window.frame(0, &mut frame);
    let frames = 20_000;
    let start = Instant::now();
    for row in 0..frames {
        model.step(&mut state, Timestamp(row * 1_000_000), &frame, &mut out);
    }
    let step_us = start.elapsed().as_secs_f64() * 1e6 / frames as f64;
    println!(
        "{width:4} metrics, {rows:6} frames, LSTM tried {lstm:5}: fit {fitted_s:6.2} s, step {step_us:6.2} us, {} bytes",
        model.encode()?.len()
    );
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for (rows, width) in [(30, 400), (600, 400), (600, 500), (23_700, 38), (100_000, 38), (40_000, 400)] {
        measure(rows, width, false)?;
    }
    measure(23_700, 38, true)
}
