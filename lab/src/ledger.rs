//! Who owns what: each run is written down before anything of it is made, so that leftovers can be found.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::group::{Group, Hierarchies};
use crate::{mounts, sys};

/// The mark on everything the lab makes: group, mount source, file in a scratch directory.
pub const OWNER: &str = "foretwin-lab";

/// The lab host, which contains every run's group.
pub const HOST_GROUP: &str = "/foretwin-lab";

/// What one run owns.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    /// [`OWNER`].
    pub owner: String,
    /// Process of the lab that runs it.
    pub lab_pid: u32,
    /// When that process started, in clock ticks since boot: process numbers are reused.
    pub lab_started: u64,
    /// Name of the run, and of its group below the lab host.
    pub name: String,
    /// Small file system mounted for it.
    pub mount: PathBuf,
    /// Directory on a real disk made for it.
    pub scratch: PathBuf,
}

/// The directory with one entry per run.
#[derive(Debug, Clone)]
pub struct Ledger {
    dir: PathBuf,
    scratch: PathBuf,
}

impl Ledger {
    /// Opens the ledger of this user; scratch directories will be made below `scratch`.
    ///
    /// # Errors
    /// If the directory cannot be made.
    pub fn open(scratch: &Path) -> Result<Self> {
        let dir = match std::env::var_os("XDG_RUNTIME_DIR") {
            _ if sys::user() == 0 => PathBuf::from("/run").join(OWNER),
            Some(dir) => Path::new(&dir).join(OWNER),
            None => std::env::temp_dir().join(format!("{OWNER}-{}", sys::user())),
        };
        fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
        Ok(Self { dir, scratch: scratch.join(OWNER) })
    }

    /// Held while groups are made or removed, so that one lab does not remove the host under another.
    ///
    /// # Errors
    /// If the lock file cannot be made.
    pub fn lock(&self) -> Result<File> {
        let path = self.dir.join("lock");
        let file = File::create(&path).with_context(|| format!("opening {}", path.display()))?;
        file.lock().with_context(|| format!("locking {}", path.display()))?;
        Ok(file)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.json"))
    }

    /// Writes a run down as owned by this process. The caller holds the lock.
    ///
    /// # Errors
    /// If a living lab runs it already.
    pub fn claim(&self, name: &str) -> Result<Entry> {
        if let Some(entry) = self.entries().into_iter().find(|entry| entry.name == name) {
            if entry.lives() {
                bail!("the run {name} is under way in process {}; give this one another seed", entry.lab_pid);
            }
            self.reclaim(&Hierarchies::find()?, &entry)?;
        }
        let lab_pid = std::process::id();
        let lab_started = started(lab_pid).context("reading /proc/self/stat")?;
        let (mount, scratch) = (self.dir.join(format!("{name}.disk")), self.scratch.join(name));
        let entry = Entry { owner: OWNER.into(), lab_pid, lab_started, name: name.into(), mount, scratch };
        let file = self.file(name);
        fs::write(&file, serde_json::to_vec(&entry)?)
            .with_context(|| format!("writing {}", file.display()))?;
        Ok(entry)
    }

    /// All runs written down.
    pub fn entries(&self) -> Vec<Entry> {
        let files = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        files
            .filter(|file| file.path().extension().is_some_and(|ending| ending == "json"))
            .filter_map(|file| serde_json::from_slice::<Entry>(&fs::read(file.path()).ok()?).ok())
            .filter(|entry| entry.owner == OWNER)
            .collect()
    }

    /// Removes all that a run owns: processes, groups, mount, scratch files, and last its entry.
    ///
    /// # Errors
    /// If something cannot be removed; the entry then stays, for the next attempt.
    pub fn reclaim(&self, hierarchies: &Hierarchies, entry: &Entry) -> Result<()> {
        Group::named(hierarchies, &format!("{HOST_GROUP}/{}", entry.name)).remove()?;
        if mounts::read()?.iter().any(|mount| mount.point == entry.mount && mount.source == OWNER) {
            sys::unmount(&entry.mount).with_context(|| format!("unmounting {}", entry.mount.display()))?;
        }
        // Only an empty directory can be removed this way, so nothing of anybody else is at risk.
        ignore_absent(fs::remove_dir(&entry.mount))
            .with_context(|| format!("removing {}", entry.mount.display()))?;
        if entry.scratch.join(OWNER).exists() {
            fs::remove_dir_all(&entry.scratch)
                .with_context(|| format!("removing {}", entry.scratch.display()))?;
        }
        let _ = entry.scratch.parent().map(fs::remove_dir);
        let file = self.file(&entry.name);
        ignore_absent(fs::remove_file(&file)).with_context(|| format!("removing {}", file.display()))
    }
}

fn ignore_absent(result: io::Result<()>) -> io::Result<()> {
    result.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

impl Entry {
    /// Whether the lab that made it still runs.
    pub fn lives(&self) -> bool {
        started(self.lab_pid) == Some(self.lab_started)
    }
}

/// Start time of a process in clock ticks since boot: field 22 of its `stat`, the 20th after the name.
fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_dead_are_reclaimed() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger { dir: dir.path().join("run"), scratch: dir.path().join("scratch") };
        fs::create_dir_all(&ledger.dir).unwrap();
        let entry = ledger.claim("linear-test").unwrap();
        assert!(entry.lives() && ledger.claim("linear-test").is_err());
        let dead = Entry { lab_started: entry.lab_started + 1, ..entry.clone() };
        assert!(!dead.lives());
        fs::create_dir_all(&entry.scratch).unwrap();
        fs::write(entry.scratch.join("precious"), "no mark here").unwrap();
        ledger.reclaim(&Hierarchies::default(), &dead).unwrap();
        assert!(ledger.entries().is_empty());
        assert!(entry.scratch.join("precious").exists(), "unmarked directories are not the lab's to remove");
    }
}
