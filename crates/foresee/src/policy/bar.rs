//! Operators' words on alerts, and how far they move the bar of a kind on an instance and its workload.
//!
//! Words are votes on one number, the shift of the bar in log odds. An instance's shift is the mean of its votes,
//! shrunk towards that of its workload, which is shrunk towards none: a partial pooling with fixed prior weights (Gelman
//! and Hill, Data Analysis Using Regression and Multilevel Models, 2007, chapter 12). Votes lose weight with age.

use foretwin_core::{AlertKind, InstanceId, Rating, Timestamp, WorkloadId};
use serde::{Deserialize, Serialize};

/// Where many votes of "false" or "expected" would bring the bar, in log odds: 0.5 becomes 0.95.
const UP: f64 = 3.0;
/// Where many votes of "useful" would: 0.5 becomes 0.27.
const DOWN: f64 = -1.0;
/// Votes that the prior counts for, on an instance and on a workload.
const PRIOR_INSTANCE: f64 = 1.0;
const PRIOR_WORKLOAD: f64 = 3.0;
/// Half-lives after which a vote is forgotten.
const FORGOTTEN: f64 = 6.0;

/// No shift moves a bar down by more than this.
pub(super) const MOST_DOWN: f64 = -DOWN;

/// A word on one member of an alert.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Vote {
    pub(super) kind: AlertKind,
    pub(super) instance: InstanceId,
    pub(super) workload: WorkloadId,
    pub(super) at: Timestamp,
    pub(super) rating: Rating,
}

/// All votes that still count.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Votes(Vec<Vote>);

impl Votes {
    /// Takes a vote.
    pub(super) fn cast(&mut self, vote: Vote) {
        self.0.push(vote);
    }

    /// Lets go of what is too old to count.
    pub(super) fn expire(&mut self, now: Timestamp, half_life_s: f64) {
        self.0.retain(|vote| now.since(vote.at) < FORGOTTEN * half_life_s);
    }

    /// Log odds that are added to the bar of a kind on an instance.
    pub(super) fn shift(
        &self,
        kind: AlertKind,
        (instance, workload): (&InstanceId, &WorkloadId),
        (now, half_life_s): (Timestamp, f64),
    ) -> f64 {
        let (mut own, mut shared) = ((0.0, 0.0), (0.0, 0.0));
        for vote in self.0.iter().filter(|vote| vote.kind == kind) {
            let weight = (-now.since(vote.at).max(0.0) / half_life_s).exp2();
            let worth = if vote.rating == Rating::Useful { DOWN } else { UP };
            if vote.instance == *instance {
                own = (own.0 + weight * worth, own.1 + weight);
            }
            // That one instance is known for it says nothing of the others of its workload.
            if vote.workload == *workload && vote.rating != Rating::Expected {
                shared = (shared.0 + weight * worth, shared.1 + weight);
            }
        }
        let shared = shared.0 / (shared.1 + PRIOR_WORKLOAD);
        (own.0 + PRIOR_INSTANCE * shared) / (own.1 + PRIOR_INSTANCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF_S: f64 = 86_400.0;

    fn shift(votes: &Votes, instance: &str, workload: &str, day: f64) -> f64 {
        let who = (&InstanceId::new(instance), &WorkloadId(workload.into()));
        votes.shift(AlertKind::Anomaly, who, (Timestamp::from_seconds(day * HALF_S), HALF_S))
    }

    fn cast(votes: &mut Votes, instance: &str, rating: Rating) {
        votes.cast(Vote {
            kind: AlertKind::Anomaly,
            instance: InstanceId::new(instance),
            workload: WorkloadId("w".into()),
            at: Timestamp(0),
            rating,
        });
    }

    #[test]
    fn votes_move_their_instance_most_its_workload_less_and_others_not() {
        let mut votes = Votes::default();
        cast(&mut votes, "a", Rating::False);
        let (own, sibling) = (shift(&votes, "a", "w", 0.0), shift(&votes, "b", "w", 0.0));
        assert!(own > sibling && sibling > 0.0 && own < UP, "{own} {sibling}");
        assert_eq!(shift(&votes, "a", "other", 0.0), UP / 2.0);
        assert_eq!(shift(&votes, "b", "other", 0.0), 0.0);
        (0..40).for_each(|_| cast(&mut votes, "a", Rating::False));
        assert!(shift(&votes, "a", "w", 0.0) > 0.95 * UP);
    }

    #[test]
    fn what_one_is_known_for_is_not_expected_of_others_and_use_lowers() {
        let mut votes = Votes::default();
        cast(&mut votes, "a", Rating::Expected);
        assert!(shift(&votes, "a", "w", 0.0) > 1.0 && shift(&votes, "b", "w", 0.0) == 0.0);
        let mut votes = Votes::default();
        (0..50).for_each(|_| cast(&mut votes, "a", Rating::Useful));
        let low = shift(&votes, "a", "w", 0.0);
        assert!((-MOST_DOWN..-0.9).contains(&low), "{low}");
    }

    #[test]
    fn votes_fade_and_are_forgotten() {
        let mut votes = Votes::default();
        cast(&mut votes, "a", Rating::False);
        let said: Vec<f64> = (0..8).map(|day| shift(&votes, "a", "w", f64::from(day))).collect();
        assert!(said.windows(2).all(|pair| pair[1] < pair[0]), "{said:?}");
        votes.expire(Timestamp::from_seconds(7.0 * HALF_S), HALF_S);
        assert_eq!(votes, Votes::default());
    }
}
