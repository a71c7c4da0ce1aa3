//! Prints what the models of a fleet cost at a restart:
//! `cargo run --release -p foretwin-engine --example model_restart -- INSTANCES METRICS FRAMES`.
//!
//! Teaches that many instances on random walks (a model each), stops, and starts again with and without the models.

use std::path::Path;
use std::time::{Duration, Instant};

use foretwin_core::{
    Batch, Instance, InstanceKind, Metric, Record, Rng, Role, Schema, Storage, Timestamp, Value,
};
use foretwin_engine::{Config, Handle, Node, Roles};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// The fleet's frames, tick by tick.
struct Fleet {
    schema: std::sync::Arc<Schema>,
    instances: Vec<Instance>,
    levels: Vec<f64>,
    rng: Rng,
    second: i64,
}

impl Fleet {
    fn new(instances: usize, metrics: usize) -> Self {
        let metric = |n: usize| Metric::gauge(&format!("m{n}"), "1", Role::Rate).stored(Storage::F64);
        let named = |n: usize| {
            let (id, workload) = (format!("host{}/service{n}", n / 20), format!("unit:service{n}"));
            Instance::new(&id, InstanceKind::Service, &format!("host{}", n / 20), &workload)
        };
        Self {
            schema: Schema::new((0..metrics).map(metric).collect()),
            instances: (0..instances).map(named).collect(),
            levels: vec![0.0; instances * metrics],
            rng: Rng::new(1),
            second: 1_700_000_000,
        }
    }

    fn announce(&self, handle: &Handle) -> Outcome<()> {
        let records = self.instances.iter().cloned().map(Record::Instance);
        Ok(handle.ingest(records.chain([Record::Schema(self.schema.clone())]).collect())?)
    }

    fn tick(&mut self, handle: &Handle) -> Outcome<()> {
        let width = self.schema.width();
        let (mut frame, mut batch) = (Vec::new(), Batch::new(self.schema.id(), width));
        for (n, instance) in self.instances.iter().enumerate() {
            frame.clear();
            for level in &mut self.levels[n * width..(n + 1) * width] {
                *level = 0.9 * *level + self.rng.normal();
                frame.push(Value::float(*level));
            }
            batch.push(&instance.id, Timestamp(self.second * 1_000_000), &frame)?;
        }
        self.second += 1;
        // A busy log asks for patience.
        while let Err(error) = handle.ingest(vec![Record::Batch(batch.clone())]) {
            if error.code() != "busy" {
                return Err(error.into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or(f64::NAN) / 1024.0
}

/// Starts, and says how long that took and how long until every instance was scored.
fn restart(what: &str, config: &Config, fleet: &mut Fleet) -> Outcome<()> {
    let (begun, before) = (Instant::now(), resident_mib());
    let node = Node::start(config, Roles { collect: false })?;
    let (started, opened) = (begun.elapsed(), resident_mib());
    let handle = node.handle();
    let begun = Instant::now();
    for _ in 0..8 {
        fleet.tick(&handle)?;
    }
    let wanted = fleet.instances.len();
    while what.contains("with models") && handle.readiness().scored < wanted {
        std::thread::sleep(Duration::from_millis(10));
    }
    println!(
        "{what}: started in {:.3} s ({:+.0} MiB), 8 ticks scored after {:.2} s ({:+.0} MiB)",
        started.as_secs_f64(),
        opened - before,
        begun.elapsed().as_secs_f64(),
        resident_mib() - opened
    );
    Ok(node.stop()?)
}

fn size(dir: &Path) -> (u64, u64) {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.fold((0, 0), |(files, bytes), entry| match entry.metadata() {
        Ok(data) if data.is_dir() => {
            let (more_files, more_bytes) = size(&entry.path());
            (files + more_files, bytes + more_bytes)
        }
        Ok(data) => (files + 1, bytes + data.len()),
        Err(_) => (files, bytes),
    })
}

fn main() -> Outcome<()> {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse::<usize>());
    let mut next = |default: usize| args.next().unwrap_or(Ok(default));
    let (instances, metrics, frames) = (next(5000)?, next(38)?, next(60)?);
    let dir = std::env::temp_dir().join(format!("foretwin-restart-{}", std::process::id()));
    let mut config = Config { data_dir: dir.clone(), ..Config::default() };
    config.training.cpu_share = 1.0;
    config.training.interval_s = 1e9;
    config.training.growth = 1e9;
    let mut fleet = Fleet::new(instances, metrics);
    let node = Node::start(&config, Roles { collect: false })?;
    fleet.announce(&node.handle())?;
    let begun = Instant::now();
    for _ in 0..frames {
        fleet.tick(&node.handle())?;
    }
    let trained = |handle: &Handle| {
        let all = handle.instances();
        all.iter().filter(|one| one.learning.model_version > 0).count()
    };
    while trained(&node.handle()) < instances {
        std::thread::sleep(Duration::from_millis(500));
    }
    println!(
        "{instances} instances taught {frames} frames of {metrics} metrics in {:.1} s",
        begun.elapsed().as_secs_f64()
    );
    node.stop()?;
    let models = dir.join("models");
    let (files, bytes) = size(&models);
    println!("models: {files} files, {} KiB each", bytes / files.max(1) / 1024);
    for _ in 0..3 {
        restart("with models", &config, &mut fleet)?;
    }
    std::fs::rename(&models, dir.join("away"))?;
    restart("without", &config, &mut fleet)?;
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}
