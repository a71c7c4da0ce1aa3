//! Documents that receivers understand.

mod alertmanager;
mod cloudevents;
mod webhook;

use foretwin_core::{Alert, Timestamp};
use serde_json::Value;

use crate::config::{Kind, Sink};
use crate::notice::Notice;

pub(crate) use alertmanager::Told;

/// What a document is made with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style<'a> {
    /// What the receiver understands.
    pub kind: Kind,
    /// Where links begin.
    pub address: &'a str,
    /// Seconds between two messages of an alert that stands.
    pub resend_s: f64,
}

impl<'a> Style<'a> {
    /// Of a sink, in a node that listens at `own`.
    pub(crate) fn of(sink: &'a Sink, own: &'a str) -> Self {
        let address = if sink.external_url.is_empty() { own } else { &sink.external_url };
        Self { kind: sink.kind, address: address.trim_end_matches('/'), resend_s: sink.resends_s() }
    }

    /// The alert's page.
    pub(crate) fn link(&self, alert: &Alert) -> String {
        format!("{}{}", self.address, alert.link)
    }

    /// Notices that one document may hold.
    pub(crate) fn most(&self) -> usize {
        if self.kind.wants_state() { 64 } else { 1 }
    }

    /// The document and its content type; `told` is what this Alertmanager was told last.
    pub(crate) fn document(
        &self,
        notices: &[Notice],
        told: &mut Told,
        now: Timestamp,
    ) -> (Value, &'static str) {
        const JSON: &str = "application/json";
        match (self.kind, notices.first()) {
            (Kind::Webhook, Some(notice)) => (webhook::document(self, notice), JSON),
            (Kind::Cloudevents, Some(notice)) => {
                (cloudevents::document(self, notice), "application/cloudevents+json")
            }
            _ => (alertmanager::document(self, notices, told, now), JSON),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;

    use foretwin_core::{Action, AlertState, Cause, Evidence, InstanceId, Quantiles, Timestamp};

    use super::*;
    use crate::{Change, test_alert};

    pub(crate) const OPENED: Timestamp = Timestamp(1_795_849_200_000_000);

    pub(crate) fn style(kind: Kind) -> Style<'static> {
        Style { kind, address: "https://twin.example", resend_s: 60.0 }
    }

    /// An alert as the policy makes it.
    pub(crate) fn alert() -> Alert {
        let mut alert = test_alert(OPENED);
        let shop = InstanceId::new("web-1/shop");
        alert.members[0].instance = shop.clone();
        alert.id = foretwin_core::AlertId("a-1".into());
        alert.link = "/#/alerts/a-1".into();
        alert.severity = foretwin_core::Severity::Critical;
        (alert.probability, alert.confidence, alert.horizon_s) = (0.93, 0.7, 3600.0);
        alert.time_to_failure = Quantiles { p10: Some(600.0), p50: Some(1200.0), p90: None };
        let evidence =
            vec![Evidence { metric: "container.memory.usage".into(), statement: "rises by 0.7 MB/s".into() }];
        alert.cause = Some(Cause { class: "leak".into(), place: shop, probability: 0.8, evidence });
        alert.action = Some(Action {
            action: "restart".into(),
            description: "restart web-1/shop".into(),
            expected_effect: "delays it".into(),
        });
        alert
    }

    pub(crate) fn notice(change: Change) -> Notice {
        let mut alert = alert();
        if change == Change::Resolved {
            alert.state = AlertState::Resolved;
        }
        Notice { number: 1, change, alert: Arc::new(alert), at: OPENED }
    }
}
