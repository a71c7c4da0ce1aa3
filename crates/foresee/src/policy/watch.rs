//! One kind of statement about one instance: whether it stands, once it was made twice, and when it is over.

use foretwin_core::{Quantiles, Timestamp};
use serde::{Deserialize, Serialize};

use super::Config;

/// What was said last, and how it compares with its bar.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Said {
    pub(super) at: Timestamp,
    pub(super) probability: f64,
    /// Seconds ahead; 0: of now.
    pub(super) horizon_s: f64,
    pub(super) time_to_failure: Quantiles,
    pub(super) confidence: f64,
    /// The bar as feedback has moved it.
    pub(super) bar: f64,
}

/// Bits of odds, which end at ten either way: beyond, probabilities are not known.
pub(super) fn bits(probability: f64) -> f64 {
    let p = probability.clamp(1.0 / 1025.0, 1024.0 / 1025.0);
    (p / (1.0 - p)).log2()
}

/// A probability whose natural log odds are moved.
pub(super) fn moved(probability: f64, log_odds: f64) -> f64 {
    let p = probability.clamp(1e-9, 1.0 - 1e-9);
    let odds = p / (1.0 - p) * log_odds.exp();
    odds / (1.0 + odds)
}

impl Said {
    /// Nothing is said any more.
    pub(super) fn nothing(self, at: Timestamp) -> Self {
        Self { at, probability: 0.0, time_to_failure: Quantiles::default(), ..self }
    }

    pub(super) fn exceeds(&self) -> bool {
        self.probability > self.bar
    }

    /// How far its odds stand above the bar.
    pub(super) fn excess_bits(&self) -> f64 {
        bits(self.probability) - bits(self.bar)
    }
}

/// What became of a statement after the ones before it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Watch {
    pub(super) said: Said,
    /// The first of the exceedances in a row that goes on.
    exceeded: Option<Timestamp>,
    /// It was said twice: somebody should know.
    pub(super) stands: bool,
    /// The highest probability since it stands.
    pub(super) peak: f64,
    /// Since when it is well below its bar, while it stands.
    calm: Option<Timestamp>,
}

impl Watch {
    pub(super) fn new(said: Said) -> Self {
        let exceeded = said.exceeds().then_some(said.at);
        Self { said, exceeded, stands: false, peak: said.probability, calm: None }
    }

    /// Takes the next statement. The second exceedance in a row makes it stand, if it comes `confirm_s` after the first; it
    /// is over once all statements of `calm_s` were well below the bar.
    pub(super) fn take(&mut self, said: Said, confirm_s: f64, config: &Config) {
        // A clock that was set back starts a row anew.
        let since = |from: Option<Timestamp>| from.filter(|&from| from <= said.at).unwrap_or(said.at);
        let again = self.exceeded.is_some_and(|first| said.at.since(first) >= confirm_s && said.at > first);
        self.exceeded = said.exceeds().then(|| since(self.exceeded));
        self.said = said;
        if !self.stands {
            self.peak = said.probability;
            self.stands = said.exceeds() && again;
            self.calm = None;
            return;
        }
        self.peak = self.peak.max(said.probability);
        let low = said.probability <= config.release_share * said.bar;
        self.calm = low.then(|| since(self.calm));
        if self.calm.is_some_and(|from| said.at.since(from) >= config.calm_s) {
            (self.stands, self.calm) = (false, None);
        }
    }

    /// Whether there is nothing to remember.
    pub(super) fn is_idle(&self) -> bool {
        !self.stands && self.exceeded.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(second: f64, probability: f64) -> Said {
        Said {
            at: Timestamp::from_seconds(second),
            probability,
            horizon_s: 3600.0,
            time_to_failure: Quantiles::default(),
            confidence: 0.5,
            bar: 0.5,
        }
    }

    fn stands(said_of: &[(f64, f64)]) -> Vec<bool> {
        let config = Config { confirm_s: 5.0, calm_s: 10.0, ..Config::default() };
        let mut watch = Watch::new(said(said_of[0].0, said_of[0].1));
        let take = |&(at, p): &(f64, f64)| {
            watch.take(said(at, p), config.confirm_s, &config);
            watch.stands
        };
        said_of[1..].iter().map(take).collect()
    }

    #[test]
    fn two_exceedances_apart_make_it_stand() {
        assert_eq!(stands(&[(0.0, 0.6), (1.0, 0.9), (4.0, 0.9), (5.0, 0.9)]), [false, false, true]);
        assert_eq!(stands(&[(0.0, 0.6), (3.0, 0.4), (6.0, 0.9), (12.0, 0.9)]), [false, false, true]);
        // The same statement again is no second one.
        assert_eq!(stands(&[(0.0, 0.6), (0.0, 0.6)]), [false]);
    }

    #[test]
    fn it_hovers_without_flapping_and_ends_after_a_calm() {
        let course = [(0.0, 0.6), (5.0, 0.6), (10.0, 0.4), (20.0, 0.35), (30.0, 0.2), (35.0, 0.4)];
        assert!(stands(&course).iter().all(|&stands| stands));
        let over = [(0.0, 0.6), (5.0, 0.6), (10.0, 0.1), (15.0, 0.2), (20.0, 0.1), (25.0, 0.6)];
        assert_eq!(stands(&over), [true, true, true, false, false]);
    }

    #[test]
    fn bars_move_in_odds() {
        assert!((moved(0.5, 3.0) - 0.9526).abs() < 1e-4 && moved(0.8, 0.0) == 0.8);
        assert!((bits(2.0 / 3.0) - 1.0).abs() < 1e-12 && (bits(1.0) - 10.0).abs() < 1e-9);
    }
}
