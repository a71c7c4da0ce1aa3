//! Stored frames with what a version expects of them: what a reimplementation is checked against, and what a model can
//! be trained on elsewhere.

use foretwin_core::{InstanceId, MISSING, Storage, Timestamp, Value};
use foretwin_learn::{Outcome, Taken};
use foretwin_store::Query;
use serde::Serialize;

use crate::Error;
use crate::handle::Handle;
use crate::models::{ModelLine, newest};

/// Frames of one schema, and one version's expectation of each.
#[derive(Debug, Clone, Serialize)]
pub struct Vectors {
    /// Whose.
    pub instance: String,
    /// The schema's id, in hexadecimal digits.
    pub schema: String,
    /// The version.
    pub version: u64,
    /// Keys of the metrics, in the order of the rows below.
    pub metrics: Vec<String>,
    /// Times of the frames, µs since the epoch.
    pub times_us: Vec<Timestamp>,
    /// The frames as they are stored, counters as counters; null where missing.
    pub frames: Vec<Vec<serde_json::Value>>,
    /// Per frame and metric what was expected of it by those before, in the metric's unit, per second for counters; null
    /// where nothing was.
    pub expected: Vec<Vec<Option<f64>>>,
    /// Per frame and metric one standard deviation.
    pub scale: Vec<Vec<Option<f64>>>,
    /// Per frame the score; null while the state warms up.
    pub scores: Vec<Option<f64>>,
}

impl Handle {
    /// The newest `rows` stored frames, and what a fresh state of this version makes of them.
    ///
    /// # Errors
    /// If there is no such version, or history cannot be read.
    pub fn model_vectors(&self, of: &ModelLine, version: u64, rows: usize) -> Result<Vectors, Error> {
        let line = self.pipeline.line(of)?;
        let model = self.pipeline.registry.model(&line, version)?;
        let to = newest(&self.pipeline, &line);
        let from = to - (rows as f64 * 1.1 * model.step_s() * 1e6) as i64;
        let all = Query::new(InstanceId::new(&line.instance), from, to + 1);
        let windows = self.pipeline.store.read(&Query { schema: Some(line.schema), ..all })?;
        let window = windows.into_iter().find(|window| window.schema.id() == line.schema);
        let keys = self.pipeline.keys(&model, &[]);
        let mut vectors = Vectors {
            instance: line.instance.clone(),
            schema: line.schema.to_string(),
            version,
            metrics: keys,
            times_us: Vec::new(),
            frames: Vec::new(),
            expected: Vec::new(),
            scale: Vec::new(),
            scores: Vec::new(),
        };
        let Some(window) = window else { return Ok(vectors) };
        let (mut state, mut outcome, mut frame) = (model.start(), Outcome::default(), Vec::new());
        for row in window.len().saturating_sub(rows)..window.len() {
            window.frame(row, &mut frame);
            model.step(&mut state, window.times[row], &frame, &mut outcome);
            let storages = window.schema.metrics().iter().map(|metric| metric.storage);
            vectors.times_us.push(window.times[row]);
            vectors
                .frames
                .push(frame.iter().zip(storages).map(|(value, storage)| number(*value, storage)).collect());
            let finite = |number: f64| number.is_finite().then_some(number);
            let expectations = &outcome.expectations;
            vectors.expected.push(expectations.iter().map(|one| finite(one.mean)).collect());
            vectors.scale.push(expectations.iter().map(|one| finite(one.scale)).collect());
            vectors.scores.push((outcome.taken == Taken::Judged).then_some(outcome.score));
        }
        Ok(vectors)
    }
}

/// A stored value as JSON has it: integers to the last digit.
fn number(value: Value, storage: Storage) -> serde_json::Value {
    match storage {
        _ if value == MISSING => serde_json::Value::Null,
        Storage::U64 => value.0.into(),
        Storage::I64 => (value.to_f64(storage) as i64).into(),
        Storage::F64 => value.to_f64(storage).into(),
    }
}
