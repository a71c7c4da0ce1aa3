//! Versions side by side, on the same stored frames.

use foretwin_core::{InstanceId, Timestamp, Window};
use foretwin_learn::{Model, Outcome, Taken};
use foretwin_store::Query;
use serde::Serialize;

use crate::Error;
use crate::handle::Handle;
use crate::history::observed;
use crate::models::{ModelLine, newest};
use crate::registry::ModelEntry;

/// Frames that warm each state before it counts.
const WARM: i64 = 120;
/// Most frames that versions are compared on.
const MOST_ROWS: usize = 100_000;

/// How versions do on the same frames.
#[derive(Debug, Clone, Serialize)]
pub struct ModelComparison {
    /// The schema's id, in hexadecimal digits.
    pub schema: String,
    /// First moment that counts.
    pub from_us: Timestamp,
    /// Last moment that counts.
    pub to_us: Timestamp,
    /// One for each version, as asked for.
    pub versions: Vec<ModelOnWindow>,
}

/// How one version does.
#[derive(Debug, Clone, Serialize)]
pub struct ModelOnWindow {
    /// At a glance.
    #[serde(flatten)]
    pub entry: ModelEntry,
    /// Frames that it judged.
    pub judged: usize,
    /// Mean score; absent if it judged none.
    pub score_mean: Option<f64>,
    /// Largest score.
    pub score_max: Option<f64>,
    /// Share of frames with a score above 1.
    pub anomalous: Option<f64>,
    /// Root mean squared error of the expectation of each metric, in its own unit (per second for counters).
    pub errors: Vec<(String, f64)>,
    /// Mean over metrics of the error's logarithm relative to the first version's: below 0 is better.
    pub log_error_ratio: Option<f64>,
}

impl Handle {
    /// Runs versions over the last `span_s` seconds of stored frames.
    ///
    /// # Errors
    /// If a version is missing or its file damaged, or history cannot be read.
    pub fn compare_models(
        &self,
        of: &ModelLine,
        versions: &[u64],
        span_s: f64,
    ) -> Result<ModelComparison, Error> {
        let line = self.pipeline.line(of)?;
        let manifest = self.pipeline.registry.line(&line)?;
        let to = newest(&self.pipeline, &line);
        let mut from = to - (span_s * 1e6) as i64;
        let mut found: Vec<ModelOnWindow> = Vec::new();
        let mut window = None;
        for &version in versions {
            let entry = manifest.entry(version)?.clone();
            let model = self.pipeline.registry.model(&line, version)?;
            if window.is_none() {
                let step_us = (model.step_s() * 1e6) as i64;
                from = from.max(to - step_us.saturating_mul(MOST_ROWS as i64));
                let all = Query::new(InstanceId::new(&line.instance), from - WARM * step_us, to + 1);
                let windows = self.pipeline.store.read(&Query { schema: Some(line.schema), ..all })?;
                window = windows.into_iter().find(|window| window.schema.id() == line.schema);
            }
            let mut one = window.as_ref().map_or_else(
                || nothing(entry.clone()),
                |window| on_window(entry.clone(), &model, window, from),
            );
            one.log_error_ratio = found.first().and_then(|first| ratio(&first.errors, &one.errors));
            found.push(one);
        }
        Ok(ModelComparison { schema: line.schema.to_string(), from_us: from, to_us: to, versions: found })
    }
}

fn nothing(entry: ModelEntry) -> ModelOnWindow {
    ModelOnWindow {
        entry,
        judged: 0,
        score_mean: None,
        score_max: None,
        anomalous: None,
        errors: Vec::new(),
        log_error_ratio: None,
    }
}

fn on_window(entry: ModelEntry, model: &Model, window: &Window, from: Timestamp) -> ModelOnWindow {
    let metrics = window.schema.metrics();
    let (mut state, mut outcome, mut frame) = (model.start(), Outcome::default(), Vec::new());
    let (mut sums, mut counts) = (vec![0.0; metrics.len()], vec![0usize; metrics.len()]);
    let (mut judged, mut anomalous, mut total, mut most) = (0usize, 0usize, 0.0, 0.0f64);
    for (row, &at) in window.times.iter().enumerate() {
        window.frame(row, &mut frame);
        model.step(&mut state, at, &frame, &mut outcome);
        if at < from || outcome.taken != Taken::Judged {
            continue;
        }
        judged += 1;
        anomalous += usize::from(outcome.score > 1.0);
        total += outcome.score;
        most = most.max(outcome.score);
        for (column, metric) in metrics.iter().enumerate() {
            let error = observed(window, column, metric, row) - outcome.expectations[column].mean;
            if error.is_finite() {
                sums[column] += error * error;
                counts[column] += 1;
            }
        }
    }
    let seen = |number: f64| (judged > 0).then_some(number);
    let errors = metrics.iter().zip(sums.iter().zip(&counts)).filter(|(_, (_, count))| **count > 0);
    ModelOnWindow {
        judged,
        score_mean: seen(total / judged.max(1) as f64),
        score_max: seen(most),
        anomalous: seen(anomalous as f64 / judged.max(1) as f64),
        errors: errors.map(|(metric, (sum, count))| (metric.key(), (sum / *count as f64).sqrt())).collect(),
        ..nothing(entry)
    }
}

/// Mean logarithm of the ratio of errors, over metrics that both expect and that are not known exactly.
fn ratio(first: &[(String, f64)], other: &[(String, f64)]) -> Option<f64> {
    let of = |key: &String| other.iter().find(|(name, _)| name == key).map(|(_, error)| *error);
    let pairs = first.iter().filter_map(|(key, error)| Some((*error, of(key)?)));
    let logs: Vec<f64> =
        pairs.filter(|(a, b)| *a > 0.0 && *b > 0.0).map(|(first, other)| (other / first).ln()).collect();
    (!logs.is_empty()).then(|| logs.iter().sum::<f64>() / logs.len() as f64)
}
