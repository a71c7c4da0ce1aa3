//! What an operator may set about alerts; `Default` is the only source of defaults.

use serde::{Deserialize, Serialize};

use crate::Error;

/// Settings of alerts. Parse, then [`validate`](Config::validate).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Horizons in seconds with the probability of failure within them from which on an alert opens: any one suffices.
    pub bars: Vec<(f64, f64)>,
    /// Probability that the machine underneath is in trouble, by the contrast, from which on an alert opens.
    pub infrastructure_probability: f64,
    /// Anomaly score from which on an alert opens without anything that is about to fail; 0: never.
    pub anomaly_score: f64,
    /// Seconds that such a score must last.
    pub anomaly_lasts_s: f64,
    /// The second of the two exceedances in a row is at least this many seconds after the first.
    pub confirm_s: f64,
    /// Share of its bar below which an alert is over, after `calm_s` seconds.
    pub release_share: f64,
    /// Seconds that it must stay below.
    pub calm_s: f64,
    /// What has a cause, place, host or workload in common and begins within this many seconds is one alert; what comes
    /// back within them is the same.
    pub group_window_s: f64,
    /// Alerts shown per team within 24 hours; beyond it the bar rises, and what is below it is held back.
    pub budget_per_day: f64,
    /// Label of instances that names the team a budget belongs to; instances without it share one.
    pub team_label: String,
    /// Seconds after which an operator's word counts half.
    pub feedback_half_life_s: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bars: vec![(3600.0, 0.5), (86_400.0, 0.8)],
            infrastructure_probability: 0.8,
            anomaly_score: 0.0,
            anomaly_lasts_s: 300.0,
            confirm_s: 5.0,
            release_share: 0.6,
            calm_s: 60.0,
            group_window_s: 900.0,
            budget_per_day: 20.0,
            team_label: "team".into(),
            feedback_half_life_s: 14.0 * 86_400.0,
        }
    }
}

impl Config {
    /// Checks what the type cannot.
    ///
    /// # Errors
    /// Names the field and what it must be.
    pub fn validate(self) -> Result<Self, Error> {
        let share = |value: f64| value > 0.0 && value < 1.0;
        let positive = |value: f64| value.is_finite() && value > 0.0;
        let bar = |&(horizon_s, probability): &(f64, f64)| positive(horizon_s) && share(probability);
        let ascending = self.bars.windows(2).all(|pair| pair[0].0 < pair[1].0);
        if self.bars.is_empty() || !ascending || !self.bars.iter().all(bar) {
            let want = "pairs of seconds, ascending, and a probability between 0 and 1";
            return Err(Error::Config { field: "alerts.bars", want });
        }
        let shares = [
            ("alerts.infrastructure_probability", self.infrastructure_probability),
            ("alerts.release_share", self.release_share),
        ];
        for (field, value) in shares {
            if !share(value) {
                return Err(Error::Config { field, want: "between 0 and 1" });
            }
        }
        let spans = [
            ("alerts.confirm_s", self.confirm_s),
            ("alerts.calm_s", self.calm_s),
            ("alerts.group_window_s", self.group_window_s),
            ("alerts.anomaly_lasts_s", self.anomaly_lasts_s),
            ("alerts.anomaly_score", self.anomaly_score),
            ("alerts.budget_per_day", self.budget_per_day),
        ];
        for (field, value) in spans {
            if !(value.is_finite() && value >= 0.0) {
                return Err(Error::Config { field, want: "a number of at least 0" });
            }
        }
        if !positive(self.feedback_half_life_s) {
            let want = "a positive number of seconds";
            return Err(Error::Config { field: "alerts.feedback_half_life_s", want });
        }
        Ok(self)
    }

    /// Seconds after its end for which the outcome of an alert stays open where it speaks of now: the first horizon.
    pub(super) fn patience_s(&self) -> f64 {
        self.bars.first().map_or(0.0, |bar| bar.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_fields_are_named() {
        assert!(Config::default().validate().is_ok());
        let refused = |config: Config| config.validate().unwrap_err().to_string();
        assert!(refused(Config { bars: vec![], ..Config::default() }).contains("alerts.bars"));
        assert!(refused(Config { bars: vec![(9.0, 1.5)], ..Config::default() }).contains("alerts.bars"));
        let budget = Config { budget_per_day: -1.0, ..Config::default() };
        assert!(refused(budget).contains("alerts.budget_per_day"));
        let never = Config { feedback_half_life_s: 0.0, ..Config::default() };
        assert!(refused(never).contains("feedback_half_life_s"));
    }
}
