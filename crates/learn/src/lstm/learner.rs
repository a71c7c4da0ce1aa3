//! A network in training: one stretch of time after another, a gradient and a step of the optimiser for each.

use super::Weights;
use super::adam::{Adam, sum_of_squares};
use super::aligned::Aligned;
use super::level::{Kernel, Level};
use super::pack::Plan;
use super::pass::{Backward, Network, Stretch, Trace, Turned, forward};
use super::vector::Vector;

/// A network in training. Stretches follow each other: memory flows from one to the next until it is cleared,
/// gradients do not (truncated back-propagation through time; Williams and Peng, 1990).
pub struct Learner {
    level: Level,
    plan: Plan,
    weights: Aligned<f32>,
    turned: Turned,
    adam: Adam,
    trace: Trace,
    slope: Aligned<f32>,
    gradient: Aligned<f32>,
}

impl Learner {
    /// Starts from `weights`, with an optimiser that has seen nothing.
    #[must_use]
    pub fn new(weights: &Weights, level: Level) -> Self {
        let plan = Plan::new(weights.size);
        Self {
            level,
            plan,
            weights: plan.pack(weights),
            turned: Turned::default(),
            adam: Adam::new(plan.length(), level),
            trace: Trace::default(),
            slope: Aligned::default(),
            gradient: Aligned::zeroed(plan.length()),
        }
    }

    /// Clears the memory of `batch` segments.
    pub fn clear(&mut self, batch: usize) {
        self.trace.clear(self.plan, batch);
    }

    /// The weights as they are now.
    #[must_use]
    pub fn weights(&self) -> Weights {
        self.plan.unpack(&self.weights)
    }

    /// The gradient of the last loss, in the place of the weights; not shortened.
    #[must_use]
    pub fn gradient(&self) -> Weights {
        self.plan.unpack(&self.gradient)
    }

    /// Passes a stretch forward. Gives one row of outputs for each step and segment; the first `outputs` numbers of
    /// a row count.
    pub fn forward(&mut self, stretch: &Stretch) -> impl Iterator<Item = &[f32]> {
        let network = Network { level: self.level, plan: self.plan, weights: &self.weights };
        forward(network, stretch, &mut self.trace);
        let outputs = self.plan.size.outputs;
        self.trace.outputs.chunks_exact(self.plan.outputs).map(move |row| &row[..outputs])
    }

    /// Passes a stretch forward and backward. `targets` are steps × batch × outputs, NaN where there is nothing to
    /// learn; the loss, which is returned, is half the mean squared error over the others.
    pub fn differentiate(&mut self, stretch: &Stretch, targets: &[f32]) -> f64 {
        let network = Network { level: self.level, plan: self.plan, weights: &self.weights };
        forward(network, stretch, &mut self.trace);
        assert_eq!(targets.len(), stretch.steps * stretch.batch * self.plan.size.outputs);
        if self.slope.len() != self.trace.outputs.len() {
            // Outputs that do not exist keep a slope of zero.
            self.slope = Aligned::zeroed(self.trace.outputs.len());
        }
        let mut there = 0;
        self.level.run(Slopes {
            plan: self.plan,
            outputs: &self.trace.outputs,
            targets,
            slope: &mut self.slope,
            there: &mut there,
        });
        self.turned.take(self.plan, &self.weights);
        let (level, plan) = (self.level, self.plan);
        let backward = Backward { level, plan, turned: &self.turned, stretch, slope: &self.slope };
        backward.run(&mut self.trace, &mut self.gradient);
        0.5 * f64::from(sum_of_squares(self.level, &self.slope)) * f64::from(there)
    }

    /// One step of the optimiser on a stretch; gives the loss before it, as [`Self::differentiate`] does.
    pub fn learn(&mut self, stretch: &Stretch, targets: &[f32], rate: f32) -> f64 {
        let loss = self.differentiate(stretch, targets);
        self.adam.descend(&mut self.weights, &self.gradient, rate);
        loss
    }

    /// Hidden states and cells, batch × padded hidden.
    #[cfg(test)]
    pub(super) fn memory(&mut self) -> &mut [Vec<f32>; 2] {
        self.trace.memory()
    }
}

/// The derivative of half the mean squared error over what is there.
struct Slopes<'a> {
    plan: Plan,
    outputs: &'a [f32],
    targets: &'a [f32],
    slope: &'a mut [f32],
    there: &'a mut u32,
}

impl Kernel for Slopes<'_> {
    /// Plain code, which the compiler vectorises for the level it is compiled for.
    #[inline(always)]
    fn run<V: Vector>(self, _v: V) {
        *self.there = self.targets.iter().map(|target| u32::from(!target.is_nan())).sum();
        let part = 1.0 / (*self.there).max(1) as f32;
        let rows = self.outputs.chunks_exact(self.plan.outputs);
        let rows = rows.zip(self.targets.chunks_exact(self.plan.size.outputs.max(1)));
        for ((outputs, targets), slopes) in rows.zip(self.slope.chunks_exact_mut(self.plan.outputs)) {
            for ((y, t), slope) in outputs.iter().zip(targets).zip(slopes) {
                *slope = if t.is_nan() { 0.0 } else { (y - t) * part };
            }
        }
    }
}
