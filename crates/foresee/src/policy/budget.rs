//! How many alerts a team was shown within a day, and how far one must stand above its bar once that is too many.

use std::collections::BTreeMap;

use foretwin_core::{DAY_US, Timestamp};
use serde::{Deserialize, Serialize};

/// For every tenth by which the budget is overspent, an alert's odds must stand twice as high above its bar.
const BITS_PER_BUDGET: f64 = 10.0;

/// When alerts were shown, by team.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Budget(BTreeMap<String, Vec<Timestamp>>);

impl Budget {
    /// Alerts shown to a team within the 24 hours before `now`.
    pub(super) fn spent(&self, team: &str, now: Timestamp) -> usize {
        let recent = |at: &&Timestamp| now.0.saturating_sub(at.0) < DAY_US;
        self.0.get(team).map_or(0, |shown| shown.iter().filter(recent).count())
    }

    /// Bits by which the odds of one more alert must exceed its bar; none while the budget lasts. Odds end at 2¹⁰, so that
    /// even what is certain is held back beyond twice the budget.
    pub(super) fn needed_bits(&self, team: &str, now: Timestamp, per_day: f64) -> Option<f64> {
        let over = (self.spent(team, now) as f64 + 1.0) / per_day - 1.0;
        (over > 1e-9).then_some(BITS_PER_BUDGET * over)
    }

    /// An alert is shown.
    pub(super) fn spend(&mut self, team: &str, now: Timestamp) {
        let shown = self.0.entry(team.into()).or_default();
        shown.retain(|at| now.0.saturating_sub(at.0) < DAY_US);
        shown.push(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_rises_with_what_is_overspent_and_falls_again_after_a_day() {
        let (mut budget, now) = (Budget::default(), Timestamp(5 * DAY_US));
        for _ in 0..10 {
            assert_eq!(budget.needed_bits("t", now, 10.0), None);
            budget.spend("t", now);
        }
        assert!((budget.needed_bits("t", now, 10.0).unwrap() - 1.0).abs() < 1e-9);
        budget.spend("t", now);
        assert!((budget.needed_bits("t", now, 10.0).unwrap() - 2.0).abs() < 1e-9);
        assert_eq!(budget.needed_bits("other", now, 10.0), None);
        assert_eq!(budget.needed_bits("t", now + DAY_US, 10.0), None);
        assert_eq!(budget.needed_bits("t", now, 0.0), Some(f64::INFINITY));
    }
}
