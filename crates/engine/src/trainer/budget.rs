//! The share of a core that training may take, kept while it runs and not only after.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::threads::{cpu_time, pause};

/// CPU time that may be used ahead of the share: a first model must not wait.
const AHEAD: Duration = Duration::from_millis(500);
/// The longest rest at once; the way back to work is asked for a cancellation at least so often.
const LONGEST_REST: Duration = Duration::from_secs(2);

/// What a training of the calling thread may take, and whether it is to go on at all.
pub(crate) struct Budget<'a> {
    cancel: &'a AtomicBool,
    /// Ends this training and no other.
    also: Option<&'a AtomicBool>,
    /// Share of a core; none where time is virtual and nobody waits for the core.
    share: Option<f64>,
    started: Instant,
    used: Duration,
}

impl<'a> Budget<'a> {
    /// Starts counting the calling thread's time.
    pub(crate) fn new(cancel: &'a AtomicBool, share: Option<f64>) -> Self {
        Self { cancel, also: None, share, started: Instant::now(), used: cpu_time() }
    }

    /// Ends for another reason, too.
    pub(crate) fn also(self, cancel: &'a AtomicBool) -> Self {
        Self { also: Some(cancel), ..self }
    }

    /// Rests as long as the budget is overdrawn, and says whether to go on.
    pub(crate) fn allow(&self) -> ControlFlow<()> {
        if let Some(share) = self.share {
            let rest = rest(cpu_time().saturating_sub(self.used), self.started.elapsed(), share);
            if !rest.is_zero() && !pause(self.cancel, rest.min(LONGEST_REST)) {
                return ControlFlow::Break(());
            }
        }
        let mut reasons = std::iter::once(self.cancel).chain(self.also);
        if reasons.any(|reason| reason.load(Ordering::Relaxed)) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

/// How long to rest after `used` CPU time in `passed` time so that the share is kept again.
fn rest(used: Duration, passed: Duration, share: f64) -> Duration {
    used.saturating_sub(AHEAD).div_f64(share).saturating_sub(passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_make_up_for_what_was_used_ahead() {
        let s = Duration::from_secs_f64;
        assert_eq!(rest(s(0.4), s(0.4), 0.25), Duration::ZERO, "a short training does not rest");
        assert_eq!(rest(s(1.5), s(1.5), 0.25), s(2.5));
        assert_eq!(rest(s(1.5), s(4.0), 0.25), Duration::ZERO);
    }

    #[test]
    fn a_cancelled_budget_allows_nothing() {
        let cancel = AtomicBool::new(false);
        let budget = Budget::new(&cancel, Some(0.5));
        assert!(budget.allow().is_continue());
        cancel.store(true, Ordering::Relaxed);
        assert!(budget.allow().is_break());
        assert!(Budget::new(&cancel, None).allow().is_break());
        let (on, own) = (AtomicBool::new(false), AtomicBool::new(true));
        assert!(Budget::new(&on, None).also(&own).allow().is_break());
    }
}
