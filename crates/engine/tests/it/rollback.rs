//! Models change while telemetry flows: the next frames are judged by the other one, and no frame stays without a score.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use foretwin_core::{InstanceId, Origin, Record, SECOND_US, Timestamp, Window};
use foretwin_engine::{Handle, ModelLine, Node, Roles, WindowQuery};

use super::world::{config, recording, records, until};

const ID: &str = "shop/web.service";
/// Frames before the change, and in all.
const TAUGHT: usize = 200;
const ALL: usize = 800;

fn breathing(n: usize) -> f64 {
    300.0 + 20.0 * (n as f64 / 30.0).sin() + ((n * 7919) % 13) as f64
}

/// A node whose model was made of the first frames, and that trains no more.
fn taught(dir: &std::path::Path, window: &Window) -> Node {
    let mut config = config(dir);
    (config.training.settled_s, config.training.interval_s) = (60.0, 1e9);
    let node = Node::start(&config, Roles { collect: false }).unwrap();
    let handle = node.handle();
    handle.ingest(part(window, 0..TAUGHT)).unwrap();
    until("trained", || handle.instance(&window.instance).is_ok_and(|one| one.learning.model_version >= 1));
    // Until the first model of half a minute has been replaced by the one that is settled.
    until("settled", || {
        handle
            .models(&window.instance)
            .is_ok_and(|lines| lines.first().is_some_and(|line| line.champion.is_some()))
    });
    node
}

/// Records of some rows.
fn part(window: &Window, rows: std::ops::Range<usize>) -> Vec<Record> {
    let mut some = Window::new(window.instance.clone(), window.schema.clone());
    let mut values = Vec::new();
    for row in rows {
        window.frame(row, &mut values);
        some.push(window.times[row], &values);
    }
    records(&some, Origin::default())
}

/// Stored scores by time.
fn scores(handle: &Handle) -> BTreeMap<i64, f64> {
    let query = WindowQuery {
        instance: InstanceId::new(ID),
        metrics: vec!["foretwin.anomaly.score".into()],
        from: Timestamp::from_seconds(1_699_999_000.0),
        to: Timestamp::from_seconds(1_700_010_000.0),
        points: 20_000,
    };
    let series = handle.window(&query).unwrap().series;
    let points = series.iter().flat_map(|one| one.at_us.iter().copied().zip(one.observed.iter().copied()));
    points.filter(|(_, score)| score.is_finite()).collect()
}

#[test]
fn a_rollback_under_load_switches_within_a_second_and_loses_no_score() {
    let dir = tempfile::tempdir().unwrap();
    let window = recording(ID, (0..ALL).map(breathing));
    let node = taught(dir.path(), &window);
    let (handle, line) = (node.handle(), ModelLine { instance: window.instance.clone(), schema: None });
    let first = handle.models(&line.instance).unwrap()[0].champion.unwrap();
    let file = handle.export_model(&line, first).unwrap();
    let second = handle.import_model(&line, &file).unwrap();

    let (sent, done, seen) = (AtomicUsize::new(TAUGHT), AtomicBool::new(false), Mutex::new(BTreeMap::new()));
    let changes = std::thread::scope(|scope| {
        scope.spawn(|| {
            for row in TAUGHT..ALL {
                handle.ingest(part(&window, row..row + 1)).unwrap();
                sent.store(row, Ordering::SeqCst);
            }
            done.store(true, Ordering::SeqCst);
        });
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                if let Some(judged) = handle.instance(&line.instance).unwrap().judgement {
                    seen.lock().unwrap().insert(judged.at, judged.model_version);
                }
                std::thread::sleep(Duration::from_micros(500));
            }
        });
        let mut changes = Vec::new();
        for (after, version) in [(350, second), (500, first), (650, second)] {
            until("so far", || sent.load(Ordering::SeqCst) >= after);
            match version == first {
                true => handle.rollback_model(&line, "test").unwrap(),
                false => handle.promote_model(&line, version, "test").unwrap(),
            };
            changes.push((window.times[sent.load(Ordering::SeqCst)], version));
        }
        changes
    });

    let seen = seen.into_inner().unwrap();
    assert!(seen.len() > (ALL - TAUGHT) / 2, "only {} judgements were looked at", seen.len());
    for (n, &(at, version)) in changes.iter().enumerate() {
        // The frame that was sent while the change was made may still have been judged by the other one.
        let from = at + 2 * SECOND_US;
        let to = changes.get(n + 1).map_or(Timestamp(i64::MAX), |&(next, _)| next - 30 * SECOND_US);
        let judged: Vec<u64> = seen.range(from..to).map(|(_, version)| *version).collect();
        assert!(judged.len() > 20 && judged.iter().all(|&one| one == version), "change {n}: {judged:?}");
    }
    until("all stored", || {
        scores(&handle).last_key_value().is_some_and(|(&at, _)| at == window.times[ALL - 1].0)
    });
    let scores = scores(&handle);
    let missing: Vec<usize> =
        (TAUGHT..ALL).filter(|&row| !scores.contains_key(&window.times[row].0)).collect();
    assert!(missing.is_empty(), "frames {missing:?} have no score");
    // Both versions are the same model: where states are warm, nothing jumps when they change.
    assert!(scores.values().all(|&score| score < 1.0), "a change of models made an alarm");
    node.stop().unwrap();
}

/// A rollback holds: the schedule goes by the newest version, not by the one that judges; and a restart keeps it.
#[test]
fn a_rollback_holds_and_outlives_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let window = recording(ID, (0..ALL).map(breathing));
    let node = taught(dir.path(), &window);
    let (handle, line) = (node.handle(), ModelLine { instance: window.instance.clone(), schema: None });
    let first = handle.models(&line.instance).unwrap()[0].champion.unwrap();
    let second = handle.import_model(&line, &handle.export_model(&line, first).unwrap()).unwrap();
    handle.promote_model(&line, second, "better").unwrap();
    handle.rollback_model(&line, "worse").unwrap();
    handle.ingest(part(&window, TAUGHT..ALL / 2)).unwrap();
    until("judged", || {
        handle.instance(&line.instance).unwrap().judgement.is_some_and(|one| one.model_version == first)
    });
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(handle.models(&line.instance).unwrap()[0].champion, Some(first), "trained again at once");
    node.stop().unwrap();

    let mut config = config(dir.path());
    config.training.interval_s = 1e9;
    let node = Node::start(&config, Roles { collect: false }).unwrap();
    node.handle().ingest(part(&window, ALL / 2..ALL)).unwrap();
    until("judged after a restart", || {
        let view = node.handle().instance(&window.instance);
        view.is_ok_and(|one| one.judgement.is_some_and(|judged| judged.model_version == first))
    });
    node.stop().unwrap();
}
