//! What if: the same futures, with and without an intervention.
//!
//! State, shape and noise are inferred from the present and kept in the drawn futures of each [`Growth`]; an
//! intervention changes limits, levels, load or the growth itself, and every future is replayed with it (abduction,
//! action, prediction: Pearl, "Causality", 2nd edition, section 7.1; common random numbers: Glasserman and Yao,
//! "Management Science" 38, 1992). Differences are paired, so what both have in common cancels.

use std::collections::BTreeMap;

use foretwin_core::{Benefit, Change, Effect, Estimate, Expected, FailureMode, Quantiles, Scenario};

use crate::coupling::{Coupled, FUTURES, STRIDES};
use crate::curve::{Curve, hold};
use crate::growth::{Draw, Growth, Turn};
use crate::{Config, words};

/// Below this probability nothing is at risk.
const NO_RISK: f64 = 0.01;
/// Share of the failing futures that must be spared for a cure, and of the median time for a delay.
const CURE: f64 = 0.5;
/// What is left of a failure that is cured is unlikelier than this.
const UNLIKELY: f64 = 0.2;
const MATTERS: f64 = 0.05;
/// A median this many times as far ahead as the growth has lasted goes beyond experience.
const FAR: f64 = 4.0;
/// A limit this many times the highest level ever seen goes beyond experience.
const HIGH: f64 = 2.0;
/// Processors of which this share is used have no time left.
const USED_UP: f64 = 0.95;
/// A probability that differs by less is the same.
const UNSAID: f64 = 1e-6;
/// A shape of less than this share has no say in the interval of a probability.
const LEAST_SHARE: f64 = 0.05;

/// Processors that an instance uses and may use, in one unit of processor time per second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Processors {
    /// On average.
    pub used: f64,
    /// Its quota, or all that there are.
    pub limit: f64,
}

/// What a what-if is made from.
#[derive(Debug, Clone, Copy)]
pub struct Grounds<'a> {
    /// Everything of the instance that runs against a limit. Those that are [`stated`](Growth::stated) begin where a
    /// prediction stands.
    pub growths: &'a [Growth],
    /// What a prediction states of failure by any mode: horizon in seconds and probability, ascending in both; empty
    /// without one. What it holds beyond the growths no intervention changes.
    pub stated: &'a [(f64, f64)],
    /// The highest load seen over the mean load, 1 where none is known.
    pub highest_load: f64,
    /// Whether a series of work was found that may drive growth.
    pub knows_work: bool,
    /// Its processors, where they are known: work that they have no time for is not done.
    pub processors: Option<Processors>,
    /// Room on the host asked for: used and limit by mode; empty without one.
    pub host: &'a BTreeMap<FailureMode, (f64, f64)>,
    /// Horizon asked for, in seconds.
    pub horizon_s: f64,
}

/// When each future fails, and the shape it was drawn from, without and with a scenario.
struct Replay {
    before: Vec<f64>,
    after: Vec<f64>,
    family: Vec<u8>,
}

/// Seconds from now until each of the futures fails under a scenario, ascending, infinite where it does not.
#[must_use]
pub fn futures(grounds: &Grounds<'_>, scenario: &Scenario, config: &Config) -> Vec<f64> {
    let mut times = replay(grounds, scenario, config).after;
    times.sort_by(f64::total_cmp);
    times
}

/// Replays a scenario.
#[must_use]
pub fn what_if(grounds: &Grounds<'_>, scenario: &Scenario, config: &Config) -> Effect {
    let replay = replay(grounds, scenario, config);
    let side = |times: &[f64]| expected(times, grounds.horizon_s, config);
    let (before, after) = (side(&replay.before), side(&replay.after));
    let delay_s = delay(&replay);
    Effect {
        title: scenario.title(),
        scenario: scenario.clone(),
        probability_change: probability_change(&replay, grounds.horizon_s),
        verdict: verdict(&before, &after, delay_s, grounds.horizon_s),
        on_host: on_host(grounds, scenario),
        assumptions: assumptions(grounds, scenario),
        beyond_experience: beyond(grounds, scenario, &after),
        before,
        after,
        delay_s,
    }
}

fn replay(grounds: &Grounds<'_>, scenario: &Scenario, config: &Config) -> Replay {
    let mut replay = Replay {
        before: Vec::with_capacity(FUTURES),
        after: Vec::with_capacity(FUTURES),
        family: Vec::new(),
    };
    let coupled: Vec<Coupled<'_>> =
        grounds.growths.iter().map(|growth| Coupled::new(growth, config)).collect();
    let unnamed = unnamed(grounds);
    for index in 0..FUTURES {
        // What no growth explains stays what it is.
        let rest = unnamed.get(paired(index, coupled.len())).copied().unwrap_or(f64::INFINITY);
        let (mut first, mut then, mut family) = (rest, rest, 0);
        for (which, growth) in coupled.iter().enumerate() {
            let future = Some(paired(index, which)).filter(|_| !growth.is_empty());
            let now = future.map_or_else(|| resting_s(growth.growth()), |future| growth.before_s(future));
            if now < first {
                family = future.map_or(0, |future| growth.family(future));
            }
            let changed = fails_s(growth, future, grounds, scenario);
            (first, then) = (first.min(now), then.min(changed));
        }
        replay.before.push(first);
        replay.after.push(then);
        replay.family.push(family);
    }
    replay
}

/// Futures of a resource lie in the order of their failing; strides mix those of different resources.
fn paired(index: usize, which: usize) -> usize {
    index * STRIDES[which % STRIDES.len()] % FUTURES
}

/// When futures fail of which a prediction says so, and no growth, ascending.
fn unnamed(grounds: &Grounds<'_>) -> Vec<f64> {
    let named = |horizon_s: f64| {
        let growths = grounds.growths.iter().filter_map(|growth| growth.stated.as_ref());
        growths.map(|curve| 1.0 - curve.at(horizon_s)).product::<f64>()
    };
    let beyond = |&(horizon_s, p): &(f64, f64)| {
        let spared = named(horizon_s);
        // Where both are sure, or the same but for rounding, nothing is left to say.
        let left = p - (1.0 - spared);
        (horizon_s, if left > UNSAID { left / spared } else { 0.0 })
    };
    let curve = Curve::through(&grounds.stated.iter().map(beyond).collect::<Vec<_>>());
    let mut moments = vec![0.0; curve.failing(FUTURES)];
    hold(&curve, &mut moments, FUTURES);
    moments.resize(FUTURES, f64::INFINITY);
    moments
}

/// When a resource fails that does not grow.
fn resting_s(growth: &Growth) -> f64 {
    if growth.headroom() <= 0.0 { 0.0 } else { f64::INFINITY }
}

/// When a resource fails in one future under a scenario.
fn fails_s(coupled: &Coupled<'_>, future: Option<usize>, grounds: &Grounds<'_>, scenario: &Scenario) -> f64 {
    let growth = coupled.growth();
    let used = if scenario.restart { growth.base.min(growth.used) } else { growth.used };
    let own = limit(growth, scenario) - used;
    let room = match grounds.host.get(&growth.mode) {
        Some((taken, limit)) if scenario.host.is_some() => own.min(limit - taken - used),
        _ => own,
    };
    if room <= 0.0 {
        return 0.0;
    }
    let Some(future) = future.filter(|_| !scenario.fix) else { return f64::INFINITY };
    let turn = Turn { load: served(grounds, scenario), anew: scenario.restart };
    let eases = room >= growth.headroom() && limit(growth, scenario) >= growth.limit && turn.load <= 1.0;
    coupled.fails_s(future, room, (turn, eases))
}

/// Load that is asked for under a scenario, as a multiple of the present one.
fn offered(scenario: &Scenario) -> f64 {
    let shared = scenario.replicas.map_or(1.0, |(before, after)| f64::from(before) / f64::from(after));
    shared * scenario.load.unwrap_or(1.0)
}

/// Work that is done under a scenario, as a multiple of what is done now: what is asked for, as far as the processors
/// have time for it. Where they have none left now, what waits takes all that is added.
fn served(grounds: &Grounds<'_>, scenario: &Scenario) -> f64 {
    let offered = offered(scenario);
    let Some(Processors { used, limit }) = grounds.processors.filter(|cores| cores.used > 0.0) else {
        return offered;
    };
    match scenario.cpu.map(|change| change.of(limit) / used) {
        Some(most) if used > USED_UP * limit => most,
        Some(most) => offered.min(most),
        // What is done now can be done.
        None => offered.min((limit / used).max(1.0)),
    }
}

/// The limit of a resource under a scenario.
fn limit(growth: &Growth, scenario: &Scenario) -> f64 {
    let change = match growth.mode {
        FailureMode::MemoryExhaustion | FailureMode::SwapExhaustion => scenario.memory,
        FailureMode::DiskFull | FailureMode::InodeExhaustion => scenario.disk,
        FailureMode::DescriptorExhaustion | FailureMode::PidExhaustion => scenario.descriptors,
        FailureMode::CpuSaturation => scenario.cpu,
        _ => None,
    };
    change.unwrap_or(Change::Times(1.0)).of(growth.limit)
}

fn share(times: &[f64], within_s: f64) -> f64 {
    times.iter().filter(|&&t| t <= within_s).count() as f64 / times.len().max(1) as f64
}

/// Nearest-rank quantile of any values.
fn quantile(values: &[f64], p: f64) -> Option<f64> {
    let mut ascending = values.to_vec();
    ascending.sort_by(f64::total_cmp);
    ascending.get((p * (ascending.len().max(1) - 1) as f64).round() as usize).copied()
}

fn expected(times: &[f64], horizon_s: f64, config: &Config) -> Expected {
    let at = |p: f64| quantile(times, p).filter(|t| t.is_finite());
    Expected {
        probability: share(times, horizon_s),
        within: config.horizons_s.iter().map(|&h| (h, share(times, h))).collect(),
        time_to_failure: Quantiles { p10: at(0.1), p50: at(0.5), p90: at(0.9) },
        never: 1.0 - share(times, f64::MAX),
    }
}

/// The paired change at the horizon; its interval spans what the shapes that may be true say each by itself, widened by
/// the number of futures.
fn probability_change(replay: &Replay, horizon_s: f64) -> Estimate {
    let change = |family: Option<u8>| {
        let (mut sum, mut count) = (0.0, 0.0f64);
        for index in 0..replay.before.len() {
            if family.is_none_or(|family| replay.family[index] == family) {
                let came = |t: f64| f64::from(u8::from(t <= horizon_s));
                sum += came(replay.after[index]) - came(replay.before[index]);
                count += 1.0;
            }
        }
        (sum / count.max(1.0), count / replay.before.len().max(1) as f64)
    };
    let (value, _) = change(None);
    let spread = 1.28 * (value.abs() * (1.0 - value.abs()) / FUTURES as f64).sqrt();
    let (mut low, mut high) = (value - spread, value + spread);
    for family in 0..=Draw::FAMILIES {
        let (alone, weight) = change(Some(family));
        if weight > LEAST_SHARE {
            (low, high) = (low.min(alone), high.max(alone));
        }
    }
    Estimate { value, low: low.max(-1.0), high: Some(high.min(1.0)) }
}

/// How much later each future fails that fails at all.
fn delay(replay: &Replay) -> Option<Estimate> {
    let pairs = replay.before.iter().zip(&replay.after).filter(|(before, _)| before.is_finite());
    let delays: Vec<f64> = pairs.map(|(before, after)| after - before).collect();
    let value = quantile(&delays, 0.5)?;
    let bound = |p: f64| quantile(&delays, p).filter(|delay| delay.is_finite());
    value.is_finite().then_some(Estimate { value, low: bound(0.1).unwrap_or(value), high: bound(0.9) })
}

fn verdict(before: &Expected, after: &Expected, delay_s: Option<Estimate>, horizon_s: f64) -> Benefit {
    let ever = |side: &Expected| 1.0 - side.never;
    if ever(before).max(ever(after)) < NO_RISK {
        return Benefit::NoRisk;
    }
    let spared = (ever(before) - ever(after)) / ever(before).max(1e-9);
    if spared > CURE && ever(after) < UNLIKELY {
        return Benefit::Cures;
    }
    if ever(after) > ever(before) + MATTERS || after.probability > before.probability + MATTERS {
        return Benefit::Hastens;
    }
    let scale = before.time_to_failure.p50.unwrap_or(horizon_s).max(1.0);
    match delay_s {
        Some(delay) if delay.value < -MATTERS * scale => Benefit::Hastens,
        Some(delay) if delay.value > MATTERS * scale => Benefit::DelaysDoesNotCure,
        _ if after.probability < before.probability - MATTERS => Benefit::DelaysDoesNotCure,
        _ => Benefit::NoEffect,
    }
}

fn on_host(grounds: &Grounds<'_>, scenario: &Scenario) -> Vec<(String, f64, f64)> {
    let moved = grounds.growths.iter().filter(|_| scenario.host.is_some());
    let each = moved.filter_map(|growth| {
        let (taken, limit) = grounds.host.get(&growth.mode)?;
        Some((growth.metric.clone(), taken + growth.used, *limit))
    });
    each.collect()
}

/// The growth that matters most: the one that most futures fail by, or else the longest.
fn main_growth<'a>(grounds: &Grounds<'a>) -> Option<&'a Growth> {
    let growing = grounds.growths.iter().filter(|growth| growth.lasted_s > 0.0);
    growing.max_by(|a, b| {
        let within = |growth: &Growth| growth.within(grounds.horizon_s);
        within(a).total_cmp(&within(b)).then(a.lasted_s.total_cmp(&b.lasted_s))
    })
}

fn assumptions(grounds: &Grounds<'_>, scenario: &Scenario) -> Vec<String> {
    let Some(growth) = main_growth(grounds) else {
        return vec!["nothing grows towards a limit: levels are taken to stay as they are".into()];
    };
    let shares = &growth.shares;
    let named = [
        ("evenly", shares.even),
        ("with the work", shares.worked),
        ("faster and faster", shares.faster),
        ("more and more slowly", shares.slower),
        ("in jumps", shares.jumps),
        ("no more", shares.ended),
    ];
    let said: Vec<String> = named
        .iter()
        .filter(|(_, share)| *share >= 0.05)
        .map(|(name, share)| format!("{name} ({})", words::percent(*share)))
        .collect();
    let mut all = vec![format!("{} goes on growing {}", growth.metric, said.join(", "))];
    all.extend(granted(grounds, scenario, growth));
    all
}

/// What each intervention is taken to do, and not to do.
fn granted(grounds: &Grounds<'_>, scenario: &Scenario, growth: &Growth) -> Vec<String> {
    let mut all = Vec::new();
    if scenario.load.is_some() || scenario.replicas.is_some() {
        all.push(if grounds.knows_work {
            format!(
                "{} of what is foreseen follows the load, the rest does not",
                words::percent(growth.shares.worked)
            )
        } else {
            "no series of work explains the growth: it is taken not to follow the load".into()
        });
    }
    if scenario.restart {
        let base = words::amount(growth.mode, growth.base);
        all.push(format!("after a restart it begins at {base}, and grows as it did from there"));
    }
    if scenario.fix {
        all.push("the fix ends the growth, and gives nothing back".into());
    }
    if scenario.memory.is_some_and(|change| change.of(1.0) > 1.0) {
        all.push("the workload does not use more memory because there is more".into());
    }
    all.extend(granted_of_processors(grounds, scenario));
    if scenario.host.is_some() {
        all.push("the host works as fast as the present one".into());
    }
    all
}

/// What more or fewer processors are taken to do.
fn granted_of_processors(grounds: &Grounds<'_>, scenario: &Scenario) -> Option<String> {
    let Some(Processors { used, limit }) = grounds.processors.filter(|cores| cores.used > 0.0) else {
        let unknown =
            "how much processor time it uses is not known: the change of CPU has no modelled effect";
        return scenario.cpu.map(|_| unknown.into());
    };
    let served = served(grounds, scenario);
    if used > USED_UP * limit && scenario.cpu.is_some() {
        return Some(format!(
            "all of its processor time is used: what waits takes all that is added, {served:.2} times the work is done"
        ));
    }
    let room = format!("it uses {} of its processor time", words::percent(used / limit));
    if served < offered(scenario) {
        return Some(format!(
            "{room}: there is time for {served:.2} times the present work, and no more is done"
        ));
    }
    scenario.cpu.map(|_| format!("{room}: what it does fits into what it then has, and nothing else changes"))
}

fn beyond(grounds: &Grounds<'_>, scenario: &Scenario, after: &Expected) -> Vec<String> {
    let mut all = Vec::new();
    let load = offered(scenario);
    if load > grounds.highest_load.max(1.0) * 1.05 {
        let seen = grounds.highest_load;
        all.push(format!(
            "a load of {load:.2} times the mean was never seen, the highest was {seen:.2} times"
        ));
    }
    for growth in grounds.growths {
        let (limit, highest) = (limit(growth, scenario), growth.used.max(growth.earlier.1));
        if limit > growth.limit && limit > HIGH * highest {
            let most = words::amount(growth.mode, highest);
            all.push(format!("{} was never above {most}", growth.metric));
        }
    }
    if let Some((growth, p50)) = main_growth(grounds).zip(after.time_to_failure.p50)
        && p50 > FAR * growth.lasted_s
    {
        let lasted = words::duration(growth.lasted_s);
        all.push(format!("{} ahead is far for a growth seen for {lasted}", words::duration(p50)));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Evidence, Series};
    use foretwin_core::{InstanceId, Rng, Timestamp};

    /// A memory that grows by `rate(t)` per second for `seconds`, against 256.
    fn growth(seconds: u32, rate: impl Fn(f64) -> f64, work: impl Fn(f64) -> f64) -> Growth {
        let (mut rng, mut level) = (Rng::new(5), 10.0);
        let (mut times, mut used, mut done) = (Vec::new(), Vec::new(), Vec::new());
        for second in 0..seconds {
            let t = f64::from(second);
            level += rate(t) * (1.0 + 0.1 * rng.normal());
            times.push(Timestamp::from_seconds(t));
            used.push(level);
            done.push(work(t));
        }
        let mode = FailureMode::MemoryExhaustion;
        let series = Series { metric: "memory", mode, times: &times, used: &used, limit: 256.0 };
        let now = times[times.len() - 1];
        Growth::read(&Evidence { series, work: &done }, now, 1e6, 1).unwrap()
    }

    fn effect(growth: &Growth, scenario: &Scenario) -> Effect {
        effect_with(None, growth, scenario)
    }

    fn effect_with(processors: Option<Processors>, growth: &Growth, scenario: &Scenario) -> Effect {
        let host = BTreeMap::from([(FailureMode::MemoryExhaustion, (800.0, 1000.0))]);
        let grounds = Grounds {
            growths: std::slice::from_ref(growth),
            stated: &[],
            highest_load: 1.4,
            knows_work: true,
            processors,
            host: &host,
            horizon_s: 3600.0,
        };
        // Most that grows leaks: what is asked here is what comes of it, not whether it lasts.
        let config = Config { lasting_share: 0.95, transient_s: 1.0, ..Config::default() };
        what_if(&grounds, scenario, &config)
    }

    fn memory(factor: f64) -> Scenario {
        Scenario { memory: Some(Change::Times(factor)), ..Scenario::default() }
    }

    #[test]
    fn more_memory_delays_by_its_room_over_the_rate_and_does_not_cure() {
        let effect = effect(&growth(150, |_| 1.0, |_| 0.0), &memory(1.5));
        let delay = effect.delay_s.unwrap();
        assert!((delay.value / 128.0 - 1.0).abs() < 0.1, "{delay:?}");
        assert!(delay.low <= delay.value && delay.high.is_none_or(|high| delay.value <= high));
        assert_eq!(effect.verdict, Benefit::DelaysDoesNotCure);
        let less = self::effect(&growth(150, |_| 1.0, |_| 0.0), &memory(0.7));
        assert_eq!(less.verdict, Benefit::Hastens);
        assert!(less.delay_s.unwrap().value < 0.0);
    }

    #[test]
    fn what_still_comes_in_four_of_ten_futures_is_not_cured() {
        let expected = |probability: f64| Expected {
            probability,
            within: Vec::new(),
            time_to_failure: Quantiles::default(),
            never: 1.0 - probability,
        };
        let verdict = |before: f64, after: f64| verdict(&expected(before), &expected(after), None, 3600.0);
        assert_eq!(verdict(0.93, 0.42), Benefit::DelaysDoesNotCure);
        assert_eq!(verdict(0.93, 0.05), Benefit::Cures);
        assert_eq!(verdict(0.3, 0.1), Benefit::Cures);
        assert_eq!(verdict(0.19, 0.15), Benefit::NoEffect, "hardly less");
        assert_eq!(verdict(0.005, 0.001), Benefit::NoRisk);
    }

    #[test]
    fn a_leak_that_accelerates_gains_less() {
        // x = t²/100: 256 at 160 s, 384 at 196 s.
        let effect = effect(&growth(140, |t| 0.02 * t, |_| 0.0), &memory(1.5));
        let delay = effect.delay_s.unwrap().value;
        assert!((delay - 36.0).abs() < 8.0, "{delay}");
    }

    #[test]
    fn load_matters_only_to_growth_that_follows_it() {
        let load = |t: f64| 20.0 + 8.0 * (t / 9.0).sin();
        let half = Scenario { load: Some(0.5), ..Scenario::default() };
        let coupled = effect(&growth(150, |t| 0.05 * load(t), load), &half);
        let before = coupled.before.time_to_failure.p50.unwrap();
        assert!(coupled.delay_s.unwrap().value > 0.6 * before, "{coupled:?}");
        let clock = effect(&growth(150, |_| 1.0, load), &half);
        assert_eq!(clock.verdict, Benefit::NoEffect);
        let double = Scenario { replicas: Some((4, 2)), ..Scenario::default() };
        let doubled = effect(&growth(150, |t| 0.05 * load(t), load), &double);
        assert_eq!(doubled.verdict, Benefit::Hastens);
        assert!(doubled.beyond_experience[0].contains("never seen"), "{doubled:?}");
    }

    #[test]
    fn work_without_processor_time_is_not_done_and_leaks_nothing() {
        let load = |t: f64| 20.0 + 8.0 * (t / 9.0).sin();
        let growth = growth(150, |t| 0.05 * load(t), load);
        let cores = |used: f64| Some(Processors { used, limit: 1.0 });
        let change = |change, load| Scenario { cpu: Some(change), load, ..Scenario::default() };
        let delay = |processors, scenario: &Scenario| {
            effect_with(processors, &growth, scenario).delay_s.unwrap().value
        };
        let half_the_work = delay(None, &Scenario { load: Some(0.5), ..Scenario::default() });
        let half_of_what_it_needs = change(Change::To(0.2), None);
        assert_eq!(delay(cores(0.4), &half_of_what_it_needs), half_the_work);
        assert_eq!(delay(cores(0.4), &change(Change::To(0.6), None)), 0.0, "it has all that it needs");
        // Twice the load does not fit, so there is no more than 1 / 0.8 of the work.
        let double = Scenario { load: Some(2.0), ..Scenario::default() };
        let fits = Scenario { load: Some(1.25), ..Scenario::default() };
        assert_eq!(delay(cores(0.8), &double), delay(None, &fits));
        // Used up: what waits takes what is added.
        assert_eq!(delay(cores(1.0), &change(Change::Times(1.25), None)), delay(None, &fits));
        let told = effect_with(cores(0.4), &growth, &half_of_what_it_needs).assumptions;
        assert!(told.iter().any(|text| text.contains("0.50 times the present work")), "{told:?}");
    }

    #[test]
    fn a_fix_cures_a_restart_delays_and_a_full_host_hastens() {
        let growth = growth(150, |_| 1.0, |_| 0.0);
        let fix = effect(&growth, &Scenario { fix: true, ..Scenario::default() });
        assert_eq!((fix.verdict, fix.after.never), (Benefit::Cures, 1.0));
        let restart = effect(&growth, &Scenario { restart: true, ..Scenario::default() });
        assert_eq!(restart.verdict, Benefit::DelaysDoesNotCure);
        assert!((restart.delay_s.unwrap().value - 150.0).abs() < 15.0);
        let host = Scenario { host: Some(InstanceId::new("small")), ..Scenario::default() };
        let moved = effect(&growth, &host);
        assert_eq!(moved.verdict, Benefit::Hastens);
        assert!((moved.on_host[0].1 - 960.0).abs() < 5.0);
    }

    #[test]
    fn nothing_changed_changes_nothing() {
        let effect = effect(&growth(150, |_| 1.0, |_| 0.0), &Scenario::default());
        assert_eq!(effect.before, effect.after);
        assert_eq!((effect.verdict, effect.delay_s.unwrap().value), (Benefit::NoEffect, 0.0));
    }
}
