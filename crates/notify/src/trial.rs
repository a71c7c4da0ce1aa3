//! Tries a receiver with an alert that says what it is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use foretwin_core::{
    Alert, AlertId, AlertKind, AlertMember, AlertState, InstanceId, Quantiles, Severity, Timestamp,
    WorkloadId,
};

use crate::Error;
use crate::config::Sink;
use crate::format::{Style, Told};
use crate::notice::{Change, Notice};
use crate::post::Post;

/// What a receiver answered to one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery {
    /// What was said.
    pub change: Change,
    /// HTTP status.
    pub status: u16,
    /// How long it took.
    pub took: Duration,
}

/// An alert for trying receivers; its title says so.
#[must_use]
pub fn test_alert(at: Timestamp) -> Alert {
    let (instance, kind) = (InstanceId::new("foretwin-notify-test"), AlertKind::Anomaly);
    let member = AlertMember {
        instance,
        workload: WorkloadId("test".into()),
        kind,
        since: at,
        ended: None,
        probability: 1.0,
        horizon_s: 0.0,
        peak: 1.0,
        peak_horizon_s: 0.0,
        time_to_failure: Quantiles::default(),
    };
    Alert {
        id: AlertId(format!("test-{}", at.0)),
        state: AlertState::Firing,
        reason: String::new(),
        kind,
        class: "unknown".into(),
        severity: Severity::Notice,
        title: "This is a test of messages; nothing is wrong".into(),
        opened: at,
        last: at,
        resolved: None,
        shown: true,
        team: String::new(),
        common: None,
        members: vec![member],
        count: 1,
        probability: 1.0,
        horizon_s: 0.0,
        confidence: 1.0,
        time_to_failure: Quantiles::default(),
        cause: None,
        action: None,
        link: "/#/alerts".into(),
        outcome: None,
        feedback: Vec::new(),
    }
}

/// Tells a receiver that a test alert opened, then that it is over, whatever the sink's team and severity are. No try is
/// repeated.
///
/// # Errors
/// The first that goes wrong, with what was delivered before it lost.
pub fn try_sink(sink: &Sink, own: &str, at: Timestamp) -> Result<[Delivery; 2], Error> {
    sink.check()?;
    let (post, mut told) = (Post::new(sink)?, Told::default());
    let mut say = |change: Change| {
        let mut alert = test_alert(at);
        if change == Change::Resolved {
            (alert.state, alert.resolved) = (AlertState::Resolved, Some(at));
        }
        let notice = Notice { number: 0, change, alert: Arc::new(alert), at };
        let (document, content_type) = Style::of(sink, own).document(&[notice], &mut told, at);
        let began = Instant::now();
        let status = post.send(&document, content_type)?;
        Ok(Delivery { change, status, took: began.elapsed() })
    };
    Ok([say(Change::Opened)?, say(Change::Resolved)?])
}
