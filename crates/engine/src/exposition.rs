//! `/metrics`: the node's counters and its latest verdicts, in Prometheus text format 0.0.4.

use std::fmt::Write;

use crate::handle::Handle;
use crate::view::InstanceView;

/// The whole page.
pub(crate) fn text(handle: &Handle) -> String {
    let mut page = String::new();
    for (name, help, value) in handle.pipeline.counters.all() {
        family(&mut page, name, help, "counter", &[(String::new(), value as f64)]);
    }
    for (name, help, kind, value) in stored(handle).iter().chain(&handle.ingest.stats()) {
        family(&mut page, name, help, kind, &[(String::new(), *value)]);
    }
    for (name, help, kind, samples) in handle.gateway.stats() {
        family(&mut page, name, help, kind, &samples);
    }
    verdicts(&mut page, &handle.instances());
    let open =
        handle.alerts_by_state().map(|(state, count)| (format!("{{state=\"{state}\"}}"), count as f64));
    family(&mut page, "foretwin_alerts", "Alerts that are not over.", "gauge", &open);
    for (name, help, kind, samples) in crate::messages::families(&handle.notifier) {
        family(&mut page, name, help, kind, &samples);
    }
    page
}

fn stored(handle: &Handle) -> Vec<(&'static str, &'static str, &'static str, f64)> {
    let stats = handle.pipeline.store.stats();
    vec![
        ("foretwin_store_head_bytes", "Bytes in memory, not yet flushed.", "gauge", stats.head_bytes as f64),
        ("foretwin_store_hot_bytes", "Bytes of hot files.", "gauge", stats.hot_bytes as f64),
        ("foretwin_store_raw_bytes", "Bytes of sealed raw files.", "gauge", stats.raw_bytes as f64),
        ("foretwin_store_raw_samples", "Samples in sealed raw files.", "gauge", stats.raw_samples as f64),
        ("foretwin_store_tier_bytes", "Bytes of downsampled tiers.", "gauge", stats.tier_bytes as f64),
        ("foretwin_store_flushes_total", "Flushes.", "counter", stats.flushes as f64),
        (
            "foretwin_store_failed_flushes_total",
            "Flushes that failed.",
            "counter",
            stats.failed_flushes as f64,
        ),
        (
            "foretwin_store_thinned_frames_total",
            "Frames beyond a quota.",
            "counter",
            stats.thinned_frames as f64,
        ),
        ("foretwin_store_damages_total", "Damaged parts found.", "counter", stats.damages as f64),
    ]
}

fn verdicts(page: &mut String, views: &[InstanceView]) {
    let alive: Vec<&InstanceView> = views.iter().filter(|view| view.alive).collect();
    let each = |value: &dyn Fn(&InstanceView) -> Option<f64>| -> Vec<(String, f64)> {
        let sample = |view: &&InstanceView| {
            let labels = format!("{{instance=\"{}\"}}", escaped(view.instance.id.as_str()));
            value(view).map(|value| (labels, value))
        };
        alive.iter().filter_map(sample).collect()
    };
    family(page, "foretwin_instances", "Instances alive.", "gauge", &[(String::new(), alive.len() as f64)]);
    let scores = each(&|view| view.score);
    family(page, "foretwin_anomaly_score", "Latest score; above 1 is anomalous.", "gauge", &scores);
    let probabilities = each(&|view| Some(view.failure_probability));
    let help = "Probability of failing within an hour.";
    family(page, "foretwin_failure_probability", help, "gauge", &probabilities);
    let progress = each(&|view| Some(view.learning.progress));
    family(page, "foretwin_learning_progress", "How far learning has come, 0 to 1.", "gauge", &progress);
}

fn family(page: &mut String, name: &str, help: &str, kind: &str, samples: &[(String, f64)]) {
    // Writing to a string cannot fail.
    let _ = writeln!(page, "# HELP {name} {help}\n# TYPE {name} {kind}");
    for (labels, value) in samples {
        let _ = writeln!(page, "{name}{labels} {value}");
    }
}

/// A label value as the format wants it.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_values_are_escaped() {
        assert_eq!(escaped("a\\b\"c\nd"), "a\\\\b\\\"c\\nd");
    }
}
