//! A fitted model: immutable, shared, stepped with a state.

use foretwin_core::{SchemaId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::feature::{Reading, Recipe};
use crate::linear::{Linear, Shape};
use crate::lstm::{Memory, Size, Weights};
use crate::provenance::Trial;
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
/// A vector autoregression expects every moving metric; where an LSTM was shown to know better on held-out data, its
/// correction is added. Surprises are standardised, averaged over metrics and time, and divided by a threshold from
/// extreme value theory.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    pub(crate) header: Header,
    pub(crate) linear: Linear,
    /// Per target, one standard deviation of its surprise on the common scale.
    pub(crate) deviation: Vec<f32>,
    /// Per target, its mean squared surprise on held-out data: where evidence rests.
    pub(crate) calm: Vec<f32>,
    pub(crate) network: Option<Weights>,
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
        outputs.map(|&target| self.header.shape.targets[target as usize] as usize).collect()
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
            past: Past::new(self.header.shape.lags, width),
            evidence: self.calm.clone(),
            watches: vec![Watch { level: 0.0, habit: 0.0, evidence: 0.0 }; self.header.constants.len()],
            memory: Memory::new(recurrent.map_or(0, |shape| shape.size.hidden)),
            correction: vec![0.0; recurrent.map_or(0, |shape| shape.outputs.len())],
            scratch: Scratch {
                numbers: vec![f64::NAN; width],
                z: vec![f32::NAN; width],
                mean: vec![0.0; targets],
                ..Scratch::default()
            },
        }
    }
}
