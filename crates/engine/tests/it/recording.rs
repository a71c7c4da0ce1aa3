//! Recorded telemetry through the whole pipeline, on a virtual clock.

use foretwin_core::Phase;
use foretwin_engine::{AlertQuery, Config, Replay, Replayed, WindowQuery};

use super::world::recording;

fn replay(values: impl IntoIterator<Item = f64>) -> (Vec<Replayed>, foretwin_core::Prediction) {
    let dir = tempfile::tempdir().unwrap();
    let window = recording("recorded", values);
    let replay = Replay::new(&Config::default(), dir.path()).unwrap();
    let mut rows = Vec::new();
    replay.run(&window, &mut |_, row| rows.push(row)).unwrap();
    let prediction = replay.predict(&window, 3600.0).unwrap();
    (rows, prediction)
}

/// A level that breathes, with a little noise that repeats.
fn breathing(n: usize) -> f64 {
    300.0 + 20.0 * (n as f64 / 30.0).sin() + ((n * 7919) % 13) as f64
}

#[test]
fn a_provisional_model_judges_after_half_a_minute() {
    let (rows, prediction) = replay((0..120).map(breathing));
    let first = rows.iter().position(|row| row.judgement.is_some()).unwrap();
    assert!((28..40).contains(&first), "first judged at row {first}");
    assert_eq!(rows[first].judgement.as_ref().unwrap().phase, Phase::Provisional);
    assert!(prediction.learning.model_version >= 1);
}

#[test]
fn a_jump_is_anomalous_and_a_quiet_hour_is_not() {
    let (rows, _) = replay((0..1500).map(|n| breathing(n) + if n >= 1400 { 400.0 } else { 0.0 }));
    let score = |row: &Replayed| row.judgement.as_ref().map_or(0.0, |judged| judged.score.0);
    let quiet = rows[600..1400].iter().filter(|row| score(row) > 1.0).count();
    assert!(quiet <= 8, "{quiet} of 800 quiet rows were called anomalous");
    assert!(rows[1400..1420].iter().any(|row| score(row) > 1.0), "the jump went unseen");
    let judged = rows[1400..1420].iter().filter_map(|row| row.judgement.as_ref());
    let worst = judged.max_by(|a, b| a.score.0.total_cmp(&b.score.0)).unwrap();
    assert_eq!(worst.contributions[0].metric, "used");
}

/// An hour back at row 300, one frame of the future at row 700, and a pause of five minutes among the first frames:
/// nothing of it ends the watch.
#[test]
fn clocks_that_jump_and_pauses_silence_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut window = recording("jumpy", (0..1200).map(breathing));
    for (row, at) in window.times.iter_mut().enumerate() {
        *at = *at + 300_000_000 * i64::from(row >= 15);
        *at = *at - 3_600_000_000 * i64::from(row >= 300);
        *at = *at + 86_400_000_000 * i64::from(row == 700);
    }
    let replay = Replay::new(&Config::default(), dir.path()).unwrap();
    let mut judged = Vec::new();
    replay.run(&window, &mut |_, row| judged.push(row.judgement.is_some())).unwrap();
    let share =
        |rows: std::ops::Range<usize>| judged[rows.clone()].iter().filter(|&&j| j).count() * 100 / rows.len();
    assert!(share(120..300) > 90, "before: {} %", share(120..300));
    assert!(share(330..700) > 90, "after the clock went back: {} %", share(330..700));
    assert!(share(730..1200) > 90, "after a frame of the future: {} %", share(730..1200));
}

#[test]
fn a_leak_is_foreseen_and_a_level_is_not() {
    let (rows, prediction) = replay((0..400).map(|n| 200.0 + 1.5 * n as f64 + ((n * 31) % 7) as f64));
    assert!(prediction.failure_probability > 0.9, "{prediction:?}");
    let first = rows.iter().position(|row| row.failure_probability > 0.9).unwrap();
    assert!(first < 340, "seen only at row {first} of a leak that ends at 533");
    let (rows, prediction) = replay((0..1200).map(breathing));
    assert!(prediction.failure_probability < 0.1, "{prediction:?}");
    assert!(rows.iter().all(|row| row.failure_probability < 0.5));
}

fn alerts(values: impl IntoIterator<Item = f64>) -> Vec<foretwin_engine::ReplayedAlert> {
    let dir = tempfile::tempdir().unwrap();
    let replay = Replay::new(&Config::default(), dir.path()).unwrap();
    replay.run(&recording("recorded", values), &mut |_, _| ()).unwrap()
}

#[test]
fn a_replay_raises_the_alerts_of_a_live_node_by_the_clock_of_the_recording() {
    let leak = || (0..500).map(|n| 200.0 + 1.5 * n as f64 + ((n * 31) % 7) as f64);
    let raised = alerts(leak());
    let [alert] = &raised[..] else { panic!("{raised:?}") };
    let opened = &alert.opened;
    let second = opened.opened.seconds() - 1_700_000_000.0;
    assert!((30.0..340.0).contains(&second), "of a leak that ends at 533 it warned at {second}");
    assert_eq!(opened.kind.mode(), Some(foretwin_core::FailureMode::MemoryExhaustion));
    assert_eq!((alert.metric.as_deref(), opened.class.as_str()), (Some("used"), "leak"));
    assert!(opened.action.is_some() && opened.probability > 0.5, "{opened:?}");
    assert!(opened.time_to_failure.p50.is_some_and(|p50| p50 > 0.0), "{opened:?}");
    assert!(alert.at_end.is_open(), "it stands at the end: {:?}", alert.at_end);
    let again = alerts(leak());
    assert_eq!((&again[0].opened, &again[0].at_end), (opened, &alert.at_end), "the same again");
    assert!(alerts((0..1200).map(breathing)).is_empty(), "a level was alerted");
}

#[test]
fn a_node_shows_what_was_replayed() {
    let dir = tempfile::tempdir().unwrap();
    let mut window = recording("incident", (0..400).map(|n| 200.0 + 1.5 * n as f64 + ((n * 31) % 7) as f64));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let shift_us = now.as_micros() as i64 - window.times.last().unwrap().0;
    window.times.iter_mut().for_each(|at| *at = *at + shift_us);
    let config = Config { data_dir: dir.path().into(), ..Config::default() };
    let replay = Replay::new(&config, dir.path()).unwrap();
    let mut judged = 0;
    let raised = replay.run(&window, &mut |_, row| judged += usize::from(row.judgement.is_some())).unwrap();
    let node = replay.into_node(&config).unwrap();
    let handle = node.handle();
    let known: Vec<_> = handle.alerts(&AlertQuery::default()).into_iter().map(|alert| alert.id).collect();
    assert!(!raised.is_empty() && raised.iter().all(|alert| known.contains(&alert.opened.id)), "{known:?}");
    let shown = handle.instance(&window.instance).unwrap();
    assert!(shown.learning.model_version >= 1 && shown.score.is_some(), "{:?}", shown.learning);
    assert!(shown.failure_probability > 0.9, "{}", shown.failure_probability);
    let query = WindowQuery {
        instance: window.instance.clone(),
        metrics: vec!["foretwin.anomaly.score".into(), "used".into()],
        from: window.times[0],
        to: window.times[window.times.len() - 1],
        points: 1000,
    };
    let view = handle.window(&query).unwrap();
    let count = |key: &str| {
        let series = view.series.iter().find(|one| one.metric == key);
        series.map_or(0, |one| one.observed.iter().filter(|value| value.is_finite()).count())
    };
    // The frame at which the first model was made was stored before it was judged.
    assert_eq!((count("foretwin.anomaly.score"), count("used")), (judged - 1, 400));
    node.stop().unwrap();
}
