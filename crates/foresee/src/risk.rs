//! The risk of one resource: windows on all time scales, judged, averaged, and stated.

use foretwin_core::{Quantiles, Risk, Timestamp};

use crate::climb::Climb;
use crate::outlook::{Judged, Outlook};
use crate::path::Path;
use crate::persist::Persistence;
use crate::shape::Fits;
use crate::{Config, Series, trend};

/// Windows grow by this factor.
const WINDOW_STEP: f64 = 1.25;
/// Samples that the shortest window holds.
const WINDOW_SAMPLES: usize = 16;
/// Windows that are averaged.
const KEPT: usize = 4;
/// Weight below which a climb is not worth being stated as the trend.
const LEAST_WEIGHT: f64 = 1e-4;
/// A climb that would need this many times its age to the limit says nothing.
const TOO_FAR: f64 = 40.0;

/// The risk that `series` reaches its limit after `now`.
///
/// Nothing where there is no limit, or too few samples to say anything. Equal input and seed give equal output.
#[must_use]
pub fn risk(series: &Series<'_>, now: Timestamp, config: &Config, seed: u64) -> Option<Risk> {
    if !(series.limit.is_finite() && series.limit > 0.0) {
        return None;
    }
    let path = Path::new(series, now, config.lookback_s)?;
    let headroom = series.limit - path.last();
    if headroom <= 0.0 {
        return Some(exhausted(series, &path, config));
    }
    let windows = judge(&path, series.limit, config);
    let outlook = Outlook::new(&windows, headroom, seed);
    let notable = windows.first().filter(|best| best.weight > LEAST_WEIGHT);
    let trend = trend::describe(&path, notable, headroom);
    let age = path.age_s();
    // The curve starts at the last sample; what would have happened since has not, or we would not know.
    let within = config.horizons_s.iter().map(|&horizon| (horizon, outlook.within(horizon + age))).collect();
    let later = |quantile: Option<f64>| quantile.map(|t| (t - age).max(0.0));
    let Quantiles { p10, p50, p90 } = outlook.quantiles();
    Some(Risk {
        mode: series.mode,
        metric: series.metric.into(),
        used: path.last(),
        limit: series.limit,
        within,
        time_to_failure: Quantiles { p10: later(p10), p50: later(p50), p90: later(p90) },
        never: outlook.never(),
        confidence: confidence(&path, config),
        trend,
    })
}

/// How long the growth of a series is expected to go on, as its risk has it; nothing where it does not climb.
pub(crate) fn lasting(series: &Series<'_>, now: Timestamp, config: &Config) -> Option<Persistence> {
    let path = Path::new(series, now, config.lookback_s)?;
    judge(&path, series.limit, config).first().map(|best| best.persistence)
}

/// All windows that climb, best first, at most [`KEPT`].
fn judge(path: &Path, limit: f64, config: &Config) -> Vec<Judged> {
    let headroom = limit - path.last();
    let failed_at = config.failed_share * limit;
    let enough = path.times.len().saturating_sub(WINDOW_SAMPLES);
    let (span, end) = (path.span_s(), -path.age_s());
    let mut window = (end - path.times[enough]).max(1e-3);
    let mut kept: Vec<Judged> = Vec::new();
    while window <= span * WINDOW_STEP {
        let judged =
            Climb::new(path, window.min(span), failed_at).and_then(|climb| weigh(climb, headroom, config));
        if let Some(judged) = judged {
            kept.push(judged);
        }
        window *= WINDOW_STEP;
    }
    kept.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    kept.truncate(KEPT);
    kept
}

fn weigh(climb: Climb, headroom: f64, config: &Config) -> Option<Judged> {
    let rate = climb.rate();
    if headroom > TOO_FAR * rate * climb.lasted_s {
        return None;
    }
    let fits = Fits::new(&climb);
    let persistence = Persistence::new(&climb, &fits, config);
    let mut judged = Judged { climb, fits, persistence, weight: 0.0 };
    judged.weight = persistence.lasts(judged.expected_s(headroom)).powi(2);
    (judged.weight > 1e-9).then_some(judged)
}

/// How much recent history supports a statement: samples, and a span that outlasts an ordinary transient.
fn confidence(path: &Path, config: &Config) -> f64 {
    let samples = 1.0 - (-(path.times.len() as f64) / 40.0).exp();
    let span = path.span_s() / (path.span_s() + config.transient_s);
    let fresh = 1.0 / (1.0 + path.age_s() / config.transient_s);
    samples * span * fresh
}

/// The limit is reached already.
fn exhausted(series: &Series<'_>, path: &Path, config: &Config) -> Risk {
    Risk {
        mode: series.mode,
        metric: series.metric.into(),
        used: path.last(),
        limit: series.limit,
        within: config.horizons_s.iter().map(|&horizon| (horizon, 1.0)).collect(),
        time_to_failure: Quantiles { p10: Some(0.0), p50: Some(0.0), p90: Some(0.0) },
        never: 0.0,
        confidence: confidence(path, config),
        trend: trend::describe(path, None, 0.0),
    }
}
