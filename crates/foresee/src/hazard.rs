//! A discrete-time hazard model: how often what the futures promise has come true.
//!
//! Time ahead is cut at the horizons. In each interval a failure that has not come before comes with a probability
//! whose log odds are linear in those that the drawn futures give, and in what is known of their kind (Allison,
//! "Discrete-time methods for the analysis of event histories", Sociological Methodology 13, 1982). An interval counts only
//! where it was seen to its end or to the failure, so censored instances say what they know and no more. Coefficients
//! shrink towards "the futures are right"; instances of one workload identity share an offset that shrinks towards
//! none, as in a random-effects model, so a rare workload borrows from all others. So does every known issue that a
//! report has: an issue that came before no more failures than others keeps an offset of nearly nothing.

use std::collections::BTreeMap;
use std::rc::Rc;

use foretwin_core::{FailureMode, Risk};

use crate::combine;
use crate::growth::Growth;
use crate::signs::{SIGNS, Signs};

/// Features of one interval: those of what grows, then the signs beside it.
const GROWING: usize = 18;
const FEATURES: usize = GROWING + SIGNS;
/// Prior precision of the coefficients, and of the offset of a mode, an identity or a known issue.
const RIDGE: f64 = 1.0;
const RIDGE_OFFSET: f64 = 4.0;
/// The drawn futures are so many.
const FUTURES: f64 = 256.0;
/// Iterations of Newton's method; it converges in fewer.
const ITERATIONS: usize = 60;

/// What is known of an instance at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Situation {
    /// Probability of failure within each horizon as the futures have it.
    pub raw: Vec<f64>,
    /// Seconds to failure in equally likely futures, ascending, infinite where it never comes.
    pub arrivals: Vec<f64>,
    /// Whether anything grows at all.
    pub grows: bool,
    /// The likeliest mode.
    pub mode: FailureMode,
    /// Of the likeliest mode: share of futures in jumps, running out, over, and seconds the growth has lasted.
    jumps: f64,
    slower: f64,
    ended: f64,
    lasted_s: f64,
    /// How far it is above the level known from earlier days, as a share of the limit.
    ground: Option<f64>,
    /// Probability within each horizon of first passage judged by how long trends last; empty where it was not asked.
    passage: Vec<f64>,
    /// 1 right after a failure, fading to nothing within a day; 0 where none is known.
    recent: f64,
    signs: Signs,
}

impl Situation {
    /// Combines the growths of one instance as competing risks; independent given what is known now.
    #[must_use]
    pub fn new(growths: &[Growth], horizons_s: &[f64]) -> Self {
        let survives = |t: f64| growths.iter().map(|one| 1.0 - one.within(t)).product::<f64>();
        let furthest = horizons_s.last().copied().unwrap_or(1.0);
        let worst =
            growths.iter().filter(|one| one.lasted_s > 0.0 || one.headroom() <= 0.0).max_by(|a, b| {
                a.within(furthest).total_cmp(&b.within(furthest)).then(a.lasted_s.total_cmp(&b.lasted_s))
            });
        Self {
            raw: horizons_s.iter().map(|&t| 1.0 - survives(t)).collect(),
            arrivals: worst.map(Growth::arrivals).unwrap_or_default(),
            grows: worst.is_some(),
            mode: worst.map_or(FailureMode::Custom, |one| one.mode),
            jumps: worst.map_or(0.0, |one| one.shares.jumps),
            slower: worst.map_or(0.0, |one| one.shares.slower),
            ended: worst.map_or(0.0, |one| one.shares.ended),
            lasted_s: worst.map_or(0.0, |one| one.lasted_s),
            ground: worst.and_then(|one| one.ground),
            passage: Vec::new(),
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
        self.passage = horizons_s.iter().map(|&horizon| combine(risks, horizon)).collect();
        self
    }

    /// Log odds of the hazard of an interval by probabilities within the horizons.
    fn odds(within: &[f64], index: usize) -> f64 {
        let before = if index == 0 { 0.0 } else { within[index - 1] };
        let hazard = ((within[index] - before) / (1.0 - before).max(1e-3)).clamp(0.0, 1.0);
        let smooth = (FUTURES * hazard + 0.5) / (FUTURES + 1.0);
        (smooth / (1.0 - smooth)).ln()
    }

    /// The features of interval `index`, and the offset that is believed before anything was learned.
    fn features(&self, index: usize, horizons_s: &[f64]) -> ([f64; FEATURES], f64) {
        let mut features = [0.0; FEATURES];
        if !self.passage.is_empty() {
            features[12] = Self::odds(&self.passage, index) - CALM;
        }
        features[16] = self.recent;
        features[GROWING..].copy_from_slice(&self.signs.features());
        if !self.grows {
            features[index.min(2)] = 1.0;
            return (features, CALM);
        }
        let odds = Self::odds(&self.raw, index);
        features[3 + index.min(2)] = 1.0;
        features[6] = odds;
        features[7] = self.jumps * odds;
        features[8] = self.jumps;
        // Trust in a trend grows with its age against the time ahead.
        features[9] = odds * (-self.lasted_s / horizons_s[index]).exp();
        features[10] = (-self.lasted_s / horizons_s[index]).exp();
        features[11] = self.slower + self.ended;
        features[17] = self.recent * (odds - CALM);
        if let Some(ground) = self.ground {
            // What was reached on other days without harm is no news; what is above it is.
            features[13] = 1.0;
            features[14] = if ground > NEWS { odds - CALM } else { 0.0 };
            features[15] = (10.0 * ground).clamp(-3.0, 3.0);
        }
        (features, odds)
    }
}

/// Seconds after which a failure is a third of the news that it was.
const FADES_S: f64 = 21_600.0;
/// Share of the limit by which a level must exceed what is known to be news.
const NEWS: f64 = 0.01;
/// Log odds of failure in an interval without growth before anything was learned.
const CALM: f64 = -6.0;

/// An interval that was seen to its end, or to the failure in it.
#[derive(Debug, Clone)]
struct Exposure {
    features: [f64; FEATURES],
    offset: f64,
    /// Columns of the offsets that it shares with others: of its mode, its identity and its known issues.
    groups: Rc<[usize]>,
    failed: bool,
    weight: f64,
}

/// The learned model.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Hazard {
    horizons_s: Vec<f64>,
    coefficients: Vec<f64>,
    modes: BTreeMap<FailureMode, usize>,
    identities: BTreeMap<u64, usize>,
    issues: BTreeMap<u64, usize>,
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
    /// Moments of one instance are alike: each counts as this much of an observation.
    pub(crate) weight: f64,
}

impl Hazard {
    /// Fits the coefficients.
    pub(crate) fn fit(horizons_s: &[f64], moments: &[Moment<'_>]) -> Self {
        let mut hazard = Self {
            horizons_s: horizons_s.to_vec(),
            support: vec![[(0.0, 0.0); 2]; horizons_s.len()],
            ..Self::default()
        };
        let mut exposures = Vec::new();
        for moment in moments {
            hazard.expose(moment, &mut exposures);
        }
        hazard.coefficients = newton(&exposures, FEATURES + hazard.offsets());
        hazard
    }

    /// Adds the intervals of one moment that were seen to their end.
    fn expose(&mut self, moment: &Moment<'_>, exposures: &mut Vec<Exposure>) {
        let situation = moment.situation;
        let groups = self.groups(moment);
        for index in 0..self.horizons_s.len() {
            let failed = moment.failed && moment.left_s <= self.horizons_s[index];
            if !failed && moment.left_s < self.horizons_s[index] {
                break;
            }
            let (features, offset) = situation.features(index, &self.horizons_s);
            let (groups, weight) = (groups.clone(), moment.weight);
            exposures.push(Exposure { features, offset, groups, failed, weight });
            let support = &mut self.support[index][usize::from(situation.grows)];
            support.0 += moment.weight;
            support.1 += moment.weight * f64::from(u8::from(failed));
            if failed {
                break;
            }
        }
    }

    /// How many offsets there are.
    fn offsets(&self) -> usize {
        self.modes.len() + self.identities.len() + self.issues.len()
    }

    /// Columns of the offsets of a moment; those that are new get one.
    fn groups(&mut self, moment: &Moment<'_>) -> Rc<[usize]> {
        let fresh = self.offsets();
        let mut columns = vec![FEATURES + *self.modes.entry(moment.situation.mode).or_insert(fresh)];
        if let Some(identity) = moment.identity {
            let fresh = self.offsets();
            columns.push(FEATURES + *self.identities.entry(identity).or_insert(fresh));
        }
        for &issue in &moment.situation.signs.issues {
            let fresh = self.offsets();
            columns.push(FEATURES + *self.issues.entry(issue).or_insert(fresh));
        }
        columns.into()
    }

    /// Calibrated probabilities within each horizon.
    #[must_use]
    pub fn within(&self, situation: &Situation, identity: Option<u64>) -> Vec<f64> {
        let group = |found: Option<&usize>| found.map_or(0.0, |&group| self.coefficients[FEATURES + group]);
        let issues = situation.signs.issues.iter().map(|issue| group(self.issues.get(issue)));
        let offset = group(self.modes.get(&situation.mode))
            + group(identity.and_then(|identity| self.identities.get(&identity)))
            + issues.sum::<f64>();
        let mut survives = 1.0;
        (0..self.horizons_s.len())
            .map(|index| {
                let (features, believed) = situation.features(index, &self.horizons_s);
                let sum: f64 = features.iter().zip(&self.coefficients).map(|(x, b)| x * b).sum();
                survives *= 1.0 - logistic(believed + sum + offset);
                1.0 - survives
            })
            .collect()
    }

    /// How much was seen of intervals like this one: n / (n + 20) for n independent observations of this horizon, with or
    /// without growth.
    #[must_use]
    pub fn confidence(&self, situation: &Situation, index: usize) -> f64 {
        let seen = self.support.get(index).map_or(0.0, |both| both[usize::from(situation.grows)].0);
        seen / (seen + 20.0)
    }
}

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Ridge logistic regression with offsets, by Newton's method.
fn newton(exposures: &[Exposure], width: usize) -> Vec<f64> {
    let mut beta = vec![0.0; width];
    for _ in 0..ITERATIONS {
        let mut hessian = vec![0.0; width * width];
        let mut gradient = vec![0.0; width];
        for i in 0..width {
            let ridge = if i < FEATURES { RIDGE } else { RIDGE_OFFSET };
            hessian[i * width + i] = ridge;
            gradient[i] = -ridge * beta[i];
        }
        for one in exposures {
            let entries = entries(one);
            let sum: f64 = entries.iter().map(|&(i, x)| x * beta[i]).sum();
            let p = logistic(one.offset + sum);
            let slack = one.weight * (f64::from(u8::from(one.failed)) - p);
            let curve = one.weight * p * (1.0 - p);
            for &(i, x) in &entries {
                gradient[i] += slack * x;
                for &(j, y) in &entries {
                    hessian[i * width + j] += curve * x * y;
                }
            }
        }
        let mut step = solve(hessian, gradient, width);
        // Where the start is far off the curvature is nearly none: no step is longer than one.
        let longest = step.iter().fold(1.0f64, |most, s| most.max(s.abs()));
        step.iter_mut().for_each(|s| *s /= longest);
        beta.iter_mut().zip(&step).for_each(|(b, s)| *b += s);
        if step.iter().all(|s| s.abs() < 1e-8) {
            break;
        }
    }
    beta
}

/// The features of an exposure that are not zero, with their columns.
fn entries(one: &Exposure) -> Vec<(usize, f64)> {
    let own = one.features.iter().copied().enumerate().filter(|(_, x)| *x != 0.0);
    own.chain(one.groups.iter().map(|&group| (group, 1.0))).collect()
}

/// Solves a positive definite system by elimination.
fn solve(mut a: Vec<f64>, mut b: Vec<f64>, n: usize) -> Vec<f64> {
    for k in 0..n {
        for i in k + 1..n {
            let factor = a[i * n + k] / a[k * n + k];
            for j in k..n {
                a[i * n + j] -= factor * a[k * n + j];
            }
            b[i] -= factor * b[k];
        }
    }
    for k in (0..n).rev() {
        let sum: f64 = (k + 1..n).map(|j| a[k * n + j] * b[j]).sum();
        b[k] = (b[k] - sum) / a[k * n + k];
    }
    b
}

#[cfg(test)]
mod tests {
    use super::*;
    use foretwin_core::Rng;

    fn situation(raw: f64) -> Situation {
        let raw = vec![raw / 2.0, raw];
        let mode = FailureMode::MemoryExhaustion;
        Situation {
            raw,
            arrivals: Vec::new(),
            grows: true,
            mode,
            jumps: 0.0,
            slower: 0.0,
            ended: 0.0,
            lasted_s: 100.0,
            ground: None,
            passage: Vec::new(),
            recent: 0.0,
            signs: Signs::default(),
        }
    }

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
                let said = Situation { ground: Some(ground), passage: vec![passage; 2], ..situation(0.5) };
                (said, rng.uniform() < if ground > 0.0 { passage } else { 0.05 })
            })
            .collect();
        let moments: Vec<_> = drawn
            .iter()
            .map(|(situation, failed)| {
                let left_s = if *failed { 5.0 } else { 1e3 };
                Moment { situation, identity: None, left_s, failed: *failed, weight: 1.0 }
            })
            .collect();
        let hazard = Hazard::fit(&[10.0, 20.0], &moments);
        let ask = |ground, passage: f64| {
            let said = Situation { ground: Some(ground), passage: vec![passage; 2], ..situation(0.5) };
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
            Moment { situation, identity: Some(1), left_s, failed, weight: 1.0 }
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
                Moment { situation, identity: None, left_s, failed: *failed, weight: 1.0 }
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
        let calm = Situation { grows: false, ..situation(0.0) };
        let moment = |left_s| Moment { situation: &calm, identity: None, left_s, failed: false, weight: 1.0 };
        let hazard = Hazard::fit(&[10.0, 20.0], &[moment(15.0), moment(5.0)]);
        assert_eq!((hazard.support[0][0].0, hazard.support[1][0].0), (1.0, 0.0));
    }
}
