//! Networks that many models share: one file each, named by its content, and one copy in memory while somebody uses it.
//!
//! `networks/NAME.safetensors`, with NAME the hash of the file. A network is created before the first model that names
//! it, and deleted once no version of any line names it: at the change that lets the last one go, or at the next start.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use foretwin_learn::{Cohort, NetworkId};
use foretwin_store::Blobs;

use crate::Error;
use crate::registry::index::Index;

const FOLDER: &str = "networks/";
const FILE: &str = ".safetensors";

/// The files of networks, and those in use.
pub(crate) struct Networks {
    blobs: Blobs,
    used: Mutex<HashMap<NetworkId, Weak<Cohort>>>,
}

fn name(id: NetworkId) -> String {
    format!("{FOLDER}{id}{FILE}")
}

impl Networks {
    pub(crate) fn new(blobs: Blobs) -> Self {
        Self { blobs, used: Mutex::default() }
    }

    /// Deletes what no version names.
    pub(crate) fn sweep(&self, named: &HashSet<NetworkId>) -> Result<(), Error> {
        self.blobs.sweep(FOLDER)?;
        for file in self.blobs.list(FOLDER)? {
            let id = file.strip_prefix(FOLDER).and_then(|rest| rest.strip_suffix(FILE)?.parse().ok());
            if id.is_some_and(|id| !named.contains(&id)) {
                self.blobs.delete(&file)?;
            }
        }
        Ok(())
    }

    /// Makes sure that a network is on disk, durably; gives its name.
    pub(crate) fn keep(&self, cohort: &Cohort) -> Result<NetworkId, Error> {
        let (id, bytes) = cohort.encode()?;
        // One that is there is this one: its name is the hash of its bytes.
        self.blobs.create(&name(id), &bytes)?;
        Ok(id)
    }

    /// A network, from whoever uses it or from its file.
    pub(crate) fn find(&self, id: NetworkId) -> Result<Arc<Cohort>, Error> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cohort) = used.get(&id).and_then(Weak::upgrade) {
            return Ok(cohort);
        }
        let bytes = self.blobs.read(&name(id))?.unwrap_or_default();
        if foretwin_core::fnv64(&bytes) != id.0 {
            return Err(Error::DamagedModel { name: name(id) });
        }
        let cohort = Arc::new(Cohort::decode(&bytes)?);
        used.retain(|_, other| other.strong_count() > 0);
        used.insert(id, Arc::downgrade(&cohort));
        Ok(cohort)
    }

    /// Deletes those that the last version let go of; what stays after a failure goes at the next start.
    pub(crate) fn release(&self, index: &mut Index) {
        for id in index.unnamed() {
            if let Err(error) = self.blobs.delete(&name(id)) {
                tracing::debug!("the network {id} stays until the next start: {error}");
            }
        }
    }
}
