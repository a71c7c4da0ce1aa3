//! Alerts and the policy's memory on disk: numbered blobs that are only ever created, the newest of a name counts.
//!
//! The memory is written before the alerts that it tells of: after a kill in between, what it holds is put right in the
//! archive. An older number is deleted once the newer one is durable.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use foretwin_core::{Alert, AlertId, AlertOutcome};
use foretwin_disk::Disk;
use foretwin_foresee::policy::{Memory, Policy};
use foretwin_store::Blobs;
use serde::Serialize;

use crate::Error;

/// Folder of alerts, and of the policy's memory, below the data directory.
const ALERTS: &str = "alerts";
const MEMORY: &str = "alerts/memory";
/// Alerts that are kept; beyond it the oldest that are over go.
const KEPT: usize = 2000;

/// All alerts that are kept.
pub(super) struct Archive {
    blobs: Blobs,
    alerts: BTreeMap<AlertId, (u64, Alert)>,
    memory: u64,
    /// Names whose newest state is not on disk yet.
    changed: Vec<AlertId>,
}

impl Archive {
    /// Reads what is kept, and what the policy remembers.
    pub(super) fn open(disk: Arc<dyn Disk>, dir: &Path) -> Result<(Self, Memory), Error> {
        let blobs = Blobs::new(disk, dir);
        let mut archive = Self { blobs, alerts: BTreeMap::new(), memory: 0, changed: Vec::new() };
        archive.blobs.sweep(ALERTS)?;
        archive.blobs.sweep(MEMORY)?;
        for name in archive.blobs.list(&format!("{ALERTS}/"))? {
            // Names sort by alert, then by number: the last of an alert is its newest.
            let Some((id, number)) = named(&name) else { continue };
            if let Some((before, _)) = archive.alerts.remove(&id) {
                archive.blobs.delete(&path(&id, before))?;
            }
            let bytes = archive.blobs.read(&name)?.unwrap_or_default();
            match serde_json::from_slice::<Alert>(&bytes) {
                Ok(alert) => drop(archive.alerts.insert(id, (number, alert))),
                Err(error) => tracing::warn!("{name} is no alert and is left out: {error}"),
            }
        }
        let memory = archive.remembered()?;
        archive.reconcile(&memory);
        Ok((archive, memory))
    }

    fn remembered(&mut self) -> Result<Memory, Error> {
        let names = self.blobs.list(&format!("{MEMORY}/"))?;
        let Some(name) = names.last() else { return Ok(Memory::default()) };
        self.memory = name.rsplit('/').next().and_then(|n| u64::from_str_radix(n, 16).ok()).unwrap_or(0);
        let bytes = self.blobs.read(name)?.unwrap_or_default();
        Ok(serde_json::from_slice(&bytes).unwrap_or_else(|error| {
            tracing::warn!("{name} cannot be read, alerts begin anew: {error}");
            Memory::default()
        }))
    }

    /// Makes the archive say what the policy knows; alerts that it knows nothing of are over.
    fn reconcile(&mut self, memory: &Memory) {
        let policy = Policy::new(foretwin_foresee::policy::Config::default(), memory.clone());
        let known: BTreeMap<AlertId, Alert> =
            policy.alerts().map(|alert| (alert.id.clone(), alert.clone())).collect();
        let mut lost: Vec<Alert> = Vec::new();
        for (_, alert) in self.alerts.values().filter(|(_, alert)| !known.contains_key(&alert.id)) {
            if alert.is_open() || alert.outcome.is_none() {
                let mut alert = alert.clone();
                alert.state = foretwin_core::AlertState::Resolved;
                alert.resolved = alert.resolved.or(Some(alert.last));
                alert.outcome = alert.outcome.or(Some(AlertOutcome::Unknown));
                alert.reason = "lost over a restart".into();
                lost.push(alert);
            }
        }
        for alert in known.values().chain(&lost) {
            if self.get(&alert.id) != Some(alert) {
                self.put(alert);
            }
        }
    }

    pub(super) fn get(&self, id: &AlertId) -> Option<&Alert> {
        self.alerts.get(id).map(|(_, alert)| alert)
    }

    /// Oldest first.
    pub(super) fn all(&self) -> impl DoubleEndedIterator<Item = &Alert> {
        self.alerts.values().map(|(_, alert)| alert)
    }

    /// Takes an alert as it is now; durable with [`keep`](Self::keep).
    pub(super) fn put(&mut self, alert: &Alert) {
        let number = self.alerts.get(&alert.id).map_or(0, |(number, _)| *number);
        self.alerts.insert(alert.id.clone(), (number, alert.clone()));
        if !self.changed.contains(&alert.id) {
            self.changed.push(alert.id.clone());
        }
    }

    /// Makes durable what changed.
    pub(super) fn keep(&mut self, memory: &Memory) -> Result<(), Error> {
        let bytes = json(memory)?;
        let next = self.memory + 1;
        // A number that is taken was left by a write whose end was not heard of.
        self.blobs.create(&format!("{MEMORY}/{next:016x}"), &bytes)?;
        self.blobs.delete(&format!("{MEMORY}/{:016x}", self.memory))?;
        self.memory = next;
        while let Some(id) = self.changed.last().cloned() {
            if let Some((number, alert)) = self.alerts.get_mut(&id) {
                let bytes = json(alert)?;
                self.blobs.create(&path(&id, *number + 1), &bytes)?;
                self.blobs.delete(&path(&id, *number))?;
                *number += 1;
            }
            self.changed.pop();
        }
        self.prune()
    }

    fn prune(&mut self) -> Result<(), Error> {
        let excess = self.alerts.len().saturating_sub(KEPT);
        let over = self.alerts.values().filter(|(_, alert)| !alert.is_open());
        let old: Vec<(AlertId, u64)> =
            over.take(excess).map(|(number, alert)| (alert.id.clone(), *number)).collect();
        for (id, number) in old {
            self.blobs.delete(&path(&id, number))?;
            self.alerts.remove(&id);
        }
        Ok(())
    }
}

fn path(id: &AlertId, number: u64) -> String {
    format!("{ALERTS}/{id}.{number:08x}")
}

/// The alert and the number that a name speaks of.
fn named(path: &str) -> Option<(AlertId, u64)> {
    let (id, number) = path.rsplit('/').next()?.rsplit_once('.')?;
    Some((AlertId(id.into()), u64::from_str_radix(number, 16).ok()?))
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|source| Error::Manifest { source })
}

#[cfg(test)]
mod tests {
    use foretwin_core::{FailureMode, Instance, InstanceKind, Quantiles, Timestamp};
    use foretwin_disk::SimDisk;
    use foretwin_foresee::policy::{Chance, Config, Signal};

    use super::*;

    #[test]
    fn alerts_and_memory_survive_a_restart_and_older_numbers_go() {
        let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(3));
        let dir = Path::new("/data");
        let (mut archive, memory) = Archive::open(disk.clone(), dir).unwrap();
        let mut policy = Policy::new(Config::default(), memory);
        let instance = Instance::new("h/a", InstanceKind::Service, "h", "unit:a");
        for second in 0..40 {
            let at = Timestamp::from_seconds(1e9 + 10.0 * f64::from(second));
            let within = vec![(3600.0, if second < 20 { 0.6 + 0.015 * f64::from(second) } else { 0.0 })];
            let time_to_failure = Quantiles::default();
            let chances = [Chance { mode: FailureMode::DiskFull, within, time_to_failure, confidence: 0.5 }];
            policy.observe(&Signal {
                instance: &instance,
                at,
                chances: &chances,
                anomaly: None,
                verdict: None,
            });
            policy.settle(at).iter().for_each(|change| archive.put(change.alert()));
            archive.keep(policy.memory()).unwrap();
            if second == 10 {
                let (again, memory) = Archive::open(disk.clone(), dir).unwrap();
                assert!(again.all().next().unwrap().is_open() && memory == *policy.memory());
                archive = again;
            }
        }
        let (again, _) = Archive::open(disk.clone(), dir).unwrap();
        assert_eq!(again.all().collect::<Vec<_>>(), archive.all().collect::<Vec<_>>());
        assert_eq!(again.all().filter(|alert| !alert.is_open()).count(), 1);
        let blobs = Blobs::new(disk.clone(), dir);
        assert_eq!(blobs.list("alerts/memory/").unwrap().len(), 1);
        assert_eq!(blobs.list("alerts/").unwrap().iter().filter(|name| named(name).is_some()).count(), 1);
        // Without the memory, what was open is over, and what came of it is not known.
        for name in blobs.list("alerts/memory/").unwrap() {
            blobs.delete(&name).unwrap();
        }
        let (lost, _) = Archive::open(disk, dir).unwrap();
        assert!(lost.all().all(|alert| alert.outcome == Some(AlertOutcome::Unknown)));
    }
}
