//! What happened to instances before: their failures, and the known issues that their reports had; at hand for whoever
//! judges the present, and for whoever learns from the past.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use foretwin_core::{DAY_US, Failure, FailureMode, Flag, InstanceId, Timestamp, fnv64};

/// Failures and reports that are remembered of an instance, the latest.
const MOST: usize = 64;
/// A report speaks until the next one, and for a week at most.
const SPEAKS_US: i64 = 7 * DAY_US;

/// Issues that a report had, as numbers of their rules.
type Reported = (Timestamp, Arc<[u64]>);

/// Failures and reports by instance, ascending in time.
#[derive(Default)]
pub(crate) struct Past {
    failures: RwLock<HashMap<InstanceId, Vec<(Timestamp, FailureMode)>>>,
    reports: RwLock<HashMap<InstanceId, Vec<Reported>>>,
}

impl Past {
    /// Takes note of a failure, in whatever order they are told.
    pub(crate) fn fail(&self, failure: &Failure) {
        let mut all = self.failures.write().unwrap_or_else(PoisonError::into_inner);
        let own = all.entry(failure.instance.clone()).or_default();
        insert(own, (failure.at, failure.mode));
    }

    /// Takes note of a report.
    pub(crate) fn report(&self, instance: &InstanceId, at: Timestamp, flags: &[Flag]) {
        let mut rules: Vec<u64> = flags.iter().map(|flag| fnv64(flag.rule.as_bytes())).collect();
        rules.sort_unstable();
        rules.dedup();
        let mut all = self.reports.write().unwrap_or_else(PoisonError::into_inner);
        insert(all.entry(instance.clone()).or_default(), (at, rules.into()));
    }

    /// Seconds from the last failure of an instance to a moment; nothing before the first.
    pub(crate) fn failed_s(&self, instance: &InstanceId, at: Timestamp) -> Option<f64> {
        let all = self.failures.read().unwrap_or_else(PoisonError::into_inner);
        let last = all.get(instance)?.iter().rev().find(|(failed, _)| *failed <= at);
        last.map(|(failed, _)| at.since(*failed))
    }

    /// When an instance last failed by a mode before a moment.
    pub(crate) fn failed_by(
        &self,
        instance: &InstanceId,
        mode: FailureMode,
        at: Timestamp,
    ) -> Option<Timestamp> {
        let all = self.failures.read().unwrap_or_else(PoisonError::into_inner);
        let own = all.get(instance)?.iter().rev();
        own.filter(|(failed, by)| *failed <= at && *by == mode).map(|(failed, _)| *failed).next()
    }

    /// Known issues that the newest report of an instance had at a moment.
    pub(crate) fn issues(&self, instance: &InstanceId, at: Timestamp) -> Vec<u64> {
        let all = self.reports.read().unwrap_or_else(PoisonError::into_inner);
        let newest = all.get(instance).and_then(|own| own.iter().rev().find(|(made, _)| *made <= at));
        newest.filter(|(made, _)| at.0 - made.0 < SPEAKS_US).map_or(Vec::new(), |(_, rules)| rules.to_vec())
    }
}

/// Keeps moments in order, and the latest of them.
fn insert<T>(all: &mut Vec<(Timestamp, T)>, one: (Timestamp, T)) {
    let place = all.partition_point(|(at, _)| *at <= one.0);
    all.insert(place, one);
    if all.len() > MOST {
        all.remove(0);
    }
}

#[cfg(test)]
mod tests {
    use foretwin_core::Severity;

    use super::*;

    fn at(hours: i64) -> Timestamp {
        Timestamp(hours * foretwin_core::HOUR_US)
    }

    #[test]
    fn nothing_of_the_future_is_known_and_old_reports_fall_silent() {
        let (past, id) = (Past::default(), InstanceId::new("a"));
        let fail = |hours, mode| {
            past.fail(&Failure { instance: id.clone(), at: at(hours), mode, note: String::new() });
        };
        fail(30, FailureMode::Crash);
        fail(10, FailureMode::MemoryExhaustion);
        assert_eq!(past.failed_s(&id, at(9)), None);
        assert_eq!(past.failed_s(&id, at(11)), Some(3600.0));
        assert_eq!(past.failed_s(&id, at(31)), Some(3600.0));
        assert_eq!(past.failed_by(&id, FailureMode::MemoryExhaustion, at(31)), Some(at(10)));
        assert_eq!(past.failed_by(&id, FailureMode::DiskFull, at(31)), None);
        let flag = |rule: &str| Flag {
            rule: rule.into(),
            severity: Severity::Warning,
            title: String::new(),
            cause: String::new(),
            solution: String::new(),
            risk: String::new(),
            mode: None,
            evidence: Vec::new(),
        };
        past.report(&id, at(20), &[flag("b"), flag("a"), flag("b")]);
        past.report(&id, at(40), &[]);
        assert!(past.issues(&id, at(19)).is_empty() && past.issues(&id, at(41)).is_empty());
        assert_eq!(past.issues(&id, at(25)).len(), 2);
        past.report(&id, at(50), &[flag("a")]);
        assert!(past.issues(&id, at(50 + 7 * 24)).is_empty() && past.issues(&id, at(51)).len() == 1);
    }

    #[test]
    fn the_latest_are_remembered() {
        let (past, id) = (Past::default(), InstanceId::new("a"));
        for hours in (0..200).rev() {
            let mode = FailureMode::Crash;
            past.fail(&Failure { instance: id.clone(), at: at(hours), mode, note: String::new() });
        }
        assert_eq!(past.failed_s(&id, at(200)), Some(3600.0));
        assert_eq!(past.failed_s(&id, at(100)), None, "forgotten");
    }
}
