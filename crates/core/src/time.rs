//! Moments on the wall clock, in microseconds.

use std::fmt;
use std::ops::{Add, Sub};

use serde::{Deserialize, Serialize};

/// Microseconds in a second.
pub const SECOND_US: i64 = 1_000_000;
/// Microseconds in a minute.
pub const MINUTE_US: i64 = 60 * SECOND_US;
/// Microseconds in an hour.
pub const HOUR_US: i64 = 60 * MINUTE_US;
/// Microseconds in a day.
pub const DAY_US: i64 = 24 * HOUR_US;

/// A moment: microseconds since the Unix epoch, UTC. A microsecond is enough to take rates at 100 Hz.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The moment `seconds` after the epoch.
    #[must_use]
    pub fn from_seconds(seconds: f64) -> Self {
        Self((seconds * SECOND_US as f64).round() as i64)
    }

    /// Seconds since the epoch.
    #[must_use]
    pub fn seconds(self) -> f64 {
        self.0 as f64 / SECOND_US as f64
    }

    /// Seconds from `earlier` to this moment; negative if the clock went back. Saturates over 292,000 years.
    #[must_use]
    pub fn since(self, earlier: Self) -> f64 {
        self.0.saturating_sub(earlier.0) as f64 / SECOND_US as f64
    }
}

/// Adds microseconds.
impl Add<i64> for Timestamp {
    type Output = Self;
    fn add(self, us: i64) -> Self {
        Self(self.0.saturating_add(us))
    }
}

/// Subtracts microseconds.
impl Sub<i64> for Timestamp {
    type Output = Self;
    fn sub(self, us: i64) -> Self {
        Self(self.0.saturating_sub(us))
    }
}

/// Prints RFC 3339 in UTC with milliseconds.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, of_day) = (self.0.div_euclid(DAY_US), self.0.rem_euclid(DAY_US));
        let (year, month, day) = civil_from_days(days);
        let (hour, minute) = (of_day / HOUR_US, of_day / MINUTE_US % 60);
        let (second, milli) = (of_day / SECOND_US % 60, of_day / 1000 % 1000);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
    }
}

/// Days since 1970-01-01 to a proleptic Gregorian date (Howard Hinnant, "chrono-compatible low-level date
/// algorithms").
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_rfc_3339() {
        assert_eq!(Timestamp(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Timestamp::from_seconds(951_782_400.25).to_string(), "2000-02-29T00:00:00.250Z");
        assert_eq!(Timestamp(-1_000).to_string(), "1969-12-31T23:59:59.999Z");
    }

    #[test]
    fn since_is_signed() {
        let t = Timestamp::from_seconds(10.0);
        assert_eq!(t.since(t + 2 * SECOND_US), -2.0);
    }
}
