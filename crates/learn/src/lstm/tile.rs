//! Matrix products in tiles that stay in registers, and the gates computed from them.
//!
//! `unsafe` for the innermost loop: it reads through pointers whose reach is asserted once for a tile.
#![allow(unsafe_code)]

use super::level::Kernel;
use super::pack::{PANEL, Plan, UNITS};
use super::vector::{Vector, sigmoid, tanh};

/// The left operand: element (m, k) at `m row + k step`.
#[derive(Clone, Copy)]
pub(super) struct Left<'a> {
    pub values: &'a [f32],
    pub row: usize,
    pub step: usize,
}

/// The right operand: `k row` to the k-th row.
#[derive(Clone, Copy)]
pub(super) struct Right<'a> {
    pub values: &'a [f32],
    pub row: usize,
}

/// Adds to M rows of N vectors the product of M rows of `a`, from row `first` on, and `depth` rows of `b`, whose
/// vectors lie `apart` numbers apart.
#[inline(always)]
// Indices here name registers; iterators hide that from the optimiser.
#[allow(clippy::needless_range_loop)]
fn accumulate<V: Vector, const M: usize, const N: usize>(
    v: V,
    mut sums: [[V::F; N]; M],
    (a, first): (Left, usize),
    (b, apart, depth): (Right, usize, usize),
) -> [[V::F; N]; M] {
    if depth == 0 {
        return sums;
    }
    assert!((first + M - 1) * a.row + (depth - 1) * a.step < a.values.len());
    assert!((depth - 1) * b.row + (N - 1) * apart + V::LANES <= b.values.len());
    let (mut left, mut right) = (a.values.as_ptr().wrapping_add(first * a.row), b.values.as_ptr());
    for _ in 0..depth {
        // SAFETY: the assertions cover the last row of both operands, and so all before it.
        unsafe {
            // One vector of the right operand at a time: that leaves registers for all sums and all of the left.
            let column: [V::F; M] = std::array::from_fn(|m| v.splat(*left.add(m * a.row)));
            for n in 0..N {
                let row = v.load(right.add(n * apart));
                for m in 0..M {
                    sums[m][n] = v.fma(column[m], row, sums[m][n]);
                }
            }
        }
        (left, right) = (left.wrapping_add(a.step), right.wrapping_add(b.row));
    }
    sums
}

/// `c = a b` or `c += a b`.
pub(super) struct Product<'a> {
    pub a: Left<'a>,
    pub b: Right<'a>,
    /// The result and the length of its rows.
    pub c: (&'a mut [f32], usize),
    /// Rows of c, columns of c (a multiple of 16), and what is summed over.
    pub shape: [usize; 3],
    /// Whether c is added to.
    pub add: bool,
}

impl Kernel for Product<'_> {
    #[inline(always)]
    fn run<V: Vector>(mut self, v: V) {
        let vectors = self.shape[1] / V::LANES;
        let mut done = 0;
        while done < vectors {
            match vectors - done {
                1 => self.columns::<V, 1>(v, done),
                2 => self.columns::<V, 2>(v, done),
                3 => self.columns::<V, 3>(v, done),
                _ => self.columns::<V, 4>(v, done),
            }
            done += 4;
        }
    }
}

impl Product<'_> {
    /// All rows of N vectors of columns, from the vector `done` on.
    #[inline(always)]
    fn columns<V: Vector, const N: usize>(&mut self, v: V, done: usize) {
        let (rows, column) = (self.shape[0], done * V::LANES);
        let mut row = 0;
        while V::WIDE && row + 6 <= rows {
            self.tile::<V, 6, N>(v, row, column);
            row += 6;
        }
        while !V::WIDE && V::LANES == 8 && row + 3 <= rows {
            self.tile::<V, 3, N>(v, row, column);
            row += 3;
        }
        while row + 2 <= rows {
            self.tile::<V, 2, N>(v, row, column);
            row += 2;
        }
        if row < rows {
            self.tile::<V, 1, N>(v, row, column);
        }
    }

    #[inline(always)]
    fn tile<V: Vector, const M: usize, const N: usize>(&mut self, v: V, row: usize, column: usize) {
        let (c, width) = (&mut *self.c.0, self.c.1);
        let mut sums = [[v.splat(0.0); N]; M];
        if self.add {
            for (m, sums) in sums.iter_mut().enumerate() {
                for (n, sum) in sums.iter_mut().enumerate() {
                    *sum = v.read(c, (row + m) * width + column + n * V::LANES);
                }
            }
        }
        let b = Right { values: &self.b.values[column..], ..self.b };
        let sums = accumulate(v, sums, (self.a, row), (b, V::LANES, self.shape[2]));
        for (m, sums) in sums.iter().enumerate() {
            for (n, sum) in sums.iter().enumerate() {
                v.write(c, (row + m) * width + column + n * V::LANES, *sum);
            }
        }
    }
}

/// One step of many rows through one network: gates, cells, hidden states.
pub(super) struct Gates<'a> {
    pub plan: Plan,
    /// Packed parameters.
    pub weights: &'a [f32],
    /// rows × inputs.
    pub inputs: &'a [f32],
    /// rows × hidden (padded, as all that follows): memory before the step.
    pub hidden: &'a [f32],
    pub cell: &'a [f32],
    /// Per row, what memory is multiplied by on its way to the next step.
    pub keep: Option<&'a [f32]>,
    /// Activated gates: panels × `apart`, of which rows × 64 are written.
    pub gates: &'a mut [f32],
    pub apart: usize,
    /// The hyperbolic tangent of the cells.
    pub squashed: &'a mut [f32],
    /// The hidden states.
    pub after: &'a mut [f32],
    /// Memory before the next step.
    pub next_hidden: &'a mut [f32],
    pub next_cell: &'a mut [f32],
}

impl Kernel for Gates<'_> {
    #[inline(always)]
    fn run<V: Vector>(mut self, v: V) {
        let rows = self.cell.len() / self.plan.hidden;
        for panel in 0..self.plan.panels() {
            for lane in (0..UNITS).step_by(V::LANES) {
                let mut row = 0;
                while V::WIDE && row + 6 <= rows {
                    self.tile::<V, 6>(v, [panel, lane, row]);
                    row += 6;
                }
                while !V::WIDE && V::LANES == 8 && row + 3 <= rows {
                    self.tile::<V, 3>(v, [panel, lane, row]);
                    row += 3;
                }
                while row + 2 <= rows {
                    self.tile::<V, 2>(v, [panel, lane, row]);
                    row += 2;
                }
                if row < rows {
                    self.tile::<V, 1>(v, [panel, lane, row]);
                }
            }
        }
    }
}

impl Gates<'_> {
    #[inline(always)]
    fn tile<V: Vector, const M: usize>(&mut self, v: V, [panel, lane, row]: [usize; 3]) {
        let (inputs, hidden) = (self.plan.size.inputs, self.plan.hidden);
        let weights = &self.weights[panel * self.plan.panel() + lane..];
        let bias: [V::F; 4] = std::array::from_fn(|gate| v.read(weights, gate * UNITS));
        let x = Left { values: self.inputs, row: inputs, step: 1 };
        let ih = Right { values: &weights[PANEL..], row: PANEL };
        let sums = accumulate(v, [bias; M], (x, row), (ih, UNITS, inputs));
        let h = Left { values: self.hidden, row: hidden, step: 1 };
        let hh = Right { values: &weights[(1 + inputs) * PANEL..], row: PANEL };
        let sums = accumulate(v, sums, (h, row), (hh, UNITS, hidden));
        for (m, &[i, f, g, o]) in sums.iter().enumerate() {
            let at = (row + m) * hidden + panel * UNITS + lane;
            let [i, f, g, o] = [sigmoid(v, i), sigmoid(v, f), tanh(v, g), sigmoid(v, o)];
            let cell = v.fma(f, v.read(self.cell, at), v.mul(i, g));
            let squashed = tanh(v, cell);
            let state = v.mul(o, squashed);
            let gates = panel * self.apart + (row + m) * PANEL + lane;
            for (gate, value) in [i, f, g, o].into_iter().enumerate() {
                v.write(self.gates, gates + gate * UNITS, value);
            }
            let keep = v.splat(self.keep.map_or(1.0, |keep| keep[row + m]));
            v.write(self.squashed, at, squashed);
            v.write(self.after, at, state);
            v.write(self.next_hidden, at, v.mul(state, keep));
            v.write(self.next_cell, at, v.mul(cell, keep));
        }
    }
}
