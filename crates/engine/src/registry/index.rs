//! Who is champion of which line, and who is the newest of a workload, without the models themselves.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Weak};

use foretwin_core::{SchemaId, Timestamp, WorkloadId};
use foretwin_learn::Model;

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

/// All lines that have versions.
#[derive(Default)]
pub(crate) struct Index {
    /// None: there are versions and no champion.
    lines: BTreeMap<Line, Option<Seat>>,
    /// Champions of a workload by age, the newest last.
    workloads: HashMap<(WorkloadId, SchemaId), BTreeSet<(Timestamp, Line)>>,
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
            workload.insert((seat.entry.trained_at, line.clone()));
        }
        self.lines.insert(line, seat);
    }

    /// Forgets a line; gives its champion.
    pub(crate) fn remove(&mut self, line: &Line) -> Option<Seat> {
        let seat = self.lines.remove(line).flatten()?;
        let key = (seat.workload.clone(), line.schema);
        if let Some(workload) = self.workloads.get_mut(&key) {
            workload.remove(&(seat.entry.trained_at, line.clone()));
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

    /// The champion of a line if it runs this workload, or else the newest champion of the workload, and whose it is.
    pub(crate) fn find(&self, line: &Line, workload: &WorkloadId) -> Option<(Line, Seat)> {
        if let Some(seat) = self.own(line).filter(|seat| seat.workload == *workload) {
            return Some((line.clone(), seat));
        }
        let (_, cousin) = self.workloads.get(&(workload.clone(), line.schema))?.last()?;
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
            workload.and_then(BTreeSet::last).is_none_or(|(_, newest)| newest != line)
        });
        own
    }
}
