//! Messages to whoever must know of an alert: what becomes of alerts goes to the receivers that are configured.

use std::sync::Arc;
use std::time::Duration;

use foretwin_core::AlertState;
use foretwin_notify::{Counts, Notifier, Sink, Threads};

use crate::Error;
use crate::alerts::AlertQuery;
use crate::handle::{Handle, wall_clock};
use crate::view::Event;

/// How long receivers may hold the stop.
const GRACE: Duration = Duration::from_secs(5);

/// The threads that tell them.
pub(crate) struct Messages {
    notifier: Notifier,
    threads: Threads,
}

impl Messages {
    /// Starts the threads; nothing is told before [`Messages::connect`].
    pub(crate) fn start(sinks: &[Sink], seed: u64) -> Result<Self, Error> {
        // The configuration gives every sink an address.
        let (notifier, threads) = Notifier::start(sinks, "", seed)?;
        Ok(Self { notifier, threads })
    }

    /// For whoever counts.
    pub(crate) fn notifier(&self) -> Notifier {
        self.notifier.clone()
    }

    /// Listens to the alerts of a node, and takes up those that fired before it started.
    pub(crate) fn connect(&self, handle: &Handle) {
        let notifier = self.notifier.clone();
        handle.subscribe(Box::new(move |event: &Arc<Event>| {
            if let Event::Alert { alert, .. } = &**event {
                notifier.take(alert, wall_clock());
            }
            true
        }));
        let firing = AlertQuery { states: vec![AlertState::Firing], ..AlertQuery::default() };
        // Oldest first.
        for alert in handle.alerts(&firing).iter().rev() {
            self.notifier.resume(alert, wall_clock());
        }
    }

    /// What waits has one more try.
    pub(crate) fn stop(self) {
        self.notifier.stop(self.threads, GRACE);
    }
}

/// Name, help, kind and the samples of each sink, for `/metrics`.
pub(crate) type Family = (&'static str, &'static str, &'static str, Vec<(String, f64)>);

/// The numbers of all sinks.
pub(crate) fn families(notifier: &Notifier) -> Vec<Family> {
    type Number = fn(&Counts) -> u64;
    let numbers: [(&str, &str, &str, Number); 6] = [
        ("foretwin_notify_delivered_total", "Messages that a receiver took.", "counter", |one| one.delivered),
        ("foretwin_notify_failed_tries_total", "Tries that failed and are tried again.", "counter", |one| {
            one.failed_tries
        }),
        ("foretwin_notify_refused_total", "Messages that a receiver refused.", "counter", |one| one.refused),
        ("foretwin_notify_dropped_total", "Messages dropped from a full queue.", "counter", |one| {
            one.dropped
        }),
        ("foretwin_notify_waiting", "Messages that wait.", "gauge", |one| one.waiting),
        ("foretwin_notify_standing", "Alerts that a receiver is told stand.", "gauge", |one| one.standing),
    ];
    let counts = notifier.counts();
    let family = |(name, help, kind, number): (&'static str, &'static str, &'static str, Number)| {
        let sample = |one: &Counts| {
            (format!("{{sink=\"{}\"}}", crate::exposition::escaped(&one.sink)), number(one) as f64)
        };
        (name, help, kind, counts.iter().map(sample).collect())
    };
    if counts.is_empty() { Vec::new() } else { numbers.into_iter().map(family).collect() }
}
