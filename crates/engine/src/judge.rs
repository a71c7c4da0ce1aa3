//! A model at work for one feed. The score is made with every frame; what was expected, and which metrics made the
//! score, only for whoever asks.

use std::sync::Arc;

use foretwin_core::{Judgement, Phase, Schema, Timestamp, Value};
use foretwin_learn::{Model, Outcome, State, Taken};

/// A judgement speaks for the present this many sampling steps long.
const FRESH_STEPS: f64 = 3.0;

/// A model and what it carries from frame to frame.
pub(crate) struct Judge {
    pub(crate) model: Arc<Model>,
    pub(crate) phase: Phase,
    state: State,
    /// The frame judged last, as far as it is still what the state took last.
    judged: Option<Timestamp>,
    frame: Vec<Value>,
    /// Frames up to here are known to the state from before a restart: not once more.
    known: Option<Timestamp>,
}

impl Judge {
    pub(crate) fn new(model: Arc<Model>, phase: Phase) -> Self {
        Self { state: model.start(), model, phase, judged: None, frame: Vec::new(), known: None }
    }

    /// A judge that goes on with a state from before a restart.
    pub(crate) fn resumed(model: Arc<Model>, phase: Phase, state: State) -> Self {
        Self { known: state.newest(), state, ..Self::new(model, phase) }
    }

    /// Takes a frame; true if it was judged. A late one changes nothing.
    pub(crate) fn take(&mut self, at: Timestamp, values: &[Value]) -> bool {
        // The log says again what the store had not yet made durable.
        if self.known.is_some_and(|known| at <= known) {
            return false;
        }
        self.known = None;
        let taken = self.model.advance(&mut self.state, at, values);
        match taken {
            Taken::Judged => {
                self.judged = Some(at);
                self.frame.clear();
                self.frame.extend_from_slice(values);
            }
            Taken::Warming => self.judged = None,
            Taken::Ignored => {}
        }
        taken == Taken::Judged
    }

    /// Whether the frame of a moment was judged, and is the last it took.
    pub(crate) fn has_judged(&self, at: Timestamp) -> bool {
        self.judged == Some(at)
    }

    /// What the model carries from frame to frame.
    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// Time and score of the latest verdict, if it is recent enough to speak for `now`.
    pub(crate) fn score(&self, now: Timestamp) -> Option<(Timestamp, f64)> {
        let fresh_s = FRESH_STEPS * self.model.step_s() + 0.5;
        let judged = self.judged.filter(|&at| now.since(at) <= fresh_s);
        judged.map(|at| (at, self.state.score()))
    }

    /// The latest verdict with its reasons.
    pub(crate) fn judgement(&self, now: Timestamp, schema: &Schema) -> Option<Judgement> {
        let (at, _) = self.score(now)?;
        let mut outcome = Outcome::default();
        self.model.explain(&self.state, &self.frame, &mut outcome);
        Some(outcome.judgement(at, schema, self.model.version(), self.phase))
    }
}
