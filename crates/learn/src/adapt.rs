//! A threshold that follows the tail of evidence as the stream shows it, so that the stated rate of false alarms is met
//! by what an instance does now and not only by what it did while learning.
//!
//! Streaming peaks over threshold (SPOT: Siffer et al., 2017) with a bounded memory: the latest peaks are kept, each
//! with the frame at which it ended, and a generalised Pareto distribution is fitted to them again whenever one joins
//! them. Old peaks are forgotten as new ones come. An alarm teaches little: it counts as one peak, however long it was,
//! at most twice as far above the level as the threshold, and time stands still during it. All of it stays within bounds
//! around what training found.

use serde::{Deserialize, Serialize};

use crate::tail::{ORDINARY, excess_over};

/// Peaks kept.
const PEAKS: usize = 256;
/// Fewest peaks that a tail is fitted to.
const FEWEST_PEAKS: usize = 20;
/// Levels tried for what is ordinary, the highest first: that one serves from which on there are peaks enough.
const LEVELS: [f64; 4] = [ORDINARY, 0.95, 0.9, 0.8];
const ENOUGH_PEAKS: usize = 40;
/// The highest of them that a tail is fitted to: nearer to the threshold it is more like a Pareto distribution.
const HIGHEST: usize = 64;
/// The lightest tail believed: lighter ones end soon after what was seen.
const LIGHTEST: f64 = -0.2;
/// How much of an alarm's height is believed, in units of the threshold's distance from the level.
const BELIEVED: f64 = 2.0;
/// So many of the peaks expected above the threshold are enough to count them instead of fitting a tail.
const COUNTED: f64 = 8.0;
/// Mean evidence from which on an instance moves enough for its tail to say all.
const MOVING: f64 = 0.1;
/// Frames over which the level of ordinary evidence follows the stream.
const LEVEL_FRAMES: f64 = 20_000.0;
/// How far threshold and level may move from what training found, down and up, as factors of evidence.
const BOUNDS: [f64; 2] = [0.25, 9.0];
/// Expected alarms in the time that the peaks cover from which on the largest of them no longer bounds the threshold.
const RESOLVED: f64 = 2.0;

/// The upper tail of an instance's evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tail {
    /// Rate of alarms aimed at, per frame.
    rate: f64,
    /// Frames between peaks of their own.
    apart: u32,
    /// Never below this, whatever the tail says.
    least: f64,
    /// Threshold and level that training found.
    trained: [f64; 2],
    /// Part of frames below the level.
    ordinary: f64,
    /// Evidence above which a frame belongs to a peak.
    level: f64,
    /// Evidence at which the score is 1.
    threshold: f64,
    /// Frames so far, those in alarms apart.
    frames: u32,
    /// Height of the latest peaks and when each was reached, in order.
    peaks: Vec<(f32, u32)>,
    /// Height and last frame of the peak under way.
    open: Option<(f32, u32)>,
}

impl Tail {
    /// Learns from the evidence of calibration, in order. `threshold` is what it found.
    pub fn learn(evidence: &[f64], (rate, apart): (f64, usize), (threshold, least): (f64, f64)) -> Self {
        let seen: Vec<f64> = evidence.iter().copied().filter(|value| value.is_finite()).collect();
        let mut sorted = seen.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let mean = sorted.iter().sum::<f64>() / sorted.len().max(1) as f64;
        let above = |ordinary: f64| {
            let level = match sorted.len() {
                0 => threshold,
                count => sorted[((count - 1) as f64 * ordinary) as usize],
            };
            let mut tail = Self {
                rate,
                apart: apart as u32,
                least: if mean < MOVING { least } else { 0.0 },
                trained: [threshold, level],
                ordinary,
                level,
                threshold: f64::INFINITY,
                frames: 0,
                peaks: Vec::new(),
                open: None,
            };
            for &value in &seen {
                tail.frames = tail.frames.saturating_add(1);
                tail.follow(value);
            }
            tail.close();
            tail
        };
        let mut tried = LEVELS.iter().map(|&ordinary| above(ordinary));
        let enough = tried.find(|tail| tail.peaks.len() >= ENOUGH_PEAKS);
        let mut tail = enough.unwrap_or_else(|| above(ORDINARY));
        tail.threshold = threshold;
        // One outlier can make what training found useless as a measure; the tail itself is steadier.
        if let Some(found) = tail.estimate([0.0, f64::INFINITY]) {
            (tail.threshold, tail.trained[0]) = (found, found);
        }
        tail
    }

    /// Evidence at which the score is 1.
    pub fn threshold(&self) -> f64 {
        self.threshold
    }

    /// Whether what was read from bytes can be used.
    pub fn is_sound(&self) -> bool {
        let positive = |x: f64| x.is_finite() && x > 0.0;
        let finite = self.peaks.iter().chain(&self.open).all(|(height, _)| height.is_finite());
        positive(self.threshold)
            && positive(self.trained[0])
            && positive(self.rate)
            && finite
            && self.level.is_finite()
            && (0.0..1.0).contains(&self.ordinary)
            && self.peaks.len() <= PEAKS
    }

    /// Takes the evidence of a judged frame.
    pub fn take(&mut self, evidence: f64) {
        if evidence > self.threshold {
            let most = self.level + BELIEVED * (self.threshold - self.level).max(0.0);
            let height = evidence.min(most) as f32;
            self.open = Some((self.open.map_or(height, |(before, _)| before.max(height)), self.frames));
            return;
        }
        self.frames = self.frames.saturating_add(1);
        // The level moves up and down so that it has the ordinary part of frames below it.
        let above = f64::from(u8::from(evidence > self.level));
        self.level *= 1.0 + (above - (1.0 - self.ordinary)) / LEVEL_FRAMES;
        let [low, high] = BOUNDS.map(|factor| factor * self.trained[1]);
        self.level = self.level.clamp(low, high.max(f64::MIN_POSITIVE));
        self.follow(evidence);
    }

    /// Follows the peak under way, and closes it once evidence has been ordinary for long enough.
    fn follow(&mut self, evidence: f64) {
        if evidence > self.level {
            let height = evidence as f32;
            self.open = Some((self.open.map_or(height, |(before, _)| before.max(height)), self.frames));
        } else if self.open.is_some_and(|(_, last)| self.frames.saturating_sub(last) > self.apart) {
            self.close();
        }
    }

    fn close(&mut self) {
        let Some(peak) = self.open.take() else { return };
        if self.peaks.len() == PEAKS {
            self.peaks.remove(0);
        }
        self.peaks.push(peak);
        if self.threshold.is_finite() {
            self.threshold = self.estimate(BOUNDS).unwrap_or(self.threshold);
        }
    }

    /// The evidence that a new peak exceeds at the stated rate, within bounds around what training found; nothing while
    /// there are too few peaks to tell.
    fn estimate(&self, bounds: [f64; 2]) -> Option<f64> {
        let mut heights: Vec<f64> = self.peaks.iter().map(|(height, _)| f64::from(*height)).collect();
        heights.retain(|height| *height > self.level);
        if heights.len() < FEWEST_PEAKS {
            return None;
        }
        heights.sort_unstable_by(f64::total_cmp);
        let expected = f64::from(self.covered()) * self.rate;
        let found =
            if expected >= COUNTED { counted(&heights, expected) } else { fitted(&heights, expected) };
        // As long as no alarm is expected in the time that the peaks cover, what was normal then is no alarm now.
        let largest = heights.last().copied()?.min(self.threshold);
        let found = if expected < RESOLVED { found.max(largest) } else { found };
        let [low, high] = bounds.map(|factor| factor * self.trained[0]);
        Some(found.clamp(low, high).max(self.least).max(f64::MIN_POSITIVE))
    }

    /// Frames that the kept peaks cover: all of them until the first was forgotten.
    fn covered(&self) -> u32 {
        match self.peaks.first() {
            Some((_, first)) if self.peaks.len() == PEAKS => self.frames.saturating_sub(*first),
            _ => self.frames,
        }
        .max(1)
    }
}

/// The height that `expected` of the sorted heights go beyond, between two of them.
fn counted(sorted: &[f64], expected: f64) -> f64 {
    let rank = (sorted.len() as f64 - expected - 0.5).clamp(0.0, (sorted.len() - 1) as f64);
    let (below, part) = (rank as usize, rank.fract());
    let above = sorted[(below + 1).min(sorted.len() - 1)];
    sorted[below] + part * (above - sorted[below])
}

/// The same from a tail fitted to the highest of them.
fn fitted(sorted: &[f64], expected: f64) -> f64 {
    let highest = HIGHEST.min(sorted.len() - 1);
    let (rest, top) = sorted.split_at(sorted.len() - highest);
    let base = rest.last().copied().unwrap_or(0.0);
    let excesses: Vec<f64> = top.iter().map(|height| height - base).collect();
    base + excess_over(&excesses, expected, LIGHTEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use foretwin_core::Rng;

    fn exponential(rng: &mut Rng) -> f64 {
        -(1.0 - rng.uniform()).ln()
    }

    fn trained(scale: f64, rate: f64) -> (Tail, Rng) {
        let mut rng = Rng::new(8);
        let evidence: Vec<f64> = (0..10_000).map(|_| scale * exponential(&mut rng)).collect();
        let threshold = crate::tail::threshold(&evidence, rate, 0);
        (Tail::learn(&evidence, (rate, 0), (threshold, 0.0)), rng)
    }

    #[test]
    fn a_tail_that_grows_is_followed_and_the_rate_is_met() {
        let (mut tail, mut rng) = trained(1.0, 1e-3);
        let mut alarms = 0;
        for n in 0..400_000 {
            // Normal evidence becomes two and a half times as large.
            let evidence = 2.5 * exponential(&mut rng);
            alarms += u32::from(n > 100_000 && evidence > tail.threshold());
            tail.take(evidence);
        }
        assert!((150..600).contains(&alarms), "{alarms} where 300 are stated");
    }

    #[test]
    fn an_incident_is_not_learned() {
        let (mut tail, mut rng) = trained(1.0, 1e-4);
        let before = tail.threshold();
        for _ in 0..20_000 {
            tail.take(1000.0 * (1.0 + rng.uniform()));
        }
        assert_eq!(tail.threshold(), before, "the alarm is still under way");
        (0..5000).for_each(|_| tail.take(exponential(&mut rng)));
        assert!(tail.threshold() < 1.3 * before, "{} after, {before} before", tail.threshold());
    }

    #[test]
    fn it_stays_within_bounds_and_survives_its_text() {
        let (mut tail, mut rng) = trained(1.0, 1e-3);
        let before = tail.threshold();
        (0..300_000).for_each(|_| tail.take(1e-3 * exponential(&mut rng)));
        assert!(tail.threshold() >= 0.25 * before && tail.is_sound());
        let text = serde_json::to_string(&tail).unwrap();
        let mut again: Tail = serde_json::from_str(&text).unwrap();
        assert_eq!(again, tail);
        for _ in 0..2000 {
            let evidence = exponential(&mut rng);
            tail.take(evidence);
            again.take(evidence);
        }
        assert_eq!(again.threshold().to_bits(), tail.threshold().to_bits());
    }
}
