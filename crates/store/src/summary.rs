//! Downsampling: what is kept of many frames, so that summaries of summaries are summaries of the frames.
//!
//! A gauge keeps count, sum, minimum and maximum; a counter its last value, from which rates follow at any width.

use foretwin_core::{Kind, MISSING, Metric, Storage, Timestamp, Value};
use serde::{Deserialize, Serialize};

use crate::frames::Frames;

/// Which number of a downsampled gauge is asked for. Counters always give their last value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Statistic {
    /// Arithmetic mean of what was not missing.
    #[default]
    Mean,
    /// Smallest.
    Minimum,
    /// Largest.
    Maximum,
}

/// Rows that each stand for one or more frames of a series.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Summary {
    pub(crate) times: Vec<Timestamp>,
    /// Frames each row stands for.
    frames: Vec<u64>,
    columns: Vec<Column>,
}

#[derive(Debug, Clone, PartialEq)]
enum Column {
    Counter(Vec<Value>, Storage),
    Gauge { missing: Vec<u64>, sum: Vec<f64>, least: Vec<Value>, most: Vec<Value>, storage: Storage },
}

/// How the columns of a summary file are stored: the frames, then one column for a counter and four for a gauge.
pub(crate) fn storages<'a>(metrics: impl Iterator<Item = &'a Metric>) -> Vec<Storage> {
    let of = |metric: &Metric| match metric.kind {
        Kind::Counter => vec![metric.storage],
        Kind::Gauge => vec![Storage::U64, Storage::F64, metric.storage, metric.storage],
    };
    std::iter::once(Storage::U64).chain(metrics.flat_map(of)).collect()
}

/// Columns of a summary file that hold the frames and the given metrics.
pub(crate) fn columns(all: &[Metric], wanted: &[usize]) -> Vec<usize> {
    let mut starts = vec![1];
    for metric in all {
        let width = if metric.kind == Kind::Counter { 1 } else { 4 };
        starts.push(starts[starts.len() - 1] + width);
    }
    std::iter::once(0).chain(wanted.iter().flat_map(|&at| starts[at]..starts[at + 1])).collect()
}

impl Summary {
    /// Each frame by itself.
    pub(crate) fn of(frames: Frames, metrics: &[&Metric]) -> Self {
        let rows = frames.times.len();
        let column = |(values, metric): (Vec<Value>, &&Metric)| match metric.kind {
            Kind::Counter => Column::Counter(values, metric.storage),
            Kind::Gauge => Column::Gauge {
                missing: values.iter().map(|value| u64::from(value.is_missing())).collect(),
                sum: values
                    .iter()
                    .map(|v| if v.is_missing() { 0.0 } else { v.to_f64(metric.storage) })
                    .collect(),
                least: values.clone(),
                most: values,
                storage: metric.storage,
            },
        };
        let columns = frames.columns.into_iter().zip(metrics).map(column).collect();
        Self { times: frames.times, frames: vec![1; rows], columns }
    }

    /// From the columns of a summary file, in the order of [`columns`].
    pub(crate) fn from_columns(frames: Frames, metrics: &[&Metric]) -> Self {
        let mut columns = frames.columns.into_iter();
        let mut next = || columns.next().unwrap_or_default();
        // A damaged column reads as missing: then nothing is known, rather than the largest number there is.
        let known = |value: Value| if value.is_missing() { 0 } else { value.0 };
        let counts: Vec<u64> = next().into_iter().map(known).collect();
        let column = |metric: &&Metric| match metric.kind {
            Kind::Counter => Column::Counter(next(), metric.storage),
            Kind::Gauge => {
                let (missing, sum, least, most) = (next(), next(), next(), next());
                let gone = |at: usize| missing[at].is_missing() || sum[at].is_missing();
                Column::Gauge {
                    missing: (0..missing.len())
                        .map(|at| if gone(at) { counts[at] } else { missing[at].0 })
                        .collect(),
                    sum: (0..sum.len())
                        .map(|at| if gone(at) { 0.0 } else { f64::from_bits(sum[at].0) })
                        .collect(),
                    least,
                    most,
                    storage: metric.storage,
                }
            }
        };
        let columns = metrics.iter().map(column).collect();
        Self { times: frames.times, frames: counts, columns }
    }

    /// As columns of a summary file.
    pub(crate) fn into_columns(self) -> Vec<(Storage, Vec<Value>)> {
        let whole = |numbers: Vec<u64>| (Storage::U64, numbers.into_iter().map(Value).collect());
        let mut all = vec![whole(self.frames)];
        for column in self.columns {
            match column {
                Column::Counter(last, storage) => all.push((storage, last)),
                Column::Gauge { missing, sum, least, most, storage } => {
                    all.push(whole(missing));
                    all.push((Storage::F64, sum.into_iter().map(Value::float).collect()));
                    all.push((storage, least));
                    all.push((storage, most));
                }
            }
        }
        all
    }

    /// Adds rows that arrived later.
    pub(crate) fn append(&mut self, later: Self) {
        if self.times.is_empty() {
            *self = later;
            return;
        }
        self.times.extend(later.times);
        self.frames.extend(later.frames);
        for pair in self.columns.iter_mut().zip(later.columns) {
            match pair {
                (Column::Counter(last, _), Column::Counter(more, _)) => last.extend(more),
                (
                    Column::Gauge { missing, sum, least, most, .. },
                    Column::Gauge { missing: a, sum: b, least: c, most: d, .. },
                ) => {
                    missing.extend(a);
                    sum.extend(b);
                    least.extend(c);
                    most.extend(d);
                }
                _ => {}
            }
        }
    }

    /// One row for each interval of `width_us` that has any, at the interval's begin.
    pub(crate) fn fold(&self, width_us: i64) -> Self {
        let mut order: Vec<usize> = (0..self.times.len()).collect();
        order.sort_by_key(|&row| self.times[row]);
        let begin = |&row: &usize| Timestamp(self.times[row].0.div_euclid(width_us).saturating_mul(width_us));
        let groups: Vec<&[usize]> = order.chunk_by(|a, b| begin(a) == begin(b)).collect();
        Self {
            times: groups.iter().map(|group| begin(&group[0])).collect(),
            frames: groups.iter().map(|group| group.iter().map(|&row| self.frames[row]).sum()).collect(),
            columns: self.columns.iter().map(|column| column.fold(&groups)).collect(),
        }
    }

    /// One statistic of each column: counters as stored, gauges as doubles.
    pub(crate) fn values(&self, statistic: Statistic) -> Vec<Vec<Value>> {
        self.columns.iter().map(|column| column.values(&self.frames, statistic)).collect()
    }
}

impl Column {
    fn fold(&self, groups: &[&[usize]]) -> Self {
        match self {
            Self::Counter(last, storage) => {
                let known = |group: &&[usize]| {
                    group
                        .iter()
                        .rev()
                        .map(|&row| last[row])
                        .find(|value| !value.is_missing())
                        .unwrap_or(MISSING)
                };
                Self::Counter(groups.iter().map(known).collect(), *storage)
            }
            Self::Gauge { missing, sum, least, most, storage } => {
                let extreme = |values: &[Value], group: &[usize], sign: f64| {
                    let present = group.iter().map(|&row| values[row]).filter(|value| !value.is_missing());
                    let by = |a: &Value, b: &Value| {
                        (sign * a.to_f64(*storage)).total_cmp(&(sign * b.to_f64(*storage)))
                    };
                    present.max_by(by).unwrap_or(MISSING)
                };
                Self::Gauge {
                    missing: groups.iter().map(|group| group.iter().map(|&row| missing[row]).sum()).collect(),
                    sum: groups.iter().map(|group| group.iter().map(|&row| sum[row]).sum()).collect(),
                    least: groups.iter().map(|group| extreme(least, group, -1.0)).collect(),
                    most: groups.iter().map(|group| extreme(most, group, 1.0)).collect(),
                    storage: *storage,
                }
            }
        }
    }

    fn values(&self, frames: &[u64], statistic: Statistic) -> Vec<Value> {
        match self {
            Self::Counter(last, _) => last.clone(),
            Self::Gauge { missing, sum, least, most, storage } => {
                let mean = |at: usize| match frames[at].saturating_sub(missing[at]) {
                    0 => MISSING,
                    count => Value::float(sum[at] / count as f64),
                };
                let number = |value: &Value| Value::float(value.to_f64(*storage));
                match statistic {
                    Statistic::Mean => (0..frames.len()).map(mean).collect(),
                    Statistic::Minimum => least.iter().map(number).collect(),
                    Statistic::Maximum => most.iter().map(number).collect(),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use foretwin_core::{MINUTE_US, Role, SECOND_US};

    #[test]
    fn summaries_of_summaries_are_summaries() {
        let gauge = Metric::gauge("g", "1", Role::Utilization);
        let counter = Metric::counter("c", "1", Role::Rate);
        let metrics = [&gauge, &counter];
        let rows: i64 = 7200;
        let value = |row: i64| if row % 10 == 3 { MISSING } else { Value((row * 37 % 101) as u64) };
        let frames = Frames {
            times: (0..rows).map(|row| Timestamp(row * SECOND_US)).collect(),
            columns: vec![(0..rows).map(value).collect(), (0..rows).map(|row| Value(row as u64)).collect()],
        };
        let direct = Summary::of(frames.clone(), &metrics).fold(60 * MINUTE_US);
        let minutes = Summary::of(frames, &metrics).fold(MINUTE_US);
        assert_eq!(minutes.times.len(), 120);
        assert_eq!(minutes.fold(60 * MINUTE_US), direct);
        let stored = minutes.clone().into_columns();
        assert_eq!(stored.len(), storages(metrics.iter().copied()).len());
        let columns = stored.into_iter().map(|(_, values)| values).collect();
        let read = Summary::from_columns(Frames { times: minutes.times.clone(), columns }, &metrics);
        assert_eq!(read, minutes);
        let present: Vec<f64> =
            (0..3600).map(value).filter(|v| !v.is_missing()).map(|v| v.to_f64(Storage::U64)).collect();
        let mean = present.iter().sum::<f64>() / present.len() as f64;
        assert_eq!(direct.values(Statistic::Mean)[0][0], Value::float(mean));
        assert_eq!(direct.values(Statistic::Minimum)[0][0], Value::float(0.0));
        assert_eq!(direct.values(Statistic::Maximum)[0][0], Value::float(100.0));
        assert_eq!(direct.values(Statistic::Mean)[1], [Value(3599), Value(7199)]);
    }

    #[test]
    fn columns_are_found_by_metric() {
        let all = [Metric::gauge("g", "1", Role::Rate), Metric::counter("c", "1", Role::Rate)];
        assert_eq!(columns(&all, &[1]), [0, 5]);
        assert_eq!(columns(&all, &[0, 1]), [0, 1, 2, 3, 4, 5]);
    }
}
