//! A healthy service: memory breathes with the load, jobs come and go, work comes in bursts.

use std::io;

use super::{Course, Setting, Tick};
use crate::hoard::Hoard;
use crate::work::{TICK_S, between, burn};

/// Health, in all its movement.
#[derive(Debug)]
pub struct Healthy {
    hoard: Hoard,
    level: f64,
    breath_s: f64,
    job_bytes: f64,
    job_every_s: f64,
    burst_every_s: f64,
    load: f64,
    setting: Setting,
}

impl Healthy {
    /// Stays below 60 % of the memory.
    pub fn new(mut setting: Setting) -> Self {
        let rng = &mut setting.rng;
        Self {
            hoard: Hoard::default(),
            level: setting.draw.memory * between(rng, 0.15, 0.35),
            breath_s: between(rng, 30.0, 90.0),
            job_bytes: setting.draw.memory * between(rng, 0.03, 0.1),
            job_every_s: between(rng, 20.0, 45.0),
            burst_every_s: between(rng, 15.0, 40.0),
            load: 0.0,
            setting,
        }
    }

    fn bytes(&self, at_s: f64) -> f64 {
        let breath = 1.0 + 0.15 * (std::f64::consts::TAU * at_s / self.breath_s).sin();
        let job = if at_s % self.job_every_s < 3.0 { self.job_bytes } else { 0.0 };
        // Sessions of the last seconds, each with some memory of its own.
        self.level * (breath + 0.2 * (self.load / self.setting.mean_load - 1.0).clamp(-1.0, 1.0)) + job
    }
}

impl Course for Healthy {
    fn step(&mut self, tick: &Tick) -> io::Result<()> {
        self.load += 0.02 * (f64::from(tick.requests) / TICK_S - self.load);
        if tick.at_s % self.burst_every_s < 2.0 {
            burn(0.4 * TICK_S);
        }
        self.hoard.set(self.bytes(tick.at_s))
    }
}
