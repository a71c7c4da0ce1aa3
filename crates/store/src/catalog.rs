//! What is known of instances, schemas and failures, and which of it is not on disk yet.
//!
//! Every hot file carries what changed since the one before it, in the same atomic commit as the telemetry. A
//! snapshot of everything is written before hot files are removed. Both are JSON, so that any tool can read them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use foretwin_core::{
    Failure, Instance, InstanceId, Maintenance, Metric, Position, Record, Schema, SchemaId, Timestamp,
};
use serde::{Deserialize, Serialize};

/// What is known of one instance.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Entry {
    /// What it is; absent while only telemetry of it was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<Instance>,
    /// When it was first not seen, if it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vanished: Option<Timestamp>,
    /// The schemas that frames of it were stored with.
    #[serde(default)]
    pub schemas: BTreeSet<SchemaId>,
}

/// A failure as recorded; its place in the log tells it from another with the same content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Recorded {
    pub(crate) position: Position,
    pub(crate) failure: Failure,
}

/// Planned work as recorded, with its place in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Planned {
    pub(crate) position: Position,
    pub(crate) maintenance: Maintenance,
}

/// A part of the catalog, or all of it, as written.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Changes {
    schemas: Vec<Vec<Metric>>,
    instances: BTreeMap<InstanceId, Entry>,
    failures: Vec<Recorded>,
    #[serde(default)]
    maintenance: Vec<Planned>,
}

impl Changes {
    pub(crate) fn is_empty(&self) -> bool {
        self.schemas.is_empty()
            && self.instances.is_empty()
            && self.failures.is_empty()
            && self.maintenance.is_empty()
    }
}

#[derive(Debug, Default)]
pub(crate) struct Catalog {
    schemas: HashMap<SchemaId, Arc<Schema>>,
    instances: BTreeMap<InstanceId, Entry>,
    failures: BTreeMap<(u8, u64), Failure>,
    maintenance: BTreeMap<(u8, u64), Maintenance>,
    new_schemas: HashSet<SchemaId>,
    new_instances: HashSet<InstanceId>,
    new_failures: HashSet<(u8, u64)>,
    new_maintenance: HashSet<(u8, u64)>,
    /// Whether the snapshot lacks something.
    pub(crate) ahead_of_snapshot: bool,
}

impl Catalog {
    pub(crate) fn schema(&self, id: SchemaId) -> Option<&Arc<Schema>> {
        self.schemas.get(&id)
    }

    pub(crate) fn schemas(&self) -> impl Iterator<Item = &Arc<Schema>> {
        self.schemas.values()
    }

    pub(crate) fn instances(&self) -> &BTreeMap<InstanceId, Entry> {
        &self.instances
    }

    pub(crate) fn failures(&self) -> impl Iterator<Item = &Failure> {
        self.failures.values()
    }

    pub(crate) fn maintenance(&self) -> impl Iterator<Item = &Maintenance> {
        self.maintenance.values()
    }

    /// Notes what a record says, telemetry apart.
    pub(crate) fn apply(&mut self, position: Position, record: &Record) {
        match record {
            Record::Instance(instance) => {
                self.change(&instance.id, |entry| {
                    entry.instance = Some(instance.clone());
                    entry.vanished = None;
                });
            }
            Record::Vanished { instance, at } => self.change(instance, |entry| entry.vanished = Some(*at)),
            Record::Schema(schema) => self.intern(schema),
            Record::Failure(failure) => {
                let key = (position.partition.0, position.offset);
                self.failures.insert(key, failure.clone());
                self.new_failures.insert(key);
            }
            Record::Maintenance(work) => {
                let key = (position.partition.0, position.offset);
                self.maintenance.insert(key, work.clone());
                self.new_maintenance.insert(key);
            }
            Record::Batch(_) => {}
        }
    }

    /// Adds a schema, known or not.
    pub(crate) fn intern(&mut self, schema: &Arc<Schema>) {
        if self.schemas.insert(schema.id(), Arc::clone(schema)).is_none() {
            self.new_schemas.insert(schema.id());
        }
    }

    /// Notes that frames of an instance are stored with a schema. Telemetry of a vanished instance does not bring
    /// it back: late frames are normal.
    pub(crate) fn uses(&mut self, instance: &InstanceId, schema: SchemaId) {
        if self.instances.get(instance).is_none_or(|entry| !entry.schemas.contains(&schema)) {
            self.change(instance, |entry| {
                entry.schemas.insert(schema);
            });
        }
    }

    fn change(&mut self, instance: &InstanceId, change: impl FnOnce(&mut Entry)) {
        let entry = self.instances.entry(instance.clone()).or_default();
        let before = entry.clone();
        change(entry);
        if *entry != before {
            self.new_instances.insert(instance.clone());
        }
    }

    /// What changed since the last call.
    pub(crate) fn take_changes(&mut self) -> Changes {
        let metrics = |id: &SchemaId| self.schemas.get(id).map(|schema| schema.metrics().to_vec());
        let entry = |id: &InstanceId| Some((id.clone(), self.instances.get(id)?.clone()));
        let changes = Changes {
            schemas: self.new_schemas.iter().filter_map(metrics).collect(),
            instances: self.new_instances.iter().filter_map(entry).collect(),
            failures: self.new_failures.iter().filter_map(|key| self.recorded(*key)).collect(),
            maintenance: self.new_maintenance.iter().filter_map(|key| self.planned(*key)).collect(),
        };
        self.new_schemas.clear();
        self.new_instances.clear();
        self.new_failures.clear();
        self.new_maintenance.clear();
        self.ahead_of_snapshot |= !changes.is_empty();
        changes
    }

    /// Everything.
    pub(crate) fn snapshot(&self) -> Changes {
        Changes {
            schemas: self.schemas.values().map(|schema| schema.metrics().to_vec()).collect(),
            instances: self.instances.clone(),
            failures: self.failures.keys().filter_map(|key| self.recorded(*key)).collect(),
            maintenance: self.maintenance.keys().filter_map(|key| self.planned(*key)).collect(),
        }
    }

    fn recorded(&self, key: (u8, u64)) -> Option<Recorded> {
        let position = Position { partition: foretwin_core::Partition(key.0), offset: key.1 };
        self.failures.get(&key).map(|failure| Recorded { position, failure: failure.clone() })
    }

    fn planned(&self, key: (u8, u64)) -> Option<Planned> {
        let position = Position { partition: foretwin_core::Partition(key.0), offset: key.1 };
        self.maintenance.get(&key).map(|work| Planned { position, maintenance: work.clone() })
    }

    /// Takes over what was read from disk, later over earlier.
    pub(crate) fn restore(&mut self, changes: Changes) {
        for metrics in changes.schemas {
            let schema = Schema::new(metrics);
            self.schemas.insert(schema.id(), schema);
        }
        self.instances.extend(changes.instances);
        for Recorded { position, failure } in changes.failures {
            self.failures.insert((position.partition.0, position.offset), failure);
        }
        for Planned { position, maintenance } in changes.maintenance {
            self.maintenance.insert((position.partition.0, position.offset), maintenance);
        }
    }

    /// Forgets instances that are gone and of which nothing is stored any more.
    pub(crate) fn forget(&mut self, gone: impl Fn(&InstanceId, &Entry) -> bool) -> usize {
        let before = self.instances.len();
        self.instances.retain(|id, entry| entry.vanished.is_none() || !gone(id, entry));
        self.ahead_of_snapshot |= before != self.instances.len();
        before - self.instances.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use foretwin_core::{FailureMode, InstanceKind, Partition, Role};

    fn record(offset: u64) -> Position {
        Position { partition: Partition(3), offset }
    }

    #[test]
    fn changes_restore_what_was_known_and_replay_changes_nothing() {
        let mut catalog = Catalog::default();
        let id = InstanceId::new("h/x");
        let schema = Schema::new(vec![Metric::gauge("a", "1", Role::Rate)]);
        let mode = FailureMode::MemoryExhaustion;
        let failure = Failure { instance: id.clone(), at: Timestamp(5), mode, note: String::new() };
        let (from, to) = (Timestamp(6), Timestamp(7));
        let work = Maintenance { instance: id.clone(), from, to, note: String::new() };
        let records = [
            Record::Instance(Instance::new("h/x", InstanceKind::Service, "h", "unit:x")),
            Record::Schema(Arc::clone(&schema)),
            Record::Failure(failure),
            Record::Maintenance(work),
            Record::Vanished { instance: id.clone(), at: Timestamp(9) },
        ];
        for _ in 0..2 {
            for (offset, one) in records.iter().enumerate() {
                catalog.apply(record(offset as u64), one);
            }
        }
        catalog.uses(&id, schema.id());
        let text = serde_json::to_vec(&catalog.take_changes()).unwrap();
        assert!(catalog.take_changes().is_empty());
        let mut again = Catalog::default();
        again.restore(serde_json::from_slice(&text).unwrap());
        assert_eq!(again.instances, catalog.instances);
        assert_eq!((again.failures().count(), again.maintenance().count()), (1, 1));
        assert!(again.schema(schema.id()).is_some());
    }
}
