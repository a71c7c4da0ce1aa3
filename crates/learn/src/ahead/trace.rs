//! What is known of one metric at one moment about a later one: recent values, slow averages, the same time of earlier
//! periods.

/// Weights of the newest row in the slow averages of a metric.
const SLOW: [f32; 3] = [1.0 / 8.0, 1.0 / 64.0, 1.0 / 512.0];
/// Weight of the newest row in how far a metric is from its season.
const APART: f32 = 1.0 / 16.0;
/// Earlier periods that a seasonal mean is taken over.
const PERIODS: usize = 3;
/// Features that need no season: a constant, three values and two averages against the third.
const PLAIN: usize = 6;
/// Features for each season.
const PER_SEASON: usize = 4;

/// One metric over time with everything that its features are looked up in.
pub(super) struct Trace {
    pub y: Vec<f32>,
    slow: [Vec<f32>; 3],
    seasons: Vec<Seasonal>,
}

struct Seasonal {
    period: usize,
    /// Mean of the same time of up to three earlier periods, for every row and one period beyond the last.
    mean: Vec<f32>,
    /// Slow average of how far the metric is from that mean.
    apart: Vec<f32>,
}

/// Expectations without season that others must beat: the last value and the slow averages, from quick to slow.
pub(super) const LEVELS: usize = 4;

/// The simplest expectations of a later value: numbered 0 to 3 as [`LEVELS`] says, then for each season the value one
/// period before, the mean of earlier periods, and that mean at today's level.
pub(super) fn bases(seasons: usize) -> usize {
    LEVELS + 3 * seasons
}

/// Features of a later value.
pub(super) fn features(seasons: usize) -> usize {
    PLAIN + PER_SEASON * seasons
}

impl Trace {
    pub fn new(y: Vec<f32>, periods: &[usize]) -> Self {
        let slow = SLOW.map(|weight| average(&y, weight));
        let seasons = periods.iter().map(|&period| Seasonal::new(&y, period, &slow[2])).collect();
        Self { y, slow, seasons }
    }

    /// What is known at row `t` about the value `k` rows later. Looks at rows up to `t` only. All but the constant are
    /// differences: a metric that moves to another level takes its expectations with it.
    pub fn features(&self, t: usize, k: usize, into: &mut Vec<f32>) {
        into.clear();
        let (y, level) = (&self.y, self.slow[1][t]);
        let earlier = |back: usize| y[t.saturating_sub(back)] - level;
        into.extend([
            1.0,
            earlier(0),
            earlier(1),
            earlier(2),
            self.slow[0][t] - level,
            self.slow[2][t] - level,
        ]);
        for season in &self.seasons {
            let usual = season.mean[t];
            let ahead = season.mean[season.ahead(t, k)] - usual;
            into.extend([ahead, season.before(y, t, k) - usual, y[t] - usual, season.apart[t]]);
        }
    }

    /// One of the simplest expectations.
    pub fn base(&self, base: usize, t: usize, k: usize) -> f32 {
        if base < LEVELS {
            return if base == 0 { self.y[t] } else { self.slow[base - 1][t] };
        }
        let season = &self.seasons[(base - LEVELS) / 3];
        match (base - LEVELS) % 3 {
            0 => season.before(&self.y, t, k),
            1 => season.mean[season.ahead(t, k)],
            _ => season.mean[season.ahead(t, k)] + season.apart[t],
        }
    }

    /// How far the last value and a short average are from a slow one, as others see this metric.
    pub fn to_others(&self, t: usize) -> [f32; 2] {
        [self.y[t] - self.slow[2][t], self.slow[0][t] - self.slow[2][t]]
    }

    /// The mean of earlier periods at the next row, for the season seen most often; else the slow average.
    pub fn usual_next(&self, t: usize) -> f32 {
        self.seasons.first().map_or(self.slow[2][t], |season| season.mean[season.ahead(t, 1)])
    }
}

impl Seasonal {
    fn new(y: &[f32], period: usize, slow: &[f32]) -> Self {
        let mean: Vec<f32> = (0..y.len() + period)
            .map(|at| {
                let earlier = (1..=PERIODS).map_while(|n| at.checked_sub(n * period)).map(|at| y[at]);
                let count = (at / period).min(PERIODS);
                match count {
                    0 => slow[at.min(y.len() - 1)],
                    _ => earlier.sum::<f32>() / count as f32,
                }
            })
            .collect();
        let off: Vec<f32> = y.iter().zip(&mean).map(|(y, mean)| y - mean).collect();
        Self { period, apart: average(&off, APART), mean }
    }

    /// Where the seasonal mean of `k` rows after `t` stands, as far as it is known at `t`.
    fn ahead(&self, t: usize, k: usize) -> usize {
        t + k - (k - 1) / self.period * self.period
    }

    /// The value at the same time of the last period known at `t`.
    fn before(&self, y: &[f32], t: usize, k: usize) -> f32 {
        self.ahead(t, k).checked_sub(self.period).map_or(y[t], |at| y[at])
    }
}

/// An exponential average; the plain one until that is slower.
fn average(values: &[f32], weight: f32) -> Vec<f32> {
    let mut at = 0.0;
    values
        .iter()
        .enumerate()
        .map(|(n, value)| {
            at += weight.max(1.0 / (n + 1) as f32) * (value - at);
            at
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever follows a row must not change what is known at it.
    #[test]
    fn features_look_at_no_future() {
        let y: Vec<f32> = (0..200).map(|n| ((n * 7919) % 101) as f32).collect();
        let whole = Trace::new(y.clone(), &[10, 37]);
        let (mut known, mut all) = (Vec::new(), Vec::new());
        for (t, k) in [(120, 1), (120, 10), (120, 11), (120, 37), (120, 75), (150, 600)] {
            let past = Trace::new(y[..=t].to_vec(), &[10, 37]);
            past.features(t, k, &mut known);
            whole.features(t, k, &mut all);
            assert_eq!(known, all, "{k} ahead of {t}");
            assert_eq!(known.len(), features(2));
            assert!((0..bases(2)).all(|base| past.base(base, t, k) == whole.base(base, t, k)));
        }
    }

    #[test]
    fn a_periodic_series_is_known_far_ahead() {
        let y: Vec<f32> = (0..300).map(|n| (n % 25) as f32).collect();
        let trace = Trace::new(y, &[25]);
        for k in [1, 24, 25, 26, 113] {
            for base in LEVELS..LEVELS + 3 {
                assert!(
                    (trace.base(base, 280, k) - ((280 + k) % 25) as f32).abs() < 1e-4,
                    "base {base}, {k}"
                );
            }
        }
    }
}
