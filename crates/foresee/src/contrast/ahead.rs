//! The twin's drift projected to the moment when production's latency breaks its limit.
//!
//! The drift of the twin is how much more its costs are than usual in the same regime, as a natural logarithm, averaged
//! over the two kinds of probe that moved most. Production follows it: ln(latency / usual) = b times
//! the drift, where b begins at 1 and is learned from both as they move (least squares through the origin, with that
//! prior). So the limit of latency becomes a limit of the drift, and [`risk`] says when the drift arrives there, with
//! the shapes and doubts of every other forecast. The twin's costs move before latency does while production has
//! slack, and they do not move with production's own load.

use foretwin_core::{FailureMode, Risk, Timestamp};

use super::state::{Reader, Writer};
use super::window::Row;
use super::{baseline::Usual, window};
use crate::{Config, Error, History, Series, risk};

/// Weight of the newest second in the drift and in latency: ten seconds are averaged already.
const SMOOTHING: f64 = 0.15;
/// How much drift has to be seen before it outweighs the prior of b, as a sum of squares.
const PRIOR_WEIGHT: f64 = 10.0;
/// Forgetting per second: what was learned an hour ago counts by half.
const FORGET: f64 = 1.0 - 2e-4;
/// The least and the largest b believed.
const SLOPES: (f64, f64) = (0.2, 4.0);
/// Kinds of probe that make the drift.
const AGREEING: usize = 2;
/// Added to drift before it runs against its limit, since a level near zero has no scale of its own.
const LIFT: f64 = 0.5;

/// How production follows its twin.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Relation {
    xx: f64,
    xy: f64,
}

impl Relation {
    fn take(&mut self, drift: f64, latency: f64) {
        self.xx = self.xx * FORGET + drift * drift;
        self.xy = self.xy * FORGET + drift * latency;
    }

    fn slope(&self) -> f64 {
        ((self.xy + PRIOR_WEIGHT) / (self.xx + PRIOR_WEIGHT)).clamp(SLOPES.0, SLOPES.1)
    }
}

/// Follows drift and latency, and projects the one onto the limit of the other.
#[derive(Debug, Clone, PartialEq)]
pub struct Ahead {
    /// Limit of the 90th percentile of latency, as a natural logarithm; none where none is configured.
    limit: Option<f64>,
    relation: Relation,
    drift: Option<f64>,
    latency: Option<f64>,
    /// What latency usually is in the present regime, as a natural logarithm.
    usual: f64,
    twin: History,
    production: History,
}

/// Times the usual latency that break it where no limit is configured.
const LEARNED_LIMIT: f64 = 3.0;

impl Ahead {
    /// Follows; `latency_limit_s` is the limit of the 90th percentile in seconds. Without one, three times what is
    /// usual is the limit.
    #[must_use]
    pub fn new(latency_limit_s: Option<f64>) -> Self {
        Self {
            limit: latency_limit_s.map(f64::ln),
            relation: Relation { xx: 0.0, xy: 0.0 },
            drift: None,
            latency: None,
            usual: f64::NAN,
            twin: History::new(),
            production: History::new(),
        }
    }

    pub(super) fn encode(&self, to: &mut Writer) {
        let known = |value: Option<f64>| value.unwrap_or(f64::NAN);
        let numbers = [self.relation.xx, self.relation.xy, self.usual];
        numbers.iter().for_each(|&value| to.f64(value));
        [self.limit, self.drift, self.latency].iter().for_each(|&value| to.f64(known(value)));
        to.bytes(&self.twin.encode());
        to.bytes(&self.production.encode());
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Self, Error> {
        let relation = Relation { xx: from.f64()?, xy: from.f64()? };
        let usual = from.f64()?;
        if !(relation.xx >= 0.0 && relation.xx.is_finite() && relation.xy.is_finite()) {
            return Err(Error::Comparison("the relation of twin and production is out of range"));
        }
        let mut number = || from.f64().map(|value| value.is_finite().then_some(value));
        let (limit, drift, latency) = (number()?, number()?, number()?);
        let (twin, production) = (History::decode(&from.bytes()?)?, History::decode(&from.bytes()?)?);
        Ok(Self { limit, relation, drift, latency, usual, twin, production })
    }

    pub(super) fn take(&mut self, at: Timestamp, row: &Row, usual: &[Usual]) {
        let latency = window::Of::LatencyP90 as usize;
        let before = f64::from(usual[latency].median);
        let over = f64::from(row.features[latency]) - before;
        let drift = drift(row, usual);
        if !(before.is_finite() && over.is_finite() && drift.is_finite()) {
            return;
        }
        // The usual latency of the moment is the regime's; it is smoothed so that the limit does not jump with it.
        self.usual =
            if self.usual.is_finite() { self.usual + SMOOTHING * (before - self.usual) } else { before };
        let smooth = |held: Option<f64>, new: f64| held.map_or(new, |held| held + SMOOTHING * (new - held));
        let (drift, over) = (smooth(self.drift, drift), smooth(self.latency, over));
        (self.drift, self.latency) = (Some(drift), Some(over));
        self.relation.take(drift, over);
        let headroom = self.headroom();
        self.twin.push(at, drift + LIFT, headroom / self.relation.slope() + LIFT);
        self.production.push(at, over + LIFT, headroom + LIFT);
    }

    /// ln(limit / usual latency), not below a tenth.
    fn headroom(&self) -> f64 {
        self.limit.map_or(LEARNED_LIMIT.ln(), |limit| (limit - self.usual).max(0.1))
    }

    /// The present drift of the twin: 0 where its costs are as usual, 0.69 where they are twice that.
    #[must_use]
    pub fn drift(&self) -> Option<f64> {
        self.drift
    }

    /// When latency will break its limit, by the drift of the twin.
    #[must_use]
    pub fn by_twin(&self, now: Timestamp, config: &Config, seed: u64) -> Option<Risk> {
        project(&self.twin, "foretwin.twin.drift", now, (config, seed))
    }

    /// When latency will break its limit, by latency alone: what the twin is measured against.
    #[must_use]
    pub fn by_latency(&self, now: Timestamp, config: &Config, seed: u64) -> Option<Risk> {
        project(&self.production, "latency.p90", now, (config, seed))
    }
}

fn project(history: &History, metric: &str, now: Timestamp, (config, seed): (&Config, u64)) -> Option<Risk> {
    let (mut times, mut used) = (Vec::new(), Vec::new());
    history.series(&mut times, &mut used);
    let limit = history.limit()?;
    let mode = FailureMode::LatencyBreach;
    risk(&Series { metric, mode, times: &times, used: &used, limit }, now, config, seed)
}

/// How far the most moved cost of a kind is above usual, on average over the two kinds that moved most: what one kind
/// sees alone counts by half, and kinds that a shortage does not reach do not hide it.
fn drift(row: &Row, usual: &[Usual]) -> f64 {
    let mut kinds: Vec<(super::Probe, f64)> = Vec::new();
    for (cost, (_, kind)) in super::TWIN.iter().enumerate() {
        let feature = window::OWN + cost;
        let over = f64::from(row.features[feature] - usual[feature].median);
        if !window::is_log(feature) || !over.is_finite() {
            continue;
        }
        match kinds.iter_mut().find(|(known, _)| known == kind) {
            Some((_, most)) => *most = most.max(over),
            None => kinds.push((*kind, over.max(0.0))),
        }
    }
    kinds.sort_by(|a, b| b.1.total_cmp(&a.1));
    kinds.truncate(AGREEING);
    kinds.iter().map(|(_, over)| over).sum::<f64>() / kinds.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds a drift and what latency makes of it.
    fn followed(seconds: i64, drift: impl Fn(f64) -> f64, limit_s: f64) -> Ahead {
        let mut ahead = Ahead::new(Some(limit_s));
        let usual = vec![Usual { median: -6.0, scale: 0.1 }; window::FEATURES];
        for second in 0..seconds {
            let mut row = Row::empty();
            row.features = [-6.0; window::FEATURES];
            let moved = drift(second as f64) as f32;
            row.features[window::Of::LatencyP90 as usize] += 0.8 * moved;
            row.features[window::OWN..].iter_mut().for_each(|feature| *feature += moved);
            ahead.take(Timestamp(second * 1_000_000), &row, &usual);
        }
        ahead
    }

    fn config() -> Config {
        Config::default().with_horizon(300.0)
    }

    #[test]
    fn a_slow_ramp_is_announced_with_its_time() {
        // ln(3) of latency is reached at a drift of 1.37, which is after 685 s.
        let ahead = followed(400, |second| 0.002 * second, 3.0 * (-6.0f64).exp());
        let risk = ahead.by_twin(Timestamp(400_000_000), &config(), 1).unwrap();
        assert_eq!(risk.mode, FailureMode::LatencyBreach);
        let expected = risk.time_to_failure.p50.unwrap();
        assert!((150.0..500.0).contains(&expected), "{risk:?}");
        assert!(risk.at(3600.0) > 0.5, "{risk:?}");
    }

    #[test]
    fn what_stands_still_is_not_announced() {
        let ahead = followed(400, |second| 0.1 + 0.02 * (second / 9.0).sin(), 3.0 * (-6.0f64).exp());
        assert!((ahead.drift().unwrap() - 0.1).abs() < 0.05);
        let risk = ahead.by_twin(Timestamp(400_000_000), &config(), 1);
        assert!(risk.is_none_or(|risk| risk.at(300.0) < 0.05));
    }

    #[test]
    fn how_production_follows_is_learned() {
        let ahead = followed(600, |second| 0.002 * second, 1.0);
        assert!((ahead.relation.slope() - 0.8).abs() < 0.08, "{}", ahead.relation.slope());
        assert_eq!(Ahead::new(None).relation.slope(), 1.0);
    }
}
