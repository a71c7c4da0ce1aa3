//! What an operator may set about failure prediction; `Default` is the only source of defaults.

use serde::{Deserialize, Serialize};

use crate::Error;

/// Settings of failure prediction. Parse, then [`validate`](Config::validate).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Horizons at which every risk states a probability, in seconds, ascending.
    pub horizons_s: Vec<f64>,
    /// How long an ordinary transient lasts, in seconds: loading data at start, a build, a batch. A trend that has
    /// lasted about as long is as likely one of them as a leak. The one time scale of the model.
    pub transient_s: f64,
    /// The share of lasting trends that only a limit ends. Where most that grows is a leak, as in a lab, it is high.
    pub lasting_share: f64,
    /// The share of the limit from which on an earlier peak counts as a failure, not as a level that held.
    pub failed_share: f64,
    /// Probability of a risk from which on causes and actions are stated.
    pub notable_probability: f64,
    /// Seconds of history to look back for a trend.
    pub lookback_s: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            horizons_s: vec![900.0, 3600.0, 21_600.0, 86_400.0],
            transient_s: 60.0,
            lasting_share: 0.1,
            failed_share: 0.93,
            notable_probability: 0.2,
            lookback_s: 86_400.0,
        }
    }
}

impl Config {
    /// Checks what the type cannot.
    ///
    /// # Errors
    /// Names the field and what it must be.
    pub fn validate(self) -> Result<Self, Error> {
        let positive = |value: f64| value.is_finite() && value > 0.0;
        let share = |value: f64| value > 0.0 && value < 1.0;
        let ascending = self.horizons_s.windows(2).all(|pair| pair[0] < pair[1]);
        if self.horizons_s.is_empty() || !ascending || !self.horizons_s.iter().all(|&h| positive(h)) {
            return Err(Error::Config { field: "horizons_s", want: "ascending positive numbers of seconds" });
        }
        for (field, value) in [("transient_s", self.transient_s), ("lookback_s", self.lookback_s)] {
            if !positive(value) {
                return Err(Error::Config { field, want: "a positive number of seconds" });
            }
        }
        let shares = [
            ("lasting_share", self.lasting_share),
            ("failed_share", self.failed_share),
            ("notable_probability", self.notable_probability),
        ];
        for (field, value) in shares {
            if !share(value) {
                return Err(Error::Config { field, want: "between 0 and 1" });
            }
        }
        Ok(self)
    }

    /// The same settings, with one more horizon stated exactly. Ignores what is no positive number.
    #[must_use]
    pub fn with_horizon(mut self, horizon_s: f64) -> Self {
        if horizon_s.is_finite() && horizon_s > 0.0 && !self.horizons_s.contains(&horizon_s) {
            let at = self.horizons_s.partition_point(|&known| known < horizon_s);
            self.horizons_s.insert(at, horizon_s);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_a_horizon_finds_its_place() {
        let config = Config::default().validate().unwrap().with_horizon(1800.0).with_horizon(f64::NAN);
        assert_eq!(config.horizons_s, [900.0, 1800.0, 3600.0, 21_600.0, 86_400.0]);
    }

    #[test]
    fn bad_fields_are_named() {
        let backwards = Config { horizons_s: vec![60.0, 10.0], ..Config::default() };
        assert!(backwards.validate().unwrap_err().to_string().contains("horizons_s"));
        let zero = Config { transient_s: 0.0, ..Config::default() };
        assert!(zero.validate().unwrap_err().to_string().contains("transient_s"));
    }
}
