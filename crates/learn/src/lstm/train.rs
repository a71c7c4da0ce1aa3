//! Fits a network to a series: parallel segments, stateful from stretch to stretch, stopped by held-out error.

use std::ops::{ControlFlow, Range};

use super::{Learner, Level, Size, Stretch, Weights};

/// Segments that run side by side in a short series and in one of at least `LONG` rows: few, because a training is
/// worth what the number of its steps is worth, and the kernels lose little on narrow batches.
const BATCH: [usize; 2] = [4, 8];
/// Rows of a long series.
const LONG: usize = 100_000;
/// Frames through which gradients flow.
const STEPS: usize = 25;
/// Highest and last learning rate; it rises along a line and falls along a cosine (Loshchilov and Hutter, 2017).
const RATES: [f32; 2] = [4e-3, 2e-5];
/// The highest rate after a warm start: what was learned must not be shaken off.
const WARM_RATE: f32 = 1e-3;
/// The part of training in which the rate rises.
const RISE: f32 = 0.1;
/// Epochs without a better held-out error before training stops: so many, or this part of all, whichever is more. At a
/// high rate the error only falls slowly, and falls again with the rate.
const PATIENCE: (usize, usize) = (4, 4);
/// Held-out error must fall by this part to count as better.
const BETTER: f64 = 1e-3;
/// Segments of held-out rows, and how many of those rows are looked at after an epoch.
const HELD_OUT: [usize; 2] = [16, 32_768];

/// What a network is fitted to, row by row: the inputs of a frame and what the outputs after it should be.
pub struct Series {
    /// rows × inputs.
    pub inputs: Vec<f32>,
    /// rows × outputs; NaN where there is nothing to learn.
    pub targets: Vec<f32>,
    /// Per row, 0 where memory must be forgotten first, else 1.
    pub keep: Vec<f32>,
    /// Rows to learn from; those after it are held out.
    pub head: usize,
}

/// How long and how wide to train.
#[derive(Debug, Clone, Copy)]
pub struct Training {
    /// Sizes of the network.
    pub size: Size,
    /// Most passes over the data.
    pub epochs: usize,
    /// Seed of the first weights.
    pub seed: u64,
}

/// Segments of a range of rows, gathered so that a stretch of all of them is contiguous.
struct Gathered {
    inputs: Vec<f32>,
    targets: Vec<f32>,
    keep: Vec<f32>,
    batch: usize,
    steps: usize,
}

impl Gathered {
    /// At most `batch` segments of a range of rows, and of each at most its share of `most` rows.
    fn new(series: &Series, size: Size, rows: Range<usize>, [batch, most]: [usize; 2]) -> Self {
        let batch = batch.min(rows.len() / STEPS).max(1);
        let apart = rows.len() / batch;
        let steps = apart.min(most / batch);
        let mut gathered = Self {
            inputs: Vec::with_capacity(steps * batch * size.inputs),
            targets: Vec::with_capacity(steps * batch * size.outputs),
            keep: Vec::with_capacity(steps * batch),
            batch,
            steps,
        };
        for step in 0..steps {
            for segment in 0..batch {
                let row = rows.start + segment * apart + step;
                gathered.inputs.extend_from_slice(&series.inputs[row * size.inputs..][..size.inputs]);
                gathered.targets.extend_from_slice(&series.targets[row * size.outputs..][..size.outputs]);
                gathered.keep.push(series.keep[row]);
            }
        }
        gathered
    }

    /// Stretches in order, each with its targets.
    fn stretches(&self, size: Size) -> impl Iterator<Item = (Stretch<'_>, &[f32])> {
        (0..self.steps).step_by(STEPS).map(move |first| {
            let steps = STEPS.min(self.steps - first);
            let rows = first * self.batch..(first + steps) * self.batch;
            let inputs = &self.inputs[rows.start * size.inputs..rows.end * size.inputs];
            let stretch = Stretch { steps, batch: self.batch, inputs, keep: &self.keep[rows.clone()] };
            (stretch, &self.targets[rows.start * size.outputs..rows.end * size.outputs])
        })
    }
}

/// Trains on the head of a series. Gives the weights with the least held-out error; per output, that error relative
/// to expecting zero: below 1 where the network helps; and how many epochs it took. `observe` hears how far training is and may stop
/// it; then there is no result.
pub fn train(
    series: &Series,
    training: Training,
    observe: &mut dyn FnMut(f64) -> ControlFlow<()>,
) -> ControlFlow<(), (Weights, Vec<f64>, usize)> {
    let start = Weights::new(training.size, training.seed);
    descend(&start, RATES[0], series, (training, observe))
}

/// As [`train`], from weights that were trained before: a warm start, for which a fraction of the epochs is enough.
/// Gives these weights again where nothing better was found.
pub fn train_from(
    start: &Weights,
    series: &Series,
    training: Training,
    observe: &mut dyn FnMut(f64) -> ControlFlow<()>,
) -> ControlFlow<(), (Weights, Vec<f64>, usize)> {
    descend(start, WARM_RATE, series, (training, observe))
}

fn descend(
    start: &Weights,
    peak: f32,
    series: &Series,
    (training, observe): (Training, &mut dyn FnMut(f64) -> ControlFlow<()>),
) -> ControlFlow<(), (Weights, Vec<f64>, usize)> {
    let size = training.size;
    assert_eq!(start.size, size, "the weights to start from have another size");
    let mut learner = Learner::new(start, Level::best());
    let batch = BATCH[usize::from(series.head >= LONG)];
    let head = Gathered::new(series, size, 0..series.head, [batch, usize::MAX]);
    let tail = series.head..series.keep.len();
    let sample = Gathered::new(series, size, tail.clone(), HELD_OUT);
    let (mut best, mut waited) = (start.clone(), 0);
    let mut best_error = mean(&held_out(&mut learner, size, &sample));
    let stretches = head.steps.div_ceil(STEPS);
    let mut epochs = 0;
    for epoch in 0..training.epochs {
        epochs += 1;
        learner.clear(head.batch);
        for (n, (stretch, targets)) in head.stretches(size).enumerate() {
            let done = (epoch * stretches + n) as f64 / (training.epochs * stretches) as f64;
            observe(done)?;
            learner.learn(&stretch, targets, rate(peak, done as f32));
        }
        let error = mean(&held_out(&mut learner, size, &sample));
        waited += 1;
        if error < best_error * (1.0 - BETTER) {
            (best, best_error, waited) = (learner.weights(), error, 0);
        }
        if waited >= PATIENCE.0.max(training.epochs / PATIENCE.1) {
            break;
        }
    }
    drop(sample);
    let errors = evaluate(series, &best);
    ControlFlow::Continue((best, errors, epochs))
}

/// Per output, the squared error of given weights on the held-out rows of a series relative to that of expecting zero.
#[must_use]
pub fn evaluate(series: &Series, weights: &Weights) -> Vec<f64> {
    let tail = Gathered::new(series, weights.size, series.head..series.keep.len(), [HELD_OUT[0], usize::MAX]);
    held_out(&mut Learner::new(weights, Level::best()), weights.size, &tail)
}

/// The learning rate when a part of training is done.
fn rate(peak: f32, done: f32) -> f32 {
    let share = if done < RISE {
        done / RISE
    } else {
        0.5 * (1.0 + ((done - RISE) / (1.0 - RISE) * std::f32::consts::PI).cos())
    };
    RATES[1] + (peak - RATES[1]) * share
}

/// Per output, squared error on held-out rows relative to that of expecting zero.
fn held_out(learner: &mut Learner, size: Size, tail: &Gathered) -> Vec<f64> {
    let (mut with, mut without) = (vec![1e-9; size.outputs], vec![1e-9; size.outputs]);
    learner.clear(tail.batch);
    for (stretch, targets) in tail.stretches(size) {
        for (outputs, targets) in learner.forward(&stretch).zip(targets.chunks_exact(size.outputs)) {
            for (n, (y, t)) in outputs.iter().zip(targets).enumerate().filter(|(_, (_, t))| !t.is_nan()) {
                with[n] += f64::from((y - t) * (y - t));
                without[n] += f64::from(t * t);
            }
        }
    }
    with.iter().zip(&without).map(|(with, without)| with / without).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The target is the product of the last two inputs' signs: no linear function of them explains any of it.
    fn parity(rows: usize, seed: u64) -> Series {
        let mut rng = foretwin_core::Rng::new(seed);
        let inputs: Vec<f32> = (0..rows).map(|_| if rng.uniform() < 0.5 { -1.0 } else { 1.0 }).collect();
        let targets = (0..rows).map(|n| if n == 0 { f32::NAN } else { inputs[n] * inputs[n - 1] }).collect();
        Series { inputs, targets, keep: vec![1.0; rows], head: rows * 3 / 4 }
    }

    const TRAINING: Training =
        Training { size: Size { inputs: 1, hidden: 8, outputs: 1 }, epochs: 40, seed: 4 };

    #[test]
    fn a_nonlinear_memory_is_learned() {
        let ControlFlow::Continue((_, error, _)) =
            train(&parity(8000, 2), TRAINING, &mut |_| ControlFlow::Continue(()))
        else {
            panic!("nobody stopped it")
        };
        assert!(error[0] < 0.1, "{error:?}");
    }

    #[test]
    fn training_can_be_stopped() {
        let mut calls = 0;
        let result = train(&parity(8000, 2), TRAINING, &mut |_| {
            calls += 1;
            if calls == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert!(result.is_break() && calls == 3);
    }

    #[test]
    fn a_warm_start_needs_few_epochs_and_loses_nothing() {
        let on = |_: f64| ControlFlow::Continue(());
        let ControlFlow::Continue((first, ..)) = train(&parity(8000, 2), TRAINING, &mut on.clone()) else {
            panic!("nobody stopped it")
        };
        let few = Training { epochs: 2, ..TRAINING };
        let [ControlFlow::Continue((_, warm, _)), ControlFlow::Continue((_, cold, _))] = [
            train_from(&first, &parity(8000, 3), few, &mut on.clone()),
            train(&parity(8000, 3), few, &mut on.clone()),
        ] else {
            panic!("nobody stopped it")
        };
        assert!(warm[0] < 0.1 && warm[0] < 0.5 * cold[0], "{warm:?} {cold:?}");
        let none = Training { epochs: 0, ..TRAINING };
        let ControlFlow::Continue((same, ..)) = train_from(&first, &parity(8000, 3), none, &mut on.clone())
        else {
            panic!("nobody stopped it")
        };
        assert_eq!(same, first);
    }
}
