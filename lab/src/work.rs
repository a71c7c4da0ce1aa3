//! Units of work that workers do: a request, a burst, and fractions that add up.

use std::hint::black_box;

use foretwin_core::Rng;

use crate::sys::{self, monotonic_s};

/// Length of a worker's tick in seconds.
pub const TICK_S: f64 = 0.1;

/// The work of one request: fills and reads a buffer, about a tenth of a millisecond.
pub fn serve() {
    let mut buffer = vec![0u8; 32 * 1024];
    let mut state = 0x9e37_79b9_u32;
    for byte in &mut buffer {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *byte = (state >> 24) as u8;
    }
    black_box(&buffer);
}

/// Uses a processor for about `seconds` of wall time.
pub fn burn(seconds: f64) {
    let end = monotonic_s() + seconds;
    while monotonic_s() < end {
        serve();
    }
}

/// Uses `seconds` of processor time, however long that takes.
pub fn compute(seconds: f64) {
    let end = sys::thread_cpu_s() + seconds;
    while sys::thread_cpu_s() < end {
        serve();
    }
}

/// A factor around 1 that makes small amounts uneven, never negative.
pub fn jitter(rng: &mut Rng) -> f64 {
    (1.0 + 0.3 * rng.normal()).max(0.0)
}

/// Uniform between two bounds.
pub fn between(rng: &mut Rng, low: f64, high: f64) -> f64 {
    low + (high - low) * rng.uniform()
}

/// Turns amounts into whole things and keeps the rest for later.
#[derive(Debug, Clone, Copy, Default)]
pub struct Drip(f64);

impl Drip {
    /// Adds an amount; returns the whole things due.
    pub fn take(&mut self, amount: f64) -> usize {
        self.0 += amount;
        let whole = self.0.floor().max(0.0);
        self.0 -= whole;
        whole as usize
    }
}

/// Trouble that comes and goes: on for 20 to 60 s, off for 10 to 30 s.
#[derive(Debug, Clone, Copy)]
pub struct Rhythm {
    on_s: f64,
    off_s: f64,
}

impl Rhythm {
    /// Draws one.
    pub fn new(rng: &mut Rng) -> Self {
        Self { on_s: between(rng, 20.0, 60.0), off_s: between(rng, 10.0, 30.0) }
    }

    /// Whether it is on, so many seconds after the onset.
    pub fn is_on(&self, since_s: f64) -> bool {
        since_s >= 0.0 && since_s % (self.on_s + self.off_s) < self.on_s
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rhythms_begin_with_the_onset() {
        let rhythm = Rhythm::new(&mut Rng::new(1));
        let on = (0..900).filter(|&second| rhythm.is_on(f64::from(second))).count();
        assert!(!rhythm.is_on(-1.0) && rhythm.is_on(0.0));
        assert!((350..800).contains(&on), "{on} of 900 s");
    }

    #[test]
    fn drips_lose_nothing() {
        let mut drip = Drip::default();
        let total: usize = (0..1000).map(|_| drip.take(0.37)).sum();
        assert!((369..=370).contains(&total));
    }
}
