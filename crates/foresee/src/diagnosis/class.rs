//! What kind of trouble it is: a decision tree over the signs of one node, written to be read.
//!
//! Each leaf says which signs led to it. The tree asks for the most specific sign first, so that a general one
//! (a busy processor) is only believed where no special one (throttling) explains it.

use foretwin_core::{Role, VerdictClass};

use super::evidence::Finding;
use super::network::{DURATION, ERRORS, MACHINE, RATE, SATURATION, WIDTH};
use super::rank::belief;
use super::role::{Resource, resource};
use super::scene::{Relation, Scene};

/// Belief from which a sign counts as seen.
const SEEN: f64 = 0.3;

/// What a cause is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// More work arrives than before.
    WorkloadSurge,
    /// Something is taken and never given back.
    Leak,
    /// A resource is used up.
    Exhaustion,
    /// The instance meets a limit set for itself.
    OwnLimit,
    /// Others use what it needs.
    Contention,
    /// The kernel holds it back.
    Throttling,
    /// Storage is slow or fails.
    DiskFault,
    /// The network is slow or loses.
    NetworkFault,
    /// It starts again and again.
    CrashLoop,
    /// It does something else than before, with the same load.
    ConfigurationChange,
    /// None of these is shown.
    Unknown,
}

impl Class {
    /// As written in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WorkloadSurge => "workload_surge",
            Self::Leak => "leak",
            Self::Exhaustion => "exhaustion",
            Self::OwnLimit => "own_limit",
            Self::Contention => "contention",
            Self::Throttling => "throttling",
            Self::DiskFault => "disk_fault",
            Self::NetworkFault => "network_fault",
            Self::CrashLoop => "crash_loop",
            Self::ConfigurationChange => "configuration_change",
            Self::Unknown => "unknown",
        }
    }
}

/// Belief in each sign of a node.
#[derive(Debug, Clone, Copy, Default)]
struct Signs {
    restarts: f64,
    throttled: f64,
    /// Steal or run delay: others run in its place.
    displaced: f64,
    disk: f64,
    network: f64,
    memory_up: f64,
    /// Memory still climbs at the end of the window.
    climbing: f64,
    cpu_up: f64,
    load_up: f64,
    load_down: f64,
    slow: f64,
    failing: f64,
    machine: f64,
    /// Something it calls is slow or fails.
    callee: f64,
    infrastructure: f64,
    instance: f64,
}

/// The class of trouble in `node`, how sure the tree is of it (0 to 1), and the signs in words.
pub(super) fn class(scene: &Scene, findings: &[Finding], beliefs: &[f64], node: usize) -> Leaf {
    decide(&signs(scene, findings, beliefs, node))
}

/// A class, how sure it is, and why.
type Leaf = (Class, f64, &'static str);

/// The tree. A leaf is as sure as its least certain sign.
fn decide(s: &Signs) -> Leaf {
    told(s).unwrap_or_else(|| inferred(s))
}

fn seen(belief: f64) -> bool {
    belief >= SEEN
}

/// What the kernel's own counters, or the twin, say outright.
fn told(s: &Signs) -> Option<Leaf> {
    if seen(s.restarts) {
        return Some((Class::CrashLoop, s.restarts, "it restarts"));
    }
    if seen(s.throttled) && s.instance > s.infrastructure {
        return Some((Class::OwnLimit, s.throttled, "it is throttled at its own limit"));
    }
    if seen(s.throttled) {
        return Some((Class::Throttling, s.throttled, "the kernel throttles it"));
    }
    if seen(s.displaced) || (s.infrastructure > 0.5 && seen(s.slow.max(s.machine))) {
        let sure = s.displaced.max(s.infrastructure);
        return Some((Class::Contention, sure, "others use the machine in its place"));
    }
    seen(s.disk).then_some((Class::DiskFault, s.disk, "its storage waits"))
}

/// What follows from use, load and latency together.
fn inferred(s: &Signs) -> Leaf {
    if seen(s.load_up) && seen(s.cpu_up.max(s.slow).max(s.memory_up)) {
        let sure = s.load_up.min(s.cpu_up.max(s.slow).max(s.memory_up));
        return (Class::WorkloadSurge, sure, "more work arrives, and it uses or takes more");
    }
    // A process that burns the processor takes some memory, too: the stronger sign leads.
    if seen(s.memory_up) && s.memory_up > s.cpu_up && seen(s.climbing) {
        return (Class::Leak, s.memory_up.min(s.climbing), "memory climbs though load does not");
    }
    if seen(s.memory_up) && s.memory_up > s.cpu_up {
        return (Class::Exhaustion, s.memory_up, "memory stands above normal though load does not");
    }
    if seen(s.cpu_up) {
        return (Class::Contention, s.cpu_up, "the processor is busier though load is not");
    }
    if seen(s.network) || (seen(s.slow) && !seen(s.callee) && !seen(s.failing)) {
        let sure = s.network.max(s.slow);
        return (Class::NetworkFault, sure, "it answers late though neither it nor what it calls is busy");
    }
    if seen(s.failing) || seen(s.load_down) {
        let sure = s.failing.max(s.load_down);
        return (Class::ConfigurationChange, sure, "it fails or does less work, and no resource explains it");
    }
    (Class::Unknown, 1.0, "no sign stands out")
}

fn signs(scene: &Scene, findings: &[Finding], beliefs: &[f64], node: usize) -> Signs {
    let mut signs = Signs::default();
    let own = scene.signals.iter().zip(findings).filter(|(signal, _)| signal.node == node && !signal.shared);
    for (signal, finding) in own {
        let (belief, up) = (belief(finding.strength), finding.direction > 0.0);
        let raise = |sign: &mut f64| *sign = sign.max(belief);
        match (resource(&signal.metric), signal.role, up) {
            (Resource::Restarts, _, true) => raise(&mut signs.restarts),
            (Resource::Throttling, _, true) => raise(&mut signs.throttled),
            (Resource::Contention, _, true) => raise(&mut signs.displaced),
            (Resource::Disk, Role::Saturation | Role::Duration | Role::Errors, true) => {
                raise(&mut signs.disk);
            }
            (Resource::Network, Role::Duration | Role::Errors, true) => raise(&mut signs.network),
            (Resource::Memory, Role::Utilization, true) => {
                raise(&mut signs.memory_up);
                signs.climbing = signs.climbing.max(belief * climb(&signal.window));
            }
            (Resource::Cpu, Role::Utilization, true) => raise(&mut signs.cpu_up),
            (_, Role::Rate, true) => raise(&mut signs.load_up),
            (_, Role::Rate, false) => raise(&mut signs.load_down),
            _ => {}
        }
    }
    let state = |node: usize, role: usize| beliefs[node * WIDTH + role];
    signs.slow = state(node, DURATION).max(state(node, SATURATION));
    signs.failing = state(node, ERRORS);
    signs.machine = state(node, MACHINE);
    signs.load_up = signs.load_up.min(state(node, RATE));
    let callees = scene.links.iter().filter(|link| link.from == node && link.relation == Relation::Calls);
    signs.callee =
        callees.map(|link| state(link.to, DURATION).max(state(link.to, ERRORS))).fold(0.0, f64::max);
    let said = |wanted: &[VerdictClass]| {
        let said = scene.contrast.iter().filter(|(class, _)| wanted.contains(class));
        said.map(|(_, probability)| probability).sum::<f64>()
    };
    signs.infrastructure = said(&[VerdictClass::Infrastructure]);
    signs.instance = said(&[VerdictClass::Instance, VerdictClass::Workload]);
    signs
}

/// How steadily a window rises: the share of its steps that go up, beyond chance, 0 to 1.
fn climb(window: &[f64]) -> f64 {
    let seen: Vec<f64> = window.iter().copied().filter(|value| !value.is_nan()).collect();
    let steps = seen.windows(2);
    let (mut up, mut count) = (0.0, 0.0);
    for pair in steps {
        up += f64::from(u8::from(pair[1] > pair[0]));
        count += 1.0;
    }
    if count > 0.0 { (2.0 * up / count - 1.0).max(0.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_prefers_special_signs() {
        let busy = Signs { cpu_up: 0.9, slow: 0.9, ..Signs::default() };
        assert_eq!(decide(&busy).0, Class::Contention);
        assert_eq!(decide(&Signs { load_up: 0.8, ..busy }).0, Class::WorkloadSurge);
        assert_eq!(decide(&Signs { throttled: 0.5, ..busy }).0, Class::Throttling);
        assert_eq!(decide(&Signs { throttled: 0.5, instance: 0.8, ..busy }).0, Class::OwnLimit);
        assert_eq!(decide(&Signs { restarts: 0.5, ..busy }).0, Class::CrashLoop);
        assert_eq!(decide(&Signs::default()).0, Class::Unknown);
    }

    #[test]
    fn a_slow_node_is_a_network_fault_unless_its_callee_is_slow() {
        let slow = Signs { slow: 0.9, ..Signs::default() };
        assert_eq!(decide(&slow).0, Class::NetworkFault);
        assert_eq!(decide(&Signs { callee: 0.9, ..slow }).0, Class::Unknown);
        assert_eq!(decide(&Signs { failing: 0.7, ..Signs::default() }).0, Class::ConfigurationChange);
    }

    #[test]
    fn memory_that_climbs_leaks_and_memory_that_stands_is_exhausted() {
        let memory = Signs { memory_up: 0.8, ..Signs::default() };
        assert_eq!(decide(&Signs { climbing: 0.8, ..memory }).0, Class::Leak);
        assert_eq!(decide(&memory).0, Class::Exhaustion);
        assert_eq!(decide(&Signs { climbing: 0.8, cpu_up: 0.9, ..memory }).0, Class::Contention);
        assert_eq!((climb(&[1.0, 2.0, 3.0]), climb(&[1.0, 1.0, 1.0])), (1.0, 0.0));
    }
}
