//! Every request leaks, so that the rate follows the load.

use std::io;

use foretwin_core::Rng;

use super::{Course, Setting, Tick};
use crate::hoard::Hoard;
use crate::work::jitter;

/// A leak per request.
#[derive(Debug)]
pub struct LoadCoupled {
    hoard: Hoard,
    bytes_per_request: f64,
    rng: Rng,
}

impl LoadCoupled {
    /// Leaks so much per request that the mean load gives the drawn rate.
    pub fn new(setting: &Setting) -> Self {
        let bytes_per_request = setting.draw.rate / setting.mean_load;
        Self { hoard: Hoard::default(), bytes_per_request, rng: setting.rng }
    }
}

impl Course for LoadCoupled {
    fn step(&mut self, tick: &Tick) -> io::Result<()> {
        if tick.since_s < 0.0 {
            return Ok(());
        }
        let bytes: f64 = (0..tick.requests).map(|_| self.bytes_per_request * jitter(&mut self.rng)).sum();
        self.hoard.grow(bytes)
    }
}
