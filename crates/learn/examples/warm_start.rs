//! What a parent's weights save: held-out error and time of a network after so many epochs, from random weights and from
//! those of a model of the first two thirds of the same recording.
//!
//! `cargo run --release -p foretwin-learn --example warm_start -- DATA_DIR [MOST]`

use std::error::Error;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use foretwin_core::Window;
use foretwin_learn::{Config, Job, Model, Start, fit};

mod data;

const EPOCHS: [usize; 6] = [1, 2, 3, 4, 6, 12];

/// Held-out error relative to the linear part, epochs and seconds.
fn measured(window: &Window, start: Start<'_>, epochs: usize) -> Result<(Model, [f64; 3]), Box<dyn Error>> {
    let config = Config { epochs, ..Config::default() };
    let begun = Instant::now();
    let model = fit(&Job { start, ..Job::new(window, &config) }, &mut |_| ControlFlow::Continue(()))?;
    let gain = model.gain();
    let error = gain.own.ok_or("too short for a network")?;
    Ok((model, [error, gain.epochs as f64, begun.elapsed().as_secs_f64()]))
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let dir = Path::new(arguments.first().ok_or("usage: warm_start DATA_DIR [MOST]")?);
    let most = arguments.get(1).map_or(Ok(usize::MAX), |text| text.parse())?;
    let mut sums = [[[0.0f64; 3]; 2]; EPOCHS.len()];
    let mut count = 0.0;
    for name in data::names(dir)?.into_iter().take(most) {
        let (whole, _) = data::read(&dir.join(format!("{name}.train.parquet")))?;
        let rows = whole.len();
        let (before, now) = (data::rows(&whole, 0..rows * 2 / 3), data::rows(&whole, rows / 3..rows));
        let (parent, _) = measured(&before, Start::Fresh, 12)?;
        for (n, &epochs) in EPOCHS.iter().enumerate() {
            for (warm, start) in [Start::Fresh, Start::Parent(&parent)].into_iter().enumerate() {
                let (_, numbers) = measured(&now, start, epochs)?;
                sums[n][warm].iter_mut().zip(numbers).for_each(|(sum, number)| *sum += number);
            }
        }
        count += 1.0;
        println!("{name}");
    }
    println!("at most   cold: error epochs seconds   warm: error epochs seconds");
    for (epochs, [cold, warm]) in EPOCHS.iter().zip(&sums) {
        let text = |[error, epochs, seconds]: &[f64; 3]| {
            format!("{:.4} {:5.1} {:6.2}", error / count, epochs / count, seconds / count)
        };
        println!("{epochs:7}   {}   {}", text(cold), text(warm));
    }
    Ok(())
}
