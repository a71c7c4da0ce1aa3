//! One instance: its ranked metrics, what is foreseen of it, its twin, and what happened.

use std::collections::VecDeque;

use serde_json::{Value, json};

/// Key of the stored anomaly score.
pub(super) const SCORE: &str = "foretwin.anomaly.score";
/// Events that are remembered.
const EVENTS: usize = 200;
/// Spans that a chart may show: name as the node takes it.
const SPANS: [&str; 5] = ["5m", "15m", "1h", "6h", "24h"];
/// How much of a metric's rank stays from one answer to the next: what makes the score changes every second, and a list
/// that jumps cannot be read.
const KEPT: f64 = 0.9;

/// What the lower half shows where there is no room for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Panel {
    Risks,
    Causes,
    Twin,
    Events,
}

impl Panel {
    pub(super) const ALL: [Self; 4] = [Self::Risks, Self::Causes, Self::Twin, Self::Events];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Risks => "risks",
            Self::Causes => "causes",
            Self::Twin => "twin",
            Self::Events => "events",
        }
    }

    pub(super) fn next(self) -> Self {
        let at = Self::ALL.iter().position(|one| *one == self).unwrap_or(0);
        Self::ALL[(at + 1) % Self::ALL.len()]
    }
}

/// A metric in the order of what it has to do with the score.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ranked {
    pub key: String,
    /// Smoothed share of the score; 0 for those that never had one.
    pub share: f64,
}

/// One instance as it was last told.
#[derive(Debug)]
pub(super) struct Page {
    pub id: String,
    pub prediction: Value,
    pub twin: Value,
    pub window: Value,
    pub metrics: Vec<Ranked>,
    pub events: VecDeque<String>,
    pub panel: Panel,
    /// Rows by which the lower half is scrolled.
    pub scroll: u16,
    selected: Option<String>,
    span: usize,
}

impl Page {
    pub(super) fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            prediction: Value::Null,
            twin: Value::Null,
            window: Value::Null,
            metrics: Vec::new(),
            events: VecDeque::new(),
            panel: Panel::Risks,
            scroll: 0,
            selected: None,
            span: 1,
        }
    }

    pub(super) fn span(&self) -> &'static str {
        SPANS[self.span]
    }

    pub(super) fn widen(&mut self, by: isize) {
        self.span = self.span.saturating_add_signed(by).min(SPANS.len() - 1);
    }

    /// Takes the answer of `/api/v1/instances/ID/metrics`: all that can be looked at.
    pub(super) fn take_metrics(&mut self, answer: &Value) {
        let mut keys: Vec<&str> = answer["metrics"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|metric| metric["key"].as_str())
            .collect();
        keys.sort_unstable();
        for key in keys {
            if !self.metrics.iter().any(|known| known.key == key) {
                self.metrics.push(Ranked { key: key.to_owned(), share: 0.0 });
            }
        }
    }

    /// Takes a prediction; its contributions move the ranks.
    pub(super) fn take_prediction(&mut self, prediction: Value) {
        for metric in &mut self.metrics {
            metric.share *= KEPT;
        }
        for part in prediction["anomaly"]["contributions"].as_array().into_iter().flatten() {
            let (Some(key), Some(share)) = (part["metric"].as_str(), part["share"].as_f64()) else {
                continue;
            };
            match self.metrics.iter_mut().find(|known| known.key == key) {
                Some(known) => known.share += (1.0 - KEPT) * share,
                None => self.metrics.push(Ranked { key: key.to_owned(), share: (1.0 - KEPT) * share }),
            }
        }
        // Stable: equals stay in the order of their names.
        self.metrics.sort_by(|a, b| b.share.total_cmp(&a.share));
        self.prediction = prediction;
    }

    /// Notes an event that concerns this instance.
    pub(super) fn note(&mut self, line: String) {
        if self.events.len() == EVENTS {
            self.events.pop_back();
        }
        self.events.push_front(line);
    }

    pub(super) fn position(&self) -> usize {
        self.metrics.iter().position(|one| Some(&one.key) == self.selected.as_ref()).unwrap_or(0)
    }

    pub(super) fn step(&mut self, by: isize) {
        let at = self.position().saturating_add_signed(by).min(self.metrics.len().saturating_sub(1));
        self.selected = self.metrics.get(at).map(|one| one.key.clone());
    }

    /// The metrics whose charts are shown: the selected one and the next in rank.
    pub(super) fn charted(&self) -> Vec<String> {
        self.metrics.iter().skip(self.position()).take(3).map(|one| one.key.clone()).collect()
    }

    /// A series of the window.
    pub(super) fn series(&self, key: &str) -> Option<&Value> {
        self.window["series"].as_array()?.iter().find(|series| series["metric"] == key)
    }

    pub(super) fn document(&self) -> Value {
        let metrics: Vec<Value> =
            self.metrics.iter().map(|one| json!({"metric": one.key, "share": one.share})).collect();
        json!({"instance": self.id, "prediction": self.prediction, "twin": self.twin, "metrics": metrics,
            "window": self.window})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(key: &str) -> Value {
        json!({"anomaly": {"contributions": [{"metric": key, "share": 1.0}]}})
    }

    #[test]
    fn ranks_follow_what_makes_the_score_slowly() {
        let mut page = Page::new("a");
        page.take_metrics(&json!({"metrics": [{"key": "z"}, {"key": "b"}, {"key": "c"}]}));
        for _ in 0..20 {
            page.take_prediction(made("c"));
        }
        page.take_prediction(made("z"));
        let keys: Vec<&str> = page.metrics.iter().map(|one| one.key.as_str()).collect();
        assert_eq!(keys, ["c", "z", "b"]);
        assert_eq!(page.charted(), ["c", "z", "b"]);
    }

    #[test]
    fn the_selected_metric_stays_selected() {
        let mut page = Page::new("a");
        page.take_metrics(&json!({"metrics": [{"key": "b"}, {"key": "c"}]}));
        page.step(1);
        for _ in 0..5 {
            page.take_prediction(made("c"));
        }
        assert_eq!((page.position(), page.charted()), (0, vec!["c".to_owned(), "b".to_owned()]));
    }

    #[test]
    fn spans_and_events_are_bounded() {
        let mut page = Page::new("a");
        page.widen(-9);
        assert_eq!(page.span(), "5m");
        page.widen(9);
        assert_eq!(page.span(), "24h");
        (0..500).for_each(|n| page.note(n.to_string()));
        assert_eq!((page.events.len(), page.events[0].as_str()), (EVENTS, "499"));
    }
}
