//! Spans of a recording in which it behaved unlike itself.

use foretwin_core::Timestamp;
use foretwin_engine::Replayed;
use serde_json::{Value, json};

/// A span of rows that were anomalous one after the other.
struct Episode {
    from: Timestamp,
    to: Timestamp,
    rows: usize,
    worst: f64,
    metric: String,
}

/// What is worth telling of the scores of a replay.
#[derive(Default)]
pub(super) struct Episodes {
    scored: usize,
    anomalous: usize,
    episodes: Vec<Episode>,
}

impl Episodes {
    /// Takes the next row.
    pub(super) fn take(&mut self, row: &Replayed) {
        let Some(judged) = &row.judgement else { return };
        self.scored += 1;
        if !judged.score.is_anomalous() {
            return;
        }
        self.anomalous += 1;
        let metric = judged.contributions.first().map(|part| part.metric.clone()).unwrap_or_default();
        // Rows within a minute belong to one episode.
        match self.episodes.last_mut().filter(|last| row.at.since(last.to) <= 60.0) {
            Some(last) => {
                (last.to, last.rows) = (row.at, last.rows + 1);
                if judged.score.0 > last.worst {
                    (last.worst, last.metric) = (judged.score.0, metric);
                }
            }
            None => {
                let (from, to, worst) = (row.at, row.at, judged.score.0);
                self.episodes.push(Episode { from, to, rows: 1, worst, metric });
            }
        }
    }

    /// As fields of the document that machines get.
    pub(super) fn described(&self, document: &mut Value) {
        let one = |episode: &Episode| {
            json!({"from_us": episode.from, "to_us": episode.to, "rows": episode.rows, "worst": episode.worst,
                "metric": episode.metric})
        };
        document["scored"] = json!(self.scored);
        document["anomalous"] = json!(self.anomalous);
        document["episodes"] = self.episodes.iter().map(one).collect();
    }

    /// As text, a line each.
    pub(super) fn text(&self) -> String {
        let mut text = format!(
            "{} scored, {} anomalous in {} episodes\n",
            self.scored,
            self.anomalous,
            self.episodes.len()
        );
        for Episode { from, to, rows, worst, metric } in &self.episodes {
            text += &format!("  {from} to {to}: {rows} rows, worst {worst:.1}, first of all {metric}\n");
        }
        text
    }
}
