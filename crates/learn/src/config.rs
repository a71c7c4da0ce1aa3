//! The settings of learning.

use serde::{Deserialize, Serialize};

use crate::Error;

/// Settings of learning. One set serves every instance: what differs between instances is learned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How far back the training window reaches, in seconds.
    pub window_s: f64,
    /// Fewest frames that make a provisional model.
    pub min_rows: usize,
    /// Most frames used for training; a longer window contributes evenly spaced stretches.
    pub max_rows: usize,
    /// Most samples (frames × metrics) used for training, which bounds memory: about five bytes each.
    pub max_cells: usize,
    /// Past frames that the linear part looks at.
    pub lags: usize,
    /// Weight of the prior: in frames of a standardised metric.
    pub ridge: f64,
    /// Metrics whose past may explain others; all metrics are expected and judged, however many there are.
    pub max_inputs: usize,
    /// Width of the LSTM.
    pub hidden: usize,
    /// Most passes of the LSTM over its training data.
    pub epochs: usize,
    /// Fewest frames before an LSTM is tried.
    pub lstm_min_rows: usize,
    /// Most frames that the LSTM is trained on, the latest.
    pub lstm_max_rows: usize,
    /// A metric's scale is at least this part of its range, so that nearly constant metrics do not shout.
    pub scale_floor: f64,
    /// The scale of a share (a part of a whole, unit "1") is at least this: what moves by less of the whole says little.
    pub share_floor: f64,
    /// The scale of a surprise is at least this part of the metric's scale.
    pub residual_floor: f64,
    /// Weight of the newest frame in the exponential average of evidence.
    pub smoothing: f64,
    /// Rate of false alarms aimed at, per frame.
    pub false_alarm_rate: f64,
    /// Whether the threshold follows the tail of evidence between trainings.
    pub adapt: bool,
    /// How many contributions to a score are named.
    pub contributions: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            window_s: 7.0 * 86_400.0,
            min_rows: 30,
            max_rows: 100_000,
            max_cells: 16_000_000,
            lags: 3,
            ridge: 10.0,
            max_inputs: 96,
            hidden: 32,
            epochs: 12,
            lstm_min_rows: 3_000,
            lstm_max_rows: 40_000,
            scale_floor: 0.05,
            share_floor: 0.02,
            residual_floor: 0.1,
            smoothing: 0.1,
            false_alarm_rate: 1e-5,
            adapt: true,
            contributions: 5,
        }
    }
}

impl Config {
    /// Checks every setting.
    ///
    /// # Errors
    /// Names the first setting that cannot be used.
    pub fn check(&self) -> Result<(), Error> {
        let need = |ok: bool, field, problem| if ok { Ok(()) } else { Err(Error::Config { field, problem }) };
        let part = |x: f64| x > 0.0 && x <= 1.0;
        need(self.window_s > 0.0, "window_s", "must be above 0 seconds")?;
        need((1..=32).contains(&self.lags), "lags", "must be 1 to 32")?;
        need(self.min_rows >= 2 * self.lags + 8, "min_rows", "must be at least twice `lags` plus 8")?;
        need(self.max_rows >= 1000, "max_rows", "must be at least 1000")?;
        need(self.max_cells >= 100_000, "max_cells", "must be at least 100000")?;
        need(self.ridge > 0.0 && self.ridge.is_finite(), "ridge", "must be above 0")?;
        need((1..=1024).contains(&self.max_inputs), "max_inputs", "must be 1 to 1024")?;
        need((1..=1024).contains(&self.hidden), "hidden", "must be 1 to 1024")?;
        need(part(self.scale_floor), "scale_floor", "must be above 0, at most 1")?;
        need((0.0..=1.0).contains(&self.share_floor), "share_floor", "must be 0 to 1")?;
        need(part(self.residual_floor), "residual_floor", "must be above 0, at most 1")?;
        need(part(self.smoothing), "smoothing", "must be above 0, at most 1")?;
        let rate = self.false_alarm_rate;
        need(rate > 0.0 && rate < 0.1, "false_alarm_rate", "must be above 0, below 0.1")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_mistakes_are_named() {
        Config::default().check().unwrap();
        let wrong = Config { smoothing: 0.0, ..Config::default() };
        assert!(wrong.check().unwrap_err().to_string().starts_with("learn.smoothing"));
        assert!(Config { ridge: f64::NAN, ..Config::default() }.check().is_err());
    }

    #[test]
    fn unknown_settings_are_refused() {
        assert!(serde_json::from_str::<Config>(r#"{"lagz": 3}"#).is_err());
        assert_eq!(serde_json::from_str::<Config>("{}").unwrap(), Config::default());
    }
}
