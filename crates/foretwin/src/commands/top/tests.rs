//! The screens on recorded answers of a node: what a person reads of them, at the least size and at a large one.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde_json::{Value, json};

use super::app::{App, Wish};
use super::fleet::Order;
use super::frame;
use super::source::Message;

/// Answers of a node that watches a machine with a leaking `shop` in a group of 600 MiB.
fn recorded(name: &str) -> Value {
    let text = match name {
        "instances" => include_str!("recorded/instances.json"),
        "twins" => include_str!("recorded/twins.json"),
        "prediction" => include_str!("recorded/prediction.json"),
        "twin" => include_str!("recorded/twin.json"),
        "metrics" => include_str!("recorded/metrics.json"),
        _ => include_str!("recorded/window.json"),
    };
    serde_json::from_str(text).unwrap()
}

fn app() -> App {
    let mut app = App::new("http://twin:7878", ("", Order::Risk), None);
    app.take(Message::Instances(recorded("instances")));
    app.take(Message::Twins(recorded("twins")));
    app.answered_us = Some(1_795_851_938_000_000);
    app
}

fn press(app: &mut App, code: KeyCode) -> Wish {
    app.press(KeyEvent::new(code, KeyModifiers::NONE))
}

/// Opens the instance that stands first, and hands it what was recorded of it.
fn open(app: &mut App) {
    press(app, KeyCode::Enter);
    let id = app.page.as_ref().unwrap().id.clone();
    app.take(Message::Prediction(id.clone(), recorded("prediction")));
    app.take(Message::Twin(id.clone(), recorded("twin")));
    app.take(Message::Metrics(id.clone(), recorded("metrics")));
    app.take(Message::Window(id, recorded("window")));
}

/// Compares with the frame that is kept beside the recording; `FORETWIN_BLESS=1` writes it anew.
fn holds(name: &str, drawn: &str) {
    let path = format!("{}/src/commands/top/recorded/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("FORETWIN_BLESS").is_some() {
        std::fs::write(&path, drawn).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(drawn, kept, "{name} looks otherwise; look at it, then FORETWIN_BLESS=1 keeps it:\n{drawn}");
}

#[test]
fn screens_look_as_they_were_kept() {
    let mut app = app();
    holds("fleet-80x24", &frame(&mut app, (80, 24)).unwrap());
    holds("fleet-140x16", &frame(&mut app, (140, 16)).unwrap());
    open(&mut app);
    holds("page-80x24", &frame(&mut app, (80, 24)).unwrap());
    holds("page-140x44", &frame(&mut app, (140, 44)).unwrap());
}

#[test]
fn every_screen_draws_at_every_size() {
    for size in [(40, 10), (80, 24), (119, 31), (300, 90)] {
        let mut app = app();
        for code in [KeyCode::Char('?'), KeyCode::Esc, KeyCode::Char('g'), KeyCode::End] {
            press(&mut app, code);
            assert_eq!(frame(&mut app, size).unwrap().lines().count(), usize::from(size.1));
        }
        open(&mut app);
        for code in [KeyCode::Tab, KeyCode::Tab, KeyCode::Tab, KeyCode::Char('+'), KeyCode::End] {
            press(&mut app, code);
            assert_eq!(frame(&mut app, size).unwrap().lines().count(), usize::from(size.1));
        }
    }
}

#[test]
fn keys_filter_sort_open_and_leave() {
    let mut app = app();
    press(&mut app, KeyCode::Char('/'));
    for c in "kind:app".chars() {
        press(&mut app, KeyCode::Char(c));
    }
    assert_eq!(press(&mut app, KeyCode::Char('q')), Wish::Stay, "a q in a filter is a letter");
    press(&mut app, KeyCode::Backspace);
    press(&mut app, KeyCode::Enter);
    let ids: Vec<String> = app.fleet.shown().iter().map(|row| row.id.clone()).collect();
    assert_eq!(ids, ["web-1/foretwin-twin"]);
    press(&mut app, KeyCode::Esc);
    assert!(app.fleet.shown().len() > 4);
    press(&mut app, KeyCode::Char('s'));
    assert_eq!(app.fleet.order, Order::Score);
    press(&mut app, KeyCode::Enter);
    assert!(app.question().instance.is_some());
    press(&mut app, KeyCode::Esc);
    assert!(app.question().instance.is_none());
    assert_eq!(press(&mut app, KeyCode::Char('q')), Wish::Quit);
    assert_eq!(app.press(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)), Wish::Quit);
}

#[test]
fn an_unreachable_node_is_said_and_what_was_known_stays() {
    let mut app = app();
    app.take(Message::Round(Err("http://twin:7878: no answer".into())));
    let drawn = frame(&mut app, (80, 24)).unwrap();
    assert!(
        drawn.contains("no answer since 07:45:38: http://twin:7878") && drawn.contains("web-1/shop"),
        "{drawn}"
    );
    assert!(!app.ended());
    app.take(Message::Stop);
    assert!(app.ended());
}

#[test]
fn answers_about_another_instance_are_dropped_and_events_are_told() {
    let mut app = app();
    open(&mut app);
    app.take(Message::Twin("other".into(), json!({"none": "wrong"})));
    app.take(Message::Event(json!({"event": "alert", "change": "opened",
        "alert": {"title": "shop runs out of memory", "members": [{"instance": "web-1/shop"}]}})));
    app.take(Message::Event(json!({"event": "appeared", "instance": "web-1/else"})));
    let page = app.page.as_ref().unwrap();
    assert_ne!(page.twin["none"], "wrong");
    assert_eq!(page.events.len(), 1);
    press(&mut app, KeyCode::Char('4'));
    assert!(frame(&mut app, (80, 24)).unwrap().contains("alert opened: shop runs out of memory"));
}

#[test]
fn ten_thousand_instances_are_drawn_without_delay_to_the_keys() {
    let one = |n: usize| {
        json!({"id": format!("web-{n}/app"), "kind": "group", "alive": true, "score": 0.5,
            "failure_probability": (n % 100) as f64 / 100.0})
    };
    let mut app = App::new("s", ("", Order::Risk), None);
    app.take(Message::Instances(json!({"instances": (0..10_000).map(one).collect::<Vec<_>>()})));
    press(&mut app, KeyCode::End);
    let drawn = frame(&mut app, (80, 24)).unwrap();
    let last = app.fleet.selected().unwrap();
    assert!(drawn.contains(&last) && drawn.contains("10000 instances"), "{drawn}");
}
