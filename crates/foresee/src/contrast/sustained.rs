//! A small departure that lasts: evidence summed over seconds.
//!
//! One window of ten seconds tells a departure of five deviations from chance, and not one of three. That three last
//! does: a cumulative sum of what exceeds a reference (Page, "Continuous inspection schemes", Biometrika 41, 1954)
//! grows by one for every ten seconds at one deviation beyond it, and is forgotten within seconds once the departure is
//! over, so that what follows it is not taken for it.

use super::window::SECONDS;

/// Deviations that do not count: on recorded calm seconds of the contrast lab one in a thousand exceeds 1.8.
const REFERENCE: f32 = 2.0;
/// What is left of it after each second without a departure.
const FADING: f32 = 0.8;
/// It counts for no more than this.
const MOST: f32 = 4.0;

/// The sum so far.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Sustained(f32);

impl Sustained {
    /// Takes the next second's departure in deviations, NaN where it is not known.
    pub fn take(&mut self, z: f32) {
        // Windows overlap: each second brings a tenth of a window's evidence.
        let more = (z - REFERENCE) / SECONDS as f32;
        self.0 = if more > 0.0 { (self.0 + more).min(MOST) } else { FADING * self.0 };
    }

    /// What it comes to, as the strength of a sign.
    pub fn strength(self) -> f32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(seconds: usize, z: f32) -> Sustained {
        let mut sustained = Sustained::default();
        (0..seconds).for_each(|_| sustained.take(z));
        sustained
    }

    #[test]
    fn what_lasts_adds_up_and_what_ends_is_soon_forgotten() {
        assert_eq!(after(100, 1.9).strength(), 0.0);
        assert!((after(20, 3.25).strength() - 2.5).abs() < 1e-3);
        assert_eq!(after(1000, 9.0).strength(), MOST);
        let mut over = after(20, 3.25);
        (0..10).for_each(|_| over.take(f32::NAN));
        assert!(over.strength() < 0.4);
    }
}
