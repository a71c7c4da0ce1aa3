//! Diagnosis across metrics and nodes: where trouble began, of what kind it is, and what speaks for it.
//!
//! [`diagnose`] takes a [`Scene`]: signals of several nodes in normal times, just before, and during trouble, and how
//! the nodes depend on each other. It asks how surprising each signal is (`evidence`), puts the answers into a
//! Bayesian network of nodes and roles (`network`), ranks every node as the origin (`rank`), names the kind of trouble
//! (`class`) and says why in words (`explain`). Anomalies are grouped by time and dependence (`group`). Weights can be
//! fitted to diagnoses that were confirmed ([`fit`]).

mod class;
mod evidence;
mod explain;
mod fit;
mod group;
mod learned;
mod network;
mod rank;
mod role;
mod scene;

use foretwin_core::Evidence;

pub use class::Class;
pub use evidence::Finding;
pub use fit::{Lesson, fit};
pub use group::Group;
pub use rank::{FEATURES, Weights};
pub use role::{is_shared, is_success, of as role_of};
pub use scene::{Link, Relation, Scene, Signal};

/// A node that may be the cause.
#[derive(Debug, Clone, PartialEq)]
pub struct Suspect {
    /// Index in [`Scene::nodes`].
    pub node: usize,
    /// That the trouble began here, 0 to 1.
    pub probability: f64,
    /// What kind of trouble it shows.
    pub class: Class,
    /// How sure the class is, given that it began here, 0 to 1.
    pub class_probability: f64,
    /// Which signs led to the class.
    pub signs: &'static str,
    /// Its signals, most surprising first.
    pub signals: Vec<usize>,
    /// What speaks for it, in words; empty for all but the likeliest suspects.
    pub evidence: Vec<Evidence>,
    /// The features that the probability was made from, for [`fit`].
    pub features: [f64; FEATURES],
}

/// Ranked causes, and the anomalies they were found from.
#[derive(Debug, Clone, PartialEq)]
pub struct Diagnosis {
    /// Every node with signals, likeliest first. With `unknown` their probabilities sum to 1.
    pub suspects: Vec<Suspect>,
    /// That none of them is the cause.
    pub unknown: f64,
    /// One per signal of the scene.
    pub findings: Vec<Finding>,
    /// Anomalies that belong together, largest group first.
    pub groups: Vec<Group>,
}

/// Suspects that get their evidence in words.
const EXPLAINED: usize = 5;

/// Finds the causes of the trouble in a scene. Pure: the same scene gives the same diagnosis.
#[must_use]
pub fn diagnose(scene: &Scene, weights: &Weights) -> Diagnosis {
    let references = evidence::references(scene);
    let findings = evidence::findings(scene, &references);
    let network = learned::network(scene, &references);
    let features = rank::features(scene, &findings, &network);
    let posterior = rank::posterior(scene, &features, weights);
    let beliefs = rank::beliefs(scene, &findings);
    let mut order: Vec<usize> = (0..scene.nodes.len()).filter(|node| features[*node].is_some()).collect();
    order.sort_by(|a, b| posterior[*b].total_cmp(&posterior[*a]));
    let suspect = |(place, node): (usize, usize)| {
        let (class, class_probability, signs) = class::class(scene, &findings, &beliefs, node);
        let said = place < EXPLAINED;
        let evidence = said.then(|| explain::evidence(scene, &findings, (&network, &beliefs), node));
        Suspect {
            node,
            probability: posterior[node],
            class,
            class_probability,
            signs,
            signals: explain::metrics(scene, &findings, node),
            evidence: evidence.unwrap_or_default(),
            features: features[node].unwrap_or_default(),
        }
    };
    let suspects = order.into_iter().enumerate().map(suspect).collect();
    let unknown = posterior[scene.nodes.len()];
    let groups = group::groups(scene, &findings, &network);
    Diagnosis { suspects, unknown, findings, groups }
}
