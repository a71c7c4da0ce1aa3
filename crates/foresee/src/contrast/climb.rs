//! A rise that is seen over minutes, projected over minutes: the last twenty minutes of a noisy series as straight lines
//! over windows of several lengths, and when the surest of them arrives at a limit.
//!
//! Growth of memory is followed by its peaks (`crate::risk`), since a limit is reached by a peak and what leaks does not
//! come back. Costs and latencies are noisy around what they mean, so here means are followed: least squares, with the
//! standard error of the slope widened for the autocorrelation of what is left over (Bartlett's effective number of
//! observations).

use std::collections::VecDeque;

use foretwin_core::{FailureMode, Quantiles, Risk, Shape, Timestamp, Trend};

use super::state::{Reader, Writer};
use crate::math::normal_cdf;
use crate::{Config, Error};

/// Seconds of a mean that is kept, and how many are.
const STEP_S: f64 = 5.0;
const KEPT: usize = 240;
/// Lengths of the lines in means: almost three minutes, since what rises for less is most often a burst, to twenty.
const WINDOWS: [usize; 5] = [32, 50, 80, 120, 240];
/// Times of the curve from which quantiles are read, from a second to the longest, in seconds.
const POINTS: usize = 60;
const LONGEST_S: f64 = 7200.0;
/// Standard errors at which the surest of the lines is as likely noise as a rise, and how sharply that turns.
const REAL: f64 = 2.25;
const REAL_POWER: i32 = 4;
/// A rise lasts another `LASTING` times as long as it is known with even odds.
const LASTING: f64 = 2.0;
/// Relative standard deviation of a rate that is extrapolated: rises bend.
const BEND: f64 = 0.6;
/// Least autocorrelation of what is left over, and most that is believed.
const MEMORY: (f64, f64) = (0.2, 0.9);

/// Means of the last twenty minutes.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Track {
    means: VecDeque<(Timestamp, f64)>,
    /// Begin, sum and count of the mean that is not over.
    open: Option<(Timestamp, f64, f64)>,
}

/// A straight line through the newest means.
#[derive(Debug, Clone, Copy)]
struct Line {
    /// Where it stands at its end, and how sure that is.
    level: f64,
    level_sd: f64,
    rate: f64,
    rate_sd: f64,
    span_s: f64,
}

impl Track {
    /// Adds a number; a pause of more than a minute begins anew.
    pub(super) fn push(&mut self, at: Timestamp, value: f64) {
        let newest = self.open.map(|open| open.0).or(self.means.back().map(|mean| mean.0));
        if newest.is_some_and(|last| !(0.0..60.0).contains(&at.since(last))) {
            *self = Self::default();
        }
        let (begin, sum, count) = self.open.unwrap_or((at, 0.0, 0.0));
        self.open = Some((begin, sum + value, count + 1.0));
        if at.since(begin) + 1.0 >= STEP_S {
            if self.means.len() == KEPT {
                self.means.pop_front();
            }
            self.means.push_back((at, (sum + value) / (count + 1.0)));
            self.open = None;
        }
    }

    pub(super) fn encode(&self, to: &mut Writer) {
        to.count(self.means.len());
        for (at, mean) in &self.means {
            to.moment(Some(*at));
            to.f64(*mean);
        }
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Self, Error> {
        let count = from.count(16)?;
        let mut means: VecDeque<(Timestamp, f64)> = VecDeque::new();
        for _ in 0..count {
            let at = from.moment()?.filter(|at| means.back().is_none_or(|(last, _)| at > last));
            let mean = from.f64()?;
            let at = at.filter(|_| mean.is_finite() && count <= KEPT);
            means.push_back((at.ok_or(Error::Comparison("a track is out of order or too long"))?, mean));
        }
        Ok(Self { means, open: None })
    }

    /// The line through the last `count` means.
    fn line(&self, count: usize) -> Option<Line> {
        let from = self.means.len().checked_sub(count)?;
        let end = self.means.back()?.0;
        let seen: Vec<(f64, f64)> =
            self.means.iter().skip(from).map(|(at, mean)| (at.since(end), *mean)).collect();
        let n = seen.len() as f64;
        let mean = |of: &dyn Fn(&(f64, f64)) -> f64| seen.iter().map(of).sum::<f64>() / n;
        let (mean_t, mean_x) = (mean(&|one| one.0), mean(&|one| one.1));
        let tt = mean(&|one| (one.0 - mean_t).powi(2));
        let rate = mean(&|one| (one.0 - mean_t) * (one.1 - mean_x)) / tt;
        let left: Vec<f64> = seen.iter().map(|one| one.1 - mean_x - rate * (one.0 - mean_t)).collect();
        let variance = left.iter().map(|x| x * x).sum::<f64>() / (n - 2.0);
        let pairs = left.windows(2).map(|pair| pair[0] * pair[1]).sum::<f64>() / (n - 1.0);
        let memory = (pairs / variance.max(1e-12)).clamp(MEMORY.0, MEMORY.1);
        let effective = variance * (1.0 + memory) / (1.0 - memory) / n;
        let rate_sd = (effective / tt).sqrt().max(1e-9);
        let level_sd = (effective * (1.0 + mean_t * mean_t / tt)).sqrt();
        Some(Line { level: mean_x - rate * mean_t, level_sd, rate, rate_sd, span_s: seen[0].0.abs() })
    }

    /// The rise that is surest.
    fn rise(&self) -> Option<Line> {
        let lines = WINDOWS.iter().filter_map(|&count| self.line(count));
        lines.max_by(|a, b| a.sureness().total_cmp(&b.sureness())).filter(|line| line.rate > 0.0)
    }

    /// When the rise arrives at a limit that is known up to a standard deviation; nothing while too little was seen.
    pub(super) fn curve(&self, limit: (f64, f64)) -> Option<Curve> {
        let line = self.rise();
        let shown = line.or_else(|| self.line(WINDOWS[0]))?;
        let mut failed = [0.0; POINTS];
        let mut most = 0.0f64;
        for (point, failed) in failed.iter_mut().enumerate() {
            most = most.max(line.map_or(0.0, |line| line.arrived(limit, time_s(point))));
            *failed = most;
        }
        Some(Curve { failed, line: shown, rises: line.is_some(), count: self.means.len() })
    }
}

/// Seconds of a point of the curve.
fn time_s(point: usize) -> f64 {
    LONGEST_S.powf((point + 1) as f64 / POINTS as f64)
}

/// Probability of having arrived, over time.
#[derive(Debug, Clone)]
pub(super) struct Curve {
    failed: [f64; POINTS],
    line: Line,
    rises: bool,
    count: usize,
}

impl Curve {
    /// Two opinions by weight (linear pool, Stone 1961), with the line of the first.
    pub(super) fn pooled(mut self, other: &Self, weight: f64) -> Self {
        self.failed.iter_mut().zip(other.failed).for_each(|(own, other)| *own += weight * (other - *own));
        self
    }

    /// Linear between the points.
    fn within(&self, t: f64) -> f64 {
        let after = (0..POINTS).find(|&point| time_s(point) >= t).unwrap_or(POINTS - 1);
        let (until_s, failed) = (time_s(after), self.failed[after]);
        let (from_s, before) =
            after.checked_sub(1).map_or((0.0, 0.0), |before| (time_s(before), self.failed[before]));
        before + (failed - before) * ((t - from_s) / (until_s - from_s)).clamp(0.0, 1.0)
    }

    /// As a risk of breaking `limit`.
    pub(super) fn risk(&self, what: (&str, FailureMode), limit: f64, config: &Config) -> Risk {
        let quantile = |p: f64| (0..POINTS).find(|&point| self.failed[point] >= p).map(time_s);
        Risk {
            mode: what.1,
            metric: what.0.into(),
            used: self.line.level,
            limit,
            within: config.horizons_s.iter().map(|&t| (t, self.within(t))).collect(),
            time_to_failure: Quantiles { p10: quantile(0.1), p50: quantile(0.5), p90: quantile(0.9) },
            never: 1.0 - self.failed[POINTS - 1],
            confidence: self.count as f64 / (self.count + WINDOWS[0]) as f64,
            trend: Trend {
                shape: if self.rises { Shape::Linear } else { Shape::Flat },
                rate: self.line.rate,
                rate_sd: self.line.rate_sd,
                span_s: self.line.span_s,
            },
        }
    }
}

impl Line {
    fn sureness(&self) -> f64 {
        self.rate / self.rate_sd
    }

    /// Probability that it is a rise, not noise: of five lines the surest is looked at.
    fn is_real(&self) -> f64 {
        let odds = (self.sureness() / REAL).max(0.0).powi(REAL_POWER);
        odds / (1.0 + odds)
    }

    /// Probability that it goes on for another `ahead_s`, given how long it has: scale-free (Lindy's law).
    fn lasts(&self, ahead_s: f64) -> f64 {
        1.0 / (1.0 + ahead_s / (LASTING * self.span_s))
    }

    /// Probability that it arrives within `t` seconds.
    fn arrived(&self, (limit, limit_sd): (f64, f64), t: f64) -> f64 {
        let left = limit - self.level;
        let spread = self.rate_sd.hypot(BEND * self.rate);
        let sd = (self.level_sd.powi(2) + limit_sd.powi(2) + (t * spread).powi(2)).sqrt();
        let needed_s = (left / self.rate).max(0.0);
        normal_cdf((self.rate * t - left) / sd) * self.is_real() * self.lasts(needed_s.min(t))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use foretwin_core::Rng;

    fn track(seconds: i64, value: impl Fn(f64) -> f64) -> Track {
        let (mut rng, mut track) = (Rng::new(3), Track::default());
        for second in 0..seconds {
            track.push(Timestamp(second * 1_000_000), value(second as f64) + 0.1 * rng.normal());
        }
        track
    }

    #[test]
    fn a_steady_rise_arrives_when_it_should() {
        // 1.0 is reached after 500 s; 400 are over.
        let curve = track(400, |t| 0.002 * t).curve((1.0, 0.05)).unwrap();
        let line = curve.line;
        assert!((line.rate - 0.002).abs() < 3e-4 && line.sureness() > 8.0, "{line:?}");
        assert!(curve.within(30.0) < 0.1 && curve.within(400.0) > 0.6, "{curve:?}");
        let risk = curve.risk(("m", FailureMode::LatencyBreach), 1.0, &Config::default());
        assert!((70.0..220.0).contains(&risk.time_to_failure.p50.unwrap()), "{risk:?}");
        assert!(risk.within.windows(2).all(|pair| pair[0].1 <= pair[1].1));
    }

    #[test]
    fn noise_and_falls_arrive_nowhere() {
        for seconds in [200, 300, 1500] {
            let curve = track(seconds, |_| 0.2).curve((1.0, 0.05)).unwrap();
            assert!(curve.within(300.0) < 0.1, "{seconds}: {curve:?}");
        }
        let falling = track(300, |t| 0.9 - 0.002 * t).curve((1.0, 0.05)).unwrap();
        assert!(!falling.rises && falling.within(7200.0) == 0.0);
        assert!(track(100, |_| 0.2).curve((1.0, 0.1)).is_none(), "too little was seen");
    }

    #[test]
    fn two_opinions_are_averaged() {
        let (rising, flat) = (track(400, |t| 0.002 * t), track(300, |_| 0.0));
        let curve = |of: &Track| of.curve((1.0, 0.05)).unwrap();
        let pooled = curve(&rising).pooled(&curve(&flat), 0.5).within(400.0);
        let half = 0.5 * (curve(&rising).within(400.0) + curve(&flat).within(400.0));
        assert!((pooled - half).abs() < 1e-12 && pooled > 0.3);
    }

    #[test]
    fn twenty_minutes_are_kept_and_a_pause_begins_anew() {
        let mut track = track(3000, |_| 0.1);
        assert_eq!(track.means.len(), KEPT);
        track.push(Timestamp(3_100_000_000), 0.1);
        assert_eq!((track.means.len(), track.open.is_some()), (0, true));
    }
}
