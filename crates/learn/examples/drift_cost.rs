//! What a frame costs with and without looking for drift, 38 metrics, linear: the champion every 10 s, the reference
//! every 60 s.
//!
//! `cargo run --release -p foretwin-learn --example drift_cost`

use std::ops::ControlFlow;
use std::time::Instant;

use foretwin_core::{InstanceId, Metric, Rng, Role, Schema, Storage, Timestamp, Value, Window};
use foretwin_learn::{Config, Drift, Job, Outcome, fit};

const METRICS: usize = 38;
const FRAMES: i64 = 400_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let metric = |n| Metric::gauge(&format!("metric.{n}"), "1", Role::Rate).stored(Storage::F64);
    let schema = Schema::new((0..METRICS).map(metric).collect());
    let (mut window, mut rng) = (Window::new(InstanceId::new("host"), schema), Rng::new(1));
    let mut frame = |_| (0..METRICS).map(|_| Value::float(rng.normal())).collect::<Vec<Value>>();
    (0..4000).for_each(|n| window.push(Timestamp(n * 1_000_000), &frame(n)));
    let frames: Vec<Vec<Value>> = (0..1024).map(frame).collect();
    let config = Config::default();
    let model = fit(&Job { lstm: false, ..Job::new(&window, &config) }, &mut |_| ControlFlow::Continue(()))?;
    for round in 0..6 {
        let watches = round % 2 == 1;
        let (mut state, mut out) = (model.start(), Outcome::default());
        let mut drifts = [Drift::new(&model, 10.0, 3600.0), Drift::new(&model, 60.0, 21_600.0)];
        let started = Instant::now();
        for n in 0..FRAMES {
            let (at, frame) = (Timestamp((4000 + n) * 1_000_000), &frames[n as usize % frames.len()]);
            model.step(&mut state, at, frame, &mut out);
            if watches {
                drifts[0].look(&model, Some(&state), (at, frame));
                drifts[1].look(&model, None, (at, frame));
            }
        }
        let each_ns = started.elapsed().as_secs_f64() * 1e9 / FRAMES as f64;
        println!("{}: {each_ns:.0} ns a frame", if watches { "step and drift" } else { "step alone    " });
    }
    Ok(())
}
