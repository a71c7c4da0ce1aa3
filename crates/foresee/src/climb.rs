//! How a series climbs within one window: what each sixteenth of it added to the peak, and what that is evidence of.
//!
//! A limit is reached by a peak, so it is the running maximum that is followed, not the level: noise, collected
//! garbage and short falls then do not matter, and what remains is a rate per bin that is never negative.

use crate::path::Path;

/// Bins per window. Sixteen tell linear from bent, steady from bursty, and cost little.
const BINS: usize = 16;
/// The climb is taken to start where this share of the rise is reached, which leaves out a flat beginning.
const ONSET_SHARE: f64 = 0.1;
/// A climb that happened in fewer bins is a step at this scale; a shorter window will see it as a climb if it is one.
const LEAST_BINS: usize = 5;

/// Peaks of this many window lengths before a window are known ground.
const REMEMBERED: f64 = 30.0;

/// One window's climb.
#[derive(Debug, Clone)]
pub(crate) struct Climb {
    /// Seconds that the climb has lasted.
    pub(crate) lasted_s: f64,
    /// How much it rose in that time.
    pub(crate) rise: f64,
    /// Seconds per bin.
    pub(crate) bin_s: f64,
    /// Rise of the peak per second in each bin since the onset, oldest first.
    pub(crate) rates: Vec<f64>,
    /// Net movement over total movement of the bins' means, at most 1: low where the series went up and down. Taken
    /// fine and coarse, and the better counts: teeth go up and down on a rising floor.
    pub(crate) efficiency: f64,
    /// The share of the rise that is above every peak of the time remembered before the window: only new ground is
    /// news. 1 if the earlier peak ended in failure.
    pub(crate) new_ground: f64,
    /// How far the last value lies below the peak beyond falls that were recovered before, as a share of the rise.
    pub(crate) fallen: f64,
}

/// What one pass over the samples of a window collects.
struct Bins {
    peaks: [f64; BINS],
    means: [f64; BINS],
    recovered: f64,
}

impl Climb {
    /// Looks at the last `window_s` seconds; nothing if they hold too few samples or no climb.
    pub(crate) fn new(path: &Path, window_s: f64, failed_at: f64) -> Option<Self> {
        let from = path.from(window_s);
        let bins = Bins::fill(path, from, window_s)?;
        let peak = bins.peaks[BINS - 1];
        let total = peak - bins.peaks[0];
        if total <= 1e-12 * peak.abs() {
            return None;
        }
        let bin_s = window_s / BINS as f64;
        let onset = bins.onset(total);
        let first = onset as usize;
        if BINS - 1 - first < LEAST_BINS {
            return None;
        }
        let rates: Vec<f64> =
            (first + 1..BINS).map(|j| (bins.peaks[j] - bins.peaks[j - 1]) / bin_s).collect();
        let rise = peak - bins.peaks[first];
        // The peak is first known at the end of the first bin; a climb that was under way then is a bin older.
        let unseen = (2.5 - onset).clamp(0.0, 1.0);
        let lasted_s = ((BINS as f64 - 1.0 - onset) / (1.0 - ONSET_SHARE) + unseen) * bin_s;
        let earlier = path.highest(path.from((1.0 + REMEMBERED) * window_s), from);
        let ground = (peak - earlier.max(bins.peaks[0])) / total;
        let new_ground = if earlier >= failed_at { 1.0 } else { ground.clamp(0.0, 1.0) };
        let fallen = ((peak - path.last() - 1.2 * bins.recovered) / rise).clamp(0.0, 1.0);
        let efficiency = bins.efficiency();
        Some(Self { lasted_s, rise, bin_s, rates, efficiency, new_ground, fallen })
    }

    /// Mean rise of the peak per second.
    pub(crate) fn rate(&self) -> f64 {
        self.rates.iter().sum::<f64>() / self.rates.len() as f64
    }
}

impl Bins {
    fn fill(path: &Path, from: usize, window_s: f64) -> Option<Self> {
        let begin = -path.age_s() - window_s;
        let (mut sums, mut counts, mut tops) = ([0.0; BINS], [0u32; BINS], [f64::NEG_INFINITY; BINS]);
        let (mut peak, mut deepest, mut recovered) = (f64::NEG_INFINITY, 0.0f64, 0.0f64);
        for (&t, &x) in path.times[from..].iter().zip(&path.used[from..]) {
            let bin = (((t - begin) / window_s * BINS as f64) as usize).min(BINS - 1);
            sums[bin] += x;
            counts[bin] += 1;
            if x >= peak {
                recovered = recovered.max(deepest);
                (peak, deepest) = (x, 0.0);
            }
            deepest = deepest.max(peak - x);
            tops[bin] = peak;
        }
        let filled = counts.iter().filter(|&&count| count > 0).count();
        if counts[0] == 0 || filled < BINS * 3 / 4 {
            return None;
        }
        let mut means = [0.0; BINS];
        for bin in 0..BINS {
            means[bin] = sums[bin] / f64::from(counts[bin]);
        }
        bridge(&mut tops, &counts);
        bridge(&mut means, &counts);
        Some(Self { peaks: tops, means, recovered })
    }

    /// Where the climb starts, in bins with fractions: where the peak passes the first tenth of the rise.
    fn onset(&self, total: f64) -> f64 {
        let level = self.peaks[0] + ONSET_SHARE * total;
        let above = self.peaks.iter().position(|&peak| peak >= level).unwrap_or(1).max(1);
        let (low, high) = (self.peaks[above - 1], self.peaks[above]);
        (above - 1) as f64 + ((level - low) / (high - low).max(f64::MIN_POSITIVE)).clamp(0.0, 1.0)
    }

    fn efficiency(&self) -> f64 {
        let coarse: Vec<f64> = self.means.chunks(4).map(|four| four.iter().sum::<f64>() / 4.0).collect();
        one_way(&self.means).max(0.9 * one_way(&coarse))
    }
}

/// Net over total movement.
fn one_way(levels: &[f64]) -> f64 {
    let moved: f64 = levels.windows(2).map(|pair| (pair[1] - pair[0]).abs()).sum();
    let net = levels[levels.len() - 1] - levels[0];
    if moved > 0.0 { (net / moved).clamp(0.0, 1.0) } else { 0.0 }
}

/// Fills bins without samples by the straight line between their neighbours; what happened in a gap is unknown, and
/// that is the least assumption. The last bin holds the last sample.
fn bridge(values: &mut [f64; BINS], counts: &[u32; BINS]) {
    let mut known = 0;
    for bin in 1..BINS {
        if counts[bin] > 0 {
            for gap in known + 1..bin {
                let share = (gap - known) as f64 / (bin - known) as f64;
                values[gap] = values[known] + share * (values[bin] - values[known]);
            }
            known = bin;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(used: impl Fn(f64) -> f64, n: u32) -> Path {
        let times: Vec<f64> = (0..n).map(|i| f64::from(i) - f64::from(n - 1)).collect();
        let used = times.iter().map(|&t| used(t)).collect();
        Path { times, used }
    }

    #[test]
    fn a_line_is_seen_as_a_line() {
        let climb = Climb::new(&path(|t| 500.0 + 2.0 * t, 161), 160.0, 1e9).unwrap();
        assert!((climb.rate() - 2.0).abs() < 0.05 && climb.efficiency > 0.999 && climb.fallen == 0.0);
        assert!((climb.lasted_s - 160.0).abs() < 2.0, "{}", climb.lasted_s);
        assert!(climb.rates.iter().all(|rate| (rate - 2.0).abs() < 0.25), "{:?}", climb.rates);
    }

    #[test]
    fn a_flat_beginning_does_not_count() {
        let climb = Climb::new(&path(|t| (t + 100.0).max(0.0), 161), 160.0, 1e9).unwrap();
        assert!((climb.lasted_s - 100.0).abs() < 10.0, "{}", climb.lasted_s);
    }

    #[test]
    fn flat_and_falling_series_do_not_climb() {
        assert!(Climb::new(&path(|_| 5.0, 100), 90.0, 1e9).is_none());
        assert!(Climb::new(&path(|t| -t, 100), 90.0, 1e9).is_none());
    }

    #[test]
    fn known_ground_is_no_news_unless_it_was_a_failure() {
        let saw = path(|t| (t + 400.0) % 100.0, 401);
        assert!(Climb::new(&saw, 95.0, 1e9).is_none_or(|climb| climb.new_ground < 0.1));
        let tooth = path(|t| (t + 390.0) % 100.0, 391);
        assert!(Climb::new(&tooth, 85.0, 1e9).unwrap().new_ground < 0.1);
        assert_eq!(Climb::new(&tooth, 85.0, 95.0).unwrap().new_ground, 1.0);
    }

    #[test]
    fn a_fall_counts_unless_falls_were_recovered_before() {
        let swell = path(|t| if t < -5.0 { 100.0 + t } else { 0.0 }, 90);
        assert!(Climb::new(&swell, 80.0, 1e9).is_none_or(|climb| climb.fallen > 0.9));
        let rising_saw = path(|t| t + (t + 300.0) % 20.0, 295);
        assert!(Climb::new(&rising_saw, 160.0, 1e9).unwrap().fallen < 0.05);
    }
}
