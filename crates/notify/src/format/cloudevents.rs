//! CloudEvents 1.0 in structured JSON (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>).

use serde_json::{Value, json};

use super::{Style, webhook};
use crate::notice::Notice;

/// One event; a message that is tried again has the same `id`, so that a receiver knows it.
pub(super) fn document(style: &Style<'_>, notice: &Notice) -> Value {
    let (alert, change) = (&notice.alert, notice.change.as_str());
    json!({
        "specversion": "1.0",
        "id": format!("{}/{change}/{}", alert.id, notice.at.0),
        "source": format!("{}/api/v1/alerts", style.address),
        "type": format!("foretwin.alert.{change}"),
        "subject": alert.id,
        "time": notice.at.to_string(),
        "datacontenttype": "application/json",
        "data": webhook::document(style, notice),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::tests::{notice, style};
    use crate::{Change, Kind};

    #[test]
    fn it_has_every_required_attribute_in_the_form_of_the_standard() {
        let event = document(&style(Kind::Cloudevents), &notice(Change::Resolved));
        for name in ["specversion", "id", "source", "type"] {
            assert!(event[name].as_str().is_some_and(|text| !text.is_empty()), "{name} in {event}");
        }
        assert_eq!(
            (&event["specversion"], &event["type"]),
            (&json!("1.0"), &json!("foretwin.alert.resolved"))
        );
        assert_eq!(event["time"], "2026-11-28T07:00:00.000Z");
        let names = event.as_object().unwrap().keys();
        assert!(names.clone().all(|name| name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())));
        assert_eq!(
            event,
            document(&style(Kind::Cloudevents), &notice(Change::Resolved)),
            "the same when tried again"
        );
    }
}
