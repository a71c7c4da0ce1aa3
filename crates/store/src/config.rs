//! How much is kept, for how long, and how often it is made durable.

use foretwin_core::{DAY_US, SECOND_US};
use serde::{Deserialize, Serialize};

use crate::Error;

/// Configuration of the store; `Default` is the only source of defaults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Seconds after which what arrived is flushed; until then the log alone has it.
    pub flush_interval_s: u64,
    /// Bytes in memory, over all partitions, that force a flush earlier.
    pub flush_bytes: u64,
    /// Bytes in memory at which telemetry is refused, while flushes fail for instance.
    pub head_limit_bytes: u64,
    /// Time span whose hot files are sealed together, in seconds.
    pub span_s: u64,
    /// Seconds to wait after a span for late frames before it is sealed.
    pub grace_s: u64,
    /// Bytes of hot files that are sealed together at most; more are sealed before their span is over.
    pub seal_bytes: u64,
    /// Bytes of frames that one step of background work takes in hand: a flush writes so many before it takes more
    /// out of memory, sealing and downsampling let a flush that is due go first after so many. Such work needs a few
    /// times this as memory; a single series, or in a flush a single partition, that has more is one step all the
    /// same.
    pub step_bytes: u64,
    /// Size at which a sealed file is closed and the next partition starts another.
    pub sealed_file_bytes: u64,
    /// pco's compression level, 0 to 12.
    pub compression_level: usize,
    /// Days that samples are kept as they came.
    pub retention_days: u64,
    /// Bytes of all files; beyond them the oldest raw files go first.
    pub retention_bytes: u64,
    /// The downsampled tiers.
    pub tiers: Tiers,
    /// Uncompressed bytes an instance may add in a day (UTC); beyond them only one frame a minute of each of its
    /// schemas is kept. 0: no quota.
    pub instance_quota_bytes: u64,
}

/// How long the downsampled tiers (mean, minimum, maximum, count) are kept. Raw samples that are older than their
/// own retention live on in them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tiers {
    /// Days of one-minute values; 0 keeps none, and none by the hour.
    pub minute_days: u64,
    /// Days of one-hour values; 0 keeps none.
    pub hour_days: u64,
}

impl Default for Tiers {
    fn default() -> Self {
        Self { minute_days: 90, hour_days: 730 }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            flush_interval_s: 30,
            flush_bytes: 64 << 20,
            head_limit_bytes: 512 << 20,
            span_s: 3600,
            grace_s: 120,
            seal_bytes: 2 << 30,
            step_bytes: 64 << 20,
            sealed_file_bytes: 256 << 20,
            compression_level: 8,
            retention_days: 7,
            retention_bytes: 20 << 30,
            tiers: Tiers::default(),
            instance_quota_bytes: 16 << 30,
        }
    }
}

impl Config {
    /// Checks every setting.
    ///
    /// # Errors
    /// Names the first that cannot be used.
    pub fn validate(&self) -> Result<(), Error> {
        let positive = [
            ("flush_interval_s", self.flush_interval_s),
            ("flush_bytes", self.flush_bytes),
            ("span_s", self.span_s),
            ("seal_bytes", self.seal_bytes),
            ("step_bytes", self.step_bytes),
            ("sealed_file_bytes", self.sealed_file_bytes),
            ("retention_days", self.retention_days),
            ("retention_bytes", self.retention_bytes),
        ];
        if let Some((field, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(Error::Config { field, reason: "must be above 0" });
        }
        if self.head_limit_bytes < self.flush_bytes {
            return Err(Error::Config { field: "head_limit_bytes", reason: "must not be below flush_bytes" });
        }
        if self.compression_level > 12 {
            return Err(Error::Config { field: "compression_level", reason: "must be 0 to 12" });
        }
        let longest = [self.flush_interval_s, self.span_s, self.grace_s].into_iter().max().unwrap_or(0);
        let days = [self.retention_days, self.tiers.minute_days, self.tiers.hour_days];
        if longest > 31_536_000 || days.iter().any(|&days| days > 36_500) {
            return Err(Error::Config {
                field: "a duration",
                reason: "is beyond a year of seconds or a century of days",
            });
        }
        Ok(())
    }

    /// How long raw, minute and hour files live, in microseconds.
    pub(crate) fn lifetimes_us(&self) -> [i64; 3] {
        [self.retention_days, self.tiers.minute_days, self.tiers.hour_days].map(|days| days as i64 * DAY_US)
    }

    pub(crate) fn span_us(&self) -> i64 {
        self.span_s as i64 * SECOND_US
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_and_senseless_fields_are_named() {
        let error = serde_json::from_str::<Config>(r#"{"span": 3}"#).unwrap_err();
        assert!(error.to_string().contains("span"), "{error}");
        let config = Config { span_s: 0, ..Config::default() };
        assert!(config.validate().unwrap_err().to_string().contains("span_s"));
        let config = Config { span_s: u64::MAX, ..Config::default() };
        assert!(config.validate().is_err());
        assert!(Config::default().validate().is_ok());
    }
}
