//! `foretwin evaluate rca`: ranks the causes of recorded faults by the contract that anyone can judge.

mod cases;
mod score;
mod validate;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};
use foretwin_foresee::diagnosis::{Diagnosis, Scene, Suspect, Weights, diagnose};
use serde_json::{Value, json};

use crate::cli::RcaArgs;
use cases::{Dataset, View};

/// Metrics of one node that are listed before the next node.
const METRICS: usize = 3;
/// Suspects whose evidence is written.
const TOLD: usize = 3;

/// Diagnoses every case and writes the answers.
pub(super) fn run(args: &RcaArgs) -> Result<ExitCode> {
    let mut data = Dataset::open(&args.data)?;
    let (mut ranks, mut probabilities, mut told) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let mut spent_s = Vec::new();
    for case in data.cases.clone() {
        let view = View::of(&mut data, &case)?;
        let started = Instant::now();
        let scene = view.scene(&view.topology);
        let diagnosis = diagnose(&scene, &Weights::default());
        spent_s.push(started.elapsed().as_secs_f64());
        ranks.insert(case.id.clone(), ranked(&scene, &diagnosis));
        probabilities.insert(case.id.clone(), chances(&scene, &diagnosis));
        told.insert(case.id.clone(), causes(&scene, &diagnosis));
    }
    let seconds_per_case = spent_s.iter().sum::<f64>() / spent_s.len().max(1) as f64;
    let answer = json!({
        "method": "foretwin",
        "seconds_per_case": seconds_per_case,
        "ranks": ranks,
        "probabilities": probabilities,
        "causes": told,
    });
    std::fs::write(&args.out, serde_json::to_vec(&answer)?)
        .with_context(|| format!("writing {}", args.out.display()))?;
    let validated = args.cross_validate.then(|| validate::validate(&mut data, args.seed)).transpose()?;
    let mut summary = json!({"cases": ranks.len(), "seconds_per_case": seconds_per_case});
    if let Some(report) = &validated {
        summary["cross_validation"] = report.json();
    }
    if args.json {
        println!("{summary}");
    } else {
        println!("{} cases, {:.2} ms each", ranks.len(), 1e3 * seconds_per_case);
        if let Some(report) = &validated {
            print!("{}", report.text());
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// `node|metric`, best first: of each suspect in turn its most surprising metrics.
fn ranked(scene: &Scene, diagnosis: &Diagnosis) -> Vec<String> {
    let of = |suspect: &Suspect| -> Vec<String> {
        let signals = suspect.signals.iter().take(METRICS);
        signals.map(|at| format!("{}|{}", scene.nodes[suspect.node], scene.signals[*at].metric)).collect()
    };
    diagnosis.suspects.iter().flat_map(of).collect()
}

/// Probability per node, and of "unknown".
fn chances(scene: &Scene, diagnosis: &Diagnosis) -> BTreeMap<String, f64> {
    let named = |suspect: &Suspect| (scene.nodes[suspect.node].clone(), suspect.probability);
    let mut chances: BTreeMap<String, f64> = diagnosis.suspects.iter().map(named).collect();
    chances.insert("unknown".into(), diagnosis.unknown);
    chances
}

fn causes(scene: &Scene, diagnosis: &Diagnosis) -> Vec<Value> {
    let cause = |suspect: &Suspect| {
        json!({
            "node": scene.nodes[suspect.node],
            "probability": suspect.probability,
            "class": suspect.class.as_str(),
            "class_probability": suspect.class_probability,
            "signs": suspect.signs,
            "evidence": suspect.evidence,
        })
    };
    diagnosis.suspects.iter().take(TOLD).map(cause).collect()
}
