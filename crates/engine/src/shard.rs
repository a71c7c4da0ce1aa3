//! What a partition's owner knows of its instances.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use foretwin_core::{
    Calibration, Instance, InstanceId, InstanceKind, Judgement, Learning, Origin, Phase, Risk, Schema,
    SchemaId, Timestamp, Value,
};

use foretwin_foresee::{Blend, Situation};

use crate::config::Training;
use crate::feed::Feed;
use crate::gather::Gather;
use crate::ground::Place;
use crate::lessons::Taught;
use crate::outputs::HORIZONS;
use crate::pace::Pace;
use crate::pipeline::{Pipeline, within};
use crate::situation::{Seen, situation};

/// All instances of a partition.
#[derive(Default)]
pub(crate) struct Shard {
    pub(crate) watched: HashMap<InstanceId, Watched>,
    /// Epoch and sequence of the last batch of each source.
    origins: HashMap<u64, (u64, u64)>,
    pub(crate) pace: Pace,
}

/// An instance under watch.
pub(crate) struct Watched {
    pub(crate) instance: Instance,
    pub(crate) vanished: Option<Timestamp>,
    /// When this node took note of that, by its own clock: telemetry may be of long ago.
    pub(crate) noticed: Timestamp,
    /// Time of the last frame that was not late; goes back when the clock was set back.
    pub(crate) newest: Timestamp,
    pub(crate) feeds: Vec<Feed>,
    /// Of schemas whose frames come in parts.
    gathers: HashMap<SchemaId, Gather>,
    /// Which workload it is of, as a hash: equal ones share a model.
    pub(crate) cohort: u64,
    /// As of `assessed`, likeliest first.
    pub(crate) risks: Vec<Risk>,
    /// What the risks come to at the horizons that are stored.
    pub(crate) probabilities: [f64; HORIZONS.len()],
    pub(crate) assessed: Timestamp,
    /// What those probabilities were calibrated with.
    pub(crate) calibration: Option<Calibration>,
}

impl Shard {
    /// The instance with this id, as it is `described` elsewhere, and the shard's pace. One of which only frames are
    /// known gets a plain description.
    pub(crate) fn watch(
        &mut self,
        id: &InstanceId,
        described: impl FnOnce() -> Option<Instance>,
    ) -> (&mut Watched, &mut Pace) {
        let watched = self.watched.entry(id.clone()).or_insert_with(|| {
            let host = id.as_str().split('/').next().unwrap_or_default();
            let plain = || Instance::new(id.as_str(), InstanceKind::Application, host, id.as_str());
            Watched::new(described().unwrap_or_else(plain))
        });
        (watched, &mut self.pace)
    }

    /// Whether a batch was judged before, because its sender did not hear of it; if not, it is now. Another epoch is
    /// another life of the sender, even if its clock was set back. Batches without a source are never known.
    pub(crate) fn has_seen(&mut self, origin: Origin) -> bool {
        let last = self.origins.get(&origin.source);
        let seen = origin.source != 0
            && last.is_some_and(|&(epoch, sequence)| epoch == origin.epoch && origin.sequence <= sequence);
        if !seen {
            self.origins.insert(origin.source, (origin.epoch, origin.sequence));
        }
        seen
    }

    /// Takes what is now known of an instance; true if it is new or was gone.
    pub(crate) fn describe(&mut self, instance: &Instance) -> (&mut Watched, bool) {
        match self.watched.entry(instance.id.clone()) {
            Entry::Occupied(known) => {
                let known = known.into_mut();
                let back = known.vanished.take().is_some();
                known.instance = instance.clone();
                known.cohort = cohort(instance);
                (known, back)
            }
            Entry::Vacant(vacant) => (vacant.insert(Watched::new(instance.clone())), true),
        }
    }
}

impl Watched {
    pub(crate) fn new(instance: Instance) -> Self {
        Self {
            cohort: cohort(&instance),
            instance,
            vanished: None,
            noticed: Timestamp::default(),
            newest: Timestamp::default(),
            feeds: Vec::new(),
            gathers: HashMap::new(),
            risks: Vec::new(),
            probabilities: [0.0; HORIZONS.len()],
            assessed: Timestamp(i64::MIN),
            calibration: None,
        }
    }

    /// Makes sure that there is a feed of a schema; true if it was made just now. A new one lets those go that ended
    /// an hour ago.
    pub(crate) fn feed(&mut self, schema: &Arc<Schema>, now: Timestamp) -> bool {
        if self.feeds.iter().any(|feed| feed.schema.id() == schema.id()) {
            return false;
        }
        self.feeds.retain(|feed| now.since(feed.last).abs() < 3600.0);
        self.gathers
            .retain(|id, _| *id == schema.id() || self.feeds.iter().any(|feed| feed.schema.id() == *id));
        let mut feed = Feed::new(schema);
        feed.inherit(&self.feeds);
        self.feeds.push(feed);
        true
    }

    /// Frames that may be judged now that this one came: itself, or none while parts of it are missing.
    pub(crate) fn gathered<'a>(
        &mut self,
        schema: &Schema,
        (at, values): (Timestamp, &'a [Value]),
    ) -> impl Iterator<Item = (Timestamp, Cow<'a, [Value]>)> + use<'a> {
        if !self.gathers.contains_key(&schema.id()) {
            self.gathers.extend(Gather::of(schema).map(|gather| (schema.id(), gather)));
        }
        let gather = self.gathers.get_mut(&schema.id());
        // Most frames come whole, and are not copied.
        let whole = gather.is_none().then_some((at, Cow::Borrowed(values)));
        let parts = gather.map(|gather| gather.take(at, values)).unwrap_or_default();
        whole.into_iter().chain(parts.into_iter().map(|(at, values)| (at, Cow::Owned(values))))
    }

    pub(crate) fn feed_of(&mut self, schema: SchemaId) -> Option<&mut Feed> {
        self.feeds.iter_mut().find(|feed| feed.schema.id() == schema)
    }

    /// Feeds that still get frames.
    pub(crate) fn current(&self) -> impl Iterator<Item = &Feed> {
        self.feeds.iter().filter(move |feed| feed.is_current(self.newest))
    }

    /// The most surprising of the current scores.
    pub(crate) fn score(&self) -> Option<f64> {
        let now = self.last();
        self.current().filter_map(|feed| feed.score(now)).map(|(_, score)| score).max_by(f64::total_cmp)
    }

    /// The judgement with that score.
    pub(crate) fn judgement(&self) -> Option<Judgement> {
        let now = self.last();
        let scored = self.current().filter_map(|feed| Some((feed, feed.score(now)?.1)));
        let (feed, _) = scored.max_by(|a, b| a.1.total_cmp(&b.1))?;
        feed.verdict(now)
    }

    /// The feed with the most series: it speaks for the instance.
    pub(crate) fn main(&self) -> Option<&Feed> {
        self.current().max_by_key(|feed| feed.schema.width())
    }

    /// How far the main feed has come.
    pub(crate) fn learning(&self, training: &Training) -> Learning {
        self.main().map(|feed| feed.learning(training)).unwrap_or(Learning {
            phase: Phase::Gathering,
            progress: 0.0,
            model_version: 0,
            message: "nothing seen yet".into(),
        })
    }

    pub(crate) fn first(&self) -> Timestamp {
        self.feeds.iter().map(|feed| feed.first).min().unwrap_or_default()
    }

    pub(crate) fn last(&self) -> Timestamp {
        self.newest
    }

    /// Seconds between frames of its slowest feed, as far as models know.
    pub(crate) fn step_s(&self) -> f64 {
        let steps = self.current().filter_map(|feed| feed.model()).map(|(model, _)| model.step_s());
        steps.fold(0.0, f64::max)
    }

    /// Assesses everything that may run out, likeliest first.
    pub(crate) fn assess(&self, now: Timestamp, config: &foretwin_foresee::Config) -> Vec<Risk> {
        let mut risks: Vec<Risk> =
            self.current().flat_map(|feed| feed.risks(now, config, &self.instance.id)).collect();
        sort(&mut risks);
        risks
    }

    /// Assesses what needs it, and says how much that was.
    pub(crate) fn reassess(
        &mut self,
        now: Timestamp,
        config: &foretwin_foresee::Config,
        taught: Option<(&Taught, &Pipeline)>,
    ) -> usize {
        self.assessed = now;
        let (newest, owner) = (self.newest, &self.instance.id);
        let current = self.feeds.iter_mut().filter(|feed| feed.is_current(newest));
        let count = current.map(|feed| feed.reassess(now, config, owner)).sum();
        let known = self.current().flat_map(Feed::assessed).count();
        if count > 0 || known != self.risks.len() {
            self.risks = self.current().flat_map(Feed::assessed).cloned().collect();
            sort(&mut self.risks);
            self.probabilities = HORIZONS.map(|(_, horizon_s)| within(&self.risks, horizon_s));
            if let Some((taught, pipeline)) = taught {
                let mut risks = std::mem::take(&mut self.risks);
                let (blended, calibration) = self.learned((taught, pipeline), &mut risks, (now, config));
                self.risks = risks;
                self.probabilities = HORIZONS.map(|(_, horizon_s)| blended.at(horizon_s));
                self.calibration = Some(calibration);
            }
        }
        count
    }

    /// Moves risks as recorded failures taught.
    pub(crate) fn learned(
        &self,
        (taught, pipeline): (&Taught, &Pipeline),
        risks: &mut [Risk],
        (now, config): (Timestamp, &foretwin_foresee::Config),
    ) -> (Blend, Calibration) {
        let situation = self.situation(pipeline, (risks, taught.horizons_s()), (now, config));
        taught.apply(risks, (&situation, self.cohort), &config.horizons_s)
    }

    /// Its situation now, given its first passages.
    pub(crate) fn situation(
        &self,
        pipeline: &Pipeline,
        (risks, horizons_s): (&[Risk], &[f64]),
        (now, config): (Timestamp, &foretwin_foresee::Config),
    ) -> Situation {
        let unknown = |_: Timestamp| f64::NAN;
        let instance = &self.instance.id;
        let growths = self.current().flat_map(|feed| feed.growths((now, instance), config, &unknown));
        let seen = Seen {
            instance,
            at: now,
            growths: growths.collect(),
            risks,
            anomaly: self.score(),
            infrastructure: pipeline.infrastructure(&self.instance, now),
        };
        let ground = |place: Place<'_>| pipeline.grounds.known(pipeline, place, now);
        situation(seen, &pipeline.past, &ground, horizons_s)
    }

    /// What is said of it as of now: risks after all calibration, likeliest first, and what they come to by any mode if that
    /// was learned.
    pub(crate) fn spoken(
        &self,
        pipeline: &Pipeline,
        config: &foretwin_foresee::Config,
    ) -> (Vec<Risk>, Option<(Blend, Calibration)>) {
        if self.vanished.is_some() {
            return (Vec::new(), None);
        }
        let now = self.last();
        let mut risks = self.assess(now, config);
        let taught = pipeline.lessons.taught();
        let learned = taught.map(|taught| self.learned((&taught, pipeline), &mut risks, (now, config)));
        (risks, learned)
    }

    /// The probability that anything runs out within the hour.
    pub(crate) fn within_the_hour(&self) -> f64 {
        self.probabilities[1]
    }
}

/// Likeliest within the hour first.
fn sort(risks: &mut [Risk]) {
    risks.sort_by(|a, b| b.at(3600.0).total_cmp(&a.at(3600.0)));
}

/// Instances of one workload are a cohort.
pub(crate) fn cohort(instance: &Instance) -> u64 {
    foretwin_core::fnv64(instance.workload.0.as_bytes())
}
