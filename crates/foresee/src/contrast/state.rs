//! A comparison as bytes, for a checkpoint: what was learned and what is thought. The last seconds and the windows
//! that wait are left out; they come again within a minute.
//!
//! Little-endian: version, ticks, learned windows (count, then three regime numbers and the features each), highest
//! uses (the original's, count, then length, name and four numbers each), both opinions, and the look ahead.

use foretwin_core::{Fidelity, InstanceId, Timestamp};

use super::ahead::Ahead;
use super::baseline::{Baseline, Regime};
use super::comparison::Comparison;
use super::habit::Habits;
use super::opinion::Opinion;
use super::window::{FEATURES, Use};
use crate::Error;

/// The first version kept a limit, which is configuration; the second knew no law of latency and load; the third kept its
/// windows in a ring.
const VERSION: u8 = 4;
/// No name of an instance is longer.
const LONGEST_NAME: usize = 4096;

/// Bytes being written.
#[derive(Debug, Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub fn f32(&mut self, value: f32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }
    pub fn f64(&mut self, value: f64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }
    pub fn count(&mut self, value: usize) {
        // Counts here are bounded far below.
        self.0.extend_from_slice(&(value as u32).to_le_bytes());
    }
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.0.extend_from_slice(bytes);
    }
    /// None is written as a moment that no clock shows.
    pub fn moment(&mut self, at: Option<Timestamp>) {
        self.0.extend_from_slice(&at.map_or(i64::MIN, |at| at.0).to_le_bytes());
    }
    pub fn used(&mut self, used: &Use) {
        [used.cpu, used.io, used.io_stall, used.memory].iter().for_each(|&value| self.f32(value));
    }
}

/// Bytes not yet read.
#[derive(Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (head, rest) = self.0.split_first_chunk().ok_or(Error::Comparison("it ends early"))?;
        self.0 = rest;
        Ok(*head)
    }
    pub fn f32(&mut self) -> Result<f32, Error> {
        Ok(f32::from_le_bytes(self.take()?))
    }
    pub fn f64(&mut self) -> Result<f64, Error> {
        Ok(f64::from_le_bytes(self.take()?))
    }
    /// A count of things that need at least `size` bytes each.
    pub fn count(&mut self, size: usize) -> Result<usize, Error> {
        let count = u32::from_le_bytes(self.take()?) as usize;
        if count.saturating_mul(size) > self.0.len() {
            return Err(Error::Comparison("a count is larger than what follows"));
        }
        Ok(count)
    }
    pub fn bytes(&mut self) -> Result<Vec<u8>, Error> {
        let length = self.count(1)?;
        let (head, rest) = self.0.split_at(length);
        self.0 = rest;
        Ok(head.to_vec())
    }
    pub fn moment(&mut self) -> Result<Option<Timestamp>, Error> {
        let at = i64::from_le_bytes(self.take()?);
        Ok((at != i64::MIN).then_some(Timestamp(at)))
    }
    pub fn used(&mut self) -> Result<Use, Error> {
        Ok(Use { cpu: self.f32()?, io: self.f32()?, io_stall: self.f32()?, memory: self.f32()? })
    }
    pub fn name(&mut self) -> Result<InstanceId, Error> {
        let bytes = self.bytes()?;
        let text = std::str::from_utf8(&bytes).ok().filter(|text| text.len() <= LONGEST_NAME);
        Ok(InstanceId::new(text.ok_or(Error::Comparison("a name is not text"))?))
    }
}

impl Regime {
    /// Bytes of a regime and its features.
    pub(super) const LEARNED: usize = 4 * (3 + FEATURES);
}

impl Comparison {
    /// The state as bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut to = Writer(vec![VERSION]);
        to.count(self.ticks as usize);
        self.baseline.encode(&mut to);
        self.habits.encode(&mut to);
        self.with.encode(&mut to);
        self.without.encode(&mut to);
        self.ahead.encode(&mut to);
        to.0
    }

    /// Restores the state of `instance`, compared with a twin of this fidelity.
    ///
    /// # Errors
    /// If the version is unknown, or the bytes end early, go on too long, or hold what no comparison would.
    pub fn decode(instance: InstanceId, fidelity: Fidelity, bytes: &[u8]) -> Result<Self, Error> {
        let mut from = Reader(bytes);
        let [version] = from.take()?;
        if version != VERSION {
            return Err(Error::Version(version));
        }
        let mut comparison = Self::new(instance, fidelity);
        comparison.ticks = u32::from_le_bytes(from.take()?);
        comparison.learned = comparison.ticks;
        comparison.baseline = Baseline::decode(&mut from)?;
        comparison.habits = Habits::decode(&mut from)?;
        comparison.with = Opinion::decode(&mut from)?;
        comparison.without = Opinion::decode(&mut from)?;
        comparison.ahead = Ahead::decode(&mut from)?;
        if from.0.is_empty() { Ok(comparison) } else { Err(Error::Comparison("it goes on after its end")) }
    }
}
