//! Too much: a full disk, old files, many bytes, one loud instance.

use foretwin_core::{InstanceId, Timestamp};
use foretwin_disk::SimDisk;
use foretwin_store::{Config, Error, Query, Tiers};

use crate::world::{Log, contents, open, second, small, telemetry};

#[test]
fn a_full_disk_keeps_memory_until_there_is_room() {
    let (disk, mut log) = (SimDisk::new(1), Log::default());
    let config = Config { flush_bytes: 10_000, head_limit_bytes: 60_000, ..small() };
    let (store, _) = open(&disk, &config);
    telemetry(&["a", "b"], 0, 600, &mut log);
    log.replay(&store);
    disk.set_capacity_bytes(500);
    let error = store.flush(second(600)).unwrap_err();
    assert!(error.to_string().contains("free space"), "{error}");
    assert_eq!(contents(&store), log.truth(), "memory still answers");
    assert_eq!(store.durable(), [0; 64]);
    telemetry(&["a", "b"], 600, 2000, &mut log);
    let refused = log.records.iter().find_map(|(position, record)| store.apply(*position, record).err());
    assert!(matches!(refused, Some(Error::HeadFull { .. })));
    let held = store.stats().head_bytes;
    assert!(held < 62_000, "{held}");
    disk.set_capacity_bytes(1 << 30);
    store.flush(second(700)).unwrap();
    assert_eq!(store.stats().head_bytes, 0);
    for chunk in log.records.chunks(20) {
        chunk.iter().for_each(|(position, record)| store.apply(*position, record).unwrap());
        store.flush(second(700)).unwrap();
    }
    assert_eq!(contents(&store), log.truth());
    drop(store);
    assert_eq!(contents(&open(&disk, &config).0), log.truth());
    assert_eq!(open(&disk, &config).1.damages, []);
}

#[test]
fn old_files_go_and_tiers_stay() {
    let (disk, mut log) = (SimDisk::new(1), Log::default());
    let config = Config { retention_days: 2, tiers: Tiers { minute_days: 5, hour_days: 400 }, ..small() };
    let (store, _) = open(&disk, &config);
    let day = 86_400;
    for n in 0..10 {
        telemetry(&["a"], n * day, 120, &mut log);
        log.replay(&store);
        store.flush(second(n * day + 120)).unwrap();
        while store.maintain(second(n * day + 300)).unwrap().again() {}
    }
    store.maintain(second(10 * day)).unwrap();
    let raw = contents(&store);
    let first = raw.keys().map(|(_, _, at)| *at).min().unwrap();
    assert_eq!(first, second(8 * day), "two days of raw frames");
    let minutes = |points| {
        let query = Query {
            max_points: Some(points),
            ..Query::new(InstanceId::new("a"), second(0), second(10 * day))
        };
        store.read(&query).unwrap().remove(0).times
    };
    assert_eq!(minutes(10 * 24 * 60).first(), Some(&second(0)), "hours of the first day are left");
    assert_eq!(minutes(10 * 24).len(), 10, "one hour each day");
    store.maintain(second(500 * day)).unwrap();
    store.maintain(second(500 * day)).unwrap();
    assert_eq!(store.stats().tier_bytes, 0);
}

#[test]
fn the_oldest_raw_files_go_when_there_are_too_many_bytes() {
    let (disk, mut log) = (SimDisk::new(1), Log::default());
    let tiers = Tiers { minute_days: 0, ..Tiers::default() };
    let config = Config { retention_bytes: 10_000, tiers, ..small() };
    let (store, _) = open(&disk, &config);
    for n in 0..20 {
        telemetry(&["a"], n * 60, 60, &mut log);
        log.replay(&store);
        store.flush(second(n * 60 + 30)).unwrap();
        while store.maintain(second(n * 60 + 130)).unwrap().again() {}
    }
    let stats = store.stats();
    assert!(stats.raw_bytes + stats.hot_bytes + stats.tier_bytes <= 11_000, "{stats:?}");
    let raw = contents(&store);
    let times: Vec<Timestamp> = raw.keys().map(|(_, _, at)| *at).collect();
    assert_eq!(times.last(), Some(&second(1199)), "the newest are there");
    assert!(times.len() >= 120 && times.len() < 1200, "{}", times.len());
    assert!(times.windows(2).all(|pair| pair[1].since(pair[0]) == 1.0), "without a hole");
}

#[test]
fn an_instance_beyond_its_quota_is_thinned_and_others_are_not() {
    let (disk, mut log) = (SimDisk::new(1), Log::default());
    // Frames of `a` take 24 bytes.
    let config = Config { instance_quota_bytes: 24 * 100, ..small() };
    let (store, _) = open(&disk, &config);
    telemetry(&["a"], 0, 1000, &mut log);
    telemetry(&["b"], 0, 90, &mut log);
    telemetry(&["a"], 86_400, 90, &mut log);
    log.replay(&store);
    let kept = |name: &str, from, to| {
        let query = Query::new(InstanceId::new(name), second(from), second(to));
        store.read(&query).unwrap()[0].len()
    };
    assert_eq!(kept("a", 0, 1000), 100 + 15, "a hundred, then one a minute");
    assert_eq!(kept("b", 0, 1000), 90);
    assert_eq!(kept("a", 86_400, 90_000), 90, "a new day");
    assert_eq!(store.stats().thinned_frames, 885);
}
