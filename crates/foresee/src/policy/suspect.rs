//! An instance of which something is said that exceeds a bar, or did until lately.

use foretwin_core::{AlertKind, Instance, InstanceId, Timestamp, WorkloadId};
use serde::{Deserialize, Serialize};

use super::group::{Tie, is_shared};
use super::watch::{Said, Watch};
use super::{Config, Explanation, Signal, infrastructure};

/// Probability of a cause from which on it says what members have in common.
const LIKELY: f64 = 0.5;

/// An instance, what is said of it, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Suspect {
    pub(super) host: String,
    pub(super) parent: Option<InstanceId>,
    pub(super) workload: WorkloadId,
    pub(super) team: String,
    pub(super) criticality: u8,
    /// Who uses what it lacks, by the contrast.
    consumer: Option<InstanceId>,
    /// Probability that the machine underneath is in trouble, by the contrast.
    #[serde(default)]
    infrastructure: f64,
    pub(super) watches: Vec<(AlertKind, Watch)>,
    why: Option<(Timestamp, Explanation)>,
    /// Whether something stood when the reasons were given.
    #[serde(default)]
    stood: bool,
    /// When anything was last said of it.
    pub(super) heard: Timestamp,
}

/// A statement of a kind, and how long it must last before it stands.
pub(super) struct Claim {
    pub(super) kind: AlertKind,
    pub(super) said: Said,
    pub(super) confirm_s: f64,
}

impl Suspect {
    pub(super) fn new(instance: &Instance) -> Self {
        Self {
            host: instance.host.clone(),
            parent: instance.parent.clone(),
            workload: instance.workload.clone(),
            team: String::new(),
            criticality: instance.criticality,
            consumer: None,
            infrastructure: 0.0,
            watches: Vec::new(),
            why: None,
            stood: false,
            heard: Timestamp(i64::MIN),
        }
    }

    /// Takes what a signal says.
    pub(super) fn take(&mut self, signal: &Signal<'_>, claims: Vec<Claim>, config: &Config) {
        self.heard = signal.at;
        self.team = signal.instance.labels.get(&config.team_label).cloned().unwrap_or_default();
        self.criticality = signal.instance.criticality;
        if let Some(verdict) = signal.verdict {
            self.consumer.clone_from(&verdict.consumer);
            self.infrastructure = infrastructure(verdict);
        }
        let claimed: Vec<AlertKind> = claims.iter().map(|claim| claim.kind).collect();
        // A way to fail that is not named any more is over; a contrast or score that is not there says nothing.
        let over = |kind: AlertKind| kind.mode().is_some() && !claimed.contains(&kind);
        for (_, watch) in self.watches.iter_mut().filter(|(kind, _)| over(*kind)) {
            watch.take(watch.said.nothing(signal.at), config.confirm_s, config);
        }
        for Claim { kind, said, confirm_s } in claims {
            match self.watches.iter_mut().find(|(known, _)| *known == kind) {
                Some((_, watch)) => watch.take(said, confirm_s, config),
                None if said.exceeds() => self.watches.push((kind, Watch::new(said))),
                None => {}
            }
        }
    }

    pub(super) fn watch(&self, kind: AlertKind) -> Option<&Watch> {
        self.watches.iter().find(|(known, _)| *known == kind).map(|(_, watch)| watch)
    }

    /// Whether something is said of it whose reasons are not known, or were given `every_s` seconds ago or before it
    /// stood: what an alert opens with is of that moment, not of the first time that something was said.
    pub(super) fn wants_reasons(&self, every_s: f64) -> bool {
        let stale = self.why.as_ref().is_none_or(|(at, _)| self.heard.since(*at).abs() >= every_s);
        (stale || self.stands() && !self.stood) && self.watches.iter().any(|(_, watch)| watch.said.exceeds())
    }

    fn stands(&self) -> bool {
        self.watches.iter().any(|(_, watch)| watch.stands)
    }

    pub(super) fn explain(&mut self, why: Explanation) {
        self.stood = self.stands();
        self.why = Some((self.heard, why));
    }

    pub(super) fn why(&self) -> Option<&Explanation> {
        self.why.as_ref().map(|(_, why)| why)
    }

    /// Whether it is contained in another, or runs on it.
    pub(super) fn is_within(&self, other: &InstanceId) -> bool {
        self.parent.as_ref() == Some(other) || self.host == other.as_str()
    }

    /// What may tie a statement about it to others, what says most first. `stands` says of what contains it whether the same
    /// is said of that.
    pub(super) fn ties(
        &self,
        id: &InstanceId,
        kind: AlertKind,
        stands: &dyn Fn(&InstanceId) -> bool,
    ) -> Vec<Tie> {
        let likely = self.why().and_then(|why| why.causes.first());
        let place = likely.filter(|cause| cause.probability >= LIKELY && cause.place != *id);
        let elsewhere = self.consumer.iter().chain(place.map(|cause| &cause.place));
        let host = InstanceId::new(&self.host);
        // What runs out within something that runs out of the same is one cause.
        let around = self.parent.iter().chain([&host]).filter(|around| *around != id && stands(around));
        let mut ties: Vec<Tie> = elsewhere.chain([id]).chain(around).cloned().map(Tie::Place).collect();
        if kind == AlertKind::Infrastructure || self.infrastructure >= LIKELY {
            ties.push(Tie::Host(self.host.clone(), None));
        }
        if let Some(mode) = kind.mode().filter(|&mode| is_shared(mode)) {
            ties.push(Tie::Host(self.host.clone(), Some(mode)));
        }
        if kind.mode().is_some() {
            ties.push(Tie::Workload(self.workload.clone(), kind));
        }
        ties
    }

    /// How far a statement stands above its bar, in bits of odds; criticality of 50 is neutral, 100 adds two.
    pub(super) fn value_bits(&self, watch: &Watch) -> f64 {
        watch.said.excess_bits() + (f64::from(self.criticality) - 50.0) / 25.0
    }
}

#[cfg(test)]
mod tests {
    use foretwin_core::{FailureMode, InstanceKind, Quantiles};

    use super::*;
    use crate::policy::{Chance, Memory, Policy};

    #[test]
    fn reasons_are_of_the_moment_at_which_an_alert_opens() {
        let instance = Instance::new("h/a", InstanceKind::Service, "h", "a");
        let mut policy = Policy::new(Config::default(), Memory::default());
        let mut wanted = Vec::new();
        for second in [0, 10, 20] {
            let chance = Chance {
                mode: FailureMode::MemoryExhaustion,
                within: vec![(3600.0, 0.9)],
                time_to_failure: Quantiles::default(),
                confidence: 0.5,
            };
            let at = Timestamp::from_seconds(f64::from(second));
            let signal = Signal { instance: &instance, at, chances: &[chance], anomaly: None, verdict: None };
            wanted.push(policy.observe(&signal));
            policy.explain(&instance.id, Explanation { causes: vec![], actions: vec![] });
        }
        assert_eq!(wanted, [true, true, false], "said first, said twice, known");
    }
}
