//! Bits flip and files are cut: what is lost is named, the rest is read.

use std::path::{Path, PathBuf};

use foretwin_core::{InstanceId, Rng};
use foretwin_disk::{Disk, SimDisk};
use foretwin_store::Config;

use crate::world::{DIR, Log, Truth, contents, open, second, small, telemetry};

const NAMES: [&str; 4] = ["a", "b", "b/c", "d"];

/// A store with hot, raw, minute and hour files and a catalog, and what is in it.
fn aged(seed: u64) -> (SimDisk, Truth) {
    let (disk, mut log) = (SimDisk::new(seed), Log::default());
    let (store, _) = open(&disk, &config());
    for day in 0..2 {
        telemetry(&NAMES, day * 86_400, 120, &mut log);
        log.replay(&store);
        store.flush(second(day * 86_400 + 120)).unwrap();
        store.maintain(second(day * 86_400 + 300)).unwrap();
    }
    store.maintain(second(86_400 + 40_000)).unwrap();
    telemetry(&NAMES, 200_000, 60, &mut log);
    log.replay(&store);
    store.flush(second(200_000)).unwrap();
    // Lets go of the hot file that was the newest and so was kept until now.
    store.maintain(second(200_001)).unwrap();
    (disk, log.truth())
}

fn config() -> Config {
    Config { grace_s: 5, span_s: 60, ..small() }
}

fn files(disk: &SimDisk) -> Vec<PathBuf> {
    disk.list(Path::new(DIR)).unwrap()
}

fn kind(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().split('-').next().unwrap().into()
}

#[test]
fn there_is_a_file_of_every_kind() {
    let (disk, truth) = aged(1);
    let mut kinds: Vec<String> = files(&disk).iter().map(|path| kind(path)).collect();
    kinds.dedup();
    assert_eq!(kinds, ["catalog", "hot", "hour", "minute", "raw"]);
    assert_eq!(contents(&open(&disk, &config()).0), truth);
}

#[test]
fn one_flipped_bit_is_noticed_and_costs_at_most_its_own_part() {
    let kinds = files(&aged(1).0).len();
    let mut rng = Rng::new(5);
    for file in 0..kinds {
        for _ in 0..25 {
            let (disk, truth) = aged(1);
            let path = &files(&disk)[file];
            let bit = rng.below(8 * disk.length(path).unwrap());
            disk.flip_bit(path, bit).unwrap();
            let (store, _) = open(&disk, &config());
            let read = contents(&store);
            // Tiers are read by coarse queries only.
            for name in NAMES {
                let query = foretwin_store::Query {
                    max_points: Some(2),
                    ..foretwin_store::Query::new(InstanceId::new(name), second(0), second(260_000))
                };
                store.read(&query).unwrap();
            }
            let place = format!("bit {bit} of {}", path.display());
            // The magic in front of a file is never needed to read it, and schemas are in the catalog as well.
            let harmless = read == truth;
            assert!(harmless || !store.damage().is_empty(), "{place}: something is lost silently");
            for (key, values) in &read {
                let true_values = &truth[key];
                let same_or_missing = values.iter().zip(true_values).all(|(a, b)| a == b || a.is_missing());
                assert!(same_or_missing, "{place}: a wrong value was read");
            }
            let lost = truth.len() - read.len();
            assert!(lost <= truth.len() / 3, "{place}: {lost} of {} frames lost", truth.len());
        }
    }
}

#[test]
fn a_cut_file_is_named_and_the_others_are_read() {
    let kinds = files(&aged(1).0).len();
    for file in 0..kinds {
        let (disk, truth) = aged(1);
        let path = files(&disk)[file].clone();
        let length = disk.length(&path).unwrap();
        disk.cut(&path, length / 2).unwrap();
        let (store, recovery) = open(&disk, &config());
        assert!(recovery.damages.iter().any(|damage| damage.path == path), "{}", path.display());
        let read = contents(&store);
        assert!(read.iter().all(|(key, values)| truth[key] == *values), "{}", path.display());
        assert!(read.len() >= truth.len() / 2, "{}: {} of {}", path.display(), read.len(), truth.len());
        // Life goes on, and the name of the unreadable file is not used again.
        let mut log = Log::default();
        telemetry(&["new"], 300_000, 30, &mut log);
        log.replay(&store);
        store.flush(second(300_000)).unwrap();
        store.maintain(second(300_100)).unwrap();
        let (store, again) = open(&disk, &config());
        // Catalog and tiers are made anew from what is whole; what has no other source stays damaged.
        let named = again.damages.iter().any(|damage| damage.path == path);
        assert!(named || !["hot", "raw"].contains(&kind(&path).as_str()), "{}", path.display());
        assert_eq!(contents(&store).len(), read.len() + 30);
    }
}

#[test]
fn a_damaged_sealed_file_is_made_anew_while_its_source_is_there() {
    let (disk, mut log) = (SimDisk::new(1), Log::default());
    let (store, _) = open(&disk, &config());
    telemetry(&NAMES, 0, 120, &mut log);
    log.replay(&store);
    store.flush(second(120)).unwrap();
    store.maintain(second(300)).unwrap();
    let raw = files(&disk).into_iter().find(|path| kind(path) == "raw").unwrap();
    disk.cut(&raw, 100).unwrap();
    let (store, recovery) = open(&disk, &config());
    assert_eq!(recovery.damages.len(), 1);
    assert_eq!(contents(&store), log.truth());
    assert_eq!(store.maintain(second(300)).unwrap().sealed_files, 1);
    assert_eq!(contents(&open(&disk, &config()).0), log.truth());
}

#[test]
fn a_bad_sector_costs_what_lies_on_it() {
    let (disk, truth) = aged(1);
    let (store, _) = open(&disk, &config());
    let raw = files(&disk).into_iter().find(|path| kind(path) == "raw").unwrap();
    disk.spoil(&raw, 40).unwrap();
    let read = contents(&store);
    assert!(read.len() < truth.len() && read.len() > truth.len() / 2, "{} of {}", read.len(), truth.len());
    assert!(store.damage().iter().any(|damage| damage.path == raw));
}

#[test]
fn a_removed_file_is_named_and_the_others_are_read() {
    let (disk, truth) = aged(1);
    let (store, _) = open(&disk, &config());
    let raw = files(&disk).into_iter().find(|path| kind(path) == "raw").unwrap();
    disk.remove(&raw).unwrap();
    let read = contents(&store);
    assert!(!read.is_empty() && read.len() < truth.len());
    assert!(store.damage().iter().any(|damage| damage.path == raw));
}
