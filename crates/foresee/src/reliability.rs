//! What was said against what came: whether probabilities of failure mean what they say, live.

use foretwin_core::Timestamp;
use serde::Serialize;

/// Bins of the reliability diagram.
const BINS: usize = 10;

/// One bin of the reliability diagram.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct ReliabilityBin {
    /// Statements in it.
    pub statements: usize,
    /// Their mean probability.
    pub said: f64,
    /// The share that came true.
    pub came: f64,
}

/// How good statements about one horizon were.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reliability {
    /// Seconds.
    pub horizon_s: f64,
    /// Statements whose outcome is known: a failure came in time, or the horizon passed under watch.
    pub statements: usize,
    /// Of those, how many came true.
    pub came: usize,
    /// Mean squared error of the probability (Brier, "Monthly Weather Review" 78, 1950); missing without statements.
    pub brier: Option<f64>,
    /// The same for whoever always says the share that came true: the error to beat.
    pub brier_of_base_rate: Option<f64>,
    /// Expected calibration error: mean distance of said and came over the bins.
    pub calibration_error: Option<f64>,
    /// From unlikely to certain.
    pub bins: Vec<ReliabilityBin>,
}

/// Sums over many instances, from which the numbers follow.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    statements: usize,
    came: usize,
    squares: f64,
    bins: [(usize, f64, f64); BINS],
}

impl Tally {
    /// Joins the statements of one instance (moment, probability of failing within `horizon_s`) with its failures; it was
    /// watched until `seen_until`. Statements without a known outcome are left out.
    pub fn add(
        &mut self,
        statements: impl Iterator<Item = (Timestamp, f64)>,
        failures: &[Timestamp],
        (horizon_s, seen_until): (f64, Timestamp),
    ) {
        for (at, probability) in statements.filter(|(_, probability)| probability.is_finite()) {
            let ahead = |other: Timestamp| other.since(at);
            let came = failures.iter().any(|&failure| (0.0..=horizon_s).contains(&ahead(failure)));
            if !came && ahead(seen_until) < horizon_s {
                continue;
            }
            let (p, y) = (probability.clamp(0.0, 1.0), f64::from(u8::from(came)));
            self.statements += 1;
            self.came += usize::from(came);
            self.squares += (p - y) * (p - y);
            let bin = &mut self.bins[((p * BINS as f64) as usize).min(BINS - 1)];
            *bin = (bin.0 + 1, bin.1 + p, bin.2 + y);
        }
    }

    /// The numbers.
    #[must_use]
    pub fn finish(&self, horizon_s: f64) -> Reliability {
        let n = self.statements as f64;
        let known = |value: f64| (self.statements > 0).then_some(value);
        let rate = self.came as f64 / n;
        let distance: f64 = self.bins.iter().map(|(_, said, came)| (said - came).abs()).sum();
        let bin = |&(statements, said, came): &(usize, f64, f64)| {
            let count = statements.max(1) as f64;
            ReliabilityBin { statements, said: said / count, came: came / count }
        };
        Reliability {
            horizon_s,
            statements: self.statements,
            came: self.came,
            brier: known(self.squares / n),
            brier_of_base_rate: known(rate * (1.0 - rate)),
            calibration_error: known(distance / n),
            bins: self.bins.iter().map(bin).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn statements_meet_their_outcomes() {
        let mut tally = Tally::default();
        // A failure at 100; watched until 200; horizon 50.
        let said =
            [(at(10.0), 0.1), (at(60.0), 0.9), (at(120.0), 0.2), (at(180.0), 0.9), (at(70.0), f64::NAN)];
        tally.add(said.into_iter(), &[at(100.0)], (50.0, at(200.0)));
        let found = tally.finish(50.0);
        // The statement at 180 is open: its horizon ends after the last sight.
        assert_eq!((found.statements, found.came), (3, 1));
        assert!((found.brier.unwrap() - (0.01 + 0.01 + 0.04) / 3.0).abs() < 1e-12);
        assert!((found.brier_of_base_rate.unwrap() - 2.0 / 9.0).abs() < 1e-12);
        assert!((found.calibration_error.unwrap() - (0.1 + 0.1 + 0.2) / 3.0).abs() < 1e-12);
        assert_eq!((found.bins[9].statements, found.bins[9].came), (1, 1.0));
    }

    #[test]
    fn nothing_said_is_nothing_known() {
        assert_eq!(Tally::default().finish(60.0).brier, None);
    }
}
