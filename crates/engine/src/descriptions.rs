//! What an agent must be able to say again: schemas and instances, without which a server cannot read its frames.
//!
//! They pass the spool once. A server that lost its data, or never saw them because the spool had to let go of its
//! oldest part, gets them again before the next frames.

use std::collections::BTreeMap;
use std::path::PathBuf;

use foretwin_core::Record;
use foretwin_wire::{envelope, record};

/// The latest description of each schema and instance.
pub(crate) struct Descriptions {
    path: PathBuf,
    known: BTreeMap<String, Vec<u8>>,
    changed: bool,
    /// Whether the next request begins with them: at a start, after a refusal, after a loss.
    pub(crate) due: bool,
}

impl Descriptions {
    /// Those of earlier lives. A damaged file means none: whoever is described anew is known anew.
    pub(crate) fn open(path: PathBuf) -> Self {
        let bytes = std::fs::read(&path).unwrap_or_default();
        let mut descriptions = Self { path, known: BTreeMap::new(), changed: false, due: true };
        for known in envelope::decode(&bytes).unwrap_or_default() {
            let mut encoded = Vec::new();
            record::encode(&known, &mut encoded);
            descriptions.keep(&known, &encoded);
        }
        descriptions
    }

    /// Looks at a record on its way; batches are not decoded for it.
    pub(crate) fn hear(&mut self, encoded: &[u8]) {
        if record::is_batch(encoded) {
            return;
        }
        if let Ok(heard) = record::decode(encoded) {
            self.keep(&heard, encoded);
        }
    }

    fn keep(&mut self, heard: &Record, encoded: &[u8]) {
        let before = match heard {
            Record::Schema(schema) => self.known.insert(format!("schema {}", schema.id()), encoded.to_vec()),
            Record::Instance(instance) => self.known.insert(format!("{}", instance.id), encoded.to_vec()),
            Record::Vanished { instance, .. } => self.known.remove(instance.as_str()),
            Record::Batch(_) | Record::Failure(_) | Record::Maintenance(_) => return,
        };
        self.changed |= before.as_deref() != Some(encoded);
    }

    /// The beginning of a request, and how many records it has.
    pub(crate) fn envelope(&self) -> (Vec<u8>, usize) {
        let mut bytes = Vec::new();
        if !self.due {
            return (bytes, 0);
        }
        // Schemas stand before instances only by chance; neither needs the other.
        self.known.values().for_each(|encoded| envelope::push_encoded(encoded, &mut bytes));
        (bytes, self.known.len())
    }

    /// The server has them.
    pub(crate) fn told(&mut self) {
        self.due = false;
        if !std::mem::take(&mut self.changed) {
            return;
        }
        let all = Self { due: true, known: self.known.clone(), path: PathBuf::new(), changed: false };
        let fresh = self.path.with_extension("new");
        let written =
            std::fs::write(&fresh, all.envelope().0).and_then(|()| std::fs::rename(&fresh, &self.path));
        if let Err(error) = written {
            self.changed = true;
            tracing::debug!("{}: {error}", self.path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use foretwin_core::{Instance, InstanceKind, Metric, Role, Schema, Timestamp};

    use super::*;

    fn encoded(record: &Record) -> Vec<u8> {
        let mut bytes = Vec::new();
        record::encode(record, &mut bytes);
        bytes
    }

    #[test]
    fn what_describes_is_said_again_by_the_next_life() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("described");
        let mut first = Descriptions::open(path.clone());
        let schema = Schema::new(vec![Metric::gauge("a", "1", Role::Rate)]);
        let instance = Instance::new("h", InstanceKind::Host, "h", "machine");
        let gone = Record::Vanished {
            instance: Instance::new("h/x", InstanceKind::Group, "h", "x").id,
            at: Timestamp(1),
        };
        let passing = Record::Instance(Instance::new("h/x", InstanceKind::Group, "h", "x"));
        let stay = [Record::Schema(schema), Record::Instance(instance)];
        stay.iter().chain([&passing, &gone]).for_each(|record| first.hear(&encoded(record)));
        first.told();
        assert_eq!(first.envelope().1, 0, "told once is enough");

        let next = Descriptions::open(path.clone());
        let (bytes, count) = next.envelope();
        let said = envelope::decode(&bytes).unwrap();
        assert!(count == 2 && stay.iter().all(|record| said.contains(record)));
        std::fs::write(&path, b"damaged").unwrap();
        assert_eq!(Descriptions::open(path).envelope().1, 0);
    }
}
