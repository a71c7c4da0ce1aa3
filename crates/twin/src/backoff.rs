//! When to try again: twice as long after every failure, from the start again after a calm time.

use std::time::{Duration, Instant};

const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);
/// What has run so long has not failed at starting.
const CALM: Duration = Duration::from_secs(60);

/// Delays between attempts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Backoff {
    failures: u32,
    until: Option<Instant>,
}

impl Backoff {
    /// A failure at `now`, after running for `ran`.
    pub fn fail(&mut self, now: Instant, ran: Duration) {
        if ran >= CALM {
            self.failures = 0;
        }
        let delay = SHORTEST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures += 1;
        self.until = Some(now + delay);
    }

    /// How long to wait still; none where an attempt is due.
    pub fn left(&self, now: Instant) -> Option<Duration> {
        self.until.and_then(|until| until.checked_duration_since(now)).filter(|left| !left.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_and_calm_forgets() {
        let (mut backoff, now) = (Backoff::default(), Instant::now());
        assert_eq!(backoff.left(now), None);
        let mut delays = Vec::new();
        for _ in 0..12 {
            backoff.fail(now, Duration::ZERO);
            delays.push(backoff.left(now).unwrap().as_secs());
        }
        assert_eq!(delays[..5], [1, 2, 4, 8, 16]);
        assert_eq!(delays[11], 300);
        assert_eq!(backoff.left(now + LONGEST), None);
        backoff.fail(now, CALM);
        assert_eq!(backoff.left(now), Some(SHORTEST));
    }
}
