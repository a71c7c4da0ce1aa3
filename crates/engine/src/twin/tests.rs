//! From frames of a host, its groups and its twin to a verdict, as the pipeline hands them over.

use std::collections::HashMap;
use std::sync::Arc;

use foretwin_core::{
    Contrast, Instance, InstanceId, InstanceKind, Metric, Rng, Role, Schema, Storage, Timestamp, Value,
    VerdictClass,
};
use foretwin_foresee::contrast::TWIN;

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
        let contrasts = Contrasts::default();
        let others = ["h", "h/app", "h/batch"].map(|id| instance(id, InstanceKind::Group));
        let mut twin = instance("h/foretwin-twin", InstanceKind::Application);
        twin.twin_of = Some(InstanceId::new("h"));
        twin.labels.insert("fidelity".into(), "process".into());
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
