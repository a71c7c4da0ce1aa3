//! Forecasts at the native rate in a closed loop: each expectation is fed back as if it had been seen.
//!
//! The scale of a one-step expectation says nothing about the tenth step, and no law says how it grows: it is measured,
//! by forecasts from held-out frames, and stored with the model ([`Growth`]).

use foretwin_core::{Expectation, SECOND_US, Timestamp};
use serde::{Deserialize, Serialize};

use crate::feature::Transform;
use crate::model::Model;
use crate::outcome::NONE;
use crate::state::State;
use crate::step::gather;
use crate::table::Table;

/// Steps at which errors are measured.
const STEPS: [usize; 8] = [1, 3, 10, 30, 60, 150, 300, 600];
/// Forecasts that errors are measured by, at most.
const ORIGINS: usize = 200;
/// Multiplications that measuring may take.
const WORK: usize = 600_000_000;
/// What is fed back stays within this many scales: every training value did.
const FARTHEST: f32 = 20.0;
/// Errors beyond this many deviations count as this many.
const WILD: f32 = 20.0;

/// How the scale of a forecast grows with its steps, measured on held-out frames.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Growth {
    /// Steps that were measured, ascending.
    steps: Vec<u32>,
    /// Steps × targets: root mean square error on the common scale.
    errors: Vec<f32>,
}

impl Growth {
    /// Whether it makes sense for so many targets.
    pub fn is_sound(&self, targets: usize) -> bool {
        let ascending =
            self.steps.is_sorted_by(|a, b| a < b) && self.steps.first().is_some_and(|&step| step > 0);
        ascending && self.errors.len() == self.steps.len() * targets
    }

    /// The scale of a target `step` steps ahead, at least `least`. Beyond what was measured it is assumed to grow as a
    /// random walk's: nothing better is known.
    fn scale(&self, target: usize, step: usize, least: f32) -> f32 {
        let width = self.errors.len() / self.steps.len().max(1);
        let at = |n: usize| self.errors[n * width + target].max(least);
        let above = self.steps.partition_point(|&known| (known as usize) < step);
        if above == 0 {
            return at(0);
        }
        if above == self.steps.len() {
            return at(above - 1) * (step as f32 / self.steps[above - 1] as f32).sqrt();
        }
        let log = |step: usize| (step as f32).ln();
        let (low, high) = (self.steps[above - 1] as usize, self.steps[above] as usize);
        let toward = (log(step) - log(low)) / (log(high) - log(low));
        (1.0 - toward) * at(above - 1) + toward * at(above)
    }
}

impl Model {
    /// Steps ahead up to which the error of [`Self::forecast`] was measured.
    #[must_use]
    pub fn measured_steps(&self) -> usize {
        let last = self.header.growth.as_ref().and_then(|growth| growth.steps.last());
        last.map_or(0, |&last| last as usize)
    }

    /// Root mean square error of [`Self::forecast`] on held-out frames for a column, in standardised units; nothing for
    /// a column that is not modelled, or a distance that was not measured.
    #[must_use]
    pub fn held_out_error(&self, column: usize, steps: usize) -> Option<f64> {
        let target = self.header.shape.targets.iter().position(|&target| target as usize == column)?;
        let growth = self.header.growth.as_ref()?;
        let measured = growth.steps.last().is_some_and(|&last| steps <= last as usize);
        measured.then(|| f64::from(growth.scale(target, steps, self.deviation[target])))
    }

    /// Expects the `steps` frames after the last one that `state` took, one sampling step apart: steps × metrics of the
    /// schema, in the metrics' own units; NaN where nothing is expected, and everywhere while the state is too young.
    /// Commanded inputs are taken to stay as they are.
    #[must_use]
    pub fn forecast(&self, state: &State, steps: usize) -> Vec<Vec<Expectation>> {
        let header = &self.header;
        if (state.age as usize) < header.shape.lags {
            return vec![vec![NONE; header.recipe.features.len()]; steps];
        }
        let limit = |column: usize| match header.recipe.features[column].transform {
            Transform::Ratio { limit } => state.scratch.numbers[limit],
            _ => f64::NAN,
        };
        let (mut ahead, mut forecast) = (Loop::new(self, state), Vec::with_capacity(steps));
        let mut offset = vec![0.0; header.recipe.features.len()];
        for step in 1..=steps {
            ahead.next(self);
            offset.fill(0.0);
            self.profile.iter().for_each(|profile| profile.add(ahead.at, &mut offset));
            let mean = &ahead.state.scratch.mean;
            let mut expected = vec![NONE; header.recipe.features.len()];
            for (t, &column) in header.shape.targets.iter().enumerate() {
                let feature = &header.recipe.features[column as usize];
                let least = self.deviation[t];
                let walk = least * (step as f32).sqrt();
                let scale = header.growth.as_ref().map_or(walk, |growth| growth.scale(t, step, least));
                let (mean, scale) =
                    feature.in_unit(mean[t] + offset[column as usize], scale, limit(column as usize));
                expected[column as usize] = Expectation { mean, scale };
            }
            for (column, feature) in header.recipe.features.iter().enumerate() {
                if let crate::Duty::Duplicate { of } = feature.duty {
                    expected[column] = expected[of];
                }
            }
            forecast.push(expected);
        }
        forecast
    }
}

/// A state that goes on by itself.
struct Loop {
    state: State,
    row: Vec<f32>,
    at: Timestamp,
}

impl Loop {
    fn new(model: &Model, state: &State) -> Self {
        let row = state.past.lag(0).to_vec();
        let at = state.clock.newest.unwrap_or(Timestamp(0));
        let mut state = state.clone();
        state.scratch.mean.resize(model.header.shape.targets.len(), 0.0);
        Self { state, row, at }
    }

    /// The next expected row: targets on the common scale.
    fn next(&mut self, model: &Model) -> &[f32] {
        model.expect(&mut self.state);
        for (&column, mean) in model.header.shape.targets.iter().zip(&mut self.state.scratch.mean) {
            *mean = mean.clamp(-FARTHEST, FARTHEST);
            self.row[column as usize] = *mean;
        }
        self.at = self.at + (model.header.step_s * SECOND_US as f64) as i64;
        self.state.past.push(&self.row);
        if let (Some(shape), Some(network)) = (&model.header.recurrent, &model.network) {
            let State { past, scratch, memory, correction, .. } = &mut self.state;
            gather(shape, past.lag(0), self.at, &mut scratch.inputs);
            network.step(&scratch.inputs, memory, correction);
        }
        &self.state.scratch.mean
    }
}

/// Measures how errors grow, by forecasts from rows `first` and later, none of which the model learned from.
pub(crate) fn measure(model: &Model, table: &Table, first: usize) -> Option<Growth> {
    let (rows, targets) = (table.rows(), &model.header.shape.targets);
    let room = rows.saturating_sub(first);
    let steps: Vec<usize> = STEPS.into_iter().filter(|step| 2 * step <= room).collect();
    let &longest = steps.last()?;
    let parameters = model.linear.own.len()
        + model.linear.others.len()
        + model.network.as_ref().map_or(0, |network| network.size().parameters());
    let count = (WORK / (longest * parameters.max(1))).clamp(4, ORIGINS);
    let stride = ((room - longest) / count).max(1);
    let (mut sums, mut counts) =
        (vec![0.0f64; steps.len() * targets.len()], vec![1e-9f64; steps.len() * targets.len()]);
    let (mut state, lags) = (model.start(), model.header.shape.lags);
    for row in first.saturating_sub(lags)..rows - longest {
        if table.age[row] == 0 {
            model.pause(&mut state, 1e3);
        }
        state.scratch.z.copy_from_slice(table.row(row));
        state.clock.newest = Some(table.times[row]);
        model.judge(&mut state, table.times[row]);
        let whole = table.age[row + longest] as usize >= longest + lags;
        if row < first || !(row - first).is_multiple_of(stride) || !whole {
            continue;
        }
        let mut ahead = Loop::new(model, &state);
        for step in 1..=longest {
            let mean = ahead.next(model);
            let Some(place) = steps.iter().position(|&known| known == step) else { continue };
            for (t, &column) in targets.iter().enumerate() {
                if table.is_seen(row + step, column as usize) {
                    let error = table.row(row + step)[column as usize] - mean[t];
                    let error = (error / model.deviation[t]).clamp(-WILD, WILD) * model.deviation[t];
                    sums[place * targets.len() + t] += f64::from(error * error);
                    counts[place * targets.len() + t] += 1.0;
                }
            }
        }
    }
    let error = |(sum, count): (&f64, &f64)| (sum / count * (1.0 + 10.0 / count.max(1.0))).sqrt() as f32;
    let errors = sums.iter().zip(&counts).map(error).collect();
    Some(Growth { steps: steps.iter().map(|&step| step as u32).collect(), errors })
}
