//! Tests of the controller, among them a seeded simulation of hundreds of instances.
#![cfg(test)]

use foretwin_core::{MINUTE_US, Rng};

use super::plan as decide;
use super::*;

fn purse(cores: f64, mib: f64) -> Purse {
    let levels = vec![Fidelity::Process, Fidelity::Container, Fidelity::Microvm];
    Purse { cores, memory_bytes: mib * 1_048_576.0, levels, costs: Costs::default() }
}

fn candidate(name: &str, need: f64, asked: Option<Fidelity>) -> Candidate {
    let instance = InstanceId::new(name);
    Candidate { instance, criticality: 50, need, asked, cores: 0.2, memory_bytes: 1e8 }
}

fn at(minutes: i64) -> Timestamp {
    Timestamp(minutes * MINUTE_US)
}

fn of<'a>(plan: &'a Plan, name: &str) -> &'a Assignment {
    &plan.assignments[name]
}

#[test]
fn need_raises_at_once_and_lowers_after_calm() {
    let purse = purse(1.0, 1000.0);
    let step = |plan: &Plan, need, minutes| {
        decide(&purse, &[candidate("a", need, Some(Fidelity::Process))], plan, at(minutes))
    };
    let (calm, first) = step(&Plan::default(), 0.0, 0);
    assert_eq!((of(&calm, "a").level, of(&calm, "a").scale), (Fidelity::Process, 0.05));
    assert!(first[0].reason.starts_with("from nothing to process at 0.05"), "{first:?}");
    let (acute, raised) = step(&calm, 0.8, 1);
    assert_eq!((of(&acute, "a").report_hz, of(&acute, "a").scale), (2.0, 0.25));
    assert!(raised[0].reason.contains("it is acute (need 0.80)"), "{raised:?}");
    // Between the two thresholds nothing changes, however long.
    let (mut plan, mut changes) = (acute.clone(), Vec::new());
    for minute in 2..60 {
        let (next, decisions) = step(&plan, 0.55, minute);
        (plan, changes) = (next, [changes, decisions].concat());
    }
    assert!(changes.is_empty() && of(&plan, "a").urgency == Urgency::Acute);
    // Calm lowers one step at a time, each after its own wait.
    let fell: Vec<i64> = (60..100)
        .filter(|minute| {
            let (next, decisions) = step(&plan, 0.0, *minute);
            plan = next;
            !decisions.is_empty()
        })
        .collect();
    assert_eq!(fell, [70, 81]);
    assert_eq!(of(&plan, "a").urgency, Urgency::Calm);
}

#[test]
fn a_replay_is_only_where_it_is_asked_for_and_levels_only_where_they_are() {
    let mut purse = purse(1.0, 1000.0);
    let all = [candidate("a", 0.9, None), candidate("b", 0.0, Some(Fidelity::Microvm))];
    let (plan, decisions) = decide(&purse, &all, &Plan::default(), at(0));
    assert_eq!((of(&plan, "a").level, of(&plan, "b").level), (Fidelity::Model, Fidelity::Microvm));
    assert_eq!((plan.probe_rate_hz, decisions.len()), (10.0, 1));
    purse.levels = vec![Fidelity::Process];
    let (plan, _) = decide(&purse, &all, &plan, at(1));
    assert_eq!(of(&plan, "b").level, Fidelity::Process);
}

#[test]
fn short_budgets_go_to_who_matters_and_probes_are_paid_first() {
    // Room for probes and one process at the least intensity.
    let little = purse(0.0125 + 0.0004 + 0.002 + 0.05 * 0.2 + 0.001, 100.0);
    let (mut a, b) =
        (candidate("a", 0.0, Some(Fidelity::Container)), candidate("b", 0.0, Some(Fidelity::Process)));
    let (first, _) = decide(&little, &[a.clone(), b.clone()], &Plan::default(), at(0));
    assert_eq!((of(&first, "a").level, of(&first, "b").level), (Fidelity::Process, Fidelity::Model));
    // Who has something keeps it against an equal; who matters more takes it.
    let (same, decisions) = decide(&little, &[b.clone(), a.clone()], &first, at(1));
    assert!(decisions.is_empty() && of(&same, "a").level == Fidelity::Process);
    a.criticality = 20;
    let (other, decisions) = decide(&little, &[a, b], &same, at(2));
    assert_eq!((of(&other, "a").level, of(&other, "b").level), (Fidelity::Model, Fidelity::Process));
    assert!(decisions[0].reason.contains("others matter more"), "{decisions:?}");
    let (poor, _) = decide(&purse(0.006, 10.0), &[], &Plan::default(), at(0));
    assert_eq!(poor.probe_rate_hz, 2.0);
    assert_eq!(decide(&purse(0.001, 10.0), &[], &Plan::default(), at(0)).0.probe_rate_hz, 0.0);
}

/// 400 instances, three in five of which ask for a replay.
fn crowd(rng: &mut Rng) -> Vec<Candidate> {
    let make = |n| {
        let asked = [None, None, Some(Fidelity::Process), Some(Fidelity::Container), Some(Fidelity::Microvm)];
        let mut one = candidate(&format!("host/{n:03}"), 0.0, asked[rng.below(5) as usize]);
        one.criticality = rng.below(101) as u8;
        one.cores = 0.5 * rng.uniform();
        one.memory_bytes = 1e9 * rng.uniform();
        one
    };
    (0..400).map(make).collect()
}

/// A day, every second minute: calm instances with noisy need, some with an episode of drift.
#[test]
fn hundreds_of_instances_share_one_budget() {
    let mut rng = Rng::new(4);
    let (purse, mut all) = (purse(0.8, 1200.0), crowd(&mut rng));
    let episodes: Vec<(i64, i64)> =
        (0..400).map(|_| (rng.below(2800) as i64, 30 + rng.below(120) as i64)).collect();
    let (mut plan, mut changes, mut served, mut pressing) = (Plan::default(), 0, 0, 0);
    for minute in (0..1440).step_by(2) {
        for (one, (start, length)) in all.iter_mut().zip(&episodes) {
            let base = if (*start..start + length).contains(&minute) { 0.8 } else { 0.2 };
            one.need = (base + 0.08 * rng.normal()).clamp(0.0, 1.0);
        }
        let (next, decisions) = decide(&purse, &all, &plan, at(minute));
        if minute % 60 == 0 {
            assert_eq!(next, decide(&purse, &all, &plan, at(minute)).0);
        }
        assert!(next.cores <= purse.cores && next.memory_bytes <= purse.memory_bytes, "minute {minute}");
        assert_eq!((next.assignments.len(), next.probe_rate_hz), (400, 10.0));
        changes += if minute > 0 { decisions.len() } else { 0 };
        for one in all.iter().filter(|one| one.asked.is_some() && one.criticality >= 80) {
            let held = of(&next, one.instance.as_str());
            pressing += usize::from(held.urgency == Urgency::Acute);
            served += usize::from(held.urgency == Urgency::Acute && held.level > Fidelity::Model);
        }
        plan = next;
    }
    let share = served as f64 / pressing as f64;
    eprintln!("{changes} changes of 400 instances in a day; {:.1} % of the pressing served", 100.0 * share);
    assert!(pressing > 500 && share > 0.95, "{served} of {pressing}");
    // About 200 episodes, of which three in five ask for a replay; each may take from others and give back.
    assert!(changes < 2500, "{changes} changes");
}
