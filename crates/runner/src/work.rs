//! Work in units, so that a slow machine is asked for the same work and not for the same time.

use crate::sys;

/// Rounds in a work unit: about 10 to 20 us on a machine of 3 GHz.
const ROUNDS: u32 = 10_000;

/// Does some units of work: a chain of multiplications in registers, which neither caches nor memory can delay.
/// The result depends on every round.
pub fn units(count: u64) -> u64 {
    let mut x = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..count {
        for _ in 0..ROUNDS {
            x = (x ^ (x >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        }
        x = std::hint::black_box(x);
    }
    x
}

/// How much work this machine does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibration {
    /// Work units per second of CPU time.
    pub rate: f64,
}

/// The best of several short runs, by CPU time: what others do at the moment makes it slower, never faster.
pub fn calibrate() -> Calibration {
    let mut count = 1;
    let mut best = 0.0f64;
    let mut runs = 0;
    while runs < 8 {
        let began = sys::thread_cpu_ns();
        std::hint::black_box(units(count));
        let took_ns = sys::thread_cpu_ns().saturating_sub(began).max(1);
        // Too short to trust the clock, which ticks coarsely in some guests.
        if took_ns < 500_000 && count < 1 << 20 {
            count *= 2;
            continue;
        }
        best = best.max(count as f64 * 1e9 / took_ns as f64);
        runs += 1;
    }
    Calibration { rate: best }
}

impl Calibration {
    /// Units that take about this long, at least one.
    pub fn units_in(self, seconds: f64) -> u64 {
        ((self.rate * seconds).round() as u64).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_grows_with_its_units() {
        assert_eq!(units(3), units(3));
        assert_ne!(units(3), units(4));
        let calibration = calibrate();
        assert!(calibration.rate > 100.0, "{calibration:?}");
        assert_eq!(Calibration { rate: 50_000.0 }.units_in(0.00033), 17);
        assert_eq!(Calibration { rate: 100.0 }.units_in(0.00033), 1);
    }
}
