//! Vectors of x86-64: AVX2 with FMA, and AVX-512.
//!
//! `unsafe` because intrinsics must only run where the processor has them: an [`Avx2`] or [`Avx512`] is made by
//! `detect` alone, and having one is the proof. Pointers are the callers' to answer for, as [`Vector`] says.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::vector::Vector;

/// AVX2 and FMA were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Avx2(());

impl Avx2 {
    pub fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Self(()))
    }
}

/// AVX-512F was found, and what AVX2 code needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Avx512(());

impl Avx512 {
    pub fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx512f") && Avx2::detect().is_some()).then_some(Self(()))
    }
}

/// An operation whose instructions the token vouches for.
macro_rules! vouched {
    ($($body:tt)*) => {
        // SAFETY: `self` exists only where the instructions do; pointers are the caller's.
        unsafe { $($body)* }
    };
}

impl Vector for Avx2 {
    type F = __m256;
    const LANES: usize = 8;
    const WIDE: bool = false;

    #[inline(always)]
    fn splat(self, x: f32) -> Self::F {
        vouched!(_mm256_set1_ps(x))
    }
    #[inline(always)]
    unsafe fn load(self, at: *const f32) -> Self::F {
        vouched!(_mm256_loadu_ps(at))
    }
    #[inline(always)]
    unsafe fn load_part(self, at: *const f32, count: usize) -> Self::F {
        vouched! {
            let lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
            let there = _mm256_cmpgt_epi32(_mm256_set1_epi32(count as i32), lanes);
            _mm256_maskload_ps(at, there)
        }
    }
    #[inline(always)]
    unsafe fn store(self, at: *mut f32, x: Self::F) {
        vouched!(_mm256_storeu_ps(at, x));
    }
    #[inline(always)]
    unsafe fn load_pairs(self, at: *const u16) -> [Self::F; 2] {
        vouched! {
            let words = _mm256_loadu_si256(at.cast());
            let high = _mm256_and_si256(words, _mm256_set1_epi32(0xffff_0000u32.cast_signed()));
            [_mm256_castsi256_ps(_mm256_slli_epi32::<16>(words)), _mm256_castsi256_ps(high)]
        }
    }
    #[inline(always)]
    fn add(self, a: Self::F, b: Self::F) -> Self::F {
        vouched!(_mm256_add_ps(a, b))
    }
    #[inline(always)]
    fn sub(self, a: Self::F, b: Self::F) -> Self::F {
        vouched!(_mm256_sub_ps(a, b))
    }
    #[inline(always)]
    fn mul(self, a: Self::F, b: Self::F) -> Self::F {
        vouched!(_mm256_mul_ps(a, b))
    }
    #[inline(always)]
    fn fma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        vouched!(_mm256_fmadd_ps(a, b, c))
    }
    // Of two operands, one of them NaN, min and max give the second: NaN must stand there.
    #[inline(always)]
    fn clamp(self, x: Self::F, most: f32) -> Self::F {
        vouched!(_mm256_min_ps(_mm256_set1_ps(most), _mm256_max_ps(_mm256_set1_ps(-most), x)))
    }
    #[inline(always)]
    fn round(self, x: Self::F) -> Self::F {
        vouched!(_mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(x))
    }
    #[inline(always)]
    fn scale(self, x: Self::F, n: Self::F) -> Self::F {
        vouched! {
            let biased = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
            _mm256_mul_ps(x, _mm256_castsi256_ps(_mm256_slli_epi32::<23>(biased)))
        }
    }
    #[inline(always)]
    fn reciprocal(self, x: Self::F) -> Self::F {
        vouched! {
            let guess = _mm256_rcp_ps(x);
            _mm256_mul_ps(guess, _mm256_fnmadd_ps(x, guess, _mm256_set1_ps(2.0)))
        }
    }
    #[inline(always)]
    fn sum(self, x: Self::F) -> f32 {
        vouched! {
            let x = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
            let x = _mm_add_ps(x, _mm_movehl_ps(x, x));
            _mm_cvtss_f32(_mm_add_ss(x, _mm_shuffle_ps::<1>(x, x)))
        }
    }
    #[inline(always)]
    fn prefetch(self, at: *const u8) {
        vouched!(_mm_prefetch::<_MM_HINT_T0>(at.cast()));
    }
}

impl Vector for Avx512 {
    type F = __m512;
    const LANES: usize = 16;
    const WIDE: bool = true;

    #[inline(always)]
    fn splat(self, x: f32) -> Self::F {
        vouched!(_mm512_set1_ps(x))
    }
    #[inline(always)]
    unsafe fn load(self, at: *const f32) -> Self::F {
        vouched!(_mm512_loadu_ps(at))
    }
    #[inline(always)]
    unsafe fn load_part(self, at: *const f32, count: usize) -> Self::F {
        vouched!(_mm512_maskz_loadu_ps((1u16 << count) - 1, at))
    }
    #[inline(always)]
    unsafe fn store(self, at: *mut f32, x: Self::F) {
        vouched!(_mm512_storeu_ps(at, x));
    }
    #[inline(always)]
    unsafe fn load_pairs(self, at: *const u16) -> [Self::F; 2] {
        vouched! {
            let words = _mm512_loadu_si512(at.cast());
            let high = _mm512_and_si512(words, _mm512_set1_epi32(0xffff_0000u32.cast_signed()));
            [_mm512_castsi512_ps(_mm512_slli_epi32::<16>(words)), _mm512_castsi512_ps(high)]
        }
    }
    #[inline(always)]
    fn add(self, a: Self::F, b: Self::F) -> Self::F {
        vouched!(_mm512_add_ps(a, b))
    }
    #[inline(always)]
    fn sub(self, a: Self::F, b: Self::F) -> Self::F {
        vouched!(_mm512_sub_ps(a, b))
    }
    #[inline(always)]
    fn mul(self, a: Self::F, b: Self::F) -> Self::F {
        vouched!(_mm512_mul_ps(a, b))
    }
    #[inline(always)]
    fn fma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        vouched!(_mm512_fmadd_ps(a, b, c))
    }
    // As above: NaN must stand second.
    #[inline(always)]
    fn clamp(self, x: Self::F, most: f32) -> Self::F {
        vouched!(_mm512_min_ps(_mm512_set1_ps(most), _mm512_max_ps(_mm512_set1_ps(-most), x)))
    }
    #[inline(always)]
    fn round(self, x: Self::F) -> Self::F {
        vouched!(_mm512_roundscale_ps::<0>(x))
    }
    #[inline(always)]
    fn scale(self, x: Self::F, n: Self::F) -> Self::F {
        vouched!(_mm512_scalef_ps(x, n))
    }
    #[inline(always)]
    fn reciprocal(self, x: Self::F) -> Self::F {
        vouched! {
            let guess = _mm512_rcp14_ps(x);
            _mm512_mul_ps(guess, _mm512_fnmadd_ps(x, guess, _mm512_set1_ps(2.0)))
        }
    }
    #[inline(always)]
    fn sum(self, x: Self::F) -> f32 {
        vouched!(_mm512_reduce_add_ps(x))
    }
    #[inline(always)]
    fn prefetch(self, at: *const u8) {
        vouched!(_mm_prefetch::<_MM_HINT_T0>(at.cast()));
    }
}
