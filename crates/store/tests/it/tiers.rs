//! Downsampled reads agree with the frames they stand for, wherever these lie by now.

use foretwin_core::{InstanceId, Timestamp};
use foretwin_disk::SimDisk;
use foretwin_store::{Query, Statistic, Store};

use crate::world::{Log, open, second, small, telemetry};

const HOURS: i64 = 30;

/// Mean, minimum or maximum of `used`, and the last of `work`, straight from the log.
fn expected(log: &Log, width: i64, statistic: Statistic) -> Vec<(Timestamp, f64)> {
    let mut groups = std::collections::BTreeMap::<i64, Vec<f64>>::new();
    for ((_, _, at), values) in log.truth() {
        let group = groups.entry(at.0.div_euclid(width * 1_000_000) * width * 1_000_000).or_default();
        if !values[0].is_missing() {
            group.push(values[0].0 as f64);
        }
    }
    let one = |values: &[f64]| match statistic {
        Statistic::Mean => values.iter().sum::<f64>() / values.len() as f64,
        Statistic::Minimum => values.iter().copied().fold(f64::INFINITY, f64::min),
        Statistic::Maximum => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
    };
    groups.iter().map(|(at, values)| (Timestamp(*at), one(values))).collect()
}

fn read(store: &Store, points: i64, statistic: Statistic) -> Vec<(Timestamp, f64)> {
    let query = Query {
        metrics: Some(vec!["used".into()]),
        max_points: Some(points as usize),
        statistic,
        ..Query::new(InstanceId::new("b"), second(0), second(HOURS * 3600))
    };
    let window = store.read(&query).unwrap().remove(0);
    window.times.iter().copied().zip(window.numbers("used").unwrap()).collect()
}

#[test]
fn coarse_reads_agree_with_the_frames_at_every_stage() {
    let (disk, mut log) = (SimDisk::new(1), Log::default());
    let config = foretwin_store::Config { span_s: 3600, ..small() };
    let (store, _) = open(&disk, &config);
    let check = |store: &Store, log: &Log, stage: &str| {
        for statistic in [Statistic::Mean, Statistic::Minimum, Statistic::Maximum] {
            for width in [30, 60, 900, 3600, 7200] {
                let read = read(store, HOURS * 3600 / width, statistic);
                let expected = expected(log, width, statistic);
                assert_eq!(read.len(), expected.len(), "{stage}, {width} s");
                for (read, expected) in read.iter().zip(&expected) {
                    assert_eq!(read.0, expected.0, "{stage}, {width} s");
                    let near = (read.1 - expected.1).abs() <= 1e-9 * expected.1.abs();
                    assert!(near, "{stage}, {width} s: {read:?} {expected:?}");
                }
            }
        }
    };
    for hour in 0..HOURS {
        // Ten minutes of each hour are enough; the flush falls amid a minute.
        telemetry(&["x", "b"], hour * 3600, 600, &mut log);
        let late: Vec<_> = log.records.drain(..).collect();
        log.records = late.into_iter().filter(|(_, record)| !is_of_x(record)).collect();
        log.replay(&store);
        store.flush(second(hour * 3600 + 615)).unwrap();
        store.maintain(second(hour * 3600 + 616)).unwrap();
    }
    check(&store, &log, "some hot, some sealed");
    while store.maintain(second((HOURS + 1) * 3600)).unwrap().again() {}
    check(&store, &log, "sealed");
    while store.maintain(second(80 * 3600)).unwrap().again() {}
    assert_eq!(store.stats().hot_files, 1);
    check(&store, &log, "merged");
    drop(store);
    let (store, recovery) = open(&disk, &config);
    assert_eq!((recovery.superseded, recovery.damages.len()), (0, 0));
    check(&store, &log, "opened again");
}

/// The schema with `used` is the second one, which the second name gets.
fn is_of_x(record: &foretwin_core::Record) -> bool {
    matches!(record, foretwin_core::Record::Batch(batch) if batch.instances()[0].as_str() == "x")
}

#[test]
fn few_frames_come_as_they_are() {
    let (disk, mut log) = (SimDisk::new(1), Log::default());
    telemetry(&["a"], 0, 50, &mut log);
    let (store, _) = open(&disk, &small());
    log.replay(&store);
    let exact = Query::new(InstanceId::new("a"), second(0), second(1000));
    let few = Query { max_points: Some(100), ..exact.clone() };
    assert_eq!(store.read(&few).unwrap(), store.read(&exact).unwrap());
    let fewer = Query { max_points: Some(20), ..exact };
    assert_eq!(store.read(&fewer).unwrap()[0].len(), 1);
}
