//! Diagnosis of simulated services: the culprit is found, calls matter, and nothing is claimed where nothing is wrong.

use foretwin_core::{Rng, VerdictClass};
use foretwin_foresee::diagnosis::{Class, Diagnosis, Scene, Weights, diagnose};

use super::services::{Fault, calls, scene};

const NODES: usize = 12;
const BLUR: f64 = 0.3;
const FAULTS: [Fault; 3] = [Fault::Slow, Fault::Failing, Fault::Busy];

fn first(scene: &Scene) -> (usize, Diagnosis) {
    let diagnosis = diagnose(scene, &Weights::default());
    (diagnosis.suspects[0].node, diagnosis)
}

/// Culprits found first among 60, and the probability they got on average; `blur` is how noisily the culprit is seen, and
/// `change` is done to each scene.
fn found(blur: f64, change: impl Fn(&mut Scene, &mut Rng)) -> (usize, f64) {
    let (mut hits, mut belief) = (0, 0.0);
    for seed in 0..60 {
        let mut rng = Rng::new(seed);
        let calls = calls(NODES, &mut rng);
        let culprit = 1 + rng.below(NODES as u64 - 1) as usize;
        let mut scene = scene(NODES, &calls, (culprit, FAULTS[seed as usize % 3], blur), &mut rng);
        change(&mut scene, &mut rng);
        let (node, diagnosis) = first(&scene);
        hits += usize::from(node == culprit);
        let believed = diagnosis.suspects.iter().filter(|suspect| suspect.node == culprit);
        belief += believed.map(|suspect| suspect.probability).sum::<f64>();
    }
    (hits, belief / 60.0)
}

#[test]
fn culprits_are_found_and_calls_matter() {
    let (with, believed) = found(BLUR, |_, _| ());
    let (_, without) = found(BLUR, |scene, _| scene.links.clear());
    let (_, permuted) = found(BLUR, |scene, rng| {
        let mut order: Vec<usize> = (0..NODES).collect();
        (1..NODES).rev().for_each(|at| order.swap(at, rng.below(at as u64 + 1) as usize));
        scene.links.iter_mut().for_each(|link| (link.from, link.to) = (order[link.from], order[link.to]));
    });
    assert!(with >= 45, "{with} of 60 found");
    assert!(believed > without + 0.1, "{believed} with calls, {without} without");
    assert!(believed > permuted + 0.02, "{believed} with calls, {permuted} with wrong ones");
}

#[test]
fn late_notice_is_tolerated() {
    let (late, _) = found(BLUR, |scene, _| {
        // The first row of trouble is taken for normal.
        for signal in &mut scene.signals {
            let row = signal.window.remove(0);
            signal.recent.push(row);
        }
        let at = scene.window_at_s.remove(0);
        scene.recent_at_s.push(at);
    });
    assert!(late >= 40, "{late} of 60 found");
}

#[test]
fn calm_is_unknown() {
    let mut rng = Rng::new(7);
    let calls = calls(NODES, &mut rng);
    let mut scene = scene(NODES, &calls, (3, Fault::Slow, 0.03), &mut rng);
    for signal in &mut scene.signals {
        signal.window = signal.normal[10..16].to_vec();
    }
    let (_, diagnosis) = first(&scene);
    assert!(diagnosis.unknown > 0.5, "{}", diagnosis.unknown);
    let total: f64 = diagnosis.suspects.iter().map(|suspect| suspect.probability).sum();
    assert!((total + diagnosis.unknown - 1.0).abs() < 1e-9);
}

#[test]
fn evidence_reads_well() {
    let mut rng = Rng::new(1);
    let calls = [(0, 1), (1, 2), (0, 3)];
    let scene = scene(4, &calls, (2, Fault::Slow, 0.03), &mut rng);
    let (node, diagnosis) = first(&scene);
    let suspect = &diagnosis.suspects[0];
    assert_eq!((node, suspect.class), (2, Class::NetworkFault));
    let said: Vec<&str> = suspect.evidence.iter().map(|one| one.statement.as_str()).collect();
    assert!(said[0].contains("latency rose from 0.0") && said[0].contains("normally"), "{said:?}");
    assert!(said[0].contains("since 2023-11-14T22:21:20"), "{said:?}");
    assert!(said.iter().any(|s| s.contains("service-2 → service-1 → service-0")), "{said:?}");
    assert!(said.iter().any(|s| s.contains("explains the trouble of 2 of 2")), "{said:?}");
    let group = &diagnosis.groups[0];
    let nodes: std::collections::BTreeSet<usize> =
        group.signals.iter().map(|at| scene.signals[*at].node).collect();
    assert_eq!((diagnosis.groups.len(), nodes.into_iter().collect::<Vec<_>>()), (1, vec![0, 1, 2]));
}

#[test]
fn a_constant_that_moves_is_evidence() {
    let mut rng = Rng::new(3);
    let mut scene = scene(4, &[(0, 1), (1, 2), (0, 3)], (2, Fault::Slow, 0.03), &mut rng);
    scene.symptom = None;
    let limit = scene.signals.iter().position(|signal| signal.node == 3).unwrap();
    for signal in &mut scene.signals {
        signal.window = signal.normal[10..16].to_vec();
    }
    scene.signals[limit].normal = vec![64.0; 200];
    scene.signals[limit].recent = vec![64.0; 8];
    scene.signals[limit].window = vec![48.0; 6];
    let (node, diagnosis) = first(&scene);
    let finding = diagnosis.findings[limit];
    assert!(node == 3 && finding.strength > 3.0 && finding.direction < 0.0, "{node} {finding:?}");
}

/// The twin says where to look: a machine that its guest shows slow is blamed when the contrast says so.
#[test]
fn the_contrast_is_heard() {
    let mut rng = Rng::new(5);
    let mut scene = scene(2, &[(0, 1)], (1, Fault::Busy, 0.03), &mut rng);
    scene.links = vec![foretwin_foresee::diagnosis::Link {
        from: 0,
        to: 1,
        relation: foretwin_foresee::diagnosis::Relation::RunsOn,
    }];
    let machine = |contrast: Vec<(VerdictClass, f64)>| {
        let scene = Scene { contrast, ..scene.clone() };
        let diagnosis = diagnose(&scene, &Weights::default());
        diagnosis.suspects.iter().find(|suspect| suspect.node == 1).unwrap().probability
    };
    let silent = machine(Vec::new());
    let infrastructure =
        machine(vec![(VerdictClass::Infrastructure, 0.9), (VerdictClass::Undetermined, 0.1)]);
    let instance = machine(vec![(VerdictClass::Instance, 0.9), (VerdictClass::Undetermined, 0.1)]);
    assert!(infrastructure >= silent && silent > instance, "{infrastructure} {silent} {instance}");
}
