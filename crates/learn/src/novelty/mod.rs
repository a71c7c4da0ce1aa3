//! Streaming novelty of one metric: how rare it is to be so far from everything that it ever did.
//!
//! Where [`crate::Model`] learns from a window and judges what follows by a fixed threshold, this adapts with every
//! sample and needs no training: for one slow series (a sample each minute or five) whose habits change by the day.
//! The latest sample, and the latest stretch of samples, are compared with the most similar ones of the past; the
//! distances are turned into rarities by the distribution of their own past; and an anomaly is told once.

mod news;
mod pattern;
mod tail;

use news::News;
use pattern::Patterns;
use tail::RunningTail;

/// Samples of the patterns: a value that was never seen, and a course that was never seen.
const LENGTHS: [usize; 2] = [1, 32];
/// The power of the mean that combines rarities: between the mean (all must agree) and the largest (one is enough).
const POWER: i32 = 3;
/// The decimal exponent of rarity at which the score is 1: the cost of false alarms and of misses that NAB's standard
/// profile sets meet there, over all of its files.
const ALARM: f64 = 1.75;
/// Rarities below this are no news of anything.
const ORDINARY: f64 = 0.5;
/// The smallest scale, as a part of the range of the history.
const FLOOR: f64 = 0.05;
/// The first samples find little to be similar to: their distances say nothing of later ones.
const EARLY: usize = 100;
/// Samples beyond this many scales from the centre are all equally far.
const FARTHEST: f64 = 1e3;

/// What is known of one metric. Room grows to about 2 MB over 32,768 samples and no further; a sample then costs some
/// tens of microseconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Novelty {
    center: f64,
    scale: f64,
    readings: [(Patterns, RunningTail); LENGTHS.len()],
    news: News,
    /// Samples taken so far.
    taken: usize,
}

impl Novelty {
    /// Learns the past of a metric, in order of time; what is not a number is left out.
    #[must_use]
    pub fn of(history: &[f64]) -> Self {
        let (center, scale) = scale(history);
        let readings = LENGTHS.map(|length| (Patterns::new(length), RunningTail::default()));
        let mut novelty = Self { center, scale, readings, news: News::default(), taken: 0 };
        for &value in history {
            novelty.rarity(value);
        }
        novelty
    }

    /// Takes the next sample and gives its score: above 1 is anomalous, zero where it is no news. A sample that is not
    /// a number is no news and leaves no trace.
    pub fn step(&mut self, value: f64) -> f64 {
        let rarity = self.rarity(value);
        self.news.filter(rarity, ORDINARY) / ALARM
    }

    fn rarity(&mut self, value: f64) -> f64 {
        if !value.is_finite() {
            return 0.0;
        }
        let scaled = ((value - self.center) / self.scale).clamp(-FARTHEST, FARTHEST);
        let mut sum = 0.0;
        for (patterns, tail) in &mut self.readings {
            let distance = patterns.nearest(scaled);
            sum += tail.rarity(distance).powi(POWER);
            if self.taken >= EARLY {
                tail.take(distance);
            }
        }
        self.taken += 1;
        (sum / LENGTHS.len() as f64).powf(1.0 / f64::from(POWER))
    }
}

/// Mean and deviation of the history, the latter with a floor.
fn scale(history: &[f64]) -> (f64, f64) {
    let seen: Vec<f64> = history.iter().copied().filter(|x| x.is_finite()).collect();
    let n = seen.len().max(1) as f64;
    let center = seen.iter().sum::<f64>() / n;
    let deviation = (seen.iter().map(|x| (x - center).powi(2)).sum::<f64>() / n).sqrt();
    let (low, high) = seen.iter().fold((center, center), |(low, high), &x| (low.min(x), high.max(x)));
    (center, deviation.max(FLOOR * (high - low)).max(1e-9 + 1e-6 * low.abs().max(high.abs())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use foretwin_core::Rng;

    /// A wave of 48 samples with noise.
    fn wave(rng: &mut Rng, rows: usize) -> Vec<f64> {
        let at = |row: usize| 50.0 + 20.0 * (row as f64 / 48.0 * std::f64::consts::TAU).sin();
        (0..rows).map(|row| at(row) + rng.normal()).collect()
    }

    #[test]
    fn a_new_value_and_a_new_course_are_told_once() {
        let mut values = wave(&mut Rng::new(2), 4000);
        // The wave stands still at a value that it often has; later comes a value that it never had.
        values[2500..2560].fill(50.0);
        values[3200] = 200.0;
        let mut novelty = Novelty::of(&values[..2000]);
        let scores: Vec<f64> = values[2000..].iter().map(|x| novelty.step(*x)).collect();
        let alarms = |rows: std::ops::Range<usize>| scores[rows].iter().filter(|score| **score > 1.0).count();
        assert!((1..=4).contains(&alarms(500..700)), "{}", alarms(500..700));
        assert!(scores[1200] > 1.0 && alarms(1201..1400) == 0, "{}", scores[1200]);
        assert!(alarms(0..500) + alarms(700..1200) + alarms(1400..2000) <= 2);
    }

    #[test]
    fn the_score_does_not_depend_on_the_unit() {
        let values = wave(&mut Rng::new(3), 1500);
        let other: Vec<f64> = values.iter().map(|x| 1e6 * x - 3e7).collect();
        let (mut a, mut b) = (Novelty::of(&values[..500]), Novelty::of(&other[..500]));
        for (x, y) in values.iter().zip(&other).skip(500) {
            assert!((a.step(*x) - b.step(*y)).abs() < 1e-3);
        }
    }

    #[test]
    fn constants_and_gaps_are_calm() {
        let mut novelty = Novelty::of(&[7.0; 200]);
        assert!((0..500).all(|row| novelty.step(if row % 50 == 0 { f64::NAN } else { 7.0 }) < 1.0));
        assert!(novelty.step(9.0) > 1.0);
    }
}
