//! What was applied is read back: any mix, before and after every step.

use std::sync::Arc;

use foretwin_core::{
    Batch, Failure, FailureMode, Instance, InstanceId, InstanceKind, MISSING, Record, Timestamp, Value,
};
use foretwin_disk::{OsDisk, SimDisk};
use foretwin_store::{Error, Query, Store};
use proptest::prelude::*;

use crate::world::{DIR, Log, contents, frame, open, schemas, second, small, telemetry};

#[derive(Debug, Clone)]
enum Step {
    Frames { instance: usize, schema: usize, times: Vec<i64>, seed: u64 },
    Flush,
    Maintain,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let frames = (0usize..4, 0usize..3, prop::collection::vec(-50i64..400, 1..40), any::<u64>());
    let step = prop_oneof![
        6 => frames.prop_map(|(instance, schema, times, seed)| Step::Frames { instance, schema, times, seed }),
        2 => Just(Step::Flush),
        2 => Just(Step::Maintain),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..25)
}

/// Values of every kind: bits that mean nothing in particular, ordinary numbers, NaN and gaps.
fn odd_frame(width: usize, rng: &mut foretwin_core::Rng) -> Vec<Value> {
    let value = |rng: &mut foretwin_core::Rng| match rng.below(5) {
        0 => MISSING,
        1 => Value(rng.next_u64()),
        2 => Value::float(f64::NAN),
        3 => Value::float(rng.normal()),
        _ => Value(rng.below(3)),
    };
    (0..width).map(|_| value(rng)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn every_mix_comes_back(steps in steps()) {
        let (disk, schemas) = (SimDisk::new(1), schemas());
        let (mut store, _) = open(&disk, &small());
        let (mut log, mut now) = (Log::default(), 100);
        for step in steps {
            now += 37;
            match step {
                Step::Frames { instance, schema, times, seed } => {
                    let mut rng = foretwin_core::Rng::new(seed);
                    let instance = InstanceId::new(["a", "b", "b/c", "long/name/of/a/group"][instance]);
                    let schema = &schemas[schema];
                    let frames: Vec<_> =
                        times.iter().map(|&at| (Timestamp(at), odd_frame(schema.width(), &mut rng))).collect();
                    log.frames(&instance, schema, &frames);
                    log.replay(&store);
                }
                Step::Flush => { store.flush(second(now)).unwrap(); }
                Step::Maintain => { store.maintain(second(now)).unwrap(); }
                Step::Reopen => {
                    drop(store);
                    let recovery;
                    (store, recovery) = open(&disk, &small());
                    prop_assert_eq!(recovery.damages, vec![]);
                    log.replay(&store);
                }
            }
            prop_assert_eq!(contents(&store), log.truth());
        }
        prop_assert_eq!(store.damage(), vec![]);
    }
}

#[test]
fn parts_of_a_window_are_read() {
    let (disk, mut log) = (SimDisk::new(1), Log::default());
    telemetry(&["a", "b"], 0, 300, &mut log);
    let (store, _) = open(&disk, &small());
    log.replay(&store);
    let query = Query {
        metrics: Some(vec!["level".into(), "no such".into(), "used".into()]),
        ..Query::new(InstanceId::new("b"), second(100), second(103))
    };
    let before = store.read(&query).unwrap();
    assert_eq!(before[0].times, [100, 101, 102].map(second));
    let keys: Vec<_> = before[0].schema.metrics().iter().map(|metric| metric.key()).collect();
    assert_eq!(keys, ["used", "level"]);
    store.flush(second(300)).unwrap();
    assert_eq!(store.read(&query).unwrap(), before);
    assert_eq!(store.maintain(second(400)).unwrap().sealed_files, 1);
    assert_eq!(store.read(&query).unwrap(), before);
    assert!(store.read(&Query { metrics: Some(vec!["x".into()]), ..query }).unwrap().is_empty());
}

#[test]
fn what_is_known_of_an_instance_survives() {
    let (disk, mut log) = (SimDisk::new(1), Log::default());
    let id = InstanceId::new("a");
    log.push(id.partition(), Record::Instance(Instance::new("a", InstanceKind::Host, "a", "host:a")));
    telemetry(&["a"], 0, 100, &mut log);
    let failure = Failure {
        instance: id.clone(),
        at: second(90),
        mode: FailureMode::MemoryExhaustion,
        note: "x".into(),
    };
    log.push(id.partition(), Record::Failure(failure.clone()));
    log.push(id.partition(), Record::Vanished { instance: id.clone(), at: second(101) });
    for sealed in [false, true] {
        let (store, _) = open(&disk, &small());
        log.replay(&store);
        store.flush(second(101)).unwrap();
        if sealed {
            // The second flush lets the first hot file go, and with it what it said of the catalog.
            store.maintain(second(500)).unwrap();
            telemetry(&["b"], 500, 10, &mut log);
            log.replay(&store);
            store.flush(second(510)).unwrap();
            store.maintain(second(511)).unwrap();
        }
        drop(store);
        let (store, recovery) = open(&disk, &small());
        assert_eq!(recovery.applied[id.partition().index()], store.applied(id.partition()));
        assert_eq!(store.instance(&id).unwrap().vanished, Some(second(101)));
        assert_eq!(store.failures(), std::slice::from_ref(&failure));
        assert_eq!(store.instance_span(&id).unwrap(), Some((second(0), second(99))));
        let latest = store.latest(&id).unwrap();
        assert_eq!(latest[0].times, [second(99)]);
        assert_eq!(store.schemas(&id).len(), 1);
    }
}

#[test]
fn derived_frames_are_flushed_with_what_they_follow_from() {
    let (disk, mut log) = (SimDisk::new(1), Log::default());
    telemetry(&["a"], 0, 20, &mut log);
    let (store, _) = open(&disk, &small());
    let (id, score) = (InstanceId::new("a"), schemas().remove(2));
    for (position, record) in &log.records {
        if matches!(record, Record::Batch(_)) {
            let mut scores = Batch::new(score.id(), 1);
            scores.push(&id, second(position.offset as i64), &[Value::float(0.5)]).unwrap();
            store.append_derived(id.partition(), &score, &scores).unwrap();
        }
        store.apply(*position, record).unwrap();
    }
    let wrong = store.append_derived(id.partition(), &score, &Batch::new(score.id(), 2));
    assert!(matches!(wrong, Err(Error::Width { .. })));
    let mut foreign = Batch::new(score.id(), 1);
    foreign.push(&id, second(1), &[Value::float(0.5)]).unwrap();
    let elsewhere = foretwin_core::Partition((id.partition().0 + 1) % 64);
    let wrong = store.append_derived(elsewhere, &score, &foreign);
    assert!(matches!(wrong, Err(Error::Misplaced { .. })));
    let before = contents(&store);
    store.flush(second(20)).unwrap();
    drop(store);
    let (store, _) = open(&disk, &small());
    assert_eq!(contents(&store), before);
    assert_eq!(store.schemas(&id).len(), 2);
}

#[test]
fn what_no_reader_would_find_is_refused() {
    let (disk, mut log) = (SimDisk::new(1), Log::default());
    let (store, _) = open(&disk, &small());
    let (a, schema) = (InstanceId::new("a"), schemas().remove(0));
    let mut rng = foretwin_core::Rng::new(1);
    log.frames(&a, &schema, &[(second(1), frame(&schema, 1, &mut rng))]);
    let (_, batch) = log.records.pop().unwrap();
    let mut position = log.records[0].0;
    assert!(matches!(store.apply(position, &batch), Err(Error::UnknownSchema { .. })));
    assert_eq!(store.applied(a.partition()), 1, "it is not asked for again");
    position.offset = 1;
    store.apply(position, &log.records[0].1).unwrap();
    let mut elsewhere = position;
    elsewhere.partition.0 = (elsewhere.partition.0 + 1) % 64;
    assert!(matches!(store.apply(elsewhere, &batch), Err(Error::Misplaced { .. })));
    assert_eq!(store.stats().refused_batches, 2);
    assert!(contents(&store).is_empty());
}

#[test]
fn workers_readers_and_maintenance_share_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, names) = (Log::default(), ["a", "b", "c", "d"]);
    telemetry(&names, 0, 2000, &mut log);
    let truth = log.truth();
    let (store, _) = Store::open(Arc::new(OsDisk), &dir.path().join(&DIR[1..]), small()).unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let maintenance = scope.spawn(|| {
            let mut now = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                now += 31;
                store.flush(second(now)).unwrap();
                store.maintain(second(now)).unwrap();
            }
        });
        let reader = scope.spawn(|| {
            let mut before = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let now = contents(&store);
                assert!(now.len() >= before, "frames do not disappear for a moment");
                assert!(now.iter().all(|(key, values)| truth.get(key) == Some(values)));
                before = now.len();
            }
        });
        log.replay(&store);
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        maintenance.join().unwrap();
        reader.join().unwrap();
    });
    assert_eq!(contents(&store), truth);
    assert_eq!(store.damage(), []);
}
