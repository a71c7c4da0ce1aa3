//! Who is champion of which line, and who is the newest of a workload, without the models themselves.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Weak};

use foretwin_core::{SchemaId, Timestamp, WorkloadId};
use foretwin_learn::{Model, NetworkId};

use crate::registry::manifest::{Manifest, ModelEntry};
use crate::registry::shelf::Line;

/// The champion of a line.
#[derive(Clone)]
pub(crate) struct Seat {
    workload: WorkloadId,
    pub(crate) entry: ModelEntry,
    /// The version that slow drift is measured against.
    pub(crate) reference: Option<ModelEntry>,
    pub(crate) renewed: Timestamp,
    /// Alive while somebody judges by it.
    pub(crate) model: Weak<Model>,
}

/// Whether a champion was made for all of its workload, its age, and whose it is.
type Rank = (bool, Timestamp, Line);

/// All lines that have versions.
#[derive(Default)]
pub(crate) struct Index {
    /// None: there are versions and no champion.
    lines: BTreeMap<Line, Option<Seat>>,
    /// Champions of a workload: those of single members by age, then those made for all, the newest last.
    workloads: HashMap<(WorkloadId, SchemaId), BTreeSet<Rank>>,
    /// Networks that versions of a line name, and how many lines name each.
    networks: HashMap<Line, Vec<NetworkId>>,
    named: HashMap<NetworkId, usize>,
    /// Networks that nobody names any more.
    unnamed: HashSet<NetworkId>,
}

/// Where a champion stands among those of its workload.
fn rank(seat: &Seat, line: &Line) -> Rank {
    (seat.entry.cohort, seat.entry.trained_at, line.clone())
}

impl Index {
    /// Takes note of a line as its manifest has it now.
    pub(crate) fn put(&mut self, manifest: &Manifest) {
        let line = Line { instance: manifest.instance.clone(), schema: manifest.schema };
        let before = self.remove(&line);
        let champion = manifest.champion().and_then(|version| manifest.entry(version).ok());
        let seat = champion.map(|entry| Seat {
            workload: manifest.workload.clone(),
            entry: entry.clone(),
            reference: manifest.reference.and_then(|version| manifest.entry(version).ok()).cloned(),
            renewed: manifest.renewed().unwrap_or(entry.trained_at),
            model: before
                .filter(|seat| seat.entry.version == entry.version)
                .map(|seat| seat.model)
                .unwrap_or_default(),
        });
        if let Some(seat) = &seat {
            let workload = self.workloads.entry((seat.workload.clone(), line.schema)).or_default();
            workload.insert(rank(seat, &line));
        }
        self.name(&line, manifest);
        self.lines.insert(line, seat);
    }

    /// Takes note of the networks that a line's versions name.
    fn name(&mut self, line: &Line, manifest: &Manifest) {
        let mut named: Vec<NetworkId> = manifest.versions.iter().filter_map(|entry| entry.network).collect();
        named.sort_unstable();
        named.dedup();
        for id in &named {
            *self.named.entry(*id).or_default() += 1;
            self.unnamed.remove(id);
        }
        if !named.is_empty() {
            self.networks.insert(line.clone(), named);
        }
    }

    fn unname(&mut self, line: &Line) {
        for id in self.networks.remove(line).unwrap_or_default() {
            let count = self.named.entry(id).or_default();
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.named.remove(&id);
                self.unnamed.insert(id);
            }
        }
    }

    /// Networks that versions name.
    pub(crate) fn named(&self) -> HashSet<NetworkId> {
        self.named.keys().copied().collect()
    }

    /// Networks that were named and are no longer; each is told once.
    pub(crate) fn unnamed(&mut self) -> Vec<NetworkId> {
        self.unnamed.drain().collect()
    }

    /// Forgets a line; gives its champion.
    pub(crate) fn remove(&mut self, line: &Line) -> Option<Seat> {
        self.unname(line);
        let seat = self.lines.remove(line).flatten()?;
        let key = (seat.workload.clone(), line.schema);
        if let Some(workload) = self.workloads.get_mut(&key) {
            workload.remove(&rank(&seat, line));
            if workload.is_empty() {
                self.workloads.remove(&key);
            }
        }
        Some(seat)
    }

    /// The champion of a line.
    pub(crate) fn own(&self, line: &Line) -> Option<Seat> {
        self.lines.get(line)?.clone()
    }

    /// The champion of a line if it runs this workload, or else the newest champion of the workload that was made for all
    /// of it, or else the newest of any, and whose it is.
    pub(crate) fn find(&self, line: &Line, workload: &WorkloadId) -> Option<(Line, Seat)> {
        if let Some(seat) = self.own(line).filter(|seat| seat.workload == *workload) {
            return Some((line.clone(), seat));
        }
        let (.., cousin) = self.workloads.get(&(workload.clone(), line.schema))?.last()?;
        Some((cousin.clone(), self.own(cousin)?))
    }

    /// Lets others find a champion's model while somebody uses it.
    pub(crate) fn share(&mut self, line: &Line, model: &Arc<Model>) {
        if let Some(Some(seat)) = self.lines.get_mut(line)
            && seat.entry.version == model.version()
        {
            seat.model = Arc::downgrade(model);
        }
    }

    /// Lines of an instance.
    pub(crate) fn lines(&self, instance: &str) -> Vec<Line> {
        let first = Line { instance: instance.to_owned(), schema: SchemaId(0) };
        let own = self.lines.range(first..).map(|(line, _)| line);
        own.take_while(|line| line.instance == instance).cloned().collect()
    }

    /// Lines of an instance but those whose champion is the newest of its workload.
    pub(crate) fn retirable(&self, instance: &str) -> Vec<Line> {
        let mut own = self.lines(instance);
        own.retain(|line| {
            let Some(Some(seat)) = self.lines.get(line) else { return true };
            let workload = self.workloads.get(&(seat.workload.clone(), line.schema));
            workload.and_then(BTreeSet::last).is_none_or(|(.., newest)| newest != line)
        });
        own
    }
}
