//! What of the truth arrives: noise with heavy tails, wrong readings, repeated ones, gaps, counters that begin anew.

use super::chance::Chance;

/// Resources that run against a limit: memory, volume, descriptors, response time against what was promised.
pub const RESOURCES: usize = 4;

/// What is known of an instance at one minute.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    pub used: [f64; RESOURCES],
    pub limits: [f64; RESOURCES],
    /// Requests so far, a counter of the process.
    pub requests: f64,
}

/// The way from an instance to whoever watches it.
#[derive(Debug, Clone, Default)]
pub struct Telemetry {
    silent_until: u32,
    stuck_until: u32,
    last: Option<Sample>,
}

impl Telemetry {
    /// What arrives of a minute, if anything does.
    pub fn pass(&mut self, minute: u32, mut truth: Sample, chance: &mut Chance) -> Option<Sample> {
        if chance.happens(1.0 / 4000.0) {
            self.silent_until = minute + chance.pareto(1.5, 1.1).min(240.0) as u32;
        }
        if chance.happens(1.0 / 20_000.0) {
            self.stuck_until = minute + chance.pareto(2.0, 1.5).min(30.0) as u32;
        }
        if minute < self.silent_until || chance.happens(0.002) {
            return None;
        }
        if minute < self.stuck_until && self.last.is_some() {
            return self.last;
        }
        for (n, used) in truth.used.iter_mut().enumerate() {
            // Memory and volume are counted, response times are sampled.
            let noise = [1e-3, 1e-4, 0.0, 0.07][n];
            *used *= 1.0 + noise * chance.heavy();
            if chance.happens(1.0 / 40_000.0) {
                *used *= [0.0, 2.0, 10.0][chance.below(3)];
            }
        }
        truth.used[2] = truth.used[2].round();
        if chance.happens(1.0 / 10_000.0) {
            truth.limits[chance.below(RESOURCES)] = f64::NAN;
        }
        self.last = Some(truth);
        self.last
    }
}
