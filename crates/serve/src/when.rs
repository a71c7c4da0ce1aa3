//! Moments in a query: `now`, `-15m`, or seconds since the epoch.

use foretwin_core::Timestamp;

use crate::error::ApiError;

/// Reads a moment relative to `now`.
pub(crate) fn moment(field: &'static str, text: &str, now: Timestamp) -> Result<Timestamp, ApiError> {
    let wrong = || {
        let message =
            format!("{field}={text:?} is no moment; use now, -15m, -6h, or seconds since the epoch");
        ApiError::field(field, message)
    };
    if text == "now" {
        return Ok(now);
    }
    if let Some(ago) = text.strip_prefix('-') {
        return Ok(now - (seconds(ago).ok_or_else(wrong)? * 1e6) as i64);
    }
    let at: f64 = text.parse().map_err(|_| wrong())?;
    // Beyond the year 9999 a number of milliseconds or microseconds was meant.
    if !at.is_finite() || !(0.0..253_402_300_800.0).contains(&at) {
        return Err(wrong());
    }
    Ok(Timestamp::from_seconds(at))
}

/// Reads a span such as `90`, `90s`, `15m`, `6h`, `7d`, in seconds.
pub(crate) fn seconds(text: &str) -> Option<f64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    let value: f64 = digits.parse().ok()?;
    let span = value * unit;
    (span.is_finite() && (0.0..=1e10).contains(&span)).then_some(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_moments() {
        let now = Timestamp::from_seconds(1000.0);
        assert_eq!(moment("to", "now", now).unwrap(), now);
        assert_eq!(moment("from", "-15m", now).unwrap(), Timestamp::from_seconds(100.0));
        assert_eq!(moment("from", "12.5", now).unwrap(), Timestamp::from_seconds(12.5));
        for bad in ["", "-", "yesterday", "-5y", "1e300", "NaN", "-inf", "1700000000000000"] {
            assert!(moment("from", bad, now).is_err(), "{bad}");
        }
    }
}
