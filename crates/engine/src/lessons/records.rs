//! Situations of the past with how they ended: what failures are learned from.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use foretwin_core::{FailureMode, Instance, InstanceId, Maintenance, Risk, SECOND_US, Schema, Timestamp};
use foretwin_foresee::{Growth, Outcome, Record, Situation};
use foretwin_store::Query;

use crate::feed::Feed;
use crate::ground::{self, Place};
use crate::outputs;
use crate::pipeline::{Pipeline, SPEAKS_S};
use crate::shard::cohort;
use crate::situation::{self, Seen};

/// Failures that are learned from, the latest; and instances without one beside them.
const FAILURES: usize = 100;
const SURVIVORS: usize = 50;
/// Seconds before the end of a record at which its situation is read.
const BEFORE_S: [f64; 10] = [5.0, 15.0, 45.0, 120.0, 300.0, 900.0, 2700.0, 7200.0, 21_600.0, 64_800.0];
/// Moments of a record that did not fail: evenly over it.
const CALM_MOMENTS: i64 = 8;
/// History that a situation needs before it.
const LEAST_S: f64 = 30.0;
/// Records go back no further.
const LONGEST_S: f64 = 7.0 * 86_400.0;
/// Pause after each record, so that learning takes a share of a core.
const REST: Duration = Duration::from_millis(30);

/// A stretch of an instance's life between two failures.
struct Life {
    from: Timestamp,
    to: Timestamp,
    failed: bool,
    /// How it failed.
    mode: Option<FailureMode>,
}

/// Records of failures and survivors; none if it was stopped.
pub(super) fn records(pipeline: &Pipeline, now: Timestamp, stop: &AtomicBool) -> Option<Vec<Record>> {
    let mut failures: BTreeMap<InstanceId, BTreeMap<Timestamp, FailureMode>> = BTreeMap::new();
    let mut recorded = pipeline.store.failures();
    recorded.sort_by_key(|failure| failure.at);
    for failure in recorded.into_iter().rev().take(FAILURES) {
        failures.entry(failure.instance).or_default().insert(failure.at, failure.mode);
    }
    let work = pipeline.store.maintenance();
    let instances: Vec<Instance> =
        pipeline.store.instances().into_values().filter_map(|entry| entry.instance).collect();
    let original = instances.iter().filter(|instance| instance.twin_of.is_none());
    let (failed, well): (Vec<&Instance>, Vec<&Instance>) =
        original.partition(|instance| failures.contains_key(&instance.id));
    let every = well.len().div_ceil(SURVIVORS).max(1);
    let mut records = Vec::new();
    for instance in failed.into_iter().chain(well.into_iter().step_by(every)) {
        let own = failures.get(&instance.id).cloned().unwrap_or_default();
        let ends: Vec<Timestamp> = own.keys().copied().collect();
        for mut life in lives(pipeline, &instance.id, &ends, now) {
            if stop.load(Ordering::Relaxed) {
                return None;
            }
            life.mode = own.range(life.to..).next().filter(|_| life.failed).map(|(_, mode)| *mode);
            records.extend(record(pipeline, instance, &life, &work));
            std::thread::sleep(REST);
        }
    }
    Some(records)
}

/// The stretches of an instance's stored life, the latest week of it.
fn lives(pipeline: &Pipeline, id: &InstanceId, failures: &[Timestamp], now: Timestamp) -> Vec<Life> {
    let Ok(Some((first, last))) = pipeline.store.instance_span(id) else { return Vec::new() };
    let mut ends: Vec<Timestamp> =
        failures.iter().copied().filter(|at| (first..=last).contains(at)).collect();
    // A failure that ended the instance is told a moment after its last frame.
    ends.extend(failures.iter().filter(|at| **at > last && at.since(last) < 60.0).map(|_| last));
    ends.sort_unstable();
    ends.dedup();
    let mut from = first.max(now - (LONGEST_S * 1e6) as i64);
    let mut lives = Vec::new();
    for to in ends {
        if to > from {
            lives.push(Life { from, to, failed: true, mode: None });
            from = to + SECOND_US;
        }
    }
    if last > from {
        lives.push(Life { from, to: last, failed: false, mode: None });
    }
    lives
}

fn record(pipeline: &Pipeline, instance: &Instance, life: &Life, work: &[Maintenance]) -> Option<Record> {
    let lasted_s = life.to.since(life.from);
    let before_s: Vec<f64> = if life.failed {
        BEFORE_S.to_vec()
    } else {
        (0..CALM_MOMENTS).map(|n| (n as f64 + 0.5) / CALM_MOMENTS as f64 * lasted_s).collect()
    };
    let planned = |at: Timestamp| {
        work.iter().any(|one| one.instance == instance.id && (one.from..one.to).contains(&at))
    };
    let moments: Vec<(f64, Situation)> = before_s
        .into_iter()
        .rev()
        .filter(|before_s| lasted_s - before_s >= LEAST_S)
        .map(|before_s| (lasted_s - before_s, life.to - (before_s * 1e6) as i64))
        .filter(|(_, at)| !planned(*at))
        .map(|(place_s, at)| (place_s, situation(pipeline, instance, at)))
        .collect();
    let outcome = Outcome { ended_s: lasted_s, failed: life.failed, mode: life.mode, onset_s: None };
    (!moments.is_empty()).then(|| Record { identity: Some(cohort(instance)), moments, outcome })
}

/// The situation of an instance as it would have been seen at a moment of its past; nothing later is read.
pub(super) fn situation(pipeline: &Pipeline, instance: &Instance, at: Timestamp) -> Situation {
    let config = &pipeline.config.foresee;
    let (mut growths, mut risks): (Vec<Growth>, Vec<Risk>) = (Vec::new(), Vec::new());
    for schema in pipeline.store.schemas(&instance.id) {
        let mut feed = Feed::new(&schema);
        if schema.id() == outputs::schema().id() || feed.remembered().is_empty() {
            continue;
        }
        pipeline.recall(&instance.id, &mut feed, at + 1);
        growths.extend(feed.growths((at, &instance.id), config, &|_| f64::NAN));
        risks.extend(feed.risks(at, config, &instance.id));
    }
    let said = |schema: &Schema, key: &str| said(pipeline, (&instance.id, at), (schema, key));
    let seen = Seen {
        instance: &instance.id,
        at,
        growths,
        risks: &risks,
        anomaly: said(outputs::schema(), outputs::SCORE),
        infrastructure: said(outputs::contrast(), outputs::INFRASTRUCTURE),
    };
    let ground = |place: Place<'_>| ground::known(pipeline, place, at);
    situation::situation(seen, &pipeline.past, &ground, &config.horizons_s)
}

/// The latest that was stored of an output at a moment, if it was recent.
fn said(
    pipeline: &Pipeline,
    (id, at): (&InstanceId, Timestamp),
    (schema, key): (&Schema, &str),
) -> Option<f64> {
    let query = Query {
        schema: Some(schema.id()),
        metrics: Some(vec![key.to_owned()]),
        ..Query::new(id.clone(), at - (SPEAKS_S * 1e6) as i64, at + 1)
    };
    let windows = pipeline.store.read(&query).unwrap_or_default();
    let numbers = windows.iter().filter_map(|window| window.numbers(key)).flatten();
    numbers.rev().find(|number| number.is_finite())
}

/// How many observations a moment of a record counts for: the span of time it stands for against the shortest horizon,
/// within moments of its kind (calm, or with growth), which together count as one at least: a growth that kills in a
/// minute was seen once, too.
pub(super) fn weight(record: &Record, index: usize, shortest_s: f64) -> f64 {
    let spans: Vec<f64> = {
        let starts = record.moments.iter().map(|(at, _)| *at);
        let ends = starts.clone().skip(1).chain([record.outcome.ended_s]);
        starts.zip(ends).map(|(start, end)| (end - start).max(0.0)).collect()
    };
    let grows = record.moments[index].1.grows;
    let alike = record.moments.iter().zip(&spans).filter(|((_, one), _)| one.grows == grows);
    let together: f64 = alike.map(|(_, span)| span).sum();
    let count = (together / shortest_s).max(1.0);
    if together > 0.0 { count * spans[index] / together } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_count_by_the_time_they_stand_for() {
        let calm = Situation::new(&[], &[900.0]);
        let moments = vec![(0.0, calm.clone()), (3600.0, calm.clone()), (7100.0, calm)];
        let outcome = Outcome { ended_s: 7200.0, failed: false, mode: None, onset_s: None };
        let record = Record { identity: None, moments, outcome };
        let weights: Vec<f64> = (0..3).map(|index| weight(&record, index, 900.0)).collect();
        assert!(
            (weights.iter().sum::<f64>() - 8.0).abs() < 1e-9,
            "two hours are eight quarters: {weights:?}"
        );
        assert!((weights[0] - 4.0).abs() < 1e-9 && weights[2] < 0.12, "{weights:?}");
        let short = Record { outcome: Outcome { ended_s: 7160.0, ..record.outcome }, ..record.clone() };
        let short = Record { moments: short.moments[2..].to_vec(), ..short };
        assert!((weight(&short, 0, 900.0) - 1.0).abs() < 1e-9);
    }
}
