//! How a packed network stores its weights: as they are, or rounded to bf16.

use super::vector::Vector;

/// A storage of weights. Rows of weights are stored in pairs, in the way each storage is read fastest.
pub trait Element: Copy + Default + private::Sealed {
    /// Rounds.
    fn store(x: f32) -> Self;
    /// Widens.
    fn load(self) -> f32;
    /// Where the weight in `column` of the first (0) or second (1) row of a pair of `width` columns is stored.
    fn place(row: usize, column: usize, width: usize) -> usize;
}

/// A number with the exponent of `f32` and eight bits of precision: its upper half.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Bf16(u16);

pub(super) mod private {
    use super::{Bf16, Vector};

    /// Reading vectors, which only the kernels do.
    pub trait Sealed: Sized {
        /// The vectors of a pair of rows that begin at `column`.
        fn read<V: Vector>(v: V, pair: &[Self], column: usize, width: usize) -> [V::F; 2];
    }

    impl Sealed for f32 {
        #[inline(always)]
        fn read<V: Vector>(v: V, pair: &[Self], column: usize, width: usize) -> [V::F; 2] {
            [v.read(pair, column), v.read(pair, width + column)]
        }
    }

    impl Sealed for Bf16 {
        #[inline(always)]
        fn read<V: Vector>(v: V, pair: &[Self], column: usize, _width: usize) -> [V::F; 2] {
            v.read_pairs(pair, 2 * column)
        }
    }
}

impl Element for f32 {
    fn store(x: f32) -> Self {
        x
    }
    fn load(self) -> f32 {
        self
    }
    fn place(row: usize, column: usize, width: usize) -> usize {
        row * width + column
    }
}

impl Element for Bf16 {
    /// Rounds to nearest, ties to even; NaN stays NaN. The relative error is at most 2^-8 / 2 (half a unit of the
    /// eighth bit) for normal numbers.
    fn store(x: f32) -> Self {
        let bits = x.to_bits();
        if x.is_nan() {
            // A payload in the lower half alone would round to infinity.
            return Self((bits >> 16) as u16 | 0x40);
        }
        Self((bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16) as u16)
    }
    fn load(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 16)
    }
    fn place(row: usize, column: usize, _width: usize) -> usize {
        2 * column + row
    }
}

impl Bf16 {
    /// The bits: sign, eight of exponent, seven of fraction.
    #[must_use]
    pub fn to_bits(self) -> u16 {
        self.0
    }

    /// The number with these bits.
    #[must_use]
    pub fn from_bits(bits: u16) -> Self {
        Self(bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use foretwin_core::Rng;

    #[test]
    fn rounding_is_to_nearest_and_ties_go_to_even() {
        let round = |bits: u32| Bf16::store(f32::from_bits(bits)).to_bits();
        assert_eq!(round(0x3f80_8000), 0x3f80);
        assert_eq!(round(0x3f81_8000), 0x3f82);
        assert_eq!(round(0x3f80_8001), 0x3f81);
        assert_eq!(round(0x3f80_7fff), 0x3f80);
        assert_eq!(round(0xff7f_ffff), 0xff80, "beyond the largest lies infinity");
        assert_eq!(round(0x8000_0000), 0x8000);
        assert!(Bf16::store(f32::from_bits(0x7f80_0001)).load().is_nan());
        assert_eq!(Bf16::store(f32::INFINITY).load(), f32::INFINITY);
    }

    #[test]
    fn the_error_is_at_most_half_a_unit() {
        let mut rng = Rng::new(3);
        for _ in 0..100_000 {
            let x = (rng.normal() * 10f64.powf(6.0 * rng.normal())) as f32;
            let error = (Bf16::store(x).load() - x).abs();
            assert!(error <= x.abs() / 256.0, "{x}");
            assert_eq!(Bf16::store(Bf16::store(x).load()), Bf16::store(x));
        }
    }
}
