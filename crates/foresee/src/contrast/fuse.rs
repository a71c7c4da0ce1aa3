//! From signs to probabilities: is the infrastructure in trouble, is the application, and which of the two is it.
//!
//! Each of the two is a logistic sum of signs, as in a naive Bayes classifier with evidence clipped at both ends, so
//! that no single number decides. They are not exclusive: their product is "both". The infrastructure is only blamed
//! where independent observers agree: two kinds of probe, or one and a counter, or a counter and the neighbour that
//! explains it. What one twin sees alone is a fault of the twin. Weights were fixed on recorded runs of the contrast
//! lab (docs/methods.md).

use foretwin_core::VerdictClass;

use super::signs::Signs;

/// Use of its own beyond its habits that explains anything, in units worth naming.
const LEAST_OWN: f32 = 0.5;
/// Log-odds without any sign.
const PRIOR: f32 = -4.0;
/// Most that the probes can say together.
const MOST_TWIN: f32 = 8.0;
/// Weight of probes that agree.
const TWIN: f32 = 1.0;
/// Weight of the second model beside the probes it was made from.
const MODEL: f32 = 0.5;
/// Weight of a twin that sees nothing.
const TWIN_CALM: f32 = -1.5;
/// Weight of counters, and of the neighbour that explains them.
const COUNTER: f32 = 0.9;
const NEIGHBOUR: f32 = 0.9;
/// Weight of the strongest and of all further signs of the application.
const FIRST: f32 = 1.5;
const FURTHER: f32 = 0.5;

/// What the fusion says of one window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Fused {
    /// In the order of [`VerdictClass::ALL`]; they sum to 1.
    pub probabilities: [f32; 8],
    pub self_inflicted: bool,
    /// Whether the neighbour that exceeds its habits is to be named if the infrastructure is blamed.
    pub names: bool,
}

fn logistic(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// Weighs the signs, with the twin's or without.
pub(super) fn fuse(signs: &Signs, with_twin: bool) -> Fused {
    let others = signs.neighbour.map_or(0.0, |excess| excess.size);
    let own_first = signs.own_cpu > others.max(LEAST_OWN);
    let held = signs.limit.strength > 0.0;
    // A quota of its own explains why it waits; more demand than ever of its own explains why all wait.
    let explained = held || own_first;
    let self_inflicted = own_first && !held && (signs.saturated || signs.parent.strength > 0.0);
    let (first, count) = counters(signs, explained, signs.own_memory > others);
    let kinds = if with_twin { signs.probes.len() } else { 0 };
    let probes: f32 = signs.probes.iter().map(|(_, sign)| sign.strength).sum();
    // The second model saw the same costs: it adds to what they say, and is no further observer.
    let twin = (probes + MODEL * signs.model.strength).min(MOST_TWIN);
    // The twin's costs rise with a load that was never seen, and nothing tells by how much they should.
    let twin_counts = with_twin && !(signs.beyond && signs.excess == 0.0);
    let seen = usize::from(signs.excess > 0.0);
    let agreed =
        (twin_counts && (kinds >= 2 || kinds == 1 && count + seen > 0)) || (count > 0 && count + seen >= 2);
    let mut infrastructure = PRIOR + COUNTER * first + NEIGHBOUR * signs.excess;
    if twin_counts {
        infrastructure += if kinds == 0 { TWIN_CALM } else { TWIN * twin };
    }
    let infrastructure = if agreed { logistic(infrastructure) } else { logistic(infrastructure).min(0.2) };
    let (application, is_load) = application(signs);
    let alone = if twin_counts && kinds > 0 && !agreed { logistic(PRIOR + TWIN * twin) } else { 0.0 };
    let unclear = logistic(PRIOR + signs.latency.strength);
    Fused {
        probabilities: share(infrastructure, application, is_load, (alone, unclear)),
        self_inflicted,
        names: seen > 0,
    }
}

/// The strongest counter that speaks for the infrastructure, and how many do. What the original explains does not, nor
/// does memory that it fills itself.
fn counters(signs: &Signs, explained: bool, fills: bool) -> (f32, usize) {
    let fair = if explained { 0.0 } else { 1.0 };
    let strengths = [
        fair * signs.stall.strength,
        fair * signs.parent.strength,
        signs.memory.strength,
        fair * signs.io.strength,
        signs.steal.strength,
        if fills { 0.0 } else { signs.full.strength },
    ];
    let first = strengths.into_iter().fold(0.0, f32::max);
    (first, strengths.iter().filter(|strength| **strength > 0.0).count())
}

/// Whether the application is in trouble, and how much of that is its load.
fn application(signs: &Signs) -> (f32, f32) {
    let own = signs.work.strength.max(signs.leak.strength).max(signs.limit.strength);
    let load = signs.load.strength;
    let all = own + load;
    if all == 0.0 {
        return (logistic(PRIOR), 0.5);
    }
    let first = own.max(load);
    (logistic(PRIOR + FIRST * first + FURTHER * (all - first)), load / all)
}

fn share(infrastructure: f32, application: f32, is_load: f32, (alone, unclear): (f32, f32)) -> [f32; 8] {
    let only = (1.0 - infrastructure) * application;
    let rest = (1.0 - infrastructure) * (1.0 - application);
    let of = |class| match class {
        VerdictClass::Healthy => rest * (1.0 - alone) * (1.0 - unclear),
        VerdictClass::Workload => only * is_load,
        VerdictClass::Instance => only * (1.0 - is_load),
        VerdictClass::Infrastructure => infrastructure * (1.0 - application),
        VerdictClass::Both => infrastructure * application,
        VerdictClass::TwinFault => rest * alone,
        VerdictClass::Undetermined => rest * (1.0 - alone) * unclear,
        VerdictClass::NoContrast => 0.0,
    };
    VerdictClass::ALL.map(of)
}
