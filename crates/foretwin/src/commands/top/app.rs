//! What the screens know and how keys move them; nothing here asks or draws by itself.

use std::time::{SystemTime, UNIX_EPOCH};

use ratatui::Frame;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde_json::{Value, json};

use super::fleet::{Fleet, Order};
use super::page::{Page, Panel};
use super::source::{Message, Question};
use super::{draw_fleet, draw_page, words};

/// Rows that a page key moves.
const LEAP: isize = 15;

/// What a key asks of the loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    Stay,
    Quit,
}

/// Everything on the screens.
#[derive(Debug)]
pub(super) struct App {
    pub server: String,
    pub fleet: Fleet,
    pub page: Option<Page>,
    /// Titles of the alerts that fire.
    pub alerts: Vec<String>,
    /// Why the node does not answer.
    pub trouble: Option<String>,
    pub live: bool,
    /// When the node last answered, µs since the epoch.
    pub answered_us: Option<i64>,
    /// Whether a filter is being typed.
    pub typing: bool,
    pub help: bool,
    ended: bool,
}

impl App {
    pub(super) fn new(server: &str, (filter, order): (&str, Order), instance: Option<&str>) -> Self {
        Self {
            server: server.to_owned(),
            fleet: Fleet::new(filter, order),
            page: instance.map(Page::new),
            alerts: Vec::new(),
            trouble: None,
            live: false,
            answered_us: None,
            typing: false,
            help: false,
            ended: false,
        }
    }

    /// What must be asked for this screen.
    pub(super) fn question(&self) -> Question {
        let Some(page) = &self.page else { return Question::default() };
        Question { instance: Some(page.id.clone()), metrics: page.charted(), span: page.span() }
    }

    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    /// Takes what was told.
    pub(super) fn take(&mut self, message: Message) {
        match message {
            Message::Instances(answer) => self.fleet.take_instances(&answer),
            Message::Twins(answer) => self.fleet.take_twins(&answer),
            Message::Alerts(answer) => {
                let alerts = answer["alerts"].as_array().into_iter().flatten();
                self.alerts = alerts.filter_map(|one| one["title"].as_str().map(str::to_owned)).collect();
            }
            Message::Prediction(id, answer) => self.on(&id, |page| page.take_prediction(answer)),
            Message::Twin(id, answer) => self.on(&id, |page| page.twin = answer),
            Message::Metrics(id, answer) => self.on(&id, |page| page.take_metrics(&answer)),
            Message::Window(id, answer) => self.on(&id, |page| page.window = answer),
            Message::Event(event) => self.take_event(&event),
            Message::Live(live) => self.live = live,
            Message::Round(done) => {
                if done.is_ok() {
                    self.answered_us = now_us();
                }
                self.trouble = done.err();
            }
            Message::Stop => self.ended = true,
        }
    }

    /// An answer about an instance that is no longer looked at is dropped.
    fn on(&mut self, id: &str, take: impl FnOnce(&mut Page)) {
        if let Some(page) = self.page.as_mut().filter(|page| page.id == id) {
            take(page);
        }
    }

    fn take_event(&mut self, event: &Value) {
        self.fleet.take_event(event);
        let Some(page) = &mut self.page else { return };
        if let Some(line) = told(event, &page.id) {
            page.note(line);
        }
    }

    /// Takes a key.
    pub(super) fn press(&mut self, key: KeyEvent) -> Wish {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        if control && matches!(key.code, KeyCode::Char('c' | 'd')) {
            return Wish::Quit;
        }
        if self.help {
            self.help = false;
            return Wish::Stay;
        }
        if self.typing {
            self.type_filter(key.code);
            return Wish::Stay;
        }
        match key.code {
            KeyCode::Char('q') => return Wish::Quit,
            KeyCode::Char('?') | KeyCode::F(1) => self.help = true,
            code if self.page.is_some() => self.press_on_page(code),
            code => self.press_on_fleet(code),
        }
        Wish::Stay
    }

    fn type_filter(&mut self, code: KeyCode) {
        match code {
            KeyCode::Enter => self.typing = false,
            KeyCode::Esc => {
                self.typing = false;
                self.fleet.filter.clear();
            }
            KeyCode::Backspace => {
                self.fleet.filter.pop();
            }
            KeyCode::Char(c) => self.fleet.filter.push(c),
            _ => {}
        }
    }

    fn press_on_fleet(&mut self, code: KeyCode) {
        match code {
            KeyCode::Char('/') => self.typing = true,
            KeyCode::Esc => self.fleet.filter.clear(),
            KeyCode::Char('s') => self.fleet.order = self.fleet.order.next(),
            KeyCode::Char('g') => self.fleet.gone = !self.fleet.gone,
            KeyCode::Enter | KeyCode::Right => self.page = self.fleet.selected().map(|id| Page::new(&id)),
            code => self.fleet.step(step_of(code)),
        }
    }

    fn press_on_page(&mut self, code: KeyCode) {
        let Some(page) = &mut self.page else { return };
        let to = |page: &mut Page, panel| {
            page.panel = panel;
            page.scroll = 0;
        };
        match code {
            KeyCode::Esc | KeyCode::Backspace | KeyCode::Left => self.page = None,
            KeyCode::Tab => to(page, page.panel.next()),
            KeyCode::Char(digit @ '1'..='4') => to(page, Panel::ALL[digit as usize - '1' as usize]),
            KeyCode::Char('+') => page.widen(1),
            KeyCode::Char('-') => page.widen(-1),
            KeyCode::Char('d') => page.scroll = page.scroll.saturating_add(3),
            KeyCode::Char('u') => page.scroll = page.scroll.saturating_sub(3),
            code => page.step(step_of(code)),
        }
    }

    pub(super) fn draw(&mut self, frame: &mut Frame) {
        match &self.page {
            Some(page) => draw_page::draw(frame, self, page),
            None => draw_fleet::draw(frame, self),
        }
        if self.help {
            draw_fleet::help(frame);
        }
    }

    /// What `--json` prints.
    pub(super) fn document(&self) -> Value {
        match &self.page {
            Some(page) => page.document(),
            None => {
                let rows: Vec<Value> = self.fleet.shown().iter().map(|row| row.document()).collect();
                json!({"instances": rows, "alerts": self.alerts})
            }
        }
    }
}

/// Rows by which a key moves a selection.
fn step_of(code: KeyCode) -> isize {
    match code {
        KeyCode::Down | KeyCode::Char('j') => 1,
        KeyCode::Up | KeyCode::Char('k') => -1,
        KeyCode::PageDown | KeyCode::Char(' ') => LEAP,
        KeyCode::PageUp => -LEAP,
        KeyCode::Home => isize::MIN,
        KeyCode::End | KeyCode::Char('G') => isize::MAX,
        _ => 0,
    }
}

/// An event as a line, if it is one that is worth a line and concerns the instance.
fn told(event: &Value, id: &str) -> Option<String> {
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let alert = &event["alert"];
    let member = |one: &Value| one["instance"] == id;
    let concerned =
        event["instance"] == id || alert["members"].as_array().is_some_and(|all| all.iter().any(member));
    let what = match event["event"].as_str().filter(|_| concerned)? {
        "verdict" => {
            let p = words::percent(event["probability"].as_f64().unwrap_or(0.0));
            format!("verdict: {} ({p})", text(&event["class"]))
        }
        "learned" => text(&event["learning"]["message"]),
        "alert" => format!("alert {}: {}", text(&event["change"]), text(&alert["title"])),
        "score" => return None,
        other => other.to_owned(),
    };
    let at_us = event["at_us"].as_i64().or_else(now_us).unwrap_or(0);
    Some(format!("{} {what}", words::clock(at_us)))
}

fn now_us() -> Option<i64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_micros()).ok()
}
