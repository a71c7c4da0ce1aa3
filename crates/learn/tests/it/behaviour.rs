//! What is learned, what is called anomalous, and what is not.

use std::ops::ControlFlow;

use foretwin_core::{InstanceId, Metric, Phase, Rng, Role, Schema, Storage, Value, Window};
use foretwin_learn::{Config, Error, Job, Outcome, detect, fit};

use crate::simulated::{Live, Server, at, learn, learn_with};

#[test]
fn an_anomaly_goes_above_one_and_names_its_metric() {
    let mut server = Server::new(10);
    let model = learn(&server.window(6000), false);
    let mut live = Live::new(&model);
    live.run(&mut server, 200);
    let onset = (0..20).position(|_| live.take(server.next(0.3)).score > 1.0);
    assert!(onset.is_some_and(|frames| frames < 5), "{onset:?}");
    assert_eq!(live.out.contributions[0].column, 0, "the metric at fault is named first");
    let judged = live.out.judgement(at(0.0), &Server::schema(), model.version(), Phase::Learned);
    assert_eq!((judged.contributions[0].metric.as_str(), judged.model_version), ("cpu", 7));
    live.run(&mut server, 100);
    assert!(live.run(&mut server, 100) < 1.0, "it is over");
}

#[test]
fn expectations_are_in_the_metrics_units() {
    let mut server = Server::new(11);
    let model = learn(&server.window(3000), false);
    let mut live = Live::new(&model);
    live.run(&mut server, 50);
    let expected = &live.out.expectations;
    assert!((expected[2].mean - 1e9).abs() < 5e7 && expected[2].scale < 1e8, "bytes: {:?}", expected[2]);
    assert!((20.0..200.0).contains(&expected[3].mean), "requests per second: {:?}", expected[3]);
    assert!(expected[3].scale > 1.0 && expected[3].scale < 50.0, "{:?}", expected[3]);
    assert_eq!(expected[4].mean, 0.0, "errors that never happen");
}

/// At the default rate of 1e-5 per frame, 5000 frames alarm in one server of twenty: 3 of 60.
#[test]
fn normal_life_alarms_as_rarely_as_the_default_states() {
    let alarmed = (100..160).filter(|&seed| {
        let mut server = Server::new(seed);
        let model = learn(&server.window(6000), false);
        Live::new(&model).run(&mut server, 5000) >= 1.0
    });
    let alarmed = alarmed.count();
    assert!(alarmed <= 8, "{alarmed} of 60");
}

/// At a rate of 1e-4 per frame, 200,000 frames should alarm about 20 times.
#[test]
fn false_alarms_come_at_about_the_stated_rate() {
    let mut server = Server::new(12);
    let config = Config { false_alarm_rate: 1e-4, ..Config::default() };
    let model = learn_with(&server.window(40_000), false, &config);
    let mut live = Live::new(&model);
    let (mut alarms, mut last) = (0, -1000i64);
    for n in 0..200_000i64 {
        if live.take(server.next(0.0)).score > 1.0 {
            alarms += i64::from(n - last > 30);
            last = n;
        }
    }
    assert!((2..=60).contains(&alarms), "{alarms}");
}

#[test]
fn half_a_minute_of_an_idle_machine_makes_a_model_that_does_not_shout() {
    for seed in 20..30 {
        let (mut server, mut rng) = (Server::new(seed), Rng::new(seed));
        let model = learn(&server.window(30), false);
        let mut live = Live::new(&model);
        let mut alarms = 0;
        for _ in 0..120 {
            // Now and then something short runs, as on any idle machine.
            let burst = if rng.uniform() < 0.05 { 0.3 } else { 0.0 };
            alarms += u32::from(live.take(server.next(burst)).score > 1.0);
        }
        assert_eq!(alarms, 0, "seed {seed}");
    }
}

#[test]
fn errors_that_never_happened_are_news_once() {
    let mut server = Server::new(13);
    let model = learn(&server.window(6000), false);
    let mut live = Live::new(&model);
    live.run(&mut server, 100);
    server.errors += 1;
    let first = live.take(server.next(0.0));
    assert!(first.score > 1.0, "{}", first.score);
    assert_eq!(first.contributions[0].column, 4);
    let mut later = 0.0f64;
    for n in 0..1000 {
        server.errors += 1;
        let score = live.take(server.next(0.0)).score;
        if n > 200 {
            later = later.max(score);
        }
    }
    assert!(later < 1.0, "what moves forever is no longer news: {later}");
}

#[test]
fn cancelling_and_short_or_wrong_input_give_clear_errors() {
    let mut server = Server::new(14);
    let (window, config) = (server.window(200), Config::default());
    let job = Job::new(&window, &config);
    assert!(matches!(fit(&job, &mut |_| ControlFlow::Break(())), Err(Error::Cancelled)));
    let short = server.window(10);
    let mut go = |_| ControlFlow::Continue(());
    assert!(matches!(fit(&Job { window: &short, ..job }, &mut go), Err(Error::TooShort { .. })));
    let other = Window::new(InstanceId::new("b"), Schema::new(vec![Metric::gauge("x", "1", Role::Rate)]));
    assert!(matches!(detect(&window, &other, (&config, 1), &mut go), Err(Error::Schema { .. })));
    assert!(matches!(fit(&Job { window: &other, ..job }, &mut go), Err(Error::TooShort { .. })));
}

#[test]
fn a_window_of_constants_never_alarms_while_they_stay() {
    let mut window =
        Window::new(InstanceId::new("c"), Schema::new(vec![Metric::gauge("x", "1", Role::Rate)]));
    (0..500).for_each(|n| window.push(at(f64::from(n)), &[Value(3)]));
    let model = learn(&window, true);
    let (mut state, mut out) = (model.start(), Outcome::default());
    for n in 500..1000 {
        model.step(&mut state, at(f64::from(n)), &[Value(3)], &mut out);
        assert_eq!(out.score, 0.0);
    }
    model.step(&mut state, at(1000.0), &[Value(9)], &mut out);
    assert!(out.score > 1.0);
}

/// The logistic map seen with noise, and a metric that is a product of two phases: nothing linear explains them.
fn nonlinear(rows: usize) -> Window {
    let metric = |name: &str| Metric::gauge(name, "1", Role::Rate).stored(Storage::F64);
    let schema = Schema::new(vec![metric("map"), metric("beat")]);
    let (mut window, mut rng, mut x) = (Window::new(InstanceId::new("n"), schema), Rng::new(9), 0.3f64);
    for n in 0..rows {
        x = 3.9 * x * (1.0 - x);
        let phase = n as f64 / 40.0 * std::f64::consts::TAU;
        let beat = phase.sin().signum() * (phase * 1.5).sin().powi(3) + 0.05 * rng.normal();
        window.push(at(n as f64), &[Value::float(x + 0.01 * rng.normal()), Value::float(beat)]);
    }
    window
}

fn error(window: &Window, lstm: bool) -> (f64, Vec<usize>) {
    let mut train = Window::new(window.instance.clone(), window.schema.clone());
    let (mut frame, mut out, mut sum) = (Vec::new(), Outcome::default(), 0.0);
    let split = window.len() * 4 / 5;
    for row in 0..split {
        window.frame(row, &mut frame);
        train.push(window.times[row], &frame);
    }
    let model = learn(&train, lstm);
    let mut state = model.start();
    for row in split..window.len() {
        window.frame(row, &mut frame);
        model.step(&mut state, window.times[row], &frame, &mut out);
        if row > split + 50 {
            sum += (out.expectations[0].mean - window.columns[0][row].to_f64(Storage::F64)).powi(2);
        }
    }
    (sum, model.corrected())
}

#[test]
fn the_lstm_is_kept_where_it_knows_better() {
    let window = nonlinear(8000);
    let ((linear, none), (both, corrected)) = (error(&window, false), error(&window, true));
    assert!(none.is_empty() && corrected.contains(&0), "{corrected:?}");
    assert!(both < 0.5 * linear, "squared error {both} with the LSTM, {linear} without");
}

/// Where nothing moved while learning there is no tail to extrapolate; the first movement is news, not infinity.
#[test]
fn the_first_movement_after_stillness_has_a_measured_score() {
    let schema =
        Schema::new((0..6).map(|n| Metric::gauge(&format!("g{n}"), "1", Role::Utilization)).collect());
    let mut window = Window::new(InstanceId::new("still"), schema.clone());
    (0..40).for_each(|t| window.push(at(f64::from(t)), &[Value(3); 6]));
    let config = Config::default();
    let job = Job { lstm: false, ..Job::new(&window, &config) };
    let model = fit(&job, &mut |_| ControlFlow::Continue(())).unwrap();
    let (mut state, mut out) = (model.start(), Outcome::default());
    for t in 40..200 {
        let moved = Value(if t >= 100 { 4 } else { 3 });
        model.step(
            &mut state,
            at(f64::from(t)),
            &[moved, Value(3), Value(3), Value(3), Value(3), Value(3)],
            &mut out,
        );
        assert!(out.score < 100.0, "{} at {t}", out.score);
        assert!(t >= 100 || out.score < 0.5, "{} at {t}, before anything moved", out.score);
    }
}
