//! Which files there are, and which of them still count: a file whose content another stands for is left out.

use std::sync::Arc;

use crate::hot::HotFile;
use crate::sealed::{Level, SealedFile};

/// A consistent set of files: a reader keeps one while it reads, writers replace it whole.
#[derive(Debug, Clone, Default)]
pub(crate) struct Files {
    hot: Vec<Counted<HotFile>>,
    sealed: Vec<Counted<SealedFile>>,
}

/// A file, and the partitions of it that another file stands for.
#[derive(Debug)]
pub(crate) struct Counted<T> {
    pub(crate) file: Arc<T>,
    pub(crate) superseded: u64,
}

impl<T> Clone for Counted<T> {
    fn clone(&self) -> Self {
        Self { file: Arc::clone(&self.file), superseded: self.superseded }
    }
}

impl<T> Counted<T> {
    /// Whether a partition is to be read from this file.
    pub(crate) fn counts(&self, partition: u8) -> bool {
        self.superseded >> partition & 1 == 0
    }
}

impl Files {
    pub(crate) fn add_hot(&mut self, file: HotFile) {
        let superseded = self.standing_for_flush(file.sequence);
        let at = self.hot.partition_point(|hot| hot.file.sequence < file.sequence);
        self.hot.insert(at, Counted { file: Arc::new(file), superseded });
    }

    pub(crate) fn add_sealed(&mut self, file: SealedFile) {
        let at = self.sealed.partition_point(|one| one.file.coverage.flushes <= file.coverage.flushes);
        self.sealed.insert(at, Counted { file: Arc::new(file), superseded: 0 });
        self.recount();
    }

    pub(crate) fn remove_hot(&mut self, sequence: u64) {
        self.hot.retain(|hot| hot.file.sequence != sequence);
    }

    pub(crate) fn remove_sealed(&mut self, file: &Arc<SealedFile>) {
        self.sealed.retain(|one| !Arc::ptr_eq(&one.file, file));
    }

    fn standing_for_flush(&self, sequence: u64) -> u64 {
        let raw = self.sealed.iter().filter(|one| one.file.coverage.level == Level::Raw);
        let standing = raw.filter(|one| one.file.coverage.spans((sequence, sequence)));
        standing.fold(0, |mask, one| mask | one.file.coverage.mask())
    }

    fn recount(&mut self) {
        for at in 0..self.hot.len() {
            self.hot[at].superseded = self.standing_for_flush(self.hot[at].file.sequence);
        }
        for at in 0..self.sealed.len() {
            let own = self.sealed[at].file.coverage;
            let better = self.sealed.iter().map(|one| one.file.coverage).filter(|other| {
                other.level == own.level && other.generation > own.generation && other.spans(own.flushes)
            });
            self.sealed[at].superseded = better.fold(0, |mask, other| mask | other.mask());
        }
    }

    /// Hot files in order of flush.
    pub(crate) fn hot(&self) -> &[Counted<HotFile>] {
        &self.hot
    }

    /// All sealed files in order of their first flush.
    pub(crate) fn sealed(&self) -> &[Counted<SealedFile>] {
        &self.sealed
    }

    /// Sealed files of a level in order of their first flush.
    pub(crate) fn of(&self, level: Level) -> impl Iterator<Item = &Counted<SealedFile>> {
        self.sealed.iter().filter(move |one| one.file.coverage.level == level)
    }

    /// Partitions for which files of a level stand for all the flushes from first to last.
    pub(crate) fn standing(&self, level: Level, flushes: (u64, u64)) -> u64 {
        let spanning = self.of(level).filter(|one| one.file.coverage.spans(flushes));
        spanning.fold(0, |mask, one| mask | one.file.coverage.mask())
    }

    /// Hot files that need not be kept: fully sealed, and not the newest.
    pub(crate) fn spent_hot(&self) -> Vec<Arc<HotFile>> {
        let older = &self.hot[..self.hot.len().saturating_sub(1)];
        let spent = older.iter().filter(|hot| hot.file.partitions() & !hot.superseded == 0);
        // One without a block says nothing that a newer one does not say, once a snapshot of the catalog is there.
        spent.map(|hot| Arc::clone(&hot.file)).collect()
    }

    /// Sealed files that a merged one stands for.
    pub(crate) fn spent_sealed(&self) -> Vec<Arc<SealedFile>> {
        let spent = self.sealed.iter().filter(|one| one.file.coverage.mask() & !one.superseded == 0);
        spent.map(|one| Arc::clone(&one.file)).collect()
    }

    /// Hot files of which something is not sealed yet, in order of flush.
    pub(crate) fn unsealed(&self) -> impl Iterator<Item = &Counted<HotFile>> {
        self.hot.iter().filter(|hot| hot.file.partitions() & !hot.superseded != 0)
    }

    /// Bytes of hot and of sealed files.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        let hot = self.hot.iter().map(|hot| hot.file.bytes).sum();
        (hot, self.sealed.iter().map(|one| one.file.bytes).sum())
    }
}
