//! The order in which kernels consume a network's parameters: panels of 16 units, all four gates side by side.
//!
//! A panel is `1 + inputs + hidden` rows of 64: bias, `weight_ih`, `weight_hh`, each row `i f g o` of 16 units. The
//! read-out follows as `1 + hidden` rows: bias, weights. Units and outputs are padded to a multiple of 16; what does
//! not exist has zero weights and stays silent.

use super::aligned::Aligned;
use super::{Size, Weights};

/// Units of a panel: the widest vector.
pub(super) const UNITS: usize = 16;
/// Gate sums of a panel.
pub(super) const PANEL: usize = 4 * UNITS;

/// Sizes of a packed network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    pub size: Size,
    /// Units, padded.
    pub hidden: usize,
    /// Outputs, padded.
    pub outputs: usize,
}

impl Plan {
    pub fn new(size: Size) -> Self {
        let [hidden, outputs] = [size.hidden, size.outputs].map(|n| n.next_multiple_of(UNITS));
        Self { size, hidden, outputs }
    }

    pub fn panels(self) -> usize {
        self.hidden / UNITS
    }

    /// Numbers in a panel.
    pub fn panel(self) -> usize {
        (1 + self.size.inputs + self.hidden) * PANEL
    }

    /// Where the read-out begins.
    pub fn read_out(self) -> usize {
        self.panels() * self.panel()
    }

    /// Numbers in all.
    pub fn length(self) -> usize {
        self.read_out() + (1 + self.hidden) * self.outputs
    }

    /// Calls `pair` with the place of every parameter in [`Weights::values`] and here.
    pub fn places(self, mut pair: impl FnMut(usize, usize)) {
        let Size { inputs, hidden, outputs } = self.size;
        for gate in 0..4 {
            for unit in 0..hidden {
                let row = gate * hidden + unit;
                let column = unit / UNITS * self.panel() + gate * UNITS + unit % UNITS;
                pair(self.size.bias().start + row, column);
                for k in 0..inputs {
                    pair(self.size.ih().start + row * inputs + k, column + (1 + k) * PANEL);
                }
                for k in 0..hidden {
                    pair(self.size.hh().start + row * hidden + k, column + (1 + inputs + k) * PANEL);
                }
            }
        }
        for n in 0..outputs {
            pair(self.size.out_bias().start + n, self.read_out() + n);
            for k in 0..hidden {
                let row = self.read_out() + (1 + k) * self.outputs;
                pair(self.size.out().start + n * hidden + k, row + n);
            }
        }
    }

    /// The parameters in this order.
    pub fn pack(self, weights: &Weights) -> Aligned<f32> {
        let mut packed = Aligned::zeroed(self.length());
        self.places(|there, here| packed[here] = weights.values[there]);
        packed
    }

    /// The parameters (or their gradient) in the order of torch.
    pub fn unpack(self, packed: &[f32]) -> Weights {
        let mut values = vec![0.0; self.size.parameters()];
        self.places(|there, here| values[there] = packed[here]);
        Weights { size: self.size, values }
    }
}

/// `into[c][r] = from[r][c]` for `rows` rows whose first `columns` numbers count, `stride` numbers apart.
pub(super) fn transpose((from, stride): (&[f32], usize), [rows, columns]: [usize; 2], into: &mut [f32]) {
    for (c, column) in into.chunks_exact_mut(rows).take(columns).enumerate() {
        for (r, value) in column.iter_mut().enumerate() {
            *value = from[r * stride + c];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packing_loses_nothing() {
        for (inputs, hidden, outputs) in [(3, 5, 2), (1, 16, 16), (38, 33, 17)] {
            let size = Size { inputs, hidden, outputs };
            let values = (1..=size.parameters()).map(|n| n as f32).collect();
            let (weights, plan) = (Weights { size, values }, Plan::new(size));
            let packed = plan.pack(&weights);
            assert_eq!(plan.unpack(&packed), weights);
            assert_eq!(packed.iter().filter(|x| **x != 0.0).count(), size.parameters());
        }
    }

    #[test]
    fn transposed_rows_are_columns() {
        let mut into = [0.0; 4];
        transpose((&[1.0, 2.0, 9.0, 3.0, 4.0, 9.0], 3), [2, 2], &mut into);
        assert_eq!(into, [1.0, 3.0, 2.0, 4.0]);
    }
}
