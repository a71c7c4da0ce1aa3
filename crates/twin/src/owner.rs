//! Whose the twins are: what carries the label of an owner may be changed or removed by it, nothing else.

use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;

use foretwin_core::{InstanceId, fnv64};

use crate::Error;

/// Variable in the environment of every process that is started for a twin.
pub const LABEL: &str = "FORETWIN_LABEL";
/// The same inside a container. Another name, since its processes belong to the daemon: they are found, taken over and
/// removed as containers.
pub const CONTAINER_LABEL: &str = "FORETWIN_CONTAINER_LABEL";

/// The identity of one data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner(String);

impl Owner {
    /// The owner that a data directory names; a new directory gets a random one, kept in its file `twin-owner`.
    ///
    /// # Errors
    /// If the file can be neither read nor made, or is damaged.
    pub fn of(data_dir: &Path) -> Result<Self, Error> {
        let path = data_dir.join("twin-owner");
        match fs::read_to_string(&path) {
            Ok(text) => Self::parse(text.trim()).ok_or_else(|| {
                let source = io::Error::new(io::ErrorKind::InvalidData, "expected 8 hexadecimal digits");
                Error::File { operation: "read", path, source }
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::make(&path),
            Err(source) => Err(Error::File { operation: "read", path, source }),
        }
    }

    /// The owner with this name: 8 hexadecimal digits in lower case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        (text.len() == 8 && digits).then(|| Self(text.to_owned()))
    }

    fn make(path: &Path) -> Result<Self, Error> {
        let mut random = [0u8; 4];
        let drawn = fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut random));
        drawn.map_err(Error::file("read", "/dev/urandom"))?;
        let owner = Self(format!("{:08x}", u32::from_le_bytes(random)));
        // Written beside and renamed, and synced: a torn name would orphan everything that carries the old one.
        let beside = path.with_extension("new");
        let write = || {
            let mut file = fs::File::create(&beside)?;
            file.write_all(owner.0.as_bytes())?;
            file.sync_all()?;
            fs::rename(&beside, path)
        };
        write().map_err(Error::file("write", path))?;
        Ok(owner)
    }

    /// Its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value of [`LABEL`] for a twin.
    #[must_use]
    pub fn label(&self, twin: &InstanceId) -> String {
        format!("{}/{twin}", self.0)
    }

    /// The name of a twin's group, container, socket and files. Equal twins have equal names, so that a restart
    /// finds its own.
    #[must_use]
    pub fn name(&self, role: Role, twin: &InstanceId) -> String {
        format!("{}{:016x}", self.prefix(role), fnv64(twin.as_str().as_bytes()))
    }

    /// Whether a name is one that [`Owner::name`] gives.
    #[must_use]
    pub fn owns(&self, name: &str) -> bool {
        let rest = Role::ALL.into_iter().find_map(|role| name.strip_prefix(&self.prefix(role)));
        rest.is_some_and(|rest| rest.len() == 16 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
    }

    fn prefix(&self, role: Role) -> String {
        format!("{}-{}-", role.as_str(), self.0)
    }
}

/// What a twin is for, which decides its priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Short units of work at normal priority: they must feel what the original feels.
    Probes,
    /// Bulk work at the lowest priority: it must not be felt.
    Replay,
    /// Bulk work that somebody waits for, at normal priority within a quota: starved of processor time, it would tell
    /// wrong times.
    Rehearsal,
}

impl Role {
    /// All, in the order of their declaration.
    pub const ALL: [Self; 3] = [Self::Probes, Self::Replay, Self::Rehearsal];

    /// How names of this role begin.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Probes => "foretwin-probe",
            Self::Replay => "foretwin-twin",
            Self::Rehearsal => "foretwin-rehearsal",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_made_once_and_a_damaged_one_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let owner = Owner::of(dir.path()).unwrap();
        assert_eq!(Owner::of(dir.path()).unwrap(), owner);
        fs::write(dir.path().join("twin-owner"), "nonsense").unwrap();
        assert!(Owner::of(dir.path()).is_err());
    }

    #[test]
    fn only_own_names_are_owned() {
        let owner = Owner::parse("00c0ffee").unwrap();
        let name = owner.name(Role::Replay, &InstanceId::new("host/app~twin"));
        assert!(name.starts_with("foretwin-twin-00c0ffee-") && owner.owns(&name));
        assert_ne!(name, owner.name(Role::Replay, &InstanceId::new("host/app2~twin")));
        assert!(!Owner::parse("00c0ffef").unwrap().owns(&name));
        assert!(
            !owner.owns("foretwin-twin-00c0ffee-")
                && !owner.owns(&format!("{name}0"))
                && !owner.owns("nginx")
        );
        assert_eq!(Owner::parse("00C0FFEE"), None);
    }
}
