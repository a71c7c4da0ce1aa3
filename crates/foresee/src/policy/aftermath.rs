//! Failures that go on: what is said of an instance while it fails is no news of that failure.

use std::collections::BTreeMap;

use foretwin_core::{Failure, FailureMode, InstanceId, Timestamp};
use serde::{Deserialize, Serialize};

use super::group::is_shared;

/// A failure after which the instance went on working, and badly.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Episode {
    mode: FailureMode,
    failed: Timestamp,
    /// When as much was last said as opens or keeps an alert.
    bad: Timestamp,
}

/// Who failed lately and has not been well since.
///
/// Whoever runs out of something of its own is started anew, and what is said then is of another life. A response time
/// above what was promised is a state: minutes later it is still there, everybody knows, and that it "will" be broken is
/// certain and worthless.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Aftermath(BTreeMap<InstanceId, Vec<Episode>>);

impl Aftermath {
    /// Takes a failure; only those that last are kept: to lack what all share is a state, to run out of one's own an end.
    pub(super) fn fail(&mut self, failure: &Failure) {
        if !is_shared(failure.mode) {
            return;
        }
        let episodes = self.0.entry(failure.instance.clone()).or_default();
        episodes.retain(|one| one.mode != failure.mode);
        episodes.push(Episode { mode: failure.mode, failed: failure.at, bad: failure.at });
    }

    /// Ends a tick: a failure goes on while as much is `said` of its instance as opens or keeps an alert, and until nothing
    /// was for so long.
    pub(super) fn settle(
        &mut self,
        (now, ease_s): (Timestamp, f64),
        said: &dyn Fn(&InstanceId, FailureMode) -> bool,
    ) {
        self.0.retain(|instance, episodes| {
            // A failure of long ago that is told only now does not go on.
            episodes.retain(|one| now.since(one.bad) <= ease_s);
            for episode in episodes.iter_mut().filter(|one| said(instance, one.mode)) {
                episode.bad = now;
            }
            !episodes.is_empty()
        });
    }

    /// When an instance failed this way, if that goes on.
    pub(super) fn since(&self, instance: &InstanceId, mode: FailureMode) -> Option<Timestamp> {
        let episode = self.0.get(instance)?.iter().find(|one| one.mode == mode)?;
        Some(episode.failed)
    }
}
