//! Forecasts of minutes, hours and days, from recorded telemetry on its own clock and from a node that is restarted.

use foretwin_core::{InstanceId, MISSING, Metric, Origin, Role, Schema, Timestamp, Value, Window};
use foretwin_engine::{
    Config, ForecastQuery, ForecastView, Handle, MetricForecast, ModelLine, Node, Replay, Roles,
};
use foretwin_learn::Method;

use super::world::{config, recording, records, until};

fn ask(instance: &InstanceId, metrics: &[&str], horizon_s: f64) -> ForecastQuery {
    let metrics = metrics.iter().map(|key| (*key).to_owned()).collect();
    ForecastQuery { instance: instance.clone(), metrics, horizon_s, points: 60 }
}

fn of<'a>(view: &'a ForecastView, key: &str) -> &'a MetricForecast {
    view.metrics.iter().find(|one| one.metric == key).unwrap_or_else(|| panic!("no {key} in {view:?}"))
}

/// A load that breathes, at 1 Hz.
fn breathing(n: usize) -> f64 {
    300.0 + 60.0 * (n as f64 / 30.0).sin() + ((n * 7919) % 13) as f64
}

/// Samples are missing, and for two minutes all is silent: the forecast goes on with what repeats.
#[test]
fn a_recording_with_gaps_is_forecast_with_what_was_beaten() {
    let dir = tempfile::tempdir().unwrap();
    let mut window = recording("recorded", (0..2400).map(breathing));
    (0..2400).step_by(50).for_each(|row| window.columns[0][row] = MISSING);
    window.times.drain(600..720);
    window.columns.iter_mut().for_each(|column| drop(column.drain(600..720)));
    let mut config = Config::default();
    config.learn.lstm_min_rows = usize::MAX;
    let replay = Replay::new(&config, dir.path()).unwrap();
    replay.run(&window, &mut |_, _| ()).unwrap();
    let view = replay.forecasts(&ask(&window.instance, &[], 300.0)).unwrap();
    let by = &view.by[0];
    assert!(by.learned_at == window.times.last().copied() && by.reach_s >= 600.0, "{by:?}");
    let used = of(&view, "used");
    assert!(used.choices.iter().all(|one| one.chosen.rms > 0.0 && one.lead_s <= 300.0), "{used:?}");
    // Half a wave ahead, the last value is the worst that can be said.
    let far = used.choices.iter().find(|one| one.lead_s == 100.0).unwrap();
    let last = far.beaten.iter().find(|one| one.method == Method::Last).unwrap();
    assert!(far.chosen.rms < 0.5 * last.rms, "{far:?}");
    let week = replay.forecasts(&ask(&window.instance, &[], 7.0 * 86_400.0)).unwrap();
    let end = of(&week, "used").path.at_us.last().copied().unwrap();
    let ahead_s = Timestamp(end).since(*window.times.last().unwrap());
    assert!(ahead_s <= week.by[0].reach_s + 1.0, "nothing is told beyond what was learned: {ahead_s}");
}

fn node(dir: &std::path::Path) -> Node {
    let mut config = config(dir);
    config.training.cpu_share = 1.0;
    config.learn.lstm_min_rows = usize::MAX;
    Node::start(&config, Roles { collect: false }).unwrap()
}

/// When the forecaster that answers now was learned, and the version it stands beside.
fn learned(handle: &Handle, id: &InstanceId) -> Option<(Timestamp, u64)> {
    let view = handle.forecasts(&ask(id, &[], 60.0)).ok()?;
    let by = view.by.last()?;
    Some((by.learned_at?, by.model_version))
}

#[test]
fn forecasters_outlive_a_restart_and_a_rollback_and_are_shown_with_their_version() {
    let dir = tempfile::tempdir().unwrap();
    let window = recording("shop/web.service", (0..1500).map(breathing));
    let id = window.instance.clone();
    let started = node(dir.path());
    let handle = started.handle();
    assert_eq!(handle.forecasts(&ask(&id, &[], 60.0)).unwrap_err().code(), "unknown_instance");
    handle.ingest(records(&window, Origin::default())).unwrap();
    let newest = *window.times.last().unwrap();
    until("learned", || learned(&handle, &id).is_some_and(|(at, _)| at == newest));
    assert_eq!(handle.forecasts(&ask(&id, &["nothing"], 60.0)).unwrap_err().code(), "unknown_metric");

    let check = |handle: &Handle| {
        let view = handle.forecasts(&ask(&id, &["used"], 60.0)).unwrap();
        let used = of(&view, "used");
        let inside = used.path.at_us.iter().enumerate().filter(|(n, us)| {
            let true_value = breathing(((**us - window.times[0].0) / 1_000_000) as usize);
            (used.path.p10[*n]..used.path.p90[*n]).contains(&true_value)
        });
        assert_eq!(used.path.at_us.len(), 60);
        assert!(inside.count() > 36, "{used:?}");
        assert!(used.choices.iter().all(|one| !one.beaten.is_empty()), "{used:?}");
        view.by[0].model_version
    };
    let version = check(&handle);
    let line = ModelLine { instance: id.clone(), schema: None };
    let shown = handle.model(&line, version).unwrap();
    assert!(shown.entry.outlook.is_some() && !shown.forecasts.is_empty(), "{shown:?}");
    started.stop().unwrap();

    let started = node(dir.path());
    let handle = started.handle();
    // The state of the model begins anew with the next frames.
    let mut more = recording("shop/web.service", (0..1560).map(breathing));
    more.times.drain(..1500);
    more.columns.iter_mut().for_each(|column| drop(column.drain(..1500)));
    handle.ingest(records(&more, Origin::default())).unwrap();
    until("answered after a restart", || learned(&handle, &id).is_some());
    assert_eq!(learned(&handle, &id), Some((newest, version)), "the one from before");
    assert_eq!(check(&handle), version);

    let file = handle.export_model(&line, version).unwrap();
    let imported = handle.import_model(&line, &file).unwrap();
    handle.promote_model(&line, imported, "test").unwrap();
    until("learned beside the imported version", || {
        learned(&handle, &id).is_some_and(|(_, beside)| beside == imported)
    });
    handle.rollback_model(&line, "test").unwrap();
    until("the first again", || learned(&handle, &id) == Some((newest, version)));
    started.stop().unwrap();
}

/// A mount appears, the machine's schema changes: the minutes of before stay the past of what was there before.
#[test]
fn a_changed_schema_keeps_the_minutes_of_its_series() {
    let dir = tempfile::tempdir().unwrap();
    let started = node(dir.path());
    let handle = started.handle();
    let before = recording("mounting", (0..3700).map(breathing));
    handle.ingest(records(&before, Origin::default())).unwrap();
    let mut metrics = before.schema.metrics().to_vec();
    metrics.push(Metric::gauge("mounted", "By", Role::Utilization));
    let mut after = Window::new(before.instance.clone(), Schema::new(metrics));
    for n in 3700..4000 {
        let at = before.times[0] + n as i64 * 1_000_000;
        after.push(at, &[Value::float(breathing(n)), Value::float(1000.0), Value((n % 5) as u64)]);
    }
    handle.ingest(records(&after, Origin::default())).unwrap();
    let schema = after.schema.id().to_string();
    until("learned under the new schema", || {
        let view = handle.forecasts(&ask(&before.instance, &["mounted"], 60.0));
        view.is_ok_and(|view| view.by.iter().any(|by| by.schema == schema && by.history_s > Some(3700.0)))
    });
    let view = handle.forecasts(&ask(&before.instance, &["used"], 900.0)).unwrap();
    let by = view.by.iter().find(|by| by.schema == schema).unwrap();
    assert!(by.reach_s >= 900.0, "a quarter of an hour and more, by the minute: {by:?}");
    started.stop().unwrap();
}
