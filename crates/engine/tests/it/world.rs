//! Nodes and telemetry for tests.

use std::path::Path;
use std::time::{Duration, Instant};

use foretwin_core::{
    Batch, FailureMode, Instance, InstanceId, InstanceKind, Metric, Origin, Record, Role, Schema, Storage,
    Timestamp, Value, Window,
};
use foretwin_engine::{Config, Handle, Node, Roles};

/// A configuration that watches fast, so that tests need not wait long.
pub fn config(dir: &Path) -> Config {
    let mut config = Config { data_dir: dir.to_path_buf(), ..Config::default() };
    config.collect.machine.interval_ms = 100;
    config.collect.groups.interval_ms = 500;
    config.stream.commit_interval_ms = 10;
    config
}

/// A node that collects nothing: what it knows, the test sent.
pub fn quiet(dir: &Path) -> Node {
    Node::start(&config(dir), Roles { collect: false }).unwrap()
}

pub fn until(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < deadline, "after 60 s still not: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A recording of one gauge against a limit, at 1 Hz.
pub fn recording(id: &str, values: impl IntoIterator<Item = f64>) -> Window {
    let gauge = Metric::gauge("used", "By", Role::Utilization)
        .stored(Storage::F64)
        .against("limit", FailureMode::MemoryExhaustion);
    let limit = Metric::gauge("limit", "By", Role::Limit).stored(Storage::F64);
    let schema = Schema::new(vec![gauge, limit]);
    let mut window = Window::new(InstanceId::new(id), schema);
    for (n, value) in values.into_iter().enumerate() {
        let at = Timestamp::from_seconds(1_700_000_000.0 + n as f64);
        window.push(at, &[Value::float(value), Value::float(1000.0)]);
    }
    window
}

/// The records that carry a recording.
pub fn records(window: &Window, origin: Origin) -> Vec<Record> {
    let id = window.instance.as_str();
    let instance = Instance::new(id, InstanceKind::Application, "elsewhere", "test");
    let mut batch = Batch::new(window.schema.id(), window.schema.width()).from_origin(origin);
    let mut values = Vec::new();
    for (row, &at) in window.times.iter().enumerate() {
        window.frame(row, &mut values);
        batch.push(&window.instance, at, &values).unwrap();
    }
    vec![Record::Instance(instance), Record::Schema(window.schema.clone()), Record::Batch(batch)]
}

/// Times of what is stored of the recorded gauge.
pub fn stored(handle: &Handle, id: &str) -> Vec<i64> {
    let query = foretwin_engine::WindowQuery {
        instance: InstanceId::new(id),
        metrics: vec!["used".into()],
        from: Timestamp::from_seconds(1_699_999_000.0),
        to: Timestamp::from_seconds(1_700_100_000.0),
        points: 20_000,
    };
    handle
        .window(&query)
        .map(|view| view.series.into_iter().flat_map(|one| one.at_us).collect())
        .unwrap_or_default()
}
