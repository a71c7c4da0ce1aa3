//! Lines of models as blobs: numbered files, and numbered manifests that say which of them count.
//!
//! `pPP/LINE.NUMBER.manifest`, `pPP/LINE.VERSION.safetensors` and `pPP/LINE.NUMBER.outlook` (under the number of the
//! manifest that first names it), with PP the partition of the instance and LINE the
//! FNV-1a hash of instance and schema. A change is a new manifest, committed by creating the next number: of two owners
//! exactly one gets it. A file is created before the manifest that names it and deleted after the one that does not, so
//! that at any instant the newest manifest names only files that are there. (A line that is deleted whole may come back
//! from a crash without its files; they are missed when they are asked for, and trained again.)

use foretwin_core::{Fnv64, InstanceId, SchemaId};
use foretwin_store::Blobs;

use crate::Error;
use crate::registry::manifest::{Manifest, ModelEntry};
use crate::registry::outlook::OutlookEntry;

const MANIFEST: &str = "manifest";
const FILE: &str = "safetensors";
const OUTLOOK: &str = "outlook";

/// Whose models: an instance, by one schema of its frames.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Line {
    pub(crate) instance: String,
    pub(crate) schema: SchemaId,
}

/// What a blob's name says.
struct Name<'a> {
    line: &'a str,
    number: u64,
    kind: &'a str,
}

impl Line {
    pub(crate) fn new(instance: &InstanceId, schema: SchemaId) -> Self {
        Self { instance: instance.as_str().to_owned(), schema }
    }

    /// The beginning of its blobs' names.
    fn prefix(&self) -> String {
        let partition = InstanceId::new(&self.instance).partition();
        let hash = Fnv64::default().text(&self.instance).write(&self.schema.0.to_le_bytes()).finish();
        format!("{}{hash:016x}", folder(partition.index()))
    }
}

fn folder(partition: usize) -> String {
    format!("p{partition:02}/")
}

fn name(prefix: &str, number: u64, kind: &str) -> String {
    format!("{prefix}.{number:010}.{kind}")
}

impl<'a> Name<'a> {
    fn read(name: &'a str) -> Option<Self> {
        let mut parts = name.split('.');
        let (line, number, kind) = (parts.next()?, parts.next()?, parts.next()?);
        let known = parts.next().is_none() && [MANIFEST, FILE, OUTLOOK].contains(&kind);
        known.then_some(Self { line, number: number.parse().ok()?, kind })
    }
}

/// The blobs of all lines.
pub(crate) struct Shelf {
    blobs: Blobs,
}

impl Shelf {
    pub(crate) fn new(blobs: Blobs) -> Self {
        Self { blobs }
    }

    /// The newest manifest of every line of a partition; what crashes left is cleared away.
    pub(crate) fn open(&self, partition: usize, found: &mut dyn FnMut(Manifest)) -> Result<(), Error> {
        let folder = folder(partition);
        self.blobs.sweep(&folder)?;
        let names = self.blobs.list(&folder)?;
        let mut rest = &names[..];
        while let Some(first) = rest.first() {
            let line = Name::read(first).map(|name| name.line);
            let same = rest.partition_point(|other| Name::read(other).map(|name| name.line) == line);
            let (own, others) = rest.split_at(same.max(1));
            rest = others;
            let Some(line) = line else { continue };
            match self.readable(own) {
                Some(manifest) => {
                    self.clear(own, &manifest)?;
                    found(manifest);
                }
                // A crash came between the first file and its manifest; manifests that cannot be read stay for people.
                None if !own.iter().any(|name| name.ends_with(MANIFEST)) => {
                    own.iter().try_for_each(|name| self.blobs.delete(name))?;
                }
                None => {
                    tracing::warn!("models/{line}: no manifest can be read; its models are trained again");
                }
            }
        }
        Ok(())
    }

    /// The newest manifest among blobs that can be read, under the highest number that was given, readable or not.
    fn readable(&self, names: &[String]) -> Option<Manifest> {
        let manifests = || names.iter().rev().filter(|name| name.ends_with(MANIFEST));
        let highest = manifests().find_map(|name| Name::read(name)).map(|name| name.number)?;
        let newest = manifests().find_map(|name| match self.manifest(name) {
            Ok(manifest) => manifest,
            Err(reason) => {
                tracing::warn!("models/{name}: {reason}; the one before it counts, if there is one");
                None
            }
        });
        newest.map(|manifest| Manifest { number: highest, ..manifest })
    }

    fn manifest(&self, name: &str) -> Result<Option<Manifest>, String> {
        let bytes = self.blobs.read(name).map_err(|error| error.to_string())?;
        bytes.map(|bytes| Manifest::decode(&bytes)).transpose()
    }

    /// Deletes what a manifest does not name, and all manifests but it and the one before.
    fn clear(&self, names: &[String], manifest: &Manifest) -> Result<(), Error> {
        for name in names {
            let Some(Name { number, kind, .. }) = Name::read(name) else { continue };
            let counts = match kind {
                MANIFEST => number + 1 >= manifest.number,
                OUTLOOK => manifest.outlooks().any(|outlook| outlook.number == number),
                _ => manifest.versions.iter().any(|entry| entry.version == number),
            };
            if !counts {
                self.blobs.delete(name)?;
            }
        }
        Ok(())
    }

    /// The newest manifest of a line.
    pub(crate) fn newest(&self, line: &Line) -> Result<Option<Manifest>, Error> {
        let names = self.blobs.list(&format!("{}.", line.prefix()))?;
        let manifest = self.readable(&names);
        // Two lines with one hash have not been seen; if they are, the second has no models.
        Ok(manifest.filter(|one| one.instance == line.instance && one.schema == line.schema))
    }

    /// Commits a manifest under the next number; false if somebody else was faster, or has been there since.
    pub(crate) fn commit(&self, line: &Line, manifest: &Manifest) -> Result<bool, Error> {
        let prefix = line.prefix();
        let bytes = manifest.encode().map_err(|source| Error::Manifest { source })?;
        if !self.blobs.create(&name(&prefix, manifest.number, MANIFEST), &bytes)? {
            return Ok(false);
        }
        // Another owner may have gone on and deleted the number that was just created: then it counts for nobody.
        let names = self.blobs.list(&format!("{prefix}."))?;
        let newest =
            |name: &String| Name::read(name).filter(|name| name.kind == MANIFEST).map(|name| name.number);
        if names.iter().filter_map(newest).max() > Some(manifest.number) {
            return Ok(false);
        }
        if let Err(error) = self.clear(&names, manifest) {
            tracing::debug!("what {prefix} no longer needs stays until the next start: {error}");
        }
        Ok(true)
    }

    /// Creates the file of a version; false if the number is taken.
    pub(crate) fn create(&self, line: &Line, version: u64, bytes: &[u8]) -> Result<bool, Error> {
        Ok(self.blobs.create(&name(&line.prefix(), version, FILE), bytes)?)
    }

    /// The file of a version, as it was written.
    pub(crate) fn file(&self, line: &Line, entry: &ModelEntry) -> Result<Vec<u8>, Error> {
        let name = name(&line.prefix(), entry.version, FILE);
        let bytes = self.blobs.read(&name)?.unwrap_or_default();
        if bytes.len() as u64 != entry.bytes || foretwin_wire::checksum(&bytes) != entry.checksum {
            return Err(Error::DamagedModel { name });
        }
        Ok(bytes)
    }

    /// Creates the file of a forecaster under the number of the manifest that is to name it, which no manifest does yet.
    pub(crate) fn create_outlook(&self, line: &Line, number: u64, bytes: &[u8]) -> Result<(), Error> {
        let name = name(&line.prefix(), number, OUTLOOK);
        if !self.blobs.create(&name, bytes)? {
            // It is left of an attempt whose manifest did not come.
            self.blobs.delete(&name)?;
            self.blobs.create(&name, bytes)?;
        }
        Ok(())
    }

    /// The file of a forecaster, as it was written.
    pub(crate) fn outlook(&self, line: &Line, entry: &OutlookEntry) -> Result<Vec<u8>, Error> {
        let name = name(&line.prefix(), entry.number, OUTLOOK);
        let bytes = self.blobs.read(&name)?.unwrap_or_default();
        if bytes.len() as u64 != entry.bytes || foretwin_wire::checksum(&bytes) != entry.checksum {
            return Err(Error::DamagedModel { name });
        }
        Ok(bytes)
    }

    /// Deletes everything of a line: files last, so that a crash leaves nothing that names what is gone.
    pub(crate) fn delete(&self, line: &Line) -> Result<(), Error> {
        let mut names = self.blobs.list(&format!("{}.", line.prefix()))?;
        names.sort_by_key(|name| !name.ends_with(MANIFEST));
        names.iter().try_for_each(|name| Ok(self.blobs.delete(name)?))
    }
}
