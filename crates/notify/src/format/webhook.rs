//! The document of a webhook: what is new, in words and as the whole alert.

use serde_json::{Value, json};

use super::Style;
use crate::notice::Notice;
use crate::words;

/// Version of the document; fields are only added within one.
const VERSION: u32 = 1;

/// `text` alone is enough for chats that show a message of that name.
pub(super) fn document(style: &Style<'_>, notice: &Notice) -> Value {
    let link = style.link(&notice.alert);
    json!({
        "version": VERSION,
        "change": notice.change,
        "at_us": notice.at,
        "link": link,
        "text": format!("{}: {}", notice.change.as_str(), words::line(&notice.alert, &link)),
        "alert": &*notice.alert,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::tests::{notice, style};
    use crate::{Change, Kind};

    #[test]
    fn it_holds_words_link_and_the_whole_alert() {
        let told = document(&style(Kind::Webhook), &notice(Change::Opened));
        assert_eq!((&told["change"], &told["version"]), (&json!("opened"), &json!(1)));
        assert_eq!(told["link"], "https://twin.example/#/alerts/a-1");
        let text = told["text"].as_str().unwrap();
        for part in [
            "opened: [critical]",
            "93 % within 60 min",
            "in 20 min (10 min to never)",
            "leak at web-1/shop (80 %): rises by 0.7 MB/s",
            "do: restart",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert_eq!(told["alert"]["time_to_failure"]["p50"], 1200.0);
        assert_eq!(told["alert"]["members"][0]["instance"], "web-1/shop");
    }
}
