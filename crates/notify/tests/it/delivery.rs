//! Delivery to a webhook: order, outage, refusal, overflow, secrets, the end.

use std::time::Duration;

use foretwin_core::{Alert, AlertId, AlertState, Timestamp};
use foretwin_notify::{Counts, Error, Kind, Notifier, Sink, test_alert, try_sink};
use serde_json::json;

use super::receiver::{Receiver, until};

fn sink(receiver: &Receiver) -> Sink {
    Sink { name: "ops".into(), url: receiver.url(), longest_pause_s: 0.2, ..Sink::default() }
}

fn alert(id: usize, state: AlertState) -> Alert {
    Alert { id: AlertId(format!("a-{id}")), state, ..test_alert(Timestamp(1_000_000)) }
}

fn start(sink: Sink) -> (Notifier, foretwin_notify::Threads) {
    Notifier::start(&[sink], "http://127.0.0.1:7878", 7).unwrap()
}

fn counts(notifier: &Notifier) -> Counts {
    notifier.counts().remove(0)
}

/// Change and alert of everything that arrived.
fn heard(receiver: &Receiver) -> Vec<(String, String)> {
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    receiver
        .taken()
        .iter()
        .map(|one| (text(&one.document["change"]), text(&one.document["alert"]["id"])))
        .collect()
}

#[test]
fn nothing_is_lost_and_nothing_overtakes_through_an_outage() {
    let receiver = Receiver::start(200);
    let (notifier, threads) = start(sink(&receiver));
    notifier.take(&alert(0, AlertState::Firing), Timestamp(1));
    until("the first", || counts(&notifier).delivered == 1);
    receiver.answer(503);
    for id in 1..20 {
        notifier.take(&alert(id, AlertState::Firing), Timestamp(id as i64));
    }
    notifier.take(&alert(0, AlertState::Resolved), Timestamp(99));
    until("tries that fail", || counts(&notifier).failed_tries >= 3);
    assert_eq!((receiver.taken().len(), counts(&notifier).waiting), (1, 20));
    receiver.answer(204);
    until("the rest", || counts(&notifier).waiting == 0);
    let mut expected: Vec<(String, String)> =
        (0..20).map(|id| ("opened".into(), format!("a-{id}"))).collect();
    expected.push(("resolved".into(), "a-0".into()));
    assert_eq!(heard(&receiver), expected);
    assert_eq!(
        (counts(&notifier).delivered, counts(&notifier).dropped, counts(&notifier).standing),
        (21, 0, 19)
    );
    notifier.stop(threads, Duration::from_secs(5));
}

#[test]
fn what_stands_is_said_again_until_it_is_over() {
    let receiver = Receiver::start(200);
    let (notifier, threads) = start(Sink { resend_s: Some(1.0), ..sink(&receiver) });
    notifier.resume(&alert(1, AlertState::Firing), Timestamp(1));
    until("two repetitions", || heard(&receiver).len() >= 3);
    notifier.take(&alert(1, AlertState::Resolved), Timestamp(2));
    until("the end", || heard(&receiver).last().unwrap().0 == "resolved");
    let (before, tries) = (heard(&receiver), receiver.tries());
    assert!(before[..before.len() - 1].iter().all(|(change, _)| change == "repeated"), "{before:?}");
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(receiver.tries(), tries, "what is over is not said again");
    notifier.stop(threads, Duration::from_secs(5));
}

#[test]
fn a_refused_message_is_counted_and_does_not_hold_up_the_next() {
    let receiver = Receiver::start(400);
    let (notifier, threads) = start(sink(&receiver));
    notifier.take(&alert(1, AlertState::Firing), Timestamp(1));
    until("the refusal", || counts(&notifier).refused == 1);
    receiver.answer(200);
    notifier.take(&alert(2, AlertState::Firing), Timestamp(2));
    until("the next", || counts(&notifier).delivered == 1);
    assert_eq!(heard(&receiver), [("opened".to_owned(), "a-2".to_owned())]);
    notifier.stop(threads, Duration::from_secs(5));
}

#[test]
fn beyond_the_queue_the_oldest_go_and_are_counted() {
    let receiver = Receiver::start(503);
    let (notifier, threads) = start(Sink { queue: 3, ..sink(&receiver) });
    (0..10).for_each(|id| notifier.take(&alert(id, AlertState::Firing), Timestamp(id as i64)));
    assert_eq!((counts(&notifier).waiting, counts(&notifier).dropped), (3, 7));
    receiver.answer(200);
    until("the last", || heard(&receiver).iter().any(|(_, id)| id == "a-9"));
    // One that was under way when the queue overflowed may have come through before them.
    let ids: Vec<_> = heard(&receiver).into_iter().map(|(_, id)| id).collect();
    assert!(ids.ends_with(&["a-7".into(), "a-8".into(), "a-9".into()]) && ids.len() <= 4, "{ids:?}");
    notifier.stop(threads, Duration::from_secs(5));
}

#[test]
fn secrets_are_read_anew_and_the_content_type_is_that_of_the_format() {
    let receiver = Receiver::start(200);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "first\n").unwrap();
    let sink = Sink { kind: Kind::Cloudevents, token_file: Some(file.path().into()), ..sink(&receiver) };
    let (notifier, threads) = start(sink);
    notifier.take(&alert(1, AlertState::Firing), Timestamp(1));
    until("one", || receiver.taken().len() == 1);
    std::fs::write(file.path(), "second\n").unwrap();
    notifier.take(&alert(2, AlertState::Firing), Timestamp(2));
    until("two", || receiver.taken().len() == 2);
    let taken = receiver.taken();
    assert_eq!(taken[0].authorization.as_deref(), Some("Bearer first"));
    assert_eq!(taken[1].authorization.as_deref(), Some("Bearer second"));
    assert_eq!(taken[0].content_type, "application/cloudevents+json");
    assert_eq!(taken[0].document["data"]["alert"]["id"], "a-1");
    notifier.stop(threads, Duration::from_secs(5));
}

#[test]
fn the_end_sends_what_waits_and_does_not_hang_on_who_is_away() {
    let (here, away) = (Receiver::start(200), Receiver::start(503));
    let sinks = [sink(&here), Sink { name: "away".into(), longest_pause_s: 300.0, ..sink(&away) }];
    let (notifier, threads) = Notifier::start(&sinks, "http://127.0.0.1:7878", 7).unwrap();
    (0..5).for_each(|id| notifier.take(&alert(id, AlertState::Firing), Timestamp(id as i64)));
    let began = std::time::Instant::now();
    notifier.stop(threads, Duration::from_secs(10));
    assert!(began.elapsed() < Duration::from_secs(8));
    assert_eq!((heard(&here).len(), notifier.counts()[1].waiting), (5, 5));
}

#[test]
fn a_trial_says_what_happened() {
    let receiver = Receiver::start(202);
    let said = try_sink(&sink(&receiver), "http://127.0.0.1:7878", Timestamp(5)).unwrap();
    assert_eq!(said.map(|one| (one.change.as_str(), one.status)), [("opened", 202), ("resolved", 202)]);
    assert_eq!(receiver.taken()[0].document["link"], json!("http://127.0.0.1:7878/#/alerts"));
    receiver.answer(401);
    let refused = try_sink(&sink(&receiver), "", Timestamp(6)).unwrap_err();
    assert!(matches!(refused, Error::Refused { status: 401, .. }), "{refused}");
    let nobody = Sink { url: "http://127.0.0.1:1/".into(), ..sink(&receiver) };
    assert!(matches!(try_sink(&nobody, "", Timestamp(7)), Err(Error::Away { .. })));
}
