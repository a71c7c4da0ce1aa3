//! Which vector instructions the kernels use, chosen while the program runs.
//!
//! `unsafe` because a function compiled for instructions that the processor may not have is entered here, and only
//! here; a [`Level`] beyond the portable one exists only where they were found.
#![allow(unsafe_code)]

use super::portable::Portable;
use super::vector::Vector;
#[cfg(target_arch = "x86_64")]
use super::x86::{Avx2, Avx512};

/// A set of vector instructions that this processor has.
///
/// All levels compute the same to rounding (1e-5 is tested), and one level always gives the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
}

/// Work that is compiled once for each level.
pub(super) trait Kernel {
    /// Does the work. Implementations are `#[inline(always)]`, as is every function they call with `v`: only code
    /// that is inlined into the level's own entry is compiled with its instructions.
    fn run<V: Vector>(self, v: V);
}

impl Level {
    /// What the compiler makes of plain code: SSE2 on x86-64, NEON on AArch64.
    pub const PORTABLE: Self = Self(Kind::Portable);

    /// The fastest level of this processor.
    #[must_use]
    pub fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(v) = Avx512::detect() {
            return Self(Kind::Avx512(v));
        } else if let Some(v) = Avx2::detect() {
            return Self(Kind::Avx2(v));
        }
        Self::PORTABLE
    }

    /// Every level of this processor, the portable one first.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut levels = vec![Self::PORTABLE];
        #[cfg(target_arch = "x86_64")]
        levels.extend(Avx2::detect().map(|v| Self(Kind::Avx2(v))));
        #[cfg(target_arch = "x86_64")]
        levels.extend(Avx512::detect().map(|v| Self(Kind::Avx512(v))));
        levels
    }

    /// The level's name: `portable`, `avx2` (with FMA) or `avx512`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.0 {
            Kind::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(_) => "avx512",
        }
    }

    pub(super) fn run<K: Kernel>(self, kernel: K) {
        match self.0 {
            Kind::Portable => kernel.run(Portable),
            // SAFETY: the token was made by `detect`, which found these instructions.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(v) => unsafe { run_avx2(kernel, v) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(v) => unsafe { run_avx512(kernel, v) },
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn run_avx2<K: Kernel>(kernel: K, v: Avx2) {
    kernel.run(v);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,avx512f")]
fn run_avx512<K: Kernel>(kernel: K, v: Avx512) {
    kernel.run(v);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_have_names_and_the_best_is_the_last() {
        let levels = Level::all();
        assert_eq!(levels[0], Level::PORTABLE);
        assert_eq!(levels.last(), Some(&Level::best()));
        let names: Vec<_> = levels.iter().map(|level| level.name()).collect();
        assert_eq!(names, ["portable", "avx2", "avx512"][..names.len()]);
    }
}
