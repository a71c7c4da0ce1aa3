//! Whole courses on a virtual clock, and properties that hold for any.

use foretwin_core::{
    Alert, AlertKind, AlertOutcome, AlertState, Cause, Evidence, Failure, FailureMode, Feedback, Instance,
    InstanceId, InstanceKind, Maintenance, Quantiles, Rating, Rng, Severity, Timestamp, Verdict,
    VerdictClass,
};

use super::{Chance, Change, Config, Explanation, Memory, Policy, Signal};

const MODE: FailureMode = FailureMode::MemoryExhaustion;

fn at(second: f64) -> Timestamp {
    Timestamp::from_seconds(1.7e9 + second)
}

fn instance(id: &str) -> Instance {
    let host = id.split('/').next().unwrap();
    let workload = id.rsplit('/').next().unwrap();
    Instance::new(id, InstanceKind::Service, host, workload)
}

fn chance(mode: FailureMode, probability: f64) -> Chance {
    let time_to_failure = Quantiles { p10: Some(300.0), p50: Some(900.0), p90: None };
    Chance { mode, within: vec![(3600.0, probability)], time_to_failure, confidence: 0.7 }
}

/// A policy with its clock, and all that it told.
struct Course {
    policy: Policy,
    now: f64,
    told: Vec<Change>,
}

impl Course {
    fn new(config: Config) -> Self {
        Self { policy: Policy::new(config, Memory::default()), now: 0.0, told: Vec::new() }
    }

    /// A tick of ten seconds in which probabilities are stated.
    fn tick(&mut self, said: &[(&str, f64)]) {
        self.now += 10.0;
        for (id, probability) in said {
            self.say(&instance(id), *probability);
        }
        self.settle();
    }

    fn say(&mut self, instance: &Instance, probability: f64) -> bool {
        let chances = [chance(MODE, probability)];
        let signal = Signal { instance, at: at(self.now), chances: &chances, anomaly: None, verdict: None };
        self.policy.observe(&signal)
    }

    fn settle(&mut self) {
        let changes = self.policy.settle(at(self.now));
        self.told.extend(changes);
    }

    fn ticks(&mut self, count: usize, said: &[(&str, f64)]) {
        (0..count).for_each(|_| self.tick(said));
    }

    fn open(&self) -> Vec<&Alert> {
        self.policy.alerts().filter(|alert| alert.is_open()).collect()
    }

    fn opened(&self) -> usize {
        self.told.iter().filter(|change| matches!(change, Change::Opened(_))).count()
    }
}

fn failure(id: &str, second: f64, mode: FailureMode) -> Failure {
    Failure { instance: InstanceId::new(id), at: at(second), mode, note: String::new() }
}

fn feedback(second: f64, rating: Rating) -> Feedback {
    Feedback { at: at(second), rating, note: String::new() }
}

#[test]
fn a_leak_is_one_alert_from_its_opening_to_its_outcome() {
    let mut course = Course::new(Config::default());
    course.tick(&[("h/a", 0.7)]);
    assert!(course.told.is_empty(), "said once");
    course.ticks(3, &[("h/a", 0.8)]);
    let [alert] = course.open()[..] else { panic!("{:?}", course.open()) };
    assert_eq!((alert.kind, alert.state, alert.count), (AlertKind::Failure(MODE), AlertState::Firing, 1));
    assert_eq!((alert.opened, alert.probability, alert.shown), (at(20.0), 0.8, true));
    assert!(alert.title.starts_with("h/a: memory exhaustion within 1 h: 80 %"), "{}", alert.title);
    // Started again, it is well before its failure is known.
    course.tick(&[("h/a", 0.0)]);
    course.policy.fail(&failure("h/a", 50.0, FailureMode::MemoryExhaustion));
    course.settle();
    let Some(Change::Resolved(alert)) = course.told.last() else { panic!("{:?}", course.told) };
    assert_eq!(alert.title, "h/a: memory exhaustion within 1 h: up to 80 %");
    let lead_s = 30.0;
    assert_eq!(alert.outcome, Some(AlertOutcome::Failed { at_us: at(50.0), mode: MODE, lead_s }));
    // Started again, and all is well: there is nothing new.
    course.ticks(100, &[("h/a", 0.0)]);
    assert_eq!((course.opened(), course.open().len()), (1, 0));
    assert_eq!(course.policy.alerts().count(), 0, "known and forgotten");
}

#[test]
fn a_crash_loop_is_one_alert_and_what_comes_back_later_is_another() {
    let mut course = Course::new(Config::default());
    for _ in 0..20 {
        course.ticks(9, &[("h/a", 0.9)]);
        course.policy.fail(&failure("h/a", course.now, FailureMode::Crash));
        course.ticks(3, &[]);
    }
    let [alert] = course.policy.alerts().collect::<Vec<_>>()[..] else { panic!("{:?}", course.told) };
    let Some(AlertOutcome::Failed { at_us, .. }) = alert.outcome else { panic!("{alert:?}") };
    assert_eq!((course.opened(), at_us, alert.members.len()), (1, at(90.0), 1), "the first failure counts");
    course.ticks(100, &[("h/a", 0.0)]);
    course.ticks(3, &[("h/a", 0.9)]);
    assert_eq!((course.opened(), course.open().len()), (2, 1));
}

#[test]
fn what_is_broken_already_is_held_until_it_was_whole() {
    use FailureMode::LatencyBreach;
    let mut course = Course::new(Config::default());
    let slow = |course: &mut Course, count: usize, probability: f64| {
        for _ in 0..count {
            course.now += 10.0;
            let (instance, chances) = (instance("h/a"), [chance(LatencyBreach, probability)]);
            let at = at(course.now);
            let signal = Signal { instance: &instance, at, chances: &chances, anomaly: None, verdict: None };
            course.policy.observe(&signal);
            course.settle();
        }
    };
    course.policy.fail(&failure("h/a", 5.0, LatencyBreach));
    slow(&mut course, 200, 0.9);
    let [alert] = course.open()[..] else { panic!("{:?}", course.open()) };
    assert_eq!((alert.state, alert.shown), (AlertState::Held, false), "{}", alert.reason);
    assert!(alert.reason.starts_with("held back: h/a failed at "), "{}", alert.reason);
    // A pause that is shorter than the window is none, over a restart too.
    slow(&mut course, 30, 0.0);
    let json = serde_json::to_string(course.policy.memory()).unwrap();
    course.policy = Policy::new(Config::default(), serde_json::from_str(&json).unwrap());
    slow(&mut course, 3, 0.9);
    assert_eq!(course.open()[0].state, AlertState::Held);
    // Whole for longer, it is told before it breaks again.
    slow(&mut course, 120, 0.0);
    slow(&mut course, 3, 0.9);
    assert!(course.open()[0].state == AlertState::Firing && course.open()[0].shown);
    assert_eq!((course.opened(), course.open().len()), (2, 1));
}

#[test]
fn what_runs_out_again_after_a_failure_is_told_at_once() {
    let mut course = Course::new(Config::default());
    course.policy.fail(&failure("h/a", 5.0, MODE));
    // A breach of an hour ago that is told only now does not go on either.
    course.policy.fail(&failure("h/a", -3600.0, FailureMode::LatencyBreach));
    for mode in [MODE, FailureMode::LatencyBreach] {
        for _ in 0..3 {
            course.now += 10.0;
            let (instance, chances) = (instance("h/a"), [chance(mode, 0.9)]);
            let at = at(course.now);
            let signal = Signal { instance: &instance, at, chances: &chances, anomaly: None, verdict: None };
            course.policy.observe(&signal);
            course.settle();
        }
        assert!(course.open().iter().any(|one| one.kind == AlertKind::Failure(mode) && one.shown));
    }
}

#[test]
fn what_does_not_come_is_known_once_the_horizon_is_over() {
    let mut course = Course::new(Config::default());
    course.ticks(3, &[("h/a", 0.8)]);
    course.ticks(3, &[("h/a", 0.0)]);
    let calm = course.open()[0].title.clone();
    assert_eq!(calm, "h/a: memory exhaustion within 1 h: now 0 %, up to 80 % before");
    course.ticks(7, &[("h/a", 0.0)]);
    let Some(Change::Resolved(alert)) = course.told.last() else { panic!("{:?}", course.told) };
    assert_eq!((alert.outcome, alert.probability), (None, 0.8));
    assert_eq!(alert.title, "h/a: memory exhaustion within 1 h: up to 80 %", "not the last, which was 0");
    course.ticks(370, &[("h/a", 0.0)]);
    let Some(Change::Updated(alert)) = course.told.last() else { panic!("{:?}", course.told) };
    assert_eq!(alert.outcome, Some(AlertOutcome::Nothing));
    // Out of sight, it cannot be known.
    course.ticks(3, &[("h/a", 0.8)]);
    course.policy.vanish(&InstanceId::new("h/a"), at(course.now));
    course.ticks(400, &[]);
    assert_eq!(course.told.last().unwrap().alert().outcome, Some(AlertOutcome::Unknown));
    // A failure of the wrong mode is not what was said, and one without a mode is.
    let mut told = course.told[0].alert().clone();
    assert!(!super::join(&mut told, &failure("h/a", 40.0, FailureMode::DiskFull), 60.0));
    assert!(!super::join(&mut told, &failure("h/b", 40.0, FailureMode::Crash), 60.0));
    assert!(super::join(&mut told, &failure("h/a", 40.0, FailureMode::Crash), 60.0));
}

#[test]
fn a_failure_that_comes_near_is_told_again() {
    let mut course = Course::new(Config::default());
    let mut said = Vec::new();
    for tick in 0..60 {
        course.now += 10.0;
        let left_s = 4000.0 * 0.95f64.powi(tick);
        let time_to_failure = Quantiles { p10: None, p50: Some(left_s), p90: None };
        let chances = [Chance { time_to_failure, ..chance(MODE, 0.8) }];
        let signal = Signal {
            instance: &instance("h/a"),
            at: at(course.now),
            chances: &chances,
            anomaly: None,
            verdict: None,
        };
        course.policy.observe(&signal);
        let before = course.told.len();
        course.settle();
        said.extend(course.told[before..].iter().map(|change| (left_s, change.alert().severity)));
    }
    // Twenty times nearer: some words, and not one a minute; each time it becomes worse is one.
    assert!((5..=8).contains(&said.len()), "{said:?}");
    let near = said.windows(2).all(|pair| pair[1].0 < 0.6 * pair[0].0 || pair[1].1 > pair[0].1);
    assert!(near, "{said:?}");
    let first = |severity| said.iter().find(|(_, told)| *told == severity).unwrap().0;
    assert!(first(Severity::Serious) > 3400.0 && first(Severity::Critical) > 850.0, "{said:?}");
}

#[test]
fn a_version_that_leaks_everywhere_is_one_alert_and_a_stranger_another() {
    let mut course = Course::new(Config::default());
    course.ticks(3, &[("h1/app", 0.8), ("h2/app", 0.7), ("h3/other", 0.9)]);
    course.ticks(5, &[("h1/app", 0.8), ("h2/app", 0.7), ("h4/app", 0.9), ("h3/other", 0.9)]);
    let open = course.open();
    assert_eq!(open.iter().map(|alert| alert.count).sum::<usize>(), 4);
    let app = open.iter().find(|alert| alert.count == 3).unwrap();
    assert_eq!(app.common.as_deref(), Some("workload app"));
    assert_eq!(app.probability, 0.9, "of its foremost member");
    // Too late to be of the same origin.
    course.ticks(95, &[("h1/app", 0.8), ("h2/app", 0.7), ("h4/app", 0.9), ("h3/other", 0.9)]);
    course.ticks(3, &[("h5/app", 0.9)]);
    assert_eq!(course.open().len(), 3);
}

/// Two leaks on one machine have nothing in common but the machine.
#[test]
fn independent_leaks_on_one_host_are_an_alert_each() {
    let mut course = Course::new(Config::default());
    course.ticks(2, &[("h/a", 0.8)]);
    course.ticks(3, &[("h/a", 0.8), ("h/b", 0.9), ("h/c", 0.7)]);
    let counts: Vec<usize> = course.open().iter().map(|alert| alert.count).collect();
    assert_eq!(counts, [1, 1, 1]);
    assert!(course.open().iter().all(|alert| alert.common.is_none()));
}

/// A leak that its machine runs out of memory for is one cause, whichever of them is told first.
#[test]
fn what_contains_a_leak_and_runs_out_with_it_is_the_same_alert() {
    for first in ["h", "h/a"] {
        let mut course = Course::new(Config::default());
        course.ticks(3, &[(first, 0.8)]);
        course.ticks(3, &[("h/a", 0.8), ("h", 0.7), ("g/b", 0.9)]);
        let mut open: Vec<(usize, Option<&str>)> =
            course.open().iter().map(|alert| (alert.count, alert.common.as_deref())).collect();
        open.sort_unstable();
        assert_eq!(open, [(1, None), (2, Some("cause in h"))], "{first} first");
    }
}

/// What the machine underneath does to those on it is one alert, whatever each of them fails by.
#[test]
fn a_machine_in_trouble_is_one_cause() {
    let verdict = |infrastructure: f64| Verdict {
        class: VerdictClass::Infrastructure,
        self_inflicted: false,
        consumer: None,
        probability: infrastructure,
        since: None,
        evidence: vec![],
        probabilities: vec![(VerdictClass::Infrastructure, infrastructure)],
    };
    for (blamed, alerts) in [(0.7, 1), (0.2, 2)] {
        let mut course = Course::new(Config::default());
        for _ in 0..4 {
            course.now += 10.0;
            for (id, mode) in [("h/a", FailureMode::DiskFull), ("h/b", FailureMode::DescriptorExhaustion)] {
                let (instance, chances, verdict) = (instance(id), [chance(mode, 0.9)], verdict(blamed));
                course.policy.observe(&Signal {
                    instance: &instance,
                    at: at(course.now),
                    chances: &chances,
                    anomaly: None,
                    verdict: Some(&verdict),
                });
            }
            course.settle();
        }
        let open = course.open();
        assert_eq!(open.len(), alerts, "{open:?}");
        assert_eq!(open[0].common.as_deref(), (alerts == 1).then_some("host h"));
    }
}

/// Processors are the machine's: several that wait for them at once wait for the same.
#[test]
fn those_who_wait_together_are_one_alert() {
    let mut course = Course::new(Config::default());
    for _ in 0..4 {
        course.now += 10.0;
        for id in ["h/a", "h/b", "g/c"] {
            let (instance, chances) = (instance(id), [chance(FailureMode::LatencyBreach, 0.9)]);
            let at = at(course.now);
            course.policy.observe(&Signal {
                instance: &instance,
                at,
                chances: &chances,
                anomaly: None,
                verdict: None,
            });
        }
        course.settle();
    }
    let mut counts: Vec<usize> = course.open().iter().map(|alert| alert.count).collect();
    counts.sort_unstable();
    assert_eq!(counts, [1, 2]);
}

#[test]
fn victims_of_one_neighbour_are_one_alert() {
    let mut course = Course::new(Config::default());
    for _ in 0..4 {
        course.now += 10.0;
        for id in ["h/a", "h/b", "g/c"] {
            let wanted = course.say(&instance(id), 0.9);
            let place = if id == "g/c" { "g/c" } else { "h/hog" };
            let cause = Cause {
                class: "contention".into(),
                place: InstanceId::new(place),
                probability: 0.8,
                evidence: vec![Evidence { metric: "m".into(), statement: "s".into() }],
            };
            if wanted {
                let why = Explanation { causes: vec![cause], actions: vec![] };
                course.policy.explain(&InstanceId::new(id), why);
            }
        }
        course.settle();
    }
    let together = course.open().into_iter().find(|alert| alert.count == 2).unwrap();
    assert_eq!(together.common.as_deref(), Some("cause in h/hog"));
    assert_eq!((together.class.as_str(), course.open().len()), ("contention", 2));
}

#[test]
fn planned_work_silences_and_its_end_does_not() {
    let mut course = Course::new(Config::default());
    let work = |to: f64| Maintenance {
        instance: InstanceId::new("h"),
        from: at(0.0),
        to: at(to),
        note: "update".into(),
    };
    course.policy.plan(vec![work(100.0)]);
    course.ticks(5, &[("h/a", 0.9), ("g/a2", 0.9)]);
    let states: Vec<AlertState> = course.open().iter().map(|alert| alert.state).collect();
    assert!(states.contains(&AlertState::Silenced) && states.contains(&AlertState::Firing), "{states:?}");
    let silenced = course.open().into_iter().find(|alert| alert.state == AlertState::Silenced).unwrap();
    assert!(silenced.reason.contains("planned work on h") && !silenced.shown, "{}", silenced.reason);
    course.ticks(8, &[("h/a", 0.9), ("g/a2", 0.9)]);
    assert!(course.open().iter().all(|alert| alert.state == AlertState::Firing && alert.shown));
}

#[test]
fn the_budget_holds_back_the_least_and_says_so() {
    let config = Config { budget_per_day: 2.0, ..Config::default() };
    let mut course = Course::new(config);
    let said = [("a/1", 0.6), ("b/2", 0.7), ("c/3", 0.9), ("d/4", 0.999)];
    course.ticks(3, &said);
    let state = |course: &Course, id: &str| {
        course.open().iter().find(|alert| alert.concerns(&InstanceId::new(id))).unwrap().state
    };
    // Two are in the budget, and a third would need sixteen times the odds and more.
    assert_eq!((state(&course, "d/4"), state(&course, "c/3")), (AlertState::Firing, AlertState::Firing));
    assert_eq!((state(&course, "b/2"), state(&course, "a/1")), (AlertState::Held, AlertState::Held));
    let held = course.open().into_iter().find(|alert| alert.state == AlertState::Held).unwrap();
    assert!(held.reason.contains("held back by budget: 2 of 2"), "{}", held.reason);
    // It gets certain, and is shown.
    course.ticks(3, &[("a/1", 0.999), ("b/2", 0.7), ("c/3", 0.9), ("d/4", 0.999)]);
    assert_eq!(state(&course, "a/1"), AlertState::Firing);
    // A day later there is room again.
    course.now += 86_400.0;
    course.policy.vanish(&InstanceId::new("nobody"), at(course.now));
    course.ticks(2, &said);
    assert_eq!(state(&course, "b/2"), AlertState::Firing);
}

#[test]
fn a_word_silences_and_raises_the_bar_for_a_while() {
    let config = Config { feedback_half_life_s: 86_400.0, ..Config::default() };
    let mut course = Course::new(config);
    course.ticks(3, &[("h/a", 0.6)]);
    let id = course.open()[0].id.clone();
    assert!(course.policy.hear(&id, &feedback(course.now, Rating::False)));
    course.ticks(2, &[("h/a", 0.6)]);
    let alert = course.told.last().unwrap().alert();
    assert_eq!((alert.state, alert.feedback.len()), (AlertState::Silenced, 1));
    course.ticks(20, &[("h/a", 0.0)]);
    course.now += 4000.0;
    // As likely as before is not enough now, much likelier is; others of its workload are a little less believed.
    course.ticks(3, &[("h/a", 0.6)]);
    assert_eq!(course.opened(), 1);
    course.ticks(3, &[("h/a", 0.97), ("h9/a", 0.7)]);
    assert_eq!(course.opened(), 2);
    course.ticks(20, &[("h/a", 0.0), ("h9/a", 0.0)]);
    course.now += 20.0 * 86_400.0;
    course.ticks(3, &[("h/a", 0.6)]);
    assert_eq!(course.opened(), 3, "forgotten");
}

#[test]
fn anomalies_alone_must_be_asked_for_and_last() {
    for (bar, opened) in [(0.0, 0), (3.0, 1)] {
        let mut course = Course::new(Config { anomaly_score: bar, ..Config::default() });
        let instance = instance("h/a");
        for _ in 0..60 {
            course.now += 10.0;
            let at = at(course.now);
            course.policy.observe(&Signal {
                instance: &instance,
                at,
                chances: &[],
                anomaly: Some(5.0),
                verdict: None,
            });
            course.settle();
            assert!(course.opened() == 0 || course.now >= 310.0);
        }
        assert_eq!(course.opened(), opened);
    }
}

/// One tick of statements about all, and failures of those that stand high.
fn statements(course: &mut Course, names: &[String], (level, rng): (&mut [f64; 12], &mut Rng)) {
    for (n, name) in names.iter().enumerate() {
        level[n] = (level[n] + 0.35 * rng.normal() - 0.03 * level[n]).clamp(-6.0, 6.0);
        if rng.uniform() < 0.9 {
            course.say(&instance(name), 1.0 / (1.0 + (3.0 - level[n]).exp()));
        }
        if level[n] > 5.0 && rng.uniform() < 0.3 {
            course.policy.fail(&failure(name, course.now, MODE));
            level[n] = -3.0;
        }
    }
}

/// A day of random statements about twelve instances, with failures, work and words.
fn random_day(seed: u64, config: &Config, restart_at: Option<usize>) -> (Vec<Change>, Policy) {
    let mut rng = Rng::new(seed);
    let mut course = Course::new(config.clone());
    let mut level = [0.0f64; 12];
    let names: Vec<String> = (0..12).map(|n| format!("h{}/app{}", n % 4, n % 5)).collect();
    for tick in 0..2000 {
        course.now += 43.2;
        statements(&mut course, &names, (&mut level, &mut rng));
        if rng.uniform() < 0.01 {
            let (from, to) = (at(course.now), at(course.now + 3600.0));
            let instance = InstanceId::new(&format!("h{}", rng.below(4)));
            course.policy.plan(vec![Maintenance { instance, from, to, note: String::new() }]);
        }
        let open = course.open().first().map(|alert| alert.id.clone());
        if let Some(id) = open.filter(|_| rng.uniform() < 0.02) {
            let rating = [Rating::False, Rating::Expected, Rating::Useful][rng.below(3) as usize];
            course.policy.hear(&id, &feedback(course.now, rating));
        }
        course.settle();
        if restart_at == Some(tick) {
            let kept = serde_json::to_string(course.policy.memory()).unwrap();
            let work = course.policy.work.clone();
            course.policy = Policy::new(config.clone(), serde_json::from_str(&kept).unwrap());
            course.policy.plan(work);
        }
    }
    (course.told, course.policy)
}

/// What was told, without numbers, of which JSON may lose the last bit.
fn gist(told: &[Change]) -> Vec<String> {
    let say = |change: &Change| {
        let alert = change.alert();
        let outcome = alert.outcome.is_some();
        format!("{} {} {} {} {outcome} {:?}", alert.id, alert.state, alert.count, alert.kind, alert.resolved)
    };
    told.iter().map(say).collect()
}

#[test]
fn equal_days_give_equal_alerts_over_a_restart_too() {
    for seed in 0..6 {
        let (told, policy) = random_day(seed, &Config::default(), None);
        assert!(told.len() > 10, "{}", told.len());
        let (again, same) = random_day(seed, &Config::default(), None);
        assert!(told == again && policy.memory() == same.memory(), "{seed}");
        let (restarted, _) = random_day(seed, &Config::default(), Some(1000));
        let (one, other) = (gist(&told), gist(&restarted));
        let first = one.iter().zip(&other).find(|(one, other)| one != other);
        assert!(first.is_none() && one.len() == other.len(), "{seed}: {first:?}");
    }
}

/// Whatever stands is a member of one open alert.
fn assert_members(policy: &Policy) {
    for (id, suspect) in &policy.memory.suspects {
        for (kind, watch) in suspect.watches.iter().filter(|(_, watch)| watch.stands) {
            let of = policy.alerts().filter(|alert| alert.is_open());
            let has = |alert: &&Alert| {
                alert.members.iter().any(|one| {
                    one.instance == *id && one.kind == *kind && one.ended.is_none() && watch.stands
                })
            };
            assert_eq!(of.filter(has).count(), 1, "{id} {kind}");
        }
    }
}

#[test]
fn every_alert_opens_once_ends_once_and_nothing_is_withheld_silently() {
    for seed in 10..20 {
        let config = Config { budget_per_day: 4.0, ..Config::default() };
        let (told, policy) = random_day(seed, &config, None);
        let mut open = std::collections::BTreeMap::new();
        let mut held = 0;
        for change in &told {
            let alert = change.alert();
            match change {
                Change::Opened(_) => assert!(open.insert(alert.id.clone(), true).is_none()),
                Change::Updated(_) => {
                    *open.get_mut(&alert.id).unwrap() = alert.is_open();
                }
                Change::Resolved(_) => assert!(open.insert(alert.id.clone(), false).unwrap()),
            }
            let explained = alert.state == AlertState::Firing || !alert.reason.is_empty();
            assert!(explained, "{alert:?}");
            held += usize::from(alert.reason.contains("held back by budget"));
        }
        assert!(held > 0, "the budget was never spent");
        assert_members(&policy);
        // What is certain is shown up to twice the budget, and no more.
        let shown: Vec<Timestamp> = {
            let mut first = std::collections::BTreeMap::new();
            for change in told.iter().filter(|change| change.alert().shown) {
                let alert = change.alert();
                first.entry(alert.id.clone()).or_insert(alert.last);
            }
            first.into_values().collect()
        };
        assert!(shown.len() <= 9, "{}", shown.len());
    }
}

#[test]
fn one_exceedance_never_opens() {
    let mut rng = Rng::new(7);
    let mut course = Course::new(Config::default());
    for _ in 0..500 {
        course.tick(&[("h/a", rng.uniform())]);
        course.tick(&[("h/a", 0.49 * rng.uniform())]);
    }
    assert_eq!(course.opened(), 0);
}
