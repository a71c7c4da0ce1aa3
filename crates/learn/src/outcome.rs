//! What a model says of one frame.

use foretwin_core::{Contribution, Expectation, Judgement, Phase, Schema, Score, Timestamp};

/// Nothing is expected.
pub(crate) const NONE: Expectation = Expectation { mean: f64::NAN, scale: f64::NAN };

/// How a frame was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Taken {
    /// It was compared with what was expected.
    Judged,
    /// It starts a past from which the next frames can be expected, after a gap or at the beginning.
    #[default]
    Warming,
    /// It was late or repeated and changed nothing.
    Ignored,
}

/// The part of one metric in a score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Part {
    /// Column of the metric in the schema.
    pub column: usize,
    /// Its share of the evidence, 0 to 1.
    pub share: f64,
    /// What was seen, in the unit of the expectation; NaN where it was missing.
    pub observed: f64,
}

/// The verdict of a model on one frame; reused from frame to frame, so that a step allocates nothing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outcome {
    /// How the frame was taken.
    pub taken: Taken,
    /// How surprising: above 1 is anomalous. Always finite.
    pub score: f64,
    /// Per metric of the schema, in its own unit (per second for counters); NaN where nothing is expected.
    pub expectations: Vec<Expectation>,
    /// The metrics that made the score, largest share first.
    pub contributions: Vec<Part>,
}

impl Outcome {
    /// Forgets the last frame.
    pub(crate) fn clear(&mut self, width: usize) {
        self.expectations.clear();
        self.expectations.resize(width, NONE);
        self.contributions.clear();
    }

    /// Keeps the `most` largest parts; `part.share` is still the evidence itself.
    pub(crate) fn offer(&mut self, part: Part, most: usize) {
        let parts = &mut self.contributions;
        if parts.len() == most && parts.last().is_none_or(|least| least.share >= part.share) {
            return;
        }
        parts.truncate(most.saturating_sub(1));
        let place = parts.partition_point(|other| other.share >= part.share);
        parts.insert(place, part);
    }

    /// The verdict in the words of the product.
    #[must_use]
    pub fn judgement(&self, at: Timestamp, schema: &Schema, model_version: u64, phase: Phase) -> Judgement {
        let named = |part: &Part| {
            Some(Contribution {
                metric: schema.metrics().get(part.column)?.key(),
                share: part.share,
                observed: part.observed,
                expected: *self.expectations.get(part.column)?,
            })
        };
        let contributions = self.contributions.iter().filter_map(named).collect();
        Judgement { at, score: Score(self.score), model_version, phase, contributions }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_parts_stay_in_order() {
        let mut outcome = Outcome::default();
        for (column, share) in [0.1, 0.5, 0.3, 0.7, 0.2].into_iter().enumerate() {
            outcome.offer(Part { column, share, observed: 0.0 }, 3);
        }
        let columns: Vec<_> = outcome.contributions.iter().map(|part| part.column).collect();
        assert_eq!(columns, [3, 1, 2]);
        outcome.clear(2);
        assert!(outcome.contributions.is_empty() && outcome.expectations[1].mean.is_nan());
    }
}
