//! A simulated system of services, small enough to read: load flows down the calls, latency and errors flow up.

use foretwin_core::Rng;
use foretwin_foresee::diagnosis::{Link, Relation, Scene, Signal};

/// What goes wrong in one node.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    Slow,
    Failing,
    Busy,
}

const METRICS: [&str; 4] = ["requests", "cpu_usage", "latency", "error_rate"];
const NORMAL: usize = 200;
const RECENT: usize = 8;
const WINDOW: usize = 6;

/// Calls of `nodes` services: each calls one to three of those after it, so that node 0 is the entry.
pub fn calls(nodes: usize, rng: &mut Rng) -> Vec<(usize, usize)> {
    let mut calls = Vec::new();
    for callee in 1..nodes {
        calls.push((rng.below(callee as u64) as usize, callee));
        let other = rng.below(callee as u64) as usize;
        if rng.uniform() < 0.3 && !calls.contains(&(other, callee)) {
            calls.push((other, callee));
        }
    }
    calls
}

/// A scene with `fault` in `culprit`, and the entry's latency or errors as its symptom.
pub fn scene(
    nodes: usize,
    calls: &[(usize, usize)],
    (culprit, fault, blur): (usize, Fault, f64),
    rng: &mut Rng,
) -> Scene {
    // What is seen is noisy, and of the culprit most of all (few requests, coarse clocks): who calls it shows the trouble
    // more clearly than it does itself.
    let blur: Vec<f64> = (0..nodes).map(|node| if node == culprit { blur } else { 0.03 }).collect();
    let mut series = vec![vec![Vec::new(); METRICS.len()]; nodes];
    for row in 0..NORMAL + RECENT + WINDOW {
        let trouble = (row >= NORMAL + RECENT).then_some((culprit, fault));
        for (node, values) in frame(nodes, calls, trouble, rng).into_iter().enumerate() {
            for (metric, value) in values.into_iter().enumerate() {
                series[node][metric].push(value * (1.0 + blur[node] * rng.normal()).abs());
            }
        }
    }
    let mut scene =
        Scene { nodes: (0..nodes).map(|node| format!("service-{node}")).collect(), ..Scene::default() };
    for (node, series) in series.iter().enumerate() {
        for (metric, values) in METRICS.iter().zip(series) {
            let (normal, rest) = values.split_at(NORMAL);
            let (recent, window) = rest.split_at(RECENT);
            let stretches = [normal, recent, window].map(<[f64]>::to_vec);
            scene.signals.push(Signal::named(node, metric, stretches));
        }
    }
    let link = |(from, to): &(usize, usize)| Link { from: *from, to: *to, relation: Relation::Calls };
    scene.links = calls.iter().map(link).collect();
    scene.recent_at_s = (0..RECENT).map(|row| 1.7e9 + 60.0 * row as f64).collect();
    scene.window_at_s = (0..WINDOW).map(|row| 1.7e9 + 60.0 * (RECENT + row) as f64).collect();
    scene.symptom = Some(if fault == Fault::Failing { 3 } else { 2 });
    scene
}

/// One minute of every service.
fn frame(
    nodes: usize,
    calls: &[(usize, usize)],
    trouble: Option<(usize, Fault)>,
    rng: &mut Rng,
) -> Vec<[f64; METRICS.len()]> {
    let has = |node: usize, fault: Fault| trouble == Some((node, fault));
    let mut frame = vec![[0.0; METRICS.len()]; nodes];
    frame[0][0] = 100.0 + 5.0 * rng.normal();
    for node in 0..nodes {
        let load = frame[node][0];
        let busy = if has(node, Fault::Busy) { 30.0 } else { 0.0 };
        frame[node][1] = 0.2 * load + busy + rng.normal();
        for (_, callee) in calls.iter().filter(|(caller, _)| *caller == node) {
            frame[*callee][0] += 0.5 * load + rng.normal();
        }
    }
    for node in (0..nodes).rev() {
        let slow = if has(node, Fault::Slow) { 0.06 } else { 0.0 };
        let busy = if has(node, Fault::Busy) { 0.05 } else { 0.0 };
        let callees: Vec<usize> =
            calls.iter().filter(|(caller, _)| *caller == node).map(|(_, to)| *to).collect();
        let below: f64 = callees.iter().map(|callee| frame[*callee][2]).sum();
        let failed: f64 = callees.iter().map(|callee| frame[*callee][3]).sum();
        frame[node][2] = 0.02 * (1.0 + 0.1 * rng.normal()).abs() + slow + busy + 0.7 * below;
        let own = if has(node, Fault::Failing) { 0.2 } else { 0.0 };
        frame[node][3] = (own + 0.5 * failed + 0.001 * rng.normal().abs()).min(1.0);
    }
    frame
}
