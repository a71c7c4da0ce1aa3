//! Scores recorded data after training on other recorded data: what detection benchmarks ask for.

use std::ops::ControlFlow;

use foretwin_core::Window;

use crate::fit::{Job, Progress, fit};
use crate::outcome::Outcome;
use crate::{Config, Error};

/// Trains on `train` alone and gives one finite score per frame of `test`, each from frames up to its own only.
///
/// # Errors
/// [`Error::Schema`] where the two have different metrics, and those of [`fit`].
pub fn detect(
    train: &Window,
    test: &Window,
    (config, seed): (&Config, u64),
    observe: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Vec<f64>, Error> {
    if train.schema.id() != test.schema.id() {
        return Err(Error::Schema { train: train.schema.id(), test: test.schema.id() });
    }
    let model = fit(&Job { seed, ..Job::new(train, config) }, observe)?;
    let (mut state, mut out, mut frame) = (model.start(), Outcome::default(), Vec::new());
    let score = |row: usize| {
        test.frame(row, &mut frame);
        model.step(&mut state, test.times[row], &frame, &mut out);
        out.score
    };
    Ok((0..test.len()).map(score).collect())
}
