//! Forward and backward through a stretch of time, for many parallel segments at once.
//!
//! Truncated back-propagation: memory flows in from the stretch before, gradients do not flow back into it. Arrays
//! over time are time-major: steps × batch × width.

use super::{Size, Weights, activate};
use crate::solve::multiply;

/// What a stretch is computed from.
pub(super) struct Stretch<'a> {
    pub steps: usize,
    pub batch: usize,
    /// steps × batch × inputs.
    pub inputs: &'a [f32],
    /// Per step and segment, 0 where memory must be forgotten first (a gap), else 1.
    pub keep: &'a [f32],
}

/// Everything a stretch leaves behind; kept between stretches for its allocations.
#[derive(Default)]
pub(super) struct Trace {
    /// Activated gates: steps × batch × 4 hidden.
    gates: Vec<f32>,
    /// Memory that each step started from, after forgetting at gaps: steps × batch × hidden.
    before: Memories,
    /// Memory after each step.
    after: Memories,
    /// steps × batch × outputs.
    pub outputs: Vec<f32>,
    /// Memory that the next stretch starts from: batch × hidden.
    start: Memories,
}

#[derive(Default)]
struct Memories {
    cell: Vec<f32>,
    hidden: Vec<f32>,
}

impl Memories {
    fn both(&mut self) -> [&mut Vec<f32>; 2] {
        [&mut self.cell, &mut self.hidden]
    }
}

impl Trace {
    /// Forgets everything, for `batch_hidden` remembered numbers.
    pub fn clear(&mut self, batch_hidden: usize) {
        for values in self.start.both() {
            values.clear();
            values.resize(batch_hidden, 0.0);
        }
    }

    /// Sets the memory before `step` from that after the one before it, forgotten where `keep` says so.
    fn enter(&mut self, step: usize, keep: &[f32]) {
        let per_hidden = self.start.cell.len();
        let rows = step * per_hidden..(step + 1) * per_hidden;
        let pairs = self.before.both().into_iter().zip(self.start.both()).zip(self.after.both());
        for ((before, start), after) in pairs {
            let from =
                if step == 0 { &start[..] } else { &after[(step - 1) * per_hidden..step * per_hidden] };
            before[rows.clone()].copy_from_slice(from);
            forget(&mut before[rows.clone()], keep);
        }
    }

    /// Makes room for `steps`.
    fn resize(&mut self, steps: usize) {
        let length = steps * self.start.cell.len();
        for memories in [&mut self.before, &mut self.after] {
            memories.both().into_iter().for_each(|values| values.resize(length, 0.0));
        }
    }

    /// The memory at the end becomes that before the next stretch.
    fn carry(&mut self) {
        for (start, after) in self.start.both().into_iter().zip(self.after.both()) {
            let end = after.len() - start.len();
            start.copy_from_slice(&after[end..]);
        }
    }
}

fn repeat(row: &[f32], times: usize, into: &mut Vec<f32>) {
    into.clear();
    (0..times).for_each(|_| into.extend_from_slice(row));
}

/// Fills the trace; memory flows in from the stretch before.
pub(super) fn forward(weights: &Weights, stretch: &Stretch, trace: &mut Trace) {
    let Size { inputs, hidden, outputs } = weights.size;
    let (steps, batch) = (stretch.steps, stretch.batch);
    repeat(&weights.values[weights.size.bias()], steps * batch, &mut trace.gates);
    let ih = &weights.values[weights.size.ih()];
    multiply(
        (stretch.inputs, [inputs, 1]),
        (ih, [1, inputs]),
        [steps * batch, inputs, 4 * hidden],
        &mut trace.gates,
    );
    trace.resize(steps);
    for step in 0..steps {
        trace.enter(step, &stretch.keep[step * batch..(step + 1) * batch]);
        advance(weights, batch, step, trace);
    }
    trace.carry();
    repeat(&weights.values[weights.size.out_bias()], steps * batch, &mut trace.outputs);
    let out = &weights.values[weights.size.out()];
    let shape = [steps * batch, hidden, outputs];
    multiply((&trace.after.hidden, [hidden, 1]), (out, [1, hidden]), shape, &mut trace.outputs);
}

/// One step of all segments.
fn advance(weights: &Weights, batch: usize, step: usize, trace: &mut Trace) {
    let hidden = weights.size.hidden;
    let rows = step * batch * hidden..(step + 1) * batch * hidden;
    let gates = &mut trace.gates[step * batch * 4 * hidden..(step + 1) * batch * 4 * hidden];
    let hh = &weights.values[weights.size.hh()];
    let before = &trace.before.hidden[rows.clone()];
    multiply((before, [hidden, 1]), (hh, [1, hidden]), [batch, hidden, 4 * hidden], gates);
    let cells_before = trace.before.cell[rows.clone()].chunks_exact(hidden);
    let cells = trace.after.cell[rows.clone()].chunks_exact_mut(hidden);
    let states = trace.after.hidden[rows].chunks_exact_mut(hidden);
    for (gates, ((cell_before, cell), state)) in
        gates.chunks_exact_mut(4 * hidden).zip(cells_before.zip(cells).zip(states))
    {
        activate(gates, hidden);
        for u in 0..hidden {
            let [i, f, c, o] = [0, 1, 2, 3].map(|gate| gates[gate * hidden + u]);
            cell[u] = f * cell_before[u] + i * c;
            state[u] = o * cell[u].tanh();
        }
    }
}

fn forget(memory: &mut [f32], keep: &[f32]) {
    let hidden = memory.len() / keep.len();
    for (memory, &keep) in memory.chunks_exact_mut(hidden).zip(keep) {
        memory.iter_mut().for_each(|value| *value *= keep);
    }
}

/// The gradient of a loss whose derivative by the outputs is `slope` (steps × batch × outputs), into `gradient`.
pub(super) fn backward(
    weights: &Weights,
    stretch: &Stretch,
    trace: &Trace,
    slope: &[f32],
    gradient: &mut [f32],
) {
    let Size { inputs, hidden, outputs } = weights.size;
    let (size, rows) = (weights.size, stretch.steps * stretch.batch);
    gradient.fill(0.0);
    multiply(
        (slope, [1, outputs]),
        (&trace.after.hidden, [hidden, 1]),
        [outputs, rows, hidden],
        &mut gradient[size.out()],
    );
    add_rows(slope, &mut gradient[size.out_bias()]);
    let mut by_hidden = vec![0.0; rows * hidden];
    let out = &weights.values[size.out()];
    multiply((slope, [outputs, 1]), (out, [hidden, 1]), [rows, outputs, hidden], &mut by_hidden);
    let by_gates = through_time(weights, stretch, trace, &mut by_hidden);
    let ih = &mut gradient[size.ih()];
    multiply((&by_gates, [1, 4 * hidden]), (stretch.inputs, [inputs, 1]), [4 * hidden, rows, inputs], ih);
    let hh = &mut gradient[size.hh()];
    multiply(
        (&by_gates, [1, 4 * hidden]),
        (&trace.before.hidden, [hidden, 1]),
        [4 * hidden, rows, hidden],
        hh,
    );
    add_rows(&by_gates, &mut gradient[size.bias()]);
}

fn add_rows(rows: &[f32], sum: &mut [f32]) {
    for row in rows.chunks_exact(sum.len()) {
        sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
}

/// Derivatives by the sums that enter the gates, from those by the hidden states: steps × batch × 4 hidden.
fn through_time(weights: &Weights, stretch: &Stretch, trace: &Trace, by_hidden: &mut [f32]) -> Vec<f32> {
    let (hidden, batch) = (weights.size.hidden, stretch.batch);
    let (per_gates, per_hidden) = (batch * 4 * hidden, batch * hidden);
    let mut by_gates = vec![0.0; stretch.steps * per_gates];
    let mut by_cell = vec![0.0; per_hidden];
    let hh = &weights.values[weights.size.hh()];
    for step in (0..stretch.steps).rev() {
        let gates = &trace.gates[step * per_gates..(step + 1) * per_gates];
        let into = &mut by_gates[step * per_gates..(step + 1) * per_gates];
        let (cells, cells_before) =
            (&trace.after.cell[step * per_hidden..], &trace.before.cell[step * per_hidden..]);
        for n in 0..per_hidden {
            let (b, u) = (n / hidden, n % hidden);
            let index = |gate: usize| b * 4 * hidden + gate * hidden + u;
            let [i, f, c, o] = [0, 1, 2, 3].map(|gate| gates[index(gate)]);
            let (squashed, slope) = (cells[n].tanh(), by_hidden[step * per_hidden + n]);
            let cell = by_cell[n] + slope * o * (1.0 - squashed * squashed);
            into[index(0)] = cell * c * i * (1.0 - i);
            into[index(1)] = cell * cells_before[n] * f * (1.0 - f);
            into[index(2)] = cell * i * (1.0 - c * c);
            into[index(3)] = slope * squashed * o * (1.0 - o);
            by_cell[n] = cell * f;
        }
        forget(&mut by_cell, &stretch.keep[step * batch..(step + 1) * batch]);
        if step > 0 {
            // What a gap made forgotten gets no gradient: its part is masked before it is added.
            let mut earlier = vec![0.0; per_hidden];
            multiply((into, [4 * hidden, 1]), (hh, [hidden, 1]), [batch, 4 * hidden, hidden], &mut earlier);
            forget(&mut earlier, &stretch.keep[step * batch..(step + 1) * batch]);
            let slopes = &mut by_hidden[(step - 1) * per_hidden..step * per_hidden];
            slopes.iter_mut().zip(&earlier).for_each(|(slope, more)| *slope += more);
        }
    }
    by_gates
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lstm::Memory;
    use foretwin_core::Rng;

    const SIZE: Size = Size { inputs: 3, hidden: 4, outputs: 2 };
    const STEPS: usize = 6;
    const BATCH: usize = 2;

    fn setting() -> (Weights, Vec<f32>, Vec<f32>, Vec<f32>) {
        let mut rng = Rng::new(11);
        let mut noise = |n: usize| (0..n).map(|_| rng.normal() as f32 * 0.5).collect::<Vec<f32>>();
        let weights = Weights { size: SIZE, values: noise(SIZE.parameters()) };
        let inputs = noise(STEPS * BATCH * SIZE.inputs);
        let targets = noise(STEPS * BATCH * SIZE.outputs);
        let mut keep = vec![1.0; STEPS * BATCH];
        keep[3 * BATCH] = 0.0;
        (weights, inputs, targets, keep)
    }

    fn loss(weights: &Weights, stretch: &Stretch, targets: &[f32], trace: &mut Trace) -> f64 {
        trace.clear(BATCH * SIZE.hidden);
        trace.start.cell.fill(0.3);
        trace.start.hidden.fill(-0.2);
        forward(weights, stretch, trace);
        trace.outputs.iter().zip(targets).map(|(y, t)| f64::from(0.5 * (y - t) * (y - t))).sum()
    }

    #[test]
    fn the_gradient_agrees_with_finite_differences() {
        let (mut weights, inputs, targets, keep) = setting();
        let stretch = Stretch { steps: STEPS, batch: BATCH, inputs: &inputs, keep: &keep };
        let (mut trace, mut gradient) = (Trace::default(), vec![0.0; SIZE.parameters()]);
        loss(&weights, &stretch, &targets, &mut trace);
        let slope: Vec<f32> = trace.outputs.iter().zip(&targets).map(|(y, t)| y - t).collect();
        backward(&weights, &stretch, &trace, &slope, &mut gradient);
        for (n, derivative) in gradient.iter().enumerate() {
            let (value, step) = (weights.values[n], 1e-2);
            weights.values[n] = value + step;
            let above = loss(&weights, &stretch, &targets, &mut trace);
            weights.values[n] = value - step;
            let below = loss(&weights, &stretch, &targets, &mut trace);
            weights.values[n] = value;
            let numeric = (above - below) / (2.0 * f64::from(step));
            let error = (numeric - f64::from(*derivative)).abs();
            assert!(error < 2e-3 * (1.0 + numeric.abs()), "{n}: {numeric} against {derivative}");
        }
    }

    #[test]
    fn streaming_gives_what_the_forward_pass_gave() {
        let (weights, inputs, _, keep) = setting();
        let stretch = Stretch { steps: STEPS, batch: BATCH, inputs: &inputs, keep: &keep };
        let mut trace = Trace::default();
        trace.clear(BATCH * SIZE.hidden);
        forward(&weights, &stretch, &mut trace);
        for b in 0..BATCH {
            let (mut memory, mut out) = (Memory::new(SIZE.hidden), [0.0; 2]);
            for step in 0..STEPS {
                if keep[step * BATCH + b] == 0.0 {
                    memory.clear();
                }
                weights.step(&inputs[(step * BATCH + b) * 3..][..3], &mut memory, &mut out);
                let whole = &trace.outputs[(step * BATCH + b) * 2..][..2];
                assert!(out.iter().zip(whole).all(|(a, b)| (a - b).abs() < 1e-5));
            }
        }
    }
}
