//! A discrete-time hazard model: how often what the futures promise has come true.
//!
//! Time ahead is cut at the horizons. In each interval a failure that has not come before comes with a probability
//! whose log odds are linear in those that the drawn futures give, and in what is known of their kind (Allison,
//! "Discrete-time methods for the analysis of event histories", Sociological Methodology 13, 1982). Each way to fail has a
//! hazard of its own; what no cause announced is one more, and together they are one survival. An interval counts only
//! where it was seen to its end or to the failure, so censored instances say what they know and no more. Coefficients
//! shrink towards "the futures are right"; those of a failure mode towards those of all modes; instances of one workload
//! identity share an offset that shrinks towards none, as in a random-effects model, so a rare workload borrows from all
//! others. So does every known issue that a report has: an issue that came before no more failures than others keeps an
//! offset of nearly nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use foretwin_core::FailureMode;

use crate::logistic::{Trial, logistic, regress};
use crate::signs::SIGNS;
use crate::situation::{CALM, Cause, FEATURES, Situation};

/// Prior precision of the coefficients of all modes, of how far those of one mode lie from them, and of an identity's
/// offset.
const RIDGE: f64 = 1.0;
const RIDGE_MODE: f64 = 1.0;
const RIDGE_OFFSET: f64 = 4.0;
/// Features of what no cause announces: the interval, whether it failed lately, and the signs.
const LATELY: usize = 3;
const UNFORESEEN: usize = LATELY + 1 + SIGNS;

/// The learned model.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Hazard {
    horizons_s: Vec<f64>,
    /// Coefficients of all modes, and of those that were seen.
    shared: Vec<f64>,
    modes: BTreeMap<FailureMode, Vec<f64>>,
    /// Coefficients of what no cause announces.
    unforeseen: Vec<f64>,
    /// Offsets of whom it shares with, of a cause and of what no cause announces.
    groups: BTreeMap<Group, [f64; 2]>,
    /// Intervals and failures seen, by horizon, without and with growth.
    support: Vec<[(f64, f64); 2]>,
}

/// One recorded moment: the situation, whose, and how long until the failure or the end of the record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment<'a> {
    pub(crate) situation: &'a Situation,
    pub(crate) identity: Option<u64>,
    /// Seconds until the failure, or until nothing more was seen.
    pub(crate) left_s: f64,
    pub(crate) failed: bool,
    /// How it failed, if that is known.
    pub(crate) mode: Option<FailureMode>,
    /// Moments of one instance are alike: each counts as this much of an observation.
    pub(crate) weight: f64,
}

impl Moment<'_> {
    /// The cause that a failure is put down to; nothing where none announced it. Of an unknown failure the likeliest.
    fn blamed(&self) -> Option<FailureMode> {
        let causes = &self.situation.causes;
        let found = causes.iter().find(|cause| self.mode.is_none_or(|mode| mode == cause.mode));
        found.map(|cause| cause.mode)
    }

    /// Intervals that were seen to their end, or to the failure, and whether it failed there.
    fn intervals<'a>(&self, horizons_s: &'a [f64]) -> impl Iterator<Item = (usize, bool)> + use<'a> {
        let (left_s, failed) = (self.left_s, self.failed);
        let before = move |index: usize| if index == 0 { 0.0 } else { horizons_s[index - 1] };
        (0..horizons_s.len())
            .map(move |index| (index, failed && left_s <= horizons_s[index]))
            .take_while(move |&(index, over)| left_s > before(index) && (over || left_s >= horizons_s[index]))
    }
}

/// What instances have in common beyond what grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    /// A workload.
    Identity(u64),
    /// A known issue.
    Issue(u64),
}

/// The groups of a situation.
fn groups(situation: &Situation, identity: Option<u64>) -> impl Iterator<Item = Group> {
    identity.map(Group::Identity).into_iter().chain(situation.signs.issues.iter().copied().map(Group::Issue))
}

/// What a fit learns from.
#[derive(Default)]
struct Seen {
    of_causes: Vec<(FailureMode, Trial)>,
    of_none: Vec<Trial>,
    groups: BTreeMap<Group, usize>,
}

impl Seen {
    /// Columns of the groups of a moment after those of the features; new ones get one.
    fn columns(&mut self, moment: &Moment<'_>) -> [Rc<[usize]>; 2] {
        let mut all: Vec<usize> = Vec::new();
        for group in groups(moment.situation, moment.identity) {
            let next = self.groups.len();
            all.push(*self.groups.entry(group).or_insert(next));
        }
        all.sort_unstable();
        all.dedup();
        [FEATURES, UNFORESEEN].map(|width| all.iter().map(|at| width + at).collect())
    }
}

/// Means and precisions of coefficients that shrink towards nothing.
fn prior(features: usize, groups: usize) -> Vec<(f64, f64)> {
    let precision = |i: usize| if i < features { RIDGE } else { RIDGE_OFFSET };
    (0..features + groups).map(|i| (0.0, precision(i))).collect()
}

impl Hazard {
    /// Fits the coefficients.
    pub(crate) fn fit(horizons_s: &[f64], moments: &[Moment<'_>]) -> Self {
        let mut hazard = Self {
            horizons_s: horizons_s.to_vec(),
            support: vec![[(0.0, 0.0); 2]; horizons_s.len()],
            ..Self::default()
        };
        let mut seen = Seen::default();
        for moment in moments {
            hazard.expose(moment, &mut seen);
        }
        let all =
            regress(&seen.of_causes.iter().map(|(_, trial)| trial), &prior(FEATURES, seen.groups.len()));
        let none = regress(&seen.of_none.iter(), &prior(UNFORESEEN, seen.groups.len()));
        let offsets = |at: usize| [all[FEATURES + at], none[UNFORESEEN + at]];
        hazard.groups = seen.groups.iter().map(|(&group, &at)| (group, offsets(at))).collect();
        // Of a mode only how it differs is learned; what its instances share is known by then.
        let own: Vec<(f64, f64)> = all[..FEATURES].iter().map(|&mean| (mean, RIDGE_MODE)).collect();
        for (_, trial) in &mut seen.of_causes {
            let groups = std::mem::take(&mut trial.groups);
            trial.offset += groups.iter().map(|&group| all[group]).sum::<f64>();
        }
        let modes: BTreeSet<FailureMode> = seen.of_causes.iter().map(|(mode, _)| *mode).collect();
        for mode in modes {
            let trials = seen.of_causes.iter().filter(|(of, _)| *of == mode).map(|(_, trial)| trial);
            hazard.modes.insert(mode, regress(&trials, &own));
        }
        hazard.shared = all[..FEATURES].to_vec();
        hazard.unforeseen = none[..UNFORESEEN].to_vec();
        hazard
    }

    /// Adds what was seen of one moment.
    fn expose(&mut self, moment: &Moment<'_>, seen: &mut Seen) {
        let (situation, blamed) = (moment.situation, moment.blamed());
        let [of_cause, of_none] = seen.columns(moment);
        for (index, failed) in moment.intervals(&self.horizons_s) {
            let support = &mut self.support[index][usize::from(situation.grows)];
            support.0 += moment.weight;
            support.1 += moment.weight * f64::from(u8::from(failed));
            // A cause that another one came before was not seen to the end.
            for cause in situation.causes.iter().filter(|one| !failed || blamed == Some(one.mode)) {
                let (features, offset) = cause.features(index, self.horizons_s[index], situation);
                let trial = Trial::new(&features, (offset, of_cause.clone()), (failed, moment.weight));
                seen.of_causes.push((cause.mode, trial));
            }
            if !failed || blamed.is_none() {
                let features = unforeseen(index, situation);
                seen.of_none.push(Trial::new(&features, (CALM, of_none.clone()), (failed, moment.weight)));
            }
        }
    }

    /// Calibrated probabilities within each horizon.
    #[must_use]
    pub fn within(&self, situation: &Situation, identity: Option<u64>) -> Vec<f64> {
        let [_, offset] = self.offsets(situation, identity);
        let none = |index| CALM + offset + product(&unforeseen(index, situation), &self.unforeseen);
        let mut survives: Vec<f64> = survival(self.horizons_s.len(), none);
        for cause in &situation.causes {
            let within = self.of_cause(cause, situation, identity);
            survives.iter_mut().zip(within).for_each(|(survives, p)| *survives *= 1.0 - p);
        }
        survives.iter().map(|survives| 1.0 - survives).collect()
    }

    /// Calibrated probabilities of failure by one cause within each horizon, if no other comes before.
    pub(crate) fn of_cause(&self, cause: &Cause, situation: &Situation, identity: Option<u64>) -> Vec<f64> {
        let [offset, _] = self.offsets(situation, identity);
        let coefficients = self.modes.get(&cause.mode).unwrap_or(&self.shared);
        let odds = |index: usize| {
            let (features, believed) = cause.features(index, self.horizons_s[index], situation);
            believed + offset + product(&features, coefficients)
        };
        survival(self.horizons_s.len(), odds).iter().map(|survives| 1.0 - survives).collect()
    }

    /// What its groups add, to a cause and to what no cause announces.
    fn offsets(&self, situation: &Situation, identity: Option<u64>) -> [f64; 2] {
        let known = groups(situation, identity).filter_map(|group| self.groups.get(&group));
        known.fold([0.0; 2], |sum, own| [sum[0] + own[0], sum[1] + own[1]])
    }

    /// How much was seen of intervals like this one: n / (n + 20) for n independent observations of this horizon, with or
    /// without growth.
    #[must_use]
    pub fn confidence(&self, situation: &Situation, index: usize) -> f64 {
        let seen = self.support.get(index).map_or(0.0, |both| both[usize::from(situation.grows)].0);
        seen / (seen + 20.0)
    }
}

/// Features of failure that no cause announces.
fn unforeseen(index: usize, situation: &Situation) -> [f64; UNFORESEEN] {
    let mut features = [0.0; UNFORESEEN];
    features[index.min(2)] = 1.0;
    features[LATELY] = situation.recent;
    features[LATELY + 1..].copy_from_slice(&situation.signs.features());
    features
}

fn product(features: &[f64], coefficients: &[f64]) -> f64 {
    features.iter().zip(coefficients).map(|(x, b)| x * b).sum()
}

/// The share that survives each interval, from the log odds of its hazard.
fn survival(intervals: usize, odds: impl Fn(usize) -> f64) -> Vec<f64> {
    let mut survives = 1.0;
    let after = |index| {
        survives *= 1.0 - logistic(odds(index));
        survives
    };
    (0..intervals).map(after).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signs::Signs;
    use crate::situation::tests::{grounded, of, situation};
    use foretwin_core::Rng;

    fn learn(truth: impl Fn(f64, u64) -> f64) -> Hazard {
        let mut rng = Rng::new(4);
        let drawn: Vec<_> = (0..4000u64)
            .map(|i| {
                let raw = rng.uniform();
                let failed = rng.uniform() < truth(raw, i % 4);
                (situation(raw), i % 4, failed, rng.uniform())
            })
            .collect();
        let moments: Vec<_> = drawn
            .iter()
            .map(|(situation, identity, failed, place)| Moment {
                situation,
                identity: Some(*identity),
                left_s: if *failed { 20.0 * place } else { 1e3 },
                failed: *failed,
                mode: None,
                weight: 1.0,
            })
            .collect();
        Hazard::fit(&[10.0, 20.0], &moments)
    }

    #[test]
    fn overconfidence_is_unlearned() {
        let hazard = learn(|raw, _| 0.5 * raw);
        for raw in [0.2, 0.5, 0.9] {
            let said = hazard.within(&situation(raw), None);
            assert!((said[1] - 0.5 * raw).abs() < 0.08, "{raw}: {said:?}");
            assert!(said[0] < said[1]);
        }
        assert!(hazard.confidence(&situation(0.5), 1) > 0.9);
    }

    #[test]
    fn an_identity_that_fails_more_is_believed_to() {
        let hazard = learn(|raw, identity| if identity == 3 { raw } else { 0.4 * raw });
        let said = |identity| hazard.within(&situation(0.5), Some(identity))[1];
        assert!(said(3) > said(0) + 0.1, "{} {}", said(3), said(0));
        // A new one is taken for what most are.
        assert!(said(99) < said(3));
    }

    #[test]
    fn known_ground_and_a_second_opinion_are_weighed() {
        let mut rng = Rng::new(5);
        // The futures know nothing; what exceeds known ground fails, if the other opinion says so too.
        let drawn: Vec<_> = (0..3000)
            .map(|_| {
                let (ground, passage) = (rng.uniform() - 0.5, rng.uniform());
                let said = grounded(0.5, ground, passage);
                (said, rng.uniform() < if ground > 0.0 { passage } else { 0.05 })
            })
            .collect();
        let moments: Vec<_> = drawn
            .iter()
            .map(|(situation, failed)| {
                let left_s = if *failed { 5.0 } else { 1e3 };
                Moment { situation, identity: None, left_s, failed: *failed, mode: None, weight: 1.0 }
            })
            .collect();
        let hazard = Hazard::fit(&[10.0, 20.0], &moments);
        let ask = |ground, passage: f64| {
            let said = grounded(0.5, ground, passage);
            hazard.within(&said, None)[1]
        };
        assert!(ask(0.3, 0.9) > 0.7 && ask(0.3, 0.1) < 0.45 && ask(-0.3, 0.9) < 0.3);
    }

    #[test]
    fn failures_that_come_in_clusters_are_no_constant_rate() {
        let said = |since_s| situation(0.3).after(since_s);
        let (fresh, old) = (said(Some(600.0)), said(None));
        let moment = |situation, failed| {
            let left_s = if failed { 5.0 } else { 1e3 };
            Moment { situation, identity: Some(1), left_s, failed, mode: None, weight: 1.0 }
        };
        let mut moments: Vec<_> = (0..200).map(|n| moment(&fresh, n % 10 < 8)).collect();
        moments.extend((0..2000).map(|n| moment(&old, n % 100 == 0)));
        let hazard = Hazard::fit(&[10.0, 20.0], &moments);
        let ask = |since_s| hazard.within(&said(since_s), Some(1))[1];
        assert!(ask(Some(600.0)) > 0.6 && ask(Some(172_800.0)) < 0.05, "{}", ask(Some(172_800.0)));
    }

    /// Signs that come before failures, and signs that come as often before none.
    #[test]
    fn signs_that_precede_failures_raise_the_hazard_and_others_leave_it() {
        let mut rng = Rng::new(6);
        let amid = |anomaly: f64, infrastructure: f64, issues: &[u64]| {
            let signs = Signs {
                anomaly: Some(anomaly),
                infrastructure: Some(infrastructure),
                issues: issues.to_vec(),
            };
            situation(0.1).amid(signs)
        };
        let drawn: Vec<_> = (0..4000)
            .map(|n| {
                let issues: Vec<u64> =
                    [(n % 5 == 0).then_some(11), (n % 4 == 0).then_some(22)].into_iter().flatten().collect();
                let (anomaly, infrastructure) = (if n % 7 == 0 { 4.0 } else { 0.5 }, rng.uniform());
                let chance = 0.1 + if n % 5 == 0 { 0.5 } else { 0.0 } + if n % 7 == 0 { 0.3 } else { 0.0 };
                (amid(anomaly, infrastructure, &issues), rng.uniform() < chance)
            })
            .collect();
        let moments: Vec<_> = drawn
            .iter()
            .map(|(situation, failed)| {
                let left_s = if *failed { 15.0 } else { 1e3 };
                Moment { situation, identity: None, left_s, failed: *failed, mode: None, weight: 1.0 }
            })
            .collect();
        let hazard = Hazard::fit(&[10.0, 20.0], &moments);
        let ask = |anomaly, infrastructure, issues: &[u64]| {
            hazard.within(&amid(anomaly, infrastructure, issues), None)[1]
        };
        let (calm, flagged) = (ask(0.5, 0.0, &[]), ask(0.5, 0.0, &[11]));
        assert!((calm - 0.1).abs() < 0.04 && (flagged - 0.6).abs() < 0.08, "{calm} {flagged}");
        assert!(ask(4.0, 0.0, &[]) > calm + 0.15, "an anomaly comes before failures: {}", ask(4.0, 0.0, &[]));
        // One that comes before none, one that nobody has seen, and a contrast that says nothing.
        for same in [ask(0.5, 0.0, &[22]), ask(0.5, 0.0, &[99]), ask(0.5, 1.0, &[])] {
            assert!((same - calm).abs() < 0.03, "{same} {calm}");
        }
    }

    #[test]
    fn censored_moments_teach_only_what_was_seen() {
        let calm = Situation::new(&[], &[10.0, 20.0]);
        let moment = |left_s| {
            let (situation, mode) = (&calm, None);
            Moment { situation, identity: None, left_s, failed: false, mode, weight: 1.0 }
        };
        let hazard = Hazard::fit(&[10.0, 20.0], &[moment(15.0), moment(5.0)]);
        assert_eq!((hazard.support[0][0].0, hazard.support[1][0].0), (1.0, 0.0));
    }

    #[test]
    fn each_mode_has_its_own_hazard_and_what_none_announced_is_no_evidence_against_any() {
        use FailureMode::{Crash, DiskFull, MemoryExhaustion};
        let mut rng = Rng::new(6);
        // Memory fails as its futures say, volumes never, and crashes come to both out of the blue.
        let drawn: Vec<_> = (0..4000)
            .map(|n| {
                let mode = if n % 2 == 0 { MemoryExhaustion } else { DiskFull };
                let raw = rng.uniform();
                let failed = if rng.uniform() < 0.05 {
                    Some(Crash)
                } else {
                    (mode == MemoryExhaustion && rng.uniform() < raw).then_some(mode)
                };
                (of(mode, raw), failed)
            })
            .collect();
        let moments: Vec<_> = drawn
            .iter()
            .map(|(situation, mode)| {
                let (failed, left_s) = (mode.is_some(), if mode.is_some() { 5.0 } else { 1e3 });
                Moment { situation, identity: None, left_s, failed, mode: *mode, weight: 1.0 }
            })
            .collect();
        let hazard = Hazard::fit(&[10.0, 20.0], &moments);
        let ask = |situation: &Situation| hazard.of_cause(&situation.causes[0], situation, None)[0];
        let (memory, volume) = (of(MemoryExhaustion, 0.9), of(DiskFull, 0.9));
        assert!(ask(&memory) > 0.75 && ask(&volume) < 0.1, "{} {}", ask(&memory), ask(&volume));
        let all = hazard.within(&volume, None)[0];
        assert!((0.02..0.15).contains(&all), "{all}");
    }
}
