//! Writes `OUT/NAME.csv` (label, score) for every `NAME.train.parquet` and `NAME.test.parquet` in a directory.
//!
//! `cargo run --release -p foretwin-learn --example detection -- DATA_DIR OUT_DIR [linear]`

use std::error::Error;
use std::fmt::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use foretwin_learn::{Config, detect};

mod data;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, out, rest @ ..] = &arguments[..] else {
        return Err("usage: detection DATA_DIR OUT_DIR [linear]".into());
    };
    let mut config = Config::default();
    if rest.iter().any(|word| word == "linear") {
        config.lstm_min_rows = usize::MAX;
    }
    std::fs::create_dir_all(out)?;
    for name in data::names(Path::new(directory))? {
        let (train, _) = data::read(&Path::new(directory).join(format!("{name}.train.parquet")))?;
        let (test, labels) = data::read(&Path::new(directory).join(format!("{name}.test.parquet")))?;
        let start = Instant::now();
        let scores = detect(&train, &test, (&config, 1), &mut |_| ControlFlow::Continue(()))?;
        println!("{name}: {} rows in {:.2} s", scores.len(), start.elapsed().as_secs_f64());
        let mut csv = String::from("label,score\n");
        for (label, score) in labels.iter().zip(&scores) {
            writeln!(csv, "{label},{score:.9}")?;
        }
        std::fs::write(Path::new(out).join(format!("{name}.csv")), csv)?;
    }
    Ok(())
}
