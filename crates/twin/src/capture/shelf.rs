//! Profiles of instances as files: numbered, never changed, and pinned while a comparison depends on one.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use foretwin_core::{InstanceId, Profile, fnv64};
use foretwin_wire::profile as bytes;

use crate::Error;

/// How many versions are kept beside the pinned one.
const KEPT: usize = 8;
const EXTENSION: &str = "profile";
const PIN: &str = "pinned";

/// A directory with the profiles of many instances.
#[derive(Debug, Clone)]
pub struct Shelf(PathBuf);

impl Shelf {
    /// The shelf in a directory, which need not be there yet.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        Self(directory.into())
    }

    fn of(&self, instance: &InstanceId) -> PathBuf {
        self.0.join(format!("{:016x}", fnv64(instance.as_str().as_bytes())))
    }

    fn file(&self, instance: &InstanceId, version: u64) -> PathBuf {
        self.of(instance).join(format!("{version:010}.{EXTENSION}"))
    }

    /// Versions that are there, ascending.
    ///
    /// # Errors
    /// If the directory cannot be listed.
    pub fn versions(&self, instance: &InstanceId) -> Result<Vec<u64>, Error> {
        let dir = self.of(instance);
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(Error::File { operation: "list", path: dir, source }),
        };
        let paths = entries.flatten().map(|entry| entry.path());
        let profiles = paths.filter(|path| path.extension().is_some_and(|end| end == EXTENSION));
        let mut versions: Vec<u64> =
            profiles.filter_map(|path| path.file_stem()?.to_str()?.parse().ok()).collect();
        versions.sort_unstable();
        Ok(versions)
    }

    /// One version; none if it is not kept any more.
    ///
    /// # Errors
    /// If its file is there and cannot be read.
    pub fn get(&self, instance: &InstanceId, version: u64) -> Result<Option<Profile>, Error> {
        let path = self.file(instance, version);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::File { operation: "read", path, source }),
        };
        let damaged = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        bytes::decode(&bytes).map(Some).map_err(damaged).map_err(Error::file("read", path))
    }

    /// The latest version.
    ///
    /// # Errors
    /// As [`Shelf::get`].
    pub fn latest(&self, instance: &InstanceId) -> Result<Option<Profile>, Error> {
        self.versions(instance)?.last().map_or(Ok(None), |version| self.get(instance, *version))
    }

    /// Puts a profile beside the earlier ones and gives it the next number; one that says the same as the latest is
    /// not kept twice. Returns the profile with the number under which it is kept.
    ///
    /// # Errors
    /// If it cannot be written durably.
    pub fn put(&self, instance: &InstanceId, mut profile: Profile) -> Result<Profile, Error> {
        if let Some(latest) = self.latest(instance)?
            && latest.digest() == profile.digest()
        {
            return Ok(latest);
        }
        let versions = self.versions(instance)?;
        profile.version = versions.last().map_or(1, |last| last + 1);
        let path = self.file(instance, profile.version);
        let dir = self.of(instance);
        let mut content = Vec::new();
        bytes::encode(&profile, &mut content);
        write_durably(&dir, &path, &content).map_err(Error::file("write", &path))?;
        let pinned = self.pinned(instance)?;
        let old = versions.iter().rev().skip(KEPT - 1).filter(|version| Some(**version) != pinned);
        for version in old {
            let path = self.file(instance, *version);
            fs::remove_file(&path).map_err(Error::file("remove", &path))?;
        }
        Ok(profile)
    }

    /// The version that comparisons depend on now.
    ///
    /// # Errors
    /// If the mark is there and cannot be read.
    pub fn pinned(&self, instance: &InstanceId) -> Result<Option<u64>, Error> {
        let path = self.of(instance).join(PIN);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(text.trim().parse().ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::File { operation: "read", path, source }),
        }
    }

    /// Pins the latest version, unless one is pinned already: a profile that follows a leak would prove nothing.
    /// Returns the pinned profile; none while there is none at all.
    ///
    /// # Errors
    /// If the mark cannot be written.
    pub fn pin(&self, instance: &InstanceId) -> Result<Option<Profile>, Error> {
        if let Some(version) = self.pinned(instance)?
            && let Some(profile) = self.get(instance, version)?
        {
            return Ok(Some(profile));
        }
        let Some(latest) = self.latest(instance)? else { return Ok(None) };
        let (dir, path) = (self.of(instance), self.of(instance).join(PIN));
        let mark = latest.version.to_string();
        write_durably(&dir, &path, mark.as_bytes()).map_err(Error::file("write", path))?;
        Ok(Some(latest))
    }

    /// Lets comparisons go over to the latest version.
    ///
    /// # Errors
    /// If the mark cannot be removed.
    pub fn unpin(&self, instance: &InstanceId) -> Result<(), Error> {
        let path = self.of(instance).join(PIN);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(Error::File { operation: "remove", path, source })
            }
            _ => Ok(()),
        }
    }
}

/// A file is there whole or not at all, even after a crash.
fn write_durably(dir: &Path, path: &Path, content: &[u8]) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let beside = path.with_extension("new");
    let mut file = fs::File::create(&beside)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    fs::File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use foretwin_core::Timestamp;

    fn profile(step_s: f32) -> Profile {
        Profile { step_s, made: Timestamp(9), ..Profile::default() }
    }

    #[test]
    fn versions_count_and_equal_ones_are_one() {
        let dir = tempfile::tempdir().unwrap();
        let (shelf, instance) = (Shelf::new(&dir.path().join("new")), InstanceId::new("h/a"));
        assert_eq!((shelf.latest(&instance).unwrap(), shelf.pin(&instance).unwrap()), (None, None));
        assert_eq!(shelf.put(&instance, profile(1.0)).unwrap().version, 1);
        assert_eq!(shelf.put(&instance, profile(1.0)).unwrap().version, 1);
        assert_eq!(shelf.put(&instance, profile(2.0)).unwrap().version, 2);
        assert_eq!(shelf.latest(&instance).unwrap().unwrap().step_s, 2.0);
        assert!(shelf.versions(&InstanceId::new("h/b")).unwrap().is_empty());
    }

    #[test]
    fn a_pinned_version_outlives_the_later_ones() {
        let dir = tempfile::tempdir().unwrap();
        let (shelf, instance) = (Shelf::new(dir.path()), InstanceId::new("h/a"));
        shelf.put(&instance, profile(1.0)).unwrap();
        assert_eq!(shelf.pin(&instance).unwrap().unwrap().version, 1);
        for n in 2..20u8 {
            shelf.put(&instance, profile(f32::from(n))).unwrap();
        }
        assert_eq!(shelf.pin(&instance).unwrap().unwrap().step_s, 1.0);
        assert_eq!(shelf.versions(&instance).unwrap(), [1, 12, 13, 14, 15, 16, 17, 18, 19]);
        shelf.unpin(&instance).unwrap();
        shelf.unpin(&instance).unwrap();
        assert_eq!(shelf.pin(&instance).unwrap().unwrap().version, 19);
        shelf.put(&instance, profile(99.0)).unwrap();
        assert!(shelf.get(&instance, 1).unwrap().is_none());
        let damaged = shelf.file(&instance, 20);
        fs::write(&damaged, "x").unwrap();
        assert!(shelf.latest(&instance).is_err());
    }
}
