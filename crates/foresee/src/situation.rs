//! What is known of an instance at one moment, cause by cause, and what of it a learned hazard looks at.
//!
//! Each way to fail that something grows towards, or that stands higher than ever, is a *cause* of its own (cause-specific
//! hazards: Prentice et al., "The analysis of failure times in the presence of competing risks", Biometrics 34, 1978).
//! What counts for a cause depends on where it stands: below the levels of other days growth is ordinary life, above
//! them it is news, and without known days nobody can tell.

use foretwin_core::{FailureMode, Risk};

use crate::combine;
use crate::growth::{Growth, NEWS};
use crate::signs::{SIGNS, Signs};

/// Features of a cause in one interval: its own, then the signs beside it.
const OWN: usize = 23;
pub(crate) const FEATURES: usize = OWN + SIGNS;
/// Log odds of failure in an interval without growth before anything was learned.
pub(crate) const CALM: f64 = -6.0;
/// The drawn futures are so many.
const FUTURES: f64 = 256.0;
/// Seconds after which a failure is a third of the news that it was.
const FADES_S: f64 = 21_600.0;
/// How far growth below known ground is believed before anything was learned.
const ORDINARY: f64 = 0.5;

/// One way to fail, as far as it is known.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cause {
    pub(crate) mode: FailureMode,
    /// Probability of failure within each horizon as the futures have it.
    raw: Vec<f64>,
    /// The same, judged by how long trends last; empty where it was not asked.
    passage: Vec<f64>,
    /// Seconds to failure in equally likely futures, ascending, infinite where it never comes.
    pub(crate) arrivals: Vec<f64>,
    /// Whether it grows.
    grows: bool,
    /// Share of futures in jumps, share running out or over, and seconds the growth has lasted.
    jumps: f64,
    over: f64,
    lasted_s: f64,
    /// Level as a share of the limit.
    level: f64,
    /// How far that is above the level known from other days; nothing where no other days are known.
    ground: Option<f64>,
    /// How far that is news.
    news: f64,
}

/// What is known of an instance at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Situation {
    /// Probability of failure within each horizon as the futures have it.
    pub raw: Vec<f64>,
    /// Seconds to failure by the likeliest mode in equally likely futures, ascending, infinite where it never comes.
    pub arrivals: Vec<f64>,
    /// Whether anything grows at all.
    pub grows: bool,
    /// The likeliest mode.
    pub mode: FailureMode,
    /// One for each mode that has something to say, the likeliest first.
    pub(crate) causes: Vec<Cause>,
    /// 1 right after a failure, fading to nothing within a day; 0 where none is known.
    pub(crate) recent: f64,
    pub(crate) signs: Signs,
}

fn is_growing(growth: &Growth) -> bool {
    growth.lasted_s > 0.0 || growth.headroom() <= 0.0
}

impl Situation {
    /// Combines the growths of one instance as competing risks; independent given what is known now.
    #[must_use]
    pub fn new(growths: &[Growth], horizons_s: &[f64]) -> Self {
        let furthest = horizons_s.last().copied().unwrap_or(1.0);
        let mut told: Vec<&Growth> = growths.iter().filter(|one| is_growing(one) || one.is_news()).collect();
        told.sort_by(|a, b| {
            b.within(furthest).total_cmp(&a.within(furthest)).then(b.lasted_s.total_cmp(&a.lasted_s))
        });
        let mut causes: Vec<Cause> = Vec::new();
        for growth in &told {
            match causes.iter_mut().find(|cause| cause.mode == growth.mode) {
                Some(cause) => cause.join(growth, horizons_s),
                None => causes.push(Cause::new(growth, horizons_s)),
            }
        }
        let survives = |t: f64| growths.iter().map(|one| 1.0 - one.within(t)).product::<f64>();
        let worst = told.iter().find(|one| is_growing(one));
        Self {
            raw: horizons_s.iter().map(|&t| 1.0 - survives(t)).collect(),
            arrivals: worst.map(|one| one.arrivals()).unwrap_or_default(),
            grows: worst.is_some(),
            mode: worst.map_or(FailureMode::Custom, |one| one.mode),
            causes,
            recent: 0.0,
            signs: Signs::default(),
        }
    }

    /// The same, amid these signs of trouble.
    #[must_use]
    pub fn amid(mut self, signs: Signs) -> Self {
        self.signs = signs;
        self
    }

    /// The same, so long after its last failure: failures come in clusters while their cause is there, and a cluster is no
    /// constant rate (self-exciting processes: Hawkes, Biometrika 58, 1971).
    #[must_use]
    pub fn after(mut self, failure_s: Option<f64>) -> Self {
        self.recent = failure_s.map_or(0.0, |since| (-since.max(0.0) / FADES_S).exp());
        self
    }

    /// The same, with what the [`risk`](crate::risk()) of each resource says beside it: an independent opinion.
    #[must_use]
    pub fn beside(mut self, risks: &[Risk], horizons_s: &[f64]) -> Self {
        for cause in &mut self.causes {
            let own: Vec<Risk> = risks.iter().filter(|risk| risk.mode == cause.mode).cloned().collect();
            cause.passage = horizons_s.iter().map(|&horizon| combine(&own, horizon)).collect();
        }
        self
    }

    /// The same with every `step`th of the equally likely futures, and none where most never fail: enough for quantiles
    /// where many moments are kept.
    #[must_use]
    pub fn thinned(mut self, step: usize) -> Self {
        let thin = |all: &mut Vec<f64>| {
            let speaks = 2 * all.partition_point(|t| t.is_finite()) > all.len();
            let kept = all.iter().skip(step / 2).step_by(step.max(1)).filter(|_| speaks);
            *all = kept.copied().collect();
        };
        thin(&mut self.arrivals);
        self.causes.iter_mut().for_each(|cause| thin(&mut cause.arrivals));
        self
    }

    /// The futures of a mode, if it has something to say; of the likeliest one where none is asked for.
    pub(crate) fn arrivals(&self, mode: Option<FailureMode>) -> Option<&[f64]> {
        let Some(mode) = mode else { return Some(&self.arrivals) };
        self.causes.iter().find(|cause| cause.mode == mode).map(|cause| cause.arrivals.as_slice())
    }

    /// The modes that have something to say, the likeliest first.
    pub fn modes(&self) -> impl Iterator<Item = FailureMode> {
        self.causes.iter().map(|cause| cause.mode)
    }
}

impl Cause {
    fn new(growth: &Growth, horizons_s: &[f64]) -> Self {
        let shares = &growth.shares;
        Self {
            mode: growth.mode,
            raw: horizons_s.iter().map(|&t| growth.within(t)).collect(),
            passage: Vec::new(),
            arrivals: growth.arrivals(),
            grows: is_growing(growth),
            jumps: shares.jumps,
            over: shares.slower + shares.ended,
            lasted_s: growth.lasted_s,
            level: growth.used / growth.limit,
            ground: growth.ground,
            news: growth.news,
        }
    }

    /// Another resource that fails the same way: the worst one says how, all of them how likely.
    fn join(&mut self, growth: &Growth, horizons_s: &[f64]) {
        for (raw, &t) in self.raw.iter_mut().zip(horizons_s) {
            *raw = 1.0 - (1.0 - *raw) * (1.0 - growth.within(t));
        }
        self.level = self.level.max(growth.used / growth.limit);
        self.ground = self.ground.into_iter().chain(growth.ground).reduce(f64::max);
        self.news = self.news.max(growth.news);
    }

    /// How far it is below, without, and above known ground; they sum to 1. A level that other days have not seen and
    /// that is no news either, because it rises by nature or few days are known, is one of which nobody can tell.
    fn stance(&self) -> [f64; 3] {
        let Some(ground) = self.ground else { return [0.0, 1.0, 0.0] };
        let above = (ground / NEWS).clamp(self.news, 1.0);
        [1.0 - above, above - self.news, self.news]
    }

    /// The features of interval `index`, and the log odds that are believed before anything was learned. `amid` which
    /// situation.
    pub(crate) fn features(&self, index: usize, horizon_s: f64, amid: &Situation) -> ([f64; FEATURES], f64) {
        let futures = if self.grows { odds(&self.raw, index) - CALM } else { 0.0 };
        let passage = if self.passage.is_empty() { futures } else { odds(&self.passage, index) - CALM };
        let odds = 0.5 * (futures + passage);
        let [below, unknown, news] = self.stance();
        let ground = self.ground.unwrap_or(0.0);
        let crowded = -(1.0 - self.level).clamp(0.01, 1.0).ln();
        let young = if self.grows { (-self.lasted_s / horizon_s).exp() } else { 0.0 };
        let mut features = [0.0; FEATURES];
        features[index.min(2)] = 1.0;
        let rest = [
            // Where it stands, and how far its growth is believed there.
            below,
            unknown,
            news,
            below * odds,
            unknown * odds,
            news * odds,
            // A cause that was there lately is likely there still.
            amid.recent,
            amid.recent * odds,
            // Nothing ordinary comes near the limit, or far above what is known.
            crowded,
            news * crowded,
            4.0 * news * ground.clamp(0.0, 0.5),
            5.0 * below * ground.clamp(-0.3, 0.0),
            futures - passage,
            // Trust in a trend grows with its age against the time ahead.
            young,
            young * odds,
            self.jumps,
            self.jumps * odds,
            self.over,
            f64::from(u8::from(self.grows)),
            news * f64::from(u8::from(index < 2)),
        ];
        features[3..OWN].copy_from_slice(&rest);
        features[OWN..].copy_from_slice(&amid.signs.features());
        (features, CALM + (unknown + news + ORDINARY * below) * odds)
    }
}

/// Log odds of the hazard of an interval by probabilities within the horizons.
fn odds(within: &[f64], index: usize) -> f64 {
    let before = if index == 0 { 0.0 } else { within[index - 1] };
    let hazard = ((within[index] - before) / (1.0 - before).max(1e-3)).clamp(0.0, 1.0);
    let smooth = (FUTURES * hazard + 0.5) / (FUTURES + 1.0);
    (smooth / (1.0 - smooth)).ln()
}

#[cfg(test)]
pub(crate) mod tests {
    use foretwin_core::Timestamp;

    use super::*;
    use crate::{Evidence, Ground, Series};

    /// A situation with one cause that its futures give this probability, half of it within the first horizon.
    pub(crate) fn situation(raw: f64) -> Situation {
        let raw = vec![raw / 2.0, raw];
        let mode = FailureMode::MemoryExhaustion;
        let cause = Cause {
            mode,
            raw: raw.clone(),
            passage: Vec::new(),
            arrivals: Vec::new(),
            grows: true,
            jumps: 0.0,
            over: 0.0,
            lasted_s: 100.0,
            level: 0.5,
            ground: None,
            news: 0.0,
        };
        Situation {
            raw,
            arrivals: Vec::new(),
            grows: true,
            mode,
            causes: vec![cause],
            recent: 0.0,
            signs: Signs::default(),
        }
    }

    /// The same with a second opinion, so far above what is known.
    pub(crate) fn grounded(raw: f64, ground: f64, passage: f64) -> Situation {
        let mut situation = situation(raw);
        situation.causes[0].ground = Some(ground);
        situation.causes[0].news = (ground / NEWS).clamp(0.0, 1.0);
        situation.causes[0].passage = vec![passage; 2];
        situation
    }

    /// The same of another mode.
    pub(crate) fn of(mode: FailureMode, raw: f64) -> Situation {
        let mut situation = situation(raw);
        (situation.mode, situation.causes[0].mode) = (mode, mode);
        situation
    }

    #[test]
    fn a_level_is_news_as_far_as_it_passes_what_rises_by_nature_and_days_are_known() {
        let stance = |ground: Option<(f64, f64, usize)>| {
            let times: Vec<_> = (0..60).map(|n| Timestamp::from_seconds(60.0 * f64::from(n))).collect();
            let used: Vec<f64> = (0..60).map(|n| 400.0 + f64::from(n)).collect();
            let mode = FailureMode::DiskFull;
            let series = Series { metric: "disk", mode, times: &times, used: &used, limit: 1000.0 };
            let evidence = Evidence { series, work: &[] };
            let growth = Growth::read(&evidence, times[59], 86_400.0, 1).unwrap();
            let known = ground.map(|(level, rise, days)| Ground { level, rise, days });
            Cause::new(&growth.over(known), &[60.0]).stance().map(|share| (share * 100.0).round() / 100.0)
        };
        // It stands at 459 of 1,000; 20 above what is known are news beyond doubt.
        assert_eq!(stance(None), [0.0, 1.0, 0.0]);
        assert_eq!(stance(Some((500.0, 0.0, 9))), [1.0, 0.0, 0.0]);
        assert_eq!(stance(Some((400.0, 0.0, 9))), [0.0, 0.1, 0.9]);
        assert_eq!(stance(Some((449.0, 0.0, 9))), [0.5, 0.05, 0.45]);
        assert_eq!(stance(Some((400.0, 0.0, 1))), [0.0, 0.5, 0.5]);
        // What rises by 60 a day may have done so again.
        assert_eq!(stance(Some((400.0, 60.0, 9))), [0.0, 1.0, 0.0]);
    }

    #[test]
    fn thinned_futures_keep_their_quantiles_and_silence_stays_silent() {
        let mut speaking = situation(0.9);
        speaking.causes[0].arrivals = (0..256).map(f64::from).collect();
        let thinned = speaking.thinned(8);
        let kept = &thinned.causes[0].arrivals;
        assert_eq!((kept.len(), kept[16]), (32, 132.0));
        let mut silent = situation(0.1);
        silent.arrivals = vec![f64::INFINITY; 256];
        assert!(silent.thinned(8).arrivals.is_empty());
    }
}
