//! The models at work, on disk: one champion for each instance and schema, found again after a restart, and by the
//! workload's identity when the same workload comes back under another name.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use foretwin_core::{Fnv64, Instance, Phase, SchemaId, WorkloadId};
use foretwin_disk::Disk;
use foretwin_learn::Model;
use serde::{Deserialize, Serialize};

use crate::Error;

/// What a model file says before the model's own bytes.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Label {
    instance: String,
    workload: WorkloadId,
    schema: SchemaId,
    version: u64,
    phase: Phase,
    /// CRC-32 of the model's bytes.
    checksum: u32,
}

/// A champion.
struct Seat {
    workload: WorkloadId,
    model: Arc<Model>,
    phase: Phase,
}

/// Champions in memory, each backed by a file.
pub(crate) struct Registry {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    seats: Mutex<HashMap<(String, SchemaId), Seat>>,
}

impl Registry {
    /// Reads all champions of a directory; files that cannot be read are reported and passed over: their models are
    /// trained again.
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: &Path) -> Result<Self, Error> {
        let at = |operation| move |source| Error::File { operation, path: dir.to_path_buf(), source };
        disk.create_dir(dir).map_err(at("creating"))?;
        let mut seats = HashMap::new();
        for path in disk.list(dir).map_err(at("listing"))? {
            if path.extension().is_none_or(|ending| ending != "model") {
                continue;
            }
            match read(disk.as_ref(), &path) {
                Ok((label, model)) => {
                    let seat = Seat { workload: label.workload, model: Arc::new(model), phase: label.phase };
                    seats.insert((label.instance, label.schema), seat);
                }
                Err(reason) => tracing::warn!("{}: {reason}; the model is trained again", path.display()),
            }
        }
        Ok(Self { disk, dir: dir.to_path_buf(), seats: Mutex::new(seats) })
    }

    /// Hands over the champion of an instance, or else one of its workload on another.
    pub(crate) fn seat(&self, instance: &Instance, schema: SchemaId, take: impl FnOnce(Arc<Model>, Phase)) {
        let seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        let own = seats.get(&(instance.id.as_str().to_owned(), schema));
        let own = own.filter(|seat| seat.workload == instance.workload);
        let cousin = || {
            let same = |(key, seat): &(&(String, SchemaId), &Seat)| {
                key.1 == schema && seat.workload == instance.workload
            };
            seats.iter().filter(same).max_by_key(|(_, seat)| seat.model.trained_at()).map(|(_, seat)| seat)
        };
        if let Some(seat) = own.or_else(cousin) {
            take(seat.model.clone(), seat.phase);
        }
    }

    /// Lets go of the champions of an instance that is gone, but for those that are the newest of their workload: whoever
    /// runs it next starts with them.
    pub(crate) fn retire(&self, instance: &Instance) {
        let mut seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        let own: Vec<(String, SchemaId)> =
            seats.keys().filter(|key| key.0 == instance.id.as_str()).cloned().collect();
        for key in own {
            let Some(seat) = seats.get(&key) else { continue };
            let newer = |(other, one): (&(String, SchemaId), &Seat)| {
                let cousin = other.0 != key.0 && other.1 == key.1 && one.workload == seat.workload;
                cousin && one.model.trained_at() >= seat.model.trained_at()
            };
            if seats.iter().any(newer) {
                seats.remove(&key);
                if let Err(error) = self.disk.remove(&self.path(&key.0, key.1)) {
                    tracing::debug!("the model of {} stays on disk: {error}", key.0);
                }
            }
        }
    }

    fn path(&self, instance: &str, schema: SchemaId) -> PathBuf {
        let name = Fnv64::default().text(instance).write(&schema.0.to_le_bytes()).finish();
        self.dir.join(format!("{name:016x}.model"))
    }

    /// Makes a model the champion, durably.
    pub(crate) fn promote(
        &self,
        instance: &Instance,
        schema: SchemaId,
        model: &Arc<Model>,
        phase: Phase,
    ) -> Result<(), Error> {
        let bytes = model.encode()?;
        let label = Label {
            instance: instance.id.as_str().to_owned(),
            workload: instance.workload.clone(),
            schema,
            version: model.version(),
            phase,
            checksum: foretwin_wire::checksum(&bytes),
        };
        self.write(&label, &bytes)?;
        let seat = Seat { workload: label.workload, model: model.clone(), phase };
        self.seats.lock().unwrap_or_else(PoisonError::into_inner).insert((label.instance, schema), seat);
        Ok(())
    }

    fn write(&self, label: &Label, bytes: &[u8]) -> Result<(), Error> {
        let path = self.path(&label.instance, label.schema);
        let fresh = path.with_extension("new");
        let done = || {
            if self.disk.length(&fresh).is_ok() {
                self.disk.remove(&fresh)?;
            }
            let mut file = self.disk.create(&fresh)?;
            let mut head = serde_json::to_vec(label)?;
            head.push(b'\n');
            file.write(&head)?;
            file.write(bytes)?;
            file.sync()?;
            self.disk.rename(&fresh, &path)?;
            self.disk.sync_dir(&self.dir)
        };
        done().map_err(|source| Error::File { operation: "writing", path: path.clone(), source })
    }
}

fn read(disk: &dyn Disk, path: &Path) -> Result<(Label, Model), String> {
    let length = disk.length(path).map_err(|error| error.to_string())?;
    let bytes = disk.read(path, 0, length as usize).map_err(|error| error.to_string())?;
    let end = bytes.iter().position(|&byte| byte == b'\n').ok_or("it has no label")?;
    let label: Label = serde_json::from_slice(&bytes[..end]).map_err(|error| error.to_string())?;
    let body = &bytes[end + 1..];
    if foretwin_wire::checksum(body) != label.checksum {
        return Err("its checksum does not match".into());
    }
    let model = Model::decode(body).map_err(|error| error.to_string())?;
    Ok((label, model))
}
