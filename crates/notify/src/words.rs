//! An alert in words, for whoever reads messages on a phone.

use foretwin_core::{Alert, Quantiles};

/// Everything that matters, in one line.
pub(crate) fn line(alert: &Alert, link: &str) -> String {
    let mut parts = vec![format!("[{}] {}", alert.severity, alert.title), chance(alert)];
    parts.extend(time(&alert.time_to_failure));
    parts.extend(cause(alert));
    parts.extend(alert.action.as_ref().map(|action| format!("do: {}", action.description)));
    if !alert.reason.is_empty() {
        parts.push(alert.reason.clone());
    }
    parts.push(link.to_owned());
    parts.join("; ")
}

/// How likely, within what, how sure.
pub(crate) fn chance(alert: &Alert) -> String {
    let within = match alert.horizon_s {
        s if s > 0.0 => format!(" within {}", span(s)),
        _ => " now".to_owned(),
    };
    format!("{:.0} %{within} (confidence {:.0} %)", alert.probability * 100.0, alert.confidence * 100.0)
}

/// The median time to failure, and between what it lies in eight of ten cases.
pub(crate) fn time(time: &Quantiles) -> Option<String> {
    let told = |at: Option<f64>| at.map_or("never".to_owned(), span);
    time.p50.map(|p50| format!("in {} ({} to {})", span(p50), told(time.p10), told(time.p90)))
}

/// The likeliest cause with what speaks for it.
pub(crate) fn cause(alert: &Alert) -> Option<String> {
    let cause = alert.cause.as_ref()?;
    let evidence: Vec<&str> = cause.evidence.iter().map(|one| one.statement.as_str()).collect();
    let because = if evidence.is_empty() { String::new() } else { format!(": {}", evidence.join(", ")) };
    Some(format!("{} at {} ({:.0} %){because}", cause.class, cause.place, cause.probability * 100.0))
}

/// Seconds as people say them.
fn span(s: f64) -> String {
    match s {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.1} h", s / 3600.0),
        s => format!("{:.1} d", s / 86_400.0),
    }
}
