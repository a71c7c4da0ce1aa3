//! The store itself: what its threads share, and the short answers.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use foretwin_core::{
    Failure, InstanceId, Maintenance, PARTITIONS, Partition, Schema, SchemaId, Timestamp, Window,
};
use foretwin_disk::Disk;

use crate::catalog::{Catalog, Entry};
use crate::damage::Damages;
use crate::error::Damage;
use crate::extent::Extent;
use crate::files::Files;
use crate::flush::Flushing;
use crate::frames::Span;
use crate::head::Head;
use crate::reader::Reader;
use crate::stats::Counters;
use crate::unpacked::Unpacked;
use crate::{Config, Error};

/// Telemetry of a data directory. Shared by reference among the workers of the partitions, which apply, readers,
/// and one thread that flushes and maintains.
pub struct Store {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    pub(crate) config: Config,
    pub(crate) heads: Vec<Mutex<Head>>,
    pub(crate) catalog: RwLock<Catalog>,
    pub(crate) files: RwLock<Arc<Files>>,
    /// Held while a hot file is written.
    pub(crate) flushing: Mutex<Flushing>,
    /// Held while files are rewritten or removed.
    pub(crate) maintaining: Mutex<()>,
    pub(crate) durable: Mutex<[u64; PARTITIONS]>,
    pub(crate) counters: Counters,
    pub(crate) damages: Damages,
    pub(crate) unpacked: Unpacked,
}

impl Store {
    /// Offset of the first record of a partition that has not been applied: where replay begins after a start.
    #[must_use]
    pub fn applied(&self, partition: Partition) -> u64 {
        self.head(partition).applied
    }

    /// Per partition, offset of the first record that the store would miss after a crash now: the log may be
    /// trimmed up to there.
    #[must_use]
    pub fn durable(&self) -> [u64; PARTITIONS] {
        *self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of every instance.
    #[must_use]
    pub fn instances(&self) -> BTreeMap<InstanceId, Entry> {
        self.catalog_read().instances().clone()
    }

    /// What is known of one instance.
    #[must_use]
    pub fn instance(&self, instance: &InstanceId) -> Option<Entry> {
        self.catalog_read().instances().get(instance).cloned()
    }

    /// The schemas that frames of an instance were stored with.
    #[must_use]
    pub fn schemas(&self, instance: &InstanceId) -> Vec<Arc<Schema>> {
        let catalog = self.catalog_read();
        let ids = catalog.instances().get(instance).map(|entry| &entry.schemas);
        ids.into_iter().flatten().filter_map(|id| catalog.schema(*id).cloned()).collect()
    }

    /// The schema with this id.
    #[must_use]
    pub fn schema(&self, id: SchemaId) -> Option<Arc<Schema>> {
        self.catalog_read().schema(id).cloned()
    }

    /// Every schema known.
    #[must_use]
    pub fn all_schemas(&self) -> Vec<Arc<Schema>> {
        self.catalog_read().schemas().cloned().collect()
    }

    /// All planned work, in order of its place in the log. A later record of the same instance and beginning says that it
    /// ends at another time; what ends before it begins was called off and is left out.
    #[must_use]
    pub fn maintenance(&self) -> Vec<Maintenance> {
        let mut planned: Vec<Maintenance> = Vec::new();
        for work in self.catalog_read().maintenance() {
            planned.retain(|known| (&known.instance, known.from) != (&work.instance, work.from));
            planned.push(work.clone());
        }
        planned.retain(|work| work.to > work.from);
        planned
    }

    /// All failures recorded, in order of their place in the log.
    #[must_use]
    pub fn failures(&self) -> Vec<Failure> {
        self.catalog_read().failures().cloned().collect()
    }

    /// The last frame of an instance by time, one window of one frame for each schema.
    ///
    /// # Errors
    /// If the disk cannot be read.
    pub fn latest(&self, instance: &InstanceId) -> Result<Vec<Window>, Error> {
        let mut windows = Vec::new();
        for schema in self.schemas(instance) {
            let live = self.head(instance.partition()).latest(instance, schema.id());
            if let Some((at, values)) = live {
                let mut window = Window::new(instance.clone(), schema);
                window.push(at, &values);
                windows.push(window);
            } else if let Some((_, last)) = self.extent(instance, schema.id())? {
                windows.extend(self.read_raw(instance, &schema, None, Span { from: last, to: last + 1 })?);
            }
        }
        Ok(windows)
    }

    /// Times of the first and last raw frame of an instance.
    ///
    /// # Errors
    /// If the disk cannot be read.
    pub fn instance_span(&self, instance: &InstanceId) -> Result<Option<(Timestamp, Timestamp)>, Error> {
        let mut span: Option<(Timestamp, Timestamp)> = None;
        for schema in self.schemas(instance) {
            if let Some((first, last)) = self.extent(instance, schema.id())? {
                span = Some(span.map_or((first, last), |(a, b)| (a.min(first), b.max(last))));
            }
        }
        Ok(span)
    }

    fn extent(
        &self,
        instance: &InstanceId,
        schema: SchemaId,
    ) -> Result<Option<(Timestamp, Timestamp)>, Error> {
        let memory = || self.head(instance.partition()).extent(instance, schema);
        self.steadily(memory, |held, files, reader| {
            let mut extent = Extent(held);
            extent.widen_sealed(files, reader, (instance, schema))?;
            extent.widen_hot(files, reader, (instance, schema))?;
            Ok(extent.0)
        })
    }

    /// Parts of files found damaged since the start, while opening or reading.
    #[must_use]
    pub fn damage(&self) -> Vec<Damage> {
        self.damages.list()
    }

    pub(crate) fn head(&self, partition: Partition) -> MutexGuard<'_, Head> {
        self.heads[partition.index()].lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn catalog_read(&self) -> RwLockReadGuard<'_, Catalog> {
        self.catalog.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn catalog_write(&self) -> RwLockWriteGuard<'_, Catalog> {
        self.catalog.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn files(&self) -> Arc<Files> {
        Arc::clone(&self.files.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the set of files; readers keep the one they have.
    pub(crate) fn change_files(&self, change: impl FnOnce(&mut Files)) {
        let mut files = self.files.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut files));
    }

    /// For answers: what cannot be read is left out.
    pub(crate) fn reader(&self) -> Reader<'_> {
        Reader { disk: &*self.disk, damages: &self.damages, lenient: true, unpacked: Some(&self.unpacked) }
    }
}
