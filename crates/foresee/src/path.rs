//! The cleaned path of a series, from which everything is computed.

use foretwin_core::Timestamp;

use crate::Series;

/// Fewest samples from which anything is said.
pub(crate) const LEAST_SAMPLES: usize = 8;

/// A cleaned series: finite values at strictly ascending times, in seconds relative to now (so at most 0).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Path {
    pub(crate) times: Vec<f64>,
    pub(crate) used: Vec<f64>,
}

impl Path {
    /// Takes what is usable of the last `lookback_s` seconds; nothing if that is too little.
    pub(crate) fn new(series: &Series<'_>, now: Timestamp, lookback_s: f64) -> Option<Self> {
        let mut path = Self { times: Vec::new(), used: Vec::new() };
        path.times.reserve(series.times.len());
        path.used.reserve(series.times.len());
        let mut last = -lookback_s;
        for (&at, &used) in series.times.iter().zip(series.used) {
            let t = at.since(now);
            if used.is_finite() && t > last && t <= 0.0 {
                path.times.push(t);
                path.used.push(used);
                last = t;
            }
        }
        if path.times.len() < LEAST_SAMPLES {
            return None;
        }
        path.remove_spikes();
        Some(path)
    }

    /// Replaces every inner value by the median of itself and its neighbours: a single wrong reading must not become
    /// a peak that hides growth below it. A monotone series stays as it is.
    fn remove_spikes(&mut self) {
        let mut before = self.used[0];
        for i in 1..self.used.len() - 1 {
            let (here, after) = (self.used[i], self.used[i + 1]);
            self.used[i] = before.min(here).max(before.max(here).min(after));
            before = here;
        }
    }

    /// Seconds since the last sample.
    pub(crate) fn age_s(&self) -> f64 {
        -self.times.last().copied().unwrap_or(0.0)
    }

    /// Seconds from the first to the last sample.
    pub(crate) fn span_s(&self) -> f64 {
        self.times.last().copied().unwrap_or(0.0) - self.times.first().copied().unwrap_or(0.0)
    }

    /// The last value.
    pub(crate) fn last(&self) -> f64 {
        self.used.last().copied().unwrap_or(0.0)
    }

    /// The index of the first sample that is not older than `seconds` before the last one.
    pub(crate) fn from(&self, seconds: f64) -> usize {
        let begin = -self.age_s() - seconds;
        self.times.partition_point(|&t| t < begin)
    }

    /// The highest value in samples `from..to`, minus infinity if there is none.
    pub(crate) fn highest(&self, from: usize, to: usize) -> f64 {
        self.used[from..to.max(from)].iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use foretwin_core::FailureMode;

    fn path(times: &[f64], used: &[f64]) -> Option<Path> {
        let times: Vec<_> = times.iter().map(|&t| Timestamp::from_seconds(t)).collect();
        let mode = FailureMode::MemoryExhaustion;
        let series = Series { metric: "m", mode, times: &times, used, limit: 10.0 };
        Path::new(&series, Timestamp::from_seconds(100.0), 1e9)
    }

    #[test]
    fn what_is_late_double_missing_or_of_the_future_is_passed_over() {
        let times = [1.0, 2.0, 2.0, 1.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 200.0];
        let used = [1.0, 2.0, 9.0, 9.0, f64::NAN, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 9.0];
        let path = path(&times, &used).unwrap();
        assert_eq!(path.times, [-99.0, -98.0, -96.0, -95.0, -94.0, -93.0, -92.0, -91.0]);
        assert_eq!(path.used, [1.0, 2.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
        assert_eq!((path.age_s(), path.span_s(), path.last()), (91.0, 8.0, 9.0));
    }

    #[test]
    fn a_spike_is_removed_and_too_little_is_nothing() {
        let times: Vec<f64> = (0..9).map(f64::from).collect();
        let mut used = [1.0; 9];
        used[4] = 50.0;
        assert_eq!(path(&times, &used).unwrap().used, [1.0; 9]);
        assert!(path(&times[..7], &used[..7]).is_none());
    }
}
