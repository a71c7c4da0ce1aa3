//! A large cohort whose members are of different sizes: what they share, what each has for itself, and who earns weights
//! of its own.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use foretwin_core::{
    Batch, Instance, InstanceId, InstanceKind, Metric, Position, Record, Rng, Role, Schema, Storage,
    Timestamp, Value, Window,
};
use foretwin_disk::{Disk, OsDisk};
use foretwin_learn::{Model, Outcome, Provenance};
use foretwin_store::Store;

use super::super::{Budget, Cause};
use crate::config::Config;
use crate::pipeline::Pipeline;
use crate::registry::{Line, Registry, Weights};

const MEMBERS: usize = 10;
/// The member that is not as the others are.
const STRANGE: usize = 7;
const HISTORY: usize = 2400;

struct Fleet {
    pipeline: Pipeline,
    schema: Arc<Schema>,
    offsets: Vec<u64>,
    members: Vec<Member>,
    second: i64,
}

/// A queue that follows the square of a chaotic load, which no linear part can know.
struct Member {
    id: InstanceId,
    rng: Rng,
    load: f64,
    scale: f64,
    strange: bool,
}

impl Member {
    fn new(n: usize) -> Self {
        let id = InstanceId::new(&format!("node/replica-{n}"));
        let scale = 10f64.powi(n as i32 % 4);
        Self { id, rng: Rng::new(n as u64 + 1), load: 0.2 + 0.05 * n as f64, scale, strange: n == STRANGE }
    }

    fn next(&mut self) -> [Value; 2] {
        let before = self.load;
        self.load = 3.8 * before * (1.0 - before);
        // The strange one's queue goes the other way, and its load by another law.
        let queue = if self.strange {
            self.load = (1.9 * (before - 0.5).abs() + 0.02 * self.rng.normal()).clamp(0.05, 0.95);
            1.0 - (std::f64::consts::PI * before).sin()
        } else {
            before * before
        };
        let [load, queue] = [self.load + 0.01 * self.rng.normal(), queue + 0.02 * self.rng.normal()];
        [load, queue].map(|x| Value::float(self.scale * x))
    }
}

fn config() -> Config {
    let mut config = Config::default();
    (config.learn.hidden, config.learn.lstm_min_rows) = (16, 1500);
    config.learn.max_rows = 8000;
    config.training.settled_s = 600.0;
    config
}

impl Fleet {
    fn new(dir: &Path, members: usize) -> Self {
        let disk: Arc<dyn Disk> = Arc::new(OsDisk);
        let config = config();
        let (store, _) = Store::open(disk.clone(), &dir.join("store"), config.store.clone()).unwrap();
        let registry = Registry::open(disk, &dir.join("models")).unwrap();
        let pipeline = Pipeline::new(config, Arc::new(store), registry);
        let offsets = foretwin_core::Partition::all().map(|one| pipeline.store.applied(one)).collect();
        let metric = |name: &str| Metric::gauge(name, "1", Role::Rate).stored(Storage::F64);
        let schema = Schema::new(vec![metric("load"), metric("queue")]);
        let mut fleet = Self { pipeline, schema, offsets, members: Vec::new(), second: 1_000_000 };
        (0..members).for_each(|_| fleet.join());
        fleet
    }

    fn apply(&mut self, id: &InstanceId, record: &Record) {
        let partition = id.partition();
        let offset = self.offsets[partition.index()];
        self.offsets[partition.index()] += 1;
        self.pipeline.apply(Position { partition, offset }, record).unwrap();
    }

    /// One more member.
    fn join(&mut self) {
        let member = Member::new(self.members.len());
        let id = member.id.clone();
        let instance = Instance::new(id.as_str(), InstanceKind::Container, "node", "image:shop");
        self.apply(&id, &Record::Instance(instance));
        self.apply(&id, &Record::Schema(self.schema.clone()));
        self.members.push(member);
    }

    /// Seconds of life; gives what the members sent.
    fn live(&mut self, seconds: usize) -> Vec<Window> {
        let window = |member: &Member| Window::new(member.id.clone(), self.schema.clone());
        let mut windows: Vec<Window> = self.members.iter().map(window).collect();
        for _ in 0..seconds {
            self.second += 1;
            let at = Timestamp::from_seconds(self.second as f64);
            for (n, window) in windows.iter_mut().enumerate() {
                let values = self.members[n].next();
                window.push(at, &values);
                let (id, mut batch) = (self.members[n].id.clone(), Batch::new(self.schema.id(), 2));
                batch.push(&id, at, &values).unwrap();
                self.apply(&id, &Record::Batch(batch));
            }
        }
        windows
    }

    /// Trains whoever is due; gives who it was, and why.
    fn train(&self) -> Option<(String, Cause)> {
        let never = AtomicBool::new(false);
        let due = self.pipeline.due()?;
        assert!(self.pipeline.train(&due, &Budget::new(&never, None)).unwrap(), "{}", due.name());
        Some((due.name().to_owned(), due.cause))
    }

    fn train_all(&self) -> Vec<(String, Cause)> {
        std::iter::from_fn(|| self.train()).take(100).collect()
    }

    fn model(&self, n: usize) -> (Arc<Model>, bool) {
        let found = self.pipeline.with(&self.members[n].id, |watched| {
            let feed = &watched.feeds[0];
            (feed.model().unwrap().0.clone(), feed.individual)
        });
        found.unwrap()
    }

    fn line(&self, n: usize) -> Line {
        Line::new(&self.members[n].id, self.schema.id())
    }
}

/// Part of a window's frames with a score above 1.
fn alarms(model: &Model, window: &Window) -> f64 {
    let (mut state, mut values, mut count) = (model.start(), Vec::new(), 0);
    for (row, &at) in window.times.iter().enumerate() {
        window.frame(row, &mut values);
        model.advance(&mut state, at, &values);
        count += usize::from(state.score() > 1.0);
    }
    count as f64 / window.len() as f64
}

/// Mean negative log-likelihood of a window's samples under what a model expects of each, a surprise believed up to 100.
fn nll(model: &Model, window: &Window) -> f64 {
    let (mut state, mut values, mut outcome) = (model.start(), Vec::new(), Outcome::default());
    let (mut sum, mut count) = (0.0, 0);
    for (row, &at) in window.times.iter().enumerate() {
        window.frame(row, &mut values);
        model.step(&mut state, at, &values, &mut outcome);
        for (value, expected) in values.iter().zip(&outcome.expectations) {
            let z = (value.to_f64(Storage::F64) - expected.mean) / expected.scale;
            if z.is_finite() {
                sum += expected.scale.ln() + 0.5 * z.clamp(-100.0, 100.0).powi(2);
                count += 1;
            }
        }
    }
    sum / f64::from(count.max(1))
}

#[test]
fn members_keep_their_own_scale_around_one_network_and_the_strange_one_earns_weights() {
    let dir = tempfile::tempdir().unwrap();
    let mut fleet = Fleet::new(dir.path(), MEMBERS);
    fleet.live(HISTORY);
    let (first, cause) = fleet.train().unwrap();
    assert_eq!((first.as_str(), cause), ("node/replica-0", Cause::First), "the leader comes first");
    let whole = fleet.model(0).0;
    for n in 1..MEMBERS {
        let (model, individual) = fleet.model(n);
        assert!(Arc::ptr_eq(&model, &whole) && !individual, "member {n} begins with the model of all");
    }
    let trained = fleet.train_all();
    assert!(trained.iter().all(|(_, cause)| *cause == Cause::Individual), "{trained:?}");
    assert_eq!(trained.len(), MEMBERS - 1, "each in its turn, once: {trained:?}");

    let fresh = fleet.live(900);
    for (n, fresh) in fresh.iter().enumerate().skip(1) {
        let (model, individual) = fleet.model(n);
        let gain = model.gain();
        assert!(individual && model.version() != whole.version(), "member {n} has a version of its own");
        let likelihoods = [&whole, &model].map(|model| nll(model, fresh));
        let rates = [&whole, &model].map(|model| alarms(model, fresh));
        println!("member {n}: nll {likelihoods:.3?}, alarms {rates:.4?}, {gain:?}");
        assert!(rates[1] < 0.01, "member {n} alarms in {} of its frames", rates[1]);
        let manifest = fleet.pipeline.registry.line(&fleet.line(n)).unwrap();
        let entry = manifest.entry(model.version()).unwrap();
        if n == STRANGE {
            assert!(!gain.shared && gain.own.unwrap() < 0.9 * gain.cohort.unwrap(), "{gain:?}");
            assert_eq!((entry.weights, entry.network), (Weights::Own, None));
        } else {
            assert!(gain.shared && gain.cohort.unwrap() < 0.8, "member {n}: {gain:?}");
            assert!(Arc::ptr_eq(model.cohort().unwrap(), whole.cohort().unwrap()), "one copy in memory");
            assert_eq!(entry.weights, Weights::Shared);
            assert!(entry.network.is_some());
        }
        if fleet.members[n].scale != fleet.members[0].scale {
            assert!(
                rates[0] > 0.1,
                "judged on another's scale member {n} alarms in {} of its frames",
                rates[0]
            );
            assert!(likelihoods[1] < likelihoods[0] - 0.5, "member {n}: {likelihoods:?}");
        }
    }
    let networks = std::fs::read_dir(dir.path().join("models/networks")).unwrap().count();
    assert_eq!(networks, 1, "one copy on disk");
}

#[test]
fn a_restart_and_a_rollback_keep_what_is_shared_and_what_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let before = {
        let mut fleet = Fleet::new(dir.path(), MEMBERS);
        fleet.live(HISTORY);
        (0..4).for_each(|_| drop(fleet.train()));
        fleet.pipeline.store.flush(Timestamp::from_seconds(fleet.second as f64)).unwrap();
        (0..MEMBERS).map(|n| fleet.model(n)).collect::<Vec<_>>()
    };
    let mut fleet = Fleet::new(dir.path(), MEMBERS);
    fleet.second += HISTORY as i64;
    fleet.live(5);
    for (n, (model, individual)) in before.iter().enumerate() {
        let again = fleet.model(n);
        assert_eq!((&again.0, again.1), (model, *individual), "member {n}");
    }
    let individual: Vec<usize> = (1..MEMBERS).filter(|&n| before[n].1).collect();
    assert_eq!(individual.len(), 3);
    let shared: Vec<_> = individual.iter().filter_map(|&n| fleet.model(n).0.cohort().cloned()).collect();
    let whole = fleet.model(0).0;
    assert!(shared.len() >= 2 && shared.iter().all(|one| Arc::ptr_eq(one, whole.cohort().unwrap())));

    // Exported, a member's version is whole.
    let n = *individual.iter().find(|&&n| n != STRANGE).unwrap();
    let (line, version) = (fleet.line(n), fleet.model(n).0.version());
    let file = fleet.pipeline.registry.file(&line, version).unwrap();
    assert_eq!(Model::decode(&file).unwrap().corrected(), fleet.model(n).0.corrected());

    // A second version of the cohort, and the way back: for those who have no version of their own, and nobody else.
    fleet.join();
    // Too soon for most of a day: only the clock goes on.
    fleet.second += 7 * 3600;
    fleet.live(300);
    let due = fleet.pipeline.due().unwrap();
    assert_eq!((due.name(), due.cause), ("node/replica-0", Cause::Schedule));
    let never = AtomicBool::new(false);
    assert!(fleet.pipeline.train(&due, &Budget::new(&never, None)).unwrap());
    let (leader, id, schema) = (fleet.line(0), fleet.members[0].id.clone(), fleet.schema.id());
    let manifest = fleet.pipeline.registry.line(&leader).unwrap();
    let second = manifest.versions.last().unwrap();
    assert!(second.cohort && second.version > whole.version(), "{:?}", manifest.changes);
    let seated = fleet.pipeline.registry.promote(&leader, second.version, "test").unwrap();
    fleet.pipeline.install(&id, schema, seated);
    fleet.live(200);
    assert_eq!(
        fleet.model(MEMBERS).0.version(),
        second.version,
        "the newcomer is judged by the model of all"
    );
    assert_eq!(fleet.model(n).0.version(), version, "a version of one's own stays");
    let seated = fleet.pipeline.registry.rollback(&leader, "test").unwrap();
    assert_eq!(seated.model.version(), whole.version());
    fleet.pipeline.install(&id, schema, seated);
    fleet.live(200);
    let (new, its_own) = fleet.model(MEMBERS);
    assert!(new.version() == whole.version() && !its_own);
    assert_eq!(fleet.model(n).0.version(), version, "a version of one's own stays");

    // One member's own way back, and forth.
    let registry = &fleet.pipeline.registry;
    let instance = fleet.pipeline.with(&fleet.members[n].id, |watched| watched.instance.clone()).unwrap();
    let provenance = Provenance { reason: "again".into(), ..Provenance::default() };
    registry.succeed(&instance, schema, (&fleet.model(n).0, &provenance), 5).unwrap();
    assert_eq!(registry.rollback(&line, "test").unwrap().model.version(), version);
    let next = registry.line(&line).unwrap().versions.last().unwrap().version;
    let again = registry.promote(&line, next, "test").unwrap();
    assert!(again.model.cohort().is_some() && again.model.version() == next);
}
