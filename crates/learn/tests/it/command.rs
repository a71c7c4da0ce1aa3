//! A twin's costs given what it is commanded: the command explains them, is never judged, and is known at once.

use std::ops::ControlFlow;

use foretwin_core::{InstanceId, Metric, Rng, Role, Schema, Storage, Timestamp, Value, Window};
use foretwin_learn::{Config, Duty, Job, Model, fit};

/// What a twin costs: proportional to the command of the same second, with noise.
fn frame(command: f64, slower: f64, rng: &mut Rng) -> Vec<Value> {
    let cost = (1.0 + command) * slower * (1.0 + 0.03 * rng.normal());
    let lag = 0.2 * (1.0 + 0.05 * rng.normal());
    [command, cost, lag].map(Value::float).to_vec()
}

/// A load that jumps between levels that nothing before tells.
fn command(second: i64, rng: &mut Rng, last: &mut f64) -> f64 {
    if second % 7 == 0 {
        *last = 2.0 * rng.uniform();
    }
    *last
}

fn learned() -> Model {
    let gauge = |name: &str, role| Metric::gauge(name, "s", role).stored(Storage::F64);
    let metrics =
        vec![gauge("commanded", Role::Command), gauge("cost", Role::Duration), gauge("lag", Role::Duration)];
    let mut window = Window::new(InstanceId::new("host/foretwin-twin"), Schema::new(metrics));
    let (mut rng, mut last) = (Rng::new(11), 0.0);
    for second in 0..1500 {
        let told = command(second, &mut rng, &mut last);
        window.push(Timestamp(second * 1_000_000), &frame(told, 1.0, &mut rng));
    }
    let config = Config { false_alarm_rate: 1e-4, ..Config::default() };
    fit(&Job::new(&window, &config), &mut |_| ControlFlow::Continue(()))
        .expect("a window that was made for it")
}

#[test]
fn a_command_explains_at_once_and_is_never_judged() {
    let model = learned();
    assert_eq!(model.recipe().features[0].duty, Duty::Input);
    let mut state = model.start();
    let (mut rng, mut last) = (Rng::new(12), 0.0);
    let mut outcome = foretwin_learn::Outcome::default();
    let (mut calm, mut error) = (0.0f64, 0.0f64);
    for second in 2000..2400 {
        let told = command(second, &mut rng, &mut last);
        let values = frame(told, 1.0, &mut rng);
        model.step(&mut state, Timestamp(second * 1_000_000), &values, &mut outcome);
        if second > 2030 {
            calm = calm.max(outcome.score);
            error += (outcome.expectations[1].mean - (1.0 + told)).abs() / 369.0;
        }
    }
    assert!(calm < 1.0, "jumps of the command alone score {calm}");
    assert!(error < 0.1, "the cost of the same second is off by {error}");
    let mut most = 0.0f64;
    for second in 2400..2460 {
        let told = command(second, &mut rng, &mut last);
        let values = frame(told, 1.8, &mut rng);
        model.step(&mut state, Timestamp(second * 1_000_000), &values, &mut outcome);
        most = most.max(outcome.score);
    }
    assert!(most > 1.0, "work that costs more than its command explains scores {most}");
    assert!(outcome.contributions.iter().all(|part| part.column != 0), "the command is blamed");
}

#[test]
fn what_is_known_survives_being_written_down() {
    let model = learned();
    let bytes = model.encode().unwrap();
    let again = Model::decode(&bytes).unwrap();
    assert_eq!(model, again);
}
