//! Forecasters beside the versions that they were learned with: a file of its own each, named by the manifest.
//!
//! A forecaster is learned after its version took its seat, and again while that stays: so it comes by a change of its
//! own, all or nothing like any other. Only the champion and the one before it keep theirs; whoever comes back without
//! one gets a new one.

use foretwin_core::{Instance, SchemaId, Timestamp};
use foretwin_learn::Outlook;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::error::Chain;
use crate::registry::manifest::Manifest;
use crate::registry::{Line, Registry};

/// The forecaster of a version, at a glance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutlookEntry {
    /// The number in the name of its file.
    pub number: u64,
    /// End of the data it was learned from.
    pub learned_at: Timestamp,
    /// Seconds of history it was learned from.
    pub history_s: f64,
    /// Seconds that learning took, with its rests.
    pub seconds: f64,
    /// Size of its file.
    pub bytes: u64,
    /// CRC-32 of its file.
    pub checksum: u32,
}

/// A forecaster and what is known of how it was made.
pub(crate) struct Learned<'a> {
    pub(crate) outlook: &'a Outlook,
    pub(crate) learned_at: Timestamp,
    pub(crate) history_s: f64,
    pub(crate) seconds: f64,
}

impl Manifest {
    /// Forecasters of its versions.
    pub(super) fn outlooks(&self) -> impl Iterator<Item = &OutlookEntry> {
        self.versions.iter().filter_map(|entry| entry.outlook.as_ref())
    }

    fn put_outlook(&mut self, version: u64, outlook: &OutlookEntry) -> Result<(), Error> {
        self.entry(version)?;
        let kept: Vec<u64> = self.champions.iter().rev().take(2).copied().chain([version]).collect();
        for entry in &mut self.versions {
            if entry.version == version {
                entry.outlook = Some(outlook.clone());
            } else if !kept.contains(&entry.version) {
                entry.outlook = None;
            }
        }
        Ok(())
    }
}

impl Registry {
    /// Keeps a forecaster beside a version of a line, durably, instead of the one before.
    pub(crate) fn put_outlook(&self, line: &Line, version: u64, learned: &Learned) -> Result<(), Error> {
        let bytes = learned.outlook.encode()?;
        self.change(line, |manifest, _| {
            let number = manifest.number + 1;
            let entry = OutlookEntry {
                number,
                learned_at: learned.learned_at,
                history_s: learned.history_s,
                seconds: learned.seconds,
                bytes: bytes.len() as u64,
                checksum: foretwin_wire::checksum(&bytes),
            };
            manifest.put_outlook(version, &entry)?;
            self.shelf.create_outlook(line, number, &bytes)
        })
    }

    /// Whose version it is that an instance judges by, and the forecaster beside that, if there is one.
    pub(crate) fn outlook_entry(
        &self,
        instance: &Instance,
        schema: SchemaId,
        version: u64,
    ) -> Option<(Line, Option<OutlookEntry>)> {
        let line = Line::new(&instance.id, schema);
        let (line, seat) = self.index().find(&line, &instance.workload)?;
        (seat.entry.version == version).then_some((line, seat.entry.outlook))
    }

    /// A forecaster; one that cannot be read is reported, and counts as none.
    pub(crate) fn outlook(&self, line: &Line, entry: &OutlookEntry) -> Option<Outlook> {
        let read = || Ok::<_, Error>(Outlook::decode(&self.shelf.outlook(line, entry)?)?);
        read().inspect_err(|error| tracing::warn!("{}: no forecaster: {}", line.instance, Chain(error))).ok()
    }
}
