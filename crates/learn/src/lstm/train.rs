//! Fits a network to a series: parallel segments, stateful from stretch to stretch, stopped by held-out error.

use std::ops::{ControlFlow, Range};

use super::adam::Adam;
use super::pass::{Stretch, Trace, backward, forward};
use super::{Size, Weights};

/// Segments that run side by side.
const BATCH: usize = 16;
/// Frames through which gradients flow.
const STEPS: usize = 32;
/// First and last learning rate; it falls along a cosine.
const RATES: [f32; 2] = [4e-3, 2e-4];
/// First learning rate where training goes on from weights that knew something.
const WARM_RATE: f32 = 1e-3;
/// Epochs without a better held-out error before training stops.
const PATIENCE: usize = 4;
/// Held-out error must fall by this part to count as better.
const BETTER: f64 = 1e-3;

/// What a network is fitted to, row by row: the inputs of a frame and what the outputs after it should be.
pub(crate) struct Series {
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
pub(crate) struct Training<'a> {
    pub size: Size,
    pub epochs: usize,
    pub seed: u64,
    /// Weights to start from instead of random ones, of the same size; what they knew is changed at a lower rate.
    pub initial: Option<&'a Weights>,
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
    fn new(series: &Series, size: Size, rows: Range<usize>) -> Self {
        let batch = BATCH.min(rows.len() / STEPS).max(1);
        let steps = rows.len() / batch;
        let mut gathered = Self { inputs: Vec::new(), targets: Vec::new(), keep: Vec::new(), batch, steps };
        for step in 0..steps {
            for segment in 0..batch {
                let row = rows.start + segment * steps + step;
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

/// Trains on the head of a series. Gives the weights with the least held-out error and, per output, that error
/// relative to expecting zero: below 1 where the network helps, and how many epochs it took. `observe` hears how far training is and may stop
/// it; then there is no result.
pub(crate) fn train(
    series: &Series,
    training: Training<'_>,
    observe: &mut dyn FnMut(f64) -> ControlFlow<()>,
) -> ControlFlow<(), (Weights, Vec<f64>, usize)> {
    let size = training.size;
    let mut weights = training.initial.cloned().unwrap_or_else(|| Weights::new(training.size, training.seed));
    let first_rate = if training.initial.is_some() { WARM_RATE } else { RATES[0] };
    let head = Gathered::new(series, size, 0..series.head);
    let tail = Gathered::new(series, size, series.head..series.keep.len());
    let (mut adam, mut gradient) = (Adam::new(size.parameters()), vec![0.0; size.parameters()]);
    let (mut trace, mut slope) = (Trace::default(), Vec::new());
    let known = held_out(&weights, &tail, &mut trace);
    let (mut best, mut best_error, mut waited) = (weights.clone(), known, 0);
    let stretches = head.steps.div_ceil(STEPS);
    let mut epochs = 0;
    for epoch in 0..training.epochs {
        epochs += 1;
        trace.clear(head.batch * size.hidden);
        for (n, (stretch, targets)) in head.stretches(size).enumerate() {
            let done = (epoch * stretches + n) as f64 / (training.epochs * stretches) as f64;
            observe(done)?;
            forward(&weights, &stretch, &mut trace);
            slopes(&trace.outputs, targets, &mut slope);
            backward(&weights, &stretch, &trace, &slope, &mut gradient);
            let warm = 0.5 * (1.0 + (done as f32 * std::f32::consts::PI).cos());
            adam.descend(&mut weights.values, &gradient, RATES[1] + (first_rate - RATES[1]) * warm);
        }
        let error = held_out(&weights, &tail, &mut trace);
        waited += 1;
        if mean(&error) < mean(&best_error) * (1.0 - BETTER) {
            (best, best_error, waited) = (weights.clone(), error, 0);
        }
        if waited >= PATIENCE {
            break;
        }
    }
    ControlFlow::Continue((best, best_error, epochs))
}

/// Per output, the squared error of given weights on the held-out rows of a series relative to that of expecting zero.
pub(crate) fn evaluate(series: &Series, weights: &Weights) -> Vec<f64> {
    let tail = Gathered::new(series, weights.size, series.head..series.keep.len());
    held_out(weights, &tail, &mut Trace::default())
}

/// The derivative of half the mean squared error over what is there.
fn slopes(outputs: &[f32], targets: &[f32], slope: &mut Vec<f32>) {
    slope.clear();
    let there = targets.iter().filter(|target| !target.is_nan()).count().max(1) as f32;
    slope.extend(outputs.iter().zip(targets).map(|(y, t)| if t.is_nan() { 0.0 } else { (y - t) / there }));
}

/// Per output, squared error on held-out rows relative to that of expecting zero.
fn held_out(weights: &Weights, tail: &Gathered, trace: &mut Trace) -> Vec<f64> {
    let size = weights.size;
    let (mut with, mut without) = (vec![1e-9; size.outputs], vec![1e-9; size.outputs]);
    trace.clear(tail.batch * size.hidden);
    for (stretch, targets) in tail.stretches(size) {
        forward(weights, &stretch, trace);
        for (outputs, targets) in
            trace.outputs.chunks_exact(size.outputs).zip(targets.chunks_exact(size.outputs))
        {
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
    fn parity(rows: usize) -> Series {
        let mut rng = foretwin_core::Rng::new(2);
        let inputs: Vec<f32> = (0..rows).map(|_| if rng.uniform() < 0.5 { -1.0 } else { 1.0 }).collect();
        let targets = (0..rows).map(|n| if n == 0 { f32::NAN } else { inputs[n] * inputs[n - 1] }).collect();
        Series { inputs, targets, keep: vec![1.0; rows], head: rows * 3 / 4 }
    }

    const TRAINING: Training<'_> =
        Training { size: Size { inputs: 1, hidden: 8, outputs: 1 }, epochs: 40, seed: 4, initial: None };

    #[test]
    fn a_nonlinear_memory_is_learned() {
        let ControlFlow::Continue((_, error, _)) =
            train(&parity(8000), TRAINING, &mut |_| ControlFlow::Continue(()))
        else {
            panic!("nobody stopped it")
        };
        assert!(error[0] < 0.1, "{error:?}");
    }

    #[test]
    fn what_was_learned_is_the_start_of_a_warm_training() {
        let go = &mut |_: f64| ControlFlow::Continue(());
        let ControlFlow::Continue((parent, before, _)) = train(&parity(8000), TRAINING, go) else {
            unreachable!()
        };
        assert_eq!(evaluate(&parity(8000), &parent), before);
        let warm = Training { epochs: 1, initial: Some(&parent), ..TRAINING };
        let ControlFlow::Continue((_, after, _)) = train(&parity(8000), warm, go) else { unreachable!() };
        let cold = Training { epochs: 1, ..TRAINING };
        let ControlFlow::Continue((_, afresh, _)) = train(&parity(8000), cold, go) else { unreachable!() };
        assert!(after[0] <= before[0] && after[0] < 0.5 * afresh[0], "{before:?} {after:?} {afresh:?}");
    }

    #[test]
    fn training_can_be_stopped() {
        let mut calls = 0;
        let result = train(&parity(8000), TRAINING, &mut |_| {
            calls += 1;
            if calls == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert!(result.is_break() && calls == 3);
    }
}
