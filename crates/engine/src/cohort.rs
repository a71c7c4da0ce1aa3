//! Instances of one workload and schema are a cohort: where it is large it has one model, which one member trains and
//! all use.
//!
//! One copy of the weights is in memory, whatever the number of members; each has a state of its own. Whoever is new
//! takes the cohort's champion at once; whoever had to wait for it gets it when it comes. A small cohort trains a model
//! for each member: [`Cohorts::trains`] is where it is decided who does, and so where a member of a large one that
//! earns a model of its own would be let through.

use std::collections::HashMap;

use foretwin_core::{InstanceId, Partition, SchemaId, Timestamp};

use crate::feed::Feed;
use crate::pipeline::Pipeline;
use crate::registry::{Line, Seated};
use crate::shard::Watched;
use crate::view::Event;

/// Members from which on a cohort shares a model: fewer cost little to train one by one.
const SHARED_FROM: usize = 8;

/// The cohorts as they are now.
pub(crate) struct Cohorts(HashMap<(u64, SchemaId), Cohort>);

struct Cohort {
    members: usize,
    /// The member with the longest history, and where that begins.
    leader: InstanceId,
    first: Timestamp,
}

impl Cohorts {
    fn add(&mut self, watched: &Watched, feed: &Feed) {
        let id = &watched.instance.id;
        let fresh = || Cohort { members: 0, leader: id.clone(), first: feed.first };
        let cohort = self.0.entry((watched.cohort, feed.schema.id())).or_insert_with(fresh);
        cohort.members += 1;
        if (feed.first, id) < (cohort.first, &cohort.leader) {
            (cohort.first, cohort.leader) = (feed.first, id.clone());
        }
    }

    /// Whether a feed trains: for itself in a small cohort, as the leader for all in a large one.
    pub(crate) fn trains(&self, watched: &Watched, feed: &Feed) -> bool {
        let cohort = self.0.get(&(watched.cohort, feed.schema.id()));
        cohort.is_none_or(|cohort| cohort.members < SHARED_FROM || cohort.leader == watched.instance.id)
    }

    fn shares(&self, cohort: u64, schema: SchemaId) -> bool {
        self.0.get(&(cohort, schema)).is_some_and(|cohort| cohort.members >= SHARED_FROM)
    }
}

impl Pipeline {
    /// Who is of one cohort: instances that are there, by the feeds that still get frames.
    pub(crate) fn cohorts(&self) -> Cohorts {
        let mut cohorts = Cohorts(HashMap::new());
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
            && let Some(Seated { model, phase, renewed }) = self.registry.seat(instance, schema)
        {
            feed.install((model, phase), renewed, std::iter::empty());
            if let Some(reference) = self.registry.reference(&Line::new(&instance.id, schema)) {
                feed.refer_to(reference);
            }
        }
    }

    /// Puts a model to work, from the next frame on: for the instance it belongs to, and for its cohort if that shares
    /// one. Its state is warmed by stored frames, read while the feed stands still, so that at most the frames of the
    /// record at work are missing.
    pub(crate) fn install(&self, id: &InstanceId, schema: SchemaId, seated: Seated) {
        let Seated { model, phase, renewed } = seated;
        let mut shard = self.shard(id.partition());
        let Some(watched) = shard.watched.get_mut(id) else { return };
        let cohort = watched.cohort;
        let Some(feed) = watched.feed_of(schema) else { return };
        let recent = self.recent(id, feed, model.step_s());
        feed.install((model.clone(), phase), renewed, recent.into_iter());
        let learning = feed.learning(&self.config.training);
        drop(shard);
        let instance = id.clone();
        self.events.publish(|| Event::Learned { instance, learning });
        if !self.cohorts().shares(cohort, schema) {
            return;
        }
        for partition in Partition::all() {
            let mut shard = self.shard(partition);
            for watched in shard.watched.values_mut().filter(|one| one.cohort == cohort) {
                if watched.instance.id != *id
                    && let Some(feed) = watched.feed_of(schema)
                {
                    feed.install((model.clone(), phase), renewed, std::iter::empty());
                }
            }
        }
    }
}
