//! Reads parts of hot and sealed files, and notes what is damaged instead of failing.

use std::path::Path;
use std::sync::Arc;

use foretwin_core::{InstanceId, MISSING, SchemaId, Storage, Timestamp, Value};
use foretwin_disk::Disk;

use crate::Error;
use crate::bytes::Place;
use crate::column::{self, CHUNK_ROWS};
use crate::damage::Damages;
use crate::frames::{Frames, Span};
use crate::hot::{Block, HotFile};
use crate::index::{Cell, Index, Series};
use crate::planes;
use crate::sealed::{Part, SealedFile};
use crate::unpacked::Unpacked;

/// Chunks this close to each other are read at once: a seek costs more than the bytes between.
const NEAR_BYTES: u64 = 16 << 10;
const LARGEST_READ_BYTES: u64 = 8 << 20;

/// A disk, and where to note damage.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    pub(crate) disk: &'a dyn Disk,
    pub(crate) damages: &'a Damages,
    /// Whether what cannot be read is damage, or an error because it may be read another time.
    pub(crate) lenient: bool,
    /// Blocks that were unpacked lately, where reading is for somebody who asks.
    pub(crate) unpacked: Option<&'a Unpacked>,
}

/// One series, and which of its columns.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) instance: &'a InstanceId,
    pub(crate) schema: SchemaId,
    pub(crate) columns: &'a [usize],
    pub(crate) span: Span,
}

impl Reader<'_> {
    /// The bytes of a place, or `None` and a note that says what is lost with them.
    pub(crate) fn place(
        &self,
        path: &Path,
        place: Place,
        lost: impl FnOnce() -> String,
    ) -> Result<Option<Vec<u8>>, Error> {
        let bytes = self.read(path, place.offset, place.length as usize)?;
        if place.holds(&bytes) {
            return Ok(Some(bytes));
        }
        self.damages.note(path, lost());
        Ok(None)
    }

    fn read(&self, path: &Path, offset: u64, length: usize) -> Result<Vec<u8>, Error> {
        match self.disk.read(path, offset, length) {
            Ok(bytes) => Ok(bytes),
            Err(error) if self.lenient => {
                self.damages.note(path, format!("reading at byte {offset} fails: {error}"));
                Ok(Vec::new())
            }
            Err(error) => Err(Error::disk("read", path, error)),
        }
    }

    /// The series of a block that are wanted.
    pub(crate) fn block(
        &self,
        file: &HotFile,
        block: &Block,
        wanted: impl Fn(&str, SchemaId) -> bool,
    ) -> Result<Vec<planes::Series>, Error> {
        let mut all = Vec::new();
        self.visit(file, block, |name, schema, packed| {
            if wanted(name, schema) {
                let mut frames = Frames::default();
                packed.append_to(&mut frames, 1);
                all.push(planes::Series { instance: InstanceId::new(name), schema, frames });
            }
        })?;
        Ok(all)
    }

    /// Shows every series of a block.
    pub(crate) fn visit(
        &self,
        file: &HotFile,
        block: &Block,
        see: impl FnMut(&str, SchemaId, planes::Packed<'_>),
    ) -> Result<(), Error> {
        let Some(bytes) = self.place(&file.path, block.place, || lost(block))? else { return Ok(()) };
        planes::visit(&bytes, see).unwrap_or_else(|| self.damages.note(&file.path, lost(block)));
        Ok(())
    }

    /// Frames of a series in a hot file, in arrival order.
    pub(crate) fn hot(&self, file: &HotFile, wanted: Wanted<'_>) -> Result<Frames, Error> {
        let mut found = Frames::new(wanted.columns.len());
        for block in file.about(wanted.instance) {
            if !wanted.span.meets(block.first, block.last) {
                continue;
            }
            let Some(unpacked) = self.unpack(file, block)? else { continue };
            let visited = planes::visit_unpacked(&unpacked, |name, schema, packed| {
                if name == wanted.instance.as_str() && schema == wanted.schema {
                    let mut frames = Frames::new(wanted.columns.len());
                    packed.append_columns_to(&mut frames, wanted.columns);
                    frames.clip(wanted.span);
                    found.append(frames);
                }
            });
            visited.unwrap_or_else(|| self.note_lost(file, block));
        }
        Ok(found)
    }

    /// Notes that a block is damaged.
    pub(crate) fn note_lost(&self, file: &HotFile, block: &Block) {
        self.damages.note(&file.path, lost(block));
    }

    /// A block, unpacked now or lately; `None` and a note if it is damaged.
    pub(crate) fn unpack(&self, file: &HotFile, block: &Block) -> Result<Option<Arc<[u8]>>, Error> {
        let key = (file.sequence, block.place.offset);
        if let Some(known) = self.unpacked.and_then(|unpacked| unpacked.get(key)) {
            return Ok(Some(known));
        }
        let Some(bytes) = self.place(&file.path, block.place, || lost(block))? else { return Ok(None) };
        let Some(raw) = planes::decompress(&bytes) else {
            self.note_lost(file, block);
            return Ok(None);
        };
        let raw: Arc<[u8]> = raw.into();
        if let Some(unpacked) = self.unpacked {
            unpacked.put(key, &raw);
        }
        Ok(Some(raw))
    }

    /// The index of a partition; empty if it is damaged.
    pub(crate) fn index(
        &self,
        file: &SealedFile,
        part: &Part,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Index, Error> {
        let lost = || format!("all series of partition {} in this file are lost", part.partition);
        let Some(bytes) = self.place(&file.path, part.index, lost)? else { return Ok(Index::default()) };
        Ok(Index::decode(&bytes, wanted).unwrap_or_else(|| {
            self.damages.note(&file.path, lost());
            Index::default()
        }))
    }

    /// The wanted frames of a series in a sealed file; `storages` has the storage of every column in it.
    pub(crate) fn sealed(
        &self,
        file: &SealedFile,
        wanted: Wanted<'_>,
        storages: &[Storage],
    ) -> Result<Frames, Error> {
        let mut found = Frames::new(wanted.columns.len());
        let Some(part) = file.part(wanted.instance.partition().0) else { return Ok(found) };
        if !wanted.span.meets(part.first, part.last) || !file.schema_ids.contains(&wanted.schema) {
            return Ok(found);
        }
        let index = self.index(file, part, |name| name == wanted.instance.as_str())?;
        for series in &index.series {
            let same = file.schema_ids.get(series.schema) == Some(&wanted.schema);
            if same && wanted.span.meets(series.first, series.last) {
                let mut frames = self.series(file, series, wanted.columns, storages)?;
                frames.clip(wanted.span);
                found.append(frames);
            }
        }
        Ok(found)
    }

    /// Columns of one entry of an index. A damaged column reads as missing; damaged times cost the entry.
    pub(crate) fn series(
        &self,
        file: &SealedFile,
        series: &Series,
        columns: &[usize],
        storages: &[Storage],
    ) -> Result<Frames, Error> {
        let cell = |at: usize| series.cells.get(at).copied().unwrap_or(Cell::Constant(MISSING));
        let cells: Vec<Cell> = std::iter::once(0).chain(columns.iter().map(|at| at + 1)).map(cell).collect();
        let chunks = self.chunks(&file.path, &cells)?;
        let times = read_cell(series, (cells[0], chunks[0].as_deref()), Storage::I64);
        let Some(times) = times else {
            self.damages
                .note(&file.path, format!("frames of {} from {} on are lost", series.instance, series.first));
            return Ok(Frames::new(columns.len()));
        };
        let mut frames = Frames::new(0);
        frames.times = times.into_iter().map(|value| Timestamp(value.0.cast_signed())).collect();
        for (at, &column) in columns.iter().enumerate() {
            let storage = storages.get(column).copied().unwrap_or(Storage::U64);
            let read = read_cell(series, (cells[at + 1], chunks[at + 1].as_deref()), storage);
            frames.columns.push(read.unwrap_or_else(|| {
                let lost = format!("column {column} of {} from {} on is lost", series.instance, series.first);
                self.damages.note(&file.path, lost);
                vec![MISSING; series.rows.min(CHUNK_ROWS)]
            }));
        }
        Ok(frames)
    }

    /// The bytes of each chunk, unchecked, in as few reads as they lie close together.
    fn chunks(&self, path: &Path, cells: &[Cell]) -> Result<Vec<Option<Vec<u8>>>, Error> {
        let place = |at: usize| match cells[at] {
            Cell::Chunk(place) => Some((at, place)),
            Cell::Constant(_) => None,
        };
        let mut places: Vec<(usize, Place)> = (0..cells.len()).filter_map(place).collect();
        places.sort_by_key(|(_, place)| place.offset);
        let mut chunks = vec![None; cells.len()];
        let mut rest = &places[..];
        while let Some(&(_, first)) = rest.first() {
            let near = |pair: &[(usize, Place)]| {
                pair[1].1.offset <= pair[0].1.end() + NEAR_BYTES
                    && pair[1].1.end() - first.offset <= LARGEST_READ_BYTES
            };
            let together = 1 + rest.windows(2).take_while(|pair| near(pair)).count();
            let end = rest[together - 1].1.end();
            let bytes = self.read(path, first.offset, (end - first.offset) as usize)?;
            for &(at, place) in &rest[..together] {
                let from = (place.offset - first.offset) as usize;
                chunks[at] = bytes.get(from..from + place.length as usize).map(<[u8]>::to_vec);
            }
            rest = &rest[together..];
        }
        Ok(chunks)
    }
}

/// What is lost with a block.
fn lost(block: &Block) -> String {
    format!("frames of partition {} from {} on are lost", block.partition, block.instance)
}

/// The values of a cell; `None` if its bytes are damaged.
fn read_cell(series: &Series, (cell, bytes): (Cell, Option<&[u8]>), storage: Storage) -> Option<Vec<Value>> {
    match cell {
        Cell::Constant(value) => Some(vec![value; series.rows.min(CHUNK_ROWS)]),
        Cell::Chunk(place) => {
            let bytes = bytes.filter(|bytes| place.holds(bytes))?;
            column::decode(bytes, series.rows, storage)
        }
    }
}
