//! How latency follows load, and so how much slower a machine has become, whatever its load is.
//!
//! A queue with one server answers within a time proportional to s / (1 - r s) when r requests a second take s each
//! (M/M/1, Kleinrock 1975; the shape of most queues). If everything takes f times as long, L = a f / (1 - r f / C), with
//! a and the capacity C from healthy windows. Solved for f this is 1 / f = a / L + r / C: one number for all loads,
//! where latency over usual latency is larger at every peak. The same law says at which f latency breaks a limit when
//! the load is at its peak.

use super::state::{Reader, Writer};
use crate::Error;

/// Fewest windows to learn it from.
const FEWEST: usize = 12;
/// Capacities that are compared, in highest rates seen.
const CAPACITIES: (f64, f64) = (1.1, 6.0);
const GRID: usize = 30;
/// What is believed of the capacity before, in highest rates seen, and how far it may be off as a logarithm.
const BELIEVED: f64 = 2.0;
const BELIEVED_SD: f64 = 0.5;
/// Windows overlap by half.
const INDEPENDENT: f64 = 0.5;
/// The least that may be left of 1 / f.
const LEAST: f64 = 0.05;

/// Latency by load, when all is well.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Queue {
    /// Latency without load, as a natural logarithm.
    base: f64,
    /// Requests per second at which the queue grows without end.
    capacity: f64,
    /// Standard deviation of the logarithm of latency around the law.
    pub stray: f64,
}

impl Queue {
    /// Learns from requests per second and latencies, as natural logarithms: the capacity as a posterior mean, the base
    /// as a median. Nothing where there are too few or no load.
    pub fn fit(windows: &[(f64, f64)]) -> Option<Self> {
        let known: Vec<(f64, f64)> = windows
            .iter()
            .copied()
            .filter(|(rate, latency)| rate.is_finite() && latency.is_finite())
            .collect();
        let most = known.iter().map(|(rate, _)| *rate).fold(0.0, f64::max);
        if known.len() < FEWEST || most <= 0.0 {
            return None;
        }
        let step = (CAPACITIES.1 / CAPACITIES.0).ln() / (GRID - 1) as f64;
        let at = |place: usize| Self::with(&known, most * CAPACITIES.0 * (step * place as f64).exp());
        let fits: Vec<Self> = (0..GRID).map(at).collect();
        let score = |fit: &Self| {
            let apart = ((fit.capacity / most).ln() - BELIEVED.ln()) / BELIEVED_SD;
            -INDEPENDENT * known.len() as f64 * fit.stray.max(1e-6).ln() - 0.5 * apart * apart
        };
        let highest = fits.iter().map(score).fold(f64::NEG_INFINITY, f64::max);
        let (mut sum, mut all) = (0.0, 0.0);
        for fit in &fits {
            let weight = (score(fit) - highest).exp();
            (sum, all) = (sum + weight * fit.capacity.ln(), all + weight);
        }
        Some(Self::with(&known, (sum / all).exp()))
    }

    fn with(known: &[(f64, f64)], capacity: f64) -> Self {
        let mut bases: Vec<f64> =
            known.iter().map(|(rate, latency)| latency + (1.0 - rate / capacity).ln()).collect();
        let middle = bases.len() / 2;
        let base = *bases.select_nth_unstable_by(middle, f64::total_cmp).1;
        let square = bases.iter().map(|one| (one - base).powi(2)).sum::<f64>() / bases.len() as f64;
        Self { base, capacity, stray: square.sqrt() }
    }

    pub fn encode(queue: Option<Self>, to: &mut Writer) {
        let none = Self { base: f64::NAN, capacity: f64::NAN, stray: f64::NAN };
        let Self { base, capacity, stray } = queue.unwrap_or(none);
        [base, capacity, stray].iter().for_each(|&value| to.f64(value));
    }

    pub fn decode(from: &mut Reader<'_>) -> Result<Option<Self>, Error> {
        let read = Self { base: from.f64()?, capacity: from.f64()?, stray: from.f64()? };
        let is_known = [read.base, read.capacity, read.stray].iter().all(|value| value.is_finite());
        Ok((is_known && read.capacity > 0.0).then_some(read))
    }

    /// How much longer everything takes, as a natural logarithm, where so many requests a second have this latency (a
    /// natural logarithm too).
    pub fn slower(&self, latency: f64, rate: f64) -> f64 {
        -((self.base - latency).exp() + rate / self.capacity).max(LEAST).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use foretwin_core::Rng;

    /// Loads from 40 to 160 requests a second, latency of a queue of 300 with a base of 5 ms.
    fn learned() -> Queue {
        let mut rng = Rng::new(5);
        let window = |n: usize| {
            let rate = 40.0 + 120.0 * (n as f64 / 80.0);
            (rate, latency(rate, 1.0) + 0.1 * rng.normal())
        };
        Queue::fit(&(0..80).map(window).collect::<Vec<_>>()).unwrap()
    }

    fn latency(rate: f64, slower: f64) -> f64 {
        (0.005 * slower / (1.0 - rate * slower / 300.0)).ln()
    }

    #[test]
    fn what_is_slower_is_so_at_every_load() {
        let queue = learned();
        assert!((200.0..450.0).contains(&queue.capacity) && (queue.stray - 0.1).abs() < 0.03, "{queue:?}");
        for slower in [1.0, 1.3] {
            let told = [50.0, 100.0, 150.0].map(|rate| queue.slower(latency(rate, slower), rate));
            assert!(told.iter().all(|told| (told - f64::ln(slower)).abs() < 0.1), "{slower}: {told:?}");
        }
        // Beyond usual latency the same is twice as much at the peak.
        let over = |rate| latency(rate, 1.3) - latency(rate, 1.0);
        assert!(over(150.0) > 1.5 * over(50.0));
    }

    #[test]
    fn a_limit_is_nearer_at_a_peak_of_load() {
        let queue = learned();
        let limit = f64::ln(0.02);
        assert!(queue.slower(limit, 150.0) < queue.slower(limit, 60.0) - 0.2);
        assert!(queue.slower(f64::INFINITY, 1e9).is_finite());
    }

    #[test]
    fn little_teaches_nothing() {
        assert_eq!(Queue::fit(&[(10.0, -5.0); 11]), None);
        assert_eq!(Queue::fit(&[(0.0, -5.0); 40]), None);
        assert_eq!(Queue::fit(&[(f64::NAN, -5.0); 40]), None);
    }
}
