//! One frame through one network, as it was stored: nothing is prepared.

use super::cells::advance;
use super::level::Kernel;
use super::pack::{PANEL, UNITS};
use super::vector::Vector;
use super::{Level, Memory, Size, Weights};

impl Weights {
    /// Takes one frame of inputs and gives the outputs.
    pub fn step(&self, inputs: &[f32], memory: &mut Memory, outputs: &mut [f32]) {
        self.step_at(Level::best(), inputs, memory, outputs);
    }

    /// [`Self::step`] with chosen instructions.
    pub fn step_at(&self, level: Level, inputs: &[f32], memory: &mut Memory, outputs: &mut [f32]) {
        assert!(inputs.len() == self.size.inputs && memory.hidden.len() == self.size.hidden);
        level.run(Step { weights: self, inputs, memory, outputs });
    }
}

struct Step<'a> {
    weights: &'a Weights,
    inputs: &'a [f32],
    memory: &'a mut Memory,
    outputs: &'a mut [f32],
}

impl Kernel for Step<'_> {
    #[inline(always)]
    fn run<V: Vector>(self, v: V) {
        let Self { weights: Weights { size, values }, inputs, memory, outputs } = self;
        let Size { inputs: width, hidden, .. } = *size;
        let (ih, hh, bias) = (&values[size.ih()], &values[size.hh()], &values[size.bias()]);
        if memory.room.len() < hidden {
            memory.room.resize(hidden, 0.0);
        }
        for first in (0..hidden).step_by(UNITS) {
            let last = hidden.min(first + UNITS);
            let mut sums = [0.0; PANEL];
            for unit in first..last {
                let rows = [0, 1, 2, 3].map(|gate| gate * hidden + unit);
                let x = dots(v, rows.map(|row| &ih[row * width..(row + 1) * width]), inputs);
                let h = dots(v, rows.map(|row| &hh[row * hidden..(row + 1) * hidden]), &memory.hidden);
                for gate in 0..4 {
                    sums[gate * UNITS + unit - first] = bias[rows[gate]] + v.sum(v.add(x[gate], h[gate]));
                }
            }
            advance(v, &sums, &mut memory.cell[first..last], &mut memory.room[first..last]);
        }
        memory.hidden.copy_from_slice(&memory.room[..hidden]);
        let (out, out_bias) = (&values[size.out()], &values[size.out_bias()]);
        for (n, output) in outputs.iter_mut().enumerate() {
            let [sum] = dots(v, [&out[n * hidden..(n + 1) * hidden]], &memory.hidden);
            *output = out_bias[n] + v.sum(sum);
        }
    }
}

/// Products of N rows with a vector, still to be summed over lanes.
#[inline(always)]
fn dots<V: Vector, const N: usize>(v: V, rows: [&[f32]; N], x: &[f32]) -> [V::F; N] {
    let mut sums = [v.splat(0.0); N];
    let whole = x.len() / V::LANES * V::LANES;
    for at in (0..whole).step_by(V::LANES) {
        let x = v.read(x, at);
        for n in 0..N {
            sums[n] = v.fma(v.read(rows[n], at), x, sums[n]);
        }
    }
    if whole < x.len() {
        let last = v.read_part(&x[whole..]);
        for n in 0..N {
            sums[n] = v.fma(v.read_part(&rows[n][whole..]), last, sums[n]);
        }
    }
    sums
}
