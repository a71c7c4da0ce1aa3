//! The recurrent part: one LSTM layer (Hochreiter and Schmidhuber, 1997) and a linear read-out, in single precision.
//!
//! Gates stand in the order of `torch.nn.LSTM`: input, forget, cell, output. [`Weights`] holds and steps, [`train`]
//! fits, [`Learner`] is one network in training.
//!
//! Kernels are written once, over vectors whose width is chosen while the program runs ([`Level`]): AVX-512, AVX2 with
//! FMA, or what the compiler makes of plain code. They see a network in panels of 16 units (`pack`), products are made
//! in tiles of registers (`tile`), and the nonlinearities are applied before a tile leaves them.

mod adam;
mod aligned;
mod cells;
mod element;
mod learner;
mod level;
mod pack;
mod packed;
mod pass;
mod portable;
mod step;
mod tests;
mod tile;
mod train;
mod vector;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::ops::Range;

use foretwin_core::Rng;
use serde::{Deserialize, Serialize};

pub use element::{Bf16, Element};
pub use learner::Learner;
pub use level::Level;
pub use packed::{Packed, Seat, step_all, step_all_at};
pub use pass::Stretch;
pub use train::{Series, Training, evaluate, train, train_from};

/// Sizes of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Numbers it sees in a frame.
    pub inputs: usize,
    /// Units of the layer.
    pub hidden: usize,
    /// Numbers it gives.
    pub outputs: usize,
}

impl Size {
    /// `weight_ih`: 4 hidden × inputs.
    #[must_use]
    pub fn ih(self) -> Range<usize> {
        0..4 * self.hidden * self.inputs
    }

    /// `weight_hh`: 4 hidden × hidden.
    #[must_use]
    pub fn hh(self) -> Range<usize> {
        let start = self.ih().end;
        start..start + 4 * self.hidden * self.hidden
    }

    /// The bias of the gates, 4 hidden: `bias_ih + bias_hh` of torch.
    #[must_use]
    pub fn bias(self) -> Range<usize> {
        let start = self.hh().end;
        start..start + 4 * self.hidden
    }

    /// The read-out: outputs × hidden.
    #[must_use]
    pub fn out(self) -> Range<usize> {
        let start = self.bias().end;
        start..start + self.outputs * self.hidden
    }

    /// The bias of the read-out: outputs.
    #[must_use]
    pub fn out_bias(self) -> Range<usize> {
        let start = self.out().end;
        start..start + self.outputs
    }

    /// All parameters.
    #[must_use]
    pub fn parameters(self) -> usize {
        self.out_bias().end
    }
}

/// A network: its parameters in one block, so that an optimiser sees a vector.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    /// Sizes.
    pub size: Size,
    /// `weight_ih_l0`, `weight_hh_l0`, `bias_ih_l0 + bias_hh_l0`, read-out weight, read-out bias; see [`Size`].
    pub values: Vec<f32>,
}

/// What a network remembers between frames.
#[derive(Debug, Clone)]
pub struct Memory {
    /// Hidden states.
    pub hidden: Vec<f32>,
    /// Cells.
    pub cell: Vec<f32>,
    /// Room to work in; what it holds means nothing.
    room: Vec<f32>,
}

impl PartialEq for Memory {
    fn eq(&self, other: &Self) -> bool {
        (&self.hidden, &self.cell) == (&other.hidden, &other.cell)
    }
}

impl Memory {
    /// Nothing remembered, for a layer of `hidden` units.
    #[must_use]
    pub fn new(hidden: usize) -> Self {
        Self { hidden: vec![0.0; hidden], cell: vec![0.0; hidden], room: Vec::new() }
    }

    /// Forgets.
    pub fn clear(&mut self) {
        self.hidden.fill(0.0);
        self.cell.fill(0.0);
    }
}

impl Weights {
    /// Small random weights; the forget gate starts open (Gers et al., 2000), the read-out at zero, so that an
    /// untrained network changes nothing.
    #[must_use]
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
    #[must_use]
    pub fn keep_outputs(&self, kept: &[u32]) -> Self {
        let (size, hidden) = (Size { outputs: kept.len(), ..self.size }, self.size.hidden);
        let mut values = self.values[..self.size.out().start].to_vec();
        let (out, bias) = (&self.values[self.size.out()], &self.values[self.size.out_bias()]);
        values.extend(kept.iter().flat_map(|&n| &out[n as usize * hidden..(n as usize + 1) * hidden]));
        values.extend(kept.iter().map(|&n| bias[n as usize]));
        Self { size, values }
    }
}

#[cfg(test)]
mod by_hand {
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
}
