//! Many instances of one workload: one model for all, for those who wait and those who come later.

use foretwin_core::{
    Batch, Instance, InstanceId, InstanceKind, Metric, Origin, Phase, Record, Role, Schema, Timestamp, Value,
};
use foretwin_engine::Handle;

use super::world::{quiet, until};

const WIDTH: usize = 3;

fn schema() -> std::sync::Arc<Schema> {
    Schema::new((0..WIDTH).map(|n| Metric::gauge(&format!("g{n}"), "1", Role::Saturation)).collect())
}

fn replica(n: usize) -> Instance {
    Instance::new(&format!("node/replica-{n}"), InstanceKind::Container, "node", "image:shop")
}

/// A batch of frames of all these replicas, second by second; partitions and rows are mixed as a gateway mixes them.
fn frames(replicas: std::ops::Range<usize>, seconds: std::ops::Range<i64>, sequence: u64) -> Record {
    let origin = Origin { source: 5, epoch: 1, sequence };
    let mut batch = Batch::new(schema().id(), WIDTH).from_origin(origin);
    for second in seconds {
        for n in replicas.clone() {
            let wave = 1000.0 + 200.0 * ((second + 7 * n as i64) as f64 / 9.0).sin();
            let noise = (second * 7919 + n as i64 * 104_729) % 31;
            let frame = [wave as u64, wave as u64 / 2 + noise as u64, 500 + noise as u64].map(Value);
            let at = Timestamp::from_seconds(1_700_000_000.0 + second as f64);
            batch.push(&replica(n).id, at, &frame).unwrap();
        }
    }
    Record::Batch(batch)
}

fn counted(handle: &Handle, name: &str) -> f64 {
    let page = handle.exposition();
    let line = page.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

fn is_scored(handle: &Handle, n: usize) -> bool {
    handle.instance(&replica(n).id).is_ok_and(|view| view.score.is_some())
}

#[test]
fn a_cohort_trains_once_and_its_model_reaches_the_waiting_and_the_new() {
    let dir = tempfile::tempdir().unwrap();
    let node = quiet(dir.path());
    let handle = node.handle();
    let known = (0..20).map(|n| Record::Instance(replica(n)));
    handle.ingest(std::iter::once(Record::Schema(schema())).chain(known).collect()).unwrap();

    // All of them gather frames before there is any model.
    handle.ingest(vec![frames(0..20, 0..40, 1)]).unwrap();
    until("trained", || counted(&handle, "foretwin_models_trained_total") >= 1.0);
    handle.ingest(vec![frames(0..20, 40..50, 2)]).unwrap();
    until("the waiting are scored", || (0..20).all(|n| is_scored(&handle, n)));

    // One that nobody had heard of is judged from its first few frames on.
    handle.ingest(vec![Record::Instance(replica(20)), frames(20..21, 40..50, 3)]).unwrap();
    until("the new one is scored", || is_scored(&handle, 20));
    let new = handle.instance(&replica(20).id).unwrap();
    assert_eq!((new.learning.phase, new.learning.model_version), (Phase::Provisional, 1));

    // One that is known by its frames alone takes the model as soon as it says what it runs.
    handle.ingest(vec![frames(21..22, 40..50, 4)]).unwrap();
    until("seen", || handle.instance(&replica(21).id).is_ok());
    assert!(!is_scored(&handle, 21));
    handle.ingest(vec![Record::Instance(replica(21)), frames(21..22, 50..60, 5)]).unwrap();
    until("the named one is scored", || is_scored(&handle, 21));

    assert_eq!(counted(&handle, "foretwin_models_trained_total"), 1.0, "one training for all");
    node.stop().unwrap();
}

#[test]
fn two_workers_keep_the_order_of_every_partition() {
    let dir = tempfile::tempdir().unwrap();
    let node = quiet(dir.path());
    let handle = node.handle();
    let known = (0..100).map(|n| Record::Instance(replica(n)));
    handle.ingest(std::iter::once(Record::Schema(schema())).chain(known).collect()).unwrap();
    for second in 0..30 {
        handle.ingest(vec![frames(0..100, second..second + 1, 1 + second as u64)]).unwrap();
    }
    until("applied", || counted(&handle, "foretwin_frames_total") >= 3000.0);
    assert_eq!(counted(&handle, "foretwin_late_frames_total"), 0.0, "a frame overtook another");
    for n in 0..100 {
        let query = foretwin_engine::WindowQuery {
            instance: InstanceId::new(&format!("node/replica-{n}")),
            metrics: vec!["g0".into()],
            from: Timestamp(0),
            to: Timestamp(i64::MAX / 2),
            points: 1000,
        };
        // The last batch may still be on its way from the judgement to the store.
        until("stored", || handle.window(&query).is_ok_and(|view| view.series[0].at_us.len() == 30));
        assert!(handle.window(&query).unwrap().series[0].at_us.is_sorted());
    }
    node.stop().unwrap();
}
