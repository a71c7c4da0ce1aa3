//! Hot files of a past span into raw sealed files.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use foretwin_core::{InstanceId, PARTITIONS, SECOND_US, SchemaId, Timestamp};

use crate::files::{Counted, Files};
use crate::frames::Frames;
use crate::hot::HotFile;
use crate::reader::Reader;
use crate::sealed::{Builder, Coverage, Level, SealedFile};
use crate::slice::Slice;
use crate::steps::Steps;
use crate::{Error, Store};

/// Rounds of maintenance that fail to read something before it is taken for lost.
const PATIENCE: u64 = 10;

/// Last partition.
const LAST: u8 = PARTITIONS as u8 - 1;

impl Store {
    /// Seals one run of hot files, if one is due, and returns how many files that made.
    pub(crate) fn seal(&self, steps: &mut Steps<'_>) -> Result<usize, Error> {
        let Some(now) = steps.now() else { return Ok(0) };
        let run = self.due(&self.files(), now);
        let (Some(first), Some(last)) = (run.first(), run.last()) else { return Ok(0) };
        let coverage = Coverage {
            level: Level::Raw,
            generation: 0,
            flushes: (first.file.sequence, last.file.sequence),
            partitions: (0, LAST),
            since: first.file.written_at,
            until: last.file.written_at,
        };
        // A crash may have left some partitions sealed already.
        let superseded = first.superseded;
        let seal = |builder: &mut Builder<'_>, partition, steps: &mut Steps<'_>| {
            self.seal_partition(&run, (builder, partition), steps)
        };
        self.build((coverage, superseded), steps, seal)
    }

    /// The hot files to seal together: the oldest ones, of one span, once it is over.
    fn due(&self, files: &Files, now: Timestamp) -> Vec<Counted<HotFile>> {
        let unsealed: Vec<&Counted<HotFile>> = files.unsealed().collect();
        let Some(first) = unsealed.first() else { return Vec::new() };
        let span_us = self.config.span_us();
        let span_of = |hot: &Counted<HotFile>| hot.file.written_at.0.div_euclid(span_us);
        let end_us = (span_of(first) + 1).saturating_mul(span_us) + self.config.grace_s as i64 * SECOND_US;
        let total: u64 = unsealed.iter().map(|hot| hot.file.bytes).sum();
        let clock_went_back = now.0 < first.file.written_at.0.saturating_sub(span_us);
        if now.0 < end_us && total <= self.config.seal_bytes && !clock_went_back {
            return Vec::new();
        }
        let mut bytes = 0;
        let together = |hot: &&&Counted<HotFile>| {
            let fits = bytes == 0 || bytes + hot.file.bytes <= self.config.seal_bytes;
            bytes += hot.file.bytes;
            fits && span_of(hot) == span_of(first) && hot.superseded == first.superseded
        };
        unsealed.iter().take_while(together).map(|hot| (*hot).clone()).collect()
    }

    /// Writes files of a coverage, partition by partition, leaving out the superseded ones. A file that has grown
    /// large enough is committed, and the next partition starts another. What fills them says false when the round
    /// is to end: then the file is given up, and what was committed before stays.
    pub(crate) fn build(
        &self,
        (coverage, superseded): (Coverage, u64),
        steps: &mut Steps<'_>,
        mut fill: impl FnMut(&mut Builder<'_>, u8, &mut Steps<'_>) -> Result<bool, Error>,
    ) -> Result<usize, Error> {
        let (low, high) = coverage.partitions;
        let mut partitions = (low..=high).filter(|partition| superseded >> partition & 1 == 0).peekable();
        let mut made = 0;
        while let Some(&low) = partitions.peek() {
            let mut builder = Builder::create(&*self.disk, &self.dir, self.config.compression_level)?;
            let mut high = low;
            for partition in partitions.by_ref() {
                if !fill(&mut builder, partition, steps).inspect_err(|error| self.doubt(error))? {
                    builder.give_up();
                    return Ok(made);
                }
                builder.close(partition)?;
                high = partition;
                if builder.length() >= self.config.sealed_file_bytes {
                    break;
                }
            }
            let file = builder.finish(Coverage { partitions: (low, high), ..coverage })?;
            self.change_files(|files| files.add_sealed(file));
            self.counters.unreadable.store(0, Ordering::Relaxed);
            made += 1;
        }
        Ok(made)
    }

    /// For rewriting, after which the source is removed: what cannot be read is tried some times more before it
    /// is given up.
    pub(crate) fn patient_reader(&self) -> Reader<'_> {
        Reader { lenient: self.counters.unreadable.load(Ordering::Relaxed) >= PATIENCE, ..self.reader() }
    }

    fn doubt(&self, error: &Error) {
        if matches!(error, Error::Disk { operation: "read", .. }) {
            self.counters.unreadable.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Seals a partition, some instances in a step; false if the round is to end.
    fn seal_partition(
        &self,
        run: &[Counted<HotFile>],
        (builder, partition): (&mut Builder<'_>, u8),
        steps: &mut Steps<'_>,
    ) -> Result<bool, Error> {
        for slice in Slice::all(run, partition, self.config.step_bytes) {
            self.seal_slice(run, builder, &slice)?;
            if !steps.next() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn seal_slice(
        &self,
        run: &[Counted<HotFile>],
        builder: &mut Builder<'_>,
        slice: &Slice,
    ) -> Result<(), Error> {
        let mut all: BTreeMap<(InstanceId, SchemaId), Frames> = BTreeMap::new();
        let pieces = run.iter().filter(|hot| slice.blocks(&hot.file).next().is_some()).count();
        for hot in run {
            for block in slice.blocks(&hot.file) {
                self.patient_reader().visit(&hot.file, block, |name, schema, packed| {
                    if slice.holds(name) {
                        packed.append_to(all.entry((InstanceId::new(name), schema)).or_default(), pieces);
                    }
                })?;
            }
        }
        for ((instance, schema), mut frames) in all {
            let Some(schema) = self.schema(schema) else {
                let what = format!("frames of {instance} have schema {schema}, which is lost");
                self.damages.note(&run[0].file.path, what);
                continue;
            };
            frames.settle();
            let columns: Vec<_> =
                schema.metrics().iter().map(|metric| metric.storage).zip(frames.columns).collect();
            builder.put(&instance, &schema, &frames.times, &columns)?;
        }
        Ok(())
    }

    /// Removes files that others stand for, and returns how many.
    pub(crate) fn remove_spent(&self) -> Result<usize, Error> {
        let files = self.files();
        let (hot, sealed) = (files.spent_hot(), files.spent_sealed());
        if hot.is_empty() && sealed.is_empty() {
            return Ok(0);
        }
        if !hot.is_empty() {
            self.snapshot()?;
        }
        for file in &hot {
            self.change_files(|files| files.remove_hot(file.sequence));
            self.disk.remove(&file.path).map_err(|error| Error::disk("remove", &file.path, error))?;
        }
        for file in &sealed {
            self.remove_sealed(file)?;
        }
        self.disk.sync_dir(&self.dir).map_err(|error| Error::disk("sync", &self.dir, error))?;
        Ok(hot.len() + sealed.len())
    }

    pub(crate) fn remove_sealed(&self, file: &Arc<SealedFile>) -> Result<(), Error> {
        self.change_files(|files| files.remove_sealed(file));
        self.disk.remove(&file.path).map_err(|error| Error::disk("remove", &file.path, error))
    }

    /// Writes what is known apart from telemetry, if it is newer than what was written last.
    fn snapshot(&self) -> Result<(), Error> {
        let snapshot = {
            let mut catalog = self.catalog_write();
            if !catalog.ahead_of_snapshot {
                return Ok(());
            }
            catalog.ahead_of_snapshot = false;
            catalog.snapshot()
        };
        crate::snapshot::write(&*self.disk, &self.dir, &snapshot)
            .inspect_err(|_| self.catalog_write().ahead_of_snapshot = true)
    }
}
