//! The recurrent part: one LSTM layer (Hochreiter and Schmidhuber, 1997) and a linear read-out, in single precision.
//!
//! Gates stand in the order of `torch.nn.LSTM`: input, forget, cell, output. [`Weights`] holds and steps, `pass`
//! differentiates, [`train`] fits; a faster kernel replaces `pass` and [`Weights::step`] and nothing else.

mod adam;
mod pass;
mod train;

use std::ops::Range;

use foretwin_core::Rng;
use serde::{Deserialize, Serialize};

pub(crate) use train::{Series, Training, evaluate, train};

/// Sizes of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Size {
    pub inputs: usize,
    pub hidden: usize,
    pub outputs: usize,
}

impl Size {
    /// `weight_ih`: 4 hidden × inputs.
    pub fn ih(self) -> Range<usize> {
        0..4 * self.hidden * self.inputs
    }

    /// `weight_hh`: 4 hidden × hidden.
    pub fn hh(self) -> Range<usize> {
        let start = self.ih().end;
        start..start + 4 * self.hidden * self.hidden
    }

    /// The bias of the gates, 4 hidden: `bias_ih + bias_hh` of torch.
    pub fn bias(self) -> Range<usize> {
        let start = self.hh().end;
        start..start + 4 * self.hidden
    }

    /// The read-out: outputs × hidden.
    pub fn out(self) -> Range<usize> {
        let start = self.bias().end;
        start..start + self.outputs * self.hidden
    }

    /// The bias of the read-out: outputs.
    pub fn out_bias(self) -> Range<usize> {
        let start = self.out().end;
        start..start + self.outputs
    }

    /// All parameters.
    pub fn parameters(self) -> usize {
        self.out_bias().end
    }
}

/// A network: its parameters in one block, so that an optimiser sees a vector.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Weights {
    pub size: Size,
    pub values: Vec<f32>,
}

/// What a network remembers between frames, and room for its gates.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Memory {
    pub hidden: Vec<f32>,
    pub cell: Vec<f32>,
    gates: Vec<f32>,
}

impl Memory {
    pub fn new(hidden: usize) -> Self {
        Self { hidden: vec![0.0; hidden], cell: vec![0.0; hidden], gates: vec![0.0; 4 * hidden] }
    }

    pub fn clear(&mut self) {
        self.hidden.fill(0.0);
        self.cell.fill(0.0);
    }
}

impl Weights {
    /// Small random weights; the forget gate starts open (Gers et al., 2000), the read-out at zero, so that an
    /// untrained network changes nothing.
    pub fn new(size: Size, seed: u64) -> Self {
        let (mut rng, mut values) = (Rng::new(seed), vec![0.0; size.parameters()]);
        let bound = 1.0 / (size.hidden as f64).sqrt();
        for value in &mut values[size.ih().start..size.hh().end] {
            *value = ((2.0 * rng.uniform() - 1.0) * bound) as f32;
        }
        let forget = size.bias().start + size.hidden;
        values[forget..forget + size.hidden].fill(1.0);
        Self { size, values }
    }

    /// The same network with only some of its outputs.
    pub fn keep_outputs(&self, kept: &[u32]) -> Self {
        let (size, hidden) = (Size { outputs: kept.len(), ..self.size }, self.size.hidden);
        let mut values = self.values[..self.size.out().start].to_vec();
        let (out, bias) = (&self.values[self.size.out()], &self.values[self.size.out_bias()]);
        values.extend(kept.iter().flat_map(|&n| &out[n as usize * hidden..(n as usize + 1) * hidden]));
        values.extend(kept.iter().map(|&n| bias[n as usize]));
        Self { size, values }
    }

    /// Takes one frame of inputs and gives the outputs.
    pub fn step(&self, inputs: &[f32], memory: &mut Memory, outputs: &mut [f32]) {
        let Size { inputs: width, hidden, .. } = self.size;
        let (ih, hh) = (&self.values[self.size.ih()], &self.values[self.size.hh()]);
        let bias = &self.values[self.size.bias()];
        for (g, gate) in memory.gates.iter_mut().enumerate() {
            *gate = bias[g]
                + dot(&ih[g * width..(g + 1) * width], inputs)
                + dot(&hh[g * hidden..(g + 1) * hidden], &memory.hidden);
        }
        activate(&mut memory.gates, hidden);
        for u in 0..hidden {
            let [i, f, c, o] = [0, 1, 2, 3].map(|gate| memory.gates[gate * hidden + u]);
            memory.cell[u] = f * memory.cell[u] + i * c;
            memory.hidden[u] = o * memory.cell[u].tanh();
        }
        let (out, out_bias) = (&self.values[self.size.out()], &self.values[self.size.out_bias()]);
        for (n, output) in outputs.iter_mut().enumerate() {
            *output = out_bias[n] + dot(&out[n * hidden..(n + 1) * hidden], &memory.hidden);
        }
    }
}

/// The gates' nonlinearities, in place on 4 × hidden sums.
fn activate(gates: &mut [f32], hidden: usize) {
    for (g, gate) in gates.iter_mut().enumerate() {
        *gate = if g / hidden == 2 { gate.tanh() } else { sigmoid(*gate) };
    }
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// A product summed in eight lanes, which the compiler turns into vector code.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a_blocks, b_blocks) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = a_blocks.remainder().iter().zip(b_blocks.remainder()).map(|(x, y)| x * y).sum();
    let mut lanes = [0.0f32; 8];
    for (x, y) in a_blocks.zip(b_blocks) {
        for lane in 0..8 {
            lanes[lane] += x[lane] * y[lane];
        }
    }
    rest + lanes.iter().sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_untrained_network_changes_nothing() {
        let size = Size { inputs: 5, hidden: 3, outputs: 2 };
        let (weights, mut memory, mut out) = (Weights::new(size, 1), Memory::new(3), [9.0; 2]);
        weights.step(&[1.0; 5], &mut memory, &mut out);
        assert_eq!(out, [0.0; 2]);
        assert!(memory.hidden.iter().any(|h| *h != 0.0));
        assert_eq!(size.parameters(), 12 * 5 + 12 * 3 + 12 + 6 + 2);
    }

    /// One cell with all weights 1 and no bias, by hand: s = σ(1), c = s tanh 1, h = s tanh c.
    #[test]
    fn one_step_by_hand() {
        let size = Size { inputs: 1, hidden: 1, outputs: 1 };
        let mut weights = Weights { size, values: vec![1.0; size.parameters()] };
        let bias = size.bias();
        weights.values[bias].fill(0.0);
        let (mut memory, mut out) = (Memory::new(1), [0.0]);
        weights.step(&[1.0], &mut memory, &mut out);
        let s = 1.0 / (1.0 + (-1.0f32).exp());
        let h = s * (s * 1.0f32.tanh()).tanh();
        assert!((out[0] - (1.0 + h)).abs() < 1e-6);
    }

    #[test]
    fn dot_sums_every_element() {
        let a: Vec<f32> = (1..=19).map(|n| n as f32).collect();
        assert_eq!(dot(&a, &a), (1..=19).map(|n| (n * n) as f32).sum::<f32>());
    }
}
