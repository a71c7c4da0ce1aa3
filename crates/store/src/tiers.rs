//! Raw files into one-minute files, those of a day into one, and that into a one-hour file.
//!
//! Each is made from files that are already durable, and says in its footer which flushes it stands for: a step
//! that a crash cut short is simply done again.

use std::collections::BTreeMap;
use std::sync::Arc;

use foretwin_core::{DAY_US, HOUR_US, InstanceId, MINUTE_US, Metric, SECOND_US, SchemaId, Timestamp};

use crate::files::{Counted, Files};
use crate::frames::Frames;
use crate::index::Series;
use crate::sealed::{Builder, Coverage, Level, SealedFile};
use crate::steps::Steps;
use crate::summary::{self, Summary};
use crate::{Error, Store};

impl Level {
    /// Width of a row, 0 where rows are frames.
    pub(crate) fn width_us(self) -> i64 {
        match self {
            Self::Raw => 0,
            Self::Minute => MINUTE_US,
            Self::Hour => HOUR_US,
        }
    }
}

/// Frames of one series in several files, in order of arrival.
type Pieces = BTreeMap<(InstanceId, SchemaId), Vec<(usize, Series)>>;

impl Store {
    /// Makes what tiers are due and returns how many files that made.
    pub(crate) fn downsample(&self, steps: &mut Steps<'_>) -> Result<usize, Error> {
        if self.config.tiers.minute_days == 0 {
            return Ok(0);
        }
        let mut made = 0;
        let lacking = |files: &Files, from: Level, generation, to| {
            let lacks = move |files: &Files, one: &&Counted<SealedFile>| {
                let own = one.file.coverage;
                own.generation == generation && own.mask() & !files.standing(to, own.flushes) != 0
            };
            files
                .of(from)
                .filter(|one| lacks(files, one))
                .map(|one| Arc::clone(&one.file))
                .collect::<Vec<_>>()
        };
        for raw in lacking(&self.files(), Level::Raw, 0, Level::Minute) {
            made += self.derive(&[raw], (Level::Minute, 0, 0), steps)?;
        }
        made += self.merge_day(steps)?;
        if self.config.tiers.hour_days > 0 {
            for minute in lacking(&self.files(), Level::Minute, 1, Level::Hour) {
                made += self.derive(&[minute], (Level::Hour, 1, 0), steps)?;
            }
        }
        Ok(made)
    }

    /// Merges the minute files of the oldest day that is over.
    fn merge_day(&self, steps: &mut Steps<'_>) -> Result<usize, Error> {
        let Some(now) = steps.now() else { return Ok(0) };
        let files = self.files();
        let fresh: Vec<_> = files
            .of(Level::Minute)
            .filter(|one| {
                one.file.coverage.generation == 0 && one.file.coverage.mask() & !one.superseded != 0
            })
            .collect();
        let Some(first) = fresh.first() else { return Ok(0) };
        let day_of = |at: Timestamp| at.0.div_euclid(DAY_US);
        let day = day_of(first.file.coverage.since);
        let grace_us = self.config.span_us() + 2 * self.config.grace_s as i64 * SECOND_US;
        let end_us = (day + 1).saturating_mul(DAY_US);
        let waiting = files.unsealed().any(|hot| hot.file.written_at.0 < end_us);
        if waiting || now.0 < end_us.saturating_add(grace_us) {
            return Ok(0);
        }
        let of_the_day = |one: &&&Counted<SealedFile>| day_of(one.file.coverage.since) == day;
        let inputs: Vec<_> = fresh.iter().take_while(of_the_day).map(|one| Arc::clone(&one.file)).collect();
        // What a merge cut short has done already is superseded in all inputs of these partitions.
        let superseded = fresh.iter().take_while(of_the_day).fold(0, |mask, one| mask | one.superseded);
        self.derive(&inputs, (Level::Minute, 1, superseded), steps)
    }

    /// Writes files of a level that stand for the inputs, all of one level.
    fn derive(
        &self,
        inputs: &[Arc<SealedFile>],
        (level, generation, superseded): (Level, u8, u64),
        steps: &mut Steps<'_>,
    ) -> Result<usize, Error> {
        let Some(first) = inputs.first().filter(|_| steps.now().is_some()) else { return Ok(0) };
        let all = inputs.iter().map(|file| file.coverage);
        let own = first.coverage;
        let coverage = all.fold(Coverage { level, generation, ..own }, |sum, one| Coverage {
            flushes: (sum.flushes.0.min(one.flushes.0), sum.flushes.1.max(one.flushes.1)),
            partitions: (sum.partitions.0.min(one.partitions.0), sum.partitions.1.max(one.partitions.1)),
            since: sum.since.min(one.since),
            until: sum.until.max(one.until),
            ..sum
        });
        let derive = |builder: &mut Builder<'_>, partition, steps: &mut Steps<'_>| {
            self.derive_partition(inputs, builder, (level, partition), steps)
        };
        self.build((coverage, superseded), steps, derive)
    }

    /// Downsamples a partition, series by series; false if the round is to end.
    fn derive_partition(
        &self,
        inputs: &[Arc<SealedFile>],
        builder: &mut Builder<'_>,
        (level, partition): (Level, u8),
        steps: &mut Steps<'_>,
    ) -> Result<bool, Error> {
        let mut pieces = Pieces::new();
        for (at, file) in inputs.iter().enumerate() {
            let Some(part) = file.part(partition) else { continue };
            for series in self.patient_reader().index(file, part, |_| true)?.series {
                let Some(&schema) = file.schema_ids.get(series.schema) else { continue };
                pieces.entry((series.instance.clone(), schema)).or_default().push((at, series));
            }
        }
        for ((instance, schema), pieces) in pieces {
            let Some(schema) = self.schema(schema) else { continue };
            let metrics: Vec<&Metric> = schema.metrics().iter().collect();
            let mut summary = Summary::default();
            let mut read = 0;
            for (at, series) in pieces {
                read += 8 * (series.rows * series.cells.len()) as u64;
                summary.append(self.summarise(&inputs[at], &series, &metrics)?);
            }
            let rows = summary.fold(level.width_us());
            let times = rows.times.clone();
            builder.put(&instance, &schema, &times, &rows.into_columns())?;
            if !steps.count(read) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Summary rows of one entry of a file, of whichever level.
    fn summarise(&self, file: &SealedFile, series: &Series, metrics: &[&Metric]) -> Result<Summary, Error> {
        let reader = self.patient_reader();
        if file.coverage.level == Level::Raw {
            let storages: Vec<_> = metrics.iter().map(|metric| metric.storage).collect();
            let all: Vec<usize> = (0..metrics.len()).collect();
            let frames: Frames = reader.series(file, series, &all, &storages)?;
            return Ok(Summary::of(frames, metrics));
        }
        let storages = summary::storages(metrics.iter().copied());
        let all: Vec<usize> = (0..storages.len()).collect();
        Ok(Summary::from_columns(reader.series(file, series, &all, &storages)?, metrics))
    }
}
