//! What forecasters of both time scales cost to learn, to keep and to ask: `outlook_cost [METRICS] [HOURS]`.

use std::ops::ControlFlow;
use std::time::Instant;

use foretwin_core::{InstanceId, Metric, Rng, Role, Schema, Storage, Timestamp, Value, Window};
use foretwin_learn::{Config, Job, Outlook, Recent, fit};

/// Metrics that breathe with the hour and the day, each at its own phase, with noise that lasts.
fn series(metrics: usize, rows: usize, step_s: i64) -> Window {
    let gauge = |n: usize| Metric::gauge(&format!("m{n}"), "By", Role::Rate).stored(Storage::F64);
    let schema = Schema::new((0..metrics).map(gauge).collect());
    let (mut window, mut rng) = (Window::new(InstanceId::new("cost"), schema), Rng::new(1));
    let mut noise = vec![0.0; metrics];
    for row in 0..rows {
        let second = row as i64 * step_s;
        let wave = |of: f64, n: usize| (std::f64::consts::TAU * second as f64 / of + n as f64).sin();
        let values: Vec<Value> = noise
            .iter_mut()
            .enumerate()
            .map(|(n, noise)| {
                *noise = 0.95 * *noise + 0.1 * rng.normal();
                Value::float(100.0 + 10.0 * wave(86_400.0, n) + 3.0 * wave(3600.0, n) + *noise)
            })
            .collect();
        window.push(Timestamp::from_seconds(1e9 + second as f64), &values);
    }
    window
}

fn main() {
    let argument = |at: usize, default: usize| {
        std::env::args().nth(at).map_or(default, |text| text.parse().expect("a number"))
    };
    let (metrics, hours) = (argument(1, 38), argument(2, 28 * 24));
    let (near, far) = Outlook::rows(metrics);
    let frames = series(metrics, near.min(hours * 3600), 1);
    let minutes = series(metrics, far.min(hours * 60), 60);
    let config = Config::default();
    let job = Job { lstm: false, ..Job::new(&frames, &config) };
    let model = fit(&job, &mut |_| ControlFlow::Continue(())).expect("enough frames");
    let took = Instant::now();
    let mut go = |_| ControlFlow::Continue(());
    let outlook = Outlook::fit(model.recipe(), (&frames, &minutes), 1, &mut go).expect("nobody stops it");
    let fitted = took.elapsed();
    let bytes = outlook.encode().expect("finite numbers");
    let took = Instant::now();
    Outlook::decode(&bytes).expect("just encoded");
    let decoded = took.elapsed();
    let mut state = model.start();
    let (mut out, mut values) = (foretwin_learn::Outcome::default(), Vec::new());
    for row in frames.len() - 600..frames.len() {
        frames.frame(row, &mut values);
        model.step(&mut state, frames.times[row], &values, &mut out);
    }
    let now = *frames.times.last().expect("frames");
    let moments: Vec<Timestamp> = (1..=60).map(|minute| now + minute * 60_000_000).collect();
    let recent = Recent { model: &model, state: &state, frames: &frames, minutes: &minutes };
    let took = Instant::now();
    let bands = outlook.bands(&recent, &moments);
    println!(
        "{metrics} metrics, {} frames and {} minutes: learned in {:.1} s, {:.0} kB, read in {:.1} ms, asked for {} moments in {:.1} ms",
        frames.len(),
        minutes.len(),
        fitted.as_secs_f64(),
        bytes.len() as f64 / 1e3,
        decoded.as_secs_f64() * 1e3,
        bands.len(),
        took.elapsed().as_secs_f64() * 1e3,
    );
}
