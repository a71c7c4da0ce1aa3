//! Diagnosis of a watched instance: the last hour (less where it is younger) of itself, of what it runs on, and of what runs on it.

use foretwin_core::{
    Anomaly, AnomalyGroup, Cause, Diagnosis, Evidence, HOUR_US, InstanceId, Metric, Timestamp,
};
use foretwin_foresee::diagnosis::{self, Class, Link, Relation, Scene, Signal, Suspect, Weights};

use crate::Error;
use crate::pipeline::Pipeline;
use crate::view::{SeriesView, WindowQuery};

/// Steps that are compared, and how many of them are "now" and "just before".
const STEPS: usize = 240;
const NOW: usize = 20;
const BEFORE: usize = 40;
/// Other instances that are looked at: those that matter most.
const KIN: usize = 24;
/// Causes below this are not stated.
const LEAST: f64 = 0.02;

impl Pipeline {
    /// Where the trouble of an instance comes from, as its last hour shows it.
    pub(crate) fn diagnosis(&self, id: &InstanceId) -> Result<Diagnosis, Error> {
        self.known(id)?;
        let (at, age_us, least_us) = self.with(id, |watched| {
            let (first, last) = (watched.first(), watched.last());
            (last, last.0 - first.0, (watched.step_s() * 1e6) as i64)
        })?;
        let (members, links) = self.kin(id);
        let mut scene = Scene { nodes: Vec::new(), links, ..Scene::default() };
        // Who is younger than an hour is compared with what there is of it, in steps that a frame falls into.
        let step_us = (age_us.clamp(0, HOUR_US) / STEPS as i64).max(least_us).max(1);
        let from = at - STEPS as i64 * step_us;
        let seconds = |step: usize| (from + (step as i64 + 1) * step_us).seconds();
        scene.recent_at_s = (STEPS - NOW - BEFORE..STEPS - NOW).map(seconds).collect();
        scene.window_at_s = (STEPS - NOW..STEPS).map(seconds).collect();
        for (node, member) in members.iter().enumerate() {
            scene.nodes.push(member.as_str().to_owned());
            let query = WindowQuery {
                instance: member.clone(),
                metrics: self.scored(member),
                from,
                to: at,
                points: 4 * STEPS,
            };
            for series in self.window(&query)?.series {
                scene.signals.push(signal(node, &series, (from, step_us)));
            }
        }
        let known = self.with(id, |watched| watched.instance.clone())?;
        if let Some(contrast) = self.contrasts.contrast(&known) {
            scene.contrast = contrast.verdict.probabilities;
        }
        let found = diagnosis::diagnose(&scene, &Weights::default());
        Ok(told(id, at, (&members, &scene), &found))
    }

    /// The instance, what it runs on, what runs on it or beside it, and how they depend on each other.
    fn kin(&self, id: &InstanceId) -> (Vec<InstanceId>, Vec<Link>) {
        let mut known = Vec::new();
        self.each(|watched| {
            if watched.vanished.is_none() {
                known.push((
                    watched.instance.id.clone(),
                    watched.instance.parent.clone(),
                    watched.instance.criticality,
                ));
            }
        });
        let parent = known.iter().find(|(one, ..)| one == id).and_then(|(_, parent, _)| parent.clone());
        known.sort_by(|a, b| b.2.cmp(&a.2).then(a.0.cmp(&b.0)));
        let mut members = vec![id.clone()];
        members.extend(parent.clone());
        let near = known.iter().filter(|(one, above, _)| {
            one != id && (above.as_ref() == Some(id) || (parent.is_some() && *above == parent))
        });
        members.extend(near.map(|(one, ..)| one.clone()).take(KIN));
        let place = |wanted: &InstanceId| members.iter().position(|one| one == wanted);
        let link = |(one, above, _): &(InstanceId, Option<InstanceId>, u8)| {
            let (from, to) = (place(one)?, place(above.as_ref()?)?);
            Some(Link { from, to, relation: Relation::RunsOn })
        };
        let links = known.iter().filter_map(link).collect();
        (members, links)
    }

    /// Keys of what may be called anomalous.
    fn scored(&self, id: &InstanceId) -> Vec<String> {
        let keys = self.with(id, |watched| {
            let metrics = watched.current().flat_map(|feed| feed.schema.metrics());
            metrics.filter(|metric| metric.is_scored()).map(Metric::key).collect()
        });
        keys.unwrap_or_default()
    }
}

/// A series on even steps: the mean of each, missing where nothing was seen.
fn signal(node: usize, series: &SeriesView, (from, step_us): (Timestamp, i64)) -> Signal {
    let (mut sums, mut counts) = (vec![0.0; STEPS], vec![0.0; STEPS]);
    for (at, value) in series.at_us.iter().zip(&series.observed) {
        let step = usize::try_from((at - from.0) / step_us).unwrap_or(0).min(STEPS - 1);
        if !value.is_nan() && *at >= from.0 {
            sums[step] += value;
            counts[step] += 1.0;
        }
    }
    // Of nothing the mean is 0/0: missing.
    let means: Vec<f64> = sums.iter().zip(&counts).map(|(sum, count)| sum / count).collect();
    let (before, now) = (STEPS - NOW - BEFORE, STEPS - NOW);
    Signal {
        node,
        metric: series.metric.clone(),
        unit: series.unit.clone(),
        role: series.role,
        shared: false,
        normal: means[..before].to_vec(),
        recent: means[before..now].to_vec(),
        window: means[now..].to_vec(),
    }
}

/// The diagnosis in the nouns of core.
fn told(
    id: &InstanceId,
    at: Timestamp,
    (members, scene): (&[InstanceId], &Scene),
    found: &diagnosis::Diagnosis,
) -> Diagnosis {
    let anomaly = |signal: &usize| {
        let (finding, signal) = (&found.findings[*signal], &scene.signals[*signal]);
        Anomaly {
            instance: members[signal.node].clone(),
            metric: signal.metric.clone(),
            strength: finding.strength,
            chance: finding.tail,
            since: finding.since_s.map(Timestamp::from_seconds),
        }
    };
    let groups: Vec<AnomalyGroup> = found
        .groups
        .iter()
        .map(|group| AnomalyGroup {
            since: group.since_s.map(Timestamp::from_seconds),
            anomalies: group.signals.iter().map(anomaly).collect(),
        })
        .collect();
    // Where nothing stands out, there is nothing to explain.
    let suspects = if groups.is_empty() { &[][..] } else { &found.suspects[..] };
    let stated = suspects.iter().filter(|suspect| suspect.probability >= LEAST);
    let causes: Vec<Cause> = stated.map(|suspect| cause(&members[suspect.node], suspect)).collect();
    let unknown = if groups.is_empty() { 0.0 } else { found.unknown };
    Diagnosis { instance: id.clone(), at, considered: members.to_vec(), causes, unknown, groups }
}

fn cause(place: &InstanceId, suspect: &Suspect) -> Cause {
    let mut evidence = suspect.evidence.clone();
    if suspect.class != Class::Unknown {
        let metric = evidence.first().map_or_else(String::new, |first| first.metric.clone());
        evidence.push(Evidence { metric, statement: format!("signs: {}", suspect.signs) });
    }
    Cause {
        class: suspect.class.as_str().into(),
        place: place.clone(),
        probability: suspect.probability,
        evidence,
    }
}

#[cfg(test)]
mod tests {
    use foretwin_core::{Kind, Role};

    use super::*;

    #[test]
    fn series_come_on_even_steps() {
        let step_us = HOUR_US / STEPS as i64;
        let from = Timestamp(1_000 * HOUR_US);
        let at_us: Vec<i64> =
            (0..STEPS as i64).filter(|step| step % 2 == 0).map(|s| from.0 + s * step_us).collect();
        let observed: Vec<f64> = (0..at_us.len()).map(|at| at as f64).collect();
        let series = SeriesView {
            metric: "m".into(),
            unit: "1".into(),
            kind: Kind::Gauge,
            role: Role::Rate,
            expected: observed.clone(),
            scale: observed.clone(),
            at_us,
            observed,
        };
        let signal = signal(3, &series, (from, step_us));
        assert_eq!((signal.normal.len(), signal.recent.len(), signal.window.len()), (180, 40, 20));
        assert_eq!((signal.normal[0], signal.normal[2]), (0.0, 1.0));
        assert!(signal.normal[1].is_nan());
        assert_eq!(signal.window[18], (STEPS / 2 - 1) as f64);
    }
}
