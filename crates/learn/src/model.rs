//! A fitted model: immutable, shared, stepped with a state.

use std::sync::Arc;

use foretwin_core::{SchemaId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::adapt::Tail;
use crate::cohort::Cohort;
use crate::cycle::{Cycle, Profile};
use crate::feature::{Reading, Recipe};
use crate::forecast::Growth;
use crate::influence::Influence;
use crate::linear::{Linear, Shape};
use crate::lookback::{self, Lookback};
use crate::lstm::{Memory, Packed, Size};
use crate::network::Gain;
use crate::provenance::Trial;
use crate::rhythm::Rhythm;
use crate::state::{Clock, Past, Scratch, State, Watch};

/// What the model knows of normal behaviour, apart from its tensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Header {
    pub version: u64,
    pub trained_at: Timestamp,
    pub schema: SchemaId,
    /// Median sampling interval of the training data.
    pub step_s: f64,
    /// Frames learned from.
    pub rows: usize,
    pub recipe: Recipe,
    pub shape: Shape,
    /// Columns that never moved.
    pub constants: Vec<u32>,
    pub judge: Judge,
    pub recurrent: Option<RecurrentShape>,
    /// What repeats, where something does.
    #[serde(default)]
    pub cycle: Option<Cycle>,
    /// Whether there is a second look from further back.
    #[serde(default)]
    pub lookback: bool,
    /// How scales grow many steps ahead.
    #[serde(default)]
    pub growth: Option<Growth>,
    /// What is usual by the clock.
    #[serde(default)]
    pub rhythm: Option<Rhythm>,
    /// Which metric's past helps to predict which.
    #[serde(default)]
    pub influences: Vec<Influence>,
    /// What networks were worth on held-out data.
    #[serde(default)]
    pub gain: Gain,
    /// The tail of evidence at the end of calibration, from where each state's follows its stream.
    #[serde(default)]
    pub tail: Option<Tail>,
    /// What was tried while it was fitted.
    #[serde(default)]
    pub trials: Vec<Trial>,
}

/// How surprises become a score.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Judge {
    /// Weight of the newest frame in the average.
    pub smoothing: f32,
    /// The largest surprise believed of one metric, in standard deviations.
    pub believed: f32,
    /// Evidence at which the score is 1.
    pub threshold: f64,
    /// How many contributions are named.
    pub contributions: usize,
}

/// Sizes and wiring of the recurrent part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RecurrentShape {
    pub size: Size,
    /// Columns it sees.
    pub inputs: Vec<u32>,
    /// Whether it also sees the time of day.
    pub daily: bool,
    /// Which targets it corrects, as indices into the targets; each earned it on held-out data.
    pub outputs: Vec<u32>,
}

/// A model of an instance's normal behaviour.
///
/// What repeats, as a day does, is taken from every sample first. A vector autoregression expects the rest of every
/// moving metric; where an LSTM was shown to know better on held-out data, its
/// correction is added. Surprises, seen from one frame and from many frames back, are standardised, averaged over
/// metrics and time, and divided by a threshold from extreme value theory.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    pub(crate) header: Header,
    pub(crate) linear: Linear,
    /// Per target, one standard deviation of its surprise on the common scale.
    pub(crate) deviation: Vec<f32>,
    /// Per target, its mean squared surprise on held-out data: where evidence rests.
    pub(crate) calm: Vec<f32>,
    /// The second look, where there were rows enough.
    pub(crate) lookback: Option<Lookback>,
    pub(crate) profile: Option<Profile>,
    /// Packed for stepping; shared within a cohort.
    pub(crate) network: Option<Arc<Packed<f32>>>,
    /// The cohort that the network is of, or that was tried.
    pub(crate) cohort: Option<Arc<Cohort>>,
    /// Per output of the network, what one unit is worth on the common scale.
    pub(crate) unit: Vec<f32>,
}

impl Model {
    /// The version given by whoever had it trained.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.header.version
    }

    /// When it was trained.
    #[must_use]
    pub fn trained_at(&self) -> Timestamp {
        self.header.trained_at
    }

    /// The schema of the frames it takes; another schema needs another model.
    #[must_use]
    pub fn schema(&self) -> SchemaId {
        self.header.schema
    }

    /// The sampling interval it was trained at, in seconds.
    #[must_use]
    pub fn step_s(&self) -> f64 {
        self.header.step_s
    }

    /// Frames it learned from.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.header.rows
    }

    /// Its features.
    #[must_use]
    pub fn recipe(&self) -> &Recipe {
        &self.header.recipe
    }

    /// Columns whose expectation the LSTM corrects, because it was better on held-out data.
    #[must_use]
    pub fn corrected(&self) -> Vec<usize> {
        let outputs = self.header.recurrent.iter().flat_map(|shape| &shape.outputs);
        let used = outputs.zip(&self.unit).filter(|(_, unit)| **unit > 0.0);
        used.map(|(&target, _)| self.header.shape.targets[target as usize] as usize).collect()
    }

    /// The threshold of evidence that training found, and the one that a state has come to since.
    #[must_use]
    pub fn thresholds(&self, state: &State) -> (f64, f64) {
        let trained = self.header.judge.threshold;
        (trained, state.tail.as_ref().map_or(trained, Tail::threshold))
    }

    /// What networks, of its own and of its cohort, were worth on held-out data.
    #[must_use]
    pub fn gain(&self) -> Gain {
        self.header.gain
    }

    /// Frames beyond the lags that a state must remember.
    pub(crate) fn reach(&self) -> usize {
        if self.lookback.is_some() { lookback::STEPS - 1 } else { 0 }
    }

    /// The length in seconds of what repeats, and the columns that follow it: a day, mostly.
    #[must_use]
    pub fn cycle(&self) -> Option<(f64, &[u32])> {
        self.header.cycle.as_ref().map(|cycle| (cycle.period_s, &cycle.columns[..]))
    }

    /// What was tried while it was fitted, and what came of it on held-out data.
    #[must_use]
    pub fn trials(&self) -> &[Trial] {
        &self.header.trials
    }

    /// The same model under another version: whoever keeps models numbers them.
    #[must_use]
    pub fn with_version(mut self, version: u64) -> Self {
        self.header.version = version;
        self
    }

    /// A state that has seen nothing.
    #[must_use]
    pub fn start(&self) -> State {
        let width = self.header.recipe.features.len();
        let targets = self.header.shape.targets.len();
        let recurrent = self.header.recurrent.as_ref();
        State {
            clock: Clock::default(),
            age: 0,
            score: 0.0,
            readings: vec![Reading::NONE; width],
            past: Past::new(self.header.shape.lags + self.reach(), width),
            evidence: self.calm.clone(),
            far: self.lookback.as_ref().map_or(Vec::new(), |lookback| lookback.calm.clone()),
            bias: vec![0.0; targets],
            far_bias: vec![0.0; self.lookback.as_ref().map_or(0, |_| targets)],
            tail: self.header.tail.clone(),
            watches: vec![Watch { level: 0.0, habit: 0.0, evidence: 0.0 }; self.header.constants.len()],
            memory: Memory::new(recurrent.map_or(0, |shape| shape.size.hidden)),
            correction: vec![0.0; recurrent.map_or(0, |shape| shape.outputs.len())],
            scratch: Scratch {
                numbers: vec![f64::NAN; width],
                z: vec![f32::NAN; width],
                mean: vec![0.0; targets],
                weighed: vec![0.0; targets],
                offset: vec![0.0; width],
                ..Scratch::default()
            },
        }
    }
}
