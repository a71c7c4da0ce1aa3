//! What a member of a large workload gains by a model of its own around the shared network: for each machine, on later
//! rows, the model of one machine as it is, the workload's network with scaling, linear part and threshold of its own,
//! and a network of its own. Likelihood, false alarms, bytes and time.
//!
//! `cargo run --release -p foretwin-learn --example cohort_members -- DATA_DIR [MOST_MACHINES [ROWS]]`

use std::error::Error;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use foretwin_core::Window;
use foretwin_learn::{Config, Job, Model, Outcome, Provenance, Start, Taken, cohort, fit};

mod data;

/// Rows at the end of the training file that every model is measured on.
const MEASURED: usize = 5000;
/// Machines that teach the network at most, as in the engine.
const TEACHERS: usize = 16;
/// The largest surprise that counts, in standard deviations.
const BELIEVED: f64 = 10.0;

/// How one model did on later rows of one machine.
#[derive(Default, Clone, Copy)]
struct Found {
    /// Mean negative log-likelihood of a standardised sample.
    nll: f64,
    /// Part of the frames above the threshold.
    alarms: f64,
    bytes: f64,
    seconds: f64,
}

/// Each metric is measured on the scale of the machine's own model, so that machines and metrics count alike.
fn measured(model: &Model, window: &Window, reference: &Model) -> (f64, f64) {
    let (mut state, mut values, mut outcome) = (model.start(), Vec::new(), Outcome::default());
    let (mut sum, mut count, mut alarms, mut frames) = (0.0, 0u64, 0u64, 0u64);
    let mut basis = (reference.start(), Outcome::default());
    for (row, &at) in window.times.iter().enumerate() {
        window.frame(row, &mut values);
        model.step(&mut state, at, &values, &mut outcome);
        reference.step(&mut basis.0, at, &values, &mut basis.1);
        if outcome.taken != Taken::Judged || basis.1.taken != Taken::Judged {
            continue;
        }
        frames += 1;
        alarms += u64::from(outcome.score > 1.0);
        let expected = outcome.expectations.iter().zip(&basis.1.expectations);
        for ((value, metric), (expected, basis)) in values.iter().zip(window.schema.metrics()).zip(expected) {
            let unit = basis.scale;
            let z = (value.to_f64(metric.storage) - expected.mean) / expected.scale;
            if z.is_finite() && expected.scale > 0.0 && unit > 0.0 {
                sum += (expected.scale / unit).ln() + 0.5 * z.clamp(-BELIEVED, BELIEVED).powi(2);
                count += 1;
            }
        }
    }
    (sum / count.max(1) as f64, alarms as f64 / frames.max(1) as f64)
}

fn model(job: &Job) -> Option<(Model, f64)> {
    let started = Instant::now();
    let model = fit(job, &mut |_| ControlFlow::Continue(())).ok()?;
    Some((model, started.elapsed().as_secs_f64()))
}

fn table(found: &[Vec<Found>; 3]) {
    println!("                   nll median  mean | frames in alarm, median  mean | KiB on disk | s to fit");
    for (name, list) in ["whole of another", "network shared", "network of its own"].into_iter().zip(found) {
        let of = |value: fn(&Found) -> f64| {
            let mut all: Vec<f64> = list.iter().map(value).collect();
            all.sort_by(f64::total_cmp);
            (all[all.len() / 2], all.iter().sum::<f64>() / all.len() as f64)
        };
        let (nll, alarms) = (of(|found| found.nll), of(|found| found.alarms));
        println!(
            "{name:18} {:8.3} {:8.3} | {:9.6} {:9.6} | {:7.1} | {:6.2}",
            nll.0,
            nll.1,
            alarms.0,
            alarms.1,
            of(|found| found.bytes / 1024.0).1,
            of(|found| found.seconds).1
        );
    }
}

/// Each machine's history and what came later.
fn histories(dir: &Path, most: usize, rows: usize) -> Result<Vec<(Window, Window)>, Box<dyn Error>> {
    let mut parts = Vec::new();
    for name in data::names(dir)?.iter().take(most) {
        let window = data::read(&dir.join(format!("{name}.train.parquet")))?.0;
        let end = window.len() - MEASURED;
        let history = data::rows(&window, end.saturating_sub(rows)..end);
        parts.push((history, data::rows(&window, end..window.len())));
    }
    Ok(parts)
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let dir = Path::new(arguments.first().ok_or("usage: cohort_members DATA_DIR [MOST_MACHINES [ROWS]]")?);
    let most = arguments.get(1).map_or(Ok(usize::MAX), |text| text.parse())?;
    let rows: usize = arguments.get(2).map_or(Ok(usize::MAX), |text| text.parse())?;
    let config = Config::default();
    let parts = histories(dir, most, rows)?;
    let teachers = parts.len().min(TEACHERS);
    let shared = Config { lstm_max_rows: (config.lstm_max_rows / teachers).max(1000), ..config.clone() };
    let jobs: Vec<Job> = parts.iter().take(teachers).map(|(window, _)| Job::new(window, &shared)).collect();
    let started = Instant::now();
    let network = Arc::new(cohort(&jobs, &mut |_| ControlFlow::Continue(()))?);
    println!(
        "network of {teachers} machines: {:.1} s, worth {:.3}",
        started.elapsed().as_secs_f64(),
        network.worth()
    );
    let (whole, _) = model(&Job { start: Start::Cohort(&network), ..Job::new(&parts[0].0, &config) })
        .ok_or("the first machine has too few rows")?;
    let mut found = [Vec::new(), Vec::new(), Vec::new()];
    let mut earned = 0;
    for (n, (history, later)) in parts.iter().enumerate().skip(1) {
        let job = Job::new(history, &config);
        let member = model(&Job { start: Start::Cohort(&network), ..job });
        let alone = model(&job);
        let (Some((member, took)), Some((alone, alone_took))) = (member, alone) else { continue };
        earned += usize::from(alone.gain().own.unwrap_or(1.0) < 0.98 * member.gain().cohort.unwrap_or(1.0));
        let provenance = Provenance::default();
        let bytes = |model: &Model| model.encode_apart(&provenance).map(|file| file.len() as f64);
        let all =
            [(&whole, 0.0, 0.0), (&member, bytes(&member)?, took), (&alone, bytes(&alone)?, alone_took)];
        for (list, (model, bytes, seconds)) in found.iter_mut().zip(all) {
            let (nll, alarms) = measured(model, later, &alone);
            list.push(Found { nll, alarms, bytes, seconds });
        }
        let nll = found.each_ref().map(|list| list[list.len() - 1].nll);
        println!("machine {n}: nll {nll:.3?}, {:?} / {:?}", member.gain().cohort, alone.gain().own);
    }
    println!(
        "{earned} of {} earn weights of their own; network {} KiB",
        found[0].len(),
        network.encode()?.1.len() / 1024
    );
    table(&found);
    Ok(())
}
