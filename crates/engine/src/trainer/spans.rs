//! Which spans of an instance's past are not learned: recorded failures, planned work, and what was anomalous.
//!
//! An incident must not become normal, and a lasting change must. What tells them apart is how much of the window is
//! anomalous. Up to a share of it (`training.left_out_share`, a quarter) all of it is left out. Beyond, the newest
//! anomalous span is taken for a new normal and learned, if leaving out the others keeps within the share; if not, the
//! scores are those of a model that does not fit, and nothing is left out for their sake. Recorded spans are left out
//! in any case. What comes back by the clock is neither, see `routine`.

use foretwin_core::{Failure, Instance, Maintenance, SECOND_US, Timestamp};
use foretwin_learn::Span;

/// Frames above the threshold in a row that make a span: fewer are a spike, which teaches little.
const RUN: usize = 3;
/// Spans closer than this many sampling steps are one.
pub(super) const JOIN_STEPS: f64 = 300.0;
/// Steps before and after an anomalous span that go with it: its beginning was not yet above the threshold.
const GUARD_STEPS: f64 = 30.0;
/// Before a failure things were going wrong already; after it the instance starts.
const FAILURE_GUARD_US: i64 = 600 * SECOND_US;
/// After planned work the instance settles.
const MAINTENANCE_GUARD_US: i64 = 120 * SECOND_US;

/// Spans of recorded failures and planned work on an instance or what it runs on.
pub(crate) fn recorded(instance: &Instance, failures: &[Failure], work: &[Maintenance]) -> Vec<Span> {
    let failed = failures.iter().filter(|failure| instance.lives_on(&failure.instance));
    let failed = failed.map(|failure| (failure.at - FAILURE_GUARD_US, failure.at + FAILURE_GUARD_US));
    let planned = work.iter().filter(|work| instance.lives_on(&work.instance));
    failed.chain(planned.map(|work| (work.from, work.to + MAINTENANCE_GUARD_US))).collect()
}

/// Runs of scores above 1, as they come in order of time.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    /// First and last moment of each.
    pub(crate) found: Vec<Span>,
    run: Option<(Timestamp, usize)>,
}

impl Runs {
    /// Takes a score.
    pub(crate) fn take(&mut self, at: Timestamp, score: f64) {
        if score.is_nan() || score <= 1.0 {
            self.run = None;
            return;
        }
        let (start, length) = self.run.map_or((at, 1), |(start, length)| (start, length + 1));
        self.run = Some((start, length));
        match self.found.last_mut() {
            Some(last) if length > RUN => last.1 = at,
            _ if length == RUN => self.found.push((start, at)),
            _ => {}
        }
    }
}

/// Runs with a guard on both sides; those that are nearer than so many steps are one.
pub(crate) fn guarded(runs: &[Span], step_s: f64, join_steps: f64) -> Vec<Span> {
    let us = |steps: f64| (steps * step_s * 1e6) as i64;
    let mut spans: Vec<Span> = Vec::new();
    for &(from, to) in runs {
        let (from, to) = (from - us(GUARD_STEPS), to + us(GUARD_STEPS));
        match spans.last_mut() {
            Some(last) if from.0 <= last.1.0.saturating_add(us(join_steps)) => last.1 = to,
            _ => spans.push((from, to)),
        }
    }
    spans
}

/// Which of the anomalous spans are left out of a window with these times.
pub(crate) fn incidents(mut spans: Vec<Span>, times: &[Timestamp], share: f64) -> Vec<Span> {
    if within(&spans, times, share) {
        return spans;
    }
    // The newest is the new normal.
    spans.pop();
    if within(&spans, times, share) { spans } else { Vec::new() }
}

/// Whether spans take no more than a share of the rows with these times.
pub(crate) fn within(spans: &[Span], times: &[Timestamp], share: f64) -> bool {
    let rows: usize = spans.iter().map(|span| rows(times, *span)).sum();
    rows as f64 <= share * times.len() as f64
}

fn rows(times: &[Timestamp], (from, to): Span) -> usize {
    times.partition_point(|&at| at < to).saturating_sub(times.partition_point(|&at| at < from))
}

#[cfg(test)]
mod tests {
    use foretwin_core::{FailureMode, InstanceId, InstanceKind};

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp(second * SECOND_US)
    }

    /// Times of an hour, and scores that are 2 in the given seconds.
    fn hour(high: &[std::ops::Range<i64>]) -> (Vec<Timestamp>, Vec<f64>) {
        let score = |s: i64| if high.iter().any(|range| range.contains(&s)) { 2.0 } else { 0.5 };
        ((0..3600).map(at).collect(), (0..3600).map(score).collect())
    }

    fn anomalous(times: &[Timestamp], scores: &[f64], step_s: f64) -> Vec<Span> {
        let mut runs = Runs::default();
        times.iter().zip(scores).for_each(|(&at, &score)| runs.take(at, score));
        guarded(&runs.found, step_s, JOIN_STEPS)
    }

    #[test]
    fn spikes_are_no_spans_and_near_runs_are_one() {
        let (times, scores) = hour(&[100..102, 500..510, 700..704, 2000..2003]);
        let spans = anomalous(&times, &scores, 1.0);
        assert_eq!(spans, [(at(470), at(733)), (at(1970), at(2032))]);
    }

    #[test]
    fn an_incident_is_left_out_and_a_lasting_change_is_learned() {
        let left_out = |high: &[std::ops::Range<i64>]| {
            let (times, scores) = hour(high);
            incidents(anomalous(&times, &scores, 1.0), &times, 0.25)
        };
        let incident = left_out(std::slice::from_ref(&(3000..3600)));
        assert_eq!(incident.len(), 1, "under way, not yet lasting");
        assert!(left_out(std::slice::from_ref(&(2000..3600))).is_empty(), "a new normal");
        let both = left_out(&[500..600, 2000..3600]);
        assert_eq!(both, [(at(470), at(629))], "the old incident stays left out");
        let restless: Vec<_> = (0..6).map(|n| n * 600..n * 600 + 250).collect();
        assert!(left_out(&restless).is_empty(), "a model that does not fit accuses everything");
    }

    #[test]
    fn failures_and_work_on_it_or_its_parent_are_left_out() {
        let mut instance = Instance::new("host/app", InstanceKind::Service, "host", "unit:app");
        instance.parent = Some(InstanceId::new("host"));
        let failure = |id: &str, s: i64| Failure {
            instance: InstanceId::new(id),
            at: at(s),
            mode: FailureMode::Crash,
            note: String::new(),
        };
        let work = Maintenance {
            instance: InstanceId::new("host"),
            from: at(9000),
            to: at(9100),
            note: String::new(),
        };
        let spans = recorded(&instance, &[failure("host/app", 5000), failure("host/other", 7000)], &[work]);
        assert_eq!(spans, [(at(4400), at(5600)), (at(9000), at(9220))]);
    }
}
