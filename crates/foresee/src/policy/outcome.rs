//! Whether an alert came true: joins alerts with recorded failures.

use foretwin_core::{Alert, AlertKind, AlertOutcome, Failure, FailureMode};

/// A failure recorded so many seconds before the alert opened was seen later than it happened.
const LATE_S: f64 = 1.0;

/// Whether a failure of this mode is what was said. Modes that name no resource say only that it failed.
fn is_meant(kind: AlertKind, mode: FailureMode) -> bool {
    use FailureMode::{Crash, Custom, MemoryExhaustion, Outage, SwapExhaustion};
    match kind {
        AlertKind::Failure(said) => {
            let memory = |mode| matches!(mode, MemoryExhaustion | SwapExhaustion);
            said == mode || matches!(mode, Crash | Custom | Outage) || (memory(said) && memory(mode))
        }
        AlertKind::Infrastructure | AlertKind::Anomaly => true,
    }
}

/// Joins an alert with a failure; whether that says something new. The failure must be of a member, of the mode that was
/// said, after the opening, and no later than `patience_s` after the end. The first such failure counts.
#[must_use]
pub fn join(alert: &mut Alert, failure: &Failure, patience_s: f64) -> bool {
    let meant = |kind: AlertKind| is_meant(kind, failure.mode);
    let member = alert.members.iter().any(|one| one.instance == failure.instance && meant(one.kind));
    let lead_s = failure.at.since(alert.opened);
    let late = alert.resolved.is_some_and(|over| failure.at.since(over) > patience_s);
    let known = matches!(alert.outcome, Some(AlertOutcome::Failed { at_us, .. }) if at_us <= failure.at);
    if !member || late || known || lead_s < -LATE_S {
        return false;
    }
    let lead_s = lead_s.max(0.0);
    alert.outcome = Some(AlertOutcome::Failed { at_us: failure.at, mode: failure.mode, lead_s });
    true
}
