//! What ties what is said of several instances to one cause.

use std::fmt;

use foretwin_core::{AlertKind, FailureMode, InstanceId, WorkloadId};
use serde::{Deserialize, Serialize};

/// Something that members of an alert may have in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Tie {
    /// Where the cause is: a neighbour that uses what they lack, the instance that a diagnosis blames, or the instance
    /// itself.
    Place(InstanceId),
    /// The machine they run on, where it is in trouble itself; or how they fail by something that all on it share.
    Host(String, Option<FailureMode>),
    /// What they run, and what is said of it: a version that leaks does so everywhere.
    Workload(WorkloadId, AlertKind),
}

/// Ways to fail by what everything on a machine shares. Whoever runs against a limit of its own does so alone: two leaks
/// on one machine are two causes, however near together they begin.
const SHARED: [FailureMode; 4] = [
    FailureMode::SwapExhaustion,
    FailureMode::CpuSaturation,
    FailureMode::LatencyBreach,
    FailureMode::Outage,
];

/// Whether to run on the same machine says that failures by this mode have a cause in common.
pub(super) fn is_shared(mode: FailureMode) -> bool {
    SHARED.contains(&mode)
}

impl fmt::Display for Tie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Place(id) => write!(f, "cause in {id}"),
            Self::Host(host, _) => write!(f, "host {host}"),
            Self::Workload(workload, _) => write!(f, "workload {}", workload.0),
        }
    }
}

/// The ties that both have, in the order of the first.
pub(super) fn shared(one: &[Tie], other: &[Tie]) -> Vec<Tie> {
    one.iter().filter(|tie| other.contains(tie)).cloned().collect()
}
