//! A network in training: one stretch of time after another, a gradient and a step of the optimiser for each.

use super::Weights;
use super::adam::{Adam, sum_of_squares};
use super::aligned::Aligned;
use super::level::{Kernel, Level};
use super::pack::Plan;
use super::pass::{Backward, Network, Stretch, Trace, Turned, forward};
use super::vector::Vector;

/// Segments that pass forward and backward at a time, so that what the forward pass leaves stays in a near cache.
const PART: usize = 16;

/// A network in training. Stretches follow each other: memory flows from one to the next until it is cleared,
/// gradients do not (truncated back-propagation through time; Williams and Peng, 1990).
pub struct Learner {
    level: Level,
    plan: Plan,
    weights: Aligned<f32>,
    turned: Turned,
    adam: Adam,
    /// Hidden states and cells of all segments, batch × padded hidden.
    memory: [Vec<f32>; 2],
    trace: Trace,
    part: Part,
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
            memory: Default::default(),
            trace: Trace::default(),
            part: Part::default(),
            slope: Aligned::default(),
            gradient: Aligned::zeroed(plan.length()),
        }
    }

    /// Clears the memory of `batch` segments.
    pub fn clear(&mut self, batch: usize) {
        for values in &mut self.memory {
            values.clear();
            values.resize(batch * self.plan.hidden, 0.0);
        }
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
        self.pass(stretch, 0);
        let outputs = self.plan.size.outputs;
        self.trace.outputs.chunks_exact(self.plan.outputs).map(move |row| &row[..outputs])
    }

    /// Passes a stretch forward and backward. `targets` are steps × batch × outputs, NaN where there is nothing to
    /// learn; the loss, which is returned, is half the mean squared error over the others.
    pub fn differentiate(&mut self, stretch: &Stretch, targets: &[f32]) -> f64 {
        assert_eq!(targets.len(), stretch.steps * stretch.batch * self.plan.size.outputs);
        let mut there = 0;
        self.level.run(Count { targets, there: &mut there });
        self.gradient.fill(0.0);
        self.turned.take(self.plan, &self.weights);
        let mut squares = 0.0;
        for first in (0..stretch.batch).step_by(PART) {
            if stretch.batch <= PART {
                squares += self.differentiate_part((stretch, targets), 0, there);
            } else {
                let mut part = std::mem::take(&mut self.part);
                part.gather(self.plan, (stretch, targets), first);
                squares += self.differentiate_part((&part.stretch(), &part.targets), first, there);
                self.part = part;
            }
        }
        0.5 * squares * f64::from(there)
    }

    /// Forward from and to the memory of the segments from `first` on.
    fn pass(&mut self, stretch: &Stretch, first: usize) {
        let segments = first * self.plan.hidden..(first + stretch.batch) * self.plan.hidden;
        self.trace.start.iter_mut().zip(&self.memory).for_each(|(start, memory)| {
            start.clear();
            start.extend_from_slice(&memory[segments.clone()]);
        });
        let network = Network { level: self.level, plan: self.plan, weights: &self.weights };
        forward(network, stretch, &mut self.trace);
        self.memory.iter_mut().zip(&self.trace.start).for_each(|(memory, start)| {
            memory[segments.clone()].copy_from_slice(start);
        });
    }

    /// Adds to the gradient; gives the sum of the squared derivatives by the outputs.
    fn differentiate_part(
        &mut self,
        (stretch, targets): (&Stretch, &[f32]),
        first: usize,
        there: u32,
    ) -> f64 {
        self.pass(stretch, first);
        let (level, plan) = (self.level, self.plan);
        if self.slope.len() != self.trace.outputs.len() {
            // Outputs that do not exist keep a slope of zero.
            self.slope = Aligned::zeroed(self.trace.outputs.len());
        }
        let (outputs, slope) = (&self.trace.outputs[..], &mut self.slope[..]);
        level.run(Slopes { plan, outputs, targets, slope, part: 1.0 / there.max(1) as f32 });
        let backward = Backward { level, plan, turned: &self.turned, stretch, slope: &self.slope };
        backward.run(&mut self.trace, &mut self.gradient);
        f64::from(sum_of_squares(level, &self.slope))
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
        &mut self.memory
    }
}

/// Some segments of a stretch, gathered.
#[derive(Default)]
struct Part {
    steps: usize,
    inputs: Vec<f32>,
    keep: Vec<f32>,
    targets: Vec<f32>,
}

impl Part {
    fn gather(&mut self, plan: Plan, (stretch, targets): (&Stretch, &[f32]), first: usize) {
        let last = (first + PART).min(stretch.batch);
        self.steps = stretch.steps;
        let widths = [plan.size.inputs, 1, plan.size.outputs];
        let sources = [stretch.inputs, stretch.keep, targets];
        let room = [&mut self.inputs, &mut self.keep, &mut self.targets];
        for ((width, source), into) in widths.into_iter().zip(sources).zip(room) {
            into.clear();
            for step in 0..stretch.steps {
                let row = step * stretch.batch;
                into.extend_from_slice(&source[(row + first) * width..(row + last) * width]);
            }
        }
    }

    fn stretch(&self) -> Stretch<'_> {
        let batch = self.keep.len() / self.steps.max(1);
        Stretch { steps: self.steps, batch, inputs: &self.inputs, keep: &self.keep }
    }
}

/// How many targets are there.
struct Count<'a> {
    targets: &'a [f32],
    there: &'a mut u32,
}

impl Kernel for Count<'_> {
    #[inline(always)]
    fn run<V: Vector>(self, _v: V) {
        *self.there = self.targets.iter().map(|target| u32::from(!target.is_nan())).sum();
    }
}

/// The derivative of half the mean squared error over what is there.
struct Slopes<'a> {
    plan: Plan,
    outputs: &'a [f32],
    targets: &'a [f32],
    slope: &'a mut [f32],
    /// What one target counts.
    part: f32,
}

impl Kernel for Slopes<'_> {
    /// Plain code, which the compiler vectorises for the level it is compiled for.
    #[inline(always)]
    fn run<V: Vector>(self, _v: V) {
        let rows = self.outputs.chunks_exact(self.plan.outputs);
        let rows = rows.zip(self.targets.chunks_exact(self.plan.size.outputs.max(1)));
        for ((outputs, targets), slopes) in rows.zip(self.slope.chunks_exact_mut(self.plan.outputs)) {
            for ((y, t), slope) in outputs.iter().zip(targets).zip(slopes) {
                *slope = if t.is_nan() { 0.0 } else { (y - t) * self.part };
            }
        }
    }
}
