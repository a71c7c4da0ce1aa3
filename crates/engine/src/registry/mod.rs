//! The models of all instances: every version kept, one champion at work, and the way back.
//!
//! Versions are numbered within a *line*: an instance, by one schema of its frames. A version is a safetensors file with
//! its provenance; a manifest says which versions there are and what their roles are. A *champion* judges, *challengers*
//! wait to be compared with it, the *reference* is frozen so that slow drift is not learned away. Every change (adding,
//! promotion, rollback, pruning) is a new manifest, durable before it is told, and all or nothing at any kill.
//!
//! Members of a large workload share a network: their versions name its file instead of holding a copy.
//!
//! In memory are only names and roles: the champion's own bytes are read when somebody first needs them, and shared while
//! somebody uses them. A model is found again by the workload's identity when the same workload comes back under another
//! name.

mod carry;
mod index;
mod manifest;
mod networks;
mod outlook;
mod shelf;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foretwin_core::{Instance, InstanceId, PARTITIONS, Phase, SchemaId, Timestamp, WorkloadId};
use foretwin_disk::Disk;
use foretwin_learn::{Model, Provenance};
use foretwin_store::Blobs;

use crate::Error;
use crate::error::Chain;
use crate::handle::wall_clock;
use index::{Index, Seat};
use manifest::Because;
pub(crate) use manifest::Manifest;
pub use manifest::{ModelChange, ModelEntry, Weights};
use networks::Networks;
pub(crate) use outlook::Learned;
pub use outlook::OutlookEntry;
pub(crate) use shelf::Line;
use shelf::Shelf;

/// Times that a change is tried again because another owner was faster.
const TRIES: usize = 4;

/// A model that takes its seat as champion.
pub(crate) struct Seated {
    pub(crate) model: Arc<Model>,
    pub(crate) phase: Phase,
    /// When the newest version of its line was trained.
    pub(crate) renewed: Timestamp,
    /// Whether it is of the instance's own line, and not of another of its workload.
    pub(crate) own: bool,
}

/// Lines of models on disk.
pub(crate) struct Registry {
    shelf: Shelf,
    networks: Networks,
    /// This life of the process; manifests of a later one end it.
    epoch: u64,
    index: Mutex<Index>,
    /// Held while a manifest is read, changed and committed.
    commits: Mutex<()>,
}

impl Registry {
    /// Reads which champions there are; files that cannot be read are reported and passed over: their models are trained
    /// again. Models of format 1 are taken over.
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: &Path) -> Result<Self, Error> {
        let at = |operation| move |source| Error::File { operation, path: dir.to_path_buf(), source };
        disk.create_dir(dir).map_err(at("creating"))?;
        let old = disk.clone();
        let networks = Networks::new(Blobs::new(disk.clone(), dir));
        let shelf = Shelf::new(Blobs::new(disk, dir));
        let (mut index, mut latest) = (Index::default(), 0);
        for partition in 0..PARTITIONS {
            shelf.open(partition, &mut |manifest| {
                latest = latest.max(manifest.epoch);
                index.put(&manifest);
            })?;
        }
        networks.sweep(&index.named())?;
        // A clock that was set back must not make this life older than the one before.
        let epoch = wall_clock().0.cast_unsigned().max(latest + 1);
        let registry = Self { shelf, networks, epoch, index: Mutex::new(index), commits: Mutex::default() };
        registry.carry_over(old.as_ref(), dir)?;
        Ok(registry)
    }

    /// The champion of an instance, or else the newest of its workload on another.
    pub(crate) fn seat(&self, instance: &Instance, schema: SchemaId) -> Option<Seated> {
        let own = Line::new(&instance.id, schema);
        let (line, seat) = self.index().find(&own, &instance.workload)?;
        let seated = self.take_seat(&line, &seat)?;
        Some(Seated { own: line == own, ..seated })
    }

    /// The champion of a line itself.
    pub(crate) fn champion(&self, line: &Line) -> Option<Seated> {
        let seat = self.index().own(line)?;
        self.take_seat(line, &seat)
    }

    /// The champion's model, from whoever uses it or from its file.
    fn take_seat(&self, line: &Line, seat: &Seat) -> Option<Seated> {
        let (phase, renewed) = (seat.entry.phase, seat.renewed);
        if let Some(model) = seat.model.upgrade() {
            return Some(Seated { model, phase, renewed, own: true });
        }
        match self.read(line, &seat.entry) {
            Ok(model) => {
                self.index().share(line, &model);
                Some(Seated { model, phase, renewed, own: true })
            }
            Err(error) => {
                tracing::warn!("{}: {}; the model is trained again", line.instance, Chain(&error));
                None
            }
        }
    }

    /// The reference of a line, if it is not the champion itself.
    pub(crate) fn reference(&self, line: &Line) -> Option<Arc<Model>> {
        let seat = self.index().own(line)?;
        let entry = seat.reference.filter(|entry| entry.version != seat.entry.version)?;
        let read = self.read(line, &entry);
        read.inspect_err(|error| tracing::warn!("{}: no reference: {}", line.instance, Chain(error))).ok()
    }

    /// Which schemas an instance has models for.
    pub(crate) fn lines(&self, id: &InstanceId) -> Vec<Line> {
        self.index().lines(id.as_str())
    }

    /// All that is known of a line.
    pub(crate) fn line(&self, line: &Line) -> Result<Manifest, Error> {
        let unknown = || Error::UnknownModel { instance: line.instance.clone(), version: None };
        self.shelf.newest(line)?.ok_or_else(unknown)
    }

    /// A version as one whole file, whatever stands apart on disk.
    pub(crate) fn file(&self, line: &Line, version: u64) -> Result<Vec<u8>, Error> {
        let manifest = self.line(line)?;
        let entry = manifest.entry(version)?;
        let file = self.shelf.file(line, entry)?;
        if entry.network.is_none() {
            return Ok(file);
        }
        let (model, provenance) = self.decode(&file)?;
        Ok(model.encode_with(&provenance)?)
    }

    /// A version's model.
    pub(crate) fn model(&self, line: &Line, version: u64) -> Result<Arc<Model>, Error> {
        self.read(line, self.line(line)?.entry(version)?)
    }

    fn read(&self, line: &Line, entry: &ModelEntry) -> Result<Arc<Model>, Error> {
        Ok(Arc::new(self.decode(&self.shelf.file(line, entry)?)?.0))
    }

    /// A model from its file, with the network that it names.
    fn decode(&self, file: &[u8]) -> Result<(Model, Provenance), Error> {
        let mut wrong = None;
        let decoded = Model::decode_apart(file, &mut |id| {
            self.networks.find(id).map_err(|error| {
                let problem = format!("its network {id}: {}", Chain(&error));
                wrong = Some(error);
                foretwin_learn::Error::Decode { object: "model", problem }
            })
        });
        decoded.map_err(|error| wrong.unwrap_or_else(|| error.into()))
    }

    /// Takes a model in as a challenger, durably, and gives it its version.
    pub(crate) fn add(
        &self,
        instance: &Instance,
        schema: SchemaId,
        model: &Model,
        provenance: &Provenance,
    ) -> Result<u64, Error> {
        let line = Line::new(&instance.id, schema);
        self.add_and(&line, &instance.workload, (model, provenance), |_, _, _| Ok(()))
    }

    /// Takes a model in, makes it champion and prunes, all in one change: what a training that needs no comparison ends
    /// with. The first that has settled also becomes the reference.
    pub(crate) fn succeed(
        &self,
        instance: &Instance,
        schema: SchemaId,
        (model, provenance): (&Model, &Provenance),
        keep: usize,
    ) -> Result<Seated, Error> {
        let line = Line::new(&instance.id, schema);
        self.add_and(&line, &instance.workload, (model, provenance), |manifest, version, at| {
            let because = Because { at, reason: &provenance.reason };
            manifest.promote(version, because)?;
            if manifest.reference.is_none() && provenance.phase == Some(Phase::Learned) {
                manifest
                    .set_reference(version, Because { reason: "the first that has settled", ..because })?;
            }
            manifest.prune(keep, Because { reason: "of no further use", ..because });
            Ok(())
        })?;
        self.seated(&line)
    }

    /// Makes a version the champion.
    pub(crate) fn promote(&self, line: &Line, version: u64, reason: &str) -> Result<Seated, Error> {
        // Nothing is promoted that could not judge.
        let model = self.model(line, version)?;
        self.change(line, |manifest, at| manifest.promote(version, Because { at, reason }))?;
        self.index().share(line, &model);
        self.seated(line)
    }

    /// Makes the champion before this one champion again.
    pub(crate) fn rollback(&self, line: &Line, reason: &str) -> Result<Seated, Error> {
        self.change(line, |manifest, at| {
            let before = manifest.rollback(Because { at, reason })?;
            self.read(line, manifest.entry(before)?).map(|_| ())
        })?;
        self.seated(line)
    }

    /// Freezes a version as the reference.
    pub(crate) fn set_reference(&self, line: &Line, version: u64, reason: &str) -> Result<(), Error> {
        self.change(line, |manifest, at| manifest.set_reference(version, Because { at, reason }))
    }

    /// Says that a challenger lost.
    pub(crate) fn dismiss(&self, line: &Line, version: u64, reason: &str) -> Result<(), Error> {
        self.change(line, |manifest, at| manifest.dismiss(version, Because { at, reason }))
    }

    /// Keeps a version from pruning, or no longer.
    pub(crate) fn pin(&self, line: &Line, version: u64, pinned: bool) -> Result<(), Error> {
        self.change(line, |manifest, at| manifest.pin(version, pinned, Because { at, reason: "asked for" }))
    }

    /// Lets go of versions without a role; see [`Manifest::prune`]. Gives those that went.
    pub(crate) fn prune(&self, line: &Line, keep: usize) -> Result<Vec<u64>, Error> {
        self.change(line, |manifest, at| Ok(manifest.prune(keep, Because { at, reason: "asked for" })))
    }

    /// Lets go of the models of an instance that is gone, but for those whose champion is the newest of its workload:
    /// whoever runs it next starts with it.
    pub(crate) fn retire(&self, instance: &Instance) {
        let _commit = self.commits();
        let lines = self.index().retirable(instance.id.as_str());
        for line in lines {
            self.index().remove(&line);
            if let Err(error) = self.shelf.delete(&line) {
                tracing::debug!("the models of {} stay on disk: {}", line.instance, Chain(&error));
            }
        }
        self.networks.release(&mut self.index());
    }

    fn seated(&self, line: &Line) -> Result<Seated, Error> {
        let unknown = || Error::UnknownModel { instance: line.instance.clone(), version: None };
        self.champion(line).ok_or_else(unknown)
    }

    /// Creates a file under the next free number, and commits the manifest that has it after `further` changes.
    fn add_and(
        &self,
        line: &Line,
        workload: &WorkloadId,
        (model, provenance): (&Model, &Provenance),
        further: impl Fn(&mut Manifest, u64, Timestamp) -> Result<(), Error>,
    ) -> Result<u64, Error> {
        let _commit = self.commits();
        // A new line goes on with the number that the model has: judgements may name it already.
        let mut manifest = self.current(line)?.unwrap_or_else(|| {
            let next_version = model.version().max(1);
            Manifest { next_version, ..Manifest::new(&line.instance, workload, line.schema) }
        });
        // What it runs may have changed since the line began.
        manifest.workload = workload.clone();
        let network = model.cohort().map(|cohort| self.networks.keep(cohort)).transpose()?;
        let (model, bytes) = loop {
            let model = model.clone().with_version(manifest.next_version);
            let bytes = model.encode_apart(provenance)?;
            if self.shelf.create(line, model.version(), &bytes)? {
                break (model, bytes);
            }
            // The number went to a file that no manifest names.
            manifest.next_version += 1;
        };
        let at = wall_clock();
        manifest.add((&model, provenance), &bytes, network, at);
        further(&mut manifest, model.version(), at)?;
        if !self.commit(line, &mut manifest)? {
            return Err(self.fenced(line));
        }
        Ok(model.version())
    }

    /// Reads, changes and commits a manifest; once more if another owner was faster.
    fn change<T>(
        &self,
        line: &Line,
        change: impl Fn(&mut Manifest, Timestamp) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let _commit = self.commits();
        for _ in 0..TRIES {
            let unknown = || Error::UnknownModel { instance: line.instance.clone(), version: None };
            let mut manifest = self.current(line)?.ok_or_else(unknown)?;
            let done = change(&mut manifest, wall_clock())?;
            if self.commit(line, &mut manifest)? {
                return Ok(done);
            }
        }
        Err(self.fenced(line))
    }

    /// The newest manifest, unless a later life of the process wrote it.
    fn current(&self, line: &Line) -> Result<Option<Manifest>, Error> {
        match self.shelf.newest(line)? {
            Some(manifest) if manifest.epoch > self.epoch => Err(self.fenced(line)),
            manifest => Ok(manifest),
        }
    }

    fn commit(&self, line: &Line, manifest: &mut Manifest) -> Result<bool, Error> {
        manifest.number += 1;
        manifest.epoch = self.epoch;
        let committed = self.shelf.commit(line, manifest)?;
        if committed {
            let mut index = self.index();
            index.put(manifest);
            self.networks.release(&mut index);
        }
        Ok(committed)
    }

    fn fenced(&self, line: &Line) -> Error {
        Error::Fenced { instance: line.instance.clone() }
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn commits(&self) -> MutexGuard<'_, ()> {
        self.commits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
