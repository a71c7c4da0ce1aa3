//! The network of a large cohort: trained on the frames of a few members, chosen by the hash of their names so that they
//! are spread over hosts and zones, others at each version.

use std::sync::Arc;

use foretwin_core::{Fnv64, Instance, Window};
use foretwin_learn::{Cohort as Network, Error as LearnError, Job, Progress, Span, cohort};

use super::reach::Reach;
use super::{Budget, Cause, Due};
use crate::Error;
use crate::feed::Feed;
use crate::pipeline::Pipeline;
use crate::shard::{self, Watched};

/// Most members whose frames teach a network.
const MOST_MEMBERS: usize = 16;
/// Members with less than this part of the leader's history know too little.
const LEAST_HISTORY: f64 = 0.5;
/// Fewest frames that a member contributes to the network's training, where the total allows no more.
const LEAST_ROWS: usize = 1000;

/// What came of it.
pub(super) struct Pool {
    /// None where all members together have too few frames for a network.
    pub(super) network: Option<Arc<Network>>,
    /// Whose frames it was trained on, the leader first.
    pub(super) members: Vec<String>,
}

/// A member's frames, and what of them is not to be learned.
type Frames = (Window, Vec<Span>);

impl Pipeline {
    /// Trains a network on the leader and some others. All together they are read and learned up to what a single
    /// instance would be.
    pub(super) fn pool(&self, due: &Due, version: u64, budget: &Budget<'_>) -> Result<Pool, Error> {
        let chosen = self.chosen(due, version);
        let members = chosen.iter().map(|member| member.name().to_owned()).collect();
        let mut frames: Vec<Frames> = Vec::new();
        for member in &chosen {
            if budget.allow().is_break() {
                return Err(LearnError::Cancelled.into());
            }
            let reach = Reach { most: due.reach.most / chosen.len(), ..member.reach };
            if let Some(window) = self.frames_of(&member.instance, due.schema, &reach)? {
                let left_out = self.apart(member, &window)?.all();
                frames.push((window, left_out));
            }
        }
        let rows: usize = frames.iter().map(|(window, _)| window.len()).sum();
        if rows < self.config.learn.lstm_min_rows {
            return Ok(Pool { network: None, members });
        }
        let network = self.learn_network(&frames, version, budget)?;
        Ok(Pool { network, members })
    }

    fn learn_network(
        &self,
        frames: &[Frames],
        version: u64,
        budget: &Budget<'_>,
    ) -> Result<Option<Arc<Network>>, Error> {
        let mut config = self.config.learn.clone();
        config.lstm_max_rows = (config.lstm_max_rows / frames.len()).max(LEAST_ROWS);
        let jobs: Vec<Job> = frames
            .iter()
            .map(|(window, left_out)| Job { left_out, seed: version, ..Job::new(window, &config) })
            .collect();
        match cohort(&jobs, &mut |progress: Progress| budget.hear(progress)) {
            Ok(network) => Ok(Some(Arc::new(network))),
            Err(LearnError::TooShort { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The leader, and those members with enough history whose hashes are the smallest.
    fn chosen(&self, due: &Due, version: u64) -> Vec<Due> {
        let cohort = shard::cohort(&due.instance);
        let least_s = LEAST_HISTORY * due.reach.to.since(due.first);
        let mut chosen: Vec<(u64, Due)> = Vec::new();
        let mut consider = |watched: &Watched| {
            let id = &watched.instance.id;
            if watched.vanished.is_some() || watched.cohort != cohort || *id == due.instance.id {
                return;
            }
            let hash = Fnv64::default().write(&version.to_le_bytes()).text(id.as_str()).finish();
            // Most of a large cohort is turned away here, without a look at its feeds.
            if chosen.len() + 1 >= MOST_MEMBERS && chosen.last().is_some_and(|(last, _)| hash >= *last) {
                return;
            }
            let feed = watched.current().find(|feed| feed.schema.id() == due.schema);
            let Some(feed) = feed.filter(|feed| feed.last.since(feed.first) >= least_s) else { return };
            let at = chosen.partition_point(|(other, _)| *other < hash);
            chosen.insert(at, (hash, self.member(&watched.instance, feed)));
            chosen.truncate(MOST_MEMBERS - 1);
        };
        self.each(&mut consider);
        let leader = self.with(&due.instance.id, |watched| {
            let feed = watched.feeds.iter().find(|feed| feed.schema.id() == due.schema);
            feed.map(|feed| self.member(&watched.instance, feed))
        });
        let leader = leader.ok().flatten().map(|leader| Due { reach: due.reach, ..leader });
        leader.into_iter().chain(chosen.into_iter().map(|(_, member)| member)).collect()
    }

    fn member(&self, instance: &Instance, feed: &Feed) -> Due {
        self.order(instance, feed, (1.0, Cause::Individual))
    }
}
