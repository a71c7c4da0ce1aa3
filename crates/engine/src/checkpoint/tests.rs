//! A restart and no restart come to the same scores; a checkpoint that is of no use costs a warm-up and nothing else.

use foretwin_core::{Batch, Instance, InstanceKind, Metric, Position, Record, Rng, Role, Schema, Storage};
use foretwin_disk::OsDisk;
use foretwin_store::Store;

use super::*;
use crate::config::Config;
use crate::registry::Registry;

/// Seconds until the model that all lives share is trained, and of the whole story.
const LEARNED: usize = 4000;
const ALL: usize = 5000;

/// What happens to a file.
type Damage<'a> = &'a dyn Fn(&mut Vec<u8>);

/// One instance of two metrics in a directory, as several lives see it.
struct Life {
    pipeline: Pipeline,
    frames: Vec<Record>,
    schema: Arc<Schema>,
}

fn id() -> InstanceId {
    InstanceId::new("one")
}

impl Life {
    fn new(dir: &Path) -> Self {
        let gauge = |name: &str| Metric::gauge(name, "1", Role::Rate).stored(Storage::F64);
        let schema = Schema::new(vec![gauge("a"), gauge("b")]);
        let (mut rng, mut level, mut frames) = (Rng::new(4), 0.0, Vec::new());
        for second in 0..ALL {
            level = 0.9 * level + rng.normal();
            // An hour in, the load doubles: what a state knows of it shows for a while.
            let more = if second > LEARNED + 400 { 6.0 } else { 0.0 };
            let mut batch = Batch::new(schema.id(), 2);
            let values = [level + more, level.abs() + rng.normal()].map(Value::float);
            batch.push(&id(), Timestamp::from_seconds(1e6 + second as f64), &values).unwrap();
            frames.push(Record::Batch(batch));
        }
        let disk: Arc<dyn Disk> = Arc::new(OsDisk);
        let mut config = Config::default();
        config.learn.lstm_min_rows = 1000;
        config.learn.epochs = 2;
        let (store, _) = Store::open(disk.clone(), &dir.join("store"), config.store.clone()).unwrap();
        let registry = Registry::open(disk.clone(), &dir.join("models")).unwrap();
        let pipeline = Pipeline::new(config, Arc::new(store), registry);
        pipeline.checkpoints.open(disk, dir.join("states")).unwrap();
        Self { pipeline, frames, schema }
    }

    /// Frames from one second to another, as the log gives them: descriptions come first, and what the store has
    /// applied is not applied again. Gives the scores.
    fn run(&self, seconds: std::ops::Range<usize>) -> Vec<Option<f64>> {
        let partition = id().partition();
        let apply = |offset: usize, record: &Record| {
            let position = Position { partition, offset: offset as u64 };
            self.pipeline.apply(position, record).unwrap();
        };
        apply(0, &Record::Instance(Instance::new("one", InstanceKind::Application, "one", "one")));
        apply(1, &Record::Schema(self.schema.clone()));
        let score = |second: usize| {
            apply(second + 2, &self.frames[second]);
            self.pipeline.with(&id(), |watched| watched.score()).unwrap()
        };
        seconds.map(score).collect()
    }

    fn train(&self) {
        let never = std::sync::atomic::AtomicBool::new(false);
        let due = self.pipeline.due().unwrap();
        assert!(self.pipeline.train(&due, &crate::trainer::Budget::new(&never, None)).unwrap());
    }

    fn flush(&self) {
        self.pipeline.store.flush(Timestamp::from_seconds(1e6 + ALL as f64)).unwrap();
    }
}

/// A directory with a model and a checkpoint of `stopped` seconds, of which the store has `stored`; and the scores that
/// follow without a restart.
fn lived(dir: &Path, stored: usize, stopped: usize) -> Vec<Option<f64>> {
    let life = Life::new(dir);
    life.run(0..LEARNED);
    life.train();
    life.run(LEARNED..stored);
    life.flush();
    life.run(stored..stopped);
    assert_eq!(life.pipeline.checkpoint(), 1);
    life.run(stopped..ALL)
}

fn largest_difference(one: &[Option<f64>], other: &[Option<f64>]) -> f64 {
    let apart = one.iter().zip(other).map(|(one, other)| match (one, other) {
        (Some(one), Some(other)) => (one - other).abs() / one.max(1e-3),
        _ => f64::INFINITY,
    });
    apart.fold(0.0, f64::max)
}

#[test]
fn scores_after_a_restart_are_those_without_one() {
    let stop = LEARNED + 450;
    // A clean stop; a kill after which the log says again what the store had not; a checkpoint of before the last flush.
    for (stored, stopped, again) in
        [(stop, stop, stop), (stop - 50, stop, stop - 50), (stop - 80, stop - 80, stop)]
    {
        let dir = tempfile::tempdir().unwrap();
        let expected = lived(dir.path(), stored, stopped);
        if again > stored {
            // The store went on after the checkpoint.
            let life = Life::new(dir.path());
            let states = std::fs::read(file(&dir.path().join("states"), id().partition())).unwrap();
            life.run(stored..again);
            life.flush();
            std::fs::write(file(&dir.path().join("states"), id().partition()), states).unwrap();
        }
        let life = Life::new(dir.path());
        let scores = life.run(again..ALL);
        let since = stopped.max(again);
        let difference = largest_difference(&expected[since - stopped..], &scores[since - again..]);
        assert!(difference < 1e-6, "stored {stored}, stopped {stopped}: {difference}");
    }
}

#[test]
fn without_a_checkpoint_a_restart_begins_anew() {
    let dir = tempfile::tempdir().unwrap();
    let stop = LEARNED + 450;
    let expected = lived(dir.path(), stop, stop);
    std::fs::remove_file(file(&dir.path().join("states"), id().partition())).unwrap();
    let scores = Life::new(dir.path()).run(stop..ALL);
    assert_eq!(scores.iter().filter(|score| score.is_none()).count(), 3, "lags");
    assert!(largest_difference(&expected[3..], &scores[3..]) > 1e-3, "so the other test can fail");
}

#[test]
fn a_damaged_or_foreign_checkpoint_means_a_warm_up() {
    let stop = LEARNED + 450;
    let damages: [Damage<'_>; 4] = [
        &|bytes| bytes[100] ^= 1,
        &|bytes| bytes.truncate(bytes.len() / 2),
        &Vec::clear,
        // Whole, but the state of another model.
        &|bytes| {
            let mut states = checkpoint::decode(id().partition(), bytes).unwrap();
            states[0].trained_at = states[0].trained_at + 1;
            *bytes = checkpoint::encode(id().partition(), &states);
        },
    ];
    let dir = tempfile::tempdir().unwrap();
    lived(dir.path(), stop, stop);
    let path = file(&dir.path().join("states"), id().partition());
    let whole = std::fs::read(&path).unwrap();
    for (n, damage) in damages.iter().enumerate() {
        let mut bytes = whole.clone();
        damage(&mut bytes);
        std::fs::write(&path, bytes).unwrap();
        let life = Life::new(dir.path());
        let scores = life.run(stop..stop + 20);
        assert_eq!(
            scores.iter().filter(|score| score.is_none()).count(),
            3,
            "damage {n}: warmed by the lags"
        );
    }
}

#[test]
fn states_of_instances_that_stay_away_are_kept_for_a_while() {
    let dir = tempfile::tempdir().unwrap();
    let stop = LEARNED + 100;
    lived(dir.path(), stop, stop);
    let life = Life::new(dir.path());
    assert_eq!(life.pipeline.checkpoint(), 1, "nothing came yet");
    let again = Life::new(dir.path());
    assert!(again.pipeline.checkpoints.take(&id(), again.schema.id()).is_some());
    assert!(again.pipeline.checkpoints.take(&id(), again.schema.id()).is_none(), "only once");
}
