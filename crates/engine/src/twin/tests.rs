//! From frames of a host, its groups and its twin to a verdict, as the pipeline hands them over.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use foretwin_core::{
    Contrast, Instance, InstanceId, InstanceKind, Metric, Profile, Rng, Role, Schema, Storage, Timestamp,
    Value, VerdictClass,
};
use foretwin_disk::OsDisk;
use foretwin_foresee::contrast::TWIN;
use foretwin_twin::capture::Shelf;

use super::Contrasts;

/// A host with two groups and a twin, fed a second at a time.
struct World {
    contrasts: Contrasts,
    rng: Rng,
    second: i64,
    counters: HashMap<&'static str, [u64; 2]>,
    said: Vec<Contrast>,
}

/// A second of each: cores, and share of the time that it waits for a processor.
#[derive(Clone, Copy)]
struct Load {
    app: [f64; 2],
    batch: [f64; 2],
    /// Times the usual cost of the twin's work.
    cost: f64,
}

const CALM: Load = Load { app: [0.2, 0.01], batch: [0.1, 0.01], cost: 1.0 };

fn instance(id: &str, kind: InstanceKind) -> Instance {
    let mut instance = Instance::new(id, kind, "h", id);
    instance.parent = (id != "h").then(|| InstanceId::new("h"));
    instance
}

fn use_schema(prefix: &str) -> Arc<Schema> {
    let stall = Metric::counter(&format!("{prefix}.pressure.time"), "us", Role::Saturation);
    Schema::new(vec![
        Metric::counter(&format!("{prefix}.cpu.busy"), "us", Role::Utilization),
        stall.with("pressure.resource", "cpu").with("pressure.kind", "some"),
    ])
}

fn twin_schema() -> Arc<Schema> {
    let metric = |key: &str| {
        let (name, stat) = key.split_once("{stat=").unwrap_or((key, ""));
        let metric = Metric::gauge(name, "s", Role::Duration).stored(Storage::F64);
        if stat.is_empty() { metric } else { metric.with("stat", stat.trim_end_matches('}')) }
    };
    Schema::new(TWIN.iter().map(|(key, _)| metric(key)).collect())
}

impl World {
    fn new() -> Self {
        Self::with(Contrasts::default(), "process")
    }

    /// The same host in another life, or with another twin: what is counted goes on, what is thought does not.
    fn reborn(self, contrasts: Contrasts, fidelity: &str) -> Self {
        let fresh = Self::with(contrasts, fidelity);
        Self { rng: self.rng, second: self.second, counters: self.counters, ..fresh }
    }

    fn with(contrasts: Contrasts, fidelity: &str) -> Self {
        let others = ["h", "h/app", "h/batch"].map(|id| instance(id, InstanceKind::Group));
        let mut twin = instance("h/foretwin-twin", InstanceKind::Application);
        twin.twin_of = Some(InstanceId::new("h"));
        twin.labels.insert("fidelity".into(), fidelity.into());
        contrasts.describe(&twin, || others.to_vec());
        let (counters, said) = (HashMap::new(), Vec::new());
        Self { contrasts, rng: Rng::new(7), second: 0, counters, said }
    }

    fn live(&mut self, seconds: i64, load: Load) {
        for _ in 0..seconds {
            self.second += 1;
            let cost = load.cost;
            let costs: Vec<Value> =
                TWIN.iter().map(|_| Value::float(1e-3 * cost * (0.05 * self.rng.normal()).exp())).collect();
            self.frame("h/foretwin-twin", &twin_schema(), &costs);
            self.used("h/app", "container", load.app);
            self.used("h/batch", "container", load.batch);
            self.used("h", "system", [load.app[0] + load.batch[0], load.app[1]]);
        }
    }

    fn used(&mut self, id: &'static str, prefix: &str, per_second: [f64; 2]) {
        let noise = (0.05 * self.rng.normal()).exp();
        let counted = self.counters.entry(id).or_default();
        for (counter, rate) in counted.iter_mut().zip(per_second) {
            *counter += (rate * noise * 1e6) as u64;
        }
        let values = counted.map(Value::unsigned);
        self.frame(id, &use_schema(prefix), &values);
    }

    fn frame(&mut self, id: &str, schema: &Arc<Schema>, values: &[Value]) {
        let at = Timestamp::from_seconds(1e9 + self.second as f64);
        let said = &mut self.said;
        let who = instance(id, InstanceKind::Group);
        self.contrasts.take(&who, (schema, at, values), None, &mut |contrast| said.push(contrast.clone()));
    }

    fn of(&self, id: &str) -> Option<Contrast> {
        self.contrasts.contrast(&instance(id, InstanceKind::Group))
    }
}

#[test]
fn a_bad_neighbour_is_told_from_frames_and_named() {
    let mut world = World::new();
    world.live(400, CALM);
    for id in ["h", "h/app", "h/batch"] {
        assert_eq!(world.of(id).unwrap().verdict.class, VerdictClass::Healthy, "{id}");
    }
    world.said.clear();
    world.live(40, Load { app: [0.2, 0.5], batch: [1.5, 0.3], cost: 6.0 });
    let contrast = world.of("h/app").unwrap();
    assert_eq!(contrast.verdict.class, VerdictClass::Infrastructure, "{contrast:#?}");
    assert_eq!(contrast.verdict.consumer, Some(InstanceId::new("h/batch")));
    let said = world.said.iter().filter(|said| said.instance.as_str() == "h/app");
    let classes: Vec<VerdictClass> = said.map(|said| said.verdict.class).collect();
    assert_eq!(classes.last(), Some(&VerdictClass::Infrastructure), "a change of class is said: {classes:?}");
}

#[test]
fn without_a_twin_nothing_is_kept_and_what_is_gone_is_forgotten() {
    let without = Contrasts::default();
    without.describe(&instance("h/app", InstanceKind::Group), Vec::new);
    assert!(without.contrast(&instance("h/app", InstanceKind::Group)).is_none());
    let mut world = World::new();
    world.live(30, CALM);
    assert!(world.of("h/app").is_some());
    world.contrasts.vanished(&instance("h/app", InstanceKind::Group));
    assert!(world.of("h/app").is_none());
    world.contrasts.vanished(&instance("h/foretwin-twin", InstanceKind::Application));
    world.said.clear();
    world.live(30, CALM);
    assert!(world.of("h/app").is_none() && world.said.is_empty(), "no twin, no contrast");
}

/// Four hundred calm seconds, written down in a directory.
fn lived(dir: &Path) -> World {
    let mut world = World::new();
    world.contrasts.recall(Arc::new(OsDisk), dir);
    world.live(400, CALM);
    world.contrasts.keep_all().unwrap();
    world
}

/// What is thought of the application after a restart and twelve seconds, which make a window.
fn after_restart(world: World, dir: &Path, fidelity: &str) -> VerdictClass {
    let mut world = world.reborn(Contrasts::default(), fidelity);
    world.contrasts.recall(Arc::new(OsDisk), dir);
    world.live(12, CALM);
    world.of("h/app").unwrap().verdict.class
}

#[test]
fn what_was_learned_outlives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let world = lived(dir.path());
    assert_eq!(after_restart(world, dir.path(), "process"), VerdictClass::Healthy);
    let nothing = tempfile::tempdir().unwrap();
    let world = lived(nothing.path());
    std::fs::remove_dir_all(nothing.path().join("contrasts")).unwrap();
    assert_eq!(after_restart(world, nothing.path(), "process"), VerdictClass::Undetermined);
}

#[test]
fn what_was_learned_with_another_twin_or_profile_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let world = lived(dir.path());
    assert_eq!(after_restart(world, dir.path(), "container"), VerdictClass::Undetermined);
    let dir = tempfile::tempdir().unwrap();
    let world = lived(dir.path());
    let (shelf, app) = (Shelf::new(&dir.path().join("profiles")), InstanceId::new("h/app"));
    shelf.put(&app, Profile::default()).unwrap();
    shelf.pin(&app).unwrap();
    assert_eq!(after_restart(world, dir.path(), "process"), VerdictClass::Undetermined);
}

#[test]
fn other_probes_begin_anew_and_the_same_go_on() {
    let mut world = World::new();
    world.live(400, CALM);
    let mut twin = instance("h/foretwin-twin", InstanceKind::Application);
    twin.twin_of = Some(InstanceId::new("h"));
    twin.labels.insert("fidelity".into(), "process".into());
    world.contrasts.describe(&twin, Vec::new);
    world.live(2, CALM);
    assert_eq!(world.of("h/app").unwrap().verdict.class, VerdictClass::Healthy, "described again");
    let fewer = Schema::new(twin_schema().metrics()[1..].to_vec());
    world.frame("h/foretwin-twin", &fewer, &[Value::float(1e-3); TWIN.len() - 1]);
    assert!(world.of("h/app").is_none(), "a cost that is not measured any more");
}

#[test]
fn a_damaged_file_gives_way_to_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    let world = lived(dir.path());
    world.contrasts.keep_all().unwrap();
    world.contrasts.keep_all().unwrap();
    let folder = dir.path().join("contrasts");
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert_eq!(files.len(), 2, "the newest and the one before: {files:?}");
    let mut bytes = std::fs::read(&files[1]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&files[1], bytes).unwrap();
    assert_eq!(after_restart(world, dir.path(), "process"), VerdictClass::Healthy);
    let world = lived(dir.path());
    for file in std::fs::read_dir(&folder).unwrap() {
        std::fs::write(file.unwrap().path(), b"FT").unwrap();
    }
    assert_eq!(after_restart(world, dir.path(), "process"), VerdictClass::Undetermined);
}

#[test]
fn what_the_log_says_again_is_not_learned_twice() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = lived(dir.path());
    // Killed without another checkpoint, and replayed from half a minute before it.
    world.second -= 30;
    let mut world = world.reborn(Contrasts::default(), "process");
    world.contrasts.recall(Arc::new(OsDisk), dir.path());
    world.live(29, CALM);
    assert!(world.of("h/app").is_none(), "nothing is stepped before what was taken already");
    world.live(12, CALM);
    assert_eq!(world.of("h/app").unwrap().verdict.class, VerdictClass::Healthy);
}
