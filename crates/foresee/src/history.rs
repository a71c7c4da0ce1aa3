//! A small streaming history of one resource, fine for the last minutes and coarse for the last day.
//!
//! A limit is reached by a peak, so coarse tiers keep the highest sample of each slot and its time; means would make
//! old peaks look lower than new ones, and a series that only comes back to where it was would seem to grow.

use std::collections::VecDeque;

use foretwin_core::{SECOND_US, Timestamp};

use crate::Error;

/// Samples kept as they came.
const RAW: usize = 128;
/// Slots per coarse tier.
const SLOTS: usize = 96;
/// Coarse tiers.
const TIERS: usize = 5;
/// Seconds per slot of the finest coarse tier; each tier after it has slots four times as wide.
const FINEST_S: i64 = 4;
/// Samples of an earlier time in a row after which the clock is taken to have been set back for good.
const PATIENCE: u32 = 60;
/// Version of the encoded state.
const VERSION: u8 = 1;

type Sample = (Timestamp, f64);

/// What became of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It is in the history.
    Kept,
    /// It has no number.
    Missing,
    /// It is not later than the last one: late, double, or the clock went back.
    Late,
    /// The clock went back and stays there: the history before was dropped and starts again with this sample.
    Restarted,
}

/// What is remembered of one resource: at most 608 samples over 27 hours, less than 10 KB.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct History {
    raw: VecDeque<Sample>,
    /// Slots that are over.
    tiers: [VecDeque<Sample>; TIERS],
    open: Option<Open>,
    limit: Option<f64>,
    refused: u32,
}

/// The slot of each tier that is not over: here rather than in its ring, because every sample looks at all of them.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Open {
    /// Number of the finest tier's slot; the others' follow from it.
    slot: i64,
    peaks: [Sample; TIERS],
}

impl Open {
    fn slot(at: Timestamp) -> i64 {
        at.0.div_euclid(FINEST_S * SECOND_US)
    }

    /// The slot of a tier that holds this slot of the finest one.
    fn coarse(slot: i64, tier: usize) -> i64 {
        slot >> (2 * tier)
    }
}

impl History {
    /// An empty history.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a sample. A limit that is not finite or not positive means that there is none now; a changed limit is
    /// simply the present one, what was used before remains.
    pub fn push(&mut self, at: Timestamp, used: f64, limit: f64) -> Pushed {
        if !used.is_finite() {
            return Pushed::Missing;
        }
        let mut pushed = Pushed::Kept;
        if self.raw.back().is_some_and(|&(last, _)| at <= last) {
            self.refused += 1;
            if self.refused < PATIENCE {
                return Pushed::Late;
            }
            *self = Self::default();
            pushed = Pushed::Restarted;
        }
        self.refused = 0;
        self.limit = (limit.is_finite() && limit > 0.0).then_some(limit);
        push(&mut self.raw, (at, used), RAW);
        self.coarsen();
        pushed
    }

    /// Moves the last sample but one, freed of spikes by the median with its neighbours, into the coarse tiers.
    fn coarsen(&mut self) {
        let n = self.raw.len();
        if n < 3 {
            return;
        }
        let (before, (at, here), after) = (self.raw[n - 3].1, self.raw[n - 2], self.raw[n - 1].1);
        let used = before.min(here).max(before.max(here).min(after));
        let slot = Open::slot(at);
        let Some(open) = &mut self.open else {
            self.open = Some(Open { slot, peaks: [(at, used); TIERS] });
            return;
        };
        for (tier, peak) in open.peaks.iter_mut().enumerate() {
            if Open::coarse(slot, tier) != Open::coarse(open.slot, tier) {
                push(&mut self.tiers[tier], *peak, SLOTS - 1);
                *peak = (at, used);
            } else if used >= peak.1 {
                *peak = (at, used);
            }
        }
        open.slot = slot;
    }

    /// Samples of a tier, the open slot last.
    fn tier(&self, tier: usize) -> impl Iterator<Item = &Sample> {
        self.tiers[tier].iter().chain(self.open.iter().map(move |open| &open.peaks[tier]))
    }

    /// The present limit, if there is one.
    #[must_use]
    pub fn limit(&self) -> Option<f64> {
        self.limit
    }

    /// The newest sample.
    #[must_use]
    pub fn newest(&self) -> Option<f64> {
        self.raw.back().map(|&(_, used)| used)
    }

    /// Samples kept, over all tiers.
    #[must_use]
    pub fn len(&self) -> usize {
        let open = if self.open.is_some() { TIERS } else { 0 };
        self.raw.len() + self.tiers.iter().map(VecDeque::len).sum::<usize>() + open
    }

    /// Whether nothing was kept yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    /// Times and values, ascending, every stretch from the finest tier that still covers it.
    pub fn series(&self, times: &mut Vec<Timestamp>, used: &mut Vec<f64>) {
        times.clear();
        used.clear();
        let mut finer = self.raw.front().map(|&(at, _)| at);
        let mut counts = [0; TIERS];
        for (tier, count) in counts.iter_mut().enumerate() {
            *count = finer.map_or(0, |begin| self.tier(tier).take_while(|(at, _)| *at < begin).count());
            if let (Some(&(first, _)), true) = (self.tier(tier).next(), *count > 0) {
                finer = Some(first);
            }
        }
        for (tier, count) in counts.into_iter().enumerate().rev() {
            for &(at, value) in self.tier(tier).take(count) {
                times.push(at);
                used.push(value);
            }
        }
        times.extend(self.raw.iter().map(|&(at, _)| at));
        used.extend(self.raw.iter().map(|&(_, value)| value));
    }

    /// The state as bytes: version, refused count, limit (NaN for none), then each ring as its length and samples,
    /// little-endian.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(32 + 16 * self.len());
        bytes.push(VERSION);
        bytes.extend(self.refused.to_le_bytes());
        bytes.extend(self.limit.unwrap_or(f64::NAN).to_le_bytes());
        let mut ring = |samples: &mut dyn Iterator<Item = &Sample>, length: usize| {
            bytes.extend((length as u16).to_le_bytes());
            for (at, used) in samples {
                bytes.extend(at.0.to_le_bytes());
                bytes.extend(used.to_le_bytes());
            }
        };
        ring(&mut self.raw.iter(), self.raw.len());
        (0..TIERS).for_each(|tier| ring(&mut self.tier(tier), self.tier(tier).count()));
        bytes
    }

    /// Takes the open slots out of rings that were decoded: there is one in every tier or in none.
    fn reopen(&mut self) -> Result<(), Error> {
        let mut last = self.tiers.iter_mut().map(VecDeque::pop_back);
        let peaks: [Option<Sample>; TIERS] = std::array::from_fn(|_| last.next().flatten());
        if peaks.iter().all(Option::is_none) {
            return Ok(());
        }
        if peaks.iter().any(Option::is_none) {
            return Err(Error::Damaged("a tier lacks its open slot"));
        }
        let peaks = peaks.map(Option::unwrap_or_default);
        let (newest, _) = peaks[0];
        self.open = Some(Open { slot: Open::slot(newest), peaks });
        Ok(())
    }

    /// Restores a state.
    ///
    /// # Errors
    /// If the version is unknown, or the bytes end early, go on too long, or hold what no history would.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut bytes = bytes;
        let [version] = take(&mut bytes)?;
        if version != VERSION {
            return Err(Error::Version(version));
        }
        let refused = u32::from_le_bytes(take(&mut bytes)?);
        let limit = f64::from_le_bytes(take(&mut bytes)?);
        let limit = (limit.is_finite() && limit > 0.0).then_some(limit);
        let mut history = Self { limit, refused, ..Self::default() };
        history.raw = decode_ring(&mut bytes, RAW)?;
        for tier in &mut history.tiers {
            *tier = decode_ring(&mut bytes, SLOTS)?;
        }
        history.reopen()?;
        if bytes.is_empty() { Ok(history) } else { Err(Error::Damaged("it goes on after its end")) }
    }
}

/// Adds a sample to a ring that keeps `most`.
fn push(ring: &mut VecDeque<Sample>, sample: Sample, most: usize) {
    if ring.len() >= most {
        ring.pop_front();
    }
    ring.push_back(sample);
}

fn decode_ring(bytes: &mut &[u8], most: usize) -> Result<VecDeque<Sample>, Error> {
    let length = usize::from(u16::from_le_bytes(take(bytes)?));
    if length > most {
        return Err(Error::Damaged("a ring is longer than it can be"));
    }
    let mut ring: VecDeque<Sample> = VecDeque::with_capacity(length);
    for _ in 0..length {
        let at = Timestamp(i64::from_le_bytes(take(bytes)?));
        let used = f64::from_le_bytes(take(bytes)?);
        if !used.is_finite() || ring.back().is_some_and(|&(last, _)| at <= last) {
            return Err(Error::Damaged("a sample is out of order or no number"));
        }
        ring.push_back((at, used));
    }
    Ok(ring)
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], Error> {
    let (head, rest) = bytes.split_first_chunk().ok_or(Error::Damaged("it ends early"))?;
    *bytes = rest;
    Ok(*head)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Timestamp {
        Timestamp::from_seconds(1e9 + seconds)
    }

    fn filled(seconds: u32, used: impl Fn(f64) -> f64) -> History {
        let mut history = History::new();
        for second in 0..seconds {
            assert_eq!(history.push(at(second.into()), used(second.into()), 100.0), Pushed::Kept);
        }
        history
    }

    fn series(history: &History) -> (Vec<Timestamp>, Vec<f64>) {
        let (mut times, mut used) = (Vec::new(), Vec::new());
        history.series(&mut times, &mut used);
        (times, used)
    }

    #[test]
    fn a_day_fits_and_stays_in_order() {
        let history = filled(100_000, |t| t / 1000.0);
        let (times, used) = series(&history);
        assert!(history.len() <= 608 && times.len() > 400 && times.len() < 608, "{}", times.len());
        assert!(
            times.windows(2).all(|pair| pair[0] < pair[1]) && used.windows(2).all(|pair| pair[0] < pair[1])
        );
        assert!(times[times.len() - 1].since(times[0]) > 95_000.0);
        let widest = |from: f64| {
            let recent = times.windows(2).filter(|pair| pair[1] > at(100_000.0 - from));
            recent.map(|pair| pair[1].since(pair[0])).fold(0.0, f64::max)
        };
        assert!(widest(120.0) <= 1.0 && widest(360.0) <= 5.0 && widest(1500.0) <= 17.0);
    }

    #[test]
    fn old_peaks_stay_as_high_as_they_were() {
        let (_, used) = series(&filled(20_000, |t| t % 30.0));
        assert!(used[..50].iter().all(|&used| used >= 28.0), "{:?}", &used[..50]);
    }

    #[test]
    fn bad_samples_are_refused_and_a_clock_set_back_is_followed_in_the_end() {
        let mut history = filled(300, |t| t);
        let before = history.clone();
        assert_eq!(history.push(at(300.0), f64::NAN, 100.0), Pushed::Missing);
        assert_eq!(history, before);
        assert_eq!(history.push(at(299.0), 1.0, 100.0), Pushed::Late);
        assert_eq!(history.push(at(300.0), 1.0, 50.0), Pushed::Kept);
        assert_eq!(history.limit(), Some(50.0));
        let results: Vec<_> =
            (0..60).map(|second| history.push(at(-1000.0 + f64::from(second)), 1.0, 50.0)).collect();
        assert!(results[..59].iter().all(|&pushed| pushed == Pushed::Late));
        assert_eq!(results[59], Pushed::Restarted);
        assert_eq!(history.len(), 1);
    }

    #[test]
    fn state_survives_encoding_and_damage_is_an_error() {
        let history = filled(5000, f64::sin);
        let bytes = history.encode();
        assert_eq!(History::decode(&bytes).unwrap(), history);
        assert_eq!(History::decode(&History::new().encode()).unwrap(), History::new());
        for cut in [0, 1, 10, 500, bytes.len() - 1] {
            assert!(History::decode(&bytes[..cut]).is_err());
        }
        let mut other = bytes.clone();
        other[0] = 9;
        assert_eq!(History::decode(&other), Err(Error::Version(9)));
        assert!(History::decode(&[bytes, vec![0]].concat()).is_err());
    }
}
