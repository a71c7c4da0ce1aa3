//! Reads: memory, hot and sealed files as one, exact or downsampled.

use std::sync::Arc;

use foretwin_core::{
    HOUR_US, InstanceId, Kind, MINUTE_US, Metric, Schema, SchemaId, Storage, Timestamp, Window,
};

use crate::files::Files;
use crate::frames::{Frames, Span};
use crate::reader::{Reader, Wanted};
use crate::sealed::{Level, SealedFile};
use crate::summary::{self, Statistic, Summary};
use crate::{Error, Store};

/// Files are replaced while one reads; after this many times something else is wrong.
const ATTEMPTS: usize = 8;

/// What to read of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Whose frames.
    pub instance: InstanceId,
    /// Of which schema; all if absent.
    pub schema: Option<SchemaId>,
    /// Keys of the metrics wanted; all if absent. A window's schema lists only those.
    pub metrics: Option<Vec<String>>,
    /// First moment.
    pub from: Timestamp,
    /// First moment no longer wanted.
    pub to: Timestamp,
    /// At most about this many rows per window, evenly spaced over the asked span. More frames than that, or frames
    /// that exist only in a tier, come downsampled: gauges as doubles, counters as their last value.
    /// Without it every raw frame comes as it was.
    pub max_points: Option<usize>,
    /// Which number of a downsampled gauge.
    pub statistic: Statistic,
}

impl Query {
    /// Every raw frame of an instance in a span.
    #[must_use]
    pub fn new(instance: InstanceId, from: Timestamp, to: Timestamp) -> Self {
        let statistic = Statistic::default();
        Self { instance, schema: None, metrics: None, from, to, max_points: None, statistic }
    }

    /// Columns of a schema that are wanted; `None` if it has none of them.
    pub(crate) fn columns(&self, schema: &Schema) -> Option<Vec<usize>> {
        let Some(keys) = &self.metrics else { return Some((0..schema.width()).collect()) };
        let mut columns: Vec<usize> = keys.iter().filter_map(|key| schema.column(key)).collect();
        columns.sort_unstable();
        columns.dedup();
        (!columns.is_empty()).then_some(columns)
    }
}

impl Store {
    /// Frames of an instance, one window for each schema, ordered by their first frame. Frames are ordered by time,
    /// and of frames with the same time the last to arrive is there.
    ///
    /// # Errors
    /// If the disk cannot be read. What is damaged is left out and listed by [`Store::damage`].
    pub fn read(&self, query: &Query) -> Result<Vec<Window>, Error> {
        let mut windows = Vec::new();
        let span = Span { from: query.from, to: query.to };
        for schema in self.schemas(&query.instance) {
            if query.schema.is_some_and(|id| id != schema.id()) {
                continue;
            }
            let Some(columns) = query.columns(&schema) else { continue };
            windows.extend(match query.max_points {
                None => self.read_raw(&query.instance, &schema, Some(&columns), span)?,
                Some(points) => self.read_coarse(query, &schema, &columns, points)?,
            });
        }
        windows.sort_by_key(|window| window.times.first().copied());
        Ok(windows)
    }

    /// Raw frames of one series; `None` if there are none.
    pub(crate) fn read_raw(
        &self,
        instance: &InstanceId,
        schema: &Arc<Schema>,
        columns: Option<&[usize]>,
        span: Span,
    ) -> Result<Option<Window>, Error> {
        let all: Vec<usize> = (0..schema.width()).collect();
        let columns = columns.unwrap_or(&all);
        let wanted = Wanted { instance, schema: schema.id(), columns, span };
        let from = |head, files: &Files, reader: Reader<'_>| {
            gather(Sources { head, hot: None, files, reader }, schema, wanted, |_| true)
        };
        let frames = self.steadily(|| self.memory(wanted), from)?;
        Ok(exact_window(instance, (schema, columns), frames))
    }

    fn read_coarse(
        &self,
        query: &Query,
        schema: &Arc<Schema>,
        columns: &[usize],
        points: usize,
    ) -> Result<Option<Window>, Error> {
        let span = Span { from: query.from, to: query.to };
        let thinned = Thinned::new(span, points);
        let wanted = Wanted { instance: &query.instance, schema: schema.id(), columns, span };
        let from = |head, files: &Files, reader: Reader<'_>| {
            gather_level(Sources { head, hot: None, files, reader }, schema, wanted, thinned.level)
        };
        let found = self.steadily(|| self.memory(wanted), from)?;
        Ok(thinned.window((&query.instance, query.statistic), (schema, columns), found))
    }

    /// Reads from a consistent set of files. Where one is gone because another thread has just replaced it, reads
    /// again; what cannot be read for good is noted and left out. The set is taken inside the loop, and what
    /// is in memory must be looked at before it: a flush between the two then shows frames twice, and never hides
    /// them.
    pub(crate) fn steadily<T, M>(
        &self,
        memory: impl Fn() -> M,
        read: impl Fn(M, &Files, Reader<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let strict = Reader { lenient: false, ..self.reader() };
        for _ in 0..ATTEMPTS {
            let held = memory();
            let files = self.files();
            match read(held, &files, strict) {
                Err(error) if error.is_absent() && !Arc::ptr_eq(&files, &self.files()) => {}
                Err(_) => break,
                found => return found,
            }
        }
        let held = memory();
        read(held, &self.files(), self.reader())
    }

    pub(crate) fn memory(&self, wanted: Wanted<'_>) -> Frames {
        let head = self.head(wanted.instance.partition());
        head.select(wanted.instance, wanted.schema, wanted.columns, wanted.span)
    }
}

/// What a read looks at.
pub(crate) struct Sources<'a> {
    /// Frames in memory.
    pub(crate) head: Frames,
    /// Those of hot files, where they were read already.
    pub(crate) hot: Option<Frames>,
    pub(crate) files: &'a Files,
    pub(crate) reader: Reader<'a>,
}

/// How coarse an answer of so many points is.
#[derive(Clone, Copy)]
pub(crate) struct Thinned {
    pub(crate) level: Level,
    width_us: i64,
    points: usize,
}

impl Thinned {
    pub(crate) fn new(span: Span, points: usize) -> Self {
        let wide_us = span.to.0.saturating_sub(span.from.0).max(1);
        let width_us = wide_us.div_euclid(points.max(1) as i64).max(1);
        let (level, width_us) = match width_us {
            HOUR_US.. => (Level::Hour, round_up(width_us, HOUR_US)),
            MINUTE_US.. => (Level::Minute, round_up(width_us, MINUTE_US)),
            _ => (Level::Raw, round_up(width_us, 1)),
        };
        Self { level, width_us, points }
    }

    /// Frames and summaries as one window; `None` if there are none.
    pub(crate) fn window(
        self,
        (instance, statistic): (&InstanceId, Statistic),
        (schema, columns): (&Arc<Schema>, &[usize]),
        (exact, tiers): (Frames, Summary),
    ) -> Option<Window> {
        if tiers.times.is_empty() && exact.times.len() <= self.points {
            return exact_window(instance, (schema, columns), exact);
        }
        let metrics: Vec<&Metric> = columns.iter().map(|&at| &schema.metrics()[at]).collect();
        let mut summary = tiers;
        summary.append(Summary::of(exact, &metrics));
        let summary = summary.fold(self.width_us);
        let values = summary.values(statistic);
        window(instance, project(schema, columns, true), summary.times, values)
    }
}

/// Raw frames of a series, of the files that count.
pub(crate) fn gather(
    Sources { head, hot, files, reader }: Sources<'_>,
    schema: &Schema,
    wanted: Wanted<'_>,
    counts: impl Fn(&SealedFile) -> bool,
) -> Result<Frames, Error> {
    let partition = wanted.instance.partition().0;
    let storages: Vec<Storage> = schema.metrics().iter().map(|metric| metric.storage).collect();
    let mut frames = Frames::new(wanted.columns.len());
    for one in files.of(Level::Raw).filter(|one| counts(&one.file)) {
        frames.append(reader.sealed(&one.file, wanted, &storages)?);
    }
    match hot {
        Some(hot) => frames.append(hot),
        None => {
            for hot in files.hot().iter().filter(|hot| hot.counts(partition)) {
                frames.append(reader.hot(&hot.file, wanted)?);
            }
        }
    }
    frames.append(head);
    frames.settle();
    Ok(frames)
}

/// What a level knows of a series, and what is known only in the levels beside it: raw frames from which no
/// summary has been made yet, and summaries whose frames are gone.
pub(crate) fn gather_level(
    sources: Sources<'_>,
    schema: &Schema,
    wanted: Wanted<'_>,
    level: Level,
) -> Result<(Frames, Summary), Error> {
    let (partition, files, reader) = (wanted.instance.partition().0, sources.files, sources.reader);
    let stands =
        |next: Level, file: &SealedFile| files.standing(next, file.coverage.flushes) >> partition & 1 == 1;
    let counts = |file: &SealedFile| level == Level::Raw || !stands(Level::Minute, file);
    let exact = gather(sources, schema, wanted, counts)?;
    let metrics: Vec<&Metric> = wanted.columns.iter().map(|&at| &schema.metrics()[at]).collect();
    let columns = summary::columns(schema.metrics(), wanted.columns);
    let storages = summary::storages(schema.metrics().iter());
    let mut tiers = Summary::default();
    let mut known_from = exact.times.first().copied().filter(|_| level == Level::Raw);
    for tier in [Level::Minute, Level::Hour] {
        let begin =
            |at: Timestamp| Timestamp(at.0.div_euclid(tier.width_us()).saturating_mul(tier.width_us()));
        // A row counts from the begin of its interval. A coarser tier than asked for speaks only of the time
        // before the finer ones begin.
        let until = known_from.filter(|_| tier > level).map_or(wanted.span.to, begin);
        let span = Span { from: begin(wanted.span.from), to: wanted.span.to.min(until) };
        let wanted = Wanted { columns: &columns, span, ..wanted };
        for one in files.of(tier).filter(|one| one.counts(partition)) {
            if tier == Level::Minute && level == Level::Hour && stands(Level::Hour, &one.file) {
                continue;
            }
            let frames = reader.sealed(&one.file, wanted, &storages)?;
            tiers.append(Summary::from_columns(frames, &metrics));
        }
        known_from = exact.times.iter().chain(&tiers.times).min().copied();
    }
    Ok((exact, tiers))
}

fn round_up(value: i64, to: i64) -> i64 {
    value.saturating_add(to - 1) / to * to
}

/// A schema of some of the metrics. Downsampled gauges are doubles.
fn project(schema: &Schema, columns: &[usize], downsampled: bool) -> Arc<Schema> {
    let metric = |&at: &usize| {
        let metric = schema.metrics()[at].clone();
        if downsampled && metric.kind == Kind::Gauge { metric.stored(Storage::F64) } else { metric }
    };
    Schema::new(columns.iter().map(metric).collect())
}

/// Frames as they are.
pub(crate) fn exact_window(
    instance: &InstanceId,
    (schema, columns): (&Arc<Schema>, &[usize]),
    frames: Frames,
) -> Option<Window> {
    let all = columns.len() == schema.width();
    let schema = if all { Arc::clone(schema) } else { project(schema, columns, false) };
    window(instance, schema, frames.times, frames.columns)
}

fn window(
    instance: &InstanceId,
    schema: Arc<Schema>,
    times: Vec<Timestamp>,
    columns: Vec<Vec<foretwin_core::Value>>,
) -> Option<Window> {
    (!times.is_empty()).then(|| Window { instance: instance.clone(), schema, times, columns })
}
