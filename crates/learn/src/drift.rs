//! Drift: how far an instance has left what a model saw of it while learning, slowly enough to be no surprise.
//!
//! A one-step expectation follows whatever lasts, so a slow change never surprises it. What shows it is the level: an
//! exponentially weighted moving average (Roberts, 1959) of every metric on the model's own scale, on which the
//! training window had mean 0 and deviation 1. It needs no expectation, so it can look at one frame in many: a second
//! model, the frozen reference, costs a fraction of a step.

use foretwin_core::{MISSING, Timestamp, Value};
use serde::{Deserialize, Serialize};

use crate::feature::Reading;
use crate::model::Model;
use crate::state::State;

/// Samples beyond this many deviations count as this many: an hour's mean is not to be made by one frame.
const WILD: f32 = 10.0;
/// Evidence beyond this many times its calm level counts as this much.
const LOUDEST: f64 = 10.0;
/// The longest pause that counts in full, in looks: what lies before it says nothing of the time in it.
const LONGEST_LOOKS: f64 = 10.0;
/// Part of the memory that must have been seen before anything is said.
const MATURE: f64 = 0.5;

/// Slow averages of an instance under one model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    /// Seconds between two looks.
    look_s: f64,
    /// Time constant of the averages, in seconds.
    memory_s: f64,
    last: Option<Timestamp>,
    /// Sum of the weights so far, at most 1: averages are divided by it.
    weight: f64,
    readings: Vec<(u64, Timestamp)>,
    /// Per target, mean on the model's scale.
    means: Vec<f32>,
    /// Weight seen of each target.
    seen: Vec<f32>,
    /// Evidence relative to where it rests.
    evidence: f64,
    evidence_weight: f64,
}

/// How far an instance is from where its model saw it.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Departure {
    /// The largest slow mean of a metric, in deviations of the training window.
    pub shift: f64,
    /// Column of that metric.
    pub column: Option<usize>,
    /// Root mean square of the slow means over metrics.
    pub distance: f64,
    /// Part of the metrics whose slow mean lies beyond three deviations.
    pub share: f64,
    /// Slow mean of evidence relative to its calm level: above 1, expectations got worse.
    pub surprise: f64,
}

impl Departure {
    /// One number: 1 where a metric's slow mean is as far off as three deviations, or where surprise has tripled.
    #[must_use]
    pub fn severity(&self) -> f64 {
        (self.shift / 3.0).max(self.surprise / 3.0)
    }
}

impl Drift {
    /// Averages with a time constant of `memory_s` seconds, of frames at least `look_s` seconds apart.
    #[must_use]
    pub fn new(model: &Model, look_s: f64, memory_s: f64) -> Self {
        let targets = model.header.shape.targets.len();
        Self {
            look_s,
            memory_s: memory_s.max(look_s),
            last: None,
            weight: 0.0,
            readings: vec![(MISSING.0, Timestamp(0)); model.header.recipe.features.len()],
            means: vec![0.0; targets],
            seen: vec![0.0; targets],
            evidence: 0.0,
            evidence_weight: 0.0,
        }
    }

    /// Looks at a frame if it is time to; a frame that comes too early or late changes nothing. `state` is that of the
    /// model itself where it judges: then its evidence is averaged too. Says whether it looked.
    pub fn look(&mut self, model: &Model, state: Option<&State>, (at, frame): (Timestamp, &[Value])) -> bool {
        let passed_s = self.last.map_or(self.look_s, |last| at.since(last));
        if (0.0..self.look_s - 1e-3).contains(&passed_s) {
            return false;
        }
        self.last = Some(at);
        // A clock that was set back begins a new stretch.
        let looks = if passed_s < 0.0 { 1.0 } else { (passed_s / self.look_s).min(LONGEST_LOOKS) };
        let share = 1.0 - (-looks * self.look_s / self.memory_s).exp();
        self.weight += share * (1.0 - self.weight);
        let recipe = &model.header.recipe;
        let get = |column: usize| frame.get(column).copied().unwrap_or(MISSING);
        for (t, &column) in model.header.shape.targets.iter().enumerate() {
            let column = column as usize;
            let (bits, before) = self.readings[column];
            let mut reading = Reading { value: Value(bits), at: before };
            let number = recipe.transformed(column, at, get, &mut reading);
            self.readings[column] = (reading.value.0, reading.at);
            if number.is_nan() {
                continue;
            }
            let z = recipe.features[column].standardised(number).clamp(-WILD, WILD);
            self.means[t] += share as f32 * (z - self.means[t]);
            self.seen[t] += share as f32 * (1.0 - self.seen[t]);
        }
        if let Some(state) = state {
            let now = f64::from(state.evidence.iter().sum::<f32>());
            let calm = f64::from(model.calm.iter().sum::<f32>()).max(1e-6);
            self.evidence += share * ((now / calm).min(LOUDEST) - self.evidence);
            self.evidence_weight += share * (1.0 - self.evidence_weight);
        }
        true
    }

    /// How far it is by now; nothing before half of the memory was seen.
    #[must_use]
    pub fn departure(&self, model: &Model) -> Option<Departure> {
        if self.weight < MATURE {
            return None;
        }
        let mut found =
            Departure { surprise: self.evidence / self.evidence_weight.max(1e-9), ..Departure::default() };
        let (mut sum, mut far, mut count) = (0.0, 0.0, 0.0f64);
        for (t, &column) in model.header.shape.targets.iter().enumerate() {
            if f64::from(self.seen[t]) < MATURE {
                continue;
            }
            let mean = (f64::from(self.means[t]) / f64::from(self.seen[t])).abs();
            (sum, count) = (sum + mean * mean, count + 1.0);
            far += f64::from(u8::from(mean > 3.0));
            if mean > found.shift {
                (found.shift, found.column) = (mean, Some(column as usize));
            }
        }
        (found.distance, found.share) = ((sum / count.max(1.0)).sqrt(), far / count.max(1.0));
        Some(found)
    }

    /// The slow mean of a column on the model's scale; nothing if it is not a modelled one, or hardly seen.
    #[must_use]
    pub fn level(&self, model: &Model, column: usize) -> Option<f64> {
        let target = model.header.shape.targets.iter().position(|&target| target as usize == column)?;
        let seen = f64::from(self.seen[target]);
        (seen >= MATURE).then(|| f64::from(self.means[target]) / seen)
    }
}
