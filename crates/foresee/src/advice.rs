//! What to do about a class of cause that no growing resource shows: readable rules, one per class.
//!
//! Effects of these are not replayed, so they claim no numbers: they say what should be seen if the advice was right.

use foretwin_core::{Action, Cause, InstanceId};

/// A cause below this is not acted upon.
const LIKELY: f64 = 0.3;

/// One rule: class, name of the action, what to do (with `{place}` and `{instance}`), what should be seen then.
struct Rule {
    class: &'static str,
    action: &'static str,
    what: &'static str,
    effect: &'static str,
}

const RULES: [Rule; 8] = [
    Rule {
        class: "workload_surge",
        action: "add_replicas",
        what: "Add replicas of {instance}, or limit what is let in, until the load falls",
        effect: "load per replica falls by the share that is added; undone by taking them away",
    },
    Rule {
        class: "own_limit",
        action: "raise_limit",
        what: "Raise the limit that {place} meets",
        effect: "waiting at the limit ends at once; if the use goes on growing it delays and does not cure",
    },
    Rule {
        class: "throttling",
        action: "raise_quota",
        what: "Raise the processor quota of {place}, or spread its work",
        effect: "throttled time falls to nothing within a period of the quota; undone by setting it back",
    },
    Rule {
        class: "contention",
        action: "limit_neighbour",
        what: "Limit or move {place}, which uses what {instance} lacks",
        effect: "waiting of {instance} falls within seconds of the neighbour's use; undone by lifting the limit",
    },
    Rule {
        class: "disk_fault",
        action: "check_disk",
        what: "Read the kernel log and the health of the disks of {place}; move {instance} if they fail",
        effect: "latency of a moved instance is that of the other disk; a failing disk does not recover",
    },
    Rule {
        class: "network_fault",
        action: "check_network",
        what: "Check loss and errors on the way to {place}; take that way out of use if there is another",
        effect: "retransmissions and latency fall as soon as the other way is used",
    },
    Rule {
        class: "crash_loop",
        action: "roll_back",
        what: "Read why {place} ends (its log, its exit status), and roll back what changed before the first time",
        effect: "restarts end; if they go on, the change was not the cause",
    },
    Rule {
        class: "configuration_change",
        action: "roll_back",
        what: "Roll back the last change to {place}",
        effect: "the same load costs what it did before; if not, the change was not the cause",
    },
];

/// Advice for the causes that are likely, likeliest first; none for those that a risk has actions for, or that are unknown.
#[must_use]
pub fn advice(instance: &InstanceId, causes: &[Cause]) -> Vec<Action> {
    let likely = causes.iter().filter(|cause| cause.probability >= LIKELY);
    let rule = |cause: &Cause| {
        let rule = RULES.iter().find(|rule| rule.class == cause.class)?;
        let fill = |text: &str| {
            text.replace("{place}", cause.place.as_str()).replace("{instance}", instance.as_str())
        };
        let (description, expected_effect) = (fill(rule.what), fill(rule.effect));
        Some(Action { action: rule.action.into(), description, expected_effect })
    };
    likely.filter_map(rule).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_have_advice_and_the_unlikely_have_none() {
        let cause = |class: &str, probability: f64| Cause {
            class: class.into(),
            place: InstanceId::new("h/hog"),
            probability,
            evidence: vec![],
        };
        let given = advice(
            &InstanceId::new("h/a"),
            &[cause("contention", 0.6), cause("throttling", 0.1), cause("unknown", 0.9)],
        );
        assert_eq!(given.len(), 1);
        assert_eq!(given[0].description, "Limit or move h/hog, which uses what h/a lacks");
    }

    #[test]
    fn every_class_of_the_tree_has_a_rule_or_a_growing_resource() {
        use crate::diagnosis::Class;
        for class in [
            Class::WorkloadSurge,
            Class::OwnLimit,
            Class::Contention,
            Class::Throttling,
            Class::DiskFault,
            Class::NetworkFault,
            Class::CrashLoop,
            Class::ConfigurationChange,
        ] {
            assert!(RULES.iter().any(|rule| rule.class == class.as_str()), "{}", class.as_str());
        }
    }
}
