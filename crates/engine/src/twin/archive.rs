//! Where comparisons rest between two lives of a node: blobs, one line of numbered ones per host.
//!
//! `contrasts/HOST.NUMBER`, with HOST the FNV-1a hash of the host's name. A change is the next number; the one before
//! stays until another follows, for a crash or damage in between.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use foretwin_core::{InstanceId, fnv64};
use foretwin_disk::Disk;
use foretwin_store::Blobs;
use foretwin_twin::capture::Shelf;

use super::kept::Kept;
use super::replays::FOLDER as PROFILES;
use super::{Contrasts, locked};
use crate::Error;
use crate::error::Chain;

/// Folder below the data directory.
const FOLDER: &str = "contrasts";
/// How often the comparisons of a host are written down: what a crash costs is the learning since.
const EVERY: Duration = Duration::from_secs(600);
/// Numbers that are kept of each line.
const KEPT: usize = 2;

/// Blobs of comparisons.
pub(super) struct Archive {
    blobs: Blobs,
    profiles: Shelf,
    /// When each host's were last written down.
    written: Mutex<HashMap<String, Instant>>,
}

impl Archive {
    pub(super) fn open(disk: Arc<dyn Disk>, data_dir: &Path) -> Result<Self, Error> {
        let blobs = Blobs::new(disk, data_dir);
        blobs.sweep(&format!("{FOLDER}/"))?;
        let profiles = Shelf::new(&data_dir.join(PROFILES));
        Ok(Self { blobs, profiles, written: Mutex::default() })
    }

    /// Version of the profile that is pinned for an instance; none as well where its mark cannot be read.
    fn profile(&self, id: &InstanceId) -> Option<u64> {
        self.profiles.pinned(id).ok().flatten()
    }

    fn line(&self, host: &str) -> Result<Vec<String>, Error> {
        Ok(self.blobs.list(&format!("{}.", name(host)))?)
    }

    /// The newest of a host that can be read.
    fn newest(&self, host: &str) -> Result<Option<Kept>, Error> {
        for name in self.line(host)?.iter().rev() {
            let Some(bytes) = self.blobs.read(name)? else { continue };
            match Kept::decode(&bytes) {
                Ok(kept) => return Ok(Some(kept)),
                Err(reason) => tracing::warn!("{name}: {reason}; the one before it counts, if there is one"),
            }
        }
        Ok(None)
    }

    fn put(&self, host: &str, kept: &Kept) -> Result<(), Error> {
        let mut line = self.line(host)?;
        let number = |name: &String| name.rsplit('.').next()?.parse::<u64>().ok();
        let next = line.last().and_then(number).map_or(1, |last| last + 1);
        let fresh = format!("{}.{next:010}", name(host));
        if self.blobs.create(&fresh, &kept.encode())? {
            line.push(fresh);
        }
        line[..line.len().saturating_sub(KEPT)].iter().try_for_each(|old| self.blobs.delete(old))?;
        Ok(())
    }

    /// A host whose comparisons are due to be written down, and marks it as written.
    fn due(&self, hosts: &[String]) -> Option<String> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.retain(|host, _| hosts.contains(host));
        let now = Instant::now();
        let since = |host: &String| written.get(host).map(|at| now.duration_since(*at));
        // A host that is new here has just begun, or was just recalled.
        let fresh: Vec<String> = hosts.iter().filter(|host| since(host).is_none()).cloned().collect();
        let due = hosts.iter().find(|host| since(host).is_some_and(|waited| waited >= EVERY)).cloned();
        written.extend(fresh.into_iter().chain(due.clone()).map(|host| (host, now)));
        due
    }
}

fn name(host: &str) -> String {
    format!("{FOLDER}/{:016x}", fnv64(host.as_bytes()))
}

impl Contrasts {
    /// Lets the comparisons of all hosts go on where an earlier life has left them, and keeps them from now on. What
    /// cannot be read begins anew: it is learned again in minutes.
    pub(crate) fn recall(&self, disk: Arc<dyn Disk>, data_dir: &Path) {
        let archive = match Archive::open(disk, data_dir) {
            Ok(archive) => self.archive.get_or_init(|| archive),
            Err(error) => return tracing::warn!("comparisons are not kept: {}", Chain(&error)),
        };
        for host in self.hosts() {
            let kept = archive.newest(&host).unwrap_or_else(|error| {
                tracing::warn!("{host}: its comparisons begin anew: {}", Chain(&error));
                None
            });
            if let Some((scene, kept)) = self.scene(&host).zip(kept) {
                locked(&scene).recall(kept, &|id| archive.profile(id));
            }
        }
    }

    /// Writes down the comparisons of one host that are due; to be asked once a second. One at a time, so that a fleet
    /// is spread over the interval.
    ///
    /// # Errors
    /// If the disk refuses.
    pub(crate) fn keep_due(&self) -> Result<(), Error> {
        let due = self.archive.get().and_then(|archive| archive.due(&self.hosts()));
        due.map_or(Ok(()), |host| self.keep(&host))
    }

    /// Writes down all comparisons.
    ///
    /// # Errors
    /// If the disk refuses; the first error, after all were tried.
    pub(crate) fn keep_all(&self) -> Result<(), Error> {
        let kept: Vec<Result<(), Error>> = self.hosts().iter().map(|host| self.keep(host)).collect();
        kept.into_iter().collect()
    }

    fn keep(&self, host: &str) -> Result<(), Error> {
        let Some((scene, archive)) = self.scene(host).zip(self.archive.get()) else { return Ok(()) };
        // Frames of the host wait for the scene: what takes long comes after it.
        let kept = locked(&scene).rest();
        let Some(mut kept) = kept.filter(|kept| !kept.comparisons.is_empty()) else { return Ok(()) };
        kept.comparisons.iter_mut().for_each(|one| one.profile = archive.profile(&one.instance));
        archive.put(host, &kept)
    }

    fn hosts(&self) -> Vec<String> {
        self.scenes.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }
}
