//! One host as the contrast sees it: who uses what, what the twin's work costs, and a comparison for every instance that
//! is worth one.

use std::collections::HashMap;
use std::sync::Arc;

use foretwin_core::{
    Contrast, Fidelity, Fnv64, Instance, InstanceId, Risk, Schema, SchemaId, Timestamp, Value,
};
use foretwin_foresee::contrast::{COSTS, Comparison, Kernel, Limits, Neighbour, Production, Second, TWIN};

use super::kept::{Basis, Kept, Resting};
use super::requests::Requests;
use super::usage::{Meter, Usage};

/// Numbers older than this are not of this second.
const FRESH_S: f64 = 3.0;
/// Seconds before the last one of an earlier life that the log may say again; more is a clock that was set back.
const REPLAYED_S: f64 = 3600.0;
/// Most instances of a host that are compared, and least use that makes an instance worth it, in cores.
const MOST_COMPARED: usize = 64;
const WORTH_CORES: f64 = 0.002;
/// Most neighbours that a comparison looks at: those that use most.
const MOST_NEIGHBOURS: usize = 24;

/// One host.
pub(super) struct Scene {
    host: InstanceId,
    config: Arc<foretwin_twin::Config>,
    members: HashMap<InstanceId, Member>,
    twin: Option<Twin>,
    /// With what the comparisons have learned, whether it runs now or not.
    basis: Option<Basis>,
    comparisons: HashMap<InstanceId, Compared>,
    /// Comparisons of an earlier life whose instances have not been seen in this one.
    resting: HashMap<InstanceId, Resting>,
}

#[derive(Default)]
struct Member {
    parent: Option<InstanceId>,
    workload: String,
    meter: Meter,
    requests: Requests,
}

/// The host's probes.
struct Twin {
    id: InstanceId,
    fidelity: Fidelity,
    columns: Option<(SchemaId, [Option<usize>; COSTS])>,
    /// When, what each unit of work cost, and what the second model made of it.
    latest: Option<(Timestamp, [f64; COSTS], f64)>,
}

struct Compared {
    comparison: Comparison,
    contrast: Option<Contrast>,
    /// The last second that an earlier life took, which the log may say again.
    until: Option<Timestamp>,
}

impl Scene {
    pub(super) fn new(host: &str, config: Arc<foretwin_twin::Config>) -> Self {
        Self {
            host: InstanceId::new(host),
            config,
            members: HashMap::new(),
            twin: None,
            basis: None,
            comparisons: HashMap::new(),
            resting: HashMap::new(),
        }
    }

    /// Takes what is known of an instance on this host.
    pub(super) fn describe(&mut self, instance: &Instance) {
        if instance.twin_of.is_some() {
            let told = instance.labels.get("fidelity").map(String::as_str);
            let fidelity = [Fidelity::Microvm, Fidelity::Container, Fidelity::Process]
                .into_iter()
                .find(|level| told == Some(level.as_str()))
                .unwrap_or(Fidelity::Model);
            // Replays are twins too; the host's own is the one that probes.
            if instance.twin_of.as_ref() == Some(&self.host) {
                let (columns, latest) = (None, None);
                self.twin = Some(Twin { id: instance.id.clone(), fidelity, columns, latest });
                self.learn_with(Basis { twin: instance.id.clone(), fidelity, probes: None });
            }
            return;
        }
        let member = self.members.entry(instance.id.clone()).or_default();
        member.parent = instance.parent.clone();
        member.workload.clone_from(&instance.workload.0);
    }

    /// What was learned with other probes is worth nothing with these.
    fn learn_with(&mut self, basis: Basis) {
        let known = |old: &Basis| {
            let probes = old.probes.is_none() || basis.probes.is_none() || old.probes == basis.probes;
            old.twin == basis.twin && old.fidelity == basis.fidelity && probes
        };
        if !self.basis.as_ref().is_some_and(known) {
            self.comparisons.clear();
            self.resting.clear();
        }
        let probes = basis.probes.or(self.basis.as_ref().filter(|old| known(old)).and_then(|old| old.probes));
        self.basis = Some(Basis { probes, ..basis });
    }

    /// Takes what an earlier life has learned, as far as it is of use beside the twin that is known; `profile` is the
    /// version pinned for an instance.
    pub(super) fn recall(&mut self, kept: Kept, profile: &dyn Fn(&InstanceId) -> Option<u64>) {
        let Some(basis) = &self.basis else { return };
        if (&basis.twin, basis.fidelity) != (&kept.basis.twin, kept.basis.fidelity) {
            return;
        }
        self.basis = Some(kept.basis);
        let same = |one: &Resting| profile(&one.instance) == one.profile;
        let of_use = kept.comparisons.into_iter().filter(same);
        self.resting.extend(of_use.map(|one| (one.instance.clone(), one)));
    }

    /// What the comparisons know now, for a later life. Versions of profiles are not known here.
    pub(super) fn rest(&self) -> Option<Kept> {
        let basis = self.basis.clone()?;
        let now = self.comparisons.iter().filter_map(|(id, compared)| {
            let at = compared.contrast.as_ref()?.at;
            let comparison = compared.comparison.clone();
            Some(Resting { instance: id.clone(), at, profile: None, comparison })
        });
        let comparisons = now.chain(self.resting.values().cloned()).collect();
        Some(Kept { basis, comparisons })
    }

    /// An instance is gone, and its comparison with it.
    pub(super) fn vanished(&mut self, id: &InstanceId) {
        self.comparisons.remove(id);
        self.resting.remove(id);
        // Containers come and go for years: what is gone is forgotten.
        self.members.remove(id);
        if self.twin.as_ref().is_some_and(|twin| twin.id == *id) {
            self.twin = None;
        }
    }

    /// Takes a frame; the frame of the host itself ends a second, and its contrasts are handed to `say`.
    pub(super) fn take(
        &mut self,
        id: &InstanceId,
        (schema, at, values): (&Arc<Schema>, Timestamp, &[Value]),
        score: Option<f64>,
        say: &mut dyn FnMut(&Contrast),
    ) {
        if let Some(twin) = self.twin.as_mut().filter(|twin| twin.id == *id) {
            if twin.take(schema, at, values, score) {
                let basis = twin.basis();
                self.learn_with(basis);
            }
            return;
        }
        let member = self.members.entry(id.clone()).or_default();
        let is_use = member.meter.take(schema, at, values);
        if !is_use {
            member.requests.take(schema, at, values);
        }
        if is_use && *id == self.host {
            self.step(at, say);
        }
    }

    /// The latest contrast of an instance.
    pub(super) fn contrast(&self, id: &InstanceId) -> Option<&Contrast> {
        self.comparisons.get(id)?.contrast.as_ref()
    }

    /// When, by the twin's drift, latency will break.
    pub(super) fn ahead(&self, id: &InstanceId, config: &foretwin_foresee::Config) -> Option<Risk> {
        let compared = self.comparisons.get(id)?;
        compared.comparison.ahead().risk(config)
    }

    /// The host's probes: which instance reports them, and what they run in.
    pub(super) fn twin(&self) -> Option<(&InstanceId, Fidelity)> {
        self.twin.as_ref().map(|twin| (&twin.id, twin.fidelity))
    }

    pub(super) fn compared(&self) -> impl Iterator<Item = (&InstanceId, &Contrast)> {
        self.comparisons.iter().filter_map(|(id, compared)| Some((id, compared.contrast.as_ref()?)))
    }

    fn step(&mut self, at: Timestamp, say: &mut dyn FnMut(&Contrast)) {
        let Some(twin) = &self.twin else { return };
        let (fidelity, costs) =
            (twin.fidelity, twin.latest.filter(|latest| at.since(latest.0).abs() < FRESH_S));
        let leaves = self.leaves(at);
        self.admit(at, &leaves, fidelity);
        let seconds: Vec<(InstanceId, Second)> = self
            .comparisons
            .keys()
            .filter_map(|id| Some((id.clone(), self.second(id, at, &leaves)?)))
            .collect();
        for (id, mut second) in seconds {
            let real = costs.filter(|_| fidelity > Fidelity::Model);
            (second.twin, second.twin_score) = (real.map(|c| c.1), real.map_or(f64::NAN, |c| c.2));
            let Some(compared) = self.comparisons.get_mut(&id) else { continue };
            if compared.until.is_some_and(|until| (0.0..REPLAYED_S).contains(&until.since(at))) {
                continue;
            }
            let contrast = compared.comparison.step(second);
            let before = compared.contrast.replace(contrast);
            let Some(now) = &compared.contrast else { continue };
            if before.is_none_or(|before| before.verdict.class != now.verdict.class) {
                say(now);
            }
        }
    }

    /// Instances that contain no other, with what they use now, the largest first.
    fn leaves(&self, at: Timestamp) -> Vec<(InstanceId, Usage)> {
        let fresh = |member: &Member| member.meter.latest.filter(|usage| at.since(usage.at).abs() < FRESH_S);
        let parents: std::collections::HashSet<&InstanceId> = (self.members.values())
            .filter(|member| fresh(member).is_some())
            .filter_map(|member| member.parent.as_ref())
            .collect();
        let mut leaves: Vec<(InstanceId, Usage)> = (self.members.iter())
            .filter(|(id, _)| **id != self.host && !parents.contains(id) && !is_twins(id))
            .filter_map(|(id, member)| Some((id.clone(), fresh(member)?)))
            .collect();
        leaves.sort_by(|a, b| b.1.cpu.max(0.0).total_cmp(&a.1.cpu.max(0.0)).then_with(|| a.0.cmp(&b.0)));
        leaves
    }

    /// Begins comparisons of the host as a whole and of those that work on it, while there is room.
    fn admit(&mut self, at: Timestamp, leaves: &[(InstanceId, Usage)], fidelity: Fidelity) {
        let host = self.host.clone();
        if !self.comparisons.contains_key(&host) {
            self.begin(&host, at, fidelity);
        }
        for (id, usage) in leaves {
            if self.comparisons.len() >= MOST_COMPARED {
                return;
            }
            if usage.cpu >= WORTH_CORES && !self.comparisons.contains_key(id) {
                self.begin(id, at, fidelity);
            }
        }
    }

    /// Begins a comparison, or goes on with one of an earlier life.
    fn begin(&mut self, id: &InstanceId, at: Timestamp, fidelity: Fidelity) {
        let workload = self.members.get(id).map_or("", |member| member.workload.as_str());
        let set = self.config.limits_of(id.as_str(), workload);
        let limits = Limits { latency_p90_s: set.latency_p90_s, throughput: set.throughput };
        let rested = self.resting.remove(id).filter(|one| one.is_fresh(at));
        let until = rested.as_ref().map(|one| one.at);
        let comparison = rested.map_or_else(
            || Comparison::new(id.clone(), fidelity),
            |one| one.comparison.rested(at.since(one.at)),
        );
        let compared = Compared { comparison: comparison.with_limits(limits), contrast: None, until };
        self.comparisons.insert(id.clone(), compared);
    }

    /// A second of one instance; none while its own numbers are not of this second.
    fn second(&self, id: &InstanceId, at: Timestamp, leaves: &[(InstanceId, Usage)]) -> Option<Second> {
        let member = self.members.get(id)?;
        let usage = member.meter.latest.filter(|usage| at.since(usage.at).abs() < FRESH_S)?;
        let parent = member.parent.as_ref().filter(|parent| **parent != self.host);
        let around = parent.and_then(|parent| self.members.get(parent)?.meter.latest);
        let machine = self.members.get(&self.host)?.meter.latest;
        let fared = member.requests.latest.filter(|fared| at.since(fared.at).abs() < 2.0 * FRESH_S);
        let production = Production {
            rate: fared.map_or(f64::NAN, |fared| fared.rate),
            errors: f64::NAN,
            latency_p50_s: fared.map_or(f64::NAN, |fared| fared.p50_s),
            latency_p90_s: fared.map_or(f64::NAN, |fared| fared.p90_s),
            cpu: usage.cpu,
            memory: usage.memory,
            io: usage.io,
            throttled: usage.throttled,
        };
        let kernel = kernel(&usage, around, machine);
        // What runs on a host is the host's own work; its neighbours are beyond what it sees, and show as steal.
        let neighbours = if *id == self.host { Vec::new() } else { self.neighbours(id, parent, leaves) };
        Some(Second { at, production, kernel, neighbours, twin: None, twin_score: f64::NAN })
    }

    /// The others that use most of the processors and the disks.
    fn neighbours(
        &self,
        id: &InstanceId,
        parent: Option<&InstanceId>,
        leaves: &[(InstanceId, Usage)],
    ) -> Vec<Neighbour> {
        let others = || leaves.iter().filter(|(other, _)| other != id);
        let mut chosen: Vec<&(InstanceId, Usage)> = others().take(MOST_NEIGHBOURS / 2).collect();
        let mut by_io: Vec<&(InstanceId, Usage)> = others().skip(MOST_NEIGHBOURS / 2).collect();
        by_io.sort_by(|a, b| busy(&b.1).total_cmp(&busy(&a.1)));
        chosen.extend(by_io.into_iter().take(MOST_NEIGHBOURS / 2));
        let known = |value: f64| if value.is_finite() { value } else { 0.0 };
        let neighbour = |(other, usage): &(InstanceId, Usage)| Neighbour {
            id: other.clone(),
            cpu: known(usage.cpu),
            io: known(usage.io),
            io_stall: known(usage.io_stall),
            memory: known(usage.memory),
            inside: parent.is_some_and(|parent| self.is_below(other, parent)),
        };
        chosen.into_iter().map(neighbour).collect()
    }

    fn is_below(&self, id: &InstanceId, group: &InstanceId) -> bool {
        let above = |id: &InstanceId| self.members.get(id).and_then(|member| member.parent.clone());
        std::iter::successors(above(id), above).take(64).any(|one| one == *group)
    }
}

/// What the kernel counts of an instance, of the group around it, and of the machine.
fn kernel(own: &Usage, around: Option<Usage>, machine: Option<Usage>) -> Kernel {
    let full = [around, machine].into_iter().flatten().map(|one| one.memory_full);
    Kernel {
        parent_throttled: around.map_or(0.0, |around| around.throttled.max(0.0)),
        parent_capacity: around.map_or(f64::NAN, |around| around.limit),
        parent_cpu: around.or(machine).map_or(f64::NAN, |around| around.cpu),
        cpu_stall: own.cpu_stall,
        memory_stall: own.memory_stall,
        io_stall: own.io_stall,
        run_delay: f64::NAN,
        refaults: own.refaults,
        steal: machine.map_or(f64::NAN, |machine| machine.steal),
        memory_full: full.fold(f64::NAN, f64::max),
    }
}

/// How much a disk is used: bytes where they are counted, else by whoever waits for it.
fn busy(usage: &Usage) -> f64 {
    usage.io.max(0.0) + 1e8 * usage.io_stall.max(0.0)
}

/// Whether a group holds a twin: what it uses is Foretwin's, and small.
fn is_twins(id: &InstanceId) -> bool {
    let name = id.as_str().rsplit('/').next().unwrap_or_default();
    name.starts_with("foretwin-probe-") || name.starts_with("foretwin-twin-")
}

impl Twin {
    /// Takes a frame; whether it is the first with these probes.
    fn take(&mut self, schema: &Arc<Schema>, at: Timestamp, values: &[Value], score: Option<f64>) -> bool {
        let is_first = self.columns.is_none_or(|(known, _)| known != schema.id());
        if is_first {
            self.columns = Some((schema.id(), TWIN.map(|(key, _)| schema.column(key))));
        }
        let Some((_, columns)) = self.columns else { return false };
        let number = |column: Option<usize>| {
            column.map_or(f64::NAN, |column| values[column].to_f64(schema.metrics()[column].storage))
        };
        self.latest = Some((at, columns.map(number), score.unwrap_or(f64::NAN)));
        is_first
    }

    /// What is learned with it: which of the costs it measures tells one set of probes from another.
    fn basis(&self) -> Basis {
        let measured = |(_, columns): (SchemaId, [Option<usize>; COSTS])| {
            let keys = TWIN.iter().zip(columns).filter(|(_, column)| column.is_some());
            keys.fold(Fnv64::default(), |digest, ((key, _), _)| digest.text(key)).finish()
        };
        Basis { twin: self.id.clone(), fidelity: self.fidelity, probes: self.columns.map(measured) }
    }
}
