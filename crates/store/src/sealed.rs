//! A sealed file: columns of the series of some partitions, written once from what is already durable.
//!
//! A raw file holds what a run of hot files held, a minute or hour file what raw or minute files held, downsampled.
//! Its footer says which run of flushes and which partitions it stands for: where both a file and its source are
//! on disk, after a crash between writing the one and removing the other, the source is recognised and left out.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use foretwin_core::{InstanceId, PARTITIONS, Schema, SchemaId, Storage, Timestamp, Value};
use foretwin_disk::Disk;

use crate::Error;
use crate::bytes::{Cursor, Place, put_signed, put_varint};
use crate::column::{self, CHUNK_ROWS, Column};
use crate::container::Writer;
use crate::index::{Index, Series};

/// What a sealed file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Level {
    /// Samples as they came.
    Raw,
    /// One-minute summaries.
    Minute,
    /// One-hour summaries.
    Hour,
}

/// What a file stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Coverage {
    pub(crate) level: Level,
    /// 0 as first made, 1 merged from such.
    pub(crate) generation: u8,
    /// First and last flush.
    pub(crate) flushes: (u64, u64),
    /// First and last partition.
    pub(crate) partitions: (u8, u8),
    /// When the first of those flushes was written.
    pub(crate) since: Timestamp,
    /// When the last of those flushes was written.
    pub(crate) until: Timestamp,
}

impl Coverage {
    /// A bit for each partition.
    pub(crate) fn mask(&self) -> u64 {
        (self.partitions.0..=self.partitions.1).fold(0, |mask, at| mask | 1 << (at % PARTITIONS as u8))
    }

    /// Whether it stands for all the flushes from `first` to `last`.
    pub(crate) fn spans(&self, (first, last): (u64, u64)) -> bool {
        self.flushes.0 <= first && last <= self.flushes.1
    }

    pub(crate) fn path(&self, dir: &Path) -> PathBuf {
        let level = ["raw", "minute", "hour"][self.level as usize];
        let (first, last) = self.flushes;
        let (low, high) = self.partitions;
        dir.join(format!("{level}-{first:016x}-{last:016x}-{low:02}-{high:02}-{}.ftw", self.generation))
    }
}

/// What is known of a sealed file without reading its indices.
#[derive(Debug)]
pub(crate) struct SealedFile {
    pub(crate) path: PathBuf,
    pub(crate) coverage: Coverage,
    pub(crate) bytes: u64,
    pub(crate) samples: u64,
    /// Schemas of its series, JSON in LZ4.
    pub(crate) schemas: Place,
    pub(crate) schema_ids: Vec<SchemaId>,
    pub(crate) parts: Vec<Part>,
}

/// One partition of a sealed file.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) partition: u8,
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
    pub(crate) index: Place,
}

/// A sealed file being written, partition by partition in order.
pub(crate) struct Builder<'a> {
    writer: Writer<'a>,
    dir: PathBuf,
    level: usize,
    schemas: Vec<Arc<Schema>>,
    numbers: HashMap<SchemaId, usize>,
    samples: u64,
    index: Index,
    parts: Vec<Part>,
}

impl<'a> Builder<'a> {
    /// Starts a file, whose name follows from what it covers in the end.
    pub(crate) fn create(disk: &'a dyn Disk, dir: &Path, level: usize) -> Result<Self, Error> {
        Ok(Self {
            writer: Writer::create(disk, dir, "sealing")?,
            dir: dir.into(),
            level,
            schemas: Vec::new(),
            numbers: HashMap::new(),
            samples: 0,
            index: Index::default(),
            parts: Vec::new(),
        })
    }

    /// Bytes so far.
    pub(crate) fn length(&self) -> u64 {
        self.writer.length()
    }

    /// Adds frames of one series: ascending times and one column for each of `storages`.
    pub(crate) fn put(
        &mut self,
        instance: &InstanceId,
        schema: &Arc<Schema>,
        times: &[Timestamp],
        columns: &[(Storage, Vec<Value>)],
    ) -> Result<(), Error> {
        self.samples += (times.len() * schema.width()) as u64;
        if !self.numbers.contains_key(&schema.id()) {
            self.numbers.insert(schema.id(), self.schemas.len());
            self.schemas.push(Arc::clone(schema));
        }
        let number = self.numbers[&schema.id()];
        for from in (0..times.len()).step_by(CHUNK_ROWS) {
            let rows = from..times.len().min(from + CHUNK_ROWS);
            let clock: Vec<Value> =
                times[rows.clone()].iter().map(|at| Value(at.0.cast_unsigned())).collect();
            let mut coded = vec![column::encode(&clock, Storage::I64, self.level)];
            let encode = |(storage, values): &(Storage, Vec<Value>)| {
                column::encode(&values[rows.clone()], *storage, self.level)
            };
            coded.extend(columns.iter().map(encode));
            let offset = self.writer.length();
            let mut places = Vec::with_capacity(coded.len());
            for column in coded {
                places.push(match column {
                    Column::Constant(value) => crate::index::Cell::Constant(value),
                    Column::Chunk(chunk) => crate::index::Cell::Chunk(self.writer.put(&chunk)?),
                });
            }
            let (first, last) = (times[rows.start], times[rows.end - 1]);
            let instance = instance.clone();
            let rows = rows.len();
            self.index.series.push(Series {
                instance,
                schema: number,
                rows,
                first,
                last,
                offset,
                cells: places,
            });
        }
        Ok(())
    }

    /// Closes a partition.
    pub(crate) fn close(&mut self, partition: u8) -> Result<(), Error> {
        let index = std::mem::take(&mut self.index);
        let Some(first) = index.series.iter().map(|series| series.first).min() else { return Ok(()) };
        let last = index.series.iter().map(|series| series.last).max().unwrap_or(first);
        let place = self.writer.put(&index.encode())?;
        self.parts.push(Part { partition, first, last, index: place });
        Ok(())
    }

    /// Leaves nothing of the file.
    pub(crate) fn give_up(self) {
        self.writer.give_up();
    }

    /// Makes the file durable.
    pub(crate) fn finish(mut self, coverage: Coverage) -> Result<SealedFile, Error> {
        let metrics: Vec<_> = self.schemas.iter().map(|schema| schema.metrics()).collect();
        let json = serde_json::to_vec(&metrics).unwrap_or_default();
        let schemas = self.writer.put(&lz4_flex::compress_prepend_size(&json))?;
        let mut file = SealedFile {
            path: coverage.path(&self.dir),
            coverage,
            bytes: 0,
            samples: self.samples,
            schemas,
            schema_ids: self.schemas.iter().map(|schema| schema.id()).collect(),
            parts: self.parts,
        };
        file.bytes = self.writer.finish(&file.footer(), &file.path)?;
        Ok(file)
    }
}

impl SealedFile {
    fn footer(&self) -> Vec<u8> {
        let Coverage { level, generation, flushes, partitions, since, until } = self.coverage;
        let mut into = vec![b'S', level as u8, generation, partitions.0, partitions.1];
        put_varint(flushes.0, &mut into);
        put_varint(flushes.1, &mut into);
        put_signed(since.0, &mut into);
        put_signed(until.0, &mut into);
        put_varint(self.samples, &mut into);
        self.schemas.put(&mut into);
        put_varint(self.schema_ids.len() as u64, &mut into);
        self.schema_ids.iter().for_each(|id| into.extend_from_slice(&id.0.to_le_bytes()));
        put_varint(self.parts.len() as u64, &mut into);
        for part in &self.parts {
            into.push(part.partition);
            put_signed(part.first.0, &mut into);
            put_signed(part.last.0, &mut into);
            part.index.put(&mut into);
        }
        into
    }

    /// Reads a footer; `None` if it is not one of a sealed file.
    pub(crate) fn parse(path: &Path, footer: &[u8], bytes: u64) -> Option<Self> {
        let mut cursor = Cursor(footer);
        if cursor.byte()? != b'S' {
            return None;
        }
        let level = [Level::Raw, Level::Minute, Level::Hour].get(usize::from(cursor.byte()?)).copied()?;
        let (generation, low, high) = (cursor.byte()?, cursor.byte()?, cursor.byte()?);
        let flushes = (cursor.varint()?, cursor.varint()?);
        let (since, until) = (Timestamp(cursor.signed()?), Timestamp(cursor.signed()?));
        let coverage = Coverage { level, generation, flushes, partitions: (low, high), since, until };
        let samples = cursor.varint()?;
        let schemas = Place::take(&mut cursor)?;
        let count = cursor.count()?;
        let schema_ids = (0..count).map(|_| cursor.u64().map(SchemaId)).collect::<Option<_>>()?;
        let mut parts = Vec::new();
        for _ in 0..cursor.count()? {
            parts.push(Part {
                partition: cursor.byte()?,
                first: Timestamp(cursor.signed()?),
                last: Timestamp(cursor.signed()?),
                index: Place::take(&mut cursor)?,
            });
        }
        Some(Self { path: path.into(), coverage, bytes, samples, schemas, schema_ids, parts })
    }

    pub(crate) fn part(&self, partition: u8) -> Option<&Part> {
        self.parts.iter().find(|part| part.partition == partition)
    }

    /// The latest frame in it, or the clock of its last flush where frames claim to be from later than that.
    pub(crate) fn newest(&self) -> Timestamp {
        let last = self.parts.iter().map(|part| part.last).max().unwrap_or(self.coverage.until);
        last.min(self.coverage.until)
    }
}
