//! What speaks for which trouble: departures from what is usual, each as a strength, with the words for it.

use foretwin_core::Evidence;

use super::baseline::{Baseline, Usual};
use super::habit::{Excess, Habits, Resource};
use super::second::{Neighbour, Probe, TWIN};
use super::sustained::Sustained;
use super::window::{self, Of, Row};
use crate::words;

/// Standard deviations from which a departure counts, and beyond which it counts no more.
type Span = (f32, f32);

/// The application: work per request, growth of memory, its own quota.
const WORK: Span = (2.5, 7.5);
const LEAK: Span = (4.0, 9.0);
const LIMIT: Span = (3.0, 8.0);
/// Load: natural logarithm above the highest learned rate, in units of `LOAD_UNIT`.
const LOAD: Span = (1.0, 5.0);
const LOAD_UNIT: f32 = 0.08;
/// The kernel's counters.
const STALL: Span = (3.0, 8.0);
const MEMORY: Span = (2.0, 6.0);
const REFAULTS: Span = (4.0, 8.0);
const PARENT: Span = (3.0, 8.0);
const STEAL: Span = (3.0, 7.0);
/// Share of memory around the original that is used up, in units of `FULL_UNIT`: whoever takes fresh pages then
/// reclaims first.
const FULL: Span = (46.0, 49.0);
const FULL_UNIT: f32 = 0.02;
/// Costs of the twin.
const COST: Span = (3.0, 7.0);
/// A neighbour beyond its habits, in units worth naming.
const EXCESS: Span = (0.5, 4.0);
/// Share of its capacity from which a group is saturated.
const SATURATED: f32 = 0.92;
/// The latency of production.
const LATENCY: Span = (3.0, 8.0);

/// A strength, from which feature it comes.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Sign {
    pub strength: f32,
    pub feature: usize,
}

/// All signs of a window.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Signs {
    pub load: Sign,
    pub work: Sign,
    pub leak: Sign,
    pub limit: Sign,
    pub latency: Sign,
    pub stall: Sign,
    pub memory: Sign,
    pub io: Sign,
    pub parent: Sign,
    pub steal: Sign,
    /// Memory around the original, nearly used up.
    pub full: Sign,
    /// One per kind of probe that departs, strongest first.
    pub probes: Vec<(Probe, Sign)>,
    /// The second model's score.
    pub model: Sign,
    /// The neighbour that exceeds its habits most.
    pub neighbour: Option<Excess>,
    /// Strength of that excess.
    pub excess: f32,
    /// The original itself beyond its habits, in the same units: cores and memory.
    pub own_cpu: f32,
    pub own_memory: f32,
    /// Whether the own load is beyond all that was learned.
    pub beyond: bool,
    /// Whether the group around the original uses all it may.
    pub saturated: bool,
}

impl Signs {
    /// Whether nothing departs but the load.
    pub fn is_only_load(&self) -> bool {
        let own = [self.work, self.leak, self.limit, self.latency];
        let counters = [self.stall, self.memory, self.io, self.parent, self.steal, self.full];
        let still = |sign: &Sign| sign.strength == 0.0;
        self.load.strength > 0.0
            && own.iter().chain(&counters).all(still)
            && self.probes.is_empty()
            && !self.saturated
    }
}

fn above(z: f32, (low, high): Span) -> f32 {
    if z.is_finite() { (z - low).clamp(0.0, high - low) } else { 0.0 }
}

/// What a window is read against.
pub(super) struct Known<'a> {
    pub usual: &'a [Usual],
    pub baseline: &'a Baseline,
    pub habits: &'a Habits,
    pub neighbours: &'a [Neighbour],
    /// How long and how far a request has cost more than usual.
    pub costlier: Sustained,
}

/// How far a feature is from what is usual, in deviations.
pub(super) fn departure(row: &Row, usual: &[Usual], of: Of) -> f32 {
    let feature = of as usize;
    (row.features[feature] - usual[feature].median) / usual[feature].scale
}

/// Reads a window against what is known.
pub(super) fn read(row: &Row, known: &Known<'_>) -> Signs {
    let Known { usual, baseline, habits, neighbours, costlier } = *known;
    let z = |feature: usize| (row.features[feature] - usual[feature].median) / usual[feature].scale;
    let sign = |of: Of, span: Span| Sign { strength: above(z(of as usize), span), feature: of as usize };
    let stronger = |a: Sign, b: Sign| if b.strength > a.strength { b } else { a };
    let rate = Of::Rate as usize;
    let load = above((row.features[rate] - baseline.highest(rate)) / LOAD_UNIT, LOAD);
    let mut refaults = sign(Of::Refaults, REFAULTS);
    refaults.strength *= 0.5;
    let mut work = sign(Of::Work, WORK);
    work.strength = (work.strength + costlier.strength()).min(WORK.1 - WORK.0);
    let neighbour = habits.excess(neighbours, &row.others);
    Signs {
        load: Sign { strength: load, feature: rate },
        work,
        leak: sign(Of::Leak, LEAK),
        limit: sign(Of::Throttled, LIMIT),
        latency: stronger(sign(Of::LatencyP50, LATENCY), sign(Of::LatencyP90, LATENCY)),
        stall: stronger(sign(Of::CpuStall, STALL), sign(Of::RunDelay, STALL)),
        memory: stronger(sign(Of::MemoryStall, MEMORY), refaults),
        io: sign(Of::IoStall, STEAL),
        parent: sign(Of::ParentThrottled, PARENT),
        steal: sign(Of::Steal, STEAL),
        full: Sign {
            strength: above(row.features[Of::MemoryFull as usize] / FULL_UNIT, FULL),
            feature: Of::MemoryFull as usize,
        },
        probes: probes(&z),
        model: Sign { strength: above(z(window::MODEL), COST), feature: window::MODEL },
        excess: neighbour.map_or(0.0, |excess| above(excess.size, EXCESS)),
        neighbour,
        own_cpu: habits.own_excess(&row.own, Resource::Cpu),
        own_memory: habits.own_excess(&row.own, Resource::Memory),
        beyond: baseline.is_beyond(row.regime),
        saturated: row.saturation > SATURATED,
    }
}

/// The strongest departure of each kind of probe.
fn probes(z: &impl Fn(usize) -> f32) -> Vec<(Probe, Sign)> {
    let mut found: Vec<(Probe, Sign)> = Vec::new();
    for (cost, (_, kind)) in TWIN.iter().enumerate() {
        let feature = window::OWN + cost;
        let sign = Sign { strength: above(z(feature), COST), feature };
        match found.iter_mut().find(|(known, _)| known == kind) {
            Some((_, known)) if known.strength < sign.strength => *known = sign,
            Some(_) => {}
            None => found.push((*kind, sign)),
        }
    }
    found.retain(|(_, sign)| sign.strength > 0.0);
    found.sort_by(|a, b| b.1.strength.total_cmp(&a.1.strength));
    found
}

/// A departure in an operator's words.
pub(super) fn evidence(feature: usize, row: &Row, usual: &[Usual]) -> Evidence {
    let (now, before) = (row.features[feature], usual[feature].median);
    let what = match feature.checked_sub(window::OWN) {
        Some(_) if feature == window::MODEL => "the twin: how surprising its costs are".into(),
        Some(cost) => format!("the twin: {}", TWIN[cost].1.as_str()),
        None => window::said(feature).into(),
    };
    let statement = if window::is_log(feature) {
        let factor = f64::from(now - before).exp();
        format!("{what} is {} times what is usual at this load", words::plain(factor))
    } else if feature == Of::Leak as usize {
        format!("{what} by {} per second, usually {}", words::bytes(now.into()), words::bytes(before.into()))
    } else {
        format!(
            "{what} {} of the time, usually {}",
            words::percent(now.into()),
            words::percent(before.into())
        )
    };
    Evidence { metric: window::key(feature).into(), statement }
}
