//! Pauses between tries at a receiver that is away.

use foretwin_core::Rng;

/// The first pause, in seconds.
const FIRST_S: f64 = 1.0;

/// Pauses that double up to the longest, each drawn from its upper half: many senders do not come back at once, and none
/// comes back too soon.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    rng: Rng,
    next_s: f64,
    longest_s: f64,
}

impl Backoff {
    pub(crate) fn new(longest_s: f64, seed: u64) -> Self {
        Self { rng: Rng::new(seed), next_s: FIRST_S.min(longest_s), longest_s }
    }

    /// Seconds to wait now; what the receiver asked for is not undercut.
    pub(crate) fn pause_s(&mut self, asked_s: Option<f64>) -> f64 {
        let pause_s = self.next_s * (0.5 + 0.5 * self.rng.uniform());
        self.next_s = (2.0 * self.next_s).min(self.longest_s);
        pause_s.max(asked_s.unwrap_or(0.0).clamp(0.0, self.longest_s))
    }

    /// The receiver is back.
    pub(crate) fn reset(&mut self) {
        self.next_s = FIRST_S.min(self.longest_s);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_with_jitter_up_to_the_longest_and_repeat_by_seed() {
        let (mut one, mut again, mut other) =
            (Backoff::new(30.0, 1), Backoff::new(30.0, 1), Backoff::new(30.0, 2));
        let pauses: Vec<f64> = (0..8).map(|_| one.pause_s(None)).collect();
        assert_eq!(pauses, (0..8).map(|_| again.pause_s(None)).collect::<Vec<_>>());
        assert_ne!(pauses, (0..8).map(|_| other.pause_s(None)).collect::<Vec<_>>());
        for (pause, full) in pauses.iter().zip([1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]) {
            assert!((full / 2.0..=full).contains(pause), "{pause} of {full}");
        }
        one.reset();
        assert!(one.pause_s(None) <= 1.0);
        assert_eq!(one.pause_s(Some(20.0)), 20.0);
        assert_eq!(one.pause_s(Some(9000.0)), 30.0);
    }
}
