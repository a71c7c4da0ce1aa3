//! How much of its load the replay should leave out: by pressure on others, and by its own cap.

use std::fs;

use crate::meter::Spent;

/// Shares of time in which somebody waits, beyond which the replay yields: for memory, disk, and a CPU.
const LIMITS: [(&str, f64); 3] =
    [("/proc/pressure/memory", 0.1), ("/proc/pressure/io", 0.3), ("/proc/pressure/cpu", 0.3)];
/// The part of the load that is kept under pressure, period by period.
const YIELD: f64 = 0.5;
/// How fast it comes back, per period.
const RETURN: f64 = 1.1;
/// So little that it no longer counts, and enough to notice that the pressure is gone.
const LEAST: f64 = 0.02;

/// Decides once a second.
#[derive(Debug)]
pub struct Pace {
    cap_core: f64,
    yields: bool,
    /// Microseconds of waiting so far.
    waited_us: [Option<u64>; 3],
    spent: Spent,
    pace: f64,
}

impl Pace {
    /// Begins at full load.
    pub fn new(cap_core: f64, yields: bool) -> Self {
        Self { cap_core, yields, waited_us: [None; 3], spent: Spent::default(), pace: 1.0 }
    }

    /// The share of the load for the next second, after `period_s`.
    pub fn next(&mut self, period_s: f64, spent: Spent) -> f64 {
        let cpu = spent.cpu_ns.saturating_sub(self.spent.cpu_ns) as f64 / 1e9 / period_s;
        let delay = spent.delay_ns.saturating_sub(self.spent.delay_ns) as f64 / 1e9 / period_s;
        self.spent = spent;
        let is_pressed = self.yields && self.is_pressed(period_s, delay);
        self.pace = next(self.pace, is_pressed, cpu / self.cap_core);
        self.pace
    }

    fn is_pressed(&mut self, period_s: f64, own_delay: f64) -> bool {
        let mut is_pressed = false;
        for (at, (path, limit)) in LIMITS.into_iter().enumerate() {
            let now = fs::read_to_string(path).ok().and_then(|text| waited_us(&text));
            let before = std::mem::replace(&mut self.waited_us[at], now);
            if let (Some(before), Some(now)) = (before, now) {
                let share = now.saturating_sub(before) as f64 / 1e6 / period_s;
                // At the lowest priority the replay itself is who waits for a CPU.
                let own = if path.ends_with("cpu") { own_delay } else { 0.0 };
                is_pressed |= share - own > limit;
            }
        }
        is_pressed
    }
}

fn next(pace: f64, is_pressed: bool, used_of_cap: f64) -> f64 {
    let pace = if is_pressed { pace * YIELD } else { pace * RETURN };
    // What it used was used at the pace so far.
    let pace = if used_of_cap > 1.0 { pace / RETURN / used_of_cap } else { pace };
    pace.clamp(LEAST, 1.0)
}

/// The total of the line `some avg10=0.00 avg60=0.00 avg300=0.00 total=123`.
fn waited_us(text: &str) -> Option<u64> {
    let some = text.lines().find(|line| line.starts_with("some"))?;
    some.rsplit_once("total=")?.1.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pressure_halves_and_calm_brings_back() {
        assert_eq!(
            waited_us("some avg10=0.00 avg60=0.00 avg300=0.12 total=4711\nfull total=3\n"),
            Some(4711)
        );
        assert_eq!(next(1.0, true, 0.1), 0.5);
        assert_eq!(next(0.03, true, 0.1), LEAST);
        let back = (0..60).fold(LEAST, |pace, _| next(pace, false, 0.1));
        assert_eq!(back, 1.0);
    }

    #[test]
    fn the_cap_is_met_at_once() {
        // Twice the cap at full pace: half of the pace.
        assert!((next(1.0, false, 2.0) - 0.5).abs() < 1e-9);
    }
}
