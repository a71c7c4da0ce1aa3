//! Reading the same of many instances gives what reading each of them gives.

use foretwin_core::{InstanceId, Rng, Timestamp};
use foretwin_disk::SimDisk;
use foretwin_store::{Query, Statistic, Store};

use crate::world::{Log, frame, open, schemas, second, small};

/// Instances whose names lie side by side in one partition, enough for several blocks.
fn neighbours() -> Vec<InstanceId> {
    let named = (0..4000).map(|n| InstanceId::new(&format!("n{n:04}")));
    named.filter(|id| id.partition().0 == 7).collect()
}

/// Some rounds in sealed files, some in hot ones, the last in memory.
fn filled(store: &Store, all: &[InstanceId]) {
    let (mut log, schemas, mut rng) = (Log::default(), schemas(), Rng::new(1));
    for round in 0..4 {
        for (n, id) in all.iter().enumerate() {
            // One of them has none of the first schema.
            for schema in schemas.iter().skip(usize::from(n == 3)).take(2) {
                let times = round * 200..round * 200 + 150 + n as i64 % 3;
                let frames: Vec<_> = times.map(|at| (second(at), frame(schema, at, &mut rng))).collect();
                log.frames(id, schema, &frames);
            }
        }
        log.replay(store);
        match round {
            0 => {
                store.flush(second(160)).unwrap();
                while store.maintain(second(400)).unwrap().again() {}
            }
            1 | 2 => drop(store.flush(second(round * 200 + 200)).unwrap()),
            _ => {}
        }
    }
}

#[test]
fn many_at_once_read_as_one_by_one() {
    let (disk, schemas, all) = (SimDisk::new(1), schemas(), neighbours());
    let (store, _) = open(&disk, &small());
    assert!(all.len() > 40, "{}", all.len());
    filled(&store, &all);
    assert!(store.stats().hot_files > 1 && store.stats().sealed_files > 0, "{:?}", store.stats());
    // In any order, with gaps, one elsewhere, and one that nobody knows.
    let mut asked: Vec<InstanceId> = all.iter().rev().step_by(2).cloned().collect();
    asked.extend([InstanceId::new("nobody"), all[3].clone(), InstanceId::new("n0003/inner")]);
    for (from, to, max_points) in
        [(0, 800, None), (120, 640, None), (0, 800, Some(10)), (100, 700, Some(100_000))]
    {
        let like = Query {
            schema: Some(schemas[0].id()),
            metrics: Some(vec!["work".into()]),
            max_points,
            statistic: Statistic::Maximum,
            ..Query::new(InstanceId::new("any"), second(from), second(to))
        };
        let each = store.read_each(&asked, &like).unwrap();
        for (id, window) in asked.iter().zip(each) {
            let alone = store.read(&Query { instance: id.clone(), ..like.clone() }).unwrap();
            assert_eq!(window.as_ref(), alone.first(), "{id} {max_points:?}");
        }
    }
    let nothing = Query::new(all[0].clone(), Timestamp(0), second(800));
    assert!(store.read_each(&all, &nothing).unwrap().iter().all(Option::is_none), "no schema is named");
}
