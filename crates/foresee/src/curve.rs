//! What is stated of one resource as a curve over time, which its futures are held to.

use foretwin_core::{Quantiles, Risk, probability_at};

/// Probability of failure over time where it is known: at the stated horizons, and at the stated quantiles between them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Curve {
    /// Seconds from now and the probability of failure within them, ascending in both.
    knots: Vec<(f64, f64)>,
    /// Probability of failure at any time.
    ever: f64,
}

impl Curve {
    /// The curve of a risk. Quantiles that contradict the probabilities of the horizons say nothing.
    pub(crate) fn of(risk: &Risk) -> Self {
        let mut curve = Self::through(&risk.within);
        curve.ever = (1.0 - risk.never).clamp(curve.ever, 1.0);
        let Quantiles { p10, p50, p90 } = risk.time_to_failure;
        for (p, t) in [(0.1, p10), (0.5, p50), (0.9, p90)] {
            if let Some(t) = t.filter(|t| t.is_finite()) {
                curve.add(t, p);
            }
        }
        curve
    }

    /// A curve through probabilities at horizons; beyond the last nothing more fails.
    pub(crate) fn through(within: &[(f64, f64)]) -> Self {
        let mut before = 0.0;
        let mut knots = Vec::with_capacity(within.len() + 3);
        for &(horizon_s, p) in within {
            before = p.clamp(before, 1.0);
            knots.push((horizon_s, before));
        }
        Self { knots, ever: before }
    }

    /// Takes one more point in, if it fits between its neighbours.
    fn add(&mut self, t: f64, p: f64) {
        let after = self.knots.partition_point(|&(known, _)| known < t);
        let below = after.checked_sub(1).map_or(0.0, |before| self.knots[before].1);
        let above = self.knots.get(after).map_or(self.ever, |knot| knot.1);
        let known = self.knots.get(after).is_some_and(|knot| knot.0 == t);
        if t > 0.0 && !known && (below..=above).contains(&p) {
            self.knots.insert(after, (t, p));
        }
    }

    /// Probability of failure within `t` seconds, as it was stated: linear between the points.
    pub(crate) fn at(&self, t: f64) -> f64 {
        probability_at(&self.knots, t)
    }

    /// Of `count` equally likely futures, how many fail at all.
    pub(crate) fn failing(&self, count: usize) -> usize {
        rounded(self.ever, count)
    }

    /// When half of what fails has failed; the last point where that lies beyond it.
    pub(crate) fn middle_s(&self) -> f64 {
        let half = self.knots.iter().find(|knot| knot.1 >= 0.5 * self.ever);
        half.or(self.knots.last()).map_or(1.0, |knot| knot.0)
    }

    /// The spans between the points, each with the ranks of those of `count` futures, in the order of their failing, that
    /// fail within it; the last span has no end.
    fn spans(&self, count: usize) -> Vec<Span> {
        let (most, mut from, mut after_s) = (self.failing(count), 0, 0.0);
        let mut spans = Vec::with_capacity(self.knots.len() + 1);
        for &(until_s, p) in &self.knots {
            let to = rounded(p, count).min(most);
            spans.push(Span { ranks: from..to.max(from), after_s, until_s });
            (from, after_s) = (to.max(from), until_s);
        }
        spans.push(Span { ranks: from..most.max(from), after_s, until_s: f64::INFINITY });
        spans
    }
}

fn rounded(share: f64, count: usize) -> usize {
    (share * count as f64).round() as usize
}

/// Futures that fail after one moment and no later than another.
#[derive(Debug, Clone, PartialEq)]
struct Span {
    ranks: std::ops::Range<usize>,
    after_s: f64,
    until_s: f64,
}

/// A span is open at its begin, and its end is kept away from, by this share: rounding must not lead out of it.
const OPEN: f64 = 1e-6;

/// Brings ascending moments to the curve and keeps their order: as many lie before each of its points as it says. Between
/// two points time is scaled evenly, so that the map is continuous; where the moments agree with the curve already they
/// stay. Of all futures there are `count`; those without a moment never fail.
pub(crate) fn hold(curve: &Curve, moments: &mut [f64], count: usize) {
    let natural = moments.to_vec();
    for span in curve.spans(count) {
        let ranks = span.ranks.start.min(natural.len())..span.ranks.end.min(natural.len());
        if !ranks.is_empty() {
            span.place(&natural, &mut moments[ranks.clone()], ranks.start);
        }
    }
}

impl Span {
    /// Places the moments from rank `first` on, of `natural` ones of all ranks, within the span.
    fn place(&self, natural: &[f64], moments: &mut [f64], first: usize) {
        let (last, count) = (first + moments.len() - 1, moments.len() as f64);
        let before = first.checked_sub(1).map_or(0.0, |rank| natural[rank]);
        let after = natural.get(last + 1).copied().unwrap_or(f64::INFINITY);
        // The moments of the bounds before they are moved: as near as may be to where they come to lie.
        let from = self.after_s.clamp(before, natural[first]);
        let to = self.until_s.clamp(natural[last], after);
        let low = self.after_s * (1.0 + OPEN) + OPEN;
        let high = self.until_s * (1.0 - OPEN);
        for (n, t) in moments.iter_mut().enumerate() {
            let moved = if !high.is_finite() {
                if from > 0.0 { *t * (self.after_s / from) } else { *t }
            } else if to > from {
                self.after_s + (*t - from) / (to - from) * (self.until_s - self.after_s)
            } else {
                self.after_s + (n as f64 + 0.5) / count * (self.until_s - self.after_s)
            };
            *t = moved.max(low).min(high);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cause::tests::leak;

    #[test]
    fn points_between_horizons_count_unless_they_contradict() {
        let mut risk = leak(0.95);
        risk.within = vec![(900.0, 0.6), (3600.0, 0.95)];
        risk.time_to_failure = Quantiles { p10: Some(100.0), p50: Some(2000.0), p90: Some(3000.0) };
        risk.never = 0.5;
        let curve = Curve::of(&risk);
        assert_eq!(curve.knots, [(100.0, 0.1), (900.0, 0.6), (3000.0, 0.9), (3600.0, 0.95)]);
        assert_eq!((curve.ever, curve.failing(100), curve.middle_s()), (0.95, 95, 900.0));
        let ranks: Vec<_> = curve.spans(100).into_iter().map(|span| span.ranks).collect();
        assert_eq!(ranks, [0..10, 10..60, 60..90, 90..95, 95..95]);
    }

    #[test]
    fn moments_move_no_more_than_they_must_and_never_pass_each_other() {
        let within = [(10.0, 0.2), (20.0, 0.6), (40.0, 0.8)];
        let held = |mut moments: Vec<f64>| {
            hold(&Curve::through(&within), &mut moments, 10);
            let by = |end_s: f64| moments.iter().filter(|&&t| t <= end_s).count();
            assert!(moments.is_sorted() && (by(10.0), by(20.0), by(40.0)) == (2, 6, 8), "{moments:?}");
            moments
        };
        let agrees = vec![4.0, 9.0, 11.0, 13.0, 15.0, 19.0, 25.0, 39.0];
        assert!(held(agrees.clone()).iter().zip(&agrees).all(|(a, b)| (a - b).abs() < 1e-4));
        // Twice as late everywhere is half of it everywhere.
        let late = held(agrees.iter().map(|t| 2.0 * t).collect());
        assert!(late.iter().zip(&agrees).all(|(a, b)| (a - b).abs() < 1.2), "{late:?}");
        held(vec![1.0; 8]);
        held((0..8).map(|n| 1e4 + f64::from(n)).collect());
        held(vec![0.0, 0.0, 0.0, 12.0, 12.0, 12.0, 12.0, 900.0]);
    }

    #[test]
    fn what_fails_beyond_the_last_horizon_keeps_its_pace() {
        let mut risk = leak(0.5);
        (risk.within, risk.never) = (vec![(100.0, 0.5)], 0.0);
        risk.time_to_failure = Quantiles::default();
        let mut moments = vec![100.0, 200.0, 300.0, 400.0];
        hold(&Curve::of(&risk), &mut moments, 4);
        assert!(moments[1] <= 100.0 && moments[2] > 100.0, "{moments:?}");
        assert!((moments[3] / moments[2] - 4.0 / 3.0).abs() < 1e-3, "{moments:?}");
    }
}
