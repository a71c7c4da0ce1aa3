//! Made-up telemetry of a fleet: a few workloads with a rhythm, noise and couplings, and instances that differ from
//! each other in phase and size. A block of it is made once and only indexed afterwards, so that making it takes
//! little of the processors that are measured.

use std::sync::Arc;

use foretwin_core::{
    Batch, FailureMode, Instance, InstanceId, InstanceKind, Metric, Origin, Partition, Record, Rng, Role,
    Row, SECOND_US, Schema, Storage, Timestamp, Value,
};

/// Metrics of an instance: 12 counters, 3 gauges with their limits, 20 other gauges, of which 4 are ratios. Like what is
/// collected of control groups, most are whole numbers.
pub const METRICS: usize = 38;
const COUNTERS: usize = 12;
const LIMITED: [(&str, FailureMode); 3] = [
    ("memory", FailureMode::MemoryExhaustion),
    ("descriptors", FailureMode::DescriptorExhaustion),
    ("tasks", FailureMode::PidExhaustion),
];
const RATIOS: usize = 4;
/// Seconds after which the telemetry of a workload repeats.
const PERIOD: usize = 600;
/// Threads that senders share: one waits for the log most of the time.
const LANES: usize = 8;

/// One period of a workload. Counters have their sums so far.
struct Rhythm {
    levels: Vec<[f64; METRICS]>,
    /// What counters gain in a period; nothing for gauges.
    gains: [f64; METRICS],
}

/// An instance: where in the rhythm it is, and how large.
struct Member {
    id: InstanceId,
    workload: usize,
    phase: usize,
    size: f64,
}

/// All instances; the first of each workload come first.
pub struct Fleet {
    pub schema: Arc<Schema>,
    rhythms: Vec<Rhythm>,
    members: Vec<Member>,
}

fn schema() -> Arc<Schema> {
    let mut metrics: Vec<Metric> =
        (0..COUNTERS).map(|n| Metric::counter(&format!("fleet.count.{n}"), "1", Role::Rate)).collect();
    for (name, mode) in LIMITED {
        let (used, limit) = (format!("fleet.{name}.used"), format!("fleet.{name}.limit"));
        metrics.push(Metric::gauge(&used, "1", Role::Utilization).against(&limit, mode));
        metrics.push(Metric::gauge(&limit, "1", Role::Limit));
    }
    let gauge = |n| Metric::gauge(&format!("fleet.gauge.{n}"), "1", Role::Saturation);
    let rest = METRICS - metrics.len();
    metrics.extend((0..rest - RATIOS).map(gauge));
    metrics.extend((rest - RATIOS..rest).map(|n| gauge(n).stored(Storage::F64)));
    Schema::new(metrics)
}

impl Rhythm {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let shapes: Vec<[f64; 4]> = (0..METRICS).map(|_| std::array::from_fn(|_| rng.uniform())).collect();
        let (mut noise, mut sums) = ([0.0f64; METRICS], [0.0; METRICS]);
        let mut levels = Vec::with_capacity(PERIOD);
        for second in 0..PERIOD {
            let turn = std::f64::consts::TAU * second as f64 / PERIOD as f64;
            // Everything follows the load, each metric in its own way and with its own noise.
            let load = 1.0 + 0.5 * turn.sin() + 0.2 * (5.0 * turn).cos();
            let mut frame = [0.0; METRICS];
            for (column, (shape, value)) in shapes.iter().zip(&mut frame).enumerate() {
                noise[column] = 0.7 * noise[column] + 0.1 * (rng.uniform() - 0.5);
                let level = 0.3 + shape[0] * load + 0.2 * (3.0 * turn + shape[1]).sin() + noise[column];
                let level = level.max(0.01);
                *value = match column {
                    _ if column < COUNTERS => {
                        sums[column] += (level * 1000.0 * (1.0 + 9.0 * shape[2])).round();
                        sums[column]
                    }
                    // Used and limit in turn.
                    _ if column < COUNTERS + 2 * LIMITED.len() => match (column - COUNTERS) % 2 {
                        0 => (level * 1e6).round(),
                        _ => 1e7,
                    },
                    _ if column < METRICS - RATIOS => (level * 1000.0 * (1.0 + 9.0 * shape[3])).round(),
                    _ => level,
                };
            }
            levels.push(frame);
        }
        Self { levels, gains: sums }
    }
}

impl Fleet {
    /// As many instances of as many workloads, equal for equal numbers.
    pub fn new(instances: usize, workloads: usize) -> Self {
        let mut rng = Rng::new(7);
        let member = |n: usize| Member {
            id: InstanceId::new(&format!("node-{:04}/apps.slice/replica-{n:06}", n / 100)),
            workload: n % workloads,
            phase: rng.below(PERIOD as u64) as usize,
            size: 0.95 + 0.1 * rng.uniform(),
        };
        let members = (0..instances).map(member).collect();
        let rhythms = (0..workloads).map(|n| Rhythm::new(n as u64 + 1)).collect();
        Self { schema: schema(), rhythms, members }
    }

    pub fn len(&self) -> usize {
        self.members.len()
    }

    pub fn workloads(&self) -> usize {
        self.rhythms.len()
    }

    pub fn id(&self, n: usize) -> &InstanceId {
        &self.members[n].id
    }

    pub fn instance(&self, n: usize) -> Instance {
        let member = &self.members[n];
        let host = member.id.as_str().split('/').next().unwrap_or_default();
        let workload = format!("image:workload-{}", member.workload);
        Instance::new(member.id.as_str(), InstanceKind::Container, host, &workload)
    }

    /// Frames of an instance up to a moment.
    pub fn history(
        &self,
        n: usize,
        seconds: usize,
        until: Timestamp,
    ) -> Result<Batch, foretwin_core::BatchError> {
        let mut batch = Batch::new(self.schema.id(), METRICS);
        let mut frame = Vec::with_capacity(METRICS);
        for second in 0..seconds {
            frame.clear();
            self.frame(n, second, &mut frame);
            let at = until - (seconds - second) as i64 * SECOND_US;
            batch.push(&self.members[n].id, at, &frame)?;
        }
        Ok(batch)
    }

    fn frame(&self, n: usize, second: usize, into: &mut Vec<Value>) {
        let member = &self.members[n];
        let rhythm = &self.rhythms[member.workload];
        let at = second + member.phase;
        let (turn, level) = ((at / PERIOD) as f64, &rhythm.levels[at % PERIOD]);
        let whole = METRICS - RATIOS;
        into.extend((0..whole).map(|c| Value((member.size * (level[c] + turn * rhythm.gains[c])) as u64)));
        into.extend((whole..METRICS).map(|c| Value::float((level[c] * member.size * 1e3).round() / 1e3)));
    }
}

/// One who sends for many instances: an agent, a collector, a gateway.
pub struct Sender {
    /// When in the second it sends, in microseconds.
    pub phase_us: i64,
    origin: Origin,
    /// Its instances by partition.
    parts: Vec<Vec<usize>>,
}

impl Sender {
    /// Senders that share the fleet evenly, in as many groups as there are threads for them.
    pub fn lanes(fleet: &Fleet, senders: usize) -> Vec<Vec<Self>> {
        let mut all: Vec<Self> = (0..senders)
            .map(|n| Self {
                phase_us: n as i64 * SECOND_US / senders as i64,
                origin: Origin { source: n as u64 + 1, epoch: 1, sequence: 0 },
                parts: vec![Vec::new(); foretwin_core::PARTITIONS],
            })
            .collect();
        for n in 0..fleet.len() {
            let home: Partition = fleet.id(n).partition();
            all[n * senders / fleet.len()].parts[home.index()].push(n);
        }
        let mut lanes: Vec<Vec<Self>> = (0..LANES.min(senders)).map(|_| Vec::new()).collect();
        let count = lanes.len();
        all.into_iter().enumerate().for_each(|(n, sender)| lanes[n % count].push(sender));
        lanes
    }

    /// One frame of each of its instances, a batch for each partition.
    pub fn records(
        &mut self,
        fleet: &Fleet,
        tick: usize,
        at: Timestamp,
    ) -> Result<Vec<Record>, foretwin_core::BatchError> {
        let mut records = Vec::new();
        for part in self.parts.iter().filter(|part| !part.is_empty()) {
            self.origin.sequence += 1;
            let instances: Vec<InstanceId> = part.iter().map(|&n| fleet.id(n).clone()).collect();
            let rows = (0..part.len() as u32).map(|instance| Row { instance, at }).collect();
            let mut values = Vec::with_capacity(part.len() * METRICS);
            part.iter().for_each(|&n| fleet.frame(n, tick, &mut values));
            let head = (self.origin, fleet.schema.id(), METRICS);
            records.push(Record::Batch(Batch::from_parts(head, instances, rows, values)?));
        }
        Ok(records)
    }
}
