//! Where the cause is: a posterior over nodes and "unknown", from what was found and what the network passes on.
//!
//! Every node is a hypothesis: *this is where it began*. A few features say how well the hypothesis explains the
//! findings, and a conditional logit (McFadden 1974) turns them into probabilities:
//! - `own`: how surprising the node's own most surprising state is, as a logarithm;
//! - `spread`: belief over all of its states: a real fault shows in more than one;
//! - `reach`: put back in its normal range (an intervention within what was seen to be normal), how much belief in
//!   trouble elsewhere would the network no longer expect? This is where explaining away happens: a callee that
//!   explains its callers' trouble gains what they lose beside it;
//! - `symptom`: how much of the symptom it explains;
//! - `is_symptom`, `outside`: it is the node of the symptom, or topology does not know it. Whoever watches is rarely it.
//!
//! "Unknown" competes with a utility of its own.

use foretwin_core::VerdictClass;

use super::evidence::Finding;
use super::network::{MACHINE, Network, WIDTH, state_of};
use super::role::is_outbound;
use super::scene::{Relation, Scene};

/// What the machine's state, and what a node sees of whom it calls, weigh as evidence against the node itself.
const ELSEWHERE: f64 = 0.5;
/// Belief that a state without a finding may be in trouble all the same: errors that nobody counts.
const LATENT: f64 = 0.02;
/// Standard deviations from which a state is believed to be in trouble at all, and at which fully.
const DOUBT: f64 = 1.5;
const CERTAIN: f64 = 6.0;
/// How likely a verdict is that puts the trouble where it is not.
const MISTAKEN: f64 = 0.1;

/// Number of features.
pub const FEATURES: usize = 6;

/// Weights of the features in the order of their description, and the utility of "unknown".
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weights {
    /// Of `own`, `spread`, `reach`, `symptom`, `is_symptom`, `outside`.
    pub features: [f64; FEATURES],
    /// Utility of "unknown".
    pub unknown: f64,
}

impl Default for Weights {
    /// Fitted once on 72 fault injections (`docs/methods.md`), and the same for every system.
    fn default() -> Self {
        Self { features: [2.8, 0.6, 1.6, 1.0, -0.1, -0.5], unknown: 5.4 }
    }
}

impl Weights {
    /// Probability of each suspect from its features, and of "unknown" last, without a contrast.
    #[must_use]
    pub fn probabilities(&self, suspects: &[[f64; FEATURES]]) -> Vec<f64> {
        let utility = |features: &[f64; FEATURES]| {
            features.iter().zip(&self.features).map(|(x, weight)| x * weight).sum::<f64>()
        };
        let mut utilities: Vec<f64> = suspects.iter().map(utility).collect();
        utilities.push(self.unknown);
        softmax(&mut utilities);
        utilities
    }
}

/// Belief per state of the network, 0 to 1, from the strongest finding of each.
pub(super) fn beliefs(scene: &Scene, findings: &[Finding]) -> Vec<f64> {
    let mut beliefs = vec![0.0_f64; scene.nodes.len() * WIDTH];
    for (signal, finding) in scene.signals.iter().zip(findings) {
        if let Some(state) = state_of(signal.node, signal.role, signal.shared) {
            beliefs[state] = beliefs[state].max(belief(finding.strength));
        }
    }
    beliefs
}

/// Whether trouble is believed, from doubtful to certain.
pub(super) fn belief(strength: f64) -> f64 {
    ((strength - DOUBT) / (CERTAIN - DOUBT)).clamp(0.0, 1.0)
}

/// The features of every node with signals; none for the others.
pub(super) fn features(
    scene: &Scene,
    findings: &[Finding],
    network: &Network,
) -> Vec<Option<[f64; FEATURES]>> {
    let beliefs = beliefs(scene, findings);
    let mut own = vec![None::<f64>; scene.nodes.len()];
    for (signal, finding) in scene.signals.iter().zip(findings) {
        let elsewhere = signal.shared || is_outbound(&signal.metric);
        let weight = if elsewhere { ELSEWHERE } else { 1.0 };
        let strength = (weight * finding.strength).ln_1p();
        own[signal.node] = Some(own[signal.node].unwrap_or(0.0).max(strength));
    }
    let symptom = scene.symptom.map(|at| &scene.signals[at]);
    let symptom = symptom.and_then(|signal| state_of(signal.node, signal.role, signal.shared));
    let one = |(node, own): (usize, &Option<f64>)| {
        let mine = node * WIDTH..(node + 1) * WIDTH;
        let reached = network.reach(&sources(node, &beliefs));
        let elsewhere = beliefs.iter().zip(&reached).enumerate().filter(|(state, _)| !mine.contains(state));
        let explained = elsewhere.map(|(_, (belief, reached))| belief.min(*reached)).sum();
        let is_symptom = symptom.is_some_and(|state| mine.contains(&state));
        let symptom = symptom.filter(|_| !is_symptom).map_or(0.0, |state| reached[state]);
        let outside = f64::from(u8::from(!scene.is_linked(node)));
        let spread = beliefs[mine].iter().sum();
        (*own).map(|own| [own, spread, explained, symptom, f64::from(u8::from(is_symptom)), outside])
    };
    own.iter().enumerate().map(one).collect()
}

/// The states of a node as causes: as strong as they are believed to be. The machine's state is no cause of its own.
pub(super) fn sources(node: usize, beliefs: &[f64]) -> Vec<(usize, f64)> {
    (0..MACHINE).map(|role| node * WIDTH + role).map(|state| (state, beliefs[state] + LATENT)).collect()
}

/// The probability of every node, and of "unknown" last; they sum to 1.
pub(super) fn posterior(scene: &Scene, features: &[Option<[f64; FEATURES]>], weights: &Weights) -> Vec<f64> {
    let utility = |(node, features): (usize, &Option<[f64; FEATURES]>)| {
        features.map_or(f64::NEG_INFINITY, |features| {
            let product = features.iter().zip(&weights.features).map(|(x, w)| x * w);
            product.sum::<f64>() + verdict(scene, node).ln()
        })
    };
    let mut utilities: Vec<f64> = features.iter().enumerate().map(utility).collect();
    utilities.push(weights.unknown);
    softmax(&mut utilities);
    utilities
}

/// Turns utilities into probabilities.
pub(super) fn softmax(utilities: &mut [f64]) {
    let most = utilities.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    utilities.iter_mut().for_each(|utility| *utility = (*utility - most).exp());
    let total: f64 = utilities.iter().sum();
    utilities.iter_mut().for_each(|utility| *utility /= total);
}

/// Likelihood of the contrast's verdict if the cause is in this node, relative to one that says nothing.
fn verdict(scene: &Scene, node: usize) -> f64 {
    let machine = scene.links.iter().any(|link| link.relation == Relation::RunsOn && link.to == node);
    let right = |class: VerdictClass| match class {
        VerdictClass::Infrastructure => Some(machine),
        VerdictClass::Instance | VerdictClass::Workload => Some(!machine),
        _ => None,
    };
    let total: f64 = scene.contrast.iter().map(|(_, probability)| probability).sum();
    let said = scene.contrast.iter().map(|(class, probability)| match right(*class) {
        Some(true) => probability * (1.0 - MISTAKEN),
        Some(false) => probability * MISTAKEN,
        None => probability * 0.5,
    });
    if total > 0.0 { 2.0 * said.sum::<f64>() / total } else { 1.0 }
}
