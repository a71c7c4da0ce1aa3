//! How close a short training comes to one that is ten times longer: a simulated week at 1 Hz, and SMD machines.
//!
//! `cargo run --release -p foretwin-learn --example seven_days -- [week] [hidden=64] [epochs=8] [DATA/smd ...]`
//!
//! Targets are the standardised changes to the next frame; the loss is the mean squared error on the last fifth, in
//! units of the changes' variance in what was learned from. Times are processor time of one thread, gathering and held-out tests included.

mod plant;
mod series;

use std::error::Error;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use foretwin_learn::lstm::{Learner, Level, Series, Size, Stretch, Training, Weights, train};

/// A week at 1 Hz, and one frame more to expect.
const WEEK: usize = 604_801;
/// How much longer the long run is.
const LONGER: usize = 10;

/// Seconds that this thread spent on a processor.
fn cpu_s() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let ns: f64 = text.split(' ').next().and_then(|ns| ns.parse().ok()).expect("needs Linux with schedstat");
    ns / 1e9
}

/// Held-out loss and seconds.
fn run(series: &Series, size: Size, epochs: usize) -> (f64, f64) {
    let start = cpu_s();
    let training = Training { size, epochs, seed: 1 };
    let ControlFlow::Continue((weights, ..)) = train(series, training, &mut |_| ControlFlow::Continue(()))
    else {
        unreachable!("nobody stops it")
    };
    let seconds = cpu_s() - start;
    (loss(series, &weights), seconds)
}

/// The mean squared error on what was held out, in one pass.
fn loss(series: &Series, weights: &Weights) -> f64 {
    let Size { inputs: width, outputs, .. } = weights.size;
    let (mut learner, mut sum, mut count) = (Learner::new(weights, Level::best()), 0.0, 0.0);
    learner.clear(1);
    let rows: Vec<usize> = (series.head..series.keep.len()).collect();
    for rows in rows.chunks(100) {
        let (first, last) = (rows[0], rows[rows.len() - 1] + 1);
        let inputs = &series.inputs[first * width..last * width];
        let stretch = Stretch { steps: rows.len(), batch: 1, inputs, keep: &series.keep[first..last] };
        let targets = &series.targets[first * outputs..last * outputs];
        let pairs = learner.forward(&stretch).flatten().zip(targets).filter(|(_, target)| !target.is_nan());
        for (y, t) in pairs {
            sum += f64::from((y - t) * (y - t));
            count += 1.0;
        }
    }
    sum / count
}

fn compare(name: &str, rows: &[Vec<f32>], hidden: usize, epochs: usize) {
    let series = series::series(rows);
    let width = rows[0].len();
    let size = Size { inputs: width, hidden, outputs: width };
    let (short, short_s) = run(&series, size, epochs);
    let (long, long_s) = run(&series, size, LONGER * epochs);
    let above = 100.0 * (short / long - 1.0);
    println!(
        "{name} rows {} hidden {hidden} epochs {epochs}: loss {short:.4} in {short_s:.2} s; {LONGER} times longer \
         {long:.4} in {long_s:.1} s; {above:+.2} %",
        rows.len()
    );
}

/// The training files of a directory, or the file itself.
fn files(path: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    if path.is_file() {
        return Ok(vec![path.to_path_buf()]);
    }
    let entries: Vec<PathBuf> =
        std::fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    let mut files: Vec<PathBuf> =
        entries.into_iter().filter(|path| path.to_string_lossy().ends_with(".train.parquet")).collect();
    files.sort();
    Ok(files)
}

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    let hidden = option("hidden").map_or(Ok(64), str::parse)?;
    let epochs = option("epochs").map_or(Ok(8), str::parse)?;
    let paths: Vec<&String> = words.iter().filter(|word| *word != "week" && !word.contains('=')).collect();
    if paths.is_empty() || words.iter().any(|word| word == "week") {
        compare("week", &series::week(1, WEEK), hidden, epochs);
    }
    for path in paths {
        for file in files(Path::new(path))? {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            compare(&name, &series::read(&file)?, hidden, epochs);
        }
    }
    Ok(())
}
