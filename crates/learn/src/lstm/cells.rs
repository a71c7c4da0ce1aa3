//! The nonlinearities of one step: of a single instance forward, of many rows backward.

use super::level::Kernel;
use super::pack::{PANEL, Plan, UNITS};
use super::vector::{Vector, sigmoid, tanh};

/// From the gates' sums of a panel (i, f, g, o, 16 units each): moves the cells on and gives the hidden states, of as
/// many units as there are.
#[inline(always)]
pub(super) fn advance<V: Vector>(v: V, sums: &[f32; PANEL], cells: &mut [f32], hidden: &mut [f32]) {
    let (mut cell, mut state) = ([0.0; UNITS], [0.0; UNITS]);
    cell[..cells.len()].copy_from_slice(cells);
    for lane in (0..UNITS).step_by(V::LANES) {
        let [i, f, g, o] = std::array::from_fn(|gate| v.read(sums, gate * UNITS + lane));
        let next = v.fma(sigmoid(v, f), v.read(&cell, lane), v.mul(sigmoid(v, i), tanh(v, g)));
        v.write(&mut cell, lane, next);
        v.write(&mut state, lane, v.mul(sigmoid(v, o), tanh(v, next)));
    }
    cells.copy_from_slice(&cell[..cells.len()]);
    hidden.copy_from_slice(&state[..hidden.len()]);
}

/// Turns activated gates into the derivatives by the sums that entered them.
pub(super) struct Cells<'a> {
    pub plan: Plan,
    /// panels × `apart`, of which rows × 64 are read and written.
    pub gates: &'a mut [f32],
    pub apart: usize,
    /// rows × hidden (padded, as all that follows): the hyperbolic tangent of the cells after the step.
    pub squashed: &'a [f32],
    /// Cells before the step.
    pub before: &'a [f32],
    /// Derivatives by the hidden states after the step.
    pub by_hidden: &'a [f32],
    /// Derivatives by the cells: after the step, and then before it.
    pub by_cell: &'a mut [f32],
    /// The gradient in packed order, to whose biases the derivatives are added.
    pub gradient: &'a mut [f32],
}

impl Kernel for Cells<'_> {
    #[inline(always)]
    fn run<V: Vector>(mut self, v: V) {
        for panel in 0..self.plan.panels() {
            for lane in (0..UNITS).step_by(V::LANES) {
                self.lanes(v, panel, lane);
            }
        }
    }
}

impl Cells<'_> {
    #[inline(always)]
    fn lanes<V: Vector>(&mut self, v: V, panel: usize, lane: usize) {
        let hidden = self.plan.hidden;
        let mut sums = [v.splat(0.0); 4];
        for row in 0..self.squashed.len() / hidden {
            let (at, gates) = (row * hidden + panel * UNITS + lane, panel * self.apart + row * PANEL + lane);
            let values = std::array::from_fn(|gate| v.read(self.gates, gates + gate * UNITS));
            let slopes = self.slopes(v, at, values);
            for (gate, slope) in slopes.into_iter().enumerate() {
                v.write(self.gates, gates + gate * UNITS, slope);
                sums[gate] = v.add(sums[gate], slope);
            }
        }
        for (gate, sum) in sums.into_iter().enumerate() {
            let bias = panel * self.plan.panel() + gate * UNITS + lane;
            let total = v.add(v.read(self.gradient, bias), sum);
            v.write(self.gradient, bias, total);
        }
    }

    /// Derivatives by the four sums of one vector of units.
    #[inline(always)]
    fn slopes<V: Vector>(&mut self, v: V, at: usize, [i, f, g, o]: [V::F; 4]) -> [V::F; 4] {
        let one = v.splat(1.0);
        let (squashed, slope) = (v.read(self.squashed, at), v.read(self.by_hidden, at));
        let through = v.mul(slope, o);
        let bent = v.sub(one, v.mul(squashed, squashed));
        let cell = v.fma(through, bent, v.read(self.by_cell, at));
        v.write(self.by_cell, at, v.mul(cell, f));
        // The derivative of the logistic function is s (1 - s), of the hyperbolic tangent 1 - t².
        let logistic = |s: V::F| v.mul(s, v.sub(one, s));
        [
            v.mul(v.mul(cell, g), logistic(i)),
            v.mul(v.mul(cell, v.read(self.before, at)), logistic(f)),
            v.mul(v.mul(cell, i), v.sub(one, v.mul(g, g))),
            v.mul(v.mul(slope, squashed), logistic(o)),
        ]
    }
}
