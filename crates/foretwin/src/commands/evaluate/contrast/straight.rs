//! What operators have today: the latency of the last minutes as a straight line, extended (`predict_linear` of
//! Prometheus), and an alarm when the line exceeds the limit within the horizon.

use std::collections::VecDeque;

use foretwin_foresee::contrast::Second;

/// Minutes through which lines are laid: whoever writes such a rule has to choose.
pub const SPANS_MIN: [f64; 3] = [2.0, 3.0, 5.0];
/// Seconds that are kept.
const LONGEST_S: f64 = 300.0;
/// Fewest seconds in a line.
const FEWEST: usize = 60;

/// The latency of the last minutes.
#[derive(Default)]
pub struct Straight {
    /// Moment in seconds and 90th percentile in seconds.
    seen: VecDeque<(f64, f64)>,
}

impl Straight {
    /// Takes a second in; one without requests has no latency.
    pub fn take(&mut self, second: &Second) {
        let (at, latency_s) = (second.at.seconds(), second.production.latency_p90_s);
        if latency_s.is_finite() {
            self.seen.push_back((at, latency_s));
        }
        while self.seen.front().is_some_and(|(first, _)| at - first > LONGEST_S) {
            self.seen.pop_front();
        }
    }

    /// Whether the line through the last `span_s` seconds exceeds a limit in `ahead_s` seconds; least squares.
    pub fn exceeds(&self, limit_s: f64, (span_s, ahead_s): (f64, f64)) -> bool {
        let Some(&(now, _)) = self.seen.back() else { return false };
        let seen = self.seen.range(self.seen.partition_point(|(at, _)| now - at > span_s)..);
        if seen.len() < FEWEST {
            return false;
        }
        let n = seen.len() as f64;
        let sum = |of: &dyn Fn(f64, f64) -> f64| seen.clone().map(|&(at, x)| of(at - now, x)).sum::<f64>();
        let (mean_t, mean_x) = (sum(&|t, _| t) / n, sum(&|_, x| x) / n);
        let slope = sum(&|t, x| (t - mean_t) * (x - mean_x)) / sum(&|t, _| (t - mean_t).powi(2));
        mean_x + slope * (ahead_s - mean_t) > limit_s
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_extended_to_the_limit() {
        let mut straight = Straight::default();
        straight.seen.extend((0..300).map(|second| (f64::from(second), 0.002 + 1e-5 * f64::from(second))));
        // At 299 s it stands at 4.99 ms and rises by 10 us a second.
        let exceeds = |limit_s| straight.exceeds(limit_s, (200.0, 100.0));
        assert!(exceeds(0.0059) && !exceeds(0.0061));
        assert!(!Straight::default().exceeds(0.001, (200.0, 100.0)), "nothing was seen");
    }
}
