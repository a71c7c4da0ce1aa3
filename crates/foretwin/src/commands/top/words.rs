//! Numbers, times and names as they fit into a terminal's columns.

use ratatui::style::{Color, Modifier, Style};

/// A value with its unit: bytes in powers of 1024, shares in percent, the rest with SI prefixes.
pub(in crate::commands) fn quantity(value: f64, unit: &str) -> String {
    if !value.is_finite() {
        return "-".to_owned();
    }
    let per_second = if unit.ends_with("/s") { "/s" } else { "" };
    match unit.trim_end_matches("/s") {
        "1" => format!("{:.1} %{per_second}", value * 100.0),
        "By" => scaled(value, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB", "PiB"]) + per_second,
        "us" if per_second.is_empty() => scaled(value, 1000.0, &["us", "ms", "s", "ks"]),
        // Microseconds of a second are a share.
        "us" => format!("{:.1} %", value / 1e4),
        "ms" => scaled(value, 1000.0, &["ms", "s", "ks"]),
        _ => scaled(value, 1000.0, &["", "k", "M", "G", "T"]).trim_end().to_owned() + per_second,
    }
}

fn scaled(value: f64, step: f64, units: &[&str]) -> String {
    let (mut value, mut at) = (value, 0);
    while value.abs() >= step && at + 1 < units.len() {
        value /= step;
        at += 1;
    }
    let digits = if at == 0 && value.fract() == 0.0 || value.abs() >= 100.0 { 0 } else { 1 };
    format!("{value:.digits$} {}", units[at])
}

/// Seconds in at most six characters.
pub(super) fn span(seconds: Option<f64>) -> String {
    // Whole hours and days need no digit behind the point.
    let one = |x: f64| {
        if x >= 99.95 || (x - x.round()).abs() < 0.05 { format!("{x:.0}") } else { format!("{x:.1}") }
    };
    match seconds {
        None => "never".into(),
        Some(s) if s < 100.0 => format!("{s:.0}s"),
        Some(s) if s < 3600.0 => format!("{:.0}m", s / 60.0),
        Some(s) if s < 172_800.0 => format!("{}h", one(s / 3600.0)),
        Some(s) => format!("{}d", one(s / 86_400.0)),
    }
}

/// A probability in percent, in at most four characters; what rounds to nothing is said to be little.
pub(super) fn percent(probability: f64) -> String {
    match probability * 100.0 {
        p if p <= 0.0 => "0%".into(),
        p if p < 1.0 => "<1%".into(),
        // Nothing that is foreseen is certain.
        p if (99.5..100.0).contains(&p) => ">99%".into(),
        p => format!("{p:.0}%"),
    }
}

/// The time of day in UTC, of µs since the epoch.
pub(super) fn clock(at_us: i64) -> String {
    let s = at_us.div_euclid(1_000_000).rem_euclid(86_400);
    format!("{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
}

/// The last `width` characters of a name that is longer: ends tell instances of one host apart.
pub(super) fn end_of(name: &str, width: usize) -> String {
    let length = name.chars().count();
    if length <= width || width == 0 {
        return name.to_owned();
    }
    let kept: String = name.chars().skip(length - width + 1).collect();
    format!("…{kept}")
}

/// Scores as blocks: an anomalous one is above the middle.
pub(super) fn block(score: f64) -> char {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    if score.is_finite() { BLOCKS[((score.max(0.0) * 4.0) as usize).min(7)] } else { ' ' }
}

/// Whether colours are wanted (<https://no-color.org>).
fn coloured() -> bool {
    std::env::var_os("NO_COLOR").is_none()
}

/// Red, yellow or nothing, by how far a value is beyond two levels.
pub(super) fn alarm(value: f64, levels: (f64, f64)) -> Style {
    match value {
        v if v >= levels.1 => tint(Color::Red).add_modifier(Modifier::BOLD),
        v if v >= levels.0 => tint(Color::Yellow),
        _ => Style::default(),
    }
}

/// A colour, where colours are wanted.
pub(super) fn tint(colour: Color) -> Style {
    if coloured() { Style::default().fg(colour) } else { Style::default() }
}

/// What matters less.
pub(super) fn faint() -> Style {
    Style::default().add_modifier(Modifier::DIM)
}

/// Titles.
pub(super) fn bold() -> Style {
    Style::default().add_modifier(Modifier::BOLD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_short() {
        let told =
            [(2.5e9, "By"), (0.123, "1"), (250_000.0, "us/s"), (1500.0, "{page}/s"), (7.0, "{thread}")];
        let told = told.map(|(value, unit)| quantity(value, unit));
        assert_eq!(told, ["2.3 GiB", "12.3 %", "25.0 %", "1.5 k/s", "7"]);
        assert_eq!(quantity(f64::NAN, "By"), "-");
    }

    #[test]
    fn times_probabilities_and_names_fit() {
        assert_eq!([None, Some(59.0), Some(600.0), Some(90_000.0)].map(span), ["never", "59s", "10m", "25h"]);
        assert_eq!([0.0, 0.004, 0.5, 0.999, 1.0].map(percent), ["0%", "<1%", "50%", ">99%", "100%"]);
        assert_eq!(clock(1_795_851_274_002_379), "07:34:34");
        assert_eq!(end_of("host/system.slice/app.service", 12), "…app.service");
        assert_eq!([0.0, 0.9, 1.0, 9.0].map(block), ['▁', '▄', '▅', '█']);
    }
}
