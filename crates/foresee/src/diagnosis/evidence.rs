//! How surprising each signal is during trouble: robust, two-sided, and tolerant of late detection.
//!
//! Two questions are asked of a signal, and the evidence is the geometric mean of the answers, in standard deviations:
//! - *Is it out of its normal range?* The power mean (exponent ½) of |z| over the window, so that neither one wild
//!   sample nor a late or early end of the window decides.
//! - *Did it move with the trouble?* Its level while the symptom is bad, less its level while it is not. Without a
//!   named symptom the window is bad and what came just before is not. A level that wandered off long ago, or a
//!   reference from another month, answers no.
//!
//! The scale is the standard deviation of the normal stretch, shrunk towards a share of the level as if by [`PRIOR`]
//! more samples: what was seen rarely, or never moved, is not taken for infinitely exact, and a constant that moves is
//! still strong evidence. The distance is one of Student's t, with fewer degrees of freedom for what was seen rarely,
//! and is stated as the standard deviations of a normal distribution that are as surprising.

use foretwin_core::Role;

use crate::math::normal_cdf;

use super::scene::{Scene, Signal};

/// Samples that the prior scale counts for.
const PRIOR: f64 = 2.0;
/// The prior scale, as a share of the level; of errors as a share of all work, for a level near zero says nothing.
const PRIOR_SHARE: f64 = 0.4;
/// Degrees of freedom of telemetry's tails, however long it was watched: surprise grows with the logarithm of distance.
const TAILS: f64 = 10.0;
/// Fewer normal samples than this are no reference.
const FEWEST: usize = 5;
/// What an improvement (faster, fewer errors) weighs beside a deterioration.
const IMPROVEMENT: f64 = 0.3;

/// What is normal for a signal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Reference {
    pub mean: f64,
    pub median: f64,
    /// Standard deviation, shrunk.
    pub scale: f64,
    /// Degrees of freedom of a distance in scales.
    pub freedom: f64,
    /// The range that nine of ten normal samples keep.
    pub range: (f64, f64),
}

/// What a signal says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Finding {
    /// Robust distance from normal in standard deviations; 0 where nothing can be said.
    pub strength: f64,
    /// +1 where it rose with the trouble, -1 where it fell.
    pub direction: f64,
    /// Two-sided tail probability of a normal distribution at this strength.
    pub tail: f64,
    /// Level while the trouble did not show.
    pub before: f64,
    /// Level while it showed.
    pub observed: f64,
    /// The range that nine of ten normal samples keep.
    pub range: (f64, f64),
    /// Seconds at which it left its range, on the scene's clock, where it did.
    pub since_s: Option<f64>,
}

impl Finding {
    const NONE: Self = Self {
        strength: 0.0,
        direction: 0.0,
        tail: 1.0,
        before: f64::NAN,
        observed: f64::NAN,
        range: (f64::NAN, f64::NAN),
        since_s: None,
    };
}

/// One finding per signal of the scene.
pub(super) fn findings(scene: &Scene, references: &[Option<Reference>]) -> Vec<Finding> {
    let weights = symptom_weights(scene, references);
    let find = |(signal, reference): (&Signal, &Option<Reference>)| {
        reference.map_or(Finding::NONE, |reference| finding(scene, signal, reference, &weights))
    };
    scene.signals.iter().zip(references).map(find).collect()
}

/// What is normal for every signal; none where there is too little of it.
pub(super) fn references(scene: &Scene) -> Vec<Option<Reference>> {
    let mut seen: Vec<Vec<f64>> = scene
        .signals
        .iter()
        .map(|signal| signal.normal.iter().copied().filter(|value| !value.is_nan()).collect())
        .collect();
    let medians: Vec<f64> = seen.iter_mut().map(|values| quantile(values, 0.5)).collect();
    let reference = |(at, signal): (usize, &Signal)| {
        let values = &mut seen[at];
        if values.len() < FEWEST {
            return None;
        }
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n;
        let prior = prior_scale(scene, signal, medians[at], &medians);
        let scale = ((PRIOR * prior * prior + n * variance) / (PRIOR + n)).sqrt();
        let range = (quantile(values, 0.05), quantile(values, 0.95));
        let freedom = 1.0 / (1.0 / TAILS + 1.0 / (n - 1.0));
        (scale > 0.0).then_some(Reference { mean, median: medians[at], scale, freedom, range })
    };
    scene.signals.iter().enumerate().map(reference).collect()
}

/// A share of the level: its own, or where it has none, that of signals of the same name elsewhere.
fn prior_scale(scene: &Scene, signal: &Signal, median: f64, medians: &[f64]) -> f64 {
    let own = PRIOR_SHARE * median.abs();
    if signal.role == Role::Errors {
        return own.max(PRIOR_SHARE * signal.whole());
    }
    if own > 0.0 {
        return own;
    }
    let peers = scene.signals.iter().zip(medians).filter(|(peer, _)| peer.metric == signal.metric);
    let mut levels: Vec<f64> = peers.map(|(_, level)| level.abs()).filter(|level| *level > 0.0).collect();
    PRIOR_SHARE * quantile(&mut levels, 0.5)
}

/// How bad the symptom is at each row, recent rows first: its deviation where a symptom is named, else 0 before and 1
/// during the window.
fn symptom_weights(scene: &Scene, references: &[Option<Reference>]) -> Vec<f64> {
    let named = scene.symptom.and_then(|at| Some((&scene.signals[at], references[at]?)));
    if let Some((signal, reference)) = named {
        let deviation = |value: &f64| (value - reference.median) / reference.scale;
        let rows = signal.recent.iter().chain(&signal.window).map(deviation);
        let weights: Vec<f64> = rows.map(|weight| if weight.is_nan() { 0.0 } else { weight }).collect();
        if weights.iter().any(|weight| *weight != 0.0) {
            return weights;
        }
    }
    let (before, during) = (scene.recent_at_s.len(), scene.window_at_s.len());
    let mut weights = vec![0.0; before];
    weights.resize(before + during, 1.0);
    weights
}

fn finding(scene: &Scene, signal: &Signal, reference: Reference, weights: &[f64]) -> Finding {
    let z = |value: f64| (value - reference.mean) / reference.scale;
    let seen: Vec<f64> = signal.window.iter().copied().filter(|value| !value.is_nan()).collect();
    if seen.is_empty() {
        return Finding::NONE;
    }
    // Rows without a value speak for nothing: they count as normal.
    let rows = signal.window.len() as f64;
    let out = (seen.iter().map(|value| z(*value).abs().sqrt()).sum::<f64>() / rows).powi(2);
    let (moved, before, observed) = match contrast(signal, weights) {
        Some((good, bad)) => (Some((bad - good) / reference.scale), good, bad),
        None => (None, reference.mean, seen.iter().sum::<f64>() / seen.len() as f64),
    };
    let direction = match moved {
        Some(moved) if moved != 0.0 => moved.signum(),
        _ => seen.iter().map(|value| z(*value)).sum::<f64>().signum(),
    };
    // What cannot be compared in time counts as having moved by one standard deviation.
    let mut strength = (out * moved.map_or(out.min(1.0), f64::abs)).sqrt();
    if direction < 0.0 && matches!(signal.role, Role::Duration | Role::Errors) {
        strength *= IMPROVEMENT;
    }
    let strength = normal_equivalent(strength, reference.freedom);
    let since_s = onset(scene, signal, reference, direction);
    Finding { strength, direction, tail: tail(strength), before, observed, range: reference.range, since_s }
}

/// The level where the symptom is better than on average in these rows, and where it is worse.
fn contrast(signal: &Signal, weights: &[f64]) -> Option<(f64, f64)> {
    let rows = signal.recent.iter().chain(&signal.window).zip(weights);
    let rows: Vec<(f64, f64)> = rows.filter(|(x, _)| !x.is_nan()).map(|(x, w)| (*x, *w)).collect();
    if rows.len() < 2 {
        return None;
    }
    let mean = rows.iter().map(|(_, weight)| weight).sum::<f64>() / rows.len() as f64;
    let (mut bad, mut good, mut total) = (0.0, 0.0, 0.0);
    for (value, weight) in &rows {
        let centred = weight - mean;
        if centred > 0.0 {
            bad += centred * value;
            total += centred;
        } else {
            good -= centred * value;
        }
    }
    (total > 1e-12).then(|| (good / total, bad / total))
}

/// The first row from which half of the largest deviation in this direction is reached.
fn onset(scene: &Scene, signal: &Signal, reference: Reference, direction: f64) -> Option<f64> {
    let times = scene.recent_at_s.iter().chain(&scene.window_at_s);
    let rows: Vec<(f64, f64)> = times
        .zip(signal.recent.iter().chain(&signal.window))
        .map(|(at, value)| (*at, direction * (value - reference.mean) / reference.scale))
        .collect();
    if rows.first().map(|row| row.0) == rows.last().map(|row| row.0) {
        return None;
    }
    let peak = rows.iter().map(|(_, z)| *z).fold(0.0, f64::max);
    rows.iter().find(|(_, z)| peak > 2.0 && *z >= 0.5 * peak).map(|(at, _)| *at)
}

/// The standard deviations that are as surprising as `t` is under Student's distribution, by its likelihood (Wallace
/// 1959, "Bounds on normal approximations to Student's and the chi-square distributions").
fn normal_equivalent(t: f64, freedom: f64) -> f64 {
    (freedom * (t * t / freedom).ln_1p()).sqrt()
}

/// Two-sided tail of the standard normal distribution.
fn tail(strength: f64) -> f64 {
    2.0 * normal_cdf(-strength)
}

/// Interpolated between the two nearest of `values`, which it reorders; 0 of nothing.
fn quantile(values: &mut [f64], share: f64) -> f64 {
    let Some(last) = values.len().checked_sub(1) else { return 0.0 };
    let at = share * last as f64;
    let (_, low, above) = values.select_nth_unstable_by(at.floor() as usize, f64::total_cmp);
    let low = *low;
    let high = above.iter().copied().reduce(f64::min).unwrap_or(low);
    low + (high - low) * at.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_interpolated() {
        let mut values = [4.0, 1.0, 3.0, 2.0];
        assert_eq!((quantile(&mut values, 0.5), quantile(&mut values, 0.0)), (2.5, 1.0));
        assert_eq!((quantile(&mut values, 1.0), quantile(&mut [], 0.5)), (4.0, 0.0));
    }

    #[test]
    fn rare_metrics_surprise_less() {
        assert!(normal_equivalent(10.0, 5.0) < normal_equivalent(10.0, 10.0));
        assert!((normal_equivalent(1.0, 1e6) - 1.0).abs() < 1e-3);
        assert!((tail(1.96) - 0.05).abs() < 1e-3);
    }
}
