//! What the kernels ask of vector instructions, and the nonlinearities made of it.
//!
//! `unsafe` because the innermost loop reads through pointers: it checks the reach of its operands once, not at every
//! vector. Everything else uses `read` and `write`, which check.
#![allow(unsafe_code)]

use super::element::Bf16;

/// Vectors of `f32`. A value is the proof that the processor has the instructions.
pub trait Vector: Copy {
    /// One vector.
    type F: Copy;
    /// Numbers in a vector; divides [`super::pack::UNITS`].
    const LANES: usize;
    /// Whether there are 32 registers (room for tiles of 6 rows of 4 vectors) and not 16.
    const WIDE: bool;

    fn splat(self, x: f32) -> Self::F;
    /// The vector that begins at `at`.
    #[inline(always)]
    fn read(self, from: &[f32], at: usize) -> Self::F {
        assert!(at + Self::LANES <= from.len());
        // SAFETY: asserted.
        unsafe { self.load(from.as_ptr().add(at)) }
    }
    /// A vector of fewer than `LANES` numbers, the others zero.
    #[inline(always)]
    fn read_part(self, from: &[f32]) -> Self::F {
        assert!(from.len() < Self::LANES);
        // SAFETY: asserted.
        unsafe { self.load_part(from.as_ptr(), from.len()) }
    }
    /// Writes the vector that begins at `at`.
    #[inline(always)]
    fn write(self, into: &mut [f32], at: usize, x: Self::F) {
        assert!(at + Self::LANES <= into.len());
        // SAFETY: asserted.
        unsafe { self.store(into.as_mut_ptr().add(at), x) }
    }
    /// The vectors of `LANES` pairs of bf16 that begin at `at`.
    #[inline(always)]
    fn read_pairs(self, from: &[Bf16], at: usize) -> [Self::F; 2] {
        assert!(at + 2 * Self::LANES <= from.len());
        // SAFETY: asserted; a `Bf16` is a `u16` by its layout.
        unsafe { self.load_pairs(from.as_ptr().add(at).cast()) }
    }
    /// # Safety
    /// `LANES` numbers must be readable at `at`.
    unsafe fn load(self, at: *const f32) -> Self::F;
    /// # Safety
    /// `count`, below `LANES`, numbers must be readable at `at`.
    unsafe fn load_part(self, at: *const f32, count: usize) -> Self::F;
    /// # Safety
    /// `LANES` numbers must be writable at `at`.
    unsafe fn store(self, at: *mut f32, x: Self::F);
    /// `LANES` pairs of bf16, widened: the low halves and the high halves of 32-bit words.
    ///
    /// # Safety
    /// `2 LANES` numbers must be readable at `at`.
    unsafe fn load_pairs(self, at: *const u16) -> [Self::F; 2];
    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    fn sub(self, a: Self::F, b: Self::F) -> Self::F;
    fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a b + c`, rounded once or twice.
    fn fma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// `x` held within `-most` and `most`; NaN stays NaN.
    fn clamp(self, x: Self::F, most: f32) -> Self::F;
    /// The nearest integer, for |x| below 2^22.
    fn round(self, x: Self::F) -> Self::F;
    /// `x` times two to the power of an integral `n` within -126 and 127.
    fn scale(self, x: Self::F, n: Self::F) -> Self::F;
    /// `1 / x` to 2e-7 for 1 <= x < 2^126.
    fn reciprocal(self, x: Self::F) -> Self::F;
    /// The sum over lanes.
    fn sum(self, x: Self::F) -> f32;
    /// Asks for the cache line of an address, which need not exist.
    fn prefetch(self, at: *const u8);
}

/// Two to the power of r, for |r| <= 1/2, is 1 + r (these, lowest power first); relative error below 1e-7 (minimax
/// with the constant term fixed, so that the power of zero is exactly one).
// The first is near ln 2, and is not: it shares in evening out the error.
#[allow(clippy::approx_constant)]
const POWER: [f32; 5] = [0.693_147, 0.240_222_42, 0.055_507_336, 0.009_671_513, 0.001_326_472_8];
/// Beyond this power of two the logistic function is 0 or 1 in single precision.
const SATURATED: f32 = 100.0;

/// Two to the power of `x`.
#[inline(always)]
fn power_of_two<V: Vector>(v: V, x: V::F) -> V::F {
    let x = v.clamp(x, SATURATED);
    let n = v.round(x);
    let r = v.sub(x, n);
    let mut sum = v.splat(POWER[4]);
    for coefficient in [POWER[3], POWER[2], POWER[1], POWER[0], 1.0] {
        sum = v.fma(sum, r, v.splat(coefficient));
    }
    v.scale(sum, n)
}

/// The logistic function, absolute error below 3e-7.
#[inline(always)]
pub(super) fn sigmoid<V: Vector>(v: V, x: V::F) -> V::F {
    let power = power_of_two(v, v.mul(x, v.splat(-std::f32::consts::LOG2_E)));
    v.reciprocal(v.add(v.splat(1.0), power))
}

/// The hyperbolic tangent, absolute error below 3e-7; exactly 0 at 0, so that units which do not exist stay silent.
#[inline(always)]
pub(super) fn tanh<V: Vector>(v: V, x: V::F) -> V::F {
    let power = power_of_two(v, v.mul(x, v.splat(2.0 * std::f32::consts::LOG2_E)));
    let one = v.splat(1.0);
    v.mul(v.sub(power, one), v.reciprocal(v.add(power, one)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lstm::level::{Kernel, Level};

    /// Applies both functions to a slice whose length is a multiple of 16.
    struct Apply<'a>(&'a [f32], &'a mut [f32], &'a mut [f32]);

    impl Kernel for Apply<'_> {
        #[inline(always)]
        fn run<V: Vector>(self, v: V) {
            for at in (0..self.0.len()).step_by(V::LANES) {
                let x = v.read(self.0, at);
                v.write(self.1, at, sigmoid(v, x));
                v.write(self.2, at, tanh(v, x));
            }
        }
    }

    fn both(level: Level, x: &[f32]) -> [Vec<f32>; 2] {
        let (mut s, mut t) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        level.run(Apply(x, &mut s, &mut t));
        [s, t]
    }

    #[test]
    fn nonlinearities_are_within_their_errors() {
        for level in Level::all() {
            let x: Vec<f32> = (-40_000..40_000).map(|n| n as f32 * 5e-4).collect();
            let [s, t] = both(level, &x);
            let (mut worst_s, mut worst_t) = (0.0f64, 0.0f64);
            for (n, &x) in x.iter().enumerate() {
                let x = f64::from(x);
                worst_s = worst_s.max((f64::from(s[n]) - 1.0 / (1.0 + (-x).exp())).abs());
                worst_t = worst_t.max((f64::from(t[n]) - x.tanh()).abs());
            }
            println!("{}: sigmoid {worst_s:.1e}, tanh {worst_t:.1e}", level.name());
            assert!(worst_s < 3e-7 && worst_t < 3e-7, "{}: {worst_s} {worst_t}", level.name());
        }
    }

    #[test]
    fn extremes_saturate_and_nan_stays() {
        for level in Level::all() {
            let mut x = [0.0f32; 16];
            x[1..5].copy_from_slice(&[f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 1e30]);
            let [s, t] = both(level, &x);
            assert_eq!(t[0], 0.0);
            for (found, limit) in [(t[1], 1.0), (t[2], -1.0), (t[4], 1.0), (s[1], 1.0), (s[2], 0.0)] {
                assert!((found - limit).abs() < 3e-7, "{found} {limit}");
            }
            assert!((s[0] - 0.5).abs() < 2e-7);
            assert!(s[3].is_nan() && t[3].is_nan());
        }
    }
}
