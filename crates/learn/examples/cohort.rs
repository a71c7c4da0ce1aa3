//! When weights of one's own earn their place: for each machine and length of history, the error on later rows of the
//! linear part alone, with the network of a cohort of the other machines, and with a network of its own.
//!
//! `cargo run --release -p foretwin-learn --example cohort -- DATA_DIR STEP_S [MOST_MACHINES [EPOCHS]]`

use std::error::Error;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use foretwin_core::Window;
use foretwin_learn::{Cohort, Config, HeldOut, Job, Margins, Model, Start, cohort, compare, fit};

mod data;

/// Rows at the end of the training file that every model is measured on.
const MEASURED: usize = 2000;

fn model(window: &Window, config: &Config, start: Start<'_>, lstm: bool) -> Option<Model> {
    fit(&Job { start, lstm, ..Job::new(window, config) }, &mut |_| ControlFlow::Continue(())).ok()
}

/// Errors on the measured rows relative to the linear model: of the cohort's network, of one's own, of the choice.
fn against_linear(
    whole: &Window,
    history: &Window,
    (config, cohort): (&Config, &Arc<Cohort>),
) -> Option<([Option<f64>; 3], bool)> {
    let linear = model(history, config, Start::Fresh, false)?;
    let rows = whole.len() - MEASURED..whole.len();
    let held_out = HeldOut { window: whole, rows, warm: 100, left_out: &[] };
    let ratio = |other: &Model| compare(&linear, other, &held_out, &Margins::at(1e-3)).ratio;
    let shared = model(history, config, Start::Cohort(cohort), true)?;
    let own = model(history, config, Start::Fresh, true)?;
    let choice = model(history, config, Start::Better(cohort, None), true)?;
    let own_tried = own.gain().own.is_some();
    let ratios = [Some(ratio(&shared)), own_tried.then(|| ratio(&own)), Some(ratio(&choice))];
    Some((ratios, choice.gain().shared))
}

fn mean(values: &[f64]) -> String {
    if values.is_empty() {
        return "    -".into();
    }
    let logs = values.iter().map(|value| value.ln()).sum::<f64>() / values.len() as f64;
    format!("{:.3}", logs.exp())
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let dir = Path::new(arguments.first().ok_or("usage: cohort DATA_DIR STEP_S [MOST_MACHINES [EPOCHS]]")?);
    // The files count rows; what a row is worth in seconds is known of the set.
    let step_s: f64 = arguments.get(1).ok_or("how many seconds is a row?")?.parse()?;
    let most = arguments.get(2).map_or(Ok(usize::MAX), |text| text.parse())?;
    let mut config = Config { lstm_min_rows: 300, ..Config::default() };
    config.epochs = arguments.get(3).map_or(Ok(config.epochs), |text| text.parse())?;
    let windows: Vec<Window> = data::names(dir)?
        .iter()
        .map(|name| Ok(data::read(&dir.join(format!("{name}.train.parquet")))?.0))
        .collect::<Result<_, Box<dyn Error>>>()?;
    let lengths = [3600.0, 6.0 * 3600.0, 86_400.0, 3.0 * 86_400.0, f64::INFINITY];
    let mut found: Vec<[Vec<f64>; 3]> = lengths.iter().map(|_| Default::default()).collect();
    let mut shared = vec![[0usize; 2]; lengths.len()];
    for held in 0..windows.len().min(most) {
        let others: Vec<&Window> =
            windows.iter().enumerate().filter(|(n, _)| *n != held).map(|(_, window)| window).collect();
        let jobs: Vec<Job> = others.iter().map(|window| Job::new(window, &config)).collect();
        let started = Instant::now();
        let cohort = Arc::new(cohort(&jobs, &mut |_| ControlFlow::Continue(()))?);
        let (whole, seconds) = (&windows[held], started.elapsed().as_secs_f64());
        println!(
            "machine {held}: cohort of {} in {seconds:.1} s, held-out error {:.3}",
            jobs.len(),
            cohort.error()
        );
        let end = whole.len() - MEASURED;
        for (n, length_s) in lengths.iter().enumerate() {
            let rows = ((length_s / step_s) as usize).min(end);
            let history = data::rows(whole, end - rows..end);
            let Some((ratios, is_shared)) = against_linear(whole, &history, (&config, &cohort)) else {
                continue;
            };
            for (list, ratio) in found[n].iter_mut().zip(ratios) {
                list.extend(ratio);
            }
            shared[n][usize::from(is_shared)] += 1;
            println!("  {rows:6} rows: cohort, own, choice {ratios:.3?}, shared {is_shared}");
        }
    }
    println!(
        "history     cohort own   choice (error relative to linear, geometric mean) | own or none, shared"
    );
    for ((length_s, lists), shared) in lengths.iter().zip(&found).zip(&shared) {
        let hours = length_s / 3600.0;
        println!(
            "{hours:7.0} h   {}  {}  {} | {shared:?}",
            mean(&lists[0]),
            mean(&lists[1]),
            mean(&lists[2])
        );
    }
    Ok(())
}
