//! From calibrated statements to alerts that people can live with: said twice, grouped by cause, within a budget.
//!
//! A [`Policy`] hears [`Signal`]s about instances ([`observe`](Policy::observe)), failures, planned work and operators'
//! words, and says what changed in its alerts ([`settle`](Policy::settle)). It is pure: time is an argument, and equal
//! input in equal order gives equal alerts. It keeps only instances of which something exceeds a bar.
//!
//! 1. *Twice.* A statement stands at the second exceedance in a row of its bar, `confirm_s` after the first (`watch`). It
//!    is over once it has stayed below `release_share` of the bar for `calm_s`.
//! 2. *Bars* move with operators' words, by kind, on an instance and its workload, shrunk and fading (`bar`).
//! 3. *Groups.* A statement that begins within `group_window_s` of the last member of an alert joins it if all of them
//!    have a tie in common: the place of the cause (a neighbour that uses what they lack, the instance a diagnosis
//!    blames, the instance itself, or what contains it and runs out of the same), a host that is in trouble itself or
//!    whose shared processors or swap they fail by, or workload and kind (`group`). That they run on one machine is no
//!    cause in common.
//! 4. *Silence.* An alert whose members are all under planned work, or which somebody called expected or false, is
//!    recorded as silenced (`silence`).
//! 5. *Budget.* Beyond `budget_per_day` alerts shown to a team within 24 hours, another must stand above its bar by one
//!    bit of odds for every tenth overspent; what does not is held, with the reason, and shown later if there is room
//!    or it gets likelier (`budget`). Of alerts that open together the most valuable come first.
//! 6. *Aftermath.* What foretells a failure that all its members are in already, by a mode that lasts, is held until one
//!    of them was well for `group_window_s` (`aftermath`).
//! 7. *Outcome.* A failure of a member, of the mode that was said, joins the alert while it is open or within the horizon
//!    after its end (`outcome`); otherwise nothing came, or it cannot be known.

mod aftermath;
mod bar;
mod budget;
mod config;
mod group;
mod outcome;
mod settle;
mod signal;
mod silence;
mod standing;
mod suspect;
#[cfg(test)]
mod tests;
mod watch;

use std::collections::{BTreeMap, HashSet};

use foretwin_core::{
    Alert, AlertId, AlertKind, Failure, Feedback, InstanceId, Maintenance, Quantiles, Timestamp,
};
use serde::{Deserialize, Serialize};

use aftermath::Aftermath;
use bar::{Vote, Votes};
use budget::Budget;
pub use config::Config;
pub use outcome::join;
pub use signal::{Chance, Explanation, Signal, infrastructure};
use standing::Standing;
use suspect::{Claim, Suspect};
use watch::{Said, moved};

/// Reasons are asked for again after so many seconds, while something exceeds its bar.
const REASONS_S: f64 = 60.0;

/// A failure is told this long after it happened, at most, by whoever detects it.
const RECENT_S: f64 = 60.0;

/// What happened to an alert. Whoever sends messages looks at its state: silenced and held ones are no messages.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// It is new, in whatever state.
    Opened(Alert),
    /// Its state, members, probability, outcome or feedback are not what they were. A held or silenced alert that fires
    /// comes this way too.
    Updated(Alert),
    /// It is over.
    Resolved(Alert),
}

impl Change {
    /// The alert as it is now.
    #[must_use]
    pub fn alert(&self) -> &Alert {
        match self {
            Self::Opened(alert) | Self::Updated(alert) | Self::Resolved(alert) => alert,
        }
    }
}

/// What the policy remembers: everything that a restart must not lose. As JSON it is a few kilobytes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Memory {
    suspects: BTreeMap<InstanceId, Suspect>,
    standing: BTreeMap<AlertId, Standing>,
    budget: Budget,
    votes: Votes,
    #[serde(default)]
    aftermath: Aftermath,
}

/// Decides what is an alert.
#[derive(Debug, Clone)]
pub struct Policy {
    config: Config,
    memory: Memory,
    work: Vec<Maintenance>,
}

impl Policy {
    /// A policy that goes on from what an earlier one remembered; [`Memory::default`] for a first one.
    #[must_use]
    pub fn new(config: Config, memory: Memory) -> Self {
        Self { config, memory, work: Vec::new() }
    }

    /// What it remembers.
    #[must_use]
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Takes what is said of an instance. True if something exceeds a bar and the reasons are wanted:
    /// [`explain`](Self::explain) should be called before [`settle`](Self::settle).
    pub fn observe(&mut self, signal: &Signal<'_>) -> bool {
        let id = &signal.instance.id;
        let known = self.memory.suspects.contains_key(id);
        let claims = self.claims(signal, known);
        if !known && !claims.iter().any(|claim| claim.said.exceeds()) {
            return false;
        }
        let suspects = &mut self.memory.suspects;
        let suspect = suspects.entry(id.clone()).or_insert_with(|| Suspect::new(signal.instance));
        suspect.take(signal, claims, &self.config);
        suspect.wants_reasons(REASONS_S)
    }

    /// What a signal claims, against the bars of its instance.
    fn claims(&self, signal: &Signal<'_>, known: bool) -> Vec<Claim> {
        let mut claims = claims(signal, &self.config);
        let half_life_s = self.config.feedback_half_life_s;
        // Words bring a bar down by little: what is far below it is not looked up.
        let near = |said: &Said| said.probability > moved(said.bar, -bar::MOST_DOWN);
        for claim in claims.iter_mut().filter(|claim| known || near(&claim.said)) {
            let who = (&signal.instance.id, &signal.instance.workload);
            let shift = self.memory.votes.shift(claim.kind, who, (signal.at, half_life_s));
            claim.said.bar = moved(claim.said.bar, shift);
        }
        claims
    }

    /// Says why something is said of an instance, and what to do.
    pub fn explain(&mut self, instance: &InstanceId, why: Explanation) {
        if let Some(suspect) = self.memory.suspects.get_mut(instance) {
            suspect.explain(why);
        }
    }

    /// Takes the planned work that is known, all of it.
    pub fn plan(&mut self, work: Vec<Maintenance>) {
        self.work = work;
    }

    /// Takes a failure that happened: it joins its alerts, and what was said of the instance is over.
    pub fn fail(&mut self, failure: &Failure) {
        self.memory.aftermath.fail(failure);
        for standing in self.memory.standing.values_mut() {
            let patience_s = standing.alert.horizon_s.max(self.config.patience_s());
            if !join(&mut standing.alert, failure, patience_s) {
                continue;
            }
            if !standing.alert.is_open() {
                standing.alert.reason = format!("failed after it was over: {}", failure.mode);
            }
            let failed = |one: &&mut foretwin_core::AlertMember| one.instance == failure.instance;
            for member in standing.alert.members.iter_mut().filter(failed) {
                member.ended = member.ended.or(Some(failure.at.max(member.since)));
            }
        }
        // What was said before the failure says nothing of what was started after it; a failure of long ago ends nothing.
        let known = self.memory.suspects.get(&failure.instance);
        if known.is_some_and(|suspect| suspect.heard.since(failure.at).abs() < RECENT_S) {
            self.memory.suspects.remove(&failure.instance);
        }
    }

    /// An instance is gone: nothing more is said of it.
    pub fn vanish(&mut self, instance: &InstanceId, at: Timestamp) {
        if self.memory.suspects.remove(instance).is_none() {
            return;
        }
        for standing in self.memory.standing.values_mut() {
            for member in standing.alert.members.iter_mut() {
                if member.instance == *instance && member.ended.is_none() {
                    member.ended = Some(at.max(member.since));
                    standing.lost = true;
                }
            }
        }
    }

    /// Takes an operator's word on an alert; false if the policy does not keep it any more, so that the word moves no
    /// bar unless [`vote`](Self::vote) is called with the alert.
    pub fn hear(&mut self, id: &AlertId, feedback: &Feedback) -> bool {
        let Some(standing) = self.memory.standing.get_mut(id) else { return false };
        standing.alert.feedback.push(feedback.clone());
        let alert = standing.alert.clone();
        self.vote(&alert, feedback);
        true
    }

    /// Moves the bars of an alert's members by an operator's word.
    pub fn vote(&mut self, alert: &Alert, feedback: &Feedback) {
        for member in &alert.members {
            self.memory.votes.cast(Vote {
                kind: member.kind,
                instance: member.instance.clone(),
                workload: member.workload.clone(),
                at: feedback.at,
                rating: feedback.rating,
            });
        }
    }

    /// Instances of which something is said that exceeds a bar, or did until lately.
    #[must_use]
    pub fn suspects(&self) -> HashSet<InstanceId> {
        self.memory.suspects.keys().cloned().collect()
    }

    /// Alerts that are open, or whose outcome is.
    pub fn alerts(&self) -> impl Iterator<Item = &Alert> {
        self.memory.standing.values().map(|standing| &standing.alert)
    }
}

/// What a signal claims, against the bars as they are set: of every failure mode at the horizon that says most.
fn claims(signal: &Signal<'_>, config: &Config) -> Vec<Claim> {
    let mut claims: Vec<Claim> = Vec::new();
    for chance in signal.chances {
        let judged = config.bars.iter().map(|&(horizon_s, bar)| {
            let (probability, time_to_failure) = (chance.at(horizon_s), chance.time_to_failure);
            Said {
                at: signal.at,
                probability,
                horizon_s,
                time_to_failure,
                confidence: chance.confidence,
                bar,
            }
        });
        let worst = judged.max_by(|a, b| a.excess_bits().total_cmp(&b.excess_bits()));
        let kind = AlertKind::Failure(chance.mode);
        claims.extend(worst.map(|said| Claim { kind, said, confirm_s: config.confirm_s }));
    }
    let now = |probability: f64, bar: f64| {
        let time_to_failure = Quantiles::default();
        Said { at: signal.at, probability, horizon_s: 0.0, time_to_failure, confidence: 1.0, bar }
    };
    if let Some(verdict) = signal.verdict {
        let said = now(infrastructure(verdict), config.infrastructure_probability);
        claims.push(Claim { kind: AlertKind::Infrastructure, said, confirm_s: config.confirm_s });
    }
    // As odds, so that it compares with probabilities.
    let share = |score: f64| score / (score + 1.0);
    if let Some(score) = signal.anomaly.filter(|score| score.is_finite() && config.anomaly_score > 0.0) {
        let said = now(share(score.max(0.0)), share(config.anomaly_score));
        claims.push(Claim { kind: AlertKind::Anomaly, said, confirm_s: config.anomaly_lasts_s });
    }
    claims
}
