//! What to do about a risk, each with what it is expected to bring in numbers.
//!
//! In this version an effect follows from the rate alone: an intervention changes the level or the limit, never the
//! rate. A what-if that replays the intervention gives the same [`Action`]s better numbers.

use foretwin_core::{Action, FailureMode, InstanceId, Risk};

use crate::{Config, words};

/// Below this time to the limit, what buys time comes before what cures.
const URGENT_S: f64 = 900.0;

/// Actions for the risks that are notable at `horizon_s`, likeliest risk first. Empty while nothing needs doing.
#[must_use]
pub fn actions(instance: &InstanceId, risks: &[Risk], horizon_s: f64, config: &Config) -> Vec<Action> {
    let mut notable: Vec<&Risk> =
        risks.iter().filter(|risk| risk.at(horizon_s) >= config.notable_probability).collect();
    notable.sort_by(|a, b| b.at(horizon_s).total_cmp(&a.at(horizon_s)));
    notable.iter().flat_map(|risk| for_risk(instance, risk, horizon_s)).collect()
}

fn for_risk(instance: &InstanceId, risk: &Risk, horizon_s: f64) -> Vec<Action> {
    let relief = relieve(instance, risk);
    let room = raise(instance, risk);
    let cure = cure(instance, risk, horizon_s);
    if risk.time_to_failure.p50.is_some_and(|p50| p50 < URGENT_S) {
        vec![relief, room, cure]
    } else {
        vec![cure, room, relief]
    }
}

/// Seconds that `amount` lasts at the present rate, infinite if it does not rise.
fn lasts_s(risk: &Risk, amount: f64) -> f64 {
    if risk.trend.rate > 0.0 { amount.max(0.0) / risk.trend.rate } else { f64::INFINITY }
}

/// Gives back what is in use: buys time.
fn relieve(instance: &InstanceId, risk: &Risk) -> Action {
    let risen = (risk.trend.rate * risk.trend.span_s).clamp(0.0, risk.used);
    let (freed, bought) = (words::amount(risk.mode, risen), lasts_s(risk, risen));
    let again = format!(
        "frees about {freed}, what it grew in {}; at the same rate that buys {}: delays, does not cure",
        words::duration(risk.trend.span_s),
        words::duration(bought),
    );
    let (action, description) = match risk.mode {
        FailureMode::DiskFull => ("free_space", format!("Free space behind {} on {instance}", risk.metric)),
        FailureMode::InodeExhaustion => {
            ("remove_files", format!("Remove small files behind {} on {instance}", risk.metric))
        }
        FailureMode::SwapExhaustion => {
            ("free_memory", format!("Stop or move the largest user of swap on {instance}"))
        }
        _ => (
            "restart",
            format!("Restart {instance} at a time of your choice, before {} runs out", risk.metric),
        ),
    };
    Action { action: action.into(), description, expected_effect: again }
}

/// Moves the limit: buys time.
fn raise(instance: &InstanceId, risk: &Risk) -> Action {
    let raised = 1.5 * risk.limit;
    let (before, after) = (lasts_s(risk, risk.limit - risk.used), lasts_s(risk, raised - risk.used));
    let (action, object) = match risk.mode {
        FailureMode::DiskFull | FailureMode::InodeExhaustion => ("extend_volume", "the volume"),
        FailureMode::SwapExhaustion => ("add_swap", "swap"),
        _ => ("raise_limit", "the limit"),
    };
    let (from, to) = (words::amount(risk.mode, risk.limit), words::amount(risk.mode, raised));
    Action {
        action: action.into(),
        description: format!("Raise {object} behind {} of {instance} from {from} to {to}", risk.metric),
        expected_effect: format!(
            "at {} the new limit is reached in {} instead of {}: delays, does not cure",
            words::rate(risk.mode, risk.trend.rate),
            words::duration(after),
            words::duration(before),
        ),
    }
}

/// Ends the growth.
fn cure(instance: &InstanceId, risk: &Risk, horizon_s: f64) -> Action {
    let what = match risk.mode {
        FailureMode::DiskFull | FailureMode::InodeExhaustion => (
            "find_writer",
            format!("Find what writes to {} on {instance}, and rotate or limit it", risk.metric),
        ),
        FailureMode::SwapExhaustion => {
            ("find_leak", format!("Find which process of {instance} grows, and what in it"))
        }
        _ => {
            ("find_leak", format!("Find what in {instance} takes {} and does not give it back", risk.metric))
        }
    };
    Action {
        action: what.0.into(),
        description: what.1,
        expected_effect: format!(
            "ends a growth of {}: the probability of failure within {} falls from {} to what it was before the growth",
            words::rate(risk.mode, risk.trend.rate),
            words::duration(horizon_s),
            words::percent(risk.at(horizon_s)),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cause::tests::leak;

    #[test]
    fn urgent_risks_buy_time_first_and_say_how_much() {
        let actions = actions(&InstanceId::new("h/a"), &[leak(0.95)], 3600.0, &Config::default());
        let names: Vec<_> = actions.iter().map(|action| action.action.as_str()).collect();
        assert_eq!(names, ["restart", "raise_limit", "find_leak"]);
        assert!(actions[0].expected_effect.contains("buys 3 min"), "{}", actions[0].expected_effect);
        assert!(actions[1].expected_effect.contains("3 min 24 s instead of 1 min 16 s"));
        assert!(actions[2].expected_effect.contains("95 %"));
    }

    #[test]
    fn calm_and_disks_have_their_own() {
        assert!(actions(&InstanceId::new("h"), &[leak(0.05)], 3600.0, &Config::default()).is_empty());
        let mut disk = Risk { mode: FailureMode::DiskFull, ..leak(0.5) };
        disk.time_to_failure.p50 = None;
        let actions = actions(&InstanceId::new("h"), &[disk], 3600.0, &Config::default());
        let names: Vec<_> = actions.iter().map(|action| action.action.as_str()).collect();
        assert_eq!(names, ["find_writer", "extend_volume", "free_space"]);
    }
}
