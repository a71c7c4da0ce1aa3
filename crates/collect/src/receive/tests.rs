//! Senders that split, repeat, reorder, churn and restart, and a store that remembers all of it.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, HashSet};

use foretwin_core::SECOND_US;
use foretwin_wire::series::Origin;
use proptest::prelude::*;

use super::*;

/// A store: of frames of one moment the last stays, as in the real one.
#[derive(Default)]
struct Stored {
    schemas: HashMap<SchemaId, Arc<Schema>>,
    frames: BTreeMap<(InstanceId, SchemaId, Timestamp), Vec<Value>>,
    instances: Vec<Instance>,
}

impl Sink for Stored {
    fn instance(&mut self, instance: &Instance) {
        self.instances.push(instance.clone());
    }
    fn vanished(&mut self, _: &InstanceId, _: Timestamp) {}
    fn frame(&mut self, instance: &InstanceId, schema: &Arc<Schema>, at: Timestamp, values: &[Value]) {
        self.schemas.insert(schema.id(), schema.clone());
        self.frames.insert((instance.clone(), schema.id(), at), values.to_vec());
    }
}

struct Remembered<'a>(&'a Stored);

impl Past for Remembered<'_> {
    fn schemas(&self, instance: &InstanceId) -> Vec<(Arc<Schema>, Timestamp)> {
        let mut newest: BTreeMap<SchemaId, Timestamp> = BTreeMap::new();
        for (owner, schema, at) in self.0.frames.keys().filter(|(owner, ..)| owner == instance) {
            let _ = owner;
            newest.insert(*schema, *at);
        }
        newest.into_iter().map(|(id, at)| (self.0.schemas[&id].clone(), at)).collect()
    }
    fn frame(&self, instance: &InstanceId, schema: SchemaId, at: Timestamp) -> Option<Vec<Value>> {
        self.0.frames.get(&(instance.clone(), schema, at)).cloned()
    }
    fn describes(&self, _: &InstanceId) -> bool {
        false
    }
}

impl Stored {
    /// Every sample, by series.
    fn samples(&self) -> BTreeMap<(String, i64), f64> {
        let mut all = BTreeMap::new();
        for ((_, schema, at), values) in &self.frames {
            let metrics = self.schemas[schema].metrics();
            for (metric, value) in metrics.iter().zip(values).skip(1).filter(|(_, value)| !value.is_missing())
            {
                let before = all.insert((metric.key(), at.0), value.to_f64(metric.storage));
                assert!(before.is_none(), "{} of {at} is there twice", metric.key());
            }
        }
        all
    }

    /// Schemas in the order of their first frames.
    fn versions(&self) -> usize {
        self.frames.keys().map(|(_, schema, _)| schema).collect::<HashSet<_>>().len()
    }
}

fn second(n: i64) -> Timestamp {
    Timestamp(1_700_000_000_000_000 + n * SECOND_US)
}

fn series(name: &str, at: i64, value: f64) -> Series {
    let labels = [("instance", "h:1"), ("job", "j")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    Series {
        name: name.into(),
        labels: labels.into(),
        points: vec![(second(at), value)],
        ..Series::default()
    }
}

fn of(series: Vec<Series>) -> (Protocol, Arrival) {
    let origins = vec![Origin { resource: Vec::new(), series }];
    (Protocol::Prometheus, Arrival { origins, ..Arrival::default() })
}

/// Takes a request, and makes it durable.
fn send(receiver: &mut Receiver, stored: &mut Stored, series: Vec<Series>) -> Taken {
    let now = series.iter().map(|one| one.points[0].0).max().unwrap();
    let mut sink = Stored::default();
    let taken = receiver.take(of(series), now, &Remembered(stored), &mut sink);
    receiver.settle(&taken);
    stored.schemas.extend(sink.schemas);
    stored.frames.extend(sink.frames);
    stored.instances.extend(sink.instances);
    taken
}

/// A scrape of `count` series, split into requests as remote write does it.
fn scrape(receiver: &mut Receiver, stored: &mut Stored, (at, count): (i64, usize)) {
    let all: Vec<Series> = (0..count).map(|n| series(&format!("s{n}"), at, n as f64)).collect();
    // Where a request ends has nothing to do with where a scrape begins.
    let (first, rest) = all.split_at((37 * at.unsigned_abs() as usize + 11) % count);
    for part in [first, rest].into_iter().flat_map(|part| part.chunks(100)) {
        send(receiver, stored, part.to_vec());
    }
}

#[test]
fn a_scrape_in_parts_settles_into_one_schema_with_every_sample() {
    let (mut receiver, mut stored) = (Receiver::new(Config::default()), Stored::default());
    for n in 0..60 {
        scrape(&mut receiver, &mut stored, (15 * n, 250));
    }
    assert_eq!(stored.samples().len(), 60 * 250);
    assert_eq!(stored.instances.len(), 1);
    // Blocks of the first requests, and then the one that all of them became.
    let last: Vec<_> = stored.frames.keys().filter(|(.., at)| *at == second(15 * 59)).collect();
    assert_eq!(last.len(), 1);
    assert!(stored.versions() <= 5, "{}", stored.versions());
    assert_eq!(stored.schemas[&last[0].1].width(), 251);
}

#[test]
fn a_restart_goes_on_with_the_schema_there_was() {
    let (mut receiver, mut stored) = (Receiver::new(Config::default()), Stored::default());
    for n in 0..20 {
        scrape(&mut receiver, &mut stored, (15 * n, 250));
    }
    let versions = stored.versions();
    let mut receiver = Receiver::new(Config::default());
    // The first request after the start brings the second half of a scrape whose first half is stored.
    let halves: Vec<Series> = (0..250).map(|n| series(&format!("s{n}"), 300, 1.0)).collect();
    send(&mut receiver, &mut stored, halves[..120].to_vec());
    let mut receiver_after = Receiver::new(Config::default());
    send(&mut receiver_after, &mut stored, halves[120..].to_vec());
    assert_eq!(stored.versions(), versions);
    assert_eq!(stored.samples().len(), 21 * 250);
    // A sender that did not hear the answers sends everything again, to a node that has forgotten which parts it had.
    for n in 0..20 {
        scrape(&mut receiver_after, &mut stored, (15 * n, 250));
    }
    assert_eq!(stored.versions(), versions);
    assert_eq!(stored.samples().len(), 21 * 250);
}

#[test]
fn series_that_come_and_go_make_few_schemas_and_lose_nothing() {
    let (mut receiver, mut stored) = (Receiver::new(Config::default()), Stored::default());
    let mut sent = 0;
    for n in 0..400 {
        let mut all: Vec<Series> = (0..50).map(|s| series(&format!("s{s}"), 15 * n, 1.0)).collect();
        // Every 20 scrapes another name comes, and the one before goes.
        all.push(series(&format!("pod{}", n / 20), 15 * n, 1.0));
        sent += all.len();
        assert_eq!(send(&mut receiver, &mut stored, all).refused, 0);
    }
    assert_eq!(stored.samples().len(), sent);
    // A name makes a block of its own, and now and then all of them are one again.
    assert!(stored.versions() < 40, "{} schemas", stored.versions());
}

#[test]
fn names_that_change_all_the_time_are_refused_in_the_end() {
    let (mut receiver, mut stored) = (Receiver::new(Config::default()), Stored::default());
    let mut refused = 0;
    for n in 0..300 {
        let all = vec![series("steady", n, 1.0), series(&format!("once{n}"), n, 1.0)];
        let taken = send(&mut receiver, &mut stored, all);
        assert!(taken.stored >= 1, "what is known goes on");
        refused += taken.refused;
        assert!(taken.why.is_none_or(|why| why.contains("new series come all the time")));
    }
    assert!((200..240).contains(&refused), "{refused}");
}

#[test]
fn limits_refuse_what_is_beyond_them_and_name_themselves() {
    let config =
        Config { most_series_of_instance: 3, most_instances: 1, most_series: 10, ..Config::default() };
    let (mut receiver, mut stored) = (Receiver::new(config), Stored::default());
    let taken = send(&mut receiver, &mut stored, (0..5).map(|n| series(&format!("s{n}"), 1, 0.5)).collect());
    assert_eq!((taken.stored, taken.refused), (3, 2));
    assert!(taken.why.unwrap().contains("most_series_of_instance"));
    let mut other = series("s", 2, 1.0);
    other.labels[0].1 = "other:1".into();
    let taken = send(&mut receiver, &mut stored, vec![series("s0", 2, 1.0), other]);
    assert_eq!((taken.stored, taken.refused), (1, 1));
    assert!(taken.why.unwrap().contains("most_instances"));
    for bad in [series("", 1, 1.0), series(&"x".repeat(300), 1, 1.0), series("future", 1, 1.0)] {
        let mut sink = Stored::default();
        let taken = receiver.take(of(vec![bad]), second(-7200), &Remembered(&stored), &mut sink);
        assert_eq!((taken.refused, sink.frames.len()), (1, 0));
    }
}

#[test]
fn an_end_and_no_number_are_counted_and_leave_nothing() {
    let (mut receiver, mut stored) = (Receiver::new(Config::default()), Stored::default());
    let all = vec![series("a", 1, f64::NAN), series("b", 1, f64::INFINITY), series("c", 1, 2.0)];
    let taken = send(&mut receiver, &mut stored, all);
    assert_eq!((taken.stored, taken.not_numbers), (1, 2));
    assert_eq!(stored.samples().len(), 1);
}

#[test]
fn differences_are_added_up_once() {
    let (mut receiver, mut stored) = (Receiver::new(Config::default()), Stored::default());
    let delta = |at, value| Series { nature: Nature::Delta, ..series("d", at, value) };
    for (at, value) in [(1, 5.0), (2, 2.0), (2, 2.0), (1, 5.0), (3, 1.0)] {
        send(&mut receiver, &mut stored, vec![delta(at, value)]);
    }
    let values: Vec<f64> = stored.samples().into_values().collect();
    assert_eq!(values, [5.0, 7.0, 8.0]);
    let schema = stored.schemas.values().next().unwrap();
    assert_eq!(schema.metrics()[1].kind, foretwin_core::Kind::Counter);
}

#[test]
fn what_is_said_of_a_family_changes_the_schema_once() {
    let (mut receiver, mut stored) = (Receiver::new(Config::default()), Stored::default());
    for n in 0..20 {
        if n == 5 {
            let (protocol, mut arrival) = of(Vec::new());
            arrival.families = vec![("ops".into(), Nature::Counter), ("d".into(), Nature::Histogram)];
            receiver.take(
                (protocol, arrival),
                second(n),
                &Remembered(&Stored::default()),
                &mut Stored::default(),
            );
        }
        let mut bucket = series("d_bucket", n, 1.0);
        bucket.labels.push(("le".into(), "0.1".into()));
        send(&mut receiver, &mut stored, vec![series("ops", n, 1.0), series("d_sum", n, 1.0), bucket]);
    }
    assert_eq!(stored.samples().len(), 60);
    // Plain series before and after, and buckets, which no model sees.
    assert_eq!(stored.versions(), 3);
    let newest = stored.frames.keys().filter(|(.., at)| *at == second(19));
    for metric in newest.flat_map(|(_, schema, _)| &stored.schemas[schema].metrics()[1..]) {
        assert_eq!(metric.kind, foretwin_core::Kind::Counter, "{}", metric.key());
        assert_eq!(metric.role == foretwin_core::Role::Limit, metric.name == "d_bucket");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    /// Whatever the order of samples within a minute, however often they come, and wherever the log refused: each is
    /// stored once, at its time.
    #[test]
    fn every_sample_is_stored_once(
        order in Just((0..120usize).collect::<Vec<_>>()).prop_shuffle(),
        again in proptest::collection::vec(0usize..120, 0..30),
        sizes in proptest::collection::vec(1usize..30, 1..12),
        lost in proptest::collection::vec(any::<bool>(), 12),
        restart in 0usize..12,
    ) {
        let sample = |n: usize| series(&format!("s{}", n % 6), 2 * (n / 6) as i64, n as f64);
        let mut rest: Vec<usize> = order.iter().chain(&again).copied().collect();
        let (mut receiver, mut stored) = (Receiver::new(Config::default()), Stored::default());
        let (mut requests, mut size) = (0, sizes.iter().cycle());
        while !rest.is_empty() {
            let part: Vec<usize> = rest.drain(..rest.len().min(*size.next().unwrap())).collect();
            let all: Vec<Series> = part.iter().map(|&n| sample(n)).collect();
            if lost.get(requests) == Some(&true) {
                // The log refuses: nothing of it is durable, and the sender tries again.
                receiver.take(of(all.clone()), second(300), &Remembered(&stored), &mut Stored::default());
            }
            if requests == restart {
                receiver = Receiver::new(Config::default());
            }
            send(&mut receiver, &mut stored, all);
            requests += 1;
        }
        let samples = stored.samples();
        prop_assert_eq!(samples.len(), 120);
        for n in 0..120 {
            let key = (format!("s{}", n % 6), second(2 * (n / 6) as i64).0);
            prop_assert_eq!(samples.get(&key), Some(&(n as f64)));
        }
    }
}
