//! Forward and backward through a stretch of time, for many parallel segments at once.
//!
//! Truncated back-propagation: memory flows in from the stretch before, gradients do not flow back into it. Arrays
//! over time are time-major: steps × batch × width; those of gates are panel-major (panels × steps × batch × 64), so
//! that the weights' gradient sums over contiguous rows.

use super::aligned::Aligned;
use super::cells::Cells;
use super::level::Level;
use super::pack::{PANEL, Plan, transpose};
use super::tile::{Gates, Left, Product, Right};

/// Rows over which the weights' gradient is summed at a time: enough to load and store it seldom, few enough to stay
/// in the first-level cache.
const GROUP: usize = 64;

/// What a stretch of time is computed from.
#[derive(Debug, Clone, Copy)]
pub struct Stretch<'a> {
    /// Frames.
    pub steps: usize,
    /// Segments that run side by side.
    pub batch: usize,
    /// steps × batch × inputs.
    pub inputs: &'a [f32],
    /// steps × batch: 0 where memory must be forgotten first (a gap), else 1.
    pub keep: &'a [f32],
}

/// Everything a stretch leaves behind; kept between stretches for its allocations.
#[derive(Default)]
pub(super) struct Trace {
    /// Activated gates, and after the backward pass the derivatives by what entered them.
    gates: Aligned<f32>,
    /// Memory that each step started from, after forgetting at gaps, and that after the last: (steps + 1) × batch ×
    /// hidden.
    hidden: Aligned<f32>,
    cell: Aligned<f32>,
    /// Hidden states after each step, and the hyperbolic tangents of its cells.
    after: Aligned<f32>,
    squashed: Aligned<f32>,
    /// steps × batch × padded outputs.
    pub outputs: Aligned<f32>,
    /// Hidden states and cells that a stretch starts from, and after it those that the next starts from: batch ×
    /// hidden.
    pub start: [Vec<f32>; 2],
}

impl Trace {
    fn resize(&mut self, plan: Plan, steps: usize) {
        let block = self.start[0].len();
        for values in [&mut self.hidden, &mut self.cell] {
            values.resize((steps + 1) * block);
        }
        for values in [&mut self.after, &mut self.squashed] {
            values.resize(steps * block);
        }
        self.gates.resize(steps * block * 4);
        self.outputs.resize(steps * block / plan.hidden * plan.outputs);
    }
}

/// A network in the order of [`Plan`], and what computes it.
#[derive(Clone, Copy)]
pub(super) struct Network<'a> {
    pub level: Level,
    pub plan: Plan,
    pub weights: &'a [f32],
}

/// Fills the trace; memory flows in from the stretch before.
pub(super) fn forward(network: Network, stretch: &Stretch, trace: &mut Trace) {
    let Network { level, plan, weights } = network;
    let (steps, batch, block) = (stretch.steps, stretch.batch, stretch.batch * plan.hidden);
    assert!(stretch.inputs.len() == steps * batch * plan.size.inputs && stretch.keep.len() == steps * batch);
    assert_eq!(trace.start[0].len(), block, "there is memory for another batch");
    trace.resize(plan, steps);
    for (from, into) in trace.start.iter().zip([&mut trace.hidden, &mut trace.cell]) {
        into[..block].copy_from_slice(from);
        forget(&mut into[..block], &stretch.keep[..batch]);
    }
    for step in 0..steps {
        let (hidden, next_hidden) = trace.hidden.split_at_mut((step + 1) * block);
        let (cell, next_cell) = trace.cell.split_at_mut((step + 1) * block);
        let after = &mut trace.after[step * block..][..block];
        level.run(Gates {
            plan,
            weights,
            inputs: &stretch.inputs[step * batch * plan.size.inputs..],
            hidden: &hidden[step * block..],
            cell: &cell[step * block..],
            keep: (step + 1 < steps).then(|| &stretch.keep[(step + 1) * batch..]),
            gates: &mut trace.gates[step * batch * PANEL..],
            apart: steps * batch * PANEL,
            squashed: &mut trace.squashed[step * block..],
            after,
            next_hidden,
            next_cell,
        });
        read_out(network, after, &mut trace.outputs[step * batch * plan.outputs..][..batch * plan.outputs]);
    }
    for (into, from) in trace.start.iter_mut().zip([&trace.hidden, &trace.cell]) {
        into.copy_from_slice(&from[steps * block..]);
    }
}

/// Outputs of some rows from their hidden states.
fn read_out(Network { level, plan, weights }: Network, hidden: &[f32], outputs: &mut [f32]) {
    let (bias, weights) = weights[plan.read_out()..].split_at(plan.outputs);
    outputs.chunks_exact_mut(plan.outputs).for_each(|row| row.copy_from_slice(bias));
    let rows = hidden.len() / plan.hidden;
    level.run(Product {
        a: Left { values: hidden, row: plan.hidden, step: 1 },
        b: Right { values: weights, row: plan.outputs },
        c: (outputs, plan.outputs),
        shape: [rows, plan.outputs, plan.hidden],
        add: true,
    });
}

fn forget(memory: &mut [f32], keep: &[f32]) {
    let hidden = memory.len() / keep.len();
    for (memory, _) in memory.chunks_exact_mut(hidden).zip(keep).filter(|(_, keep)| **keep == 0.0) {
        memory.fill(0.0);
    }
}

/// Recurrent weights and those of the read-out, transposed: what the backward pass multiplies by.
#[derive(Default)]
pub(super) struct Turned {
    /// Gate sums in packed order (4 hidden) × hidden.
    hh: Aligned<f32>,
    /// Outputs × hidden.
    out: Aligned<f32>,
}

impl Turned {
    pub fn take(&mut self, plan: Plan, weights: &[f32]) {
        self.hh.resize(4 * plan.hidden * plan.hidden);
        self.out.resize(plan.size.outputs * plan.hidden);
        for (panel, into) in self.hh.chunks_exact_mut(PANEL * plan.hidden).enumerate() {
            let from = &weights[panel * plan.panel() + (1 + plan.size.inputs) * PANEL..];
            transpose((from, PANEL), [plan.hidden, PANEL], into);
        }
        let from = &weights[plan.read_out() + plan.outputs..];
        transpose((from, plan.outputs), [plan.hidden, plan.size.outputs], &mut self.out);
    }
}

/// One backward pass.
pub(super) struct Backward<'a> {
    pub level: Level,
    pub plan: Plan,
    pub turned: &'a Turned,
    pub stretch: &'a Stretch<'a>,
    /// The derivative of the loss by the outputs: steps × batch × padded outputs.
    pub slope: &'a [f32],
}

impl Backward<'_> {
    /// Adds the gradient, in packed order, to `gradient`. The gates in the trace are used up.
    pub fn run(&self, trace: &mut Trace, gradient: &mut [f32]) {
        let (plan, Stretch { steps, batch, keep, .. }) = (self.plan, *self.stretch);
        let block = batch * plan.hidden;
        let (mut by_hidden, mut by_cell) = (vec![0.0; block], vec![0.0; block]);
        let group = (GROUP / batch).max(1);
        let mut done = steps;
        for step in (0..steps).rev() {
            self.level.run(Product {
                a: Left { values: &self.slope[step * batch * plan.outputs..], row: plan.outputs, step: 1 },
                b: Right { values: &self.turned.out, row: plan.hidden },
                c: (&mut by_hidden, plan.hidden),
                shape: [batch, plan.hidden, plan.size.outputs],
                add: true,
            });
            self.level.run(Cells {
                plan,
                gates: &mut trace.gates[step * batch * PANEL..],
                apart: steps * batch * PANEL,
                squashed: &trace.squashed[step * block..][..block],
                before: &trace.cell[step * block..][..block],
                by_hidden: &by_hidden,
                by_cell: &mut by_cell,
                gradient,
            });
            if step > 0 {
                self.earlier(&trace.gates, step, &mut by_hidden);
                // What a gap made forgotten gets no gradient.
                forget(&mut by_hidden, &keep[step * batch..][..batch]);
                forget(&mut by_cell, &keep[step * batch..][..batch]);
            }
            if done - step == group || step == 0 {
                self.sum_up(trace, step * batch..done * batch, gradient);
                done = step;
            }
        }
    }

    /// Derivatives by the hidden states before a step, from those by its gates' sums.
    fn earlier(&self, gates: &[f32], step: usize, by_hidden: &mut [f32]) {
        let (plan, Stretch { steps, batch, .. }) = (self.plan, *self.stretch);
        for panel in 0..plan.panels() {
            let from = (panel * steps + step) * batch * PANEL;
            self.level.run(Product {
                a: Left { values: &gates[from..], row: PANEL, step: 1 },
                b: Right { values: &self.turned.hh[panel * PANEL * plan.hidden..], row: plan.hidden },
                c: (by_hidden, plan.hidden),
                shape: [batch, plan.hidden, PANEL],
                add: panel > 0,
            });
        }
    }

    /// Adds what `rows` (counted over steps and segments) say of the weights.
    fn sum_up(&self, trace: &Trace, rows: std::ops::Range<usize>, gradient: &mut [f32]) {
        let (plan, all) = (self.plan, self.stretch.steps * self.stretch.batch);
        let (inputs, count) = (plan.size.inputs, rows.len());
        let read_out = plan.read_out();
        let mut add = |(values, width): (&[f32], usize), b: Right, [rows, columns]: [usize; 2], at: usize| {
            let (a, c) = (Left { values, row: 1, step: width }, (&mut gradient[at..], columns));
            self.level.run(Product { a, b, c, shape: [rows, columns, count], add: true });
        };
        let x = (&self.stretch.inputs[rows.start * inputs..], inputs);
        let h = (&trace.hidden[rows.start * plan.hidden..], plan.hidden);
        for panel in 0..plan.panels() {
            let gates = Right { values: &trace.gates[(panel * all + rows.start) * PANEL..], row: PANEL };
            let at = panel * plan.panel() + PANEL;
            add(x, gates, [inputs, PANEL], at);
            add(h, gates, [plan.hidden, PANEL], at + inputs * PANEL);
        }
        let slopes = Right { values: &self.slope[rows.start * plan.outputs..], row: plan.outputs };
        let after = (&trace.after[rows.start * plan.hidden..], plan.hidden);
        add((&[1.0], 0), slopes, [1, plan.outputs], read_out);
        add(after, slopes, [plan.hidden, plan.outputs], read_out + plan.outputs);
    }
}
