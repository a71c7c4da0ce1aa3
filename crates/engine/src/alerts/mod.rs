//! Alerts of a node: the policy that makes them, the archive that keeps them, and what people may ask and say.

mod archive;
mod sentinel;
mod work;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foretwin_core::{Alert, AlertId, AlertState, Failure, Feedback, InstanceId, Timestamp};
use foretwin_disk::Disk;
use foretwin_foresee::policy::{Change, Config, Policy, join};

use crate::Error;
use crate::error::Chain;
use crate::handle::Handle;
use crate::pipeline::Pipeline;
use crate::view::Event;
use archive::Archive;
pub(crate) use sentinel::{Sentinel, start};
pub use work::MaintenanceView;

/// Which alerts are wanted.
#[derive(Debug, Clone, Default)]
pub struct AlertQuery {
    /// In one of these states; empty: in any.
    pub states: Vec<AlertState>,
    /// Concerning this instance.
    pub instance: Option<InstanceId>,
    /// Open, or over no earlier than this.
    pub since: Option<Timestamp>,
}

impl AlertQuery {
    fn wants(&self, alert: &Alert) -> bool {
        (self.states.is_empty() || self.states.contains(&alert.state))
            && self.instance.as_ref().is_none_or(|id| alert.concerns(id))
            && self.since.is_none_or(|since| alert.resolved.is_none_or(|over| over >= since))
    }
}

/// The alerts of a node.
pub(crate) struct Alerts(Mutex<Inner>);

struct Inner {
    policy: Policy,
    archive: Archive,
}

impl Alerts {
    /// The alerts that a data directory keeps.
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: &Path, config: &Config) -> Result<Self, Error> {
        let (archive, memory) = Archive::open(disk, dir)?;
        Ok(Self(Mutex::new(Inner { policy: Policy::new(config.clone(), memory), archive })))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs the policy to the end of a tick, keeps what changed, tells whoever listens, and returns it.
    fn settle(&self, pipeline: &Pipeline, now: Timestamp) -> Vec<Change> {
        let mut inner = self.lock();
        let changes = inner.policy.settle(now);
        if changes.is_empty() {
            return changes;
        }
        for change in &changes {
            inner.archive.put(change.alert());
        }
        inner.keep();
        drop(inner);
        for change in &changes {
            announce(pipeline, change);
        }
        changes
    }

    /// Joins failures with alerts, also with those that the policy does not keep any more.
    fn fail(&self, failures: &[Failure]) {
        let mut inner = self.lock();
        for failure in failures {
            inner.policy.fail(failure);
            inner.join(failure);
        }
        inner.keep();
    }
}

impl Inner {
    /// Joins alerts whose outcome was taken for known before this failure was told.
    fn join(&mut self, failure: &Failure) {
        let kept: Vec<AlertId> = self.policy.alerts().map(|alert| alert.id.clone()).collect();
        let mut told = Vec::new();
        for alert in self.archive.all().filter(|alert| alert.concerns(&failure.instance)) {
            let mut alert = alert.clone();
            let patience_s = alert.horizon_s;
            if !kept.contains(&alert.id) && join(&mut alert, failure, patience_s) {
                told.push(alert);
            }
        }
        told.iter().for_each(|alert| self.archive.put(alert));
    }

    /// Makes memory and archive durable. What cannot be written now is written with the next change.
    fn keep(&mut self) {
        if let Err(error) = self.archive.keep(self.policy.memory()) {
            tracing::warn!("alerts are not kept on disk: {}", Chain(&error));
        }
    }
}

fn announce(pipeline: &Pipeline, change: &Change) {
    let (name, alert) = match change {
        Change::Opened(alert) => ("opened", alert),
        Change::Updated(alert) => ("updated", alert),
        Change::Resolved(alert) => ("resolved", alert),
    };
    if name == "opened" || name == "resolved" {
        tracing::info!("alert {name}, {}: {} {}", alert.state, alert.title, alert.reason);
    }
    pipeline.events.publish(|| Event::Alert { change: name, alert: Box::new(alert.clone()) });
}

impl Handle {
    /// Alerts, newest first.
    #[must_use]
    pub fn alerts(&self, query: &AlertQuery) -> Vec<Alert> {
        let inner = self.alerts.lock();
        inner.archive.all().rev().filter(|alert| query.wants(alert)).cloned().collect()
    }

    /// How many alerts fire, are silenced and are held.
    pub(crate) fn alerts_by_state(&self) -> [(AlertState, usize); 3] {
        let inner = self.alerts.lock();
        [AlertState::Firing, AlertState::Silenced, AlertState::Held]
            .map(|state| (state, inner.archive.all().filter(|alert| alert.state == state).count()))
    }

    /// One alert.
    ///
    /// # Errors
    /// If there is none of this name.
    pub fn alert(&self, id: &AlertId) -> Result<Alert, Error> {
        let inner = self.alerts.lock();
        inner.archive.get(id).cloned().ok_or_else(|| Error::UnknownAlert(id.clone()))
    }

    /// Takes an operator's word on an alert; returns the alert as it is then.
    ///
    /// # Errors
    /// If there is none of this name.
    pub fn rate_alert(&self, id: &AlertId, feedback: Feedback) -> Result<Alert, Error> {
        let mut alert = self.alert(id)?;
        let mut inner = self.alerts.lock();
        if !inner.policy.hear(id, &feedback) {
            // Long over: it moves the bar, and stands in the archive.
            inner.policy.vote(&alert, &feedback);
            alert.feedback.push(feedback);
            inner.archive.put(&alert);
            inner.keep();
        }
        drop(inner);
        self.alerts.settle(&self.pipeline, self.now());
        self.alert(id)
    }

    /// All failures that were recorded, newest first: of one instance or of all, from a moment on.
    #[must_use]
    pub fn failures(&self, only: Option<&InstanceId>, since: Timestamp) -> Vec<Failure> {
        let mut failures = self.pipeline.store.failures();
        failures.retain(|one| one.at >= since && only.is_none_or(|id| one.instance == *id));
        failures.sort_by_key(|failure| std::cmp::Reverse(failure.at));
        failures
    }
}
