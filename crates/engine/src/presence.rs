//! Who is gone: groups that ended while nobody watched are never announced as vanished by a source.

use std::collections::HashMap;

use foretwin_core::{HOUR_US, InstanceId, Partition, SECOND_US, Timestamp, fnv64};

use crate::pipeline::Pipeline;
use crate::shard::Watched;

/// Silence of an instance, while its host speaks, after which it is gone.
const SILENCE_US: i64 = 60 * SECOND_US;
/// How long the gone are kept at hand, from when this node noticed; the store keeps their history.
const REMEMBERED_US: i64 = HOUR_US;

impl Pipeline {
    /// Instances that say nothing while others of their host do, with the moment from which on they are gone. If the
    /// whole host is silent nobody is: it may only be out of reach.
    pub(crate) fn silent(&self, started: Timestamp) -> Vec<(InstanceId, Timestamp)> {
        let mut newest: HashMap<u64, Timestamp> = HashMap::new();
        let host = |watched: &Watched| fnv64(watched.instance.host.as_bytes());
        self.each(|watched| {
            let last = newest.entry(host(watched)).or_default();
            *last = (*last).max(watched.last());
        });
        let mut silent = Vec::new();
        self.each(|watched| {
            let heard = if watched.feeds.is_empty() { started } else { watched.last() };
            let host = newest.get(&host(watched)).copied().unwrap_or_default();
            let silence_us = SILENCE_US.max((5e6 * watched.step_s()) as i64);
            if watched.vanished.is_none() && host.0.saturating_sub(heard.0) > silence_us {
                silent.push((watched.instance.id.clone(), heard + 1));
            }
        });
        silent
    }

    /// Lets go of instances that have been gone for long.
    pub(crate) fn forget(&self, now: Timestamp) {
        for partition in Partition::all() {
            self.shard(partition).watched.retain(|_, watched| {
                let long_gone = now.0.saturating_sub(watched.noticed.0) > REMEMBERED_US;
                let forgotten = watched.vanished.is_some() && long_gone;
                if forgotten {
                    self.registry.retire(&watched.instance);
                }
                !forgotten
            });
        }
    }
}
