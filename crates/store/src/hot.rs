//! A hot file: everything that one flush made durable, of all partitions, in arrival order.
//!
//! One file per flush rather than per partition, so that a flush costs one sync. Its footer says how far the log
//! was applied in every partition: the newest hot file tells recovery where replay begins, and so it stays until
//! there is a newer one, even when all of it has been sealed.

use std::path::{Path, PathBuf};

use foretwin_core::{InstanceId, PARTITIONS, Timestamp};
use foretwin_disk::Disk;

use crate::Error;
use crate::bytes::{Cursor, Place, put_signed, put_text, put_varint};
use crate::container::Writer;
use crate::head::Frozen;
use crate::planes;

/// What is known of a hot file without reading its blocks.
#[derive(Debug)]
pub(crate) struct HotFile {
    pub(crate) path: PathBuf,
    /// Counts flushes of the data directory.
    pub(crate) sequence: u64,
    /// The clock of the flush.
    pub(crate) written_at: Timestamp,
    pub(crate) bytes: u64,
    pub(crate) samples: u64,
    /// Per partition, offset of the first record that is in no hot file up to this one.
    pub(crate) applied: [u64; PARTITIONS],
    /// Changes of the catalog, JSON in LZ4.
    pub(crate) changes: Option<Place>,
    /// Ordered by partition, then instance.
    pub(crate) blocks: Vec<Block>,
}

/// A few series of one partition.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) partition: u8,
    /// Its first instance in order of name.
    pub(crate) instance: InstanceId,
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
    pub(crate) place: Place,
}

/// What one flush writes.
pub(crate) struct Flush<'a> {
    pub(crate) sequence: u64,
    pub(crate) written_at: Timestamp,
    pub(crate) applied: [u64; PARTITIONS],
    pub(crate) changes: Option<&'a [u8]>,
    pub(crate) frozen: &'a [std::sync::Arc<Frozen>],
}

pub(crate) fn path(dir: &Path, sequence: u64) -> PathBuf {
    dir.join(format!("hot-{sequence:016x}.ftw"))
}

/// Writes a hot file; it is durable when this returns.
pub(crate) fn write(disk: &dyn Disk, dir: &Path, flush: &Flush<'_>) -> Result<HotFile, Error> {
    let path = path(dir, flush.sequence);
    let mut writer = Writer::create(disk, dir, "hot")?;
    let changes = flush.changes.map(|json| writer.put(&lz4_flex::compress_prepend_size(json))).transpose()?;
    let (mut blocks, mut samples) = (Vec::new(), 0);
    for frozen in flush.frozen {
        for series in split(frozen) {
            let place = writer.put(&planes::encode(&series))?;
            let times = || series.iter().flat_map(|(_, _, rows)| rows.times.iter().copied());
            let never = Timestamp(0);
            samples += series.iter().map(|(_, _, rows)| rows.values.len() as u64).sum::<u64>();
            blocks.push(Block {
                partition: frozen.partition.0,
                instance: series[0].0.clone(),
                first: times().min().unwrap_or(never),
                last: times().max().unwrap_or(never),
                place,
            });
        }
    }
    let (sequence, written_at, applied) = (flush.sequence, flush.written_at, flush.applied);
    let mut file = HotFile { path, sequence, written_at, bytes: 0, samples, applied, changes, blocks };
    file.bytes = writer.finish(&file.footer(), &file.path)?;
    Ok(file)
}

type Borrowed<'a> = (InstanceId, foretwin_core::SchemaId, &'a crate::frames::Rows);

/// Runs of series that make a block each.
fn split(frozen: &Frozen) -> Vec<Vec<Borrowed<'_>>> {
    let mut runs: Vec<Vec<Borrowed<'_>>> = Vec::new();
    let mut room = 0;
    for (instance, schema, rows) in &frozen.series {
        if room == 0 {
            runs.push(Vec::new());
            room = planes::BLOCK_BYTES;
        }
        if let Some(run) = runs.last_mut() {
            run.push((instance.clone(), *schema, rows));
        }
        room = room.saturating_sub(rows.bytes());
    }
    runs
}

impl HotFile {
    fn footer(&self) -> Vec<u8> {
        let mut into = vec![b'H'];
        put_varint(self.sequence, &mut into);
        put_signed(self.written_at.0, &mut into);
        put_varint(self.samples, &mut into);
        self.applied.iter().for_each(|&offset| put_varint(offset, &mut into));
        into.push(u8::from(self.changes.is_some()));
        if let Some(place) = self.changes {
            place.put(&mut into);
        }
        put_varint(self.blocks.len() as u64, &mut into);
        for block in &self.blocks {
            into.push(block.partition);
            put_text(block.instance.as_str(), &mut into);
            put_signed(block.first.0, &mut into);
            put_signed(block.last.0, &mut into);
            block.place.put(&mut into);
        }
        into
    }

    /// Reads a footer; `None` if it is not one of a hot file.
    pub(crate) fn parse(path: &Path, footer: &[u8], bytes: u64) -> Option<Self> {
        let mut cursor = Cursor(footer);
        if cursor.byte()? != b'H' {
            return None;
        }
        let sequence = cursor.varint()?;
        let written_at = Timestamp(cursor.signed()?);
        let samples = cursor.varint()?;
        let mut applied = [0; PARTITIONS];
        for offset in &mut applied {
            *offset = cursor.varint()?;
        }
        let changes = if cursor.byte()? == 1 { Some(Place::take(&mut cursor)?) } else { None };
        let mut blocks = Vec::new();
        for _ in 0..cursor.count()? {
            blocks.push(Block {
                partition: cursor.byte()?,
                instance: InstanceId::new(cursor.text()?),
                first: Timestamp(cursor.signed()?),
                last: Timestamp(cursor.signed()?),
                place: Place::take(&mut cursor)?,
            });
        }
        Some(Self { path: path.into(), sequence, written_at, bytes, samples, applied, changes, blocks })
    }

    /// The blocks of a partition.
    pub(crate) fn of(&self, partition: u8) -> &[Block] {
        let from = self.blocks.partition_point(|block| block.partition < partition);
        let to = self.blocks.partition_point(|block| block.partition <= partition);
        &self.blocks[from..to]
    }

    /// The blocks that may hold series of an instance.
    pub(crate) fn about(&self, instance: &InstanceId) -> impl Iterator<Item = &Block> {
        let blocks = self.of(instance.partition().0);
        let next = |at: usize| blocks.get(at + 1).map(|block| &block.instance);
        (0..blocks.len())
            .filter(move |&at| {
                blocks[at].instance <= *instance && next(at).is_none_or(|next| next >= instance)
            })
            .map(move |at| &blocks[at])
    }

    /// The blocks of a partition that may hold series of any of these instances, which are in order of name.
    pub(crate) fn of_any(&self, partition: u8, instances: &[&InstanceId]) -> impl Iterator<Item = &Block> {
        let blocks = self.of(partition);
        let held = move |at: usize| {
            let from = instances.partition_point(|&id| *id < blocks[at].instance);
            let next = blocks.get(at + 1).map(|block| &block.instance);
            instances.get(from).is_some_and(|&id| next.is_none_or(|next| id <= next))
        };
        let wanted: Vec<&Block> = (0..blocks.len()).filter(|&at| held(at)).map(|at| &blocks[at]).collect();
        wanted.into_iter()
    }

    /// A bit for each partition that has a block.
    pub(crate) fn partitions(&self) -> u64 {
        self.blocks.iter().fold(0, |mask, block| mask | 1 << (block.partition % PARTITIONS as u8))
    }
}
