//! The registry on a simulated disk: what is told is kept, whatever stops the machine.

use std::io::{BufRead, BufReader};
use std::ops::ControlFlow;
use std::process::{Command, Stdio};
use std::time::Duration;

use foretwin_core::{InstanceKind, Metric, Role, Schema, Storage, Value, Window};
use foretwin_disk::{Fault, OsDisk, SimDisk};
use foretwin_learn::{Config, Job, Start, fit};

use super::*;

const DIR: &str = "/data/models";

fn instance(id: &str, workload: &str) -> Instance {
    Instance::new(id, InstanceKind::Service, "host", workload)
}

/// A small model; the seconds of its training tell it from others.
fn model(trained_at: i64) -> Model {
    let schema = Schema::new(vec![Metric::gauge("g", "1", Role::Rate).stored(Storage::F64)]);
    let mut window = Window::new(InstanceId::new("a"), schema);
    (0..40).for_each(|t| window.push(Timestamp(t * 1_000_000), &[Value::float((t * t % 7) as f64)]));
    let config = Config::default();
    let trained_at = Timestamp(trained_at);
    let job = Job { trained_at, lstm: false, ..Job::new(&window, &config) };
    fit(&job, &mut |_| ControlFlow::Continue(())).unwrap()
}

fn provenance(reason: &str) -> Provenance {
    Provenance { reason: reason.into(), phase: Some(Phase::Learned), ..Provenance::default() }
}

fn open(disk: &SimDisk) -> Registry {
    Registry::open(Arc::new(disk.clone()), Path::new(DIR)).unwrap()
}

#[test]
fn roles_and_versions_outlive_the_process() {
    let disk = SimDisk::new(1);
    let (registry, shop) = (open(&disk), instance("shop/web", "unit:web"));
    let (first, schema) = (model(1), model(1).schema());
    let line = Line::new(&shop.id, schema);
    assert!(registry.seat(&shop, schema).is_none() && registry.lines(&shop.id).is_empty());
    assert_eq!(registry.add(&shop, schema, &first, &provenance("schedule")).unwrap(), 1);
    assert!(registry.seat(&shop, schema).is_none(), "a challenger judges nobody");
    registry.promote(&line, 1, "first").unwrap();
    registry.set_reference(&line, 1, "settled").unwrap();
    for n in 2..=4 {
        assert_eq!(registry.add(&shop, schema, &model(n), &provenance("drift")).unwrap(), n as u64);
    }
    registry.promote(&line, 3, "better").unwrap();
    registry.dismiss(&line, 2, "worse").unwrap();
    assert_eq!(registry.promote(&line, 4, "better").unwrap().model.version(), 4);
    assert_eq!(registry.rollback(&line, "false alarms").unwrap().model.trained_at(), Timestamp(3));
    assert_eq!(registry.rollback(&line, "still").unwrap().model.version(), 1);
    assert_eq!(registry.promote(&line, 9, "").err().unwrap().code(), "unknown_model");

    for registry in [registry, open(&disk)] {
        let seated = registry.seat(&shop, schema).unwrap();
        assert_eq!((seated.model.version(), seated.phase), (1, Phase::Learned));
        assert_eq!(seated.renewed, Timestamp(4), "the schedule goes by the newest version");
        assert_eq!(registry.line(&line).unwrap().reference, Some(1));
        let versions = registry.line(&line).unwrap().versions;
        assert_eq!(versions.iter().map(|entry| entry.version).collect::<Vec<_>>(), [1, 2, 3, 4]);
        let changes = registry.line(&line).unwrap().changes;
        assert!(changes.iter().any(|one| one.what == "rolled_back" && one.reason == "false alarms"));
        let (model, provenance) = Model::decode_with(&registry.file(&line, 2).unwrap()).unwrap();
        assert_eq!((model.trained_at(), provenance.reason.as_str()), (Timestamp(2), "drift"));
    }
    let registry = open(&disk);
    assert_eq!(registry.prune(&line, 0).unwrap(), [2, 3]);
    assert_eq!(registry.add(&shop, schema, &model(5), &provenance("drift")).unwrap(), 5);
    assert!(registry.file(&line, 3).is_err() && registry.file(&line, 1).is_ok());
}

#[test]
fn a_workload_is_known_under_another_name_and_goes_on_counting() {
    let disk = SimDisk::new(1);
    let registry = open(&disk);
    let (schema, first) = (model(1).schema(), model(1));
    let [old, new] = ["host/old", "host/new"].map(|id| instance(id, "unit:web"));
    registry.succeed(&old, schema, (&model(6).with_version(3), &provenance("a")), 5).unwrap();
    registry.succeed(&instance("host/x", "unit:other"), schema, (&first, &provenance("b")), 5).unwrap();
    let seated = registry.seat(&new, schema).unwrap();
    assert_eq!((seated.model.version(), seated.model.trained_at()), (3, Timestamp(6)));
    assert!(
        Arc::ptr_eq(&seated.model, &registry.seat(&old, schema).unwrap().model),
        "shared while it is used"
    );
    // The only one of its workload stays for whoever comes next; once there is a newer one it goes.
    registry.retire(&old);
    assert!(registry.seat(&new, schema).is_some());
    let next = model(9).with_version(4);
    registry.succeed(&new, schema, (&next, &provenance("c")), 5).unwrap();
    assert_eq!(registry.champion(&Line::new(&new.id, schema)).unwrap().model.version(), 4);
    registry.retire(&old);
    assert!(registry.lines(&old.id).is_empty() && open(&disk).lines(&old.id).is_empty());
    assert_eq!(open(&disk).seat(&old, schema).unwrap().model.version(), 4);
}

/// What a registry has of a line, for comparison.
fn told(registry: &Registry, line: &Line) -> Option<(Option<u64>, Option<u64>, Vec<Version>)> {
    let manifest = registry.line(line).ok()?;
    let version = |entry: &ModelEntry| (entry.version, entry.outlook.as_ref().map(|one| one.learned_at));
    Some((manifest.champion(), manifest.reference, manifest.versions.iter().map(version).collect()))
}

/// A version and when its forecaster was learned.
type Version = (u64, Option<Timestamp>);

type Step = fn(&Registry, &Instance, &Line) -> Result<(), Error>;

/// A life with every kind of change.
const STEPS: &[Step] = &[
    |registry, shop, line| registry.add(shop, line.schema, &model(1), &provenance("")).map(|_| ()),
    |registry, _, line| registry.promote(line, 1, "").map(|_| ()),
    |registry, shop, line| registry.succeed(shop, line.schema, (&model(2), &provenance("")), 1).map(|_| ()),
    |registry, _, line| registry.set_reference(line, 1, ""),
    |registry, shop, line| registry.succeed(shop, line.schema, (&model(3), &provenance("")), 1).map(|_| ()),
    |registry, _, line| registry.rollback(line, "").map(|_| ()),
    |registry, _, line| registry.put_outlook(line, 2, &learned(7)),
    |registry, _, line| registry.put_outlook(line, 2, &learned(8)),
    |registry, _, line| registry.prune(line, 0).map(|_| ()),
];

/// A forecaster; the seconds of its learning tell it from others.
fn learned(at: i64) -> Learned<'static> {
    static NONE: std::sync::LazyLock<foretwin_learn::Outlook> = std::sync::LazyLock::new(Default::default);
    Learned { outlook: &NONE, learned_at: Timestamp(at), history_s: 1.0, seconds: 1.0 }
}

/// At every sync point of that life the machine stops, or a sync fails, or the disk is full: afterwards each change is
/// there whole or not at all, in order, what was told is there, every version's file is whole, and life goes on.
#[test]
fn a_stop_at_every_sync_point_leaves_what_was_told() {
    let shop = instance("shop/web", "unit:web");
    let line = Line::new(&shop.id, model(1).schema());
    let (mut states, quiet) = (vec![None], SimDisk::new(0));
    let registry = open(&quiet);
    for step in STEPS {
        step(&registry, &shop, &line).unwrap();
        states.push(told(&registry, &line));
    }
    let points = quiet.sync_points();
    assert!(points >= 20, "{points} sync points");
    for point in 1..=points {
        for fault in [Fault::CrashBefore, Fault::CrashAfter, Fault::SyncFails, Fault::Full] {
            for seed in 0..4 {
                let disk = SimDisk::new(1 + seed);
                disk.fail_at(point, fault);
                let registry = open(&disk);
                let done = STEPS.iter().take_while(|step| step(&registry, &shop, &line).is_ok()).count();
                let place = format!("{fault:?} at {point}, seed {seed}, {done} steps done");
                let again = open(&disk.crash());
                let found = told(&again, &line);
                let possible = &states[done..(done + 2).min(states.len())];
                assert!(possible.contains(&found), "{place}: {found:?} is none of {possible:?}");
                let versions = again.line(&line).map(|line| line.versions).unwrap_or_default();
                versions.iter().for_each(|entry| drop(again.model(&line, entry.version).expect(&place)));
                for outlook in versions.iter().filter_map(|entry| entry.outlook.as_ref()) {
                    assert!(again.outlook(&line, outlook).is_some(), "{place}: {outlook:?} is not there");
                }
                let champion = found.and_then(|(champion, ..)| champion);
                assert_eq!(again.seat(&shop, line.schema).map(|seated| seated.model.version()), champion);
                let next = again.succeed(&shop, line.schema, (&model(9), &provenance("")), 2).expect(&place);
                assert_eq!(next.model.trained_at(), Timestamp(9), "{place}");
            }
        }
    }
}

#[test]
fn a_later_owner_ends_an_earlier_one() {
    let disk = SimDisk::new(1);
    let (shop, schema) = (instance("shop/web", "unit:web"), model(1).schema());
    let line = Line::new(&shop.id, schema);
    let old = open(&disk);
    old.succeed(&shop, schema, (&model(1), &provenance("")), 5).unwrap();
    let new = open(&disk);
    old.succeed(&shop, schema, (&model(2), &provenance("")), 5).unwrap();
    // The new owner sees what the old one did before it heard of the new one, and is seen from then on.
    assert_eq!(new.rollback(&line, "").unwrap().model.version(), 1);
    let refused = old.promote(&line, 2, "").err().unwrap();
    assert_eq!(refused.code(), "fenced");
    assert_eq!(old.succeed(&shop, schema, (&model(3), &provenance("")), 5).err().unwrap().code(), "fenced");
    assert_eq!(told(&new, &line).unwrap().0, Some(1));
}

#[test]
fn rot_is_seen_and_the_manifest_before_it_counts() {
    let disk = SimDisk::new(1);
    let (shop, schema) = (instance("shop/web", "unit:web"), model(1).schema());
    let line = Line::new(&shop.id, schema);
    let registry = open(&disk);
    for n in 1..=3 {
        registry.succeed(&shop, schema, (&model(n), &provenance("")), 5).unwrap();
    }
    let folder = Path::new(DIR).join(format!("p{:02}", shop.id.partition().index()));
    let files = disk.list(&folder).unwrap();
    let newest = files.iter().rfind(|path| path.extension().is_some_and(|kind| kind == "manifest")).unwrap();
    disk.flip_bit(newest, 999).unwrap();
    let registry = open(&disk);
    assert_eq!(registry.champion(&line).unwrap().model.version(), 2);
    registry.succeed(&shop, schema, (&model(4), &provenance("")), 5).unwrap();
    assert_eq!(open(&disk).champion(&line).unwrap().model.trained_at(), Timestamp(4));

    let file = files.iter().find(|path| path.extension().is_some_and(|kind| kind == "safetensors")).unwrap();
    disk.flip_bit(file, 8 * 700).unwrap();
    let registry = open(&disk);
    assert_eq!(registry.promote(&line, 1, "").err().unwrap().code(), "damaged_model");
    assert_eq!(registry.champion(&line).unwrap().model.trained_at(), Timestamp(4), "nothing has changed");
}

/// A champion as format 1 kept it, over the bytes of a model of format 1.
fn old_file(instance: &str) -> Vec<u8> {
    let body = include_bytes!("../../../learn/tests/it/samples/format-1.model");
    let model = Model::decode(body).unwrap();
    let label = serde_json::json!({
        "instance": instance, "workload": "unit:web", "schema": model.schema(), "version": model.version(),
        "phase": "learned", "checksum": foretwin_wire::checksum(body),
    });
    [format!("{label}\n").as_bytes(), body].concat()
}

#[test]
fn champions_of_format_1_are_taken_over_at_any_kill() {
    let place = Path::new(DIR).join("0123456789abcdef.model");
    let prepared = |seed| {
        let disk = SimDisk::new(seed);
        disk.create_dir(Path::new(DIR)).unwrap();
        for (path, bytes) in [(&place, old_file("shop/web")), (&place.with_extension("new"), vec![1])] {
            let mut file = disk.create(path).unwrap();
            file.write(&bytes).unwrap();
            file.sync().unwrap();
        }
        disk.sync_dir(Path::new(DIR)).unwrap();
        disk
    };
    let schema = Model::decode_with(include_bytes!("../../../learn/tests/it/samples/format-1.model"))
        .unwrap()
        .0
        .schema();
    let line = Line::new(&InstanceId::new("shop/web"), schema);
    for point in 4..=9 {
        for seed in 0..8 {
            let disk = prepared(seed);
            disk.fail_at(point, Fault::CrashBefore);
            drop(Registry::open(Arc::new(disk.clone()), Path::new(DIR)));
            let disk = disk.crash();
            let registry = open(&disk);
            let seated = registry.champion(&line).unwrap();
            assert_eq!((seated.model.version(), seated.phase), (7, Phase::Learned), "{point} {seed}");
            assert!(disk.length(&place).is_err(), "the old file has done its part");
            let shop = instance("shop/web", "unit:web");
            assert_eq!(registry.add(&shop, schema, &seated.model, &provenance("")).unwrap(), 8);
        }
    }
    let disk = prepared(1);
    disk.flip_bit(&place, 8 * 400).unwrap();
    assert!(open(&disk).champion(&line).is_none() && disk.length(&place).is_ok(), "damage stays for people");
}

/// Models of two members of a workload around one small network.
fn members(seeds: [u64; 2]) -> [Model; 2] {
    let schema = Schema::new(vec![Metric::gauge("g", "1", Role::Rate).stored(Storage::F64)]);
    let window = |seed: u64| {
        let (mut window, mut x) =
            (Window::new(InstanceId::new("a"), schema.clone()), 0.1 + 0.01 * seed as f64);
        for second in 0..1200 {
            x = 3.9 * x * (1.0 - x);
            window.push(Timestamp(second * 1_000_000), &[Value::float(10.0 * seed as f64 * x)]);
        }
        window
    };
    let (config, windows) = (Config { hidden: 8, ..Config::default() }, seeds.map(window));
    let jobs: Vec<Job> = windows.iter().map(|window| Job::new(window, &config)).collect();
    let go: fn(foretwin_learn::Progress) -> ControlFlow<()> = |_| ControlFlow::Continue(());
    let cohort = Arc::new(foretwin_learn::cohort(&jobs, &mut { go }).unwrap());
    [0, 1].map(|n| fit(&Job { start: Start::Cohort(&cohort), ..jobs[n] }, &mut { go }).unwrap())
}

fn networks(disk: &SimDisk) -> Vec<std::path::PathBuf> {
    disk.list(&Path::new(DIR).join("networks")).unwrap()
}

#[test]
fn a_network_is_kept_once_and_as_long_as_somebody_names_it() {
    let (disk, models) = (SimDisk::new(1), members([1, 2]));
    let registry = open(&disk);
    let [one, two] = ["host/one", "host/two"].map(|id| instance(id, "unit:web"));
    let schema = models[0].schema();
    for (who, model) in [&one, &two].into_iter().zip(&models) {
        registry.succeed(who, schema, (model, &provenance("")), 0).unwrap();
    }
    assert_eq!(networks(&disk).len(), 1);
    for registry in [registry, open(&disk)] {
        let seated = [&one, &two].map(|who| registry.champion(&Line::new(&who.id, schema)).unwrap().model);
        for (model, expected) in seated.iter().zip(&models) {
            assert_eq!(model.encode_with(&provenance("")).unwrap(), {
                let version = model.version();
                expected.clone().with_version(version).encode_with(&provenance("")).unwrap()
            });
        }
        assert!(Arc::ptr_eq(seated[0].cohort().unwrap(), seated[1].cohort().unwrap()));
    }
    // What a kill left behind goes at the next start, what is named stays.
    let stray = Path::new(DIR).join("networks/00000000000000ff.safetensors");
    let mut file = disk.create(&stray).unwrap();
    file.write(b"x").and_then(|()| file.sync()).unwrap();
    let registry = open(&disk);
    assert_eq!(networks(&disk).len(), 1);
    // A new version for one, and the other gone: once the last that names it is pruned it goes too.
    let line = Line::new(&two.id, schema);
    for later in 1..=2 {
        registry.succeed(&two, schema, (&model(later * 1_000_000_000_000), &provenance("")), 0).unwrap();
    }
    registry.set_reference(&line, 3, "").unwrap();
    assert_eq!(networks(&disk).len(), 1, "the first still names it");
    registry.retire(&one);
    registry.prune(&line, 0).unwrap();
    let versions = registry.line(&line).unwrap().versions;
    assert!(versions.iter().all(|entry| entry.network.is_none()), "{versions:?}");
    assert!(networks(&disk).is_empty());
}

#[test]
fn a_stop_at_every_sync_point_leaves_no_version_without_its_network() {
    let models = members([1, 2]);
    let schema = models[0].schema();
    let who = ["host/one", "host/two"].map(|id| instance(id, "unit:web"));
    let life = |registry: &Registry| -> Result<(), Error> {
        for (who, model) in who.iter().zip(&models) {
            registry.succeed(who, schema, (model, &provenance("")), 1)?;
        }
        registry.retire(&who[0]);
        Ok(())
    };
    let quiet = SimDisk::new(0);
    life(&open(&quiet)).unwrap();
    for point in 1..=quiet.sync_points() {
        for fault in [Fault::CrashBefore, Fault::CrashAfter, Fault::SyncFails, Fault::Full] {
            let disk = SimDisk::new(point);
            disk.fail_at(point, fault);
            let done = life(&open(&disk)).is_ok();
            let registry = open(&disk.crash());
            for who in &who {
                let line = Line::new(&who.id, schema);
                for entry in registry.line(&line).map(|line| line.versions).unwrap_or_default() {
                    registry.model(&line, entry.version).unwrap_or_else(|error| {
                        panic!("{fault:?} at {point}, done {done}: version {}: {error}", entry.version)
                    });
                }
            }
        }
    }
}

const CHILD_DIR: &str = "FORETWIN_REGISTRY_KILL_DIR";

/// Not a test of its own: the process that is killed. Adds, promotes and rolls back as fast as it can, and says what it
/// is about to make champion and what it was told.
#[test]
fn child() {
    let Ok(dir) = std::env::var(CHILD_DIR) else { return };
    let (shop, schema) = (instance("shop/web", "unit:web"), model(1).schema());
    let line = Line::new(&shop.id, schema);
    let registry = Registry::open(Arc::new(OsDisk), Path::new(&dir)).unwrap();
    let fresh = model(1);
    let say = |word: &str, champion: u64| println!("\n{word} {champion}");
    loop {
        let next = registry.line(&line).map_or(1, |manifest| manifest.next_version);
        say("next", next);
        let seated = registry.succeed(&shop, schema, (&fresh, &provenance("")), 2).unwrap();
        say("told", seated.model.version());
        if let [.., before, _] = registry.line(&line).unwrap().champions[..] {
            say("next", before);
            say("told", registry.rollback(&line, "").unwrap().model.version());
        }
    }
}

/// The number behind the last line that begins so.
fn last(lines: &[String], word: &str) -> Option<u64> {
    lines.iter().rev().find_map(|line| line.strip_prefix(word)?.trim().parse().ok())
}

#[test]
fn a_killed_process_leaves_what_it_told() {
    let home = tempfile::tempdir().unwrap();
    let line = Line::new(&InstanceId::new("shop/web"), model(1).schema());
    let mut told_last = None;
    for round in 0..12 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["registry::tests::child", "--exact", "--nocapture", "--test-threads=1"])
            .env(CHILD_DIR, home.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let listener = std::thread::spawn(move || out.lines().map_while(Result::ok).collect::<Vec<_>>());
        std::thread::sleep(Duration::from_millis(60 + 23 * round));
        child.kill().unwrap();
        assert!(child.wait().unwrap().code().is_none(), "the child ended by itself");
        let lines = listener.join().unwrap();
        told_last = last(&lines, "told ").or(told_last);
        let registry = Registry::open(Arc::new(OsDisk), home.path()).unwrap();
        let champion = told(&registry, &line).and_then(|(champion, ..)| champion);
        let possible = [told_last, last(&lines, "next ")];
        assert!(possible.contains(&champion), "{champion:?} is none of {possible:?}");
        for entry in registry.line(&line).map(|line| line.versions).unwrap_or_default() {
            registry.model(&line, entry.version).unwrap();
        }
        told_last = champion;
    }
    assert!(told_last > Some(12), "too little happened: {told_last:?}");
}

#[test]
fn the_real_file_system_keeps_the_same_promise() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("models");
    let (shop, schema) = (instance("shop/web", "unit:web"), model(1).schema());
    let line = Line::new(&shop.id, schema);
    let open = || Registry::open(Arc::new(OsDisk), &dir).unwrap();
    let registry = open();
    for n in 1..=4 {
        registry.succeed(&shop, schema, (&model(n), &provenance("")), 2).unwrap();
    }
    registry.rollback(&line, "").unwrap();
    assert_eq!(told(&open(), &line), Some((Some(3), Some(1), (1..=4).map(|n| (n, None)).collect())));
}
