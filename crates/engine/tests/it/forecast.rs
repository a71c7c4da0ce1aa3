//! Forecasts of minutes, hours and days, from recorded telemetry on its own clock and from a node that is restarted.

use foretwin_core::{
    InstanceId, MISSING, Metric, Origin, Phase, Rng, Role, Schema, Storage, Timestamp, Value, Window,
};
use foretwin_engine::{
    Config, ForecastQuery, ForecastView, Handle, MetricForecast, ModelLine, Node, Replay, Roles,
};
use foretwin_learn::Method;

use super::world::{config, recording, records, until};

/// Seconds between frames of the machine below, and of a day.
const STEP_S: i64 = 30;
const DAY_S: i64 = 86_400;
/// A midnight.
const BEGIN_S: i64 = 19_675 * DAY_S;

fn ask(instance: &InstanceId, metrics: &[&str], horizon_s: f64) -> ForecastQuery {
    let metrics = metrics.iter().map(|key| (*key).to_owned()).collect();
    ForecastQuery { instance: instance.clone(), metrics, horizon_s, points: 60 }
}

fn of<'a>(view: &'a ForecastView, key: &str) -> &'a MetricForecast {
    view.metrics.iter().find(|one| one.metric == key).unwrap_or_else(|| panic!("no {key} in {view:?}"))
}

/// A machine that runs a job of five minutes every day at six, until half past five of the last day. Every night from
/// two to a quarter past nothing is heard of it.
fn machine(days: i64, also: impl Fn(i64) -> bool) -> Window {
    let gauge = |name: &str| Metric::gauge(name, "1", Role::Utilization).stored(Storage::F64);
    let schema = Schema::new(vec![gauge("cpu"), Metric::counter("io", "By", Role::Rate), gauge("cap")]);
    let (mut window, mut rng) = (Window::new(InstanceId::new("machine"), schema), Rng::new(5));
    let (mut load, mut written) = (0.0, 0u64);
    for second in (0..days * DAY_S - 18 * 3600 - 1800).step_by(STEP_S as usize) {
        let of_day = second.rem_euclid(DAY_S);
        let job = (0..300).contains(&(of_day - 6 * 3600)) || also(second);
        load = 0.9 * load + 0.1 * rng.normal();
        let cpu = 0.2 + 0.05 * load + 0.01 * rng.normal() + if job { 0.6 } else { 0.0 };
        written += (STEP_S as f64 * if job { 9e6 } else { 1e5 * (1.0 + 0.1 * rng.normal()) }) as u64;
        if (0..900).contains(&(of_day - 2 * 3600)) {
            continue;
        }
        // One sample in fifty is missing.
        let cpu = if rng.below(50) == 0 { MISSING } else { Value::float(cpu) };
        let at = Timestamp::from_seconds((BEGIN_S + second) as f64);
        window.push(at, &[cpu, Value(written), Value::float(4.0)]);
    }
    window
}

/// The job that comes every day at six is no alarm and is forecast; the same at three in the afternoon is an alarm.
#[test]
fn a_job_of_every_morning_is_forecast_and_alarms_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let afternoon = 4 * DAY_S + 15 * 3600;
    let window = machine(6, |second| (0..300).contains(&(second - afternoon)));
    let mut config = Config::default();
    config.learn.lstm_min_rows = usize::MAX;
    config.training.interval_s = 86_400.0;
    let replay = Replay::new(&config, dir.path()).unwrap();
    let mut hours = vec![0.0f64; 6 * 24];
    replay
        .run(&window, &mut |_, row| {
            let hour = row.at.since(Timestamp::from_seconds(BEGIN_S as f64)) / 3600.0;
            let score = row.judgement.map_or(0.0, |judged| judged.score.0);
            hours[hour as usize] = hours[hour as usize].max(score);
        })
        .unwrap();
    for day in [3, 4] {
        assert!(
            hours[24 * day + 6] < 1.0,
            "day {day}, the job at six: {:?}",
            &hours[24 * day..24 * day + 24]
        );
    }
    assert!(hours[4 * 24 + 15] > 1.0, "the job at three: {:?}", &hours[4 * 24..]);

    let view = replay.forecasts(&ask(&window.instance, &[], 3600.0)).unwrap();
    let by = &view.by[0];
    assert!(by.phase == Phase::Learned && by.periods_s.contains(&86_400.0), "{by:?}");
    assert!(by.history_s > Some(5.0 * 86_400.0) && by.reach_s >= 86_400.0, "{by:?}");
    let at = |minute: i64| Timestamp::from_seconds((BEGIN_S + 5 * DAY_S + 5 * 3600 + minute * 60) as f64);
    for (key, idle, busy) in [("cpu", 0.2, 0.8), ("io", 1e5, 9e6)] {
        let metric = of(&view, key);
        let middle = |minute: i64| {
            let place = metric.path.at_us.iter().position(|&us| us >= at(minute).0).unwrap();
            metric.path.p50[place]
        };
        let half = (idle + busy) / 2.0;
        assert!(middle(62) > half, "{key} at 6:02 is {} of {busy}: {metric:?}", middle(62));
        assert!(middle(50) < half && middle(80) < half, "{key}: {metric:?}");
        let farthest = metric.choices.last().unwrap();
        assert!(farthest.lead_s == 3600.0 && farthest.step_s == 60.0, "{farthest:?}");
        assert!(farthest.beaten.iter().any(|one| one.method == Method::Last), "{farthest:?}");
        assert!(metric.choices.iter().all(|one| one.chosen.rms > 0.0), "{metric:?}");
    }
    let cap = of(&view, "cap");
    assert!(cap.held && cap.path.p50.iter().all(|&value| value == 4.0), "{cap:?}");
    let week = replay.forecasts(&ask(&window.instance, &["cpu"], 7.0 * 86_400.0)).unwrap();
    let last = of(&week, "cpu").path.at_us.last().copied().unwrap();
    assert!(Timestamp(last).since(at(30)) <= by.reach_s, "nothing is told beyond what was learned");
}

/// A load that breathes, at 1 Hz.
fn breathing(n: usize) -> f64 {
    300.0 + 60.0 * (n as f64 / 30.0).sin() + ((n * 7919) % 13) as f64
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
