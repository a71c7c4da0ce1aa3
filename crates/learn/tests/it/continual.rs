//! Learning that goes on: spans left out, warm starts, cohorts, challengers, drift, thresholds that follow.

use std::ops::ControlFlow;
use std::sync::Arc;

use foretwin_core::Window;
use foretwin_learn::{
    Config, Drift, Error, HeldOut, Job, Margins, Model, Outcome, Reason, Start, State, cohort, compare, fit,
};

use crate::simulated::{Server, at};

fn go(job: &Job) -> Model {
    fit(job, &mut |_| ControlFlow::Continue(())).expect("the window is long enough and nobody stops it")
}

/// Ordinary seconds with `strange` ones in the middle, in which the processor works a lot more.
fn interrupted(seed: u64, strange: usize) -> (Window, (foretwin_core::Timestamp, foretwin_core::Timestamp)) {
    let mut server = Server::new(seed);
    let mut window = server.window(3000);
    let from = at(server.second + 1.0);
    for _ in 0..strange {
        let (now, frame) = server.next(5.0);
        window.push(now, &frame);
    }
    let to = at(server.second + 1.0);
    for _ in 0..3000 {
        let (now, frame) = server.next(0.0);
        window.push(now, &frame);
    }
    (window, (from, to))
}

#[test]
fn what_is_left_out_leaves_no_trace() {
    let config = Config { lstm_min_rows: usize::MAX, ..Config::default() };
    let (window, span) = interrupted(40, 500);
    let (clean, nothing) = interrupted(40, 0);
    assert_eq!(nothing.0, nothing.1);
    let without = go(&Job { left_out: &[span], ..Job::new(&window, &config) });
    let polluted = go(&Job::new(&window, &config));
    let reference = go(&Job::new(&clean, &config));
    let scale = |model: &Model| model.recipe().features[0].scale;
    assert!((scale(&without) / scale(&reference) - 1.0).abs() < 0.05);
    assert!(scale(&polluted) > 3.0 * scale(&without));
    assert_eq!(without.rows(), 6000);
    let all = [(at(0.0), at(1e9))];
    let nothing =
        fit(&Job { left_out: &all, ..Job::new(&window, &config) }, &mut |_| ControlFlow::Continue(()));
    assert!(matches!(nothing, Err(Error::TooShort { .. })));
}

/// A server whose queue follows the square of its load: the linear part cannot know.
fn curved(seed: u64, rows: usize) -> Window {
    use foretwin_core::{InstanceId, Metric, Rng, Role, Schema, Storage, Value};
    let metric = |name: &str| Metric::gauge(name, "1", Role::Rate).stored(Storage::F64);
    let schema = Schema::new(vec![metric("load"), metric("queue")]);
    let (mut window, mut rng, mut x) = (Window::new(InstanceId::new("c"), schema), Rng::new(seed), 0.3f64);
    for n in 0..rows {
        let before = x;
        x = 3.8 * x * (1.0 - x);
        let queue = before * before + 0.02 * rng.normal();
        window.push(at(n as f64), &[Value::float(x + 0.01 * rng.normal()), Value::float(queue)]);
    }
    window
}

#[test]
fn a_parent_saves_epochs_and_another_shape_is_no_parent() {
    let window = curved(1, 6000);
    let config = Config { hidden: 16, ..Config::default() };
    let parent = go(&Job::new(&window, &config));
    let short = Config { epochs: 1, ..config.clone() };
    let later = curved(2, 6000);
    let error = |start: Start<'_>, config: &Config| {
        go(&Job { start, ..Job::new(&later, config) }).gain().own.unwrap()
    };
    let (cold, warm) = (error(Start::Fresh, &short), error(Start::Parent(&parent), &short));
    assert!(warm < 0.5 * cold, "after one epoch: {warm} from the parent, {cold} from nothing");
    let other = Config { hidden: 8, ..short };
    assert_eq!(error(Start::Parent(&parent), &other), error(Start::Fresh, &other));
}

#[test]
fn a_cohort_helps_a_member_with_little_history_and_is_shared() {
    let config = Config { hidden: 16, ..Config::default() };
    let members: Vec<Window> = (1..=3).map(|seed| curved(seed, 4000)).collect();
    let jobs: Vec<Job> = members.iter().map(|window| Job::new(window, &config)).collect();
    let cohort = Arc::new(cohort(&jobs, &mut |_| ControlFlow::Continue(())).unwrap());
    let new = curved(9, 300);
    let model = go(&Job { start: Start::Cohort(&cohort), ..Job::new(&new, &config) });
    assert!(model.gain().shared && model.gain().cohort.unwrap() < 0.95, "{:?}", model.gain());
    assert!(!model.corrected().is_empty());
    // Linear alone, on what neither has seen.
    let linear = go(&Job { lstm: false, ..Job::new(&new, &config) });
    let fresh = curved(10, 2000);
    let held_out = HeldOut { window: &fresh, rows: 100..2000, warm: 100, left_out: &[] };
    let verdict = compare(&linear, &model, &held_out, &Margins::at(1e-3));
    assert!(verdict.ratio < 0.8, "{verdict:?}");
    let copy = Model::decode(&model.encode().unwrap()).unwrap();
    assert_eq!(copy.encode().unwrap(), model.encode().unwrap(), "a file of its own is whole");
    let long = curved(11, 6000);
    let choice = go(&Job { start: Start::Better(&cohort, None), ..Job::new(&long, &config) });
    assert!(choice.gain().own.is_some() && choice.gain().cohort.is_some());
}

#[test]
fn members_of_another_schema_and_cancelled_cohorts_are_refused() {
    let config = Config { hidden: 8, ..Config::default() };
    let (one, other) = (curved(1, 1000), Server::new(1).window(1000));
    let jobs = [Job::new(&one, &config), Job::new(&other, &config)];
    assert!(matches!(cohort(&jobs, &mut |_| ControlFlow::Continue(())), Err(Error::Schema { .. })));
    assert!(matches!(cohort(&jobs[..1], &mut |_| ControlFlow::Break(())), Err(Error::Cancelled)));
    assert!(matches!(cohort(&[], &mut |_| ControlFlow::Continue(())), Err(Error::TooShort { .. })));
}

#[test]
fn comparisons_name_what_decided() {
    let config = Config { lstm_min_rows: usize::MAX, ..Config::default() };
    let mut server = Server::new(50);
    let good = go(&Job::new(&server.window(6000), &config));
    let recent = server.window(2000);
    let held_out = |rows, left_out| HeldOut { window: &recent, rows, warm: 60, left_out };
    let margins = Margins::at(1e-5);
    let same = compare(&good, &good, &held_out(100..2000, &[]), &margins);
    assert!(same.promotes() && (same.ratio - 1.0).abs() < 1e-9, "{same:?}");
    assert!((0.9..1.0).contains(&same.champion.covered), "{same:?}");
    let few = compare(&good, &good, &held_out(1990..2000, &[]), &margins);
    assert_eq!(few.reason, Reason::TooLittle);
    let all = [(at(0.0), at(1e9))];
    let none = compare(&good, &good, &held_out(100..2000, &all), &margins);
    assert_eq!((none.reason, none.champion.frames), (Reason::TooLittle, 0));
    // One that learned a minute only knows less; one with a threshold too low cries wolf.
    let young = go(&Job::new(&Server::new(51).window(60), &config));
    assert_eq!(compare(&good, &young, &held_out(100..2000, &[]), &margins).reason, Reason::LessAccurate);
    let nervous = Config { false_alarm_rate: 0.05, ..config };
    let nervous = go(&Job::new(&Server::new(52).window(6000), &nervous));
    let verdict = compare(&good, &nervous, &held_out(100..2000, &[]), &margins);
    assert_eq!(verdict.reason, Reason::FalseAlarms, "{verdict:?}");
}

#[test]
fn a_slow_drift_shows_against_the_reference_and_normal_life_does_not() {
    let config = Config { lstm_min_rows: usize::MAX, ..Config::default() };
    let mut server = Server::new(60);
    let model = go(&Job::new(&server.window(6000), &config));
    let mut drift = Drift::new(&model, 10.0, 1800.0);
    assert!(drift.departure(&model).is_none(), "nothing was seen yet");
    let (mut state, mut out) = (model.start(), Outcome::default());
    let mut live = |drift: &mut Drift, extra: f64| {
        let (now, frame) = server.next(extra);
        model.step(&mut state, now, &frame, &mut out);
        drift.look(&model, Some(&state), (now, &frame))
    };
    let looks = (0..10_000).filter(|_| live(&mut drift, 0.0)).count();
    assert!((900..=1001).contains(&looks), "{looks} looks");
    let calm = drift.departure(&model).unwrap();
    assert!(calm.severity() < 0.6 && calm.share == 0.0, "{calm:?}");
    // The processor climbs by a thousandth of its spread a second.
    (0..10_000).for_each(|n| {
        live(&mut drift, 1e-4 * f64::from(n));
    });
    let far = drift.departure(&model).unwrap();
    assert!(far.shift > 3.0 && far.column == Some(0) && far.severity() > 1.0, "{far:?}");
    let level = drift.level(&model, 0).unwrap().abs();
    assert!((level / far.shift - 1.0).abs() < 1e-6, "{level} {far:?}");
    let text = serde_json::to_string(&drift).unwrap();
    assert_eq!(serde_json::from_str::<Drift>(&text).unwrap(), drift);
}

#[test]
fn drift_survives_gaps_clocks_set_back_and_missing_samples() {
    let config = Config { lstm_min_rows: usize::MAX, ..Config::default() };
    let mut server = Server::new(61);
    let model = go(&Job::new(&server.window(3000), &config));
    let mut drift = Drift::new(&model, 10.0, 600.0);
    for n in 0..6000 {
        let (now, mut frame) = server.next(0.0);
        if n % 2 == 0 {
            frame[0] = foretwin_core::MISSING;
        }
        server.second += if n == 2000 {
            50_000.0
        } else if n == 4000 {
            -60_000.0
        } else {
            0.0
        };
        drift.look(&model, None, (now, &frame));
        drift.look(&model, None, (now, &[]));
    }
    let departure = drift.departure(&model).unwrap();
    assert!(departure.severity() < 0.7 && departure.distance.is_finite(), "{departure:?}");
}

#[test]
fn a_threshold_goes_on_from_its_bytes() {
    let config = Config { lstm_min_rows: usize::MAX, false_alarm_rate: 1e-3, ..Config::default() };
    let mut server = Server::new(70);
    let model = go(&Job::new(&server.window(6000), &config));
    let (mut state, mut out) = (model.start(), Outcome::default());
    for _ in 0..20_000 {
        let (now, frame) = server.next(0.0);
        model.step(&mut state, now, &frame, &mut out);
    }
    let (trained, now) = model.thresholds(&state);
    assert!(trained != now, "it followed");
    let mut again = State::decode(&state.encode(&model).unwrap(), &model).unwrap();
    assert_eq!(model.thresholds(&again), (trained, now));
    for _ in 0..2000 {
        let (now, frame) = server.next(0.0);
        model.step(&mut state, now, &frame, &mut out);
        let score = out.score;
        model.step(&mut again, now, &frame, &mut out);
        assert_eq!(score.to_bits(), out.score.to_bits());
    }
}
