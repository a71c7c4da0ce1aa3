//! Moments as the query API takes them: seconds since the epoch, or RFC 3339.

/// Milliseconds since the epoch.
pub(super) fn millis(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<f64>() {
        // Up to the year 9999, either way.
        return (seconds.abs() < 253_402_300_800.0).then(|| (seconds * 1000.0).round() as i64);
    }
    let (date, time) = text.split_once(['T', 't'])?;
    let mut parts = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let zone = time.find(['Z', 'z', '+', '-'])?;
    let offset_s = match &time[zone..] {
        "Z" | "z" => 0,
        zone => {
            let (hours, minutes) = zone[1..].split_once(':')?;
            let seconds = 3600 * hours.parse::<i64>().ok()? + 60 * minutes.parse::<i64>().ok()?;
            if zone.starts_with('-') { -seconds } else { seconds }
        }
    };
    let mut parts = time[..zone].splitn(3, ':');
    let hour: i64 = parts.next()?.parse().ok()?;
    let minute: i64 = parts.next()?.parse().ok()?;
    let second: f64 = parts.next()?.parse().ok()?;
    let valid = (1..=12).contains(&month) && (1..=31).contains(&day) && (0..=9999).contains(&year);
    if !valid || !(0..24).contains(&hour) || !(0..60).contains(&minute) || !(0.0..61.0).contains(&second) {
        return None;
    }
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 - offset_s;
    Some(seconds * 1000 + (second * 1000.0).round() as i64)
}

/// Days since 1970-01-01 (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let yoe = year - era * 400;
    let doy = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    era * 146_097 + doe - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        assert_eq!(millis("1700000000.5"), Some(1_700_000_000_500));
        assert_eq!(millis("2023-11-14T22:13:20.5Z"), Some(1_700_000_000_500));
        assert_eq!(millis("2023-11-15T00:13:20+02:00"), Some(1_700_000_000_000));
        assert_eq!(millis("1969-12-31T23:59:59Z"), Some(-1000));
        for wrong in [
            "",
            "now",
            "NaN",
            "inf",
            "1e20",
            "2023-13-01T00:00:00Z",
            "2023-11-14",
            "2023-11-14T25:00:00Z",
            "T",
            "-T-Z",
        ] {
            assert_eq!(millis(wrong), None, "{wrong}");
        }
    }
}
