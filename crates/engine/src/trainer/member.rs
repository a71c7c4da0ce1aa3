//! How a member of a large cohort is fitted: its own scaling, linear part and thresholds around the cohort's network, and
//! weights of its own where they earn it.

use std::ops::ControlFlow;
use std::sync::Arc;

use foretwin_learn::{Cohort as Network, Error, Job, Model, Progress, Start, fit};

/// A network that takes away less than this part of what it takes away from the cohort's members on average does not
/// know this one.
const KNOWN: f64 = 0.5;
/// A cohort's network worth less than this to its own members says nothing about a member that it is not worth more to.
const LEAST_WORTH: f64 = 0.05;

/// Fits a member with the network of its cohort. Weights of its own are tried beside it, which costs a training: at once
/// where the cohort's network does much less for this member than for others; else when it is renewed and they were never
/// tried, or are at work. A `challenger` was fitted to a part of the same frames: what was chosen then is not tried again.
pub(super) fn fit_member(
    job: &Job,
    network: &Arc<Network>,
    [champion, challenger]: [Option<&Model>; 2],
    observe: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Model, Error> {
    let shared = Job { start: Start::Cohort(network), ..*job };
    let own = |parent| Job { start: Start::Better(network, parent), ..*job };
    if let Some(challenger) = challenger {
        let again = if has_own(challenger) { own(Some(challenger)) } else { shared };
        return Ok(fit(&again, observe)?.chosen_by(challenger.gain()));
    }
    if let Some(champion) = champion
        && (has_own(champion) || champion.gain().own.is_none())
    {
        return fit(&own(has_own(champion).then_some(champion)), observe);
    }
    let model = fit(&shared, observe)?;
    let enough = model.rows() >= job.config.lstm_min_rows;
    if enough && is_strange(&model, network) { fit(&own(None), observe) } else { Ok(model) }
}

/// Whether its LSTM has weights of its own.
fn has_own(model: &Model) -> bool {
    !model.gain().shared && !model.corrected().is_empty()
}

/// Whether the network does much less for this member than for those that it was trained on.
fn is_strange(model: &Model, network: &Network) -> bool {
    let (worth, here) = (network.worth(), 1.0 - model.gain().cohort.unwrap_or(1.0));
    worth >= LEAST_WORTH && here < KNOWN * worth
}
