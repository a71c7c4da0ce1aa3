//! Vectors for any processor: four numbers in an array, which compilers turn into what there is.
//!
//! `unsafe` for reading and writing through pointers, as [`Vector`] demands.
#![allow(unsafe_code)]

use super::vector::Vector;

const LANES: usize = 4;
/// Adding and subtracting this rounds to an integer (1.5 * 2^23).
const ROUNDER: f32 = 12_582_912.0;

/// Plain code.
#[derive(Debug, Clone, Copy)]
pub(super) struct Portable;

#[inline(always)]
fn each(f: impl Fn(usize) -> f32) -> [f32; LANES] {
    [f(0), f(1), f(2), f(3)]
}

impl Vector for Portable {
    type F = [f32; LANES];
    const LANES: usize = LANES;
    const WIDE: bool = false;

    #[inline(always)]
    fn splat(self, x: f32) -> Self::F {
        [x; LANES]
    }
    #[inline(always)]
    unsafe fn load(self, at: *const f32) -> Self::F {
        // SAFETY: the caller's.
        unsafe { at.cast::<Self::F>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn load_part(self, at: *const f32, count: usize) -> Self::F {
        // SAFETY: the caller's; only the first `count` are read.
        each(|n| if n < count { unsafe { *at.add(n) } } else { 0.0 })
    }
    #[inline(always)]
    unsafe fn store(self, at: *mut f32, x: Self::F) {
        // SAFETY: the caller's.
        unsafe { at.cast::<Self::F>().write_unaligned(x) }
    }
    #[inline(always)]
    unsafe fn load_pairs(self, at: *const u16) -> [Self::F; 2] {
        // SAFETY: the caller's.
        let halves = unsafe { at.cast::<[u16; 2 * LANES]>().read_unaligned() };
        let widen = |half: u16| f32::from_bits(u32::from(half) << 16);
        [each(|n| widen(halves[2 * n])), each(|n| widen(halves[2 * n + 1]))]
    }
    #[inline(always)]
    fn add(self, a: Self::F, b: Self::F) -> Self::F {
        each(|n| a[n] + b[n])
    }
    #[inline(always)]
    fn sub(self, a: Self::F, b: Self::F) -> Self::F {
        each(|n| a[n] - b[n])
    }
    #[inline(always)]
    fn mul(self, a: Self::F, b: Self::F) -> Self::F {
        each(|n| a[n] * b[n])
    }
    // Not `mul_add`: without the instruction that is a call of a function.
    #[inline(always)]
    fn fma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        each(|n| a[n] * b[n] + c[n])
    }
    #[inline(always)]
    fn clamp(self, x: Self::F, most: f32) -> Self::F {
        each(|n| x[n].clamp(-most, most))
    }
    #[inline(always)]
    fn round(self, x: Self::F) -> Self::F {
        each(|n| (x[n] + ROUNDER) - ROUNDER)
    }
    #[inline(always)]
    fn scale(self, x: Self::F, n: Self::F) -> Self::F {
        // The low bits of n + ROUNDER hold n; the exponent's bias is added and the sum shifted into its place.
        each(|k| x[k] * f32::from_bits(((n[k] + ROUNDER).to_bits().wrapping_add(127)) << 23))
    }
    #[inline(always)]
    fn reciprocal(self, x: Self::F) -> Self::F {
        each(|n| 1.0 / x[n])
    }
    #[inline(always)]
    fn sum(self, x: Self::F) -> f32 {
        (x[0] + x[1]) + (x[2] + x[3])
    }
    #[inline(always)]
    fn prefetch(self, _at: *const u8) {}
}
