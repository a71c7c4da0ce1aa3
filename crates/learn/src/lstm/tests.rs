//! The kernels against finite differences, against each other, and against the step of a single frame.
#![cfg(test)]

use foretwin_core::Rng;

use super::{Learner, Level, Memory, Size, Stretch, Weights};

/// Weights, inputs, targets, and which memory is kept, for a number of segments over a number of steps.
struct Setting {
    weights: Weights,
    inputs: Vec<f32>,
    targets: Vec<f32>,
    keep: Vec<f32>,
    steps: usize,
    batch: usize,
}

impl Setting {
    fn new(size: Size, steps: usize, batch: usize) -> Self {
        let mut rng = Rng::new(11);
        let mut noise = |n: usize| (0..n).map(|_| rng.normal() as f32 * 0.5).collect::<Vec<f32>>();
        let weights = Weights { size, values: noise(size.parameters()) };
        let inputs = noise(steps * batch * size.inputs);
        let mut targets = noise(steps * batch * size.outputs);
        targets[size.outputs] = f32::NAN;
        let mut keep = vec![1.0; steps * batch];
        keep[steps / 2 * batch] = 0.0;
        Self { weights, inputs, targets, keep, steps, batch }
    }

    fn stretch(&self) -> Stretch<'_> {
        Stretch { steps: self.steps, batch: self.batch, inputs: &self.inputs, keep: &self.keep }
    }

    /// A learner that remembers something.
    fn learner(&self, weights: &Weights, level: Level) -> Learner {
        let mut learner = Learner::new(weights, level);
        learner.clear(self.batch);
        let hidden = self.weights.size.hidden;
        for (values, start) in learner.memory().iter_mut().zip([-0.2, 0.3]) {
            let padded = values.len() / self.batch;
            values.chunks_exact_mut(padded).for_each(|row| row[..hidden].fill(start));
        }
        learner
    }

    fn loss(&self, weights: &Weights, level: Level) -> f64 {
        let mut learner = self.learner(weights, level);
        let width = weights.size.outputs;
        let stretch = self.stretch();
        let rows = learner.forward(&stretch).zip(self.targets.chunks_exact(width));
        let pairs = rows.flat_map(|(outputs, targets)| outputs.iter().zip(targets));
        let errors = pairs.filter(|(_, t)| !t.is_nan()).map(|(y, t)| f64::from(y - t));
        let (count, sum) = errors.fold((0, 0.0), |(count, sum), error| (count + 1, sum + error * error));
        0.5 * sum / f64::from(count)
    }
}

#[test]
fn gradients_agree_with_finite_differences() {
    let size = Size { inputs: 3, hidden: 4, outputs: 2 };
    let setting = Setting::new(size, 6, 2);
    for level in Level::all() {
        let mut learner = setting.learner(&setting.weights, level);
        let loss = learner.differentiate(&setting.stretch(), &setting.targets);
        assert!((loss - setting.loss(&setting.weights, level)).abs() < 1e-6);
        let gradient = learner.gradient();
        let tensors = [size.ih(), size.hh(), size.bias(), size.out(), size.out_bias()];
        for (n, derivative) in gradient.values.iter().enumerate() {
            let mut weights = setting.weights.clone();
            let step = 1e-2;
            weights.values[n] += step;
            let above = setting.loss(&weights, level);
            weights.values[n] -= 2.0 * step;
            let below = setting.loss(&weights, level);
            let numeric = (above - below) / (2.0 * f64::from(step));
            let tensor = tensors.iter().position(|tensor| tensor.contains(&n));
            let error = (numeric - f64::from(*derivative)).abs();
            assert!(
                error < 1e-4 * (1.0 + 10.0 * numeric.abs()),
                "{}, tensor {tensor:?}, {n}: {numeric} against {derivative}",
                level.name()
            );
        }
    }
}

#[test]
fn all_levels_agree() {
    // Sizes that fill no panel, one, and several; batches that leave every remainder of a tile.
    for (inputs, hidden, outputs, batch) in [(3, 5, 2, 1), (38, 64, 38, 11), (7, 33, 17, 16), (1, 16, 1, 9)] {
        let setting = Setting::new(Size { inputs, hidden, outputs }, 9, batch);
        let at = |level| {
            let mut learner = setting.learner(&setting.weights, level);
            let outputs: Vec<f32> = learner.forward(&setting.stretch()).flatten().copied().collect();
            let mut learner = setting.learner(&setting.weights, level);
            for _ in 0..3 {
                learner.learn(&setting.stretch(), &setting.targets, 1e-3);
            }
            (outputs, learner.gradient().values, learner.weights().values)
        };
        let (outputs, gradient, weights) = at(Level::PORTABLE);
        for level in Level::all() {
            let other = at(level);
            for (here, there) in [(&outputs, &other.0), (&gradient, &other.1)] {
                let close = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-5 * (1.0 + a.abs());
                assert!(here.iter().zip(there).all(close), "{}", level.name());
            }
            // Adam divides by the gradient's size: where that is rounding error, so is the step.
            let close = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-4;
            assert!(weights.iter().zip(&other.2).all(close), "{}", level.name());
        }
    }
}

#[test]
fn streaming_gives_what_the_forward_pass_gave() {
    let size = Size { inputs: 21, hidden: 19, outputs: 5 };
    let setting = Setting::new(size, 7, 2);
    for level in Level::all() {
        let mut learner = Learner::new(&setting.weights, level);
        learner.clear(setting.batch);
        let stretch = setting.stretch();
        let whole: Vec<Vec<f32>> = learner.forward(&stretch).map(<[f32]>::to_vec).collect();
        for segment in 0..setting.batch {
            let (mut memory, mut out) = (Memory::new(size.hidden), vec![0.0; size.outputs]);
            for row in (0..setting.steps).map(|step| step * setting.batch + segment) {
                if setting.keep[row] == 0.0 {
                    memory.clear();
                }
                let inputs = &setting.inputs[row * size.inputs..][..size.inputs];
                setting.weights.step_at(level, inputs, &mut memory, &mut out);
                let close = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-5;
                assert!(out.iter().zip(&whole[row]).all(close), "{}", level.name());
            }
        }
    }
}

#[test]
fn units_that_do_not_exist_stay_silent() {
    let setting = Setting::new(Size { inputs: 3, hidden: 4, outputs: 2 }, 6, 3);
    for level in Level::all() {
        let mut learner = setting.learner(&setting.weights, level);
        for _ in 0..20 {
            learner.learn(&setting.stretch(), &setting.targets, 1e-2);
        }
        let silent = learner
            .memory()
            .iter()
            .all(|values| values.chunks_exact(16).all(|row| row[4..].iter().all(|x| *x == 0.0)));
        assert!(silent, "{}", level.name());
    }
}
