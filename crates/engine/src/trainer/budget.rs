//! The share of a core that training may take, kept while it runs and not only after.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use foretwin_learn::{Progress, Stage};

use crate::gauge::Gauge;
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
    /// Where to tell how far it is, and of how many fits it is made.
    told: Option<(&'a Gauge, f64)>,
    /// Fits that are over, and how far the one under way is.
    fits: Cell<(f64, f64)>,
}

impl<'a> Budget<'a> {
    /// Starts counting the calling thread's time.
    pub(crate) fn new(cancel: &'a AtomicBool, share: Option<f64>) -> Self {
        let (started, used) = (Instant::now(), cpu_time());
        Self { cancel, also: None, share, started, used, told: None, fits: Cell::default() }
    }

    /// Ends for another reason, too.
    pub(crate) fn also(self, cancel: &'a AtomicBool) -> Self {
        Self { also: Some(cancel), ..self }
    }

    /// Tells how far it is, of a training that is made of so many fits or fewer.
    pub(crate) fn telling(self, gauge: &'a Gauge, fits: usize) -> Self {
        Self { told: Some((gauge, fits.max(1) as f64)), ..self }
    }

    /// Hears how far a fit is, and goes on like [`Budget::allow`].
    pub(crate) fn hear(&self, progress: Progress) -> ControlFlow<()> {
        let (begins, takes): (f64, f64) = match progress.stage {
            Stage::Features => (0.0, 0.05),
            Stage::Linear => (0.05, 0.15),
            Stage::Lstm => (0.2, 0.75),
            Stage::Threshold => (0.95, 0.05),
        };
        self.hear_share(begins + takes * progress.done.clamp(0.0, 1.0))
    }

    /// The same of work that has no stages. Where it begins anew another fit has begun.
    pub(crate) fn hear_share(&self, done: f64) -> ControlFlow<()> {
        let (over, before) = self.fits.get();
        let over = if done < before { over + 1.0 } else { over };
        self.fits.set((over, done));
        if let Some((gauge, fits)) = self.told {
            // What is found out later, that it takes one more, must not have been called done.
            gauge.tell(((over + done) / fits).min(0.99));
        }
        self.allow()
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
    fn fits_add_up_to_less_than_all_until_the_end() {
        let (never, gauge) = (AtomicBool::new(false), Gauge::default());
        let budget = Budget::new(&never, None).telling(&gauge, 2);
        let hear = |stage, done| assert!(budget.hear(Progress { stage, done }).is_continue());
        hear(Stage::Threshold, 1.0);
        assert_eq!(gauge.read(), Some(0.5));
        hear(Stage::Features, 0.0);
        hear(Stage::Lstm, 0.5);
        assert_eq!(gauge.read(), Some(0.7875));
        hear(Stage::Threshold, 1.0);
        assert_eq!(gauge.read(), Some(0.99));
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
