//! The rolling window in time: evenly spaced stretches of the last days, read from the store one by one.

use foretwin_core::{Instance, SchemaId, Timestamp, Window};
use foretwin_store::Query;

use crate::Error;
use crate::pipeline::Pipeline;

/// Frames of a stretch: long against any lag, short against a day.
const STRETCH_FRAMES: usize = 1024;

/// What to read for a training.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reach {
    /// First moment.
    pub(crate) from: Timestamp,
    /// The last frame.
    pub(crate) to: Timestamp,
    /// Seconds between frames.
    pub(crate) step_s: f64,
    /// Most frames.
    pub(crate) most: usize,
}

impl Reach {
    /// All of the time as one, if its frames are not too many; else evenly spaced stretches that include the latest.
    pub(crate) fn stretches(&self) -> Vec<(Timestamp, Timestamp)> {
        let end = self.to + 1;
        let frames = self.to.since(self.from) / self.step_s;
        if frames <= self.most.max(STRETCH_FRAMES) as f64 {
            return vec![(self.from, end)];
        }
        let long_us = (STRETCH_FRAMES as f64 * self.step_s * 1e6) as i64;
        let count = (self.most / STRETCH_FRAMES).max(1) as i64;
        let spacing_us = (end.0 - self.from.0 - long_us) / (count - 1).max(1);
        let start = |n: i64| end - long_us - (count - 1 - n) * spacing_us;
        (0..count).map(|n| (start(n), start(n) + long_us)).collect()
    }
}

impl Pipeline {
    /// Frames of an instance in the stretches of a reach, all metrics of the schema: each of them is expected, explains
    /// others or is watched for its first movement.
    pub(crate) fn frames_of(
        &self,
        instance: &Instance,
        schema: SchemaId,
        reach: &Reach,
    ) -> Result<Option<Window>, Error> {
        let mut whole: Option<Window> = None;
        for (from, to) in reach.stretches() {
            let query = Query { schema: Some(schema), ..Query::new(instance.id.clone(), from, to) };
            for window in self.store.read(&query)?.into_iter().filter(|one| one.schema.id() == schema) {
                match &mut whole {
                    Some(whole) => append(whole, window),
                    None => whole = Some(window),
                }
            }
        }
        Ok(whole)
    }
}

/// Appends the rows of another window of the same schema.
pub(super) fn append(whole: &mut Window, more: Window) {
    whole.times.extend(more.times);
    for (column, more) in whole.columns.iter_mut().zip(more.columns) {
        column.extend(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(days: f64, most: usize) -> Reach {
        let to = Timestamp::from_seconds(1e9);
        Reach { from: to - (days * 86_400e6) as i64, to, step_s: 1.0, most }
    }

    #[test]
    fn a_week_is_read_in_even_stretches_up_to_the_present() {
        let week = reach(7.0, 100_000);
        let stretches = week.stretches();
        assert_eq!(stretches.len(), 97);
        assert!((stretches[0].0.0 - week.from.0).abs() < 200 && stretches[96].1 == week.to + 1);
        assert!(stretches.windows(2).all(|pair| pair[0].1 <= pair[1].0));
        assert!(stretches.iter().all(|(from, to)| to.0 - from.0 == 1_024_000_000));
        let gaps: Vec<i64> = stretches.windows(2).map(|pair| pair[1].0.0 - pair[0].0.0).collect();
        assert!(gaps.iter().max().unwrap() - gaps.iter().min().unwrap() <= 1);
    }

    #[test]
    fn what_fits_is_read_whole() {
        assert_eq!(reach(1.0, 100_000).stretches().len(), 1);
        assert_eq!(reach(0.0, 100_000).stretches().len(), 1);
        assert_eq!(reach(1.0, 10).stretches().len(), 1, "never less than one stretch");
    }
}
