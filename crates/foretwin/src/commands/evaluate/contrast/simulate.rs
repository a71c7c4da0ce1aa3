//! Simulated recordings of hosts whose infrastructure slows down gradually, and of hosts where something rises for a
//! while and stops: what announcements are developed and calibrated on, beside the few ramps that can be recorded.
//!
//! Production is a queue with one server (M/G/1, Pollaczek and Khinchine's mean) whose service time grows with what the
//! machine is short of; the twin's costs grow with the same shortage, each kind by a factor drawn per host, with noise
//! as recorded in the lab. Load doubles and halves all the time.

use std::f64::consts::TAU;

use foretwin_core::{InstanceId, Rng, Timestamp};
use foretwin_foresee::contrast::{COSTS, Kernel, Neighbour, Probe, Production, Second, TWIN};

use super::recording::{Recording, Truth};

/// Healthy seconds before the first episode, and between two.
const LEARN_S: usize = 300;
const GAP_S: usize = 150;
/// Episodes of a recording: as many ramps as stretches that are none.
pub const EPISODES: usize = 8;
/// CPU seconds of a request, and requests per second in the middle of the wave.
const REQUEST_S: f64 = 1.6e-3;
const RATE: f64 = 150.0;
/// Squared coefficient of variation of the time that a request takes.
const VARIATION: f64 = 1.5;
/// The 90th percentile of a time with an exponential tail, in means.
const P90: f64 = 2.3;

/// What happens to the machine underneath.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Course {
    /// A shortage that grows until the end, as a power of time.
    Ramp { power: f64 },
    /// One that grows for a while and stays.
    Plateau { rise_s: f64 },
    /// A few that come and go.
    Bursts { every_s: f64, rise_s: f64, hold_s: f64 },
    /// None.
    Well,
}

/// An episode: its course, how long, and the largest shortage.
#[derive(Debug, Clone, Copy)]
struct Episode {
    course: Course,
    seconds: usize,
    most: f64,
    on_disk: bool,
}

/// A host: how production and the twin feel a shortage of processor or disk.
struct World {
    rng: Rng,
    now: i64,
    phases: [f64; 2],
    wander: f64,
    batch_s: f64,
    batch: f64,
    /// How each kind of probe feels a shortage of the processor, and of the disk.
    felt: [[f64; 7]; 2],
    /// How production feels it.
    harm: [f64; 2],
    /// Slow noise of each cost, of latency and of the machine.
    slow: [f64; COSTS + 2],
}

const KINDS: [Probe; 7] =
    [Probe::Wake, Probe::Work, Probe::Fault, Probe::Reclaim, Probe::Disk, Probe::Network, Probe::Queue];

/// A recording of one host: ramps and stretches that are none, one after another.
pub fn recording(seed: u64) -> Recording {
    let mut world = World::new(seed);
    let mut recording = Recording { seconds: Vec::new(), frames: Vec::new(), truth: Vec::new() };
    let calm = |world: &mut World, seconds: usize| -> Vec<Second> {
        (0..seconds).map(|_| world.next(0.0, false)).collect()
    };
    recording.seconds.extend(calm(&mut world, LEARN_S));
    for number in 0..EPISODES {
        let episode = world.draw(number % 2 == 0);
        let begin = world.now as f64;
        for second in 0..episode.seconds {
            let shortage = episode.shortage(second as f64);
            recording.seconds.push(world.next(shortage, episode.on_disk));
        }
        recording.truth.push(Truth {
            kind: episode.name().into(),
            strength: 1.0,
            begin,
            end: world.now as f64,
            consumer: String::new(),
        });
        recording.seconds.extend(calm(&mut world, GAP_S));
    }
    recording
}

impl Episode {
    fn name(&self) -> &'static str {
        match self.course {
            Course::Ramp { .. } => "ramp",
            Course::Plateau { .. } => "plateau",
            Course::Bursts { .. } => "bursts",
            Course::Well => "healthy",
        }
    }

    /// What the machine is short of after so many seconds: 0 for nothing, 1 where everything takes twice as long.
    fn shortage(&self, after_s: f64) -> f64 {
        let share = match self.course {
            Course::Ramp { power } => (after_s / self.seconds as f64).powf(power),
            Course::Plateau { rise_s } => (after_s / rise_s).min(1.0),
            Course::Bursts { every_s, rise_s, hold_s } => {
                let within = after_s % every_s;
                let falls = (rise_s + hold_s + rise_s - within) / rise_s;
                (within / rise_s).min(falls).clamp(0.0, 1.0)
            }
            Course::Well => 0.0,
        };
        self.most * share
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let phases = [0, 1].map(|_| TAU * rng.uniform());
        // At least two kinds feel it well, some hardly.
        let mut felt = [[0.0; 7]; 2];
        for of in &mut felt {
            for kind in of.iter_mut() {
                *kind = 1.6 * rng.uniform().powi(2);
            }
            for _ in 0..2 {
                of[rng.below(7) as usize] = 0.8 + rng.uniform();
            }
        }
        let harm = [0, 1].map(|_| 0.6 + 0.6 * rng.uniform());
        let (wander, batch_s, batch) = (0.0, 0.0, 0.0);
        Self { rng, now: 0, phases, wander, batch_s, batch, felt, harm, slow: [0.0; COSTS + 2] }
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.rng.uniform()
    }

    fn draw(&mut self, ramps: bool) -> Episode {
        let on_disk = self.rng.uniform() < 0.4;
        let seconds = self.between(600.0, 1200.0) as usize;
        // What breaks latency depends on load; some ramps stop short of it.
        let (course, most) = if ramps {
            (Course::Ramp { power: self.between(0.7, 1.5) }, self.between(0.9, 1.8))
        } else {
            match self.rng.below(3) {
                0 => (Course::Plateau { rise_s: self.between(120.0, 400.0) }, self.between(0.15, 0.35)),
                1 => {
                    let (every_s, rise_s) = (self.between(150.0, 400.0), self.between(5.0, 60.0));
                    let hold_s = self.between(10.0, 60.0);
                    (Course::Bursts { every_s, rise_s, hold_s }, self.between(0.2, 0.5))
                }
                _ => (Course::Well, 0.0),
            }
        };
        Episode { course, seconds, most, on_disk }
    }

    /// Requests per second: two waves and a random walk, in octaves.
    fn rate(&mut self) -> f64 {
        let at_s = self.now as f64;
        self.wander = 0.97 * self.wander + 0.02 * self.rng.normal();
        let [slow, fast] = [(190.0, 0), (67.0, 1)].map(|(s, at)| (TAU * at_s / s + self.phases[at]).sin());
        RATE * (0.85 * (0.75 * slow + 0.25 * fast) + self.wander).exp2()
    }

    /// Noise that lasts some seconds, and noise of the second.
    fn noise(&mut self, of: usize, (lasting, fresh): (f64, f64)) -> f64 {
        self.slow[of] = 0.9 * self.slow[of] + (1.0f64 - 0.81).sqrt() * lasting * self.rng.normal();
        (self.slow[of] + fresh * self.rng.normal()).exp()
    }

    fn next(&mut self, shortage: f64, on_disk: bool) -> Second {
        self.now += 1;
        let rate = self.rate();
        self.batch_s -= 1.0;
        if self.batch_s <= 0.0 {
            self.batch = if self.batch == 0.0 { self.between(0.1, 0.5) } else { 0.0 };
            self.batch_s = self.between(10.0, 45.0);
        }
        let crowd = 0.1 * self.batch;
        let harm = self.harm[usize::from(on_disk)] * shortage;
        let service_s = REQUEST_S * (1.0 + harm + crowd);
        let busy = (rate * service_s).min(0.97);
        let waits_s = busy * service_s * (1.0 + VARIATION) / (2.0 * (1.0 - busy));
        let latency_s = service_s + waits_s;
        let p50 = 0.7 * latency_s * self.noise(COSTS, (0.08, 0.1));
        let p90 = (1.2 * service_s + P90 * waits_s) * self.noise(COSTS + 1, (0.18, 0.25));
        let twin = self.twin(shortage + crowd, usize::from(on_disk));
        let stalled = 0.03 + 0.1 * rate / RATE * (1.0 + harm) * (0.2 * self.rng.normal()).exp();
        let cpu = rate * REQUEST_S * (0.03 * self.rng.normal()).exp();
        let hog = if on_disk { 0.0 } else { (0.4 * shortage).min(0.6) };
        let neighbours = vec![neighbour("host/batch", self.batch), neighbour("host/hog", hog)];
        Second {
            at: Timestamp(self.now * 1_000_000),
            production: Production {
                rate: rate.round(),
                errors: 0.0,
                latency_p50_s: p50,
                latency_p90_s: p90,
                cpu,
                memory: 4e7,
                io: 1e5,
                throttled: 0.0,
            },
            kernel: self.kernel(stalled, on_disk.then_some(shortage)),
            neighbours,
            twin: Some(twin),
            twin_score: f64::NAN,
        }
    }

    /// What the kernel counts: on the processors, or on the disk where that is short.
    fn kernel(&mut self, stalled: f64, disk: Option<f64>) -> Kernel {
        let processors = if disk.is_some() { 0.05 } else { stalled };
        Kernel {
            parent_throttled: 0.0,
            cpu_stall: processors,
            memory_stall: 0.0,
            io_stall: 0.01 + 0.1 * disk.unwrap_or(0.0),
            run_delay: processors,
            refaults: 0.0,
            steal: 0.005 * self.rng.uniform(),
            ..Kernel::UNKNOWN
        }
    }

    /// The twin's costs: 0.2 ms each when all is well.
    fn twin(&mut self, shortage: f64, felt: usize) -> [f64; COSTS] {
        let mut costs = [0.0; COSTS];
        for (cost, value) in costs.iter_mut().enumerate() {
            let (key, kind) = TWIN[cost];
            let place = KINDS.iter().position(|known| *known == kind).unwrap_or_default();
            let unit = if key.ends_with("run_delay") { 0.005 } else { 2e-4 };
            *value = unit * (1.0 + self.felt[felt][place] * shortage) * self.noise(cost, (0.12, 0.25));
        }
        costs
    }
}

fn neighbour(name: &str, cpu: f64) -> Neighbour {
    Neighbour { id: InstanceId::new(name), cpu, io: 0.0, io_stall: 0.0, memory: 1e7, inside: false }
}
