//! The fleet's days, minute by minute: what arrives is watched, what failed is learned from, what is said is kept.

use std::collections::BTreeMap;

use foretwin_core::{Alert, AlertId, Failure, InstanceId, InstanceKind};
use foretwin_foresee::policy::{self, Chance, Explanation, Memory, Policy, Signal};
use foretwin_foresee::{
    Config, Experience, Foretold, Outcome, Record, Situation, Statement, actions, causes,
};

use super::watch::{Watch, moment};
use super::world::{DAY, Ending, Plan, Sample, World};

/// Days between two lessons.
const LESSONS: u32 = 5;
/// Minutes between two looks at an instance, and between two statements that are kept.
const LOOK: u32 = 3;
const KEPT: u32 = 60;
/// Seconds between two moments that are learned from, where they lie well back and led to nothing.
const APART_S: f64 = 10_800.0;
/// The horizon that reasons are asked for.
const REASONS_S: f64 = 86_400.0;

/// A statement that is held against what came.
#[derive(Debug, Clone)]
pub struct Said {
    pub minute: u32,
    pub instance: usize,
    /// Probability within each horizon.
    pub within: Vec<f64>,
    /// Quantiles of the minutes to failure, where failure is likely at all.
    pub p10: Option<f64>,
    pub p90: Option<f64>,
}

/// What a simulation gave.
pub struct Course {
    pub world: World,
    pub plan: Plan,
    pub learn_days: u32,
    pub said: Vec<Said>,
    pub alerts: Vec<Alert>,
    /// Growths that were read, and failures that the last lesson had.
    pub reads: u64,
    pub lessons: usize,
}

/// An instance as whoever watches it has it.
struct Seat {
    instance: foretwin_core::Instance,
    watch: Watch,
    moments: Vec<(f64, Situation)>,
}

/// The watchers, what they learned, and what they tell.
struct Desk<'a> {
    config: &'a Config,
    seats: Vec<Seat>,
    records: Vec<Record>,
    experience: Option<Experience>,
    policy: Policy,
    alerts: BTreeMap<AlertId, Alert>,
    said: Vec<Said>,
}

/// Lives through all days; learns after `learn_days` and every few days from then on. `day` hears of every day that is
/// over.
pub fn run(plan: Plan, learn_days: u32, config: &Config, mut day: impl FnMut(u32)) -> Course {
    let mut world = World::new(plan);
    let mut desk = Desk::new(&world, config);
    let (mut arrived, mut seen, mut lessons) = (Vec::new(), 0, 0);
    for minute in 0..plan.days * DAY {
        world.step(minute, &mut arrived);
        for ending in &world.endings[seen..] {
            desk.fail(&world, ending);
        }
        seen = world.endings.len();
        if minute >= learn_days * DAY && (minute - learn_days * DAY).is_multiple_of(LESSONS * DAY) {
            lessons = desk.learn(&world, minute);
        }
        for (n, sample) in arrived.iter().enumerate() {
            if let Some(sample) = sample {
                desk.take(&world, (minute, n), sample);
            }
        }
        if minute % LOOK == 0 {
            desk.settle(minute);
        }
        if minute % DAY == DAY - 1 {
            desk.thin(minute);
            day(minute / DAY);
        }
    }
    let reads = desk.seats.iter().map(|seat| seat.watch.reads).sum();
    let alerts = desk.alerts.into_values().collect();
    Course { world, plan, learn_days, said: desk.said, alerts, reads, lessons }
}

impl<'a> Desk<'a> {
    fn new(world: &World, config: &'a Config) -> Self {
        let seat = |n: usize| {
            let (one, host) = (&world.instances[n], world.host(n));
            let identity = &world.identities[one.identity];
            let mut instance =
                foretwin_core::Instance::new(&one.name, InstanceKind::Container, host, &identity.name);
            instance.labels.insert("team".into(), identity.team.clone());
            Seat { instance, watch: Watch::default(), moments: Vec::new() }
        };
        let policy = Policy::new(policy::Config::default(), Memory::default());
        Self {
            config,
            seats: (0..world.instances.len()).map(seat).collect(),
            records: Vec::new(),
            experience: None,
            policy,
            alerts: BTreeMap::new(),
            said: Vec::new(),
        }
    }

    /// A failure ends a record, and is told to the policy.
    fn fail(&mut self, world: &World, ending: &Ending) {
        let seat = &mut self.seats[ending.instance];
        seat.watch.fail(ending.minute, ending.mode);
        let ended_s = 60.0 * f64::from(ending.minute);
        let outcome = Outcome { ended_s, failed: true, mode: Some(ending.mode), onset_s: None };
        let identity = Some(world.instances[ending.instance].identity as u64);
        self.records.push(Record { identity, moments: std::mem::take(&mut seat.moments), outcome });
        let (instance, at) = (seat.instance.id.clone(), moment(ending.minute));
        self.policy.fail(&Failure { instance, at, mode: ending.mode, note: String::new() });
    }

    /// Learns from all that failed and all that has not yet; how many failed.
    fn learn(&mut self, world: &World, minute: u32) -> usize {
        let failed = self.records.len();
        let open = self.seats.iter().enumerate().map(|(n, seat)| Record {
            identity: Some(world.instances[n].identity as u64),
            moments: seat.moments.clone(),
            outcome: Outcome { ended_s: 60.0 * f64::from(minute), failed: false, mode: None, onset_s: None },
        });
        self.records.extend(open);
        self.experience = Some(Experience::learn_weighted(&self.records, &self.config.horizons_s, quarters));
        self.records.truncate(failed);
        failed
    }

    /// Of what lies well back and led to nothing, a moment every few hours says all.
    fn thin(&mut self, minute: u32) {
        let lately = 60.0 * f64::from(minute.saturating_sub(DAY));
        for seat in &mut self.seats {
            let mut last = f64::NEG_INFINITY;
            seat.moments.retain(|(at, _)| {
                let kept = *at >= lately || at - last >= APART_S;
                last = if kept { *at } else { last };
                kept
            });
        }
    }

    /// Takes what arrived of an instance, looks at what needs it, and says what is to be said.
    fn take(&mut self, world: &World, (minute, n): (u32, usize), sample: &Sample) {
        let seat = &mut self.seats[n];
        seat.watch.take(minute, sample);
        if !(minute + n as u32).is_multiple_of(LOOK) {
            return;
        }
        let seed = ((n as u64) << 32) ^ u64::from(minute);
        let anew = seat.watch.look(minute, self.config, seed);
        let kept = (minute / LOOK + 7 * n as u32).is_multiple_of(KEPT / LOOK);
        if !anew && !kept {
            return;
        }
        let situation = seat.watch.situation(minute, self.config);
        // Who is in trouble that everybody sees says nothing of what is to come.
        let counts = !world.instances[n].suffers(minute);
        if let Some(experience) = &self.experience {
            let identity = Some(world.instances[n].identity as u64);
            let statement = experience.judge(&situation, identity);
            if counts && kept {
                let within = statement.within.clone();
                let likely = statement.time_to_failure.p50.is_some();
                let minutes = |t: Option<f64>| t.filter(|_| likely).map(|t| t / 60.0);
                let quantiles = statement.time_to_failure;
                let (p10, p90) = (minutes(quantiles.p10), minutes(quantiles.p90));
                self.said.push(Said { minute, instance: n, within, p10, p90 });
            }
            self.tell((minute, n), &statement);
        }
        if counts {
            self.seats[n].moments.push((60.0 * f64::from(minute), situation));
        }
    }

    /// Tells the policy, with reasons where it wants them.
    fn tell(&mut self, (minute, n): (u32, usize), statement: &Statement) {
        let seat = &self.seats[n];
        let confidence = statement.confidence.iter().copied().fold(1.0, f64::min);
        let chance = |told: &Foretold| Chance {
            mode: told.mode,
            within: self.config.horizons_s.iter().copied().zip(told.within.iter().copied()).collect(),
            time_to_failure: told.time_to_failure,
            confidence,
        };
        let chances: Vec<Chance> = statement.modes.iter().map(chance).collect();
        let at = moment(minute);
        let signal = Signal { instance: &seat.instance, at, chances: &chances, anomaly: None, verdict: None };
        if self.policy.observe(&signal) {
            let (id, risks) = (&seat.instance.id, seat.watch.risks(minute, self.config, u64::from(minute)));
            let why = Explanation {
                causes: causes(id, &risks, at, REASONS_S, self.config),
                actions: actions(id, &risks, REASONS_S, self.config),
            };
            self.policy.explain(id, why);
        }
    }

    fn settle(&mut self, minute: u32) {
        for change in self.policy.settle(moment(minute)) {
            let alert = change.alert();
            self.alerts.insert(alert.id.clone(), alert.clone());
        }
    }
}

/// Quarters of an hour until the next moment of a record: looks are more frequent where something may fail, and must not
/// count for more there.
fn quarters(record: &Record, index: usize) -> f64 {
    let (at, _) = record.moments[index];
    let next = record.moments.get(index + 1).map_or(record.outcome.ended_s, |(next, _)| *next);
    (next - at).clamp(0.0, APART_S) / 900.0
}

/// The number of an instance by its name.
pub fn numbers(world: &World) -> BTreeMap<InstanceId, usize> {
    world.instances.iter().enumerate().map(|(n, one)| (InstanceId::new(&one.name), n)).collect()
}
