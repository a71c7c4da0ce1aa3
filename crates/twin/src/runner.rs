//! Where the runner's binary is, and whether it can run where there is nothing else.

use std::fs;
use std::path::{Path, PathBuf};

use foretwin_core::{Order, fnv64};

use crate::{Config, Error};

/// First argument with which the product's own executable is a runner.
pub const SUBCOMMAND: &str = "runner";
const NAME: &str = "foretwin-runner";

/// An executable that is a runner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runner {
    /// The executable.
    pub path: PathBuf,
    /// Whether it is Foretwin itself, which wants [`SUBCOMMAND`] as its first argument.
    pub is_foretwin: bool,
}

impl Runner {
    /// The configured runner, else `foretwin-runner` beside this executable, else this executable where it is
    /// `foretwin`.
    ///
    /// # Errors
    /// [`Error::Missing`] where there is none.
    pub fn find(config: &Config) -> Result<Self, Error> {
        let own = std::env::current_exe().ok();
        Self::among(config.runner.as_deref(), own.as_deref())
    }

    fn among(configured: Option<&Path>, own: Option<&Path>) -> Result<Self, Error> {
        let missing = |what: String| {
            Error::Missing {
            what,
            remedy: "build it (cargo build --release -p foretwin-runner --target x86_64-unknown-linux-musl) and put \
                     it beside foretwin, or name it as twin.runner"
                .into(),
        }
        };
        if let Some(path) = configured {
            return if path.is_file() {
                // Substrates start it elsewhere than where it was named.
                let whole = std::path::absolute(path).map_err(Error::file("find", path))?;
                Ok(Self { is_foretwin: is_foretwin(&whole), path: whole })
            } else {
                Err(missing(format!("no runner at {}", path.display())))
            };
        }
        let beside = own.and_then(Path::parent).map(|dir| dir.join(NAME)).filter(|path| path.is_file());
        if let Some(path) = beside {
            return Ok(Self { path, is_foretwin: false });
        }
        match own.filter(|path| is_foretwin(path)) {
            Some(path) => Ok(Self { path: path.into(), is_foretwin: true }),
            None => Err(missing("the runner is not beside this executable".into())),
        }
    }

    /// Arguments before its own.
    #[must_use]
    pub fn prefix(&self) -> &'static [&'static str] {
        if self.is_foretwin { &[SUBCOMMAND] } else { &[] }
    }

    /// Its bytes and their hash, if it needs no other file to run.
    ///
    /// # Errors
    /// If it cannot be read, or is linked to libraries.
    pub fn alone(&self) -> Result<(Vec<u8>, u64), Error> {
        let bytes = fs::read(&self.path).map_err(Error::file("read", &self.path))?;
        if is_static(&bytes) {
            let hash = fnv64(&bytes);
            return Ok((bytes, hash));
        }
        Err(Error::Missing {
            what: format!("{} is not a static binary, and would find no libraries there", self.path.display()),
            remedy: "build it with: cargo build --release -p foretwin-runner --target x86_64-unknown-linux-musl, and \
                     name it as twin.runner"
                .into(),
        })
    }
}

fn is_foretwin(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "foretwin")
}

/// Whether an ELF file (64 bit, little endian) asks for no interpreter: no program header of type `PT_INTERP`.
fn is_static(bytes: &[u8]) -> bool {
    const PT_INTERP: u32 = 3;
    let number = |at: usize, length: usize| -> Option<u64> {
        let mut number = [0; 8];
        number[..length].copy_from_slice(bytes.get(at..at + length)?);
        Some(u64::from_le_bytes(number))
    };
    let headers = || -> Option<(usize, usize, usize)> {
        Some((
            usize::try_from(number(32, 8)?).ok()?,
            usize::try_from(number(54, 2)?).ok()?,
            usize::try_from(number(56, 2)?).ok()?,
        ))
    };
    let is_elf = bytes.starts_with(b"\x7fELF\x02\x01");
    let Some((start, size, count)) = headers().filter(|_| is_elf) else { return false };
    (0..count).all(|index| number(start + index * size, 4).is_some_and(|kind| kind != u64::from(PT_INTERP)))
}

/// An order as the bytes that a runner reads.
pub(crate) fn encode(order: &Order) -> Vec<u8> {
    let mut bytes = Vec::new();
    foretwin_wire::order::encode(order, &mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_runner_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let (own, beside) = (dir.path().join("foretwin"), dir.path().join(NAME));
        fs::write(&own, "x").unwrap();
        let found = Runner::among(None, Some(&own)).unwrap();
        assert_eq!((found.path.as_path(), found.prefix()), (own.as_path(), &[SUBCOMMAND][..]));
        fs::write(&beside, "x").unwrap();
        assert_eq!(
            Runner::among(None, Some(&own)).unwrap(),
            Runner { path: beside.clone(), is_foretwin: false }
        );
        assert_eq!(Runner::among(Some(&own), None).unwrap().path, own);
        let absent = Runner::among(Some(&dir.path().join("absent")), Some(&own)).unwrap_err().to_string();
        assert!(absent.contains("absent") && absent.contains("cargo build"), "{absent}");
        let elsewhere = Runner::among(None, Some(Path::new("/bin/sh"))).unwrap_err().to_string();
        assert!(elsewhere.contains("twin.runner"), "{elsewhere}");
    }

    #[test]
    fn a_test_binary_is_linked_to_libraries() {
        let bytes = fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(cfg!(target_feature = "crt-static") || !is_static(&bytes));
        assert!(!is_static(b"#!/bin/sh"));
        // The smallest static executable: a header that counts no program headers.
        let mut empty = b"\x7fELF\x02\x01".to_vec();
        empty.resize(64, 0);
        assert!(is_static(&empty));
    }
}
