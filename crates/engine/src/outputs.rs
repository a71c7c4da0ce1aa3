//! What Foretwin itself says of an instance, as series that are stored and queried like telemetry.

use std::sync::{Arc, LazyLock};

use foretwin_core::{MISSING, Metric, Role, Schema, Storage, Value};

/// Horizons of the stored failure probability: label and seconds.
pub(crate) const HORIZONS: [(&str, f64); 4] =
    [("15m", 900.0), ("1h", 3600.0), ("6h", 21_600.0), ("24h", 86_400.0)];

/// Key of the stored anomaly score.
pub(crate) const SCORE: &str = "foretwin.anomaly.score";

/// Key of the stored probability that the machine underneath is in trouble.
pub(crate) const INFRASTRUCTURE: &str = "foretwin.contrast.infrastructure";

static SCHEMA: LazyLock<Arc<Schema>> = LazyLock::new(|| {
    // Outputs are commands in the sense of the roles: known to the model's owner, never scored again.
    let output = |name: &str| Metric::gauge(name, "1", Role::Command).stored(Storage::F64);
    let score = output(SCORE);
    let probability =
        HORIZONS.map(|(label, _)| output("foretwin.failure.probability").with("horizon", label));
    Schema::new(std::iter::once(score).chain(probability).collect())
});

static CONTRAST: LazyLock<Arc<Schema>> = LazyLock::new(|| {
    Schema::new(vec![Metric::gauge(INFRASTRUCTURE, "1", Role::Command).stored(Storage::F64)])
});

/// The schema of what the contrast says of an instance: apart, since most of a fleet has none.
pub(crate) fn contrast() -> &'static Arc<Schema> {
    &CONTRAST
}

/// The schema of the outputs.
pub(crate) fn schema() -> &'static Arc<Schema> {
    &SCHEMA
}

/// Values in a frame of outputs: the score and the probabilities.
pub(crate) const WIDTH: usize = 1 + HORIZONS.len();

/// One frame of outputs. Six digits are kept: more would only make noise hard to compress.
pub(crate) fn frame(score: Option<f64>, probabilities: [f64; 4]) -> [Value; WIDTH] {
    let rounded = |x: f64| Value::float((x * 1e6).round() / 1e6);
    let [a, b, c, d] = probabilities.map(rounded);
    [score.map_or(MISSING, rounded), a, b, c, d]
}
