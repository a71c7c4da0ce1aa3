//! Spends the twins' budget of a machine: who gets which substrate, at which rate and scale, by criticality and need.
//!
//! One set of probes serves every instance on the machine and is paid first. A replay exists only where it is asked
//! for. Need raises an instance's urgency at once and lowers it after a calm time; whoever has something keeps it
//! against an equal. A pure function of its arguments.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use foretwin_core::{Fidelity, InstanceId, Timestamp};

/// What a twin costs beside the work it replays, at each level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// Cores.
    pub cores: f64,
    /// Bytes of memory.
    pub memory_bytes: f64,
}

/// Costs as measured (docs/measurements.md); a machine that knows better says so.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Costs {
    /// The set of probes at its full rate.
    pub probes: Cost,
    /// A simulated twin.
    pub model: Cost,
    /// A process.
    pub process: Cost,
    /// A container, with the daemon's share.
    pub container: Cost,
    /// A microVM.
    pub microvm: Cost,
}

impl Default for Costs {
    fn default() -> Self {
        let cost = |cores, mib: f64| Cost { cores, memory_bytes: mib * 1_048_576.0 };
        Self {
            probes: cost(0.0125, 5.5),
            model: cost(0.0002, 0.1),
            process: cost(0.002, 5.5),
            container: cost(0.004, 16.0),
            microvm: cost(0.04, 230.0),
        }
    }
}

impl Costs {
    fn of(&self, level: Fidelity) -> Cost {
        match level {
            Fidelity::Model => self.model,
            Fidelity::Process => self.process,
            Fidelity::Container => self.container,
            Fidelity::Microvm => self.microvm,
        }
    }
}

/// What may be spent, in absolute numbers, and on what.
#[derive(Debug, Clone, PartialEq)]
pub struct Purse {
    /// Cores.
    pub cores: f64,
    /// Bytes of memory.
    pub memory_bytes: f64,
    /// Levels that this machine has, beside the model.
    pub levels: Vec<Fidelity>,
    /// What things cost.
    pub costs: Costs,
}

/// One instance that may have a twin.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Whose.
    pub instance: InstanceId,
    /// How much it matters, 0 to 100.
    pub criticality: u8,
    /// The larger of its drift and its risk, 0 to 1.
    pub need: f64,
    /// The highest level that is asked for; none asks for no replay.
    pub asked: Option<Fidelity>,
    /// Cores that the original uses.
    pub cores: f64,
    /// Bytes of memory that the original uses.
    pub memory_bytes: f64,
}

/// How pressing an instance is. Ascending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Urgency {
    /// Nothing moves.
    Calm,
    /// It drifts, or may fail some time.
    Alert,
    /// It departs, or may fail soon.
    Acute,
}

/// Need above which urgency rises, and below which it falls after [`CALM_US`].
const ALERT: (f64, f64) = (0.3, 0.15);
const ACUTE: (f64, f64) = (0.7, 0.5);
/// How long need must be low before anything is taken away for that reason: ten minutes.
const CALM_US: i64 = 10 * foretwin_core::MINUTE_US;
/// How much more a newcomer must matter to take what another has.
const INCUMBENCY: f64 = 1.25;

impl Urgency {
    fn of(need: f64, rising: bool) -> Self {
        let above = |(up, down): (f64, f64)| need >= if rising { up } else { down };
        if above(ACUTE) {
            Self::Acute
        } else if above(ALERT) {
            Self::Alert
        } else {
            Self::Calm
        }
    }

    /// Reports per second and share of the original's work: more the more pressing.
    fn intensity(self) -> (f64, f64) {
        match self {
            Self::Calm => (0.2, 0.05),
            Self::Alert => (1.0, 0.1),
            Self::Acute => (2.0, 0.25),
        }
    }
}

impl fmt::Display for Urgency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Calm => "calm",
            Self::Alert => "alert",
            Self::Acute => "acute",
        })
    }
}

/// What one instance has.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    /// The substrate.
    pub level: Fidelity,
    /// Reports per second.
    pub report_hz: f64,
    /// Share of the original's work that is replayed; 0 without a replay.
    pub scale: f64,
    /// How pressing it is held to be.
    pub urgency: Urgency,
    /// Since when its need would let it be less pressing.
    pub calmer_since: Option<Timestamp>,
}

/// What every instance has, and what the whole costs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// Ticks per second of the machine's probes; 0 where even they do not fit.
    pub probe_rate_hz: f64,
    /// By instance.
    pub assignments: BTreeMap<InstanceId, Assignment>,
    /// Cores spent.
    pub cores: f64,
    /// Bytes of memory spent.
    pub memory_bytes: f64,
}

/// One change and its reason, for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Whose twin changes.
    pub instance: InstanceId,
    /// What changes and why, in an operator's words.
    pub reason: String,
}

/// The next plan from the last, and what changed. `candidates` are unique.
#[must_use]
pub fn plan(purse: &Purse, candidates: &[Candidate], last: &Plan, now: Timestamp) -> (Plan, Vec<Decision>) {
    let mut next = Plan::default();
    next.pay_probes(purse);
    let urgencies: Vec<(Urgency, Option<Timestamp>)> =
        candidates.iter().map(|one| urgency(one, last.assignments.get(&one.instance), now)).collect();
    let weights: Vec<f64> = candidates
        .iter()
        .zip(&urgencies)
        .map(|(one, (urgency, _))| {
            let has = last.assignments.get(&one.instance).is_some_and(|held| held.level > Fidelity::Model);
            let matters = (1.0 + f64::from(one.criticality)) * 3f64.powi(*urgency as i32);
            if has { matters * INCUMBENCY } else { matters }
        })
        .collect();
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    // Names break ties, so that the same question has the same answer.
    order.sort_by(|&a, &b| {
        let heavier = weights[b].total_cmp(&weights[a]);
        heavier.then_with(|| candidates[a].instance.cmp(&candidates[b].instance))
    });
    // Everybody is simulated at least, so that is paid before anybody gets more.
    let model = purse.costs.model;
    next.cores += model.cores * candidates.len() as f64;
    next.memory_bytes += model.memory_bytes * candidates.len() as f64;
    let mut short = BTreeSet::new();
    for at in order {
        let (urgency, calmer_since) = urgencies[at];
        let (level, intensity) = next.spend(purse, &candidates[at], urgency);
        let wanted = wanted(purse, &candidates[at]);
        let (report_hz, scale) = if level == Fidelity::Model { (0.2, 0.0) } else { intensity.intensity() };
        if level < wanted || (level > Fidelity::Model && intensity < urgency) {
            short.insert(&candidates[at].instance);
        }
        let assignment = Assignment { level, report_hz, scale, urgency, calmer_since };
        next.assignments.insert(candidates[at].instance.clone(), assignment);
    }
    let decisions = decisions(candidates, (last, &next), &short);
    (next, decisions)
}

/// The level that an instance is to have if money were no matter.
fn wanted(purse: &Purse, one: &Candidate) -> Fidelity {
    let asked = one.asked.unwrap_or(Fidelity::Model);
    purse.levels.iter().copied().filter(|level| *level <= asked).max().unwrap_or(Fidelity::Model)
}

/// Rises at once, falls one step after a calm time.
fn urgency(one: &Candidate, held: Option<&Assignment>, now: Timestamp) -> (Urgency, Option<Timestamp>) {
    let Some(held) = held else { return (Urgency::of(one.need, true), None) };
    let risen = Urgency::of(one.need, true);
    if risen > held.urgency {
        return (risen, None);
    }
    let fallen = Urgency::of(one.need, false);
    if fallen >= held.urgency {
        return (held.urgency, None);
    }
    let since = held.calmer_since.unwrap_or(now);
    if now.0.saturating_sub(since.0) < CALM_US {
        return (held.urgency, Some(since));
    }
    let below = if held.urgency == Urgency::Acute { Urgency::Alert } else { Urgency::Calm };
    (below.max(fallen), None)
}

impl Plan {
    /// The probes come first: without them nothing can be told apart. They slow down before they are given up.
    fn pay_probes(&mut self, purse: &Purse) {
        for rate_hz in [10.0, 5.0, 2.0] {
            let cores = purse.costs.probes.cores * rate_hz / 10.0;
            if cores <= purse.cores && purse.costs.probes.memory_bytes <= purse.memory_bytes {
                self.probe_rate_hz = rate_hz;
                self.cores += cores;
                self.memory_bytes += purse.costs.probes.memory_bytes;
                return;
            }
        }
    }

    /// Pays the best that fits: first less intensity, then a lower level, at last the model, which is paid already.
    fn spend(&mut self, purse: &Purse, one: &Candidate, urgency: Urgency) -> (Fidelity, Urgency) {
        let wanted = wanted(purse, one);
        let mut levels: Vec<Fidelity> = purse
            .levels
            .iter()
            .copied()
            .filter(|level| *level <= wanted && *level > Fidelity::Model)
            .collect();
        levels.sort_by_key(|level| std::cmp::Reverse(*level));
        let steps =
            [Urgency::Acute, Urgency::Alert, Urgency::Calm].into_iter().filter(|step| *step <= urgency);
        for level in levels {
            for step in steps.clone() {
                let (base, (_, scale)) = (purse.costs.of(level), step.intensity());
                let (cores, bytes) =
                    (base.cores + scale * one.cores, base.memory_bytes + scale * one.memory_bytes);
                if self.cores + cores <= purse.cores && self.memory_bytes + bytes <= purse.memory_bytes {
                    self.cores += cores;
                    self.memory_bytes += bytes;
                    return (level, step);
                }
            }
        }
        (Fidelity::Model, Urgency::Calm)
    }
}

fn decisions(
    candidates: &[Candidate],
    (last, next): (&Plan, &Plan),
    short: &BTreeSet<&InstanceId>,
) -> Vec<Decision> {
    let mut decisions = Vec::new();
    for one in candidates {
        let Some(now) = next.assignments.get(&one.instance) else { continue };
        let before = last.assignments.get(&one.instance);
        let same =
            |held: &&Assignment| (held.level, held.scale.to_bits()) == (now.level, now.scale.to_bits());
        if before.filter(same).is_some()
            || (before.is_none() && now.level == Fidelity::Model && one.asked.is_none())
        {
            continue;
        }
        let from = before.map_or_else(|| "nothing".into(), text);
        let why = match before.map(|held| now.urgency.cmp(&held.urgency)) {
            Some(std::cmp::Ordering::Greater) => format!("it is {} (need {:.2})", now.urgency, one.need),
            Some(std::cmp::Ordering::Less) => {
                format!("it has been calmer for {} min", CALM_US / foretwin_core::MINUTE_US)
            }
            _ if short.contains(&one.instance) => "others matter more, and the budget is spent".into(),
            _ if one.asked.is_none() => "no replay is asked for".into(),
            _ => format!("the budget allows it (criticality {}, {})", one.criticality, now.urgency),
        };
        let budget =
            if short.contains(&one.instance) { "; less than asked for, the budget is spent" } else { "" };
        let reason = format!("from {from} to {}: {why}{budget}", text(now));
        decisions.push(Decision { instance: one.instance.clone(), reason });
    }
    decisions
}

fn text(held: &Assignment) -> String {
    if held.level == Fidelity::Model {
        return "the model".into();
    }
    format!("{} at {} of its load, {} reports/s", held.level, held.scale, held.report_hz)
}

#[cfg(test)]
mod tests;
