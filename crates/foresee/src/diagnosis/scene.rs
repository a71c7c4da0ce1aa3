//! What a diagnosis reads: signals of several nodes before and during trouble, how the nodes depend on each other,
//! and what the twin says.

use foretwin_core::{Role, VerdictClass};

use super::role;

/// One series of one node, cut into three stretches. Missing values are NaN.
#[derive(Debug, Clone)]
pub struct Signal {
    /// Index of its node in [`Scene::nodes`].
    pub node: usize,
    /// Name, as evidence will call it.
    pub metric: String,
    /// Unit (UCUM) as evidence will write it; empty where it is not known.
    pub unit: String,
    /// What it says.
    pub role: Role,
    /// It belongs to the machine underneath, which others share: never a fault of this node by itself.
    pub shared: bool,
    /// When all was well; counters as rates, errors as errors. The newer part need not be near.
    pub normal: Vec<f64>,
    /// Just before trouble began, at [`Scene::recent_at_s`]; empty where that is not known.
    pub recent: Vec<f64>,
    /// During trouble, at [`Scene::window_at_s`].
    pub window: Vec<f64>,
}

impl Signal {
    /// A signal whose role, and whether it is the machine's, follow from its name. Shares of success become shares of
    /// failure, so that more is worse for every signal of errors.
    #[must_use]
    pub fn named(node: usize, metric: &str, [normal, recent, window]: [Vec<f64>; 3]) -> Self {
        let (role, shared) = (role::of(metric), role::is_shared(metric));
        let (metric_name, unit) = (metric.into(), String::new());
        let mut signal = Self { node, metric: metric_name, unit, role, shared, normal, recent, window };
        if role::is_success(metric) {
            let whole = signal.whole();
            for value in [&mut signal.normal, &mut signal.recent, &mut signal.window].into_iter().flatten() {
                *value = whole - *value;
            }
        }
        signal
    }

    /// What a complete share is in this signal's unit: 100 where it is written in percent, else 1.
    pub(super) fn whole(&self) -> f64 {
        let all = [&self.normal, &self.recent, &self.window].into_iter().flatten();
        if all.fold(0.0, |most: f64, value| most.max(*value)) > 1.5 { 100.0 } else { 1.0 }
    }
}

/// How one node depends on another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Relation {
    /// The first calls the second: trouble of the callee reaches the caller, load of the caller the callee.
    Calls,
    /// The first runs on the second, and shares it with others.
    RunsOn,
}

/// A dependence between two nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Link {
    /// Caller, or what runs.
    pub from: usize,
    /// Callee, or what it runs on.
    pub to: usize,
    /// Which of both.
    pub relation: Relation,
}

/// Everything a diagnosis may know.
#[derive(Debug, Clone, Default)]
pub struct Scene {
    /// Names. Nodes may have no signal of their own, as a host known from topology alone.
    pub nodes: Vec<String>,
    /// All series.
    pub signals: Vec<Signal>,
    /// How nodes depend on each other; empty where nobody knows.
    pub links: Vec<Link>,
    /// Times of [`Signal::recent`], ascending seconds.
    pub recent_at_s: Vec<f64>,
    /// Times of [`Signal::window`], ascending seconds.
    pub window_at_s: Vec<f64>,
    /// Index of the signal whose trouble is to be explained, where one was named.
    pub symptom: Option<usize>,
    /// What the contrast of production and twin gives each verdict, where there is a twin.
    pub contrast: Vec<(VerdictClass, f64)>,
}

impl Scene {
    /// Whether topology knows this node; without topology, every node counts as known.
    pub(super) fn is_linked(&self, node: usize) -> bool {
        self.links.is_empty() || self.links.iter().any(|link| link.from == node || link.to == node)
    }
}
