//! The twin's drift projected to the moment when production's latency breaks its limit.
//!
//! Production follows the drift of its twin (`drift`): how much slower it is, as a logarithm, is b times the drift, where
//! b begins with a prior and is learned from both as they move (least squares through the origin), over hours, and from
//! the last minutes on top. How much slower production is follows from latency and load by the law of a queue
//! (`queue`), and so does how much slower it may get until latency breaks its limit at the highest load of late. So the
//! limit of latency becomes a limit of the drift. Where the load is not known, latency over usual latency stands for it.
//!
//! The drift, latency, and the mean of latency and b times the drift by how little noise each has, are projected as
//! straight lines (`climb`), and what is told is the mean of the three opinions: costs see the machine slow down whatever
//! the load does, latency sees whether production is harmed.

use foretwin_core::{FailureMode, Risk, Timestamp};

use super::climb::{Curve, Track};
use super::drift::Drift;
use super::queue::Queue;
use super::state::{Reader, Writer};
use super::window::Row;
use super::{baseline::Usual, window};
use crate::{Config, Error};

/// Weight of the newest second in the drift and in latency: ten seconds are averaged already.
const SMOOTHING: f64 = 0.15;
/// b before anything was seen: production is made of the same work as the probes.
const PRIOR: f64 = 1.0;
/// How much drift has to be seen before it outweighs what was believed before, as a sum of squares.
const PRIOR_WEIGHT: f64 = 10.0;
/// Seconds after which what was seen counts by half: over hours, and of late.
const HALF_S: [f64; 2] = [3600.0, 120.0];
/// Distance from the peak of load, in the logarithm of usual latency, at which a second counts less by a factor e.
const NEAR: f64 = 0.35;
/// How fast the peak of usual latency, and of load, fades, per second: by a third of its size in twenty minutes.
const FADING: f64 = 3e-4;
/// Weight of a second in how drift and latency stray while all is well, and in how latency strays from what drift says.
const CALM: f64 = 0.01;
const STRAY: f64 = 0.005;
/// Latency strays so many standard deviations in the highest of many windows.
const MARGIN: f64 = 1.8;
/// The same around the law of a queue.
const LAW_MARGIN: f64 = 1.0;
/// How well a limit is known: relative standard deviations of that of the drift, of latency, and of both together.
const LIMIT_SD: [f64; 3] = [0.4, 0.12, 0.15];
/// Variances of drift and latency before they were seen while all was well.
const NOISE: [f64; 2] = [0.0025, 0.0225];
/// Weights of latency beside what both say together, and of the drift beside those two: a third each.
const LATENCY: f64 = 1.0 / 2.0;
const DRIFT: f64 = 1.0 / 3.0;
/// The least and the largest share of the drift in what is projected of both.
const SHARE: (f64, f64) = (0.2, 0.8);
/// The least and the largest b believed.
const SLOPES: (f64, f64) = (0.2, 4.0);
/// Times the highest latency while all was well that break it where no limit is configured.
pub const LEARNED_LIMIT: f64 = 2.0;
/// The least headroom, as a natural logarithm: where usual latency is near its limit, a little more breaks it.
const LEAST_HEADROOM: f64 = 0.05;

/// How production follows its twin: over hours, and of late.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Relation {
    lasting: Moments,
    recent: Moments,
}

#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Moments {
    xx: f64,
    xy: f64,
}

impl Moments {
    fn take(&mut self, (x, y): (f64, f64), weight: f64, keep: f64) {
        self.xx = self.xx * keep + weight * x * x;
        self.xy = self.xy * keep + weight * x * y;
    }

    fn slope(&self, prior: f64) -> f64 {
        (self.xy + PRIOR_WEIGHT * prior) / (self.xx + PRIOR_WEIGHT)
    }
}

impl Relation {
    fn take(&mut self, drift: f64, latency: f64, weight: f64) {
        let keep = HALF_S.map(|half_s| 0.5f64.powf(1.0 / half_s));
        self.lasting.take((drift, latency), weight, keep[0]);
        self.recent.take((drift, latency), weight, keep[1]);
    }

    fn slope(&self) -> f64 {
        self.recent.slope(self.lasting.slope(PRIOR)).clamp(SLOPES.0, SLOPES.1)
    }
}

/// What production has to keep; what is not set is learned, or has no limit.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Limits {
    /// Highest 90th percentile of latency, in seconds. None: [`LEARNED_LIMIT`] times the highest while all was well.
    pub latency_p90_s: Option<f64>,
    /// Fewest requests per second that it must be able to answer. None: no limit.
    pub throughput: Option<f64>,
}

/// What was learned that limits are measured against.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Highest {
    /// Latency (90th percentile) while all was well, as a natural logarithm.
    pub latency: f64,
    /// Requests per second that it can answer when the twin's costs are as usual.
    pub throughput: f64,
}

/// Follows drift and latency, and projects the one onto the limit of the other.
#[derive(Debug, Clone, PartialEq)]
pub struct Ahead {
    limits: Limits,
    relation: Relation,
    moved: Drift,
    drift: Option<f64>,
    latency: Option<f64>,
    /// The highest latency that was usual in the regimes of late, as a natural logarithm: it breaks at a peak of load.
    peak: f64,
    /// The highest requests per second of late.
    load: f64,
    /// How latency follows load.
    queue: Option<Queue>,
    /// Variances of drift and latency while all is well.
    noise: [f64; 2],
    /// How far latency strays from what drift says, as a standard deviation.
    stray: f64,
    /// How much slower production may get, as a natural logarithm.
    headroom: f64,
    twin: Track,
    production: Track,
    both: Track,
}

impl Ahead {
    /// Follows what runs against these limits.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            relation: Relation::default(),
            moved: Drift::default(),
            drift: None,
            latency: None,
            peak: f64::NAN,
            load: 0.0,
            queue: None,
            noise: NOISE,
            stray: 0.2,
            headroom: f64::NAN,
            twin: Track::default(),
            production: Track::default(),
            both: Track::default(),
        }
    }

    /// Sets the limits.
    pub(super) fn limit(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Whether nothing is known of how latency follows load.
    pub(super) fn is_lawless(&self) -> bool {
        self.queue.is_none()
    }

    /// Sets how latency follows load.
    pub(super) fn obey(&mut self, queue: Option<Queue>) {
        self.queue = queue;
    }

    /// Goes on after a pause: how production follows its twin stays known, how both moved is of the past.
    pub(super) fn rest(&mut self) {
        let Self { relation, moved, queue, noise, stray, .. } = *self;
        *self = Self { relation, moved, queue, noise, stray, ..Self::new(self.limits) };
    }

    pub(super) fn encode(&self, to: &mut Writer) {
        let known = |value: Option<f64>| value.unwrap_or(f64::NAN);
        let Relation { lasting, recent } = self.relation;
        let numbers =
            [lasting.xx, lasting.xy, recent.xx, recent.xy, self.peak, self.load, self.stray, self.headroom];
        numbers.iter().for_each(|&value| to.f64(value));
        [self.drift, self.latency].iter().for_each(|&value| to.f64(known(value)));
        self.noise.iter().for_each(|&value| to.f64(value));
        self.moved.encode(to);
        Queue::encode(self.queue, to);
        [&self.twin, &self.production, &self.both].iter().for_each(|track| track.encode(to));
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Self, Error> {
        let mut moments = || -> Result<Moments, Error> { Ok(Moments { xx: from.f64()?, xy: from.f64()? }) };
        let relation = Relation { lasting: moments()?, recent: moments()? };
        let (peak, load, stray, headroom) = (from.f64()?, from.f64()?, from.f64()?, from.f64()?);
        let fine = |of: Moments| of.xx >= 0.0 && of.xx.is_finite() && of.xy.is_finite();
        if !(fine(relation.lasting) && fine(relation.recent) && load.is_finite() && stray.is_finite()) {
            return Err(Error::Comparison("the relation of twin and production is out of range"));
        }
        let mut number = || from.f64().map(|value| value.is_finite().then_some(value));
        let (drift, latency) = (number()?, number()?);
        let noise = [from.f64()?, from.f64()?];
        if !noise.iter().all(|variance| variance.is_finite() && *variance >= 0.0) {
            return Err(Error::Comparison("the noise of drift and latency is out of range"));
        }
        let (moved, queue) = (Drift::decode(from)?, Queue::decode(from)?);
        let (twin, production, both) = (Track::decode(from)?, Track::decode(from)?, Track::decode(from)?);
        Ok(Self {
            limits: Limits::default(),
            relation,
            moved,
            drift,
            latency,
            peak,
            load,
            queue,
            noise,
            stray,
            headroom,
            twin,
            production,
            both,
        })
    }

    /// Takes a window in; `is_calm` where nothing is wrong.
    pub(super) fn take(
        &mut self,
        at: Timestamp,
        row: &Row,
        usual: &[Usual],
        (highest, is_calm): (Highest, bool),
    ) {
        let latency = window::Of::LatencyP90 as usize;
        let before = f64::from(usual[latency].median);
        let over = self.slower(row).unwrap_or(f64::from(row.features[latency]) - before);
        let Some(moved) = self.moved.take(row, usual, is_calm) else { return };
        if !(before.is_finite() && over.is_finite()) {
            return;
        }
        if is_calm {
            let squares = self.noise.iter_mut().zip([moved, over]);
            squares.for_each(|(noise, value)| *noise += CALM * (value * value - *noise));
        }
        let fading = self.peak - FADING;
        self.peak = if fading.is_finite() { before.max(fading) } else { before };
        let smooth = |held: Option<f64>, new: f64| held.map_or(new, |held| held + SMOOTHING * (new - held));
        let drift = smooth(self.drift, moved);
        (self.drift, self.latency) = (Some(drift), Some(smooth(self.latency, over)));
        let near_peak = if self.queue.is_some() { 1.0 } else { ((before - self.peak) / NEAR).exp() };
        let follows = self.latency.unwrap_or_default();
        self.relation.take(drift.max(0.0), follows, near_peak);
        self.headroom = self.headroom(highest);
        let apart = (follows - self.relation.slope() * drift).powi(2);
        self.stray = (self.stray.powi(2) + STRAY * (apart.min(1.0) - self.stray.powi(2))).sqrt();
        self.twin.push(at, moved);
        self.production.push(at, over);
        self.both.push(at, self.pooled(moved, over));
    }

    /// How much slower production is by drift and latency together, each by the inverse of its variance.
    fn pooled(&self, moved: f64, over: f64) -> f64 {
        let slope = self.relation.slope();
        let (of_drift, of_latency) = (self.noise[0] * slope * slope, self.noise[1]);
        let share = (of_latency / (of_latency + of_drift).max(1e-12)).clamp(SHARE.0, SHARE.1);
        share * slope * moved + (1.0 - share) * over
    }

    /// How much slower production is by the law of latency and load; nothing where either is not known.
    fn slower(&mut self, row: &Row) -> Option<f64> {
        let rate = f64::from(row.features[window::Of::Rate as usize]).exp_m1();
        let latency = f64::from(row.features[window::Of::LatencyP90 as usize]);
        if rate.is_finite() {
            self.load = rate.max(self.load * (1.0 - FADING));
        }
        self.queue.map(|queue| queue.slower(latency, rate))
    }

    /// How much slower production may get, as a natural logarithm, before its nearer limit breaks; not below a tenth.
    fn headroom(&self, highest: Highest) -> f64 {
        let learned = highest.latency + LEARNED_LIMIT.ln();
        let limit = self.limits.latency_p90_s.map_or(learned, f64::ln);
        let by_law = self.queue.map(|queue| queue.slower(limit - LAW_MARGIN * queue.stray, self.load));
        let latency = by_law.unwrap_or(limit - self.peak);
        // What takes longer by a factor can be done as many times less often.
        let throughput = self.limits.throughput.map(|least| (highest.throughput / least).ln());
        latency.min(throughput.unwrap_or(f64::INFINITY)).max(LEAST_HEADROOM)
    }

    /// The present drift of the twin: 0 where its costs are as usual, 0.69 where they are twice that.
    #[must_use]
    pub fn drift(&self) -> Option<f64> {
        self.drift
    }

    /// When latency will break its limit: the mean of what drift, latency and both together say.
    #[must_use]
    pub fn risk(&self, config: &Config) -> Option<Risk> {
        let limit = self.least();
        let both = self.both.curve((limit, LIMIT_SD[2] * limit))?;
        let pooled = both.pooled(&self.by_latency()?.1, LATENCY).pooled(&self.by_drift()?.1, DRIFT);
        Some(pooled.risk(("foretwin.twin.drift", FailureMode::LatencyBreach), limit, config))
    }

    /// The same by the drift of the twin alone.
    #[must_use]
    pub fn risk_by_drift(&self, config: &Config) -> Option<Risk> {
        let (limit, curve) = self.by_drift()?;
        Some(curve.risk(("foretwin.twin.drift", FailureMode::LatencyBreach), limit, config))
    }

    /// The same by latency alone: what the twin is measured against.
    #[must_use]
    pub fn risk_by_latency(&self, config: &Config) -> Option<Risk> {
        let (limit, curve) = self.by_latency()?;
        Some(curve.risk(("latency.p90", FailureMode::LatencyBreach), limit, config))
    }

    fn by_drift(&self) -> Option<(f64, Curve)> {
        let limit = self.least() / self.relation.slope();
        Some((limit, self.twin.curve((limit, LIMIT_SD[0] * limit))?))
    }

    fn by_latency(&self) -> Option<(f64, Curve)> {
        let limit = self.least();
        Some((limit, self.production.curve((limit, LIMIT_SD[1] * limit))?))
    }

    /// Headroom less what latency strays by itself: the highest of many windows breaks first. The law has counted that.
    fn least(&self) -> f64 {
        let margin = if self.queue.is_some() { 0.0 } else { MARGIN * self.stray };
        (self.headroom - margin).max(LEAST_HEADROOM)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HIGHEST: Highest = Highest { latency: -5.0, throughput: 200.0 };

    /// Feeds a drift and what latency makes of it.
    fn followed(seconds: i64, drift: impl Fn(f64) -> f64, limit_s: f64) -> Ahead {
        let mut ahead = Ahead::new(Limits { latency_p90_s: Some(limit_s), throughput: None });
        let usual = vec![Usual { median: -6.0, scale: 0.1 }; window::FEATURES];
        for second in 0..seconds {
            let mut row = Row::empty();
            row.features = [-6.0; window::FEATURES];
            let moved = drift(second as f64) as f32;
            row.features[window::Of::LatencyP90 as usize] += 0.8 * moved;
            row.features[window::OWN..].iter_mut().for_each(|feature| *feature += moved);
            ahead.take(Timestamp(second * 1_000_000), &row, &usual, (HIGHEST, false));
        }
        ahead
    }

    fn config() -> Config {
        Config::default().with_horizon(300.0)
    }

    #[test]
    fn a_slow_ramp_is_announced_with_its_time() {
        // ln(3) of latency is reached at a drift of 1.37, which is after 685 s.
        let ahead = followed(550, |second| 0.002 * second, 3.0 * (-6.0f64).exp());
        let risk = ahead.risk(&config()).unwrap();
        assert_eq!(risk.mode, FailureMode::LatencyBreach);
        let expected = risk.time_to_failure.p50.unwrap();
        assert!((60.0..260.0).contains(&expected), "{risk:?}");
        assert!(risk.at(3600.0) > 0.5, "{risk:?}");
    }

    #[test]
    fn what_stands_still_is_not_announced() {
        let ahead = followed(400, |second| 0.1 + 0.02 * (second / 9.0).sin(), 3.0 * (-6.0f64).exp());
        assert!((ahead.drift().unwrap() - 0.1).abs() < 0.05);
        let risk = ahead.risk(&config());
        assert!(risk.is_none_or(|risk| risk.at(300.0) < 0.05));
    }

    #[test]
    fn how_production_follows_is_learned() {
        let ahead = followed(600, |second| 0.002 * second, 1.0);
        assert!((ahead.relation.slope() - 0.8).abs() < 0.08, "{}", ahead.relation.slope());
        assert_eq!(Ahead::new(Limits::default()).relation.slope(), PRIOR);
    }

    #[test]
    fn the_nearer_of_limits_counts_and_without_any_it_is_learned() {
        let mut ahead = followed(60, |_| 0.1, 0.1);
        let headroom = |ahead: &mut Ahead, limits: Limits| {
            ahead.limit(limits);
            ahead.headroom(HIGHEST)
        };
        let learned = headroom(&mut ahead, Limits::default());
        assert!((learned - (1.0 + 2f64.ln())).abs() < 1e-9, "twice the highest latency seen: {learned}");
        let throughput = Limits { latency_p90_s: None, throughput: Some(100.0) };
        assert!((headroom(&mut ahead, throughput) - 2f64.ln()).abs() < 1e-9);
        let both = Limits { latency_p90_s: Some(1.02 * (-6.0f64).exp()), ..throughput };
        assert_eq!(headroom(&mut ahead, both), LEAST_HEADROOM);
    }

    #[test]
    fn after_a_pause_only_the_relation_is_known() {
        let mut ahead = followed(600, |second| 0.002 * second, 1.0);
        let before = ahead.relation.slope();
        ahead.rest();
        assert!(ahead.drift().is_none() && ahead.risk(&config()).is_none());
        assert_eq!(ahead.relation.slope(), before);
    }
}
