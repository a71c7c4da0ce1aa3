//! A simulated service at 1 Hz: 38 metrics with a daily shape, coupling, saturation, timers and hidden counters.

use foretwin_core::Rng;

/// Metrics.
pub const WIDTH: usize = 38;
/// Services whose load drives them, six metrics each and two of the host.
const SERVICES: usize = 6;
const DAY: f64 = 86_400.0;

/// One service between two frames.
#[derive(Clone, Copy, Default)]
struct Service {
    /// Slow and fast deviation of the load from its daily shape.
    slow: f64,
    fast: f64,
    queue: f64,
    heap: f64,
    dirty: f64,
    /// Seconds that a flush goes on.
    flush: f64,
    warm: f64,
}

/// The whole machine.
pub struct Plant {
    rng: Rng,
    services: [Service; SERVICES],
}

impl Plant {
    pub fn new(seed: u64) -> Self {
        Self { rng: Rng::new(seed), services: [Service::default(); SERVICES] }
    }

    /// Load of a service at a second of the week, without chance: a day with two humps, a quieter weekend, jobs.
    fn shape(service: usize, second: f64) -> f64 {
        let turn = std::f64::consts::TAU * (second / DAY - 0.04 * service as f64);
        let day = 0.5 - 0.35 * turn.cos() + 0.12 * (2.0 * turn + service as f64).sin();
        let weekend = if second / DAY >= 5.0 { 0.6 } else { 1.0 };
        // A job of `length` seconds every `period`: backups, rotations, batches.
        let (period, length) =
            ([600.0, 3600.0, 900.0, 1800.0, 300.0, 7200.0][service], 20.0 + 15.0 * service as f64);
        let job = if (second + 77.0 * service as f64).rem_euclid(period) < length { 0.25 } else { 0.0 };
        day * weekend + job
    }

    /// The next second's metrics.
    pub fn step(&mut self, second: f64, frame: &mut Vec<f32>) {
        frame.clear();
        let (mut cpu, mut disk, mut before) = (0.0, 0.0, 0.3);
        for n in 0..SERVICES {
            let rng = &mut self.rng;
            let s = &mut self.services[n];
            s.slow = 0.9995 * s.slow + 0.004 * rng.normal();
            s.fast = 0.9 * s.fast + 0.03 * rng.normal();
            // Each service also serves the one before it, a moment later.
            let load = (Self::shape(n, second) + s.slow + s.fast + 0.3 * (before - 0.3)).max(0.02);
            let cost = if s.warm > 0.6 { 0.8 } else { 1.15 };
            s.warm += 0.002 * (load.min(1.0) - s.warm);
            let busy = 1.0 - (-1.2 * cost * load).exp();
            s.queue = (s.queue + load * cost - 0.9).clamp(0.0, 8.0) * 0.92;
            let latency = (1.0 + s.queue) / (1.05 - busy) * (1.0 + 0.05 * rng.normal());
            s.heap += 0.004 * load;
            if s.heap > 1.0 {
                s.heap = 0.25;
            }
            s.dirty += 0.01 * load * load;
            if s.dirty > 1.0 {
                (s.dirty, s.flush) = (0.0, 12.0);
            }
            let flushing = if s.flush > 0.0 { 1.0 } else { 0.0 };
            s.flush -= 1.0;
            let noise = |rng: &mut Rng, size: f64| 1.0 + size * rng.normal();
            frame.extend([
                (load * noise(rng, 0.05)) as f32,
                (busy * noise(rng, 0.02)) as f32,
                (latency * (1.0 + 0.8 * flushing)).ln() as f32,
                (s.heap + 0.01 * rng.normal()) as f32,
                ((0.1 + flushing) * noise(rng, 0.1)) as f32,
                (load * (0.6 + 0.4 * s.warm) * noise(rng, 0.04)) as f32,
            ]);
            (cpu, disk, before) = (cpu + busy / 6.0, disk + flushing, load);
        }
        frame.push((cpu + 0.01 * self.rng.normal()) as f32);
        frame.push((disk * (1.0 + 0.05 * self.rng.normal())) as f32);
    }
}
