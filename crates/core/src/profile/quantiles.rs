//! A distribution as a few of its quantiles, straight lines in between.

/// At which probabilities a slot's distribution is kept: both ends, the middle, and the tail where load bursts.
pub const PROBABILITIES: [f64; 9] = [0.0, 0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0];
