//! The arithmetic of the judge: from what was told and what happened to lead times and coverage.

use serde::Serialize;

use super::poll::Told;
use crate::run::Ending;
use crate::scenario::FailureKind;

/// How many, of how many.
pub type Part = (usize, usize);

/// Above this a warning counts.
pub const SURE: f64 = 0.9;
/// A prediction older than this does not speak for a moment, seconds.
const STALE_S: f64 = 10.0;

/// How well one death was foreseen.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Foreseen {
    /// The run.
    pub rid: String,
    /// Its group.
    pub group: String,
    /// How it ended.
    pub failure: String,
    /// When, seconds since the epoch; for a run that did not fail, its end.
    pub death_unix: f64,
    /// Seconds from the onset to the death.
    pub leaked_s: f64,
    /// Predictions told while it lived.
    pub told: usize,
    /// Seconds before death from which on the probability stayed above 0.9.
    pub lead_s: Option<f64>,
    /// Probability told 60 s before death.
    pub p_60s_before: Option<f64>,
    /// Quantiles told 60 s before death; nothing beyond all times.
    pub quantiles_60s_before: Option<[Option<f64>; 3]>,
    /// Class of the likeliest cause and first action, as told 60 s before death.
    pub cause_60s_before: Option<String>,
    pub action_60s_before: Option<String>,
    /// Whether the death lay between p10 and p90 as told 60 s before it.
    pub covered_60s: Option<bool>,
    /// The same, 120 s before it.
    pub covered_120s: Option<bool>,
    /// Origins after the onset.
    pub origins: usize,
    /// How many of them had the death between p10 and p90.
    pub origins_covered: usize,
}

impl Foreseen {
    /// Whether a resource ran out.
    fn failed(&self) -> bool {
        self.failure != FailureKind::None.as_str() && self.failure != FailureKind::Crash.as_str()
    }
}

/// Judges one run by what was told of it, in order of time.
pub fn foresee(ending: &Ending, told: &[Told]) -> Foreseen {
    let death = ending.start_unix + ending.event_time;
    let onset = ending.start_unix + ending.onset;
    let alive = &told[..told.partition_point(|one| one.at < death)];
    let after_onset = &alive[alive.partition_point(|one| one.at < onset)..];
    let (at_60, at_120) = (told_before(alive, death - 60.0), told_before(alive, death - 120.0));
    Foreseen {
        rid: ending.rid.clone(),
        group: ending.group.clone(),
        failure: ending.failure.as_str().into(),
        death_unix: death,
        leaked_s: death - onset,
        told: alive.len(),
        lead_s: lead_s(alive, death),
        p_60s_before: at_60.map(|one| one.probability),
        quantiles_60s_before: at_60.map(|one| [one.p10, one.p50, one.p90]),
        cause_60s_before: at_60.map(|one| one.cause.clone()),
        action_60s_before: at_60.map(|one| one.action.clone()),
        covered_60s: at_60.map(|one| covers(one, death)),
        covered_120s: at_120.map(|one| covers(one, death)),
        origins: after_onset.len(),
        origins_covered: after_onset.iter().filter(|one| covers(one, death)).count(),
    }
}

/// Seconds before death at which the probability first was, and from then on stayed, above [`SURE`].
fn lead_s(alive: &[Told], death: f64) -> Option<f64> {
    let sure = alive.iter().rev().take_while(|one| one.probability > SURE);
    sure.last().map(|first| death - first.at)
}

/// The last prediction at or before a moment, unless it is stale.
fn told_before(alive: &[Told], moment: f64) -> Option<&Told> {
    let last = alive[..alive.partition_point(|one| one.at <= moment)].last()?;
    (moment - last.at <= STALE_S).then_some(last)
}

/// Whether a death lies in the stated interval; a missing p10 says "not soon", which a death contradicts.
fn covers(told: &Told, death: f64) -> bool {
    let truth = death - told.at;
    told.p10.is_some_and(|p10| p10 <= truth) && told.p90.is_none_or(|p90| truth <= p90)
}

/// The most worrying thing told of a healthy instance.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Worry {
    /// Whose.
    pub instance: String,
    /// Predictions told.
    pub told: usize,
    /// The largest probability.
    pub max_probability: f64,
    /// When it was told, seconds since the epoch.
    pub at: f64,
    /// Mode and metric behind it.
    pub of: String,
}

/// The largest probability per instance, most worrying first.
pub fn worries(told: &[Told]) -> Vec<Worry> {
    let mut worries: Vec<Worry> = Vec::new();
    for one in told {
        let of = format!("{} of {}", one.mode, one.metric);
        match worries.iter_mut().find(|worry| worry.instance == one.instance) {
            Some(worry) => {
                worry.told += 1;
                if one.probability > worry.max_probability {
                    (worry.max_probability, worry.at, worry.of) = (one.probability, one.at, of);
                }
            }
            None => worries.push(Worry {
                instance: one.instance.clone(),
                told: 1,
                max_probability: one.probability,
                at: one.at,
                of,
            }),
        }
    }
    worries.sort_by(|a, b| b.max_probability.total_cmp(&a.max_probability));
    worries
}

/// Everything in a few numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Leaks that died.
    pub leaks: usize,
    /// Of them, how many were foreseen with a probability above 0.9 that stayed.
    pub foreseen: usize,
    /// The shortest lead of those foreseen, seconds.
    pub lead_min_s: Option<f64>,
    /// Their median lead, seconds.
    pub lead_median_s: Option<f64>,
    /// Of the leaks with a word 60 s before death, how many had a probability above 0.9 then.
    pub sure_60s_before: (usize, usize),
    /// Of the same, how many deaths lay between p10 and p90.
    pub covered_60s: (usize, usize),
    /// The same, 120 s before death.
    pub covered_120s: (usize, usize),
    /// Share of all origins after the onset whose interval held the death.
    pub coverage: Option<f64>,
    /// The largest probability told of anything while all was healthy.
    pub healthy_max_probability: Option<f64>,
    /// Healthy instances of which more than 0.5 was told, of all.
    pub healthy_worrying: (usize, usize),
}

/// Sums up.
pub fn summarize(leaks: &[Foreseen], worries: &[Worry]) -> Summary {
    let dead: Vec<&Foreseen> = leaks.iter().filter(|leak| leak.failed()).collect();
    let mut leads: Vec<f64> = dead.iter().filter_map(|leak| leak.lead_s).collect();
    leads.sort_by(f64::total_cmp);
    let origins: usize = dead.iter().map(|leak| leak.origins).sum();
    let covered: usize = dead.iter().map(|leak| leak.origins_covered).sum();
    Summary {
        leaks: dead.len(),
        foreseen: leads.len(),
        lead_min_s: leads.first().copied(),
        lead_median_s: median(&leads),
        sure_60s_before: part(dead.iter().filter_map(|leak| leak.p_60s_before).map(|p| p > SURE)),
        covered_60s: part(dead.iter().filter_map(|leak| leak.covered_60s)),
        covered_120s: part(dead.iter().filter_map(|leak| leak.covered_120s)),
        coverage: (origins > 0).then(|| covered as f64 / origins as f64),
        healthy_max_probability: worries.first().map(|worry| worry.max_probability),
        healthy_worrying: part(worries.iter().map(|worry| worry.max_probability > 0.5)),
    }
}

/// How many of some answers are yes.
pub fn part(answers: impl Iterator<Item = bool>) -> Part {
    answers.fold((0, 0), |(yes, all), answer| (yes + usize::from(answer), all + 1))
}

/// The median of what is in order.
pub fn median(sorted: &[f64]) -> Option<f64> {
    let (low, high) = (sorted.get(sorted.len().saturating_sub(1) / 2)?, sorted.get(sorted.len() / 2)?);
    Some((low + high) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::fake::ending;

    /// The death is at 1220. What is told is right to within 20 % from 1100 on, and much too late before.
    fn told() -> Vec<Told> {
        let one = |second: u32| {
            let (at, truth) = (1000.0 + f64::from(second), 220.0 - f64::from(second));
            let late = if second < 100 { 2.0 } else { 1.0 };
            // Sure from 1090 on, with a lapse at 1110.
            let probability = if second >= 90 && second != 110 { 0.95 } else { 0.2 };
            let (p10, p90) = (Some(0.8 * late * truth), Some(1.2 * late * truth));
            Told { at, probability, p10, p50: Some(truth), p90, ..Told::default() }
        };
        (0..230).map(one).collect()
    }

    #[test]
    fn leads_and_coverage() {
        let leak = foresee(&ending(), &told());
        assert_eq!(leak.told, 220, "nothing counts that was told after death");
        assert_eq!(leak.lead_s, Some(109.0), "the lapse at 1110 breaks the warning");
        assert_eq!(leak.p_60s_before, Some(0.95));
        assert_eq!((leak.covered_60s, leak.covered_120s), (Some(true), Some(true)));
        assert_eq!((leak.origins, leak.origins_covered), (200, 120));
        let summary = summarize(std::slice::from_ref(&leak), &[]);
        assert_eq!((summary.coverage, summary.lead_median_s), (Some(0.6), Some(109.0)));
    }

    #[test]
    fn medians() {
        assert_eq!(
            (median(&[]), median(&[3.0]), median(&[1.0, 2.0, 4.0, 9.0])),
            (None, Some(3.0), Some(3.0))
        );
    }

    #[test]
    fn silence_is_no_warning() {
        let leak = foresee(&ending(), &[]);
        assert_eq!((leak.lead_s, leak.p_60s_before, leak.covered_60s, leak.origins), (None, None, None, 0));
        let early: Vec<Told> = told().into_iter().filter(|one| one.at < 1140.0).collect();
        assert_eq!(foresee(&ending(), &early).p_60s_before, None, "a stale word speaks for nothing");
    }

    #[test]
    fn never_is_wrong_once_it_dies() {
        let never = Told { at: 1100.0, ..Told::default() };
        assert!(!covers(&never, 1220.0));
        assert!(
            covers(&Told { p10: Some(100.0), ..never }, 1220.0),
            "an open upper end holds everything later"
        );
    }

    #[test]
    fn the_worst_of_each_healthy_instance() {
        let one = |instance: &str, at, probability| Told {
            at,
            probability,
            instance: instance.into(),
            ..Told::default()
        };
        let told = [one("a", 1.0, 0.1), one("b", 2.0, 0.7), one("a", 3.0, 0.3), one("a", 4.0, 0.2)];
        let worries = worries(&told);
        assert_eq!(
            (worries[0].instance.as_str(), worries[1].max_probability, worries[1].at),
            ("b", 0.3, 3.0)
        );
        assert_eq!(worries[1].told, 3);
        assert_eq!(summarize(&[], &worries).healthy_worrying, (1, 2));
    }
}
