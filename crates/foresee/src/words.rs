//! Amounts, rates and times as operators say them.

use foretwin_core::FailureMode;

/// What a failure mode counts, and how it is written.
pub(crate) fn amount(mode: FailureMode, value: f64) -> String {
    match mode {
        FailureMode::MemoryExhaustion | FailureMode::SwapExhaustion | FailureMode::DiskFull => bytes(value),
        FailureMode::InodeExhaustion => format!("{} inodes", plain(value)),
        FailureMode::DescriptorExhaustion => format!("{} descriptors", plain(value)),
        FailureMode::PidExhaustion => format!("{} processes and threads", plain(value)),
        _ => plain(value),
    }
}

/// An amount per time, in the unit of time that makes it readable.
pub(crate) fn rate(mode: FailureMode, per_second: f64) -> String {
    let bytes =
        matches!(mode, FailureMode::MemoryExhaustion | FailureMode::SwapExhaustion | FailureMode::DiskFull);
    let least = if bytes { 1024.0 } else { 1.0 };
    for (seconds, unit) in [(1.0, "s"), (60.0, "min"), (3600.0, "h")] {
        if per_second.abs() * seconds >= least {
            return format!("{}/{unit}", amount(mode, per_second * seconds));
        }
    }
    format!("{}/day", amount(mode, per_second * 86_400.0))
}

pub(crate) fn bytes(value: f64) -> String {
    let mut value = value;
    for unit in ["B", "KiB", "MiB", "GiB", "TiB"] {
        if value.abs() < 1024.0 {
            return format!("{} {unit}", plain(value));
        }
        value /= 1024.0;
    }
    format!("{} PiB", plain(value))
}

/// Three digits are as many as people compare.
pub(crate) fn plain(value: f64) -> String {
    let size = value.abs();
    if size >= 100.0 || size == size.round() {
        format!("{value:.0}")
    } else if size >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

/// A duration in its two largest units; the lesser is left out where there is none of it.
pub(crate) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return "never".into();
    }
    let whole = seconds.max(0.0).round() as u64;
    let (days, hours, minutes, rest) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60, whole % 60);
    let [(large, unit), (small, lesser)] = match (days, hours, minutes) {
        (0, 0, 0) => return format!("{rest} s"),
        (0, 0, minutes) => [(minutes, "min"), (rest, "s")],
        (0, hours, minutes) => [(hours, "h"), (minutes, "min")],
        (days, hours, _) => [(days, "d"), (hours, "h")],
    };
    if small == 0 { format!("{large} {unit}") } else { format!("{large} {unit} {small} {lesser}") }
}

/// A share in percent.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_well() {
        assert_eq!(amount(FailureMode::MemoryExhaustion, 256.0 * 1024.0 * 1024.0), "256 MiB");
        assert_eq!(amount(FailureMode::DescriptorExhaustion, 812.0), "812 descriptors");
        assert_eq!(rate(FailureMode::MemoryExhaustion, 1.04e6), "1016 KiB/s");
        assert_eq!(rate(FailureMode::DiskFull, 20.0), "1.17 KiB/min");
        assert_eq!(rate(FailureMode::PidExhaustion, 0.001), "3.60 processes and threads/h");
        assert_eq!(duration(75.4), "1 min 15 s");
        assert_eq!(duration(90_000.0), "1 d 1 h");
        assert_eq!([60.0, 3600.0, 86_400.0].map(duration), ["1 min", "1 h", "1 d"]);
        assert_eq!(duration(f64::INFINITY), "never");
        assert_eq!(percent(0.934), "93 %");
    }
}
