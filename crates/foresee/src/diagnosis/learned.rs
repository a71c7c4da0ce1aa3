//! What normal data say about the network: how strongly its arcs act, and, where no topology is known, which nodes move
//! together at all.
//!
//! Correlation is no cause, and the same load moves everything. So data never add an arc beside a known topology; they
//! only shift weight among arcs of one kind. Without a topology, nodes that move together clearly are joined both ways
//! and weakly.

use super::evidence::Reference;
use super::network::{DURATION, ERRORS, Network, RATE, WIDTH, state_of};
use super::scene::Scene;

/// Correlation from which nodes without topology are joined.
const TOGETHER: f64 = 0.5;
/// What an arc learned from data passes on, as a share of its correlation.
const CAUTION: f64 = 0.25;
/// Fewer common rows say nothing.
const FEWEST: usize = 30;

/// The network of a scene, fitted to its normal stretch.
pub(super) fn network(scene: &Scene, references: &[Option<Reference>]) -> Network {
    let mut network = Network::of(scene);
    let series = states(scene, references);
    if scene.links.is_empty() {
        join(&mut network, scene.nodes.len(), &series);
    } else {
        network.refine(|cause, effect| correlation(&series[cause], &series[effect]));
    }
    network
}

/// Steps of every state over normal rows: the change of the mean of its signals, in their scales. Changes, because
/// levels of unrelated nodes share trends and times of day.
fn states(scene: &Scene, references: &[Option<Reference>]) -> Vec<Vec<f64>> {
    let mut sums: Vec<Vec<f64>> = vec![Vec::new(); scene.nodes.len() * WIDTH];
    for (signal, reference) in scene.signals.iter().zip(references) {
        let (Some(state), Some(reference)) = (state_of(signal.node, signal.role, signal.shared), reference)
        else {
            continue;
        };
        let sum = &mut sums[state];
        sum.resize(sum.len().max(signal.normal.len()), 0.0);
        for (sum, value) in sum.iter_mut().zip(&signal.normal) {
            // A wild sample must not make the correlation alone; a missing one is at its mean.
            let z = (value - reference.mean) / reference.scale;
            *sum += if z.is_nan() { 0.0 } else { z.clamp(-5.0, 5.0) };
        }
    }
    sums.into_iter().map(|sum| sum.windows(2).map(|pair| pair[1] - pair[0]).collect()).collect()
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    if a.len() != b.len() || a.len() < FEWEST {
        return 0.0;
    }
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (x, y) in a.iter().zip(b) {
        ab += x * y;
        aa += x * x;
        bb += y * y;
    }
    if aa > 0.0 && bb > 0.0 { (ab / (aa * bb).sqrt()).abs() } else { 0.0 }
}

/// Joins nodes whose load, latency or errors move together.
fn join(network: &mut Network, nodes: usize, series: &[Vec<f64>]) {
    for one in 0..nodes {
        for other in 0..one {
            for role in [DURATION, ERRORS, RATE] {
                let (a, b) = (one * WIDTH + role, other * WIDTH + role);
                let strength = correlation(&series[a], &series[b]);
                if strength >= TOGETHER {
                    network.add(a, b, CAUTION * strength);
                    network.add(b, a, CAUTION * strength);
                }
            }
        }
    }
}
