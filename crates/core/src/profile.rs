//! The operational profile of an instance: what it asks of its machine, by time of day and week.
//!
//! A [`Demand`] is what is asked at one moment, along each [`Dimension`]. A [`Profile`] is fitted from many of them.

mod fit;
mod generator;
mod memory;
mod normal;
mod quantiles;
mod season;

use serde::{Deserialize, Serialize};

use crate::hash::Fnv64;
use crate::time::{DAY_US, HOUR_US, Timestamp};

pub use generator::Generator;
pub use quantiles::PROBABILITIES;

/// How many dimensions there are.
pub const DIMENSIONS: usize = 12;

/// One kind of work that an instance asks of its machine. Rates are per second of wall time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    /// CPU work, in cores: seconds of CPU time per second, that of requests among it.
    Cpu,
    /// Bytes of memory kept in use.
    WorkingSet,
    /// Bytes of memory given back and touched anew, per second.
    Turnover,
    /// Bytes read from disk per second.
    ReadBytes,
    /// Reads per second.
    Reads,
    /// Bytes written per second.
    WriteBytes,
    /// Writes per second.
    Writes,
    /// Syncs per second.
    Syncs,
    /// Bytes sent and received per second.
    NetworkBytes,
    /// Round trips per second.
    RoundTrips,
    /// Requests that arrive per second.
    Requests,
    /// CPU seconds that a request takes.
    ServiceTime,
}

impl Dimension {
    /// All, in the order of a [`Demand`]'s numbers.
    pub const ALL: [Self; DIMENSIONS] = [
        Self::Cpu,
        Self::WorkingSet,
        Self::Turnover,
        Self::ReadBytes,
        Self::Reads,
        Self::WriteBytes,
        Self::Writes,
        Self::Syncs,
        Self::NetworkBytes,
        Self::RoundTrips,
        Self::Requests,
        Self::ServiceTime,
    ];

    /// Its place in a [`Demand`].
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }

    /// The dimension at a place.
    #[must_use]
    pub fn from_index(index: u16) -> Option<Self> {
        Self::ALL.get(usize::from(index)).copied()
    }

    /// The name as written in JSON and in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::WorkingSet => "working_set",
            Self::Turnover => "turnover",
            Self::ReadBytes => "read_bytes",
            Self::Reads => "reads",
            Self::WriteBytes => "write_bytes",
            Self::Writes => "writes",
            Self::Syncs => "syncs",
            Self::NetworkBytes => "network_bytes",
            Self::RoundTrips => "round_trips",
            Self::Requests => "requests",
            Self::ServiceTime => "service_time",
        }
    }

    /// UCUM unit of its numbers.
    #[must_use]
    pub fn unit(self) -> &'static str {
        match self {
            Self::Cpu => "1",
            Self::WorkingSet => "By",
            Self::Turnover | Self::ReadBytes | Self::WriteBytes | Self::NetworkBytes => "By/s",
            Self::Reads | Self::Writes | Self::Syncs | Self::RoundTrips | Self::Requests => "1/s",
            Self::ServiceTime => "s",
        }
    }
}

/// What is asked at one moment: one number per dimension, in the order of [`Dimension::ALL`]; NaN where unknown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Demand(pub [f64; DIMENSIONS]);

impl Demand {
    /// Nothing is asked.
    pub const NONE: Self = Self([0.0; DIMENSIONS]);
    /// Nothing is known.
    pub const UNKNOWN: Self = Self([f64::NAN; DIMENSIONS]);

    /// The number of a dimension.
    #[must_use]
    pub fn get(&self, dimension: Dimension) -> f64 {
        self.0[dimension.index()]
    }

    /// The same demand with another number in one dimension.
    #[must_use]
    pub fn with(mut self, dimension: Dimension, value: f64) -> Self {
        self.0[dimension.index()] = value;
        self
    }
}

/// What the slots of a profile stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cycle {
    /// One slot for all times: the history is shorter than two days.
    Flat,
    /// One slot per hour of the day.
    Day,
    /// One slot per hour of the week, from Monday 00:00 UTC on.
    Week,
}

impl Cycle {
    /// How many slots it has.
    #[must_use]
    pub fn slots(self) -> usize {
        match self {
            Self::Flat => 1,
            Self::Day => 24,
            Self::Week => 168,
        }
    }

    /// Place of a moment in the cycle, in slots: 0 up to, without, [`Self::slots`].
    #[must_use]
    pub fn place(self, at: Timestamp) -> f64 {
        let length_us = match self {
            Self::Flat => return 0.0,
            Self::Day => DAY_US,
            Self::Week => 7 * DAY_US,
        };
        into_week_us(at).rem_euclid(length_us) as f64 / HOUR_US as f64
    }
}

/// Microseconds since the last Monday 00:00 UTC.
#[must_use]
pub fn into_week_us(at: Timestamp) -> i64 {
    // 1970-01-01 was a Thursday.
    at.0.wrapping_add(3 * DAY_US).rem_euclid(7 * DAY_US)
}

/// How one dimension moves about its slots' distributions: a Gaussian process, the sum of three parts, each of which
/// forgets exponentially.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    /// Share of the variance that is new at every step, 0 to 1.
    pub white: f32,
    /// Share of the variance in the short memory; what is left is in the slow one.
    pub fast: f32,
    /// After how many seconds the short memory has faded to 1/e.
    pub fast_s: f32,
    /// After how many seconds the slow memory has faded to 1/e.
    pub slow_s: f32,
}

/// One dimension of a profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Track {
    /// Of what.
    pub dimension: Dimension,
    /// Quantiles at [`PROBABILITIES`], slot by slot: slots × 9, ascending within a slot.
    pub quantiles: Vec<[f32; PROBABILITIES.len()]>,
    /// Probability of exactly nothing, slot by slot; empty where it is not kept apart.
    #[serde(default)]
    pub idle: Vec<f32>,
    /// How it moves within them.
    pub transition: Transition,
}

/// What an instance asks of its machine over the day and the week, with its spread and its transitions. Bounded: at
/// most 168 slots of 12 dimensions with 9 quantiles, 81 KiB as bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// Counts the profiles of an instance; a comparison names the one it was made with.
    pub version: u64,
    /// When the history ends that it was made from.
    #[serde(rename = "made_us")]
    pub made: Timestamp,
    /// Seconds between the rows that it was made from.
    pub step_s: f32,
    /// How many rows it was made from.
    pub rows: u64,
    /// What its slots stand for.
    pub cycle: Cycle,
    /// The dimensions that are known, in order.
    pub tracks: Vec<Track>,
    /// Correlation of the tracks' innovations: tracks × tracks, row by row, the diagonal 1.
    pub correlation: Vec<f32>,
}

impl Default for Profile {
    /// A profile that asks nothing.
    fn default() -> Self {
        Self {
            version: 0,
            made: Timestamp(0),
            step_s: 1.0,
            rows: 0,
            cycle: Cycle::Flat,
            tracks: Vec::new(),
            correlation: Vec::new(),
        }
    }
}

impl Profile {
    /// The track of a dimension.
    #[must_use]
    pub fn track(&self, dimension: Dimension) -> Option<&Track> {
        self.tracks.iter().find(|track| track.dimension == dimension)
    }

    /// What is wrong with its shape, if anything: bytes of unknown origin must pass before they are replayed.
    #[must_use]
    pub fn fault(&self) -> Option<&'static str> {
        let slots = self.cycle.slots();
        let ascending = self.tracks.windows(2).all(|pair| pair[0].dimension < pair[1].dimension);
        let quantiles = self.tracks.iter().flat_map(|track| &track.quantiles);
        if !ascending {
            Some("its dimensions are not in order, each once")
        } else if self.tracks.iter().any(|track| track.quantiles.len() != slots) {
            Some("a dimension has another number of slots than its cycle")
        } else if self.tracks.iter().any(|track| !track.idle.is_empty() && track.idle.len() != slots) {
            Some("a dimension has another number of idle shares than its cycle has slots")
        } else if !self.tracks.iter().flat_map(|track| &track.idle).all(|idle| (0.0..=1.0).contains(idle)) {
            Some("an idle share is outside 0 to 1")
        } else if self.correlation.len() != self.tracks.len().pow(2) {
            Some("the correlation is not as wide as the dimensions")
        } else if !quantiles.clone().flatten().all(|value| value.is_finite() && *value >= 0.0) {
            Some("a quantile is not a finite number of at least 0")
        } else if !quantiles.clone().all(|row| row.windows(2).all(|pair| pair[0] <= pair[1])) {
            Some("the quantiles of a slot do not ascend")
        } else if !self.tracks.iter().all(|track| track.transition.is_sound()) {
            Some("a transition has shares outside 0 to 1, or a memory that is not positive")
        } else if !(self.step_s.is_finite() && self.step_s > 0.0) {
            Some("its step is not positive")
        } else if !self.correlation.iter().all(|value| (-1.0..=1.0).contains(value)) {
            Some("a correlation is outside -1 to 1")
        } else {
            None
        }
    }

    /// A hash of all that it says but for its version: equal profiles have equal digests.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let mut hash = Fnv64::default().write(&[self.cycle as u8]).write(&self.step_s.to_le_bytes());
        for track in &self.tracks {
            let transition = track.transition;
            hash = hash.write(&[track.dimension as u8]);
            for value in [transition.white, transition.fast, transition.fast_s, transition.slow_s]
                .iter()
                .chain(track.quantiles.iter().flatten())
                .chain(&track.idle)
            {
                hash = hash.write(&value.to_le_bytes());
            }
        }
        self.correlation.iter().fold(hash, |hash, value| hash.write(&value.to_le_bytes())).finish()
    }
}

impl Transition {
    /// Whether its numbers can be.
    fn is_sound(&self) -> bool {
        let share = |value: f32| (0.0..=1.0).contains(&value);
        let memory = |value: f32| value.is_finite() && value > 0.0;
        share(self.white)
            && share(self.fast)
            && self.white + self.fast <= 1.0 + 1e-5
            && memory(self.fast_s)
            && memory(self.slow_s)
    }
}

#[cfg(test)]
mod tests;
