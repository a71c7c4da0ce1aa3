//! Stated against realised rates of false alarms, on simulated normal series or on the normal parts of benchmarks.
//!
//! `cargo run --release -p foretwin-learn --example false_alarms -- [DATA_DIR...]`

use std::error::Error;
use std::ops::ControlFlow;
use std::path::Path;

use foretwin_core::{InstanceId, Metric, Rng, Role, Schema, Storage, Timestamp, Value, Window};
use foretwin_learn::{Config, Job, Model, Outcome, fit};

mod data;

/// Alarms that begin at least so many frames after the last ended are new.
const APART: usize = 30;
/// Normal frames this near to a labelled anomaly do not count.
const MARGIN: usize = 100;

/// A kind of normal behaviour.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Noise,
    Heavy,
    Periodic,
    Bursts,
    Restless,
    Mixed,
}

const KINDS: [Kind; 6] =
    [Kind::Noise, Kind::Heavy, Kind::Periodic, Kind::Bursts, Kind::Restless, Kind::Mixed];

/// A source of normal frames.
struct Source {
    kind: Kind,
    rng: Rng,
    levels: [f64; 5],
    wander: f64,
    burst: u64,
    n: i64,
}

impl Source {
    fn new(kind: Kind, seed: u64) -> Self {
        Self { kind, rng: Rng::new(seed), levels: [0.0; 5], wander: 0.0, burst: 0, n: 0 }
    }

    fn next(&mut self) -> (Timestamp, [Value; 5]) {
        self.n += 1;
        self.wander = 0.9995 * self.wander + 0.01 * self.rng.normal();
        self.burst =
            if self.rng.below(600) == 0 { 5 + self.rng.below(30) } else { self.burst.saturating_sub(1) };
        let values = std::array::from_fn(|m| {
            let kind = match (self.kind, m) {
                (Kind::Mixed, m) => KINDS[m],
                (kind, _) => kind,
            };
            Value::float(self.sample(kind, m))
        });
        (Timestamp(self.n * 1_000_000), values)
    }

    fn sample(&mut self, kind: Kind, m: usize) -> f64 {
        let noise = self.rng.normal();
        let (keep, push) = match kind {
            // Student's t with three degrees of freedom.
            Kind::Heavy => {
                let squares: f64 = (0..3).map(|_| self.rng.normal().powi(2)).sum();
                (0.6, noise / (squares / 3.0).sqrt())
            }
            Kind::Bursts => (0.7, noise + if self.burst > 0 { 3.0 * self.rng.uniform() } else { 0.0 }),
            Kind::Restless => (0.8, noise * self.wander.exp()),
            _ => (0.8, noise),
        };
        self.levels[m] = keep * self.levels[m] + push;
        let turn = self.n as f64 / 3600.0 * std::f64::consts::TAU;
        self.levels[m] + if matches!(kind, Kind::Periodic) { 20.0 * (turn + m as f64).sin() } else { 0.0 }
    }

    fn window(&mut self, rows: usize) -> Window {
        let metric = |m| Metric::gauge(&format!("m{m}"), "1", Role::Rate).stored(Storage::F64);
        let mut window = Window::new(InstanceId::new("simulated"), Schema::new((0..5).map(metric).collect()));
        for _ in 0..rows {
            let (at, values) = self.next();
            window.push(at, &values);
        }
        window
    }
}

fn learn(window: &Window, rate: f64, adapt: bool) -> Result<Model, foretwin_learn::Error> {
    let config = Config { false_alarm_rate: rate, adapt, ..Config::default() };
    fit(&Job { lstm: false, ..Job::new(window, &config) }, &mut |_| ControlFlow::Continue(()))
}

/// Counts alarms that begin.
#[derive(Default)]
struct Alarms {
    begun: u64,
    frames: u64,
    calm: usize,
}

impl Alarms {
    fn take(&mut self, score: f64, counts: bool) {
        self.calm += 1;
        self.frames += u64::from(counts);
        if score > 1.0 {
            self.begun += u64::from(counts && self.calm > APART);
            self.calm = 0;
        }
    }
}

fn simulated(kind: Kind, rate: f64, adapt: bool) -> Result<Vec<f64>, Box<dyn Error>> {
    let frames = (200.0 / rate) as usize;
    let mut ratios = Vec::new();
    for seed in 1..=3 {
        let mut source = Source::new(kind, seed);
        let model = learn(&source.window(20_000), rate, adapt)?;
        let (mut state, mut out, mut alarms) = (model.start(), Outcome::default(), Alarms::default());
        for _ in 0..frames {
            let (at, values) = source.next();
            model.step(&mut state, at, &values, &mut out);
            alarms.take(out.score, true);
        }
        ratios.push(alarms.begun as f64 / (alarms.frames as f64 * rate));
    }
    Ok(ratios)
}

/// Ratio of realised to stated alarms on the normal frames of a benchmark's test files, pooled and for each.
fn benchmark(dir: &Path, rate: f64, adapt: bool) -> Result<(f64, Vec<f64>), Box<dyn Error>> {
    let (mut begun, mut expected, mut each) = (0.0, 0.0, Vec::new());
    for name in data::names(dir)? {
        let (train, _) = data::read(&dir.join(format!("{name}.train.parquet")))?;
        let (test, labels) = data::read(&dir.join(format!("{name}.test.parquet")))?;
        let model = learn(&train, rate, adapt)?;
        let (mut state, mut out, mut alarms) = (model.start(), Outcome::default(), Alarms::default());
        let mut frame = Vec::new();
        for row in 0..test.len() {
            test.frame(row, &mut frame);
            model.step(&mut state, test.times[row], &frame, &mut out);
            let near = row.saturating_sub(MARGIN)..(row + MARGIN).min(labels.len());
            alarms.take(out.score, row > MARGIN && labels[near].iter().all(|&label| label == 0.0));
        }
        begun += alarms.begun as f64;
        expected += alarms.frames as f64 * rate;
        if std::env::var_os("VERBOSE").is_some() {
            println!("    {name} thresholds trained, now {:.3?}", model.thresholds(&state));
        }
        each.push(alarms.begun as f64 / (alarms.frames as f64 * rate));
    }
    Ok((begun / expected, each))
}

fn print(name: &str, rate: f64, ratios: [&[f64]; 2]) {
    let text =
        |ratios: &[f64]| ratios.iter().map(|ratio| format!("{ratio:5.2}")).collect::<Vec<_>>().join(" ");
    println!("{name:10} {rate:7.0e}  fixed {}  adapting {}", text(ratios[0]), text(ratios[1]));
}

fn main() -> Result<(), Box<dyn Error>> {
    println!("realised over stated rate of new alarms, 1.00 is as stated");
    let simulate = std::env::args().len() == 1;
    for kind in KINDS.into_iter().filter(|_| simulate) {
        for rate in [1e-3, 1e-4] {
            let ratios = [simulated(kind, rate, false)?, simulated(kind, rate, true)?];
            print(&format!("{kind:?}"), rate, [&ratios[0], &ratios[1]]);
        }
    }
    for dir in std::env::args().skip(1) {
        let dir = Path::new(&dir);
        let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for rate in [1e-3, 1e-4] {
            let (fixed, adapting) = (benchmark(dir, rate, false)?, benchmark(dir, rate, true)?);
            print(&name, rate, [&[fixed.0], &[adapting.0]]);
            print("  each", rate, [&fixed.1, &adapting.1]);
        }
    }
    Ok(())
}
