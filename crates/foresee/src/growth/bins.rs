//! A path as rates over bins that widen with age, and where its present regime begins.
//!
//! Bins that widen geometrically give the last seconds and the last day the same relative resolution, so a change is
//! found to within a twelfth of its age on every time scale, in one pass.

use crate::path::Path;

/// Bins per doubling of the age.
const PER_OCTAVE: f64 = 8.0;
/// A fall of this share of the range since the last one, and of the whole range, starts the level anew: a restart,
/// a rotation, a cleared cache.
const FALL: (f64, f64) = (0.5, 0.3);
/// Samples without which nothing is fitted.
const LEAST: usize = 8;

/// Work done, as a running total at moments relative to now.
#[derive(Debug, Clone, Default)]
pub(crate) struct Work {
    /// Seconds relative to now, ascending.
    pub(crate) times: Vec<f64>,
    /// Units per second at those times.
    pub(crate) rates: Vec<f64>,
    total: Vec<f64>,
}

impl Work {
    /// From rates at ascending moments; what is missing or negative counts as the rate before.
    pub(crate) fn new(moments: impl Iterator<Item = (f64, f64)>) -> Self {
        let mut work = Self::default();
        let (mut rate, mut total, mut last) = (0.0, 0.0, f64::NEG_INFINITY);
        for (t, now) in moments {
            if t <= last || t > 0.0 {
                continue;
            }
            rate = if now.is_finite() && now >= 0.0 { now } else { rate };
            total += if last.is_finite() { rate * (t - last) } else { 0.0 };
            work.times.push(t);
            work.rates.push(rate);
            work.total.push(total);
            last = t;
        }
        work
    }

    /// The running total at `t`; zero where no work is known.
    pub(crate) fn at(&self, t: f64) -> f64 {
        interpolate(&self.times, &self.total, t)
    }
}

/// Linear between neighbours, constant outside.
fn interpolate(times: &[f64], values: &[f64], t: f64) -> f64 {
    let after = times.partition_point(|&time| time < t);
    match (after.checked_sub(1), values.get(after)) {
        (_, None) => values.last().copied().unwrap_or(0.0),
        (None, Some(&first)) => first,
        (Some(before), Some(&later)) => {
            let share = (t - times[before]) / (times[after] - times[before]);
            values[before] + share * (later - values[before])
        }
    }
}

/// The present regime: samples since the last great fall, their running peak, and the peaks of the regimes before.
#[derive(Debug, Clone)]
pub(crate) struct Regime {
    /// Seconds relative to now.
    pub(crate) times: Vec<f64>,
    /// The highest level so far: a limit is reached by a peak.
    pub(crate) peaks: Vec<f64>,
    /// How high earlier regimes came before they fell.
    pub(crate) earlier: Vec<f64>,
}

impl Regime {
    pub(crate) fn new(path: &Path) -> Self {
        let (low, high) = path.used.iter().fold((f64::MAX, f64::MIN), |(l, h), &x| (l.min(x), h.max(x)));
        let (mut start, mut earlier) = (0, Vec::new());
        let (mut top, mut bottom) = (path.used[0], path.used[0]);
        for (i, &x) in path.used.iter().enumerate() {
            (top, bottom) = (top.max(x), bottom.min(x));
            let fall = top - x;
            if fall > FALL.0 * (top - bottom) && fall > FALL.1 * (high - low) {
                earlier.push(top);
                (start, top, bottom) = (i, x, x);
            }
        }
        let start = start.min(path.used.len() - LEAST.min(path.used.len()));
        let mut peak = f64::NEG_INFINITY;
        let climb = path.used[start..].iter().map(|&x| {
            peak = peak.max(x);
            peak
        });
        Self { peaks: climb.collect(), times: path.times[start..].to_vec(), earlier }
    }

    /// How far the peak rose.
    pub(crate) fn rise(&self) -> f64 {
        self.peaks[self.peaks.len() - 1] - self.peaks[0]
    }
}

/// Rates over bins, oldest first.
#[derive(Debug, Clone)]
pub(crate) struct Bins {
    /// Bounds in seconds relative to now; one more than bins.
    pub(crate) edges: Vec<f64>,
    /// Width over the whole span: the weights of the bins, which sum to 1.
    pub(crate) widths: Vec<f64>,
    /// Rise per time over the mean rise per time.
    pub(crate) rates: Vec<f64>,
    /// Work per time over its mean, empty without work.
    pub(crate) work: Vec<f64>,
    /// Seconds from the first to the last edge.
    pub(crate) span_s: f64,
    /// Mean rise per second.
    pub(crate) scale: f64,
}

impl Bins {
    /// Cuts a regime that rises into bins.
    pub(crate) fn new(regime: &Regime, work: &Work) -> Self {
        let (first, last) = (regime.times[0], regime.times[regime.times.len() - 1]);
        let edges = edges(&regime.times);
        let (span_s, scale) = (last - first, regime.rise() / (last - first));
        let level = |t: f64| interpolate(&regime.times, &regime.peaks, t);
        let rate = |pair: &[f64], of: &dyn Fn(f64) -> f64| (of(pair[1]) - of(pair[0])) / (pair[1] - pair[0]);
        let rates = edges.windows(2).map(|pair| rate(pair, &level) / scale).collect();
        let mean = rate(&[first, last], &|t| work.at(t));
        let total = |t: f64| work.at(t) / mean;
        let work =
            if mean > 0.0 { edges.windows(2).map(|pair| rate(pair, &total)).collect() } else { Vec::new() };
        let widths = edges.windows(2).map(|pair| (pair[1] - pair[0]) / span_s).collect();
        Self { edges, widths, rates, work, span_s, scale }
    }

    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.widths.len()
    }

    /// Seconds from the beginning of bin `first` to the end.
    pub(crate) fn since(&self, first: usize) -> f64 {
        self.edges[self.edges.len() - 1] - self.edges[first]
    }
}

/// Bounds, oldest first. No bin holds fewer than two samples: how fine the bins are follows from how fine the history
/// is at that age.
fn edges(times: &[f64]) -> Vec<f64> {
    let (first, last) = (times[0], times[times.len() - 1]);
    let span = last - first;
    let growth = (1.0 / PER_OCTAVE).exp2() - 1.0;
    let mut ages = vec![0.0];
    let mut at = times.len() - 1;
    loop {
        let age = ages[ages.len() - 1];
        let gap = |at: usize| times[at.max(1)] - times[at.max(1) - 1];
        let two = 2.0 * gap(at).max(gap(at.saturating_sub(1)));
        let next = age + two.max(age * growth);
        // A rest of less than half a bin belongs to the bin before it.
        if span - next <= 0.5 * (next - age) {
            break;
        }
        ages.push(next);
        at = times.partition_point(|&t| t <= last - next).saturating_sub(1);
    }
    ages.push(span);
    ages.iter().rev().map(|age| last - age).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A path sampled every half second for `seconds`.
    pub(crate) fn path(seconds: u32, used: impl Fn(f64) -> f64) -> Path {
        let times: Vec<f64> = (0..=2 * seconds).map(|i| f64::from(i) / 2.0 - f64::from(seconds)).collect();
        let used = times.iter().map(|&t| used(t)).collect();
        Path { times, used }
    }

    #[test]
    fn bins_cover_the_span_and_widen() {
        let bins = Bins::new(&Regime::new(&path(1000, |t| 2.0 * t + 5000.0)), &Work::default());
        assert!((bins.widths.iter().sum::<f64>() - 1.0).abs() < 1e-9 && bins.len() < 80);
        assert!((bins.scale - 2.0).abs() < 1e-9 && bins.rates.iter().all(|rate| (rate - 1.0).abs() < 1e-6));
        assert!(bins.widths.windows(2).skip(1).all(|pair| pair[0] >= pair[1] - 1e-9));
    }

    #[test]
    fn bins_are_as_fine_as_the_history_is_at_their_age() {
        // A sample a second for two minutes, before that one in seventeen minutes for a day.
        let old = (0..85).map(|n| -86_400.0 + 1024.0 * f64::from(n)).filter(|t| *t < -120.0);
        let times: Vec<f64> = old.chain((0..=120).map(|n| f64::from(n) - 120.0)).collect();
        let edges = edges(&times);
        let young = edges.windows(2).filter(|pair| pair[0] >= -60.0);
        assert!(young.clone().count() > 15 && young.clone().all(|pair| pair[1] - pair[0] < 7.0), "{edges:?}");
        let held = |pair: &[f64]| times.iter().filter(|t| **t >= pair[0] && **t <= pair[1]).count();
        assert!(edges.windows(2).all(|pair| held(pair) >= 2), "{edges:?}");
    }

    #[test]
    fn a_great_fall_starts_anew_and_small_teeth_do_not() {
        let rotated = Regime::new(&path(100, |t| (t + 100.0) % 40.0));
        assert_eq!((rotated.earlier.len(), rotated.times[0].round()), (2, -20.0));
        let teeth = Regime::new(&path(100, |t| 300.0 + 2.0 * t + (t + 100.0) % 10.0));
        assert!(teeth.earlier.is_empty());
    }

    #[test]
    fn work_is_summed_and_gaps_keep_the_rate() {
        let work = Work::new([(-3.0, 2.0), (-2.0, f64::NAN), (-1.0, 4.0), (1.0, 9.0)].into_iter());
        assert_eq!((work.at(-3.0), work.at(-2.0), work.at(-1.5), work.at(0.0)), (0.0, 2.0, 4.0, 6.0));
    }
}
