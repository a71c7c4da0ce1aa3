//! A second look from further back: what was expected of a metric many frames ago.
//!
//! One frame ahead, almost any level is expected once it is reached; from further back a level that left its place
//! stays a surprise for as long as it is away. Surprises that both looks share count most.

use crate::Config;
use crate::linear::{Shape, own_weights};
use crate::spread::Sizes;
use crate::table::Table;

/// How many frames back the second look begins.
pub(crate) const STEPS: usize = 20;
/// Fewest rows before there is a second look.
pub(crate) const FEWEST_ROWS: usize = 400;

/// Every target's own regression over [`STEPS`] frames.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Lookback {
    /// Own lags, newest first, then the constant: targets × (lags + 1). They give the change from the last value.
    pub own: Vec<f32>,
    /// Per target, one standard deviation of the surprise on the common scale.
    pub deviation: Vec<f32>,
    /// Per target, its mean squared surprise on held-out data: where evidence rests.
    pub calm: Vec<f32>,
}

impl Lookback {
    /// Fits it to those of the usable `rows` that have enough past; none where they are few.
    pub fn fit(table: &Table, rows: &[u32], shape: &Shape, config: &Config) -> Option<Self> {
        let past = shape.lags + STEPS - 1;
        let rows: Vec<u32> = rows.iter().copied().filter(|&row| table.has_past(row as usize, past)).collect();
        if rows.len() < FEWEST_ROWS {
            return None;
        }
        let width = shape.targets.len();
        let own: Vec<f32> =
            (0..width).flat_map(|t| own_weights(table, &rows, (shape, t, STEPS), config.ridge)).collect();
        let calm = vec![1.0; width];
        let mut lookback = Self { own, deviation: vec![1.0; width], calm };
        let mut sizes = vec![Sizes::default(); width];
        for &row in &rows {
            for (t, &column) in shape.targets.iter().enumerate() {
                if table.is_seen(row as usize, column as usize) {
                    let lag = |k: usize| table.row(row as usize - 1 - k)[column as usize];
                    let miss = table.row(row as usize)[column as usize] - lookback.expect(t, shape.lags, lag);
                    sizes[t].take(miss);
                }
            }
        }
        let floor = config.residual_floor;
        lookback.deviation = sizes.iter().map(|sizes| sizes.deviation(floor) as f32).collect();
        Some(lookback)
    }

    /// What was expected of target `t` [`STEPS`] frames ago, if `lag(k)` is its value k + 1 frames ago.
    pub fn expect(&self, t: usize, lags: usize, lag: impl Fn(usize) -> f32) -> f32 {
        let weights = &self.own[t * (lags + 1)..(t + 1) * (lags + 1)];
        let last = lag(STEPS - 1);
        let change: f32 = weights[..lags].iter().enumerate().map(|(k, w)| w * lag(STEPS - 1 + k)).sum();
        last + change + weights[lags]
    }
}
