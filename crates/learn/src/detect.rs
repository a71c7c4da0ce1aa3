//! Scores recorded data after training on other recorded data: what detection benchmarks ask for.

use std::ops::ControlFlow;

use foretwin_core::{Timestamp, Window};

use crate::fit::{Job, Progress, fit};
use crate::model::Model;
use crate::outcome::Outcome;
use crate::{Config, Error};

/// Frames at the end of the training data that warm a state.
const WARM_ROWS: usize = 2048;

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
    Ok(scores(&model, train, test))
}

/// One score per frame of `test`, which follows `train`: the state is warmed by the end of the training data, and a
/// test whose clock starts again is taken to go on where they ended, as the halves of a recording do. Benchmarks compare
/// scores over the whole test, so the threshold stays where training put it.
#[must_use]
pub fn scores(model: &Model, train: &Window, test: &Window) -> Vec<f64> {
    let (mut state, mut out, mut frame) = (model.start(), Outcome::default(), Vec::new());
    state.tail = None;
    for row in train.len().saturating_sub(WARM_ROWS)..train.len() {
        train.frame(row, &mut frame);
        model.step(&mut state, train.times[row], &frame, &mut out);
    }
    let shift_us = match (train.times.last(), test.times.first()) {
        (Some(&end), Some(&start)) if start <= end => end.0 - start.0 + (model.step_s() * 1e6) as i64,
        _ => 0,
    };
    let score = |row: usize| {
        test.frame(row, &mut frame);
        model.step(&mut state, Timestamp(test.times[row].0 + shift_us), &frame, &mut out);
        out.score
    };
    (0..test.len()).map(score).collect()
}
