//! What a diagnosis costs: a thousand of them, of 40 nodes with 6 metrics each.
//!
//!     cargo run --release -p foretwin-foresee --example diagnosis_cost

#![allow(clippy::unwrap_used)] // A measurement may fail like a test.

use std::hint::black_box;
use std::time::Instant;

use foretwin_core::Rng;
use foretwin_foresee::diagnosis::{Link, Relation, Scene, Signal, Weights, diagnose};

const NODES: usize = 40;
const METRICS: [&str; 6] =
    ["requests", "cpu_usage", "memory_usage", "latency_p50", "latency_p99", "error_rate"];
const ROUNDS: usize = 1000;
const REPETITIONS: usize = 5;

fn main() {
    for normal in [60, 240, 600] {
        let scene = scene(normal);
        let mut seconds: Vec<f64> = (0..REPETITIONS)
            .map(|_| {
                let started = Instant::now();
                for _ in 0..ROUNDS {
                    black_box(diagnose(black_box(&scene), &Weights::default()));
                }
                started.elapsed().as_secs_f64()
            })
            .collect();
        seconds.sort_by(f64::total_cmp);
        let median = seconds[REPETITIONS / 2];
        println!(
            "{ROUNDS} diagnoses of {NODES} nodes, {} signals, {normal} normal rows: {median:.2} s, {:.2} ms each",
            scene.signals.len(),
            1e3 * median / ROUNDS as f64
        );
    }
}

/// Random calls; one node in trouble, and a little in those that call it.
fn scene(normal: usize) -> Scene {
    let mut rng = Rng::new(1);
    let mut scene =
        Scene { nodes: (0..NODES).map(|node| format!("service-{node}")).collect(), ..Scene::default() };
    for to in 1..NODES {
        let from = rng.below(to as u64) as usize;
        scene.links.push(Link { from, to, relation: Relation::Calls });
    }
    for node in 0..NODES {
        for metric in METRICS {
            let mut draw = |rows: usize, shift: f64| -> Vec<f64> {
                (0..rows).map(|_| 10.0 + shift + rng.normal()).collect()
            };
            let shift = if node % 8 == 0 { 6.0 } else { 0.0 };
            scene.signals.push(Signal::named(
                node,
                metric,
                [draw(normal, 0.0), draw(10, 0.0), draw(10, shift)],
            ));
        }
    }
    scene.recent_at_s = (0..10).map(f64::from).collect();
    scene.window_at_s = (10..20).map(f64::from).collect();
    scene.symptom = Some(3);
    scene
}
