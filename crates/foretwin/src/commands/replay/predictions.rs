//! What was predicted over the time of a recording: a table, or the documents that a live node would have given.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use foretwin_core::{Prediction, Timestamp};

/// A file of predictions: one line each, as CSV or, where its name ends in `.jsonl`, as JSON.
pub(super) struct Predictions {
    file: BufWriter<File>,
    json: bool,
    every_us: i64,
    last: Timestamp,
    headed: bool,
}

impl Predictions {
    /// Begins a file with a prediction for every so many seconds of a recording.
    pub(super) fn create(path: &Path, every_s: f64) -> Result<Self> {
        let file = File::create(path).with_context(|| format!("--predictions {}", path.display()))?;
        let json = path.extension().is_some_and(|ending| ending == "jsonl");
        let (every_us, last) = ((every_s * 1e6) as i64, Timestamp(i64::MIN));
        Ok(Self { file: BufWriter::new(file), json, every_us, last, headed: false })
    }

    /// A new recording begins.
    pub(super) fn begin(&mut self) {
        self.last = Timestamp(i64::MIN);
    }

    /// Whether a prediction of this moment is wanted.
    pub(super) fn is_due(&mut self, at: Timestamp) -> bool {
        let due = at.0.saturating_sub(self.last.0) >= self.every_us;
        if due {
            self.last = at;
        }
        due
    }

    /// Adds one; `t` is the time as the recording writes it.
    pub(super) fn add(&mut self, t: f64, prediction: &Prediction) -> Result<()> {
        let line = if self.json { serde_json::to_string(prediction)? } else { line(t, prediction) };
        if !self.json && !self.headed {
            self.headed = true;
            writeln!(self.file, "{}", header(prediction)).context("--predictions")?;
        }
        writeln!(self.file, "{line}").context("--predictions")
    }

    /// Ends the file.
    pub(super) fn finish(mut self) -> Result<()> {
        self.file.flush().context("--predictions")
    }
}

fn header(prediction: &Prediction) -> String {
    let horizons = prediction.probabilities.iter().map(|one| format!("p_{:.0}s", one.horizon_s));
    let horizons: Vec<String> = horizons.collect();
    format!(
        "instance,t,{},mode,metric,used,limit,p10_s,p50_s,p90_s,never,class,class_probability,action",
        horizons.join(",")
    )
}

/// Of the likeliest risk; of nobody's fault and nothing to do, empty cells.
fn line(t: f64, prediction: &Prediction) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let probabilities = prediction.probabilities.iter().map(|one| format!("{:.6}", one.probability));
    let mut cells = vec![quoted(prediction.instance.as_str()), t.to_string()];
    cells.extend(probabilities);
    match prediction.risks.first() {
        Some(risk) => {
            let time = &risk.time_to_failure;
            cells.extend([risk.mode.to_string(), quoted(&risk.metric)]);
            cells.extend([risk.used.to_string(), risk.limit.to_string()]);
            let seconds = |value: Option<f64>| value.map_or("inf".into(), |value| format!("{value:.2}"));
            cells.extend([time.p10, time.p50, time.p90].map(seconds));
            cells.push(format!("{:.6}", risk.never));
        }
        None => cells.extend(std::iter::repeat_n(String::new(), 8)),
    }
    let cause = prediction.root_causes.first();
    cells.push(cause.map_or(String::new(), |cause| cause.class.clone()));
    cells.push(cause.map_or(String::new(), |cause| format!("{:.4}", cause.probability)));
    let action = prediction.recommended_actions.first();
    cells.push(action.map_or(String::new(), |action| action.action.clone()));
    cells.join(",")
}
