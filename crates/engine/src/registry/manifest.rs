//! What is kept of one line of models: its versions, their roles, and what became of them. Pure; written as JSON behind
//! a checksum.

use std::collections::{BTreeMap, BTreeSet};

use foretwin_core::{Phase, SchemaId, Timestamp, WorkloadId};
use foretwin_learn::{Model, NetworkId, Provenance};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::registry::outlook::OutlookEntry;

const MARK: &str = "foretwin manifest 1 ";
/// Changes that are remembered, the latest.
const MOST_CHANGES: usize = 50;

/// One version, at a glance; everything else stands in its file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelEntry {
    /// Its number, unique and increasing within the line.
    pub version: u64,
    /// The version it came after.
    pub parent: Option<u64>,
    /// How far learning had come.
    pub phase: Phase,
    /// End of its training data.
    pub trained_at: Timestamp,
    /// Frames learned from.
    pub rows: usize,
    /// Metrics that its LSTM corrects.
    pub corrected: usize,
    /// Held-out measures by name.
    #[serde(default)]
    pub held_out: BTreeMap<String, f64>,
    /// Why it was made.
    pub reason: String,
    /// Whose weights its LSTM has.
    #[serde(default)]
    pub weights: Weights,
    /// The network of its workload that it names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkId>,
    /// Whether it was made for all of its workload: members without a version of their own are judged by it.
    #[serde(default)]
    pub cohort: bool,
    /// Never pruned.
    #[serde(default)]
    pub pinned: bool,
    /// Size of its file.
    pub bytes: u64,
    /// CRC-32 of its file.
    pub checksum: u32,
    /// The forecaster that was learned beside it, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outlook: Option<OutlookEntry>,
}

/// Whose weights an LSTM has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weights {
    /// There is none: the linear part alone.
    #[default]
    None,
    /// Its own.
    Own,
    /// Those of its workload.
    Shared,
}

impl Weights {
    fn of(model: &Model) -> Self {
        match (model.corrected().is_empty(), model.gain().shared) {
            (true, _) => Self::None,
            (false, true) => Self::Shared,
            (false, false) => Self::Own,
        }
    }
}

/// What happened to a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelChange {
    /// When, by the wall clock.
    pub at_us: Timestamp,
    /// To which version.
    pub version: u64,
    /// `added`, `promoted`, `rolled_back` (this version took over again), `dismissed`, `reference`, `pinned`,
    /// `unpinned`, `pruned`.
    pub what: String,
    /// Why.
    pub reason: String,
}

/// All versions of one (instance, schema) and their roles.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) number: u64,
    /// The life of the process that wrote it.
    pub(crate) epoch: u64,
    pub(crate) instance: String,
    pub(crate) workload: WorkloadId,
    pub(crate) schema: SchemaId,
    pub(crate) next_version: u64,
    /// In order of their numbers.
    pub(crate) versions: Vec<ModelEntry>,
    /// Versions that were champion, the last is now; a rollback takes the last away.
    pub(crate) champions: Vec<u64>,
    pub(crate) challengers: Vec<u64>,
    pub(crate) reference: Option<u64>,
    pub(crate) changes: Vec<ModelChange>,
}

/// A change that is about to be written: which, when and why.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Because<'a> {
    pub(crate) at: Timestamp,
    pub(crate) reason: &'a str,
}

impl Manifest {
    /// A line without versions.
    pub(crate) fn new(instance: &str, workload: &WorkloadId, schema: SchemaId) -> Self {
        Self {
            number: 0,
            epoch: 0,
            instance: instance.to_owned(),
            workload: workload.clone(),
            schema,
            next_version: 1,
            versions: Vec::new(),
            champions: Vec::new(),
            challengers: Vec::new(),
            reference: None,
            changes: Vec::new(),
        }
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        let body = serde_json::to_vec_pretty(self)?;
        let mut bytes = format!("{MARK}{:08x}\n", foretwin_wire::checksum(&body)).into_bytes();
        bytes.extend(body);
        Ok(bytes)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, String> {
        let rest = bytes.strip_prefix(MARK.as_bytes()).ok_or("it is no manifest of format 1")?;
        let (sum, body) = rest.split_at_checked(9).ok_or("it is cut off")?;
        let sum = std::str::from_utf8(&sum[..8]).ok().and_then(|sum| u32::from_str_radix(sum, 16).ok());
        if sum != Some(foretwin_wire::checksum(body)) {
            return Err("its checksum does not match".into());
        }
        serde_json::from_slice(body).map_err(|error| error.to_string())
    }

    pub(crate) fn champion(&self) -> Option<u64> {
        self.champions.last().copied()
    }

    pub(crate) fn entry(&self, version: u64) -> Result<&ModelEntry, Error> {
        let found = self.versions.iter().find(|entry| entry.version == version);
        found.ok_or_else(|| Error::UnknownModel { instance: self.instance.clone(), version: Some(version) })
    }

    /// When the newest version was trained: the schedule of training goes by it, whichever version judges.
    pub(crate) fn renewed(&self) -> Option<Timestamp> {
        self.versions.iter().map(|entry| entry.trained_at).max()
    }

    fn note(&mut self, version: u64, what: &str, because: Because) {
        let (what, reason) = (what.to_owned(), because.reason.to_owned());
        self.changes.push(ModelChange { at_us: because.at, version, what, reason });
        let old = self.changes.len().saturating_sub(MOST_CHANGES);
        self.changes.drain(..old);
    }

    /// Takes a version in, as a challenger: its file, and the network that the file names.
    pub(crate) fn add(
        &mut self,
        (model, provenance): (&Model, &Provenance),
        file: &[u8],
        network: Option<NetworkId>,
        at: Timestamp,
    ) {
        let version = model.version();
        self.versions.push(ModelEntry {
            version,
            parent: provenance.parent,
            phase: provenance.phase.unwrap_or(Phase::Provisional),
            trained_at: model.trained_at(),
            rows: model.rows(),
            corrected: model.corrected().len(),
            held_out: provenance.held_out.clone(),
            reason: provenance.reason.clone(),
            weights: Weights::of(model),
            network,
            cohort: !provenance.members.is_empty(),
            pinned: false,
            bytes: file.len() as u64,
            checksum: foretwin_wire::checksum(file),
            outlook: None,
        });
        self.next_version = version + 1;
        self.challengers.push(version);
        self.note(version, "added", Because { at, reason: &provenance.reason });
    }

    pub(crate) fn promote(&mut self, version: u64, because: Because) -> Result<(), Error> {
        self.entry(version)?;
        self.challengers.retain(|&other| other != version);
        self.champions.retain(|&other| other != version);
        self.champions.push(version);
        self.note(version, "promoted", because);
        Ok(())
    }

    /// Back to the champion before this one; gives its version.
    pub(crate) fn rollback(&mut self, because: Because) -> Result<u64, Error> {
        let [.., before, _] = self.champions[..] else {
            return Err(Error::Conflict(format!(
                "{} has no earlier champion to roll back to; promote another version instead",
                self.instance
            )));
        };
        self.champions.pop();
        self.note(before, "rolled_back", because);
        Ok(before)
    }

    pub(crate) fn dismiss(&mut self, version: u64, because: Because) -> Result<(), Error> {
        self.entry(version)?;
        self.challengers.retain(|&other| other != version);
        self.note(version, "dismissed", because);
        Ok(())
    }

    pub(crate) fn set_reference(&mut self, version: u64, because: Because) -> Result<(), Error> {
        self.entry(version)?;
        self.reference = Some(version);
        self.note(version, "reference", because);
        Ok(())
    }

    pub(crate) fn pin(&mut self, version: u64, pinned: bool, because: Because) -> Result<(), Error> {
        self.entry(version)?;
        for entry in self.versions.iter_mut().filter(|entry| entry.version == version) {
            entry.pinned = pinned;
        }
        self.note(version, if pinned { "pinned" } else { "unpinned" }, because);
        Ok(())
    }

    /// Lets go of all versions but the champion, the `keep` champions before it, the latest `keep` challengers, the
    /// `keep` promoted last (rolled back or not), the reference, the pinned, and the newest. Gives those that go.
    pub(crate) fn prune(&mut self, keep: usize, because: Because) -> Vec<u64> {
        let latest = |versions: &[u64], most: usize| versions[versions.len().saturating_sub(most)..].to_vec();
        self.champions = latest(&self.champions, keep.saturating_add(1));
        self.challengers = latest(&self.challengers, keep);
        let mut kept: BTreeSet<u64> = self.champions.iter().chain(&self.challengers).copied().collect();
        kept.extend(self.reference);
        kept.extend(self.versions.iter().filter(|entry| entry.pinned).map(|entry| entry.version));
        kept.extend(self.versions.last().map(|entry| entry.version));
        // What was rolled back lately is what people want to look at.
        let promoted = self.changes.iter().rev().filter(|change| change.what == "promoted");
        kept.extend(promoted.take(keep).map(|change| change.version));
        let (stay, go): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.versions).into_iter().partition(|entry| kept.contains(&entry.version));
        self.versions = stay;
        let go: Vec<u64> = go.into_iter().map(|entry| entry.version).collect();
        go.iter().for_each(|&version| self.note(version, "pruned", because));
        go
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHY: Because<'static> = Because { at: Timestamp(5), reason: "test" };

    fn line(versions: u64) -> Manifest {
        let mut line = Manifest::new("a/b", &WorkloadId("unit:x".into()), SchemaId(3));
        line.versions = (1..=versions)
            .map(|version| ModelEntry {
                version,
                parent: None,
                phase: Phase::Learned,
                trained_at: Timestamp(version as i64),
                rows: 10,
                corrected: 0,
                held_out: [("gain".to_owned(), 0.1)].into(),
                reason: "schedule".into(),
                weights: Weights::Shared,
                network: Some(NetworkId(7)),
                cohort: false,
                pinned: false,
                bytes: 1,
                checksum: 2,
                outlook: None,
            })
            .collect();
        line
    }

    #[test]
    fn manifests_come_back_and_damage_is_seen() {
        let line = line(3);
        let bytes = line.encode().unwrap();
        assert_eq!(Manifest::decode(&bytes).unwrap(), line);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(Manifest::decode(&damaged).is_err() || at == 28, "byte {at}");
            assert!(Manifest::decode(&bytes[..at]).is_err());
        }
    }

    #[test]
    fn rollback_goes_back_through_the_champions() {
        let mut line = line(4);
        (1..=3).for_each(|version| line.promote(version, WHY).unwrap());
        assert_eq!(line.rollback(WHY).unwrap(), 2);
        line.promote(4, WHY).unwrap();
        assert_eq!([line.rollback(WHY).unwrap(), line.rollback(WHY).unwrap()], [2, 1]);
        assert_eq!(line.rollback(WHY).unwrap_err().code(), "conflict");
        assert_eq!(line.champion(), Some(1));
        assert_eq!(line.promote(9, WHY).unwrap_err().code(), "unknown_model");
    }

    #[test]
    fn pruning_keeps_what_has_a_role() {
        let mut line = line(12);
        (1..=8).for_each(|version| line.promote(version, WHY).unwrap());
        line.challengers = vec![9, 10, 11];
        line.set_reference(2, WHY).unwrap();
        line.pin(3, true, WHY).unwrap();
        assert_eq!(line.prune(2, WHY), [1, 4, 5, 9]);
        let left: Vec<u64> = line.versions.iter().map(|entry| entry.version).collect();
        assert_eq!(left, [2, 3, 6, 7, 8, 10, 11, 12]);
        assert_eq!((line.champion(), line.rollback(WHY).unwrap()), (Some(8), 7));
        assert!(line.prune(9, WHY).is_empty());
    }
}
