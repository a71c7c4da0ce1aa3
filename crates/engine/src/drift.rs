//! Whether an instance has left what its model saw, so that it is trained early; and how far it is from its reference.

use std::sync::Arc;

use foretwin_core::{InstanceId, Timestamp, Value};
use foretwin_learn::{Departure, Drift, Model, State};

use crate::Error;
use crate::feed::Feed;
use crate::handle::Handle;
use crate::view::{DriftOf, DriftView};

/// Time between two looks under the champion and under the reference, and how far back each average reaches.
const CHAMPION_S: [f64; 2] = [10.0, 3600.0];
const REFERENCE_S: [f64; 2] = [60.0, 6.0 * 3600.0];
/// Slow telemetry is averaged over at least so many frames.
const FEWEST_FRAMES: f64 = 60.0;
/// Severity at which a drift is called one, and below which the next may be: between them nothing changes.
const FAR: f64 = 1.0;
const NEAR: f64 = 0.7;
/// Quiet before a drift may be learned: what comes with alarms may be an incident.
const CALM_S: f64 = 600.0;
const CALM_FRAMES: f64 = 10.0;

/// The slow averages of a feed.
pub(crate) struct Vigil {
    drift: Drift,
    step_s: f64,
    /// The time of the last frame above the threshold.
    alarmed: Option<Timestamp>,
    /// Since when frames have been above it with hardly a pause.
    alarmed_since: Option<Timestamp>,
    /// Whether the drift of now was called one, until it is near again.
    called: bool,
    drifted: bool,
    reference: Option<(Arc<Model>, Drift)>,
}

impl Vigil {
    /// Begins under a champion; the reference goes on with what it knows.
    pub(crate) fn new(champion: &Model, before: Option<Self>) -> Self {
        let reference = before.and_then(|before| before.reference);
        Self {
            drift: slow(champion, CHAMPION_S),
            step_s: champion.step_s(),
            alarmed: None,
            alarmed_since: None,
            called: false,
            drifted: false,
            reference,
        }
    }

    /// Keeps a model beside the champion, against which slow drift is measured.
    pub(crate) fn refer_to(&mut self, reference: Arc<Model>) {
        let drift = slow(&reference, REFERENCE_S);
        self.reference = Some((reference, drift));
    }

    pub(crate) fn has_reference(&self) -> bool {
        self.reference.is_some()
    }

    /// Takes a judged frame. An alarm that lasts for `patience_s` is no reason to wait any longer.
    pub(crate) fn look(
        &mut self,
        (champion, state): (&Model, &State),
        score: f64,
        frame: (Timestamp, &[Value]),
        patience_s: f64,
    ) {
        let at = frame.0;
        let looked = self.drift.look(champion, Some(state), frame);
        if let Some((reference, drift)) = &mut self.reference {
            drift.look(reference, None, frame);
        }
        let quiet_s = CALM_S.max(CALM_FRAMES * self.step_s);
        let calm = self.alarmed.is_none_or(|last| at.since(last).abs() > quiet_s);
        if score > 1.0 {
            if calm {
                self.alarmed_since = Some(at);
            }
            self.alarmed = Some(at);
        }
        if !looked {
            return;
        }
        let lasting = !calm && self.alarmed_since.is_some_and(|since| at.since(since) >= patience_s);
        let severity = self.drift.departure(champion).map_or(0.0, |departure| departure.severity());
        if severity < NEAR {
            self.called = false;
        } else if severity >= FAR && !self.called && (calm && score <= 1.0 || lasting) {
            (self.called, self.drifted) = (true, true);
        }
    }

    /// Whether a drift waits to be learned.
    pub(crate) fn has_drifted(&self) -> bool {
        self.drifted
    }

    /// A training took note of the drift, whatever came of it.
    pub(crate) fn answered(&mut self) {
        self.drifted = false;
    }

    /// How far the instance is from where its reference saw it.
    pub(crate) fn against_reference(&self) -> Option<(Departure, u64)> {
        let (reference, drift) = self.reference.as_ref()?;
        Some((drift.departure(reference)?, reference.version()))
    }

    /// How far the instance is from where its champion saw it.
    pub(crate) fn against_champion(&self, champion: &Model) -> Option<Departure> {
        self.drift.departure(champion)
    }
}

fn slow(model: &Model, [look_s, memory_s]: [f64; 2]) -> Drift {
    let look_s = look_s.max(model.step_s());
    Drift::new(model, look_s, memory_s.max(FEWEST_FRAMES * look_s))
}

impl Handle {
    /// How far an instance is from where its models saw it, for each schema that it sends.
    ///
    /// # Errors
    /// If it is unknown.
    pub fn drift(&self, id: &InstanceId) -> Result<Vec<DriftView>, Error> {
        self.pipeline.with(id, |watched| {
            let view = |feed: &Feed| {
                let (champion, reference) = feed.departures();
                let of = |(departure, version): (Departure, u64)| DriftOf {
                    model_version: version,
                    shift: departure.shift,
                    metric: departure.column.map(|column| feed.schema.metrics()[column].key()),
                    distance: departure.distance,
                    share: departure.share,
                };
                let version = feed.model().map_or(0, |(model, _)| model.version());
                DriftView {
                    schema: feed.schema.id().to_string(),
                    surprise: champion.map(|departure| departure.surprise),
                    champion: champion.map(|departure| of((departure, version))),
                    reference: reference.map(of),
                }
            };
            watched.current().map(view).collect()
        })
    }
}
