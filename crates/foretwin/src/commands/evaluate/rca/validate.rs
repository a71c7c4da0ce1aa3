//! Cross-validation over cases whose causes are known: weights are fitted on the others, never on the case itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::{Result, bail};
use foretwin_core::Rng;
use foretwin_foresee::diagnosis::{Diagnosis, Lesson, Scene, Weights, diagnose, fit};
use serde_json::{Value, json};

use super::cases::{Case, Dataset, Topology, View};
use super::score::{accuracy, calibration_error, interval};

/// How late the fault is noticed in the case `late`.
const LATE_S: f64 = 60.0;
/// Permutations of the topology.
const PERMUTATIONS: usize = 5;
/// Pull of the weights towards zero.
const RIDGE: f64 = 0.05;
/// What a case counts whose cause was taken out of its telemetry, so that "unknown" is the truth.
const UNKNOWN_WEIGHT: f64 = 0.25;

/// Features of one case in one condition, with node names.
struct Seen {
    nodes: Vec<String>,
    suspects: Vec<[f64; foretwin_foresee::diagnosis::FEATURES]>,
}

/// A case in all conditions.
struct Known {
    case: Case,
    conditions: BTreeMap<&'static str, Vec<Seen>>,
}

/// Scores of the cases of one dataset in one condition.
#[derive(Default)]
struct Scores {
    ac1: Vec<f64>,
    avg5: Vec<f64>,
}

/// A condition and a dataset, or all of them pooled.
type Place = (&'static str, String);

/// What cross-validation found.
pub struct Report {
    /// By what was held out, and where.
    rows: Vec<(&'static str, Place, Scores)>,
    calibration: Vec<(&'static str, f64)>,
    weights: Weights,
    seed: u64,
}

/// Diagnoses every case with a known cause in every condition and scores it.
pub fn validate(data: &mut Dataset, seed: u64) -> Result<Report> {
    let mut known = Vec::new();
    for case in data.cases.clone().into_iter().filter(|case| !case.root_cause_nodes.is_empty()) {
        known.push(conditions(data, case, seed)?);
    }
    if known.is_empty() {
        bail!("--cross-validate: no case of the manifest has root_cause_nodes");
    }
    let all: Vec<Lesson> = known.iter().flat_map(lessons).collect();
    let mut report = Report { rows: Vec::new(), calibration: Vec::new(), weights: fit(&all, RIDGE), seed };
    let cause = |known: &Known| known.case.root_cause_nodes.join(" ");
    score(&mut report, "case", &known, |a, b| a.case.id == b.case.id);
    score(&mut report, "cause", &known, |a, b| cause(a) == cause(b));
    Ok(report)
}

fn conditions(data: &mut Dataset, case: Case, seed: u64) -> Result<Known> {
    let view = View::of(data, &case)?;
    let late = View::of(data, &case.late(LATE_S))?;
    let mut rng = Rng::new(seed ^ foretwin_core::fnv64(case.id.as_bytes()));
    let mut conditions = BTreeMap::new();
    conditions.insert("given", vec![seen(&view.scene(&view.topology))]);
    conditions.insert("late", vec![seen(&late.scene(&late.topology))]);
    conditions.insert("absent", vec![seen(&view.scene(&Topology::default()))]);
    let permuted = (0..PERMUTATIONS).map(|_| seen(&view.scene(&permuted(&view.topology, &mut rng))));
    conditions.insert("permuted", permuted.collect());
    let mut blind = view.scene(&view.topology);
    blind.signals.retain(|signal| !case.root_cause_nodes.contains(&blind.nodes[signal.node]));
    if let Some(symptom) = blind.symptom.take() {
        let named = &view.scene(&view.topology).signals[symptom];
        blind.symptom = blind.signals.iter().position(|s| s.node == named.node && s.metric == named.metric);
    }
    conditions.insert("blind", vec![seen(&blind)]);
    Ok(Known { case, conditions })
}

fn seen(scene: &Scene) -> Seen {
    let Diagnosis { suspects, .. } = diagnose(scene, &Weights::default());
    let nodes = suspects.iter().map(|suspect| scene.nodes[suspect.node].clone()).collect();
    Seen { nodes, suspects: suspects.into_iter().map(|suspect| suspect.features).collect() }
}

/// The same graph over the same nodes in another order.
fn permuted(topology: &Topology, rng: &mut Rng) -> Topology {
    let names: BTreeSet<&String> = topology.edges.iter().flat_map(|(from, to)| [from, to]).collect();
    // Machines change places with machines, so that what an edge means stays.
    let calls: BTreeSet<&String> = topology.edges.iter().map(|(from, _)| from).collect();
    let mut renamed = BTreeMap::new();
    for kind in [true, false] {
        let from: Vec<&String> = names.iter().copied().filter(|name| calls.contains(name) == kind).collect();
        let mut to = from.clone();
        for at in (1..to.len()).rev() {
            to.swap(at, rng.below(at as u64 + 1) as usize);
        }
        renamed.extend(from.into_iter().zip(to));
    }
    let edges = topology.edges.iter().map(|(from, to)| (renamed[from].clone(), renamed[to].clone()));
    Topology { nodes: topology.nodes.clone(), edges: edges.collect() }
}

/// The case as it is, and with its cause hidden.
fn lessons(known: &Known) -> Vec<Lesson> {
    let given = &known.conditions["given"][0];
    let cause = given.nodes.iter().position(|node| known.case.root_cause_nodes.contains(node));
    let blind = known.conditions["blind"][0].suspects.clone();
    vec![
        Lesson { suspects: given.suspects.clone(), cause, weight: 1.0 },
        Lesson { suspects: blind, cause: None, weight: UNKNOWN_WEIGHT },
    ]
}

/// Fits on the cases that are not held out together with a case, and scores the case.
fn score(
    report: &mut Report,
    held_out: &'static str,
    known: &[Known],
    same: impl Fn(&Known, &Known) -> bool,
) {
    let mut scores: BTreeMap<Place, Scores> = BTreeMap::new();
    let mut said = Vec::new();
    for one in known {
        let others: Vec<Lesson> = known.iter().filter(|other| !same(one, other)).flat_map(lessons).collect();
        let weights = fit(&others, RIDGE);
        for (condition, seen) in &one.conditions {
            let ranked = seen.iter().map(|seen| ranked(seen, &weights));
            let ranked: Vec<Vec<(String, f64)>> = ranked.collect();
            let (top, p) = ranked[0][0].clone();
            match *condition {
                "given" => said.push((p, one.case.root_cause_nodes.contains(&top), 1.0)),
                "blind" => {
                    said.push((p, top.is_empty(), UNKNOWN_WEIGHT));
                    continue;
                }
                _ => {}
            }
            let mut mean = [0.0; 5];
            for ranked in &ranked {
                let names: Vec<String> =
                    ranked.iter().map(|(name, _)| name.clone()).filter(|name| !name.is_empty()).collect();
                let at = accuracy(&names, &one.case.root_cause_nodes);
                mean.iter_mut().zip(at).for_each(|(mean, at)| *mean += at / seen.len() as f64);
            }
            for dataset in [one.case.dataset.clone(), "pooled".into()] {
                let scores = scores.entry((condition, dataset)).or_default();
                scores.ac1.push(mean[0]);
                scores.avg5.push(mean.iter().sum::<f64>() / 5.0);
            }
        }
    }
    report.calibration.push((held_out, calibration_error(&said)));
    report.rows.extend(scores.into_iter().map(|(place, scores)| (held_out, place, scores)));
}

/// Nodes and probabilities, likeliest first; "unknown" has no name.
fn ranked(seen: &Seen, weights: &Weights) -> Vec<(String, f64)> {
    let chances = weights.probabilities(&seen.suspects);
    let names = seen.nodes.iter().cloned().chain([String::new()]);
    let mut ranked: Vec<(String, f64)> = names.zip(chances).collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    ranked
}

impl Report {
    pub fn json(&self) -> Value {
        let row = |(held_out, (condition, dataset), scores): &(&str, Place, Scores)| {
            let (ac1, ac1_interval) = interval(&scores.ac1, self.seed);
            let (avg5, avg5_interval) = interval(&scores.avg5, self.seed);
            json!({"held_out": held_out, "topology": condition, "dataset": dataset, "cases": scores.ac1.len(),
                "ac1": ac1, "ac1_interval": ac1_interval, "avg5": avg5, "avg5_interval": avg5_interval})
        };
        let rows: Vec<Value> = self.rows.iter().map(row).collect();
        let calibration: BTreeMap<&str, f64> = self.calibration.iter().copied().collect();
        let weights = json!({"features": self.weights.features, "unknown": self.weights.unknown});
        json!({"rows": rows, "calibration_error": calibration, "weights_on_all": weights})
    }

    pub fn text(&self) -> String {
        let mut text = String::from("held out  condition  dataset      n   AC@1                Avg@5\n");
        for (held_out, (condition, dataset), scores) in &self.rows {
            let (ac1, [a, b]) = interval(&scores.ac1, self.seed);
            let (avg5, [c, d]) = interval(&scores.avg5, self.seed);
            let n = scores.ac1.len();
            let _ = writeln!(
                text,
                "{held_out:9} {condition:10} {dataset:10} {n:3}   {ac1:.3} [{a:.3} {b:.3}]  {avg5:.3} [{c:.3} {d:.3}]"
            );
        }
        for (held_out, error) in &self.calibration {
            let _ = writeln!(text, "calibration error, held out by {held_out}: {error:.3}");
        }
        let _ = writeln!(
            text,
            "weights on all: {:.2?}, unknown {:.2}",
            self.weights.features, self.weights.unknown
        );
        text
    }
}
