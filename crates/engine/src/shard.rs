//! What a partition's owner knows of its instances.

use std::collections::HashMap;
use std::sync::Arc;

use foretwin_core::{
    Instance, InstanceId, InstanceKind, Judgement, Learning, Origin, Phase, Risk, Schema, SchemaId, Timestamp,
};

use crate::config::Training;
use crate::feed::Feed;

/// All instances of a partition.
#[derive(Default)]
pub(crate) struct Shard {
    pub(crate) watched: HashMap<InstanceId, Watched>,
    /// Epoch and sequence of the last batch of each source.
    origins: HashMap<u64, (u64, u64)>,
}

/// An instance under watch.
pub(crate) struct Watched {
    pub(crate) instance: Instance,
    pub(crate) vanished: Option<Timestamp>,
    /// Time of the last frame that was not late; goes back when the clock was set back.
    pub(crate) newest: Timestamp,
    pub(crate) feeds: Vec<Feed>,
    /// As of `assessed`.
    pub(crate) risks: Vec<Risk>,
    pub(crate) assessed: Timestamp,
}

impl Shard {
    /// The instance with this id, as it is `described` elsewhere; one of which only frames are known gets a plain
    /// description.
    pub(crate) fn watch(
        &mut self,
        id: &InstanceId,
        described: impl FnOnce() -> Option<Instance>,
    ) -> &mut Watched {
        self.watched.entry(id.clone()).or_insert_with(|| {
            let host = id.as_str().split('/').next().unwrap_or_default();
            let plain = || Instance::new(id.as_str(), InstanceKind::Application, host, id.as_str());
            Watched::new(described().unwrap_or_else(plain))
        })
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
    pub(crate) fn describe(&mut self, instance: &Instance) -> bool {
        match self.watched.get_mut(&instance.id) {
            Some(known) => {
                let back = known.vanished.take().is_some();
                known.instance = instance.clone();
                back
            }
            None => {
                self.watched.insert(instance.id.clone(), Watched::new(instance.clone()));
                true
            }
        }
    }
}

impl Watched {
    pub(crate) fn new(instance: Instance) -> Self {
        let (risks, assessed) = (Vec::new(), Timestamp(i64::MIN));
        Self { instance, vanished: None, newest: Timestamp::default(), feeds: Vec::new(), risks, assessed }
    }

    /// The feed of a schema, and whether it was made just now. A new one lets those go that ended an hour ago.
    pub(crate) fn feed(&mut self, schema: &Arc<Schema>, now: Timestamp) -> (&mut Feed, bool) {
        let known = self.feeds.iter().position(|feed| feed.schema.id() == schema.id());
        let at = known.unwrap_or_else(|| {
            self.feeds.retain(|feed| now.since(feed.last).abs() < 3600.0);
            let mut feed = Feed::new(schema);
            feed.inherit(&self.feeds);
            self.feeds.push(feed);
            self.feeds.len() - 1
        });
        (&mut self.feeds[at], known.is_none())
    }

    pub(crate) fn feed_of(&mut self, schema: SchemaId) -> Option<&mut Feed> {
        self.feeds.iter_mut().find(|feed| feed.schema.id() == schema)
    }

    /// Feeds that still get frames.
    pub(crate) fn current(&self) -> impl Iterator<Item = &Feed> {
        self.feeds.iter().filter(move |feed| feed.is_current(self.newest))
    }

    /// The most surprising of the current judgements.
    pub(crate) fn judgement(&self) -> Option<&Judgement> {
        let now = self.last();
        let judgements = self.current().filter_map(|feed| feed.verdict(now));
        judgements.max_by(|a, b| a.score.0.total_cmp(&b.score.0))
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
        risks.sort_by(|a, b| b.at(3600.0).total_cmp(&a.at(3600.0)));
        risks
    }
}
