//! Where the screens' data come from: answers of the node, asked for again and again, and its live stream.

use std::io::BufRead;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use crate::commands::client::{Client, encoded};

/// Between two rounds of questions, at least.
const PAUSE: Duration = Duration::from_secs(2);
/// So many times what a round took is waited for: a large fleet is not asked more than it can bear.
const PATIENCE: u32 = 10;
/// Points of a chart.
const POINTS: usize = 240;

/// What a screen wants to know.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Question {
    pub instance: Option<String>,
    pub metrics: Vec<String>,
    pub span: &'static str,
}

/// What a screen is told.
#[derive(Debug)]
pub(super) enum Message {
    Instances(Value),
    Twins(Value),
    Alerts(Value),
    Prediction(String, Value),
    Twin(String, Value),
    Metrics(String, Value),
    Window(String, Value),
    Event(Value),
    /// Whether the live stream is there.
    Live(bool),
    /// All questions of a round were answered, or why one was not.
    Round(Result<(), String>),
    /// A signal wants the end.
    Stop,
}

/// The threads that ask.
pub(super) struct Source {
    questions: Sender<Question>,
}

impl Source {
    /// Begins to ask, to listen to the stream, and to heed signals.
    pub(super) fn start(server: &str, messages: Sender<Message>, first: Question) -> Result<Self> {
        let (questions, asked) = mpsc::channel();
        let (client, sender) = (Client::new(server), messages.clone());
        std::thread::Builder::new()
            .name("questions".into())
            .spawn(move || ask_on(&client, &sender, &asked, first))
            .map(drop)?;
        listen(server, messages.clone())?;
        signals(messages)?;
        Ok(Self { questions })
    }

    /// Asks something else from now on, at once.
    pub(super) fn ask(&self, question: Question) {
        // The thread ends only after this end does.
        let _ = self.questions.send(question);
    }
}

/// Listens to the stream of a server until nobody wants the events any more; comes back when it breaks.
fn listen(server: &str, messages: Sender<Message>) -> Result<()> {
    let client = Client::new(server);
    let listening = move || {
        loop {
            if let Ok(stream) = client.stream("/api/v1/stream") {
                let lines = std::io::BufReader::new(stream).lines().map_while(Result::ok);
                if messages.send(Message::Live(true)).is_err() {
                    return;
                }
                for line in lines {
                    let Some(data) = line.strip_prefix("data:") else { continue };
                    let Ok(event) = serde_json::from_str(data) else { continue };
                    if messages.send(Message::Event(event)).is_err() {
                        return;
                    }
                }
            }
            if messages.send(Message::Live(false)).is_err() {
                return;
            }
            std::thread::sleep(PAUSE);
        }
    };
    std::thread::Builder::new().name("stream".into()).spawn(listening).map(drop)?;
    Ok(())
}

/// SIGTERM, SIGHUP and SIGINT end the screens, which give the terminal back.
fn signals(messages: Sender<Message>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let waiting = move || {
        runtime.block_on(async {
            let kinds = [SignalKind::terminate(), SignalKind::hangup(), SignalKind::interrupt()];
            let [Ok(mut a), Ok(mut b), Ok(mut c)] = kinds.map(signal) else { return };
            tokio::select! {
                _ = a.recv() => {}
                _ = b.recv() => {}
                _ = c.recv() => {}
            }
            let _ = messages.send(Message::Stop);
        });
    };
    std::thread::Builder::new().name("signals".into()).spawn(waiting).map(drop)?;
    Ok(())
}

/// Asks until nobody listens.
fn ask_on(client: &Client, messages: &Sender<Message>, asked: &Receiver<Question>, first: Question) {
    let mut question = first;
    loop {
        let began = Instant::now();
        let mut tell = |message| messages.send(message).map_err(|_| anyhow::anyhow!("nobody listens"));
        let done = round(client, &question, &mut tell).and_then(|()| window(client, &question, &mut tell));
        let done = done.map_err(|error| format!("{error:#}"));
        if messages.send(Message::Round(done)).is_err() {
            return;
        }
        let pause = PAUSE.max(began.elapsed() * PATIENCE);
        while let Some(left) = pause.checked_sub(began.elapsed()) {
            let next = match asked.recv_timeout(left) {
                // Of several questions that waited only the last is still of interest.
                Ok(next) => asked.try_iter().last().unwrap_or(next),
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let elsewhere = next.instance != question.instance;
            question = next;
            if elsewhere {
                break;
            }
            // Other charts of the same instance: the rest is as new as it was. A failure shows in the next round.
            let _ = window(client, &question, &mut tell);
        }
    }
}

/// One round of questions, but for the window.
fn round(client: &Client, question: &Question, tell: &mut dyn FnMut(Message) -> Result<()>) -> Result<()> {
    let Some(id) = &question.instance else {
        tell(Message::Instances(client.get("/api/v1/instances")?))?;
        tell(Message::Twins(client.get("/api/v1/twins")?))?;
        // Older nodes have no alerts.
        if let Ok(alerts) = client.get("/api/v1/alerts?state=firing") {
            tell(Message::Alerts(alerts))?;
        }
        return Ok(());
    };
    let name = encoded(id);
    let prediction = client.post("/api/v1/twin/predict", &json!({"instance": id, "horizon": "1h"}))?;
    tell(Message::Prediction(id.clone(), prediction))?;
    // An instance without a twin is an answer too.
    let twin = client.get(&format!("/api/v1/twins/{name}"));
    tell(Message::Twin(id.clone(), twin.unwrap_or_else(|error| json!({"none": format!("{error:#}")}))))?;
    if question.metrics.is_empty() {
        tell(Message::Metrics(id.clone(), client.get(&format!("/api/v1/instances/{name}/metrics"))?))?;
    }
    Ok(())
}

/// The series of the charts.
fn window(client: &Client, question: &Question, tell: &mut dyn FnMut(Message) -> Result<()>) -> Result<()> {
    let Some(id) = question.instance.as_ref().filter(|_| !question.metrics.is_empty()) else { return Ok(()) };
    let metrics = question.metrics.iter().map(String::as_str).chain([super::page::SCORE]);
    let metrics: String = metrics.map(|key| format!("&metric={}", encoded(key))).collect();
    let (name, span) = (encoded(id), question.span);
    let path = format!("/api/v1/instances/{name}/window?from=-{span}&points={POINTS}{metrics}");
    tell(Message::Window(id.clone(), client.get(&path)?))
}

/// The answers of one round, for a screen that is drawn once.
pub(super) fn ask_once(server: &str, question: &Question) -> Result<Vec<Message>> {
    let mut told = Vec::new();
    round(&Client::new(server), question, &mut |message| {
        told.push(message);
        Ok(())
    })?;
    told.push(Message::Round(Ok(())));
    Ok(told)
}

/// The window that belongs to it.
pub(super) fn ask_window(server: &str, question: &Question) -> Result<Vec<Message>> {
    let mut told = Vec::new();
    window(&Client::new(server), question, &mut |message| {
        told.push(message);
        Ok(())
    })?;
    Ok(told)
}
