//! What is on disk after a stop of any kind, put in order.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};

use foretwin_core::{PARTITIONS, Partition, Schema};
use foretwin_disk::Disk;

use crate::catalog::{Catalog, Changes};
use crate::container::{self, UNFINISHED};
use crate::damage::Damages;
use crate::error::Damage;
use crate::files::Files;
use crate::flush::Flushing;
use crate::head::Head;
use crate::hot::HotFile;
use crate::planes::decompress;
use crate::reader::Reader;
use crate::sealed::SealedFile;
use crate::stats::Counters;
use crate::unpacked::Unpacked;
use crate::{Config, Error, Store, snapshot};

/// What opening found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recovery {
    /// Per partition, offset of the first record to replay.
    pub applied: Vec<u64>,
    /// Hot files of which something was not sealed yet.
    pub hot_files: usize,
    /// Sealed files, tiers included.
    pub sealed_files: usize,
    /// Files that a crash left half written, removed; the log still has what they were to hold.
    pub unfinished: Vec<PathBuf>,
    /// Files whose content was already in another, removed.
    pub superseded: usize,
    /// What is unreadable. Frames that are lost here and still in the log can be had again by removing the file
    /// and replaying.
    pub damages: Vec<Damage>,
}

/// The sequence of the next hot file. Those of damaged files are not used again either: their names are.
fn next_sequence(files: &Files, recovery: &Recovery) -> u64 {
    let last = files.hot().last().map(|hot| hot.file.sequence + 1);
    let sealed = files.sealed().iter().map(|one| one.file.coverage.flushes.1 + 1).max();
    last.into_iter().chain(sealed).chain(recovery.last_named()).max().unwrap_or(0)
}

impl Store {
    /// Opens the store in a directory, which is made if it is not there.
    ///
    /// # Errors
    /// If the configuration makes no sense or the directory cannot be read or written. Damaged files are no error:
    /// they are listed in [`Recovery`].
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, config: Config) -> Result<(Self, Recovery), Error> {
        config.validate()?;
        disk.create_dir(dir).map_err(|error| Error::disk("make", dir, error))?;
        let damages = Damages::default();
        let mut recovery = Recovery::default();
        let reader = Reader { disk: &*disk, damages: &damages, lenient: true, unpacked: None };
        let files = scan(reader, dir, &mut recovery)?;
        let catalog = restore(reader, dir, &files)?;
        let mut applied = [0; PARTITIONS];
        for hot in files.hot() {
            applied.iter_mut().zip(hot.file.applied).for_each(|(all, one)| *all = (*all).max(one));
        }
        let heads: Vec<Mutex<Head>> = Partition::all().map(|_| Mutex::default()).collect();
        let next_sequence = next_sequence(&files, &recovery);
        let store = Self {
            disk,
            dir: dir.into(),
            config,
            heads,
            catalog: RwLock::new(catalog),
            files: RwLock::new(Arc::new(files)),
            flushing: Mutex::new(Flushing::after(next_sequence, applied)),
            maintaining: Mutex::new(()),
            durable: Mutex::new(applied),
            counters: Counters::default(),
            damages,
            unpacked: Unpacked::default(),
        };
        for partition in Partition::all() {
            store.head(partition).resume(applied[partition.index()]);
        }
        recovery.superseded = store.remove_spent()?;
        let files = store.files();
        recovery.applied = applied.to_vec();
        recovery.hot_files = files.unsealed().count();
        recovery.sealed_files = files.sealed().len();
        recovery.damages = store.damage();
        Ok((store, recovery))
    }
}

impl Recovery {
    /// One past the flush number in the names of unreadable hot files.
    fn last_named(&self) -> Option<u64> {
        let number = |damage: &Damage| hot_number(&damage.path).map(|number| number + 1);
        self.damages.iter().filter_map(number).max()
    }
}

fn hot_number(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    u64::from_str_radix(name.strip_prefix("hot-")?.strip_suffix(".ftw")?, 16).ok()
}

/// Reads the footers of all files.
fn scan(reader: Reader<'_>, dir: &Path, recovery: &mut Recovery) -> Result<Files, Error> {
    let mut files = Files::default();
    for path in reader.disk.list(dir).map_err(|error| Error::disk("list", dir, error))? {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if name.ends_with(UNFINISHED) {
            reader.disk.remove(&path).map_err(|error| Error::disk("remove", &path, error))?;
            recovery.unfinished.push(path);
            continue;
        }
        if !name.ends_with(".ftw") {
            continue;
        }
        let Some(footer) = container::read_footer(reader.disk, &path)? else {
            let what = "both footers are unreadable: everything in this file is lost to readers";
            reader.damages.note(&path, what.into());
            continue;
        };
        if footer.one_copy_damaged {
            reader.damages.note(&path, "one of its two footers is unreadable; nothing is lost yet".into());
        }
        if let Some(hot) = HotFile::parse(&path, &footer.bytes, footer.length) {
            files.add_hot(hot);
        } else if let Some(sealed) = SealedFile::parse(&path, &footer.bytes, footer.length) {
            files.add_sealed(sealed);
        } else {
            reader
                .damages
                .note(&path, "its footer is of another version of Foretwin; it is left alone".into());
        }
    }
    recovery.damages = reader.damages.list();
    Ok(files)
}

/// The catalog: the snapshot, then what hot files changed, then schemas that only sealed files know.
fn restore(reader: Reader<'_>, dir: &Path, files: &Files) -> Result<Catalog, Error> {
    let mut catalog = Catalog::default();
    if let Some(snapshot) = snapshot::read(reader.disk, dir, reader.damages)? {
        catalog.restore(snapshot);
    }
    for hot in files.hot() {
        let Some(place) = hot.file.changes else { continue };
        let lost = || "what it says of instances, schemas and failures is lost".to_string();
        let Some(bytes) = reader.place(&hot.file.path, place, lost)? else { continue };
        match decompress(&bytes).and_then(|json| serde_json::from_slice::<Changes>(&json).ok()) {
            Some(changes) => {
                catalog.restore(changes);
                catalog.ahead_of_snapshot = true;
            }
            None => reader.damages.note(&hot.file.path, lost()),
        }
    }
    for one in files.sealed() {
        if one.file.schema_ids.iter().all(|id| catalog.schema(*id).is_some()) {
            continue;
        }
        let lost = || "the schemas of its series are lost".to_string();
        let Some(bytes) = reader.place(&one.file.path, one.file.schemas, lost)? else { continue };
        let metrics = decompress(&bytes).and_then(|json| serde_json::from_slice::<Vec<_>>(&json).ok());
        let Some(metrics) = metrics else { continue };
        metrics.into_iter().for_each(|metrics| catalog.intern(&Schema::new(metrics)));
    }
    Ok(catalog)
}
