//! One frame through a model: expected, compared, remembered. Allocates nothing once its room has grown.

use foretwin_core::{Expectation, MISSING, Timestamp, Value};

use crate::adapt::Tail;
use crate::feature::{Duty, Transform};
use crate::lstm::Packed;
use crate::model::{Model, RecurrentShape};
use crate::outcome::{Outcome, Part, Taken};
use crate::state::{Arrival, Scratch, State, Watch};

/// Weight of the newest frame in where a moved constant is, and in how far it moves by habit.
const HABITUATION: f32 = 0.05;
/// Weight of the newest frame in how far the expectation has been off lately.
const DEBIAS: f32 = 0.001;
/// Surprises beyond this many deviations do not teach more than one of this size.
const ORDINARY: f32 = 3.0;
/// Evidence of the second look below this does not make that of the first smaller.
const FAR_FLOOR: f32 = 0.1;

impl Model {
    /// Takes the next frame of the instance that `state` belongs to. `frame` has one value per metric of the schema;
    /// absent ones are missing. Late and repeated frames change nothing.
    pub fn step(&self, state: &mut State, at: Timestamp, frame: &[Value], out: &mut Outcome) {
        out.clear(self.header.recipe.features.len());
        let taken = self.advance(state, at, frame);
        (out.taken, out.score) = (taken, state.score);
        if taken != Taken::Ignored {
            self.report(state, taken == Taken::Judged, |n| frame.get(n).copied().unwrap_or(MISSING), out);
        }
    }

    /// [`Model::step`] without the words: only the score, [`State::score`], is made. Whoever then wants to know what
    /// was expected asks [`Model::explain`].
    pub fn advance(&self, state: &mut State, at: Timestamp, frame: &[Value]) -> Taken {
        let recipe = &self.header.recipe;
        match state.clock.arrive(at, self.header.step_s) {
            Arrival::Late => return Taken::Ignored,
            Arrival::Gap(steps) => self.pause(state, steps),
            Arrival::Next => {}
        }
        let get = |column: usize| frame.get(column).copied().unwrap_or(MISSING);
        for (column, feature) in recipe.features.iter().enumerate() {
            let number = recipe.transformed(column, at, get, &mut state.readings[column]);
            state.scratch.numbers[column] = number;
            state.scratch.z[column] = feature.standardised(number);
        }
        self.settle(state, at);
        if self.judge(state, at) { Taken::Judged } else { Taken::Warming }
    }

    /// What [`Model::step`] would have said of the `frame` that `state` took last, if that was judged.
    pub fn explain(&self, state: &State, frame: &[Value], out: &mut Outcome) {
        out.clear(self.header.recipe.features.len());
        (out.taken, out.score) = (Taken::Judged, state.score);
        self.report(state, true, |n| frame.get(n).copied().unwrap_or(MISSING), out);
    }

    /// Takes from the samples what repeats.
    pub(crate) fn settle(&self, state: &mut State, at: Timestamp) {
        let Some(profile) = &self.profile else { return };
        let Scratch { z, offset, .. } = &mut state.scratch;
        offset.fill(0.0);
        profile.add(at, offset);
        z.iter_mut().zip(offset).for_each(|(z, offset)| *z -= *offset);
    }

    /// What came before a gap explains nothing after it; evidence fades as if calm frames had passed.
    pub(crate) fn pause(&self, state: &mut State, steps: f64) {
        let fade = (1.0 - f64::from(self.header.judge.smoothing)).powf(steps) as f32;
        let far = self.lookback.iter().flat_map(|lookback| &lookback.calm);
        let evidence = state.evidence.iter_mut().zip(&self.calm).chain(state.far.iter_mut().zip(far));
        for (evidence, calm) in evidence {
            *evidence = calm + (*evidence - calm) * fade;
        }
        state.watches.iter_mut().for_each(|watch| watch.evidence *= fade);
        state.memory.clear();
        state.correction.fill(0.0);
        state.age = 0;
    }

    /// Judges the row in `scratch.z` (NaN where missing), and remembers it. Says whether it could be expected.
    pub(crate) fn judge(&self, state: &mut State, at: Timestamp) -> bool {
        let expects = state.age as usize >= self.header.shape.lags;
        if expects {
            self.expect(state);
            self.surprise(state, at);
            self.look_back(state, at);
        }
        self.watch(state, at);
        self.weigh(state);
        let evidence = state.scratch.weighed.iter().chain(state.watches.iter().map(|watch| &watch.evidence));
        let mean =
            f64::from(evidence.sum::<f32>()) / (state.evidence.len() + state.watches.len()).max(1) as f64;
        let threshold = state.tail.as_ref().map_or(self.header.judge.threshold, Tail::threshold);
        state.score = (mean / threshold).sqrt();
        if let Some(tail) = state.tail.as_mut().filter(|_| expects) {
            tail.take(mean);
        }
        state.past.push(&state.scratch.z);
        state.age = state.age.saturating_add(1);
        if let (Some(shape), Some(network)) = (&self.header.recurrent, &self.network) {
            foresee(shape, network, state, at);
        }
        expects
    }

    pub(crate) fn expect(&self, state: &mut State) {
        let State { past, scratch, correction, bias, .. } = state;
        self.linear.expect(|k| past.lag(k), &scratch.z, &mut scratch.room, &mut scratch.mean);
        scratch.mean.iter_mut().zip(bias).for_each(|(mean, bias)| *mean += *bias);
        if let Some(shape) = &self.header.recurrent {
            for (n, &target) in shape.outputs.iter().enumerate() {
                scratch.mean[target as usize] += correction[n] * self.unit[n];
            }
        }
    }

    /// Moves each target's evidence towards the square of its standardised surprise. A missing sample is no surprise:
    /// evidence fades to where it rests.
    fn surprise(&self, state: &mut State, at: Timestamp) {
        let judge = &self.header.judge;
        let usual = self.usual(at);
        for (t, &column) in self.header.shape.targets.iter().enumerate() {
            let z = state.scratch.z[column as usize];
            if z.is_nan() {
                // A metric that went away must not hold up the alarm of its last moments for ever.
                state.evidence[t] += judge.smoothing * (self.calm[t] - state.evidence[t]);
                continue;
            }
            let (shift, widening) = usual.expect(t);
            let surprise = ((z - state.scratch.mean[t]) / self.deviation[t] - shift) / widening;
            state.bias[t] += DEBIAS * surprise.clamp(-ORDINARY, ORDINARY) * self.deviation[t];
            let surprise = surprise.clamp(-judge.believed, judge.believed);
            state.evidence[t] += judge.smoothing * (surprise * surprise - state.evidence[t]);
        }
    }

    /// The same against what was expected many frames ago, once so much was seen since the last gap.
    fn look_back(&self, state: &mut State, at: Timestamp) {
        let judge = &self.header.judge;
        let Some(lookback) = &self.lookback else { return };
        let (usual, targets) = (self.usual(at), self.deviation.len());
        for t in 0..targets {
            let Some(surprise) = self.far_surprise(state, t) else {
                state.far[t] += judge.smoothing * (lookback.calm[t] - state.far[t]);
                continue;
            };
            let (shift, widening) = usual.look_back(t, targets);
            let surprise = (surprise - shift) / widening;
            state.far_bias[t] += DEBIAS * surprise.clamp(-ORDINARY, ORDINARY) * lookback.deviation[t];
            let surprise = surprise.clamp(-judge.believed, judge.believed);
            state.far[t] += judge.smoothing * (surprise * surprise - state.far[t]);
        }
    }

    /// The surprise of the second look at target `t`, in deviations; none without enough past, or a sample.
    pub(crate) fn far_surprise(&self, state: &State, t: usize) -> Option<f32> {
        let (lookback, lags) = (self.lookback.as_ref()?, self.header.shape.lags);
        let column = self.header.shape.targets[t] as usize;
        let z = state.scratch.z[column];
        if z.is_nan() || (state.age as usize) < lags + self.reach() {
            return None;
        }
        let expected = lookback.expect(t, lags, |k| state.past.lag(k)[column]);
        Some((z - expected - state.far_bias[t]) / lookback.deviation[t])
    }

    /// Puts both looks together: their weighted geometric mean, three to one.
    fn weigh(&self, state: &mut State) {
        let State { evidence, far, scratch, .. } = state;
        if self.lookback.is_none() {
            scratch.weighed.copy_from_slice(evidence);
            return;
        }
        for (weighed, (near, far)) in scratch.weighed.iter_mut().zip(evidence.iter().zip(far.iter())) {
            let root = near.sqrt();
            *weighed = root * (root * (far + FAR_FLOOR).sqrt()).sqrt();
        }
    }

    /// Constants that move: strong evidence at once, fading, and news only once.
    fn watch(&self, state: &mut State, at: Timestamp) {
        let (judge, usual, targets) = (&self.header.judge, self.usual(at), self.deviation.len());
        for (n, (watch, &column)) in state.watches.iter_mut().zip(&self.header.constants).enumerate() {
            watch.evidence *= 1.0 - judge.smoothing;
            let z = state.scratch.z[column as usize];
            if !z.is_nan() {
                let grave = self.header.recipe.features[column as usize].grave;
                let surprise = (watch.moved(z, grave) / usual.moves(n, targets)).min(judge.believed);
                watch.evidence = watch.evidence.max(surprise * surprise);
            }
        }
    }

    /// Expectations in the metrics' units, and the largest contributions.
    fn report(&self, state: &State, expects: bool, get: impl Fn(usize) -> Value, out: &mut Outcome) {
        let header = &self.header;
        let limit = |column: usize| match header.recipe.features[column].transform {
            Transform::Ratio { limit } => get(limit).to_f64(header.recipe.features[limit].storage),
            _ => f64::NAN,
        };
        let mut expected = |column: usize, mean: f32, deviation: f32| {
            let mean = mean + state.scratch.offset[column];
            let (mean, scale) = header.recipe.features[column].in_unit(mean, deviation, limit(column));
            out.expectations[column] = Expectation { mean, scale };
        };
        if expects {
            let usual = self.usual(state.clock.newest.unwrap_or_default());
            for (t, &column) in header.shape.targets.iter().enumerate() {
                let ((shift, widening), deviation) = (usual.expect(t), self.deviation[t]);
                let mean = state.scratch.mean[t] + shift * deviation;
                expected(column as usize, mean, deviation * widening);
            }
        }
        for (watch, &column) in state.watches.iter().zip(&header.constants) {
            expected(column as usize, watch.level, 1.0);
        }
        for (column, feature) in header.recipe.features.iter().enumerate() {
            if let Duty::Duplicate { of } = feature.duty {
                out.expectations[column] = out.expectations[of];
            }
        }
        let evidence = header.shape.targets.iter().zip(&state.scratch.weighed);
        let evidence = evidence.chain(header.constants.iter().zip(state.watches.iter().map(|w| &w.evidence)));
        let mut sum = 0.0;
        for (&column, &share) in evidence {
            sum += f64::from(share);
            out.offer(
                Part { column: column as usize, share: share.into(), observed: f64::NAN },
                header.judge.contributions,
            );
        }
        for part in &mut out.contributions {
            part.share = if sum > 0.0 { part.share / sum } else { 0.0 };
            let number = state.scratch.numbers[part.column];
            part.observed = header.recipe.features[part.column].observed(number, limit(part.column));
        }
    }
}

impl Watch {
    /// Takes a sample and says how surprising its movement is: how far it is from where it was, in units of what it does
    /// by habit.
    pub(crate) fn moved(&mut self, z: f32, grave: bool) -> f32 {
        // One unit is a twentieth of the whole; errors count from the first one.
        let unit = if grave { 0.2 } else { 1.0 };
        let moved = (z - self.level).abs();
        let surprise = moved / (unit + 3.0 * self.habit);
        self.habit += HABITUATION * (moved - self.habit);
        self.level += HABITUATION * (z - self.level);
        surprise
    }
}

/// The recurrent part takes the row just remembered and says what to add to the next expectation.
fn foresee(shape: &RecurrentShape, network: &Packed<f32>, state: &mut State, at: Timestamp) {
    let State { past, scratch, memory, correction, .. } = state;
    gather(shape, past.lag(0), at, &mut scratch.inputs);
    network.step(&scratch.inputs, memory, correction);
}

/// What the network sees of a row: held within a range, so that a wild sample cannot saturate its memory.
pub(crate) fn gather(shape: &RecurrentShape, row: &[f32], at: Timestamp, into: &mut Vec<f32>) {
    into.clear();
    into.extend(shape.inputs.iter().map(|&column| row[column as usize].clamp(-4.0, 4.0)));
    if shape.daily {
        let turn = at.0.rem_euclid(foretwin_core::DAY_US) as f64 / foretwin_core::DAY_US as f64;
        let (sin, cos) = (turn * std::f64::consts::TAU).sin_cos();
        into.extend([sin as f32, cos as f32]);
    }
}
