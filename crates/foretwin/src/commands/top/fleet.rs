//! The fleet as rows: newest statements, recent scores, filter, order and selection.

use std::cmp::Ordering;
use std::collections::{HashMap, VecDeque};

use clap::ValueEnum;
use serde_json::{Value, json};

/// Scores that are remembered of an instance.
const SCORES: usize = 16;

/// What comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Order {
    /// The likeliest to fail within the hour
    Risk,
    /// The most anomalous
    Score,
    /// Trouble by the contrast with the twin
    Verdict,
    /// By name
    Name,
}

impl Order {
    pub(super) fn next(self) -> Self {
        match self {
            Self::Risk => Self::Score,
            Self::Score => Self::Verdict,
            Self::Verdict => Self::Name,
            Self::Name => Self::Risk,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Risk => "risk",
            Self::Score => "score",
            Self::Verdict => "verdict",
            Self::Name => "name",
        }
    }
}

/// One instance.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Row {
    pub id: String,
    pub kind: String,
    pub host: String,
    pub alive: bool,
    pub silent_s: f64,
    pub score: Option<f64>,
    pub scores: VecDeque<f64>,
    /// Probability of failure within an hour, by any mode.
    pub risk: f64,
    /// The likeliest mode, and its median seconds to failure.
    pub mode: String,
    pub p50_s: Option<f64>,
    pub learning: String,
    pub learned: bool,
    /// Class and probability.
    pub verdict: Option<(String, f64)>,
}

impl Row {
    fn read(view: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
        Self {
            id: text(&view["id"]),
            kind: text(&view["kind"]),
            host: text(&view["host"]),
            alive: view["alive"].as_bool().unwrap_or(true),
            silent_s: view["silent_s"].as_f64().unwrap_or(0.0),
            score: view["score"].as_f64(),
            scores: VecDeque::new(),
            risk: view["failure_probability"].as_f64().unwrap_or(0.0),
            mode: text(&view["top_risk"]["mode"]),
            p50_s: view["top_risk"]["p50_s"].as_f64(),
            learning: text(&view["learning"]["message"]),
            learned: view["learning"]["phase"] == "learned",
            verdict: None,
        }
    }

    fn note(&mut self, score: Option<f64>) {
        self.score = score;
        if let Some(score) = score {
            if self.scores.len() == SCORES {
                self.scores.pop_front();
            }
            self.scores.push_back(score);
        }
    }

    /// How much trouble the contrast sees.
    fn trouble(&self) -> f64 {
        match &self.verdict {
            Some((class, p)) if class != "healthy" && class != "no_contrast" => 1.0 + p,
            Some(_) => 0.5,
            None => 0.0,
        }
    }

    /// Whether it matches all words of a filter.
    pub(super) fn matches(&self, filter: &str) -> bool {
        filter.split_whitespace().all(|word| self.matches_word(&word.to_lowercase()))
    }

    fn matches_word(&self, word: &str) -> bool {
        let above = |text: &str, value: f64| text.parse().is_ok_and(|least: f64| value > least);
        let verdict = self.verdict.as_ref().map_or("", |(class, _)| class);
        match word.split_once([':', '>']) {
            Some(("kind", kind)) => self.kind.starts_with(kind),
            Some(("host", host)) => self.host.to_lowercase().starts_with(host),
            Some(("verdict", class)) => verdict.starts_with(class),
            Some(("mode", mode)) => self.mode.starts_with(mode),
            Some(("risk", least)) => above(least, self.risk),
            Some(("score", least)) => above(least, self.score.unwrap_or(0.0)),
            _ => self.id.to_lowercase().contains(word),
        }
    }

    pub(super) fn document(&self) -> Value {
        let verdict = self.verdict.as_ref().map(|(class, p)| json!({"class": class, "probability": p}));
        json!({"instance": self.id, "kind": self.kind, "host": self.host, "alive": self.alive, "score": self.score,
            "failure_probability": self.risk, "mode": (!self.mode.is_empty()).then_some(&self.mode),
            "p50_s": self.p50_s, "learning": self.learning, "verdict": verdict})
    }
}

/// All instances, and which of them are shown.
#[derive(Debug)]
pub(super) struct Fleet {
    rows: Vec<Row>,
    index: HashMap<String, usize>,
    pub filter: String,
    pub order: Order,
    /// Whether instances that are gone are shown too.
    pub gone: bool,
    selected: Option<String>,
}

impl Fleet {
    pub(super) fn new(filter: &str, order: Order) -> Self {
        let (rows, index) = (Vec::new(), HashMap::new());
        Self { rows, index, filter: filter.to_owned(), order, gone: false, selected: None }
    }

    /// Takes the answer of `/api/v1/instances`; scores and verdicts known so far are kept.
    pub(super) fn take_instances(&mut self, answer: &Value) {
        let mut rows: Vec<Row> =
            answer["instances"].as_array().into_iter().flatten().map(Row::read).collect();
        for row in &mut rows {
            let score = row.score;
            if let Some(&at) = self.index.get(&row.id) {
                let known = &mut self.rows[at];
                row.scores = std::mem::take(&mut known.scores);
                row.verdict = known.verdict.take();
            }
            if row.scores.back().copied() != score {
                row.note(score);
            }
        }
        self.index = rows.iter().enumerate().map(|(at, row)| (row.id.clone(), at)).collect();
        self.rows = rows;
    }

    /// Takes the answer of `/api/v1/twins`.
    pub(super) fn take_twins(&mut self, answer: &Value) {
        for contrast in answer["contrasts"].as_array().into_iter().flatten() {
            self.verdict(contrast["instance"].as_str().unwrap_or(""), &contrast["verdict"]);
        }
    }

    fn verdict(&mut self, id: &str, verdict: &Value) {
        let Some(&at) = self.index.get(id) else { return };
        let class = verdict["class"].as_str().map(str::to_owned);
        self.rows[at].verdict = class.map(|class| (class, verdict["probability"].as_f64().unwrap_or(0.0)));
    }

    /// Takes an event of the stream.
    pub(super) fn take_event(&mut self, event: &Value) {
        let id = event["instance"].as_str().unwrap_or("");
        let Some(&at) = self.index.get(id) else { return };
        match event["event"].as_str() {
            Some("score") => {
                let row = &mut self.rows[at];
                row.note(event["score"].as_f64());
                row.risk = event["failure_probability"].as_f64().unwrap_or(row.risk);
                row.silent_s = 0.0;
            }
            Some("verdict") => self.verdict(id, event),
            Some("vanished") => self.rows[at].alive = false,
            _ => {}
        }
    }

    /// What is shown, in order.
    pub(super) fn shown(&self) -> Vec<&Row> {
        let wanted = |row: &&Row| (self.gone || row.alive) && row.matches(&self.filter);
        let mut shown: Vec<&Row> = self.rows.iter().filter(wanted).collect();
        shown.sort_by(|a, b| self.compare(a, b).then_with(|| a.id.cmp(&b.id)));
        shown
    }

    fn compare(&self, a: &Row, b: &Row) -> Ordering {
        let score = |row: &Row| row.score.unwrap_or(-1.0);
        // Risks that are shown alike are alike: the order shall not tremble.
        let risk = |row: &Row| (row.risk * 200.0).round();
        match self.order {
            Order::Risk => risk(b).total_cmp(&risk(a)),
            Order::Score => score(b).total_cmp(&score(a)),
            Order::Verdict => b.trouble().total_cmp(&a.trouble()),
            Order::Name => Ordering::Equal,
        }
    }

    #[cfg(test)]
    fn row(&self, id: &str) -> Option<&Row> {
        self.index.get(id).map(|&at| &self.rows[at])
    }

    pub(super) fn len(&self) -> usize {
        self.rows.iter().filter(|row| row.alive).count()
    }

    /// How many living instances are likelier than not to fail within the hour, anomalous, and still learning.
    pub(super) fn counts(&self) -> (usize, usize, usize) {
        let count =
            |what: &dyn Fn(&Row) -> bool| self.rows.iter().filter(|row| row.alive && what(row)).count();
        let anomalous = |row: &Row| row.score.is_some_and(|score| score > 1.0);
        (count(&|row| row.risk >= 0.5), count(&anomalous), count(&|row| !row.learned))
    }

    /// Where the selection is among what is shown: on the same instance as before, wherever it moved.
    pub(super) fn position(&self, shown: &[&Row]) -> usize {
        let selected = self.selected.as_deref();
        shown.iter().position(|row| Some(row.id.as_str()) == selected).unwrap_or(0)
    }

    /// Moves the selection.
    pub(super) fn step(&mut self, by: isize) {
        let shown = self.shown();
        let at = self.position(&shown).saturating_add_signed(by).min(shown.len().saturating_sub(1));
        self.selected = shown.get(at).map(|row| row.id.clone());
    }

    pub(super) fn selected(&self) -> Option<String> {
        let shown = self.shown();
        shown.get(self.position(&shown)).map(|row| row.id.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fleet() -> Fleet {
        let one = |id: &str, kind: &str, score: f64, risk: f64| {
            json!({"id": id, "kind": kind, "host": "web-1", "alive": true, "score": score,
                "failure_probability": risk, "learning": {"phase": "learned", "message": "learned"}})
        };
        let mut fleet = Fleet::new("", Order::Risk);
        let views = [
            one("web-1", "host", 0.2, 0.01),
            one("web-1/app", "group", 1.4, 0.9),
            one("web-1/db", "group", 3.0, 0.3),
        ];
        fleet.take_instances(&json!({"instances": views}));
        fleet.take_twins(&json!({"contrasts": [{"instance": "web-1/db", "verdict": {"class": "infrastructure", "probability": 0.8}}]}));
        fleet
    }

    fn ids(fleet: &Fleet) -> Vec<&str> {
        fleet.shown().iter().map(|row| row.id.as_str()).collect()
    }

    #[test]
    fn the_worst_stands_first_by_what_was_asked() {
        let mut fleet = fleet();
        assert_eq!(ids(&fleet), ["web-1/app", "web-1/db", "web-1"]);
        fleet.order = Order::Score;
        assert_eq!(ids(&fleet)[0], "web-1/db");
        fleet.order = Order::Verdict;
        assert_eq!(ids(&fleet)[0], "web-1/db");
        fleet.order = Order::Name;
        assert_eq!(ids(&fleet), ["web-1", "web-1/app", "web-1/db"]);
        assert_eq!(fleet.counts(), (1, 2, 0));
    }

    #[test]
    fn filters_are_words_that_all_match() {
        let mut fleet = fleet();
        let filters = ["kind:group risk>0.5", "verdict:infra", "score>1 APP", "web-1", "nothing", "risk>x"];
        let counts = filters.map(|filter| {
            fleet.filter = filter.to_owned();
            fleet.shown().len()
        });
        assert_eq!(counts, [1, 1, 1, 3, 0, 0]);
    }

    #[test]
    fn the_selection_stays_on_its_instance() {
        let mut fleet = fleet();
        fleet.step(1);
        assert_eq!(fleet.selected().as_deref(), Some("web-1/db"));
        fleet.take_event(
            &json!({"event": "score", "instance": "web-1/db", "score": 2.0, "failure_probability": 0.99}),
        );
        assert_eq!(ids(&fleet)[0], "web-1/db");
        assert_eq!(fleet.selected().as_deref(), Some("web-1/db"));
        fleet.step(100);
        assert_eq!(fleet.selected().as_deref(), Some("web-1"));
        fleet.step(-100);
        assert_eq!(fleet.selected().as_deref(), Some("web-1/db"));
    }

    #[test]
    fn scores_are_remembered_over_answers_and_bounded() {
        let mut fleet = fleet();
        for step in 0..40 {
            fleet.take_event(&json!({"event": "score", "instance": "web-1", "score": f64::from(step)}));
        }
        let same = json!({"instances": [{"id": "web-1", "score": 39.0}]});
        fleet.take_instances(&same);
        let scores = &fleet.row("web-1").unwrap().scores;
        assert_eq!((scores.len(), scores.back()), (SCORES, Some(&39.0)));
        fleet.take_event(&json!({"event": "vanished", "instance": "web-1"}));
        assert!(fleet.shown().is_empty() && fleet.len() == 0);
    }
}
