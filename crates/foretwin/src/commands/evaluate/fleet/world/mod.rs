//! A fleet that exists only here: workloads on shared hosts, minute by minute, on a clock of its own.
//!
//! Independent of what the product assumes: no level is drawn from a trend, a shape or a distribution that foresight
//! fits. Memory follows from sessions that come and stay, misses and evictions, garbage and collections; volumes from
//! rotation, merging and copies; response times from a queue on processors that are shared; faults lose objects one by
//! one. What is drawn is arrivals, sizes and human affairs. Seeded: the same plan gives the same world.

use foretwin_core::FailureMode;

mod chance;
mod disk;
mod fault;
mod host;
mod identity;
mod instance;
mod load;
mod memory;
mod telemetry;

pub use chance::Chance;
use fault::Fault;
pub use fault::FaultKind;
use host::{Host, Tenant};
pub use identity::{Identity, SORTS};
pub use instance::Ending;
use instance::Instance;
pub use load::DAY;
pub use telemetry::{RESOURCES, Sample};

/// Instances of a host, about, and of a workload, about.
const PER_HOST: usize = 8;
const PER_IDENTITY: usize = 25;
/// Teams.
pub const TEAMS: usize = 6;
/// Chances a day: that something goes wrong with an instance, that another tenant of a host takes what it can, that
/// a workload is released, and that such a release is bad.
const FAULTS: f64 = 0.014;
const TENANTS: f64 = 0.012;
const RELEASES: f64 = 0.28;
const BAD: f64 = 0.02;
/// How often somebody notices in time by himself.
const NOTICED: f64 = 0.2;

/// What is simulated.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub instances: usize,
    pub days: u32,
    pub seed: u64,
    /// How much goes wrong, against the ordinary; 0: nothing.
    pub misfortune: f64,
}

/// A fault from its beginning to its end.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Trouble {
    instance: usize,
    kind: FaultKind,
    from: u32,
    until: u32,
}

/// The fleet.
pub struct World {
    plan: Plan,
    chance: Chance,
    pub identities: Vec<Identity>,
    hosts: Vec<Host>,
    pub instances: Vec<Instance>,
    /// Restarts that are planned: minute, instance, and whether memory is added.
    restarts: Vec<(u32, usize, bool)>,
    /// All failures so far.
    pub endings: Vec<Ending>,
    /// All faults so far that are over.
    troubles: Vec<Trouble>,
    /// All tenants so far: host, and minutes of coming and going.
    tenants: Vec<(usize, u32, u32)>,
}

impl World {
    pub fn new(plan: Plan) -> Self {
        let mut chance = Chance::new(plan.seed, 0);
        let workloads = (plan.instances / PER_IDENTITY).max(SORTS.len());
        let identity = |number| Identity::new(number, format!("team-{}", number % TEAMS), &mut chance);
        let identities: Vec<Identity> = (0..workloads).map(identity).collect();
        let count = plan.instances.div_ceil(PER_HOST);
        let mut places: Vec<usize> = (0..plan.instances).map(|n| n % count).collect();
        for n in (1..places.len()).rev() {
            places.swap(n, chance.below(n + 1));
        }
        let make = |n: usize| {
            let (identity, host) = (n % workloads, places[n]);
            let name = format!("host-{host}/{}-{}", identities[identity].name, n / workloads);
            Instance::new(name, (identity, host), Chance::new(plan.seed, n as u64 + 1))
        };
        let instances: Vec<Instance> = (0..plan.instances).map(make).collect();
        let hosts = (0..count).map(|n| {
            let needs =
                |one: &Instance| identities[one.identity].demand.usual() * identities[one.identity].cost;
            let needed: f64 = instances.iter().filter(|one| one.host == n).map(needs).sum();
            let cores = (needed / chance.between(0.35, 0.6)).max(0.1);
            Host { name: format!("host-{n}"), cores, tenant: None, busy: 0.0 }
        });
        let hosts = hosts.collect();
        let (restarts, endings, troubles, tenants) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { plan, chance, identities, hosts, instances, restarts, endings, troubles, tenants }
    }

    /// The name of the host of an instance.
    pub fn host(&self, instance: usize) -> &str {
        &self.hosts[self.instances[instance].host].name
    }

    /// Whether anything was wrong with an instance, of the kind that fails this way, at any minute of a span.
    pub fn ails(&self, instance: usize, mode: Option<FailureMode>, (from, until): (u32, u32)) -> bool {
        let (one, fits) = (&self.instances[instance], |kind: FaultKind| Some(kind.mode()) == mode);
        let past = self.troubles.iter().any(|trouble| {
            trouble.instance == instance
                && fits(trouble.kind)
                && trouble.from <= until
                && trouble.until >= from
        });
        let slow = mode == Some(FailureMode::LatencyBreach)
            && self
                .tenants
                .iter()
                .any(|&(host, begin, end)| host == one.host && begin <= until && end >= from);
        past || slow || one.fault.is_some_and(|fault| fits(fault.kind) && fault.from <= until)
    }

    /// Lives through a minute; what arrives of each instance.
    pub fn step(&mut self, minute: u32, arrived: &mut Vec<Option<Sample>>) {
        self.happen(minute);
        let rates: Vec<f64> =
            self.identities.iter_mut().map(|one| one.demand.step(minute, &mut self.chance)).collect();
        let mut wanted = vec![0.0; self.hosts.len()];
        for one in &mut self.instances {
            wanted[one.host] +=
                one.ask(minute, rates[one.identity]) / 60.0 * self.identities[one.identity].cost;
        }
        for (host, wanted) in self.hosts.iter_mut().zip(wanted) {
            host.step(minute, wanted, &mut self.chance);
        }
        arrived.clear();
        for (n, one) in self.instances.iter_mut().enumerate() {
            let host = &self.hosts[one.host];
            let (sample, failed) = one.step((minute, host.delay()), &self.identities[one.identity]);
            arrived.push(sample);
            let Some(mode) = failed else { continue };
            let (kind, onset) = reason(one, host, (mode, minute));
            self.endings.push(Ending { minute, instance: n, mode, kind, onset });
            if let Some(fault) = &mut one.fault {
                // Somebody looks into it, sooner or later.
                fault.mended = fault.mended.min(minute + one.chance.log_between(60.0, 1500.0) as u32);
            }
        }
    }

    /// What people and misfortune do.
    fn happen(&mut self, minute: u32) {
        self.release(minute);
        let due: Vec<(u32, usize, bool)> =
            self.restarts.iter().copied().filter(|one| one.0 <= minute).collect();
        self.restarts.retain(|one| one.0 > minute);
        for (_, n, larger) in due {
            let one = &mut self.instances[n];
            if larger {
                one.enlarge();
            }
            one.restart(minute, 2);
        }
        for n in 0..self.instances.len() {
            let over = self.instances[n].fault.is_some_and(|fault| fault.mended <= minute);
            if over {
                self.end(n, minute);
            }
        }
        let a_minute = |a_day: f64, of: usize| a_day * of as f64 / f64::from(DAY);
        let faults = self.plan.misfortune * a_minute(FAULTS, self.instances.len());
        for _ in 0..self.chance.count(faults) as usize {
            let n = self.chance.below(self.instances.len());
            let kind = FaultKind::OWN[self.chance.choose(&FaultKind::OWN.map(|(_, weight)| weight))].0;
            self.begin(minute, n, kind);
        }
        let tenants = self.plan.misfortune * a_minute(TENANTS, self.hosts.len());
        for _ in 0..self.chance.count(tenants) as usize {
            self.invade(minute);
        }
    }

    /// Another tenant comes to a host.
    fn invade(&mut self, minute: u32) {
        let n = self.chance.below(self.hosts.len());
        let lasts = if self.chance.happens(0.3) { 0.0 } else { self.chance.log_between(30.0, 300.0) };
        let host = &mut self.hosts[n];
        if host.tenant.is_none() {
            let wants = (self.chance.between(0.97, 1.3) - host.busy).max(0.1) * host.cores;
            let tenant = Tenant::new(minute, lasts as u32, wants, &mut self.chance);
            self.tenants.push((n, minute, tenant.until));
            host.tenant = Some(tenant);
        }
    }

    /// Something begins to go wrong with an instance.
    fn begin(&mut self, minute: u32, n: usize, kind: FaultKind) {
        let one = &mut self.instances[n];
        if one.fault.is_some() {
            return;
        }
        if matches!(kind, FaultKind::CrashLoop | FaultKind::SuddenDeath) {
            one.crash(minute, kind);
            if kind == FaultKind::SuddenDeath {
                one.restart(minute, 3);
            }
            let mode = kind.mode();
            self.endings.push(Ending { minute, instance: n, mode, kind, onset: minute });
            return;
        }
        let longest = if kind == FaultKind::DebugFlood { 600.0 } else { 5000.0 };
        let lasts = self.chance.log_between(30.0, longest);
        let headroom = one.headroom(kind, &self.identities[one.identity]);
        if headroom <= 0.0 {
            return;
        }
        let mut fault = Fault::new(kind, minute, (headroom, lasts), &mut self.chance);
        if self.chance.happens(NOTICED) {
            fault.mended = minute + (lasts * self.chance.between(0.2, 0.9)) as u32 + 1;
        }
        one.fault = Some(fault);
    }

    /// What was wrong is mended.
    fn end(&mut self, n: usize, minute: u32) {
        let one = &mut self.instances[n];
        if let Some(fault) = one.fault {
            self.troubles.push(Trouble { instance: n, kind: fault.kind, from: fault.from, until: minute });
        }
        one.mend(minute);
    }

    /// Workloads are released in working hours.
    fn release(&mut self, minute: u32) {
        let hour = minute % DAY / 60;
        if !(9..17).contains(&hour) || (minute / DAY) % 7 >= 5 {
            return;
        }
        for identity in 0..self.identities.len() {
            if self.chance.happens(RELEASES / 480.0) {
                self.roll_out(identity, minute);
            }
        }
    }

    /// A release restarts one instance after the other; a bad one leaks in all of them, until it is rolled back.
    fn roll_out(&mut self, identity: usize, minute: u32) {
        let traits = &mut self.identities[identity].memory;
        let base = traits.base * self.chance.between(0.93, 1.08);
        traits.base = base.clamp(0.05 * traits.limit, 0.7 * traits.limit);
        let larger = self.chance.happens(0.1);
        let bad = self.chance.happens(BAD * self.plan.misfortune);
        let (pause, mut at) = (self.chance.between(2.0, 10.0), f64::from(minute));
        let rolled_back = minute + self.chance.log_between(300.0, 1500.0) as u32;
        for n in 0..self.instances.len() {
            if self.instances[n].identity != identity {
                continue;
            }
            at += pause;
            self.restarts.push((at as u32, n, larger));
            if bad {
                self.begin(at as u32, n, FaultKind::LeakPerRequest);
                if let Some(fault) = &mut self.instances[n].fault {
                    fault.mended = fault.mended.min(rolled_back);
                }
            }
        }
    }
}

/// What led to a failure, and since when.
fn reason(one: &Instance, host: &Host, (mode, minute): (FailureMode, u32)) -> (FaultKind, u32) {
    if mode == FailureMode::Crash {
        return (FaultKind::CrashLoop, minute);
    }
    if mode == FailureMode::LatencyBreach {
        return match host.tenant {
            Some(tenant) if tenant.lasts > 0 => (FaultKind::Neighbour, tenant.from),
            Some(tenant) => (FaultKind::NeighbourAtOnce, tenant.from),
            None => (FaultKind::Surge, minute),
        };
    }
    match one.fault {
        Some(fault) if fault.kind.mode() == mode => {
            (fault.kind, fault.from.max(if mode == FailureMode::DiskFull { 0 } else { one.began }))
        }
        _ => (FaultKind::Surge, minute),
    }
}
