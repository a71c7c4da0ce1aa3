//! Intervals around times to failure that hold the truth as often as they say.
//!
//! The drawn futures give a median and a spread; how far the truth lay from the median in units of the spread, in
//! recorded failures, gives the factors by which the spread is stretched on either side: conformal prediction (Vovk,
//! Gammerman and Shafer, "Algorithmic Learning in a Random World", 2005; scaled as in Lei et al., JASA 113, 2018),
//! asymmetric, and on the logarithm of the time.

use foretwin_core::Quantiles;

/// Share of failures that shall lie inside.
const INSIDE: f64 = 0.8;
/// Least spread of the logarithm of a time, and seconds that no forecast is finer than.
const LEAST_SPREAD: f64 = 0.03;
const LEAST_S: f64 = 0.5;
/// Factors before anything was learned: the futures' own quantiles.
const UNLEARNED: (f64, f64) = (-1.0, 1.0);
/// Fewest failures from which factors are learned.
const LEAST_FAILURES: usize = 10;

/// How far the spread is stretched below and above the median.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    low: f64,
    high: f64,
}

impl Default for Interval {
    fn default() -> Self {
        Self { low: UNLEARNED.0, high: UNLEARNED.1 }
    }
}

/// Quantile of ascending values, of which some may be infinite.
fn quantile(ascending: &[f64], p: f64) -> Option<f64> {
    let place = p * ascending.len() as f64;
    ascending.get((place as usize).min(ascending.len().checked_sub(1)?)).copied()
}

/// Median and the half spreads of the logarithm on both sides, from the futures that fail.
fn spread(arrivals: &[f64]) -> Option<(f64, f64, f64)> {
    let finite = &arrivals[..arrivals.partition_point(|t| t.is_finite())];
    // What mostly never comes has no time.
    if 2 * finite.len() <= arrivals.len() {
        return None;
    }
    let middle = quantile(finite, 0.5)?.max(LEAST_S);
    let least = LEAST_SPREAD + LEAST_S / middle;
    let below = (middle / quantile(finite, 0.1)?.max(LEAST_S)).ln().max(least);
    let above = (quantile(finite, 0.9)?.max(LEAST_S) / middle).ln().max(least);
    Some((middle, below, above))
}

impl Interval {
    /// Learns from the futures at recorded moments and the seconds that were left until the failure; moments whose
    /// futures gave no time count as misses, and so widen the rest.
    #[must_use]
    pub fn fit<'a>(moments: impl Iterator<Item = (&'a [f64], f64)>) -> Self {
        let (mut scores, mut missed) = (Vec::new(), 0usize);
        for (arrivals, left_s) in moments {
            match spread(arrivals) {
                Some((middle, below, above)) => {
                    let away = (left_s.max(LEAST_S) / middle).ln();
                    scores.push(if away < 0.0 { away / below } else { away / above });
                }
                None => missed += 1,
            }
        }
        if scores.len() < LEAST_FAILURES {
            return Self::default();
        }
        scores.sort_by(f64::total_cmp);
        let total = (scores.len() + missed) as f64;
        let inside = (INSIDE * (total + 1.0) / scores.len() as f64).min(0.96);
        let tail = 0.5 * (1.0 - inside);
        let low = quantile(&scores, tail).unwrap_or(UNLEARNED.0).min(0.0);
        let high = quantile(&scores, 1.0 - tail).unwrap_or(UNLEARNED.1).max(0.0);
        Self { low, high }
    }

    /// Whether anything is said of the time: what mostly never comes has none.
    pub(crate) fn speaks(arrivals: &[f64]) -> bool {
        spread(arrivals).is_some()
    }

    /// The median of those futures that fail, before any calibration; nothing where most never do.
    #[must_use]
    pub fn middle(arrivals: &[f64]) -> Option<f64> {
        spread(arrivals).map(|(middle, ..)| middle)
    }

    /// The calibrated quantiles of the time to failure.
    #[must_use]
    pub fn around(&self, arrivals: &[f64]) -> Quantiles {
        let Some((middle, below, above)) = spread(arrivals) else {
            return Quantiles {
                p10: quantile(arrivals, 0.1).filter(|t| t.is_finite()),
                ..Quantiles::default()
            };
        };
        let p50 = middle * (0.5 * (self.low * below + self.high * above)).clamp(-0.2, 0.2).exp();
        let p10 = middle * (self.low * below).exp();
        let p90 = middle * (self.high * above).exp();
        Quantiles { p10: Some(p10.min(p50)), p50: Some(p50), p90: Some(p90.max(p50)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use foretwin_core::Rng;

    #[test]
    fn intervals_hold_what_they_promise() {
        let mut rng = Rng::new(3);
        // The futures are three times too narrow, and a tenth too late.
        let mut moment = || {
            let truth = 10.0 + 90.0 * rng.uniform();
            let middle = truth * 1.1 * (0.3 * rng.normal()).exp();
            let mut arrivals: Vec<f64> = (0..100).map(|_| middle * (0.1 * rng.normal()).exp()).collect();
            arrivals.sort_by(f64::total_cmp);
            (arrivals, truth)
        };
        let seen: Vec<_> = (0..300).map(|_| moment()).collect();
        let interval = Interval::fit(seen.iter().map(|(arrivals, left)| (arrivals.as_slice(), *left)));
        let inside = (0..500).filter(|_| {
            let (arrivals, truth) = moment();
            let Quantiles { p10, p90, .. } = interval.around(&arrivals);
            p10.unwrap() <= truth && truth <= p90.unwrap()
        });
        let share = inside.count() as f64 / 500.0;
        assert!((0.72..0.88).contains(&share), "{share}");
    }

    #[test]
    fn what_mostly_never_comes_has_no_median() {
        let mut arrivals = vec![5.0; 20];
        arrivals.extend([f64::INFINITY; 80]);
        let said = Interval::default().around(&arrivals);
        assert_eq!((said.p10, said.p50, said.p90), (Some(5.0), None, None));
        assert_eq!(Interval::default().around(&[]).p10, None);
    }
}
