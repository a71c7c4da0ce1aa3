//! Which findings belong together: near in time, and neighbours in the network.

use super::evidence::Finding;
use super::network::{Network, state_of};
use super::rank::belief;
use super::scene::Scene;

/// Belief from which a finding is an anomaly to be grouped.
const NOTABLE: f64 = 0.3;
/// Onsets within this share of the time seen belong together.
const TOGETHER: f64 = 0.25;

/// Anomalies of one common origin.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Indices of signals, most surprising first.
    pub signals: Vec<usize>,
    /// When the first of them left its range, on the scene's clock.
    pub since_s: Option<f64>,
}

/// The groups, largest belief first.
pub(super) fn groups(scene: &Scene, findings: &[Finding], network: &Network) -> Vec<Group> {
    let notable: Vec<usize> =
        (0..findings.len()).filter(|at| belief(findings[*at].strength) >= NOTABLE).collect();
    let span_s = span_s(scene);
    let mut leader: Vec<usize> = (0..notable.len()).collect();
    for one in 0..notable.len() {
        for other in 0..one {
            let (a, b) = (notable[one], notable[other]);
            if near(findings[a].since_s, findings[b].since_s, TOGETHER * span_s)
                && related(scene, network, a, b)
            {
                let (from, to) = (root(&leader, one), root(&leader, other));
                leader[from] = to;
            }
        }
    }
    let mut groups: Vec<(f64, Group)> = Vec::new();
    for first in (0..notable.len()).filter(|at| root(&leader, *at) == *at) {
        let mut signals: Vec<usize> =
            (0..notable.len()).filter(|at| root(&leader, *at) == first).map(|at| notable[at]).collect();
        signals.sort_by(|a, b| findings[*b].strength.total_cmp(&findings[*a].strength));
        let since_s = signals.iter().filter_map(|at| findings[*at].since_s).reduce(f64::min);
        let total = signals.iter().map(|at| belief(findings[*at].strength)).sum();
        groups.push((total, Group { signals, since_s }));
    }
    groups.sort_by(|a, b| b.0.total_cmp(&a.0));
    groups.into_iter().map(|(_, group)| group).collect()
}

fn root(leader: &[usize], mut at: usize) -> usize {
    while leader[at] != at {
        at = leader[at];
    }
    at
}

fn span_s(scene: &Scene) -> f64 {
    let first = scene.recent_at_s.first().or(scene.window_at_s.first());
    match (first, scene.window_at_s.last()) {
        (Some(first), Some(last)) => last - first,
        _ => 0.0,
    }
}

fn near(a: Option<f64>, b: Option<f64>, within_s: f64) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() <= within_s,
        _ => true,
    }
}

/// Of one node, or one moves the other directly.
fn related(scene: &Scene, network: &Network, a: usize, b: usize) -> bool {
    let (a, b) = (&scene.signals[a], &scene.signals[b]);
    if a.node == b.node {
        return true;
    }
    match (state_of(a.node, a.role, a.shared), state_of(b.node, b.role, b.shared)) {
        (Some(a), Some(b)) => network.moves(a, b) || network.moves(b, a),
        _ => false,
    }
}
