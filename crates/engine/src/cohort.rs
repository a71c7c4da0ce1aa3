//! Instances of one workload and schema are a cohort: where it is large they share a network, which is trained on the
//! frames of several of them.
//!
//! One member, the leader, stands for all: its versions are made for the whole cohort, and whoever has no version of its
//! own is judged by the leader's champion as it is, from its first frames on. A member with enough history gets, when
//! its turn comes, a version of its own: scaling, linear part and thresholds fitted to its own frames, the network still
//! the cohort's, and weights of its own where these are clearly better on its held-out frames. A small cohort trains a
//! model for each member.

use std::collections::HashMap;
use std::sync::Arc;

use foretwin_core::{InstanceId, Partition, SchemaId, Timestamp};
use foretwin_learn::Cohort as Network;

use crate::feed::Feed;
use crate::pipeline::Pipeline;
use crate::registry::{Line, Seated};
use crate::shard::Watched;
use crate::view::Event;

/// Members from which on a cohort shares a network: fewer cost little to train one by one.
const SHARED_FROM: usize = 8;

/// The cohorts as they are now.
#[derive(Default)]
pub(crate) struct Cohorts {
    cohorts: HashMap<(u64, SchemaId), Cohort>,
    /// Bytes of models that members of large cohorts have for themselves.
    own_bytes: u64,
}

struct Cohort {
    members: usize,
    /// The member with the longest history, and where that begins.
    leader: InstanceId,
    first: Timestamp,
    /// The network that the leader's model has for all.
    network: Option<Arc<Network>>,
}

/// What the training of a feed is for.
#[derive(Debug, Clone)]
pub(crate) enum Part {
    /// Itself: its cohort is small.
    Alone,
    /// All of its cohort.
    Leader,
    /// Itself, with the network of its cohort, if that has one.
    Member(Option<Arc<Network>>),
}

impl Cohorts {
    fn add(&mut self, watched: &Watched, feed: &Feed) {
        let id = &watched.instance.id;
        if feed.individual
            && let Some((model, _)) = feed.model()
        {
            self.own_bytes += model.own_bytes() as u64;
        }
        let network = || feed.model().and_then(|(model, _)| model.cohort().cloned());
        let fresh = || Cohort { members: 0, leader: id.clone(), first: feed.first, network: network() };
        let cohort = self.cohorts.entry((watched.cohort, feed.schema.id())).or_insert_with(fresh);
        cohort.members += 1;
        if (feed.first, id) < (cohort.first, &cohort.leader) {
            (cohort.first, cohort.leader, cohort.network) = (feed.first, id.clone(), network());
        }
    }

    /// What a feed trains for.
    pub(crate) fn part(&self, watched: &Watched, feed: &Feed) -> Part {
        match self.cohorts.get(&(watched.cohort, feed.schema.id())) {
            Some(cohort) if cohort.members < SHARED_FROM => Part::Alone,
            Some(cohort) if cohort.leader == watched.instance.id => Part::Leader,
            Some(cohort) => Part::Member(cohort.network.clone()),
            None => Part::Alone,
        }
    }

    /// Whether what is learned of this feed cannot wait to be asked for: it is alone, or leads.
    pub(crate) fn learns_first(&self, watched: &Watched, feed: &Feed) -> bool {
        !matches!(self.part(watched, feed), Part::Member(_))
    }

    /// Bytes of the models of all instances that have one of their own.
    pub(crate) fn own_bytes(&self) -> u64 {
        self.own_bytes
    }

    /// Whether a model of this instance is at work for others too.
    fn leads(&self, id: &InstanceId, cohort: u64, schema: SchemaId) -> bool {
        self.leader(cohort, schema) == Some(id)
    }

    /// The leader of a large cohort.
    pub(crate) fn leader(&self, cohort: u64, schema: SchemaId) -> Option<&InstanceId> {
        let found = self.cohorts.get(&(cohort, schema));
        found.filter(|cohort| cohort.members >= SHARED_FROM).map(|cohort| &cohort.leader)
    }
}

impl Pipeline {
    /// Who is of one cohort: instances that are there, by the feeds that still get frames.
    pub(crate) fn cohorts(&self) -> Cohorts {
        let mut cohorts = Cohorts::default();
        self.each(|watched| {
            if watched.vanished.is_none() {
                watched.current().for_each(|feed| cohorts.add(watched, feed));
            }
        });
        cohorts
    }

    /// Gives a feed without a model the champion of its instance, or else of its cohort.
    pub(crate) fn seat(&self, watched: &mut Watched, schema: SchemaId) {
        let Watched { instance, feeds, .. } = watched;
        let feed = feeds.iter_mut().find(|feed| feed.schema.id() == schema && feed.model().is_none());
        if let Some(feed) = feed
            && let Some(Seated { model, phase, renewed, own }) = self.registry.seat(instance, schema)
        {
            feed.install((model, phase), renewed, std::iter::empty());
            feed.individual = own;
            if let Some(reference) = self.registry.reference(&Line::new(&instance.id, schema)) {
                feed.refer_to(reference);
            }
        }
    }

    /// Puts a model to work, from the next frame on: for the instance it belongs to, and if that leads its cohort, for all
    /// members without a model of their own. Its state is warmed by stored frames, read while the feed stands still, so that at most the frames of the
    /// record at work are missing.
    pub(crate) fn install(&self, id: &InstanceId, schema: SchemaId, seated: Seated) {
        let Seated { model, phase, renewed, .. } = seated;
        let mut shard = self.shard(id.partition());
        let Some(watched) = shard.watched.get_mut(id) else { return };
        let cohort = watched.cohort;
        let Some(feed) = watched.feed_of(schema) else { return };
        let recent = self.recent(id, feed, model.step_s());
        feed.install((model.clone(), phase), renewed, recent.into_iter());
        feed.individual = true;
        let learning = feed.learning(&self.config.training);
        drop(shard);
        let instance = id.clone();
        self.events.publish(|| Event::Learned { instance, learning });
        if !self.cohorts().leads(id, cohort, schema) {
            return;
        }
        for partition in Partition::all() {
            let mut shard = self.shard(partition);
            for watched in shard.watched.values_mut().filter(|one| one.cohort == cohort) {
                if watched.instance.id != *id
                    && let Some(feed) = watched.feed_of(schema).filter(|feed| !feed.individual)
                {
                    feed.install((model.clone(), phase), renewed, std::iter::empty());
                }
            }
        }
    }
}
