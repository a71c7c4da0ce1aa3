//! Training as an instance lives it: incidents, planned work, drift, late frames, clocks, changing schemas, restarts.

mod cohort;
mod routine;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use foretwin_core::{
    Batch, Failure, FailureMode, Instance, InstanceId, InstanceKind, MISSING, Maintenance, Metric, Position,
    Record, Rng, Role, Schema, Storage, Timestamp, Value,
};
use foretwin_disk::{Disk, OsDisk};
use foretwin_learn::Model;
use foretwin_store::Store;

use super::{Budget, Cause};
use crate::config::Config;
use crate::pipeline::Pipeline;
use crate::registry::Registry;

/// A pipeline and one instance of two metrics that writes to it.
struct World {
    pipeline: Pipeline,
    id: InstanceId,
    schema: Arc<Schema>,
    offset: u64,
    rng: Rng,
    levels: [f64; 2],
    second: i64,
}

fn metric(name: &str) -> Metric {
    Metric::gauge(name, "1", Role::Rate).stored(Storage::F64)
}

fn config() -> Config {
    let mut config = Config::default();
    config.learn.lstm_min_rows = usize::MAX;
    config.learn.max_rows = 8000;
    // Alarms that are asked for must come, and others must not disturb.
    config.learn.adapt = false;
    config
}

impl World {
    fn new(dir: &Path, config: &Config) -> Self {
        let disk: Arc<dyn Disk> = Arc::new(OsDisk);
        let (store, _) = Store::open(disk.clone(), &dir.join("store"), config.store.clone()).unwrap();
        let registry = Registry::open(disk, &dir.join("models")).unwrap();
        let pipeline = Pipeline::new(config.clone(), Arc::new(store), registry);
        let id = InstanceId::new("one");
        let offset = pipeline.store.applied(id.partition());
        let schema = Schema::new(vec![metric("a"), metric("b")]);
        let mut world =
            Self { pipeline, id, schema, offset, rng: Rng::new(5), levels: [0.0; 2], second: 1_000_000 };
        world.apply(&Record::Instance(Instance::new("one", InstanceKind::Application, "one", "one")));
        world.apply(&Record::Schema(world.schema.clone()));
        world
    }

    fn apply(&mut self, record: &Record) {
        let position = Position { partition: self.id.partition(), offset: self.offset };
        self.offset += 1;
        self.pipeline.apply(position, record).unwrap();
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(self.second as f64)
    }

    fn frame(&mut self, at: Timestamp, values: &[Value]) {
        let mut batch = Batch::new(self.schema.id(), self.schema.width());
        batch.push(&self.id, at, values).unwrap();
        self.apply(&Record::Batch(batch));
    }

    /// Seconds of ordinary behaviour around a level. What is due is trained once a minute.
    fn live(&mut self, seconds: usize, level: f64) {
        for _ in 0..seconds {
            self.second += 1;
            for value in &mut self.levels {
                *value = 0.8 * *value + self.rng.normal();
            }
            let width = self.schema.width();
            let values: Vec<Value> =
                (0..width).map(|m| Value::float(level + self.levels[m % 2] + m as f64)).collect();
            self.frame(self.now(), &values);
            if self.second % 60 == 0 {
                self.train();
            }
        }
    }

    fn train(&self) -> Option<(Cause, bool)> {
        let never = AtomicBool::new(false);
        let due = self.pipeline.due()?;
        Some((due.cause, self.pipeline.train(&due, &Budget::new(&never, None)).unwrap()))
    }

    /// The model of the present schema.
    fn model(&self) -> Option<Arc<Model>> {
        let of = |watched: &crate::shard::Watched| {
            let feed = watched.feeds.iter().find(|feed| feed.schema.id() == self.schema.id());
            feed.and_then(|feed| feed.model().map(|(model, _)| model.clone()))
        };
        self.pipeline.with(&self.id, of).unwrap()
    }

    /// What the model takes for the centre of the first metric.
    fn centre(&self) -> f64 {
        self.model().unwrap().recipe().features[0].center
    }

    /// Lives until a new model is at work, and gives the seconds it took.
    fn until_renewed(&mut self, level: f64, most: usize) -> usize {
        let before = self.model().unwrap().version();
        for second in (0..most).step_by(60) {
            self.live(60, level);
            if self.model().unwrap().version() != before {
                return second;
            }
        }
        most
    }
}

/// An hour to settle, and the interval shortened so that the next training is near.
fn settled(dir: &Path, config: &Config) -> World {
    let mut world = World::new(dir, config);
    world.live(2 * 3600, 0.0);
    world
}

fn hourly() -> Config {
    let mut config = config();
    config.training.interval_s = 3600.0;
    config
}

#[test]
fn the_window_is_days_in_time_and_bounded_in_frames() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = hourly();
    config.learn.max_rows = 4096;
    let mut world = World::new(dir.path(), &config);
    world.live(6 * 3600, 0.0);
    let model = world.model().unwrap();
    assert!(model.rows() <= 4096, "{}", model.rows());
    assert!(model.rows() > 3000, "{}", model.rows());
    let due = world.pipeline.with(&world.id, |watched| {
        world.pipeline.order(&watched.instance, &watched.feeds[0], (1.0, Cause::Schedule))
    });
    let due = due.unwrap();
    let window = world.pipeline.frames_of(&due.instance, due.schema, &due.reach).unwrap().unwrap();
    assert_eq!(window.times.len(), 4096);
    assert!(window.times[0].since(due.first) < 2.0, "it reaches back to the beginning");
    assert_eq!(*window.times.last().unwrap(), world.now());
}

#[test]
fn recorded_failures_and_planned_work_are_not_learned() {
    for planned in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let mut world = settled(dir.path(), &hourly());
        let from = world.now();
        world.live(400, 200.0);
        let (instance, note) = (world.id.clone(), String::new());
        world.apply(&match planned {
            true => Record::Maintenance(Maintenance { instance, from, to: world.now() + 1, note }),
            false => Record::Failure(Failure {
                instance,
                at: world.now() - 200_000_000,
                mode: FailureMode::Crash,
                note,
            }),
        });
        let took = world.until_renewed(0.0, 2 * 3600);
        assert!(took < 2 * 3600, "it is trained again");
        assert!(world.centre().abs() < 1.0, "planned {planned}: {}", world.centre());
    }
}

#[test]
fn an_anomalous_span_is_not_learned_and_a_lasting_change_is() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = settled(dir.path(), &hourly());
    // An incident of restless minutes: each of its frames is a surprise.
    for n in 0..300 {
        world.live(1, if n % 2 == 0 { 300.0 } else { -250.0 });
    }
    world.until_renewed(0.0, 2 * 3600);
    let scale = world.model().unwrap().recipe().features[0].scale;
    assert!(scale < 5.0, "the incident widened the scale to {scale}");
    for _ in 0..4 * 3600 / 2 {
        world.live(1, 300.0);
        world.live(1, -250.0);
    }
    let scale = world.model().unwrap().recipe().features[0].scale;
    assert!(scale > 50.0, "four hours of it are the new normal: {scale}");
}

#[test]
fn drift_makes_a_feed_due_early_and_an_incident_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config();
    config.training.interval_s = 1e6;
    let mut world = settled(dir.path(), &config);
    let before = world.model().unwrap().version();
    // Slow enough to surprise nobody: forty deviations in ten hours.
    let steps = 10 * 3600 / 60;
    for n in 0..steps {
        world.live(60, 70.0 * n as f64 / steps as f64);
    }
    assert!(world.model().unwrap().version() > before, "it has drifted and nothing was trained");
    assert!(world.centre() > 10.0);
    let drift = world.pipeline.with(&world.id, |watched| watched.feeds[0].departures()).unwrap();
    let (reference, version) = drift.1.unwrap();
    assert!(version < world.model().unwrap().version() && reference.shift > 5.0, "{reference:?}");

    let mut world = settled(tempfile::tempdir().unwrap().path(), &config);
    let before = world.model().unwrap().version();
    for n in 0..1200 {
        world.live(1, if n % 2 == 0 { 300.0 } else { -250.0 });
    }
    assert_eq!(world.model().unwrap().version(), before, "an incident under way is not learned");
}

#[test]
fn a_cancelled_training_leaves_everything_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = settled(dir.path(), &config());
    let before = world.model().unwrap();
    world.second += 7 * 3600;
    // Too short for the minute in which it would be trained.
    world.live(10, 0.0);
    let due = world.pipeline.due().expect("seven hours are more than the interval");
    let cancelled = AtomicBool::new(true);
    assert!(!world.pipeline.train(&due, &Budget::new(&cancelled, None)).unwrap());
    assert!(Arc::ptr_eq(&before, &world.model().unwrap()));
    assert!(world.pipeline.due().is_none(), "what came to nothing waits for more history");
}

#[test]
fn a_restart_in_the_middle_of_training_goes_on_with_the_champion_and_trains_again() {
    let dir = tempfile::tempdir().unwrap();
    let before = {
        let mut world = settled(dir.path(), &config());
        let due = world.pipeline.with(&world.id, |watched| {
            world.pipeline.order(&watched.instance, &watched.feeds[0], (1.0, Cause::Schedule))
        });
        let stopped = AtomicBool::new(true);
        assert!(!world.pipeline.train(&due.unwrap(), &Budget::new(&stopped, None)).unwrap());
        world.pipeline.store.flush(world.now()).unwrap();
        world.live(1, 0.0);
        world.model().unwrap()
    };
    let mut again = World::new(dir.path(), &config());
    again.second = 1_000_000 + 2 * 3600 + 10;
    again.live(1, 0.0);
    assert_eq!(*again.model().unwrap(), *before, "the champion was found again");
    again.second += 7 * 3600;
    again.live(120, 0.0);
    assert!(again.model().unwrap().version() > before.version(), "and is renewed when it is due");
}

#[test]
fn late_frames_are_learned_in_their_place() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = settled(dir.path(), &hourly());
    // Ten minutes arrive after the ten minutes that follow them.
    let early = world.second;
    world.second += 600;
    world.live(600, 0.0);
    let (late, now) = (early, world.second);
    for second in late..late + 600 {
        let values = [Value::float(world.rng.normal()), Value::float(1.0 + world.rng.normal())];
        world.frame(Timestamp::from_seconds(second as f64 + 0.5), &values);
    }
    world.second = now;
    world.until_renewed(0.0, 2 * 3600);
    let due = world.pipeline.with(&world.id, |watched| {
        world.pipeline.order(&watched.instance, &watched.feeds[0], (1.0, Cause::Schedule))
    });
    let due = due.unwrap();
    let window = world.pipeline.frames_of(&due.instance, due.schema, &due.reach).unwrap().unwrap();
    assert!(window.times.is_sorted());
    assert!(world.centre().abs() < 1.0 && (world.model().unwrap().step_s() - 1.0).abs() < 0.2);
}

#[test]
fn a_new_metric_gets_a_model_and_a_vanished_one_takes_its_model_along() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = settled(dir.path(), &hourly());
    let before = world.schema.clone();
    for schema in [Schema::new(vec![metric("a"), metric("b"), metric("c")]), Schema::new(vec![metric("a")])] {
        world.schema = schema;
        world.apply(&Record::Schema(world.schema.clone()));
        world.live(300, 0.0);
        let model = world.model().expect("the new schema is modelled within minutes");
        assert_eq!(model.recipe().features.len(), world.schema.width());
    }
    let late = world.pipeline.with(&world.id, |watched| watched.current().count()).unwrap();
    assert_eq!(late, 1, "only the present schema is trained");
    world.schema = before;
    assert!(world.model().is_some(), "its model is there should the schema return");
}

#[test]
fn missing_samples_and_a_clock_that_jumps_do_not_stop_training() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = settled(dir.path(), &hourly());
    for n in 0..1800 {
        world.second += 1;
        let values = [Value::float(world.rng.normal()), if n % 3 == 0 { MISSING } else { Value::float(1.0) }];
        world.frame(world.now(), &values);
    }
    world.second -= 3 * 3600;
    let took = world.until_renewed(0.0, 3 * 3600);
    assert!(took < 3 * 3600, "renewed after the clock went back");
    assert!(world.centre().abs() < 1.0);
}
