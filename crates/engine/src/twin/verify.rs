//! Verifies what a what-if says: its scenario is rehearsed in a twin, under limits and load changed as it says, and what
//! breaks is held against what was foreseen.

use std::sync::Arc;

use foretwin_core::profile::Generator;
use foretwin_core::{
    Change, Demand, Dimension, Effect, FailureMode, Fidelity, InstanceId, Profile, Quantiles, SECOND_US,
    Scenario, Timestamp,
};
use foretwin_foresee::Growth;
use foretwin_twin::rehearsal::{Leak, Question};

use super::view::RehearsalView;
use crate::Error;
use crate::handle::Handle;

/// Seconds that a verification takes, about; and by how much of real time it is faster at most.
const TAKES_S: f64 = 30.0;
const FASTEST: f64 = 1000.0;
/// Beyond the time by which nine in ten futures fail, so that one that does not fail is seen not to.
const BEYOND: f64 = 1.25;
/// Longest time that is rehearsed, in seconds of real time.
const FARTHEST_S: f64 = 7.0 * 86_400.0;
/// Least time, so that a start is not taken for the whole.
const NEAREST_S: f64 = 30.0;
/// Rows of a profile that is made up where none was captured yet, and draws that say what one keeps in use.
const ROWS: i64 = 900;
const DRAWS: u64 = 33;
/// Times that differ by less than this share of the foreseen one, or by the rehearsal's own resolution, agree.
const AGREES: f64 = 0.25;

/// What a scenario was foreseen to come to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Foreseen {
    /// Seconds to failure.
    pub(crate) time: Quantiles,
}

impl Handle {
    /// Asks to rehearse a scenario of a what-if in a twin, and returns the number to ask for it by; how far ahead and how
    /// fast follow from what is foreseen within `horizon_s`.
    ///
    /// # Errors
    /// If nobody knows the instance, no twins are kept here, no real substrate can be had, others run already, or the
    /// scenario cannot be rehearsed: the reason says what of it.
    pub fn verify(
        &self,
        id: &InstanceId,
        scenario: &Scenario,
        (horizon_s, level): (f64, Fidelity),
    ) -> Result<RehearsalView, Error> {
        self.own(id)?;
        self.can_run(level)?;
        let answer = self.what_if(id, horizon_s, std::slice::from_ref(scenario))?;
        let effect = answer.effects.into_iter().next().ok_or_else(|| refused("nothing was asked"))?;
        let ahead_s = ahead_s(&effect, horizon_s);
        let speed = (ahead_s / TAKES_S).clamp(1.0, FASTEST);
        let captured = self.profile(id)?;
        let question = self.question(id, (ahead_s, speed), level, captured.unwrap_or_default())?;
        let growths = self.pipeline.with(id, |watched| {
            let (at, config) = (watched.last(), &self.pipeline.config.foresee);
            let feeds = watched.current().flat_map(|feed| feed.growths((at, id), config, &|_| f64::NAN));
            feeds.collect::<Vec<_>>()
        })?;
        let changed = changed(question, scenario, &growths).map_err(|why| refused(&why))?;
        let foreseen = Foreseen { time: effect.after.time_to_failure };
        self.begin(changed, (Some(effect.title), Some(foreseen)))
    }

    /// Whether something real can run here.
    fn can_run(&self, level: Fidelity) -> Result<(), Error> {
        let shared = self.wishes.shared();
        let known = shared.levels.iter().find(|one| one.level == level);
        match known {
            Some(one) if one.available => Ok(()),
            Some(one) => {
                let why = one.reason.clone().unwrap_or_else(|| "it cannot be had".into());
                Err(Error::Conflict(format!("not verified: no {level} twin can run here: {why}")))
            }
            None => Err(Error::Conflict("not verified: what twins can run in here is not known yet".into())),
        }
    }
}

fn refused(why: &str) -> Error {
    Error::Refused(format!("not verified: {why}"))
}

/// How far ahead a scenario is to be rehearsed.
fn ahead_s(effect: &Effect, horizon_s: f64) -> f64 {
    let Quantiles { p50, p90, .. } = effect.after.time_to_failure;
    let far = p90.or(p50.map(|p50| 1.5 * p50)).unwrap_or(horizon_s);
    (BEYOND * far).clamp(NEAREST_S, FARTHEST_S)
}

/// The question as the scenario changes it, or what of the scenario cannot be rehearsed.
fn changed(mut question: Question, scenario: &Scenario, growths: &[Growth]) -> Result<Question, String> {
    if let Some(host) = &scenario.host {
        return Err(format!("{host} is another machine, and is not here"));
    }
    if scenario.disk.is_some() {
        return Err("disks are shared with production, and are not filled".into());
    }
    let of = |mode: FailureMode| growths.iter().find(|growth| growth.mode == mode);
    let shared = scenario.replicas.map_or(1.0, |(before, after)| f64::from(before) / f64::from(after));
    question.load = shared * scenario.load.unwrap_or(1.0);
    let before = question.leaks.iter().find(|leak| leak.mode == FailureMode::MemoryExhaustion).cloned();
    for leak in &mut question.leaks {
        let growth = of(leak.mode);
        leak.limit = limit(leak, scenario);
        if let Some(growth) = growth.filter(|_| scenario.restart) {
            leak.used = growth.base.min(leak.used).max(0.0);
        }
        // Only growth that follows the work follows the load.
        let worked = growth.map_or(0.0, |growth| growth.shares.worked);
        leak.rate_per_s *= if scenario.fix { 0.0 } else { 1.0 + worked * (question.load - 1.0) };
        if leak.used >= leak.limit {
            return Err(format!("{}: the limit is passed at once, there is nothing to rehearse", leak.mode));
        }
    }
    if question.leaks.is_empty() {
        return Err("nothing grows that a twin can let grow: memory, descriptors or threads".into());
    }
    question.cores = question.cores.map(|cores| scenario.cpu.map_or(cores, |change| change.of(cores)));
    let memory = question.leaks.iter().find(|leak| leak.mode == FailureMode::MemoryExhaustion);
    if let (Some(before), Some(memory)) = (before, memory) {
        let used = memory.used;
        hold(&mut question, before.used, used);
    }
    Ok(question)
}

/// The limit of what grows under a scenario.
fn limit(leak: &Leak, scenario: &Scenario) -> f64 {
    let change = match leak.mode {
        FailureMode::MemoryExhaustion => scenario.memory,
        FailureMode::DescriptorExhaustion | FailureMode::PidExhaustion => scenario.descriptors,
        _ => None,
    };
    change.unwrap_or(Change::Times(1.0)).of(leak.limit)
}

/// Has the twin begin with as much memory in use as the original has, or had at its start: a profile says what is in use
/// over a day and a week, and where it was not captured yet says nothing.
fn hold(question: &mut Question, now: f64, begin: f64) {
    let start = question.start;
    let mut kept: Vec<f64> = (0..DRAWS)
        .map(|seed| Generator::new(question.profile.clone(), seed).next(start).get(Dimension::WorkingSet))
        .collect();
    kept.sort_by(f64::total_cmp);
    let usual = kept[kept.len() / 2];
    if usual > 0.0 {
        question.kept = begin / usual;
    } else if let Some(profile) = made_up(now, start) {
        (question.profile, question.kept) = (Arc::new(profile), begin / now);
    }
}

/// A profile that keeps so many bytes in use and asks nothing else.
fn made_up(bytes: f64, start: Timestamp) -> Option<Profile> {
    let demand = Demand::NONE.with(Dimension::WorkingSet, bytes);
    let rows: Vec<_> = (0..ROWS).map(|n| (start - n * SECOND_US, demand)).rev().collect();
    Profile::fit(&rows, 0)
}

/// What a rehearsal says of what was foreseen, in a sentence; `after_s` is when it broke, if it did.
pub(super) fn told(
    foreseen: &Foreseen,
    broke: Option<(FailureMode, f64)>,
    (fidelity, rehearsed_s, resolution_s): (Fidelity, f64, f64),
) -> String {
    if fidelity == Fidelity::Model {
        return "not verified: nothing real ran, it was only simulated".into();
    }
    let twin = format!("verified in a {fidelity} twin");
    let Quantiles { p10, p50, p90 } = foreseen.time;
    let said = foreseen_words(foreseen.time);
    match (broke, p50) {
        (Some((mode, after_s)), Some(p50)) => {
            let mode = mode.as_str().replace('_', " ");
            let agrees = agrees((p10, p50, p90), (after_s, resolution_s));
            format!(
                "{twin}: {mode} after {} (to within {}), foreseen {said}: {agrees}",
                span(after_s),
                span(resolution_s)
            )
        }
        (Some((mode, after_s)), None) => {
            let mode = mode.as_str().replace('_', " ");
            format!(
                "{twin}: {mode} after {}, foreseen {said}: where the growth goes on it ends so",
                span(after_s)
            )
        }
        (None, Some(p50)) if p50 < rehearsed_s => {
            format!("{twin}: nothing broke within {}, foreseen {said}: it does not agree", span(rehearsed_s))
        }
        (None, _) => {
            format!("{twin}: nothing broke within {}, foreseen {said}: it agrees", span(rehearsed_s))
        }
    }
}

/// Whether it came when it was foreseen.
fn agrees(
    (p10, p50, p90): (Option<f64>, f64, Option<f64>),
    (after_s, resolution_s): (f64, f64),
) -> &'static str {
    let near = (AGREES * p50).max(2.0 * resolution_s);
    match after_s - p50 {
        late if late > near && p90.is_some_and(|p90| after_s > p90) => "it came later",
        late if -late > near && p10.is_some_and(|p10| after_s < p10) => "it came sooner",
        _ => "it agrees",
    }
}

/// What was foreseen, as people say it.
fn foreseen_words(Quantiles { p10, p50, p90 }: Quantiles) -> String {
    match (p10, p50, p90) {
        (Some(p10), Some(p50), Some(p90)) => format!("{} ({} to {})", span(p50), span(p10), span(p90)),
        (Some(p10), Some(p50), None) => format!("{} ({} or later)", span(p50), span(p10)),
        (_, Some(p50), _) => span(p50),
        (_, None, _) => "not at all, more likely than not".into(),
    }
}

/// Seconds as people say them.
fn span(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.1} h", s / 3600.0),
        s => format!("{:.1} d", s / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question() -> Question {
        let leak = Leak { mode: FailureMode::MemoryExhaustion, used: 2e8, rate_per_s: 1e6, limit: 4e8 };
        Question {
            instance: InstanceId::new("h/app"),
            parent: String::new(),
            level: Fidelity::Process,
            start: Timestamp::from_seconds(1e9),
            ahead_s: 600.0,
            speed: 20.0,
            profile: Arc::default(),
            load: 1.0,
            kept: 1.0,
            leaks: vec![leak],
            cores: Some(2.0),
            latency_limit_s: None,
            memory_bytes: 2.56e8,
            cap_core: 0.5,
            directory: None,
            seed: 0,
        }
    }

    #[test]
    fn scenarios_change_limits_load_and_what_is_in_use() {
        let ask = |scenario: Scenario| changed(question(), &scenario, &[]);
        let more = ask(Scenario { memory: Some(Change::Times(1.5)), ..Scenario::default() }).unwrap();
        assert_eq!((more.leaks[0].limit, more.leaks[0].rate_per_s), (6e8, 1e6));
        // Without a profile it keeps in use what the original does.
        let kept = Generator::new(more.profile.clone(), 1).next(more.start).get(Dimension::WorkingSet);
        assert!((kept * more.kept / 2e8 - 1.0).abs() < 0.01, "{kept} {}", more.kept);
        let fixed = ask(Scenario { fix: true, ..Scenario::default() }).unwrap();
        assert_eq!(fixed.leaks[0].rate_per_s, 0.0);
        let half =
            ask(Scenario { replicas: Some((1, 2)), cpu: Some(Change::To(1.0)), ..Scenario::default() });
        let half = half.unwrap();
        assert_eq!((half.load, half.cores, half.leaks[0].rate_per_s), (0.5, Some(1.0), 1e6));
        for (scenario, why) in [
            (Scenario { host: Some(InstanceId::new("other")), ..Scenario::default() }, "another machine"),
            (Scenario { disk: Some(Change::Times(2.0)), ..Scenario::default() }, "not filled"),
            (Scenario { memory: Some(Change::Times(0.5)), ..Scenario::default() }, "at once"),
        ] {
            assert!(ask(scenario).unwrap_err().contains(why), "{why}");
        }
        let calm = Question { leaks: Vec::new(), ..question() };
        assert!(changed(calm, &Scenario::default(), &[]).unwrap_err().contains("nothing grows"));
    }

    #[test]
    fn what_was_seen_is_held_against_what_was_foreseen() {
        let time = Quantiles { p10: Some(250.0), p50: Some(300.0), p90: Some(400.0) };
        let say = |time, broke: Option<f64>, fidelity| {
            let broke = broke.map(|after_s| (FailureMode::MemoryExhaustion, after_s));
            told(&Foreseen { time }, broke, (fidelity, 600.0, 4.0))
        };
        let agrees = say(time, Some(310.0), Fidelity::Process);
        assert_eq!(
            agrees,
            "verified in a process twin: memory exhaustion after 5 min (to within 4 s), foreseen 5 min (4 min to 7 min): \
             it agrees"
        );
        assert!(say(time, Some(550.0), Fidelity::Process).ends_with("it came later"));
        assert!(say(time, Some(50.0), Fidelity::Container).ends_with("it came sooner"));
        assert!(say(time, None, Fidelity::Process).ends_with("it does not agree"));
        assert!(say(Quantiles::default(), None, Fidelity::Process).ends_with("it agrees"));
        assert!(say(Quantiles::default(), Some(9.0), Fidelity::Process).contains("after 9 s"));
        assert!(say(time, Some(310.0), Fidelity::Model).starts_with("not verified"));
    }
}
