//! Would it have warned, when, of what, how sure, and with what advice: the alerts of a replay, for people and machines.

use std::fmt::Write;

use foretwin_core::{Alert, AlertOutcome, AlertState, Timestamp};
use foretwin_engine::ReplayedAlert;
use serde_json::{Value, json};

use crate::commands::predict::span;

/// Alerts of one recording.
pub(super) struct Warned {
    alerts: Vec<ReplayedAlert>,
    /// The recording's last row.
    end: Timestamp,
    /// How far the recording was moved on the clock, in µs: alerts are told by its own times.
    shift_us: i64,
}

impl Warned {
    /// Alerts of a replay by the clock of the recording that was moved by so much and ends then.
    pub(super) fn new(alerts: Vec<ReplayedAlert>, end: Timestamp, shift_us: i64) -> Self {
        Self { alerts, end, shift_us }
    }

    /// One object per alert: what was told when it opened, and what became of it.
    pub(super) fn described(&self) -> Value {
        self.alerts.iter().map(|alert| self.object(alert)).collect()
    }

    fn object(&self, ReplayedAlert { opened, metric, at_end }: &ReplayedAlert) -> Value {
        let own = |at: Timestamp| at - self.shift_us;
        let first = opened.members.first();
        json!({
            "opened_us": own(opened.opened), "before_end_s": self.end.since(opened.opened),
            "state": opened.state, "reason": opened.reason, "title": opened.title, "severity": opened.severity,
            "kind": opened.kind.to_string(), "mode": opened.kind.mode(), "metric": metric,
            "probability": opened.probability, "horizon_s": opened.horizon_s, "confidence": opened.confidence,
            "time_to_failure": opened.time_to_failure, "class": opened.class,
            "cause": opened.cause, "action": opened.action,
            "peak": at_end.members.first().or(first).map(|member| member.peak),
            "at_end": at_end.state, "resolved_us": at_end.resolved.map(own),
            "failed_us": failed(at_end).map(own),
        })
    }

    /// As text: a paragraph each.
    pub(super) fn text(&self) -> String {
        if self.alerts.is_empty() {
            return "no alert: nothing stood above its bar\n".into();
        }
        let mut text =
            format!("{} alert{}\n", self.alerts.len(), if self.alerts.len() == 1 { "" } else { "s" });
        self.alerts.iter().for_each(|alert| self.paragraph(alert, &mut text));
        text
    }

    fn paragraph(&self, ReplayedAlert { opened, metric, at_end }: &ReplayedAlert, text: &mut String) {
        let own = |at: Timestamp| at - self.shift_us;
        let time = &opened.time_to_failure;
        let seconds = |value: Option<f64>| span(&json!(value));
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "  {}, {} before the end: {} ({}), {:.0} % within {}",
            own(opened.opened),
            span(&json!(self.end.since(opened.opened))),
            opened.kind,
            metric.as_deref().unwrap_or("no resource"),
            100.0 * opened.probability,
            span(&json!(opened.horizon_s)),
        );
        let _ = writeln!(
            text,
            "    time to failure p10 {}, p50 {}, p90 {}",
            seconds(time.p10),
            seconds(time.p50),
            seconds(time.p90)
        );
        if let Some(cause) = &opened.cause {
            let _ = writeln!(text, "    because: {} ({:.0} %)", cause.class, 100.0 * cause.probability);
            for evidence in &cause.evidence {
                let _ = writeln!(text, "      {}", evidence.statement);
            }
        }
        if let Some(action) = &opened.action {
            let _ = writeln!(text, "    do: {}\n      {}", action.description, action.expected_effect);
        }
        let _ = writeln!(text, "    {}", became(opened, at_end, &own));
    }
}

/// When what an alert spoke of happened, as far as the recording shows it.
fn failed(alert: &Alert) -> Option<Timestamp> {
    match alert.outcome {
        Some(AlertOutcome::Failed { at_us, .. }) => Some(at_us),
        _ => None,
    }
}

/// What became of it.
fn became(opened: &Alert, at_end: &Alert, own: &dyn Fn(Timestamp) -> Timestamp) -> String {
    let shown = match opened.state {
        AlertState::Held | AlertState::Silenced => format!("{}, {}; ", opened.state, opened.reason),
        AlertState::Firing | AlertState::Resolved => String::new(),
    };
    let ended = match (failed(at_end), at_end.resolved) {
        (Some(at), _) => format!("failed at {}", own(at)),
        (None, Some(at)) => format!("over at {}: {}", own(at), at_end.reason),
        (None, None) => "stands at the end of the recording".into(),
    };
    shown + &ended
}
