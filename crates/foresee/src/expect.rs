//! What a recommended action is expected to bring, from the replay of the scenario that it stands for.

use foretwin_core::{Benefit, Change, Effect, Estimate, FailureMode, Scenario};

use crate::words;

/// More of a resource is recommended as this much more.
const MORE: Change = Change::Times(1.5);

/// The scenario that an action stands for; nothing where no scenario describes it.
#[must_use]
pub fn scenario_of(action: &str, mode: Option<FailureMode>) -> Option<Scenario> {
    let nothing = Scenario::default();
    match (action, mode) {
        ("restart", _) => Some(Scenario { restart: true, ..nothing }),
        ("find_leak" | "find_writer", _) => Some(Scenario { fix: true, ..nothing }),
        ("extend_volume", _)
        | ("raise_limit", Some(FailureMode::DiskFull | FailureMode::InodeExhaustion)) => {
            Some(Scenario { disk: Some(MORE), ..nothing })
        }
        ("add_swap", _)
        | ("raise_limit", Some(FailureMode::MemoryExhaustion | FailureMode::SwapExhaustion)) => {
            Some(Scenario { memory: Some(MORE), ..nothing })
        }
        ("raise_limit", Some(FailureMode::DescriptorExhaustion | FailureMode::PidExhaustion)) => {
            Some(Scenario { descriptors: Some(MORE), ..nothing })
        }
        _ => None,
    }
}

/// An effect in a sentence, with its interval; nothing where the replay sees no risk to change.
#[must_use]
pub fn told(effect: &Effect, horizon_s: f64) -> Option<String> {
    let Estimate { low, high, .. } = effect.probability_change;
    let percent = |p: f64| words::percent(p.clamp(0.0, 1.0));
    let (before, after) = (effect.before.probability, effect.after.probability);
    let mut text = format!(
        "the probability of failure within {} falls from {} to {} ({} to {})",
        words::duration(horizon_s),
        percent(before),
        percent(after),
        percent(before + low),
        percent(before + high.unwrap_or(1.0)),
    );
    if let Some(delay) = effect.delay_s.filter(|delay| delay.value > 0.0) {
        let high = delay.high.map_or("never".into(), words::duration);
        let (value, low) = (words::duration(delay.value), words::duration(delay.low.max(0.0)));
        text.push_str(&format!("; it comes {value} later ({low} to {high})"));
    }
    match effect.verdict {
        Benefit::NoRisk => return None,
        Benefit::Cures => text.push_str(": cures"),
        Benefit::DelaysDoesNotCure => text.push_str(": delays, does not cure"),
        Benefit::NoEffect => text.push_str(": no effect that matters"),
        Benefit::Hastens => text = text.replace("falls", "goes"),
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use foretwin_core::{Expected, Quantiles};

    #[test]
    fn actions_have_scenarios_and_effects_have_words() {
        let memory = scenario_of("raise_limit", Some(FailureMode::MemoryExhaustion)).unwrap();
        assert_eq!(memory.memory, Some(Change::Times(1.5)));
        assert_eq!(scenario_of("free_space", Some(FailureMode::DiskFull)), None);
        let side = |probability| Expected {
            probability,
            within: Vec::new(),
            time_to_failure: Quantiles::default(),
            never: 1.0 - probability,
        };
        let effect = Effect {
            title: memory.title(),
            scenario: memory,
            before: side(0.9),
            after: side(0.3),
            probability_change: Estimate { value: -0.6, low: -0.7, high: Some(-0.5) },
            delay_s: Some(Estimate { value: 180.0, low: 120.0, high: Some(240.0) }),
            verdict: Benefit::DelaysDoesNotCure,
            on_host: Vec::new(),
            assumptions: Vec::new(),
            beyond_experience: Vec::new(),
        };
        let text = told(&effect, 3600.0).unwrap();
        assert!(text.contains("from 90 % to 30 % (20 % to 40 %)"), "{text}");
        assert!(text.contains("3 min later") && text.ends_with("delays, does not cure"), "{text}");
        assert_eq!(told(&Effect { verdict: Benefit::NoRisk, ..effect }, 3600.0), None);
    }
}
