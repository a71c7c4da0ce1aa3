//! The Bayesian network of a scene: one state per node and role, and which state moves which.
//!
//! Its structure is not learned from data but known: callees slow their callers and fail them, callers load their
//! callees, load uses resources, used resources slow work, and what shares a machine shares its resources (the USE and
//! RED methods; calls as in Gan et al., "Sage", ASPLOS 2021). Weights start from that structure; normal data refine
//! them (`learned`).

use foretwin_core::Role;

use super::scene::{Relation, Scene};

/// What passes over a direct arc of the same kind, and over one where the kind changes, as a share of belief.
const DIRECT: f64 = 1.0;
const INDIRECT: f64 = 0.6;
/// What is left of an effect at each step from node to node.
const HOP: f64 = 0.7;
/// Below this share an effect is not followed any further.
const FAINT: f64 = 0.02;

/// The roles that have states, in the order of their index.
pub(super) const ROLES: [Role; 5] =
    [Role::Duration, Role::Errors, Role::Rate, Role::Utilization, Role::Saturation];
/// States of one node: the roles, and the machine underneath as this node sees it.
pub(super) const WIDTH: usize = 6;
/// Index of the machine among a node's states.
pub(super) const MACHINE: usize = 5;

pub(super) const DURATION: usize = 0;
pub(super) const ERRORS: usize = 1;
pub(super) const RATE: usize = 2;
const USE: usize = 3;
pub(super) const SATURATION: usize = 4;

/// What happens within a node: load uses resources, used resources queue and slow work, slow or failing work changes
/// the load.
const WITHIN: &[(usize, usize, f64)] = &[
    (RATE, USE, DIRECT),
    (RATE, SATURATION, DIRECT),
    (RATE, MACHINE, INDIRECT),
    (RATE, DURATION, INDIRECT),
    (USE, DURATION, DIRECT),
    (USE, SATURATION, DIRECT),
    (USE, MACHINE, DIRECT),
    (USE, ERRORS, INDIRECT),
    (USE, RATE, INDIRECT),
    (SATURATION, DURATION, DIRECT),
    (SATURATION, ERRORS, INDIRECT),
    (SATURATION, RATE, INDIRECT),
    (DURATION, RATE, INDIRECT),
    (DURATION, ERRORS, INDIRECT),
    (ERRORS, DURATION, INDIRECT),
    (ERRORS, RATE, INDIRECT),
];

/// From callee to caller.
const UPWARDS: &[(usize, usize, f64)] = &[
    (DURATION, DURATION, DIRECT),
    (ERRORS, ERRORS, DIRECT),
    (ERRORS, DURATION, INDIRECT),
    (DURATION, ERRORS, INDIRECT),
    (DURATION, RATE, INDIRECT),
    (ERRORS, RATE, INDIRECT),
];

/// From caller to callee.
const DOWNWARDS: &[(usize, usize, f64)] =
    &[(RATE, RATE, DIRECT), (ERRORS, RATE, INDIRECT), (DURATION, RATE, INDIRECT)];

/// Between nodes on one machine, and from a machine with states of its own to what runs on it.
const SIDEWAYS: &[(usize, usize, f64)] = &[
    (USE, MACHINE, DIRECT),
    (USE, SATURATION, INDIRECT),
    (USE, DURATION, INDIRECT),
    (SATURATION, DURATION, INDIRECT),
    (SATURATION, SATURATION, INDIRECT),
    (RATE, MACHINE, INDIRECT),
];

/// Index of a role among a node's states; none for what is never a cause or a symptom.
pub(super) fn state_of(node: usize, role: Role, shared: bool) -> Option<usize> {
    let at = if shared { MACHINE } else { ROLES.iter().position(|known| *known == role)? };
    Some(node * WIDTH + at)
}

/// Arcs from cause to effect between states `node * WIDTH + role`.
#[derive(Debug, Clone)]
pub(super) struct Network {
    arcs: Vec<Vec<(usize, f64)>>,
}

impl Network {
    /// The structure that a scene's links imply.
    pub fn of(scene: &Scene) -> Self {
        let mut network = Self { arcs: vec![Vec::new(); scene.nodes.len() * WIDTH] };
        for node in 0..scene.nodes.len() {
            network.join(node, node, WITHIN);
        }
        for link in &scene.links {
            match link.relation {
                Relation::Calls => {
                    network.join(link.to, link.from, UPWARDS);
                    network.join(link.from, link.to, DOWNWARDS);
                }
                Relation::RunsOn => {
                    network.join(link.to, link.from, SIDEWAYS);
                    network.join(link.from, link.to, SIDEWAYS);
                }
            }
        }
        network.neighbours(scene);
        network.observers(scene);
        network
    }

    fn join(&mut self, cause: usize, effect: usize, pattern: &[(usize, usize, f64)]) {
        let hop = if cause == effect { 1.0 } else { HOP };
        for (from, to, weight) in pattern {
            self.arcs[cause * WIDTH + from].push((effect * WIDTH + to, weight * hop));
        }
    }

    /// Nodes on one machine meet there.
    fn neighbours(&mut self, scene: &Scene) {
        let on = |link: &&super::Link| link.relation == Relation::RunsOn;
        for one in scene.links.iter().filter(on) {
            for other in scene.links.iter().filter(on) {
                if one.to == other.to && one.from != other.from {
                    self.join(one.from, other.from, SIDEWAYS);
                }
            }
        }
    }

    /// A node that topology does not know watches from outside: it sees what the entries of the system do.
    fn observers(&mut self, scene: &Scene) {
        let called =
            |node: usize| scene.links.iter().any(|link| link.relation == Relation::Calls && link.to == node);
        let mut outside = vec![false; scene.nodes.len()];
        for signal in &scene.signals {
            outside[signal.node] = !scene.is_linked(signal.node);
        }
        let calls = |node: usize| {
            scene.links.iter().any(|link| link.relation == Relation::Calls && link.from == node)
        };
        for observer in (0..scene.nodes.len()).filter(|node| outside[*node]) {
            for entry in (0..scene.nodes.len()).filter(|node| calls(*node) && !called(*node)) {
                self.join(entry, observer, UPWARDS);
            }
        }
    }

    /// One more arc.
    pub fn add(&mut self, cause: usize, effect: usize, weight: f64) {
        self.arcs[cause].push((effect, weight));
    }

    /// Shifts weight to arcs between nodes whose ends `move` together (0 to 1) more than those of arcs of the same
    /// roles do on average.
    pub fn refine(&mut self, together: impl Fn(usize, usize) -> f64) {
        let kind = |cause: usize, effect: usize| (cause % WIDTH) * WIDTH + effect % WIDTH;
        let mut seen = vec![(0.0, 0.0); WIDTH * WIDTH];
        let mut measured = Vec::new();
        for (cause, arcs) in self.arcs.iter().enumerate() {
            for (at, (effect, _)) in arcs.iter().enumerate() {
                if cause / WIDTH != effect / WIDTH {
                    let moves = together(cause, *effect);
                    let (sum, count) = &mut seen[kind(cause, *effect)];
                    (*sum, *count) = (*sum + moves, *count + 1.0);
                    measured.push((cause, at, moves));
                }
            }
        }
        for (cause, at, moves) in measured {
            let (effect, weight) = &mut self.arcs[cause][at];
            let (sum, count) = seen[kind(cause, *effect)];
            *weight = (*weight * (1.0 + moves) / (1.0 + sum / count)).min(1.0);
        }
    }

    /// Whether one state moves another directly.
    pub fn moves(&self, cause: usize, effect: usize) -> bool {
        self.arcs[cause].iter().any(|(state, _)| *state == effect)
    }

    /// The states on the strongest path between two of them, both included; none where no effect arrives.
    pub fn path(&self, from: usize, to: usize) -> Option<Vec<usize>> {
        // Backwards from the end: each state was reached from the one that passes on most.
        let reached = self.reach(&[(from, 1.0)]);
        let mut path = vec![to];
        let mut at = to;
        while at != from {
            let passes = |cause: usize| {
                let arc = self.arcs[cause].iter().filter(|(effect, _)| *effect == at);
                arc.map(|(_, weight)| weight * reached[cause]).fold(0.0, f64::max)
            };
            let open = (0..self.arcs.len()).filter(|state| !path.contains(state));
            let before = open.max_by(|a, b| passes(*a).total_cmp(&passes(*b)))?;
            if passes(before) <= 0.0 {
                return None;
            }
            path.push(before);
            at = before;
        }
        path.reverse();
        Some(path)
    }

    /// How much of the `sources` (shares of belief per state) arrives at each state, along the strongest path.
    pub fn reach(&self, sources: &[(usize, f64)]) -> Vec<f64> {
        let mut best = vec![0.0; self.arcs.len()];
        let mut open: Vec<(usize, f64)> = Vec::new();
        for (state, share) in sources {
            best[*state] = *share;
            open.push((*state, *share));
        }
        // Shares only shrink along arcs, so that taking the largest first settles each state once (Dijkstra).
        while let Some(at) = (0..open.len()).max_by(|a, b| open[*a].1.total_cmp(&open[*b].1)) {
            let (state, share) = open.swap_remove(at);
            if share < best[state] {
                continue;
            }
            for (effect, weight) in &self.arcs[state] {
                let passed = share * weight;
                if passed > FAINT && passed > best[*effect] + 1e-12 {
                    best[*effect] = passed;
                    open.push((*effect, passed));
                }
            }
        }
        best
    }
}
