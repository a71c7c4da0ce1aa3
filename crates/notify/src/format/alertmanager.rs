//! Alerts as Alertmanager's API v2 takes them (`POST /api/v2/alerts`,
//! <https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml>).

use std::collections::BTreeMap;

use foretwin_core::{Alert, AlertId, Timestamp};
use serde_json::{Map, Value, json};

use super::Style;
use crate::notice::Notice;
use crate::words;

/// An alert ends by itself after so many silent repetitions, as Prometheus does it.
const REPETITIONS: f64 = 4.0;

/// The labels that an Alertmanager knows each standing alert by. It takes other labels for another alert.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told(BTreeMap<AlertId, Value>);

/// All notices; where the labels of an alert have changed, what it was known by is ended.
pub(super) fn document(style: &Style<'_>, notices: &[Notice], told: &mut Told, now: Timestamp) -> Value {
    let mut all = Vec::with_capacity(notices.len());
    for notice in notices {
        let (alert, labels) = (&notice.alert, labels(&notice.alert));
        let ends = notice.ended().unwrap_or(now + (REPETITIONS * style.resend_s * 1e6) as i64);
        let before = if notice.change.ends() {
            told.0.remove(&alert.id)
        } else {
            told.0.insert(alert.id.clone(), labels.clone())
        };
        if let Some(before) = before.filter(|before| *before != labels) {
            all.push(posted(style, alert, (before, now)));
        }
        all.push(posted(style, alert, (labels, ends)));
    }
    Value::Array(all)
}

fn posted(style: &Style<'_>, alert: &Alert, (labels, ends): (Value, Timestamp)) -> Value {
    json!({
        "labels": labels,
        "annotations": annotations(style, alert),
        "startsAt": alert.opened.to_string(),
        // The end must not lie before the beginning.
        "endsAt": ends.max(alert.opened).to_string(),
        "generatorURL": style.link(alert),
    })
}

/// What routes and silences look at. The opening member names it: the likeliest one may change from second to second.
fn labels(alert: &Alert) -> Value {
    let mut labels = Map::new();
    let mut put = |name: &str, value: &str| {
        // An empty label is none.
        if !value.is_empty() {
            labels.insert(name.to_owned(), value.into());
        }
    };
    put("alertname", "Foretwin");
    put("alert", &alert.id.0);
    put("severity", alert.severity.as_str());
    put("team", &alert.team);
    if let Some(first) = alert.members.first() {
        put("instance", first.instance.as_str());
        put("workload", &first.workload.0);
        put("kind", &first.kind.to_string());
    }
    Value::Object(labels)
}

/// What people read.
fn annotations(style: &Style<'_>, alert: &Alert) -> Value {
    let members: Vec<&str> = alert.members.iter().map(|member| member.instance.as_str()).collect();
    let mut all = Map::new();
    let mut put = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            all.insert(name.to_owned(), value.into());
        }
    };
    let link = style.link(alert);
    put("summary", Some(alert.title.clone()));
    put("description", Some(words::line(alert, &link)));
    put("probability", Some(format!("{:.4}", alert.probability)));
    put("horizon_s", Some(format!("{:.0}", alert.horizon_s)));
    let time = &alert.time_to_failure;
    for (name, at) in [("p10", time.p10), ("p50", time.p50), ("p90", time.p90)] {
        put(&format!("time_to_failure_{name}_s"), at.map(|s| format!("{s:.0}")));
    }
    put("cause", words::cause(alert));
    put("action", alert.action.as_ref().map(|action| action.description.clone()));
    put("instances", Some(members.join(", ")));
    put("common", alert.common.clone());
    put("reason", Some(alert.reason.clone()));
    put("link", Some(link));
    Value::Object(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::tests::{notice, style};
    use crate::{Change, Kind};
    use foretwin_core::{SECOND_US, Severity};
    use std::sync::Arc;

    #[test]
    fn what_stands_ends_by_itself_unless_it_is_said_again() {
        let opened = notice(Change::Opened);
        let now = opened.at + 30 * SECOND_US;
        let told = document(&style(Kind::Alertmanager), &[opened], &mut Told::default(), now);
        assert_eq!(told[0]["startsAt"], "2026-11-28T07:00:00.000Z");
        assert_eq!(told[0]["endsAt"], "2026-11-28T07:04:30.000Z");
        assert_eq!(told[0]["labels"]["instance"], "web-1/shop");
        assert_eq!(told[0]["annotations"]["time_to_failure_p50_s"], "1200");
        assert!(told[0]["annotations"].get("time_to_failure_p90_s").is_none());
        assert_eq!(told[0]["generatorURL"], "https://twin.example/#/alerts/a-1");
    }

    #[test]
    fn an_end_is_said_with_the_labels_that_it_was_known_by() {
        let (style, mut told) = (style(Kind::Alertmanager), Told::default());
        let opened = notice(Change::Opened);
        let now = opened.at;
        let first = document(&style, std::slice::from_ref(&opened), &mut told, now);
        let mut milder = (*opened.alert).clone();
        milder.severity = Severity::Warning;
        let milder = Notice { change: Change::Updated, alert: Arc::new(milder), ..opened.clone() };
        let second = document(&style, &[milder], &mut told, now);
        assert_eq!(second.as_array().unwrap().len(), 2);
        assert_eq!(
            (&second[0]["labels"], &second[0]["endsAt"]),
            (&first[0]["labels"], &json!(now.to_string()))
        );
        assert_eq!(second[1]["labels"]["severity"], "warning");
        let mut over = (*opened.alert).clone();
        over.severity = Severity::Warning;
        let over = Notice { change: Change::Withdrawn, alert: Arc::new(over), ..opened };
        let third = document(&style, &[over], &mut told, now);
        assert_eq!((third.as_array().unwrap().len(), &third[0]["endsAt"]), (1, &json!(now.to_string())));
        assert!(told.0.is_empty());
    }
}
