//! PyTorch reads the files and predicts the same numbers; what it trains is read back. Needs `FORETWIN_PYTHON`, the path
//! of a Python with torch and safetensors.

use std::path::{Path, PathBuf};
use std::process::Command;

use foretwin_core::{
    InstanceId, Kind, MISSING, Metric, Rng, Role, Schema, Storage, Timestamp, Value, Window,
};
use foretwin_learn::{Config, Model, Outcome, Transform};

use crate::simulated::learn_with;

/// Metrics of every kind of transform: one that only a nonlinear model can expect, one that follows it, a share of a
/// limit, a counter beyond what a double counts, a bursty counter, and errors that never happen.
fn window(rows: usize) -> Window {
    let gauge = |name: &str| Metric::gauge(name, "1", Role::Utilization).stored(Storage::F64);
    let mode = foretwin_core::FailureMode::MemoryExhaustion;
    let schema = Schema::new(vec![
        gauge("chaos"),
        gauge("follower"),
        Metric::gauge("used", "By", Role::Utilization).against("limit", mode),
        Metric::gauge("limit", "By", Role::Limit),
        Metric::counter("requests", "{request}", Role::Rate),
        Metric::counter("bytes", "By", Role::Rate),
        Metric::counter("oom", "{kill}", Role::Errors),
    ]);
    let mut window = Window::new(InstanceId::new("torch"), schema);
    let (mut rng, mut x) = (Rng::new(5), 0.3f64);
    let (mut requests, mut bytes, mut at) = ((1u64 << 60) + 1, 0u64, 1_700_000_000_000_000i64);
    for n in 0..rows {
        x = 3.7 * x * (1.0 - x);
        requests += (50.0 + 30.0 * x) as u64;
        bytes += 100 + (10.0 * rng.uniform()) as u64 + if n % 400 == 399 { 1_000_000 } else { 0 };
        let used = if n % 50 == 7 { MISSING } else { Value(4_000_000 + (1e6 * x) as u64) };
        let follower = Value::float(x * x + 0.05 * rng.normal());
        // A gap now and then, longer than what the past bridges.
        at += if n % 1000 == 500 { 60_000_000 } else { 1_000_000 };
        let frame =
            [Value::float(x), follower, used, Value(16_000_000), Value(requests), Value(bytes), Value(0)];
        window.push(Timestamp(at), &frame);
    }
    window
}

/// What `foretwin models vectors` writes, for the last rows of a window.
fn vectors(model: &Model, window: &Window, rows: usize) -> serde_json::Value {
    let (mut state, mut out, mut frame) = (model.start(), Outcome::default(), Vec::new());
    let (mut times, mut frames, mut expected) = (Vec::new(), Vec::new(), Vec::new());
    for row in window.len() - rows..window.len() {
        window.frame(row, &mut frame);
        model.step(&mut state, window.times[row], &frame, &mut out);
        let number = |(value, metric): (&Value, &Metric)| match metric.storage {
            _ if value.is_missing() => serde_json::Value::Null,
            Storage::F64 => value.to_f64(Storage::F64).into(),
            _ => value.0.into(),
        };
        times.push(window.times[row]);
        frames.push(frame.iter().zip(window.schema.metrics()).map(number).collect::<Vec<_>>());
        expected.push(
            out.expectations.iter().map(|one| Some(one.mean).filter(|x| x.is_finite())).collect::<Vec<_>>(),
        );
    }
    serde_json::json!({"times_us": times, "frames": frames, "expected": expected})
}

/// The Python that can run the tools; says aloud if there is none.
fn python() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("FORETWIN_PYTHON") {
        return Some(path.into());
    }
    let reason = "FORETWIN_PYTHON does not name a Python with torch and safetensors";
    assert!(std::env::var("FORETWIN_TEST_STRICT").is_err(), "cannot run: {reason}");
    eprintln!("SKIPPED: {reason}");
    None
}

fn run(python: &Path, tool: &str, args: &[&str]) -> String {
    let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools").join(tool);
    let done = Command::new(python).arg(&tool).args(args).env("OMP_NUM_THREADS", "1").output();
    let done = done.expect("FORETWIN_PYTHON names a program");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(done.status.success(), "{} {}", text(&done.stdout), text(&done.stderr));
    eprint!("{tool}: {}", text(&done.stdout), tool = tool.display());
    text(&done.stdout)
}

#[test]
fn torch_predicts_the_same_and_what_it_trains_is_served() {
    let Some(python) = python() else { return };
    let window = window(4000);
    let config = Config { hidden: 12, epochs: 6, ..Config::default() };
    let model = learn_with(&window, true, &config);
    let transforms: Vec<Transform> =
        model.recipe().features.iter().map(|feature| feature.transform).collect();
    assert!(
        matches!(transforms[5], Transform::LogRate { .. })
            && matches!(transforms[2], Transform::Ratio { .. })
    );
    assert!(window.schema.metrics()[4].kind == Kind::Counter && !model.corrected().is_empty());

    let dir = std::env::temp_dir().join(format!("foretwin-torch-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let place = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    let [file, frames, trained] = ["model.safetensors", "frames.json", "trained.safetensors"].map(place);
    let write = |model: &Model, rows| {
        std::fs::write(&frames, vectors(model, &window, rows).to_string()).unwrap();
    };
    std::fs::write(&file, model.encode().unwrap()).unwrap();
    write(&model, 700);
    run(&python, "load_model.py", &[&file, &frames]);

    // A model without a network gets one from torch, which corrects what only a nonlinear model can.
    let linear = learn_with(&window, false, &config);
    std::fs::write(&file, linear.encode().unwrap()).unwrap();
    write(&linear, 4000);
    let said = run(&python, "train_model.py", &[&file, &frames, &trained, "--hidden", "12", "--epochs", "8"]);
    let served = Model::decode(&std::fs::read(&trained).unwrap()).unwrap();
    assert!(linear.corrected().is_empty() && served.corrected().contains(&0), "{said}");
    write(&served, 700);
    run(&python, "load_model.py", &[&trained, &frames]);
    let error = |model: &Model| {
        let (mut state, mut out, mut frame) = (model.start(), Outcome::default(), Vec::new());
        let squares = (3000..4000).map(|row| {
            window.frame(row, &mut frame);
            model.step(&mut state, window.times[row], &frame, &mut out);
            let error = out.expectations[0].mean - frame[0].to_f64(Storage::F64);
            if error.is_finite() { error * error } else { 0.0 }
        });
        squares.sum::<f64>()
    };
    let (before, after) = (error(&linear), error(&served));
    assert!(after < 0.5 * before, "{after} against {before}: {said}");
    std::fs::remove_dir_all(&dir).unwrap();
}
