//! An alert as the policy keeps it: what it says, what ties its members, and what was last told of it.

use foretwin_core::{
    Alert, AlertId, AlertKind, AlertMember, AlertState, InstanceId, Quantiles, Rating, Severity, Timestamp,
    fnv64,
};
use serde::{Deserialize, Serialize};

use super::group::Tie;
use super::suspect::Suspect;
use super::watch::Watch;
use crate::words;

/// A probability that moves by less than this is no news.
const NEWS: f64 = 0.1;
/// An alert that waits for its calm to last tells what it was about, once less than this share of that is said.
const RECEDED: f64 = 0.6;
/// Least seconds between two updates that only tell of a moved probability.
const NEWS_S: f64 = 30.0;

/// An alert that is open, or whose outcome is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Standing {
    pub(super) alert: Alert,
    pub(super) ties: Vec<Tie>,
    /// When the last member joined.
    pub(super) joined: Timestamp,
    /// Members went out of sight: that none of them failed cannot be known.
    pub(super) lost: bool,
    /// What was last told: when, the state, how many, the probability, whether an outcome, how much feedback.
    told: Option<(Timestamp, AlertState, usize, f64, bool, usize)>,
    /// How bad, and how long until the failure, was last told.
    #[serde(default)]
    told_as: Option<(Severity, Option<f64>)>,
}

impl Standing {
    /// Opens an alert with its first member.
    pub(super) fn open(
        (id, suspect): (&InstanceId, &Suspect),
        (kind, watch): (AlertKind, &Watch),
        (ties, now): (Vec<Tie>, Timestamp),
    ) -> Self {
        let alert = blank((id, suspect), kind, now);
        let mut standing =
            Self { alert, ties: ties.clone(), joined: now, lost: false, told: None, told_as: None };
        standing.join((id, suspect), (kind, watch), (&ties, now));
        standing
    }

    /// Whether this statement about this instance belongs to it.
    pub(super) fn holds(&self, id: &InstanceId, kind: AlertKind) -> bool {
        self.alert.members.iter().any(|member| member.instance == *id && member.kind == kind)
    }

    /// Takes a member in, or back.
    pub(super) fn join(
        &mut self,
        (id, suspect): (&InstanceId, &Suspect),
        (kind, watch): (AlertKind, &Watch),
        (ties, now): (&[Tie], Timestamp),
    ) {
        let shared = super::group::shared(&self.ties, ties);
        if !shared.is_empty() {
            self.ties = shared;
        }
        self.joined = now;
        let members = &mut self.alert.members;
        if let Some(back) = members.iter_mut().find(|one| one.instance == *id && one.kind == kind) {
            back.ended = None;
            return;
        }
        if !members.iter().any(|member| member.instance == *id) {
            self.alert.count += 1;
        }
        members.push(AlertMember {
            instance: id.clone(),
            workload: suspect.workload.clone(),
            kind,
            since: now,
            ended: None,
            probability: watch.said.probability,
            horizon_s: watch.said.horizon_s,
            peak: watch.said.probability,
            peak_horizon_s: watch.said.horizon_s,
            time_to_failure: watch.said.time_to_failure,
        });
    }

    /// Says of members what is now said of them.
    pub(super) fn refresh(&mut self, watches: &dyn Fn(&InstanceId, AlertKind) -> Option<Watch>) {
        for member in self.alert.members.iter_mut().filter(|member| member.ended.is_none()) {
            if let Some(watch) = watches(&member.instance, member.kind) {
                let said = &watch.said;
                (member.probability, member.horizon_s) = (said.probability, said.horizon_s);
                member.time_to_failure = said.time_to_failure;
                if said.probability >= member.peak {
                    (member.peak, member.peak_horizon_s) = (said.probability, said.horizon_s);
                }
                member.peak = member.peak.max(watch.peak);
                self.alert.last = self.alert.last.max(watch.said.at);
            }
        }
    }

    /// The member that says most: of those that are not over, if any is left.
    pub(super) fn foremost(&self) -> Option<&AlertMember> {
        let open = self.alert.members.iter().filter(|member| member.ended.is_none());
        let open = open.max_by(|a, b| a.probability.total_cmp(&b.probability));
        open.or_else(|| self.alert.members.iter().max_by(|a, b| a.peak.total_cmp(&b.peak)))
    }

    /// States the alert anew from its foremost member.
    pub(super) fn restate(&mut self, suspect: Option<&Suspect>) {
        let Some(foremost) = self.foremost().cloned() else { return };
        let alert = &mut self.alert;
        alert.kind = foremost.kind;
        (alert.probability, alert.horizon_s) = said(&foremost);
        alert.time_to_failure = foremost.time_to_failure;
        alert.common = (alert.count > 1).then(|| self.ties.first().map(ToString::to_string)).flatten();
        if let Some(suspect) = suspect {
            let watch = suspect.watch(foremost.kind);
            alert.confidence = watch.map_or(alert.confidence, |watch| watch.said.confidence);
            if let Some(why) = suspect.why() {
                alert.cause = why.causes.first().cloned().or(alert.cause.take());
                alert.action = why.actions.first().cloned().or(alert.action.take());
            }
            // How bad it was stays, once less is said: a last word of "nothing" is no notice.
            if watch.is_some_and(|watch| watch.said.exceeds()) {
                alert.severity = severity(&foremost, suspect.criticality);
            }
        }
        alert.class = alert.cause.as_ref().map_or_else(|| "unknown".into(), |cause| cause.class.clone());
        alert.title = title(&foremost, alert.count);
    }

    /// The last word of an operator, if it silences.
    pub(super) fn silenced_by_word(&self) -> Option<Rating> {
        let last = self.alert.feedback.last().map(|feedback| feedback.rating);
        last.filter(|rating| *rating != Rating::Useful)
    }

    /// What there is to tell since the last time; that it was told then.
    pub(super) fn news(&mut self, now: Timestamp) -> Option<News> {
        let alert = &self.alert;
        let state = (alert.state, alert.count, alert.outcome.is_some(), alert.feedback.len());
        let news = match self.told {
            None => Some(News::Opened),
            Some((_, AlertState::Resolved, ..)) if alert.is_open() => Some(News::Updated),
            Some((_, before, ..)) if before != AlertState::Resolved && !alert.is_open() => {
                Some(News::Resolved)
            }
            Some((at, before, count, probability, outcome, feedback)) => {
                let moved = (alert.probability - probability).abs() >= NEWS || self.is_nearer();
                let moved = moved && now.since(at) >= NEWS_S;
                (moved || self.is_worse() || state != (before, count, outcome, feedback))
                    .then_some(News::Updated)
            }
        };
        if news.is_some() {
            let outcome = alert.outcome.is_some();
            let feedback = alert.feedback.len();
            self.told = Some((now, alert.state, alert.count, alert.probability, outcome, feedback));
            self.told_as = Some((alert.severity, alert.time_to_failure.p50));
        }
        news
    }

    /// Whether it is over and nobody was told so yet.
    pub(super) fn is_ending(&self) -> bool {
        let told = self.told.is_some_and(|(_, state, ..)| state != AlertState::Resolved);
        told && !self.alert.is_open()
    }

    /// Whether it is worse than was told, and not over.
    fn is_worse(&self) -> bool {
        self.alert.is_open() && self.told_as.is_some_and(|(told, _)| self.alert.severity > told)
    }

    /// Whether what is left until the failure is half of what was told, or twice; or it is less bad.
    fn is_nearer(&self) -> bool {
        let Some((severity, told_s)) = self.told_as.filter(|_| self.alert.is_open()) else { return false };
        let times = told_s.zip(self.alert.time_to_failure.p50);
        severity > self.alert.severity
            || times.is_some_and(|(told, now)| now < told / 2.0 || now > told * 2.0)
    }
}

/// What there is to tell of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    Opened,
    Updated,
    Resolved,
}

/// How bad: by the time that is left, one step more or less for what is critical or unimportant.
fn severity(member: &AlertMember, criticality: u8) -> Severity {
    let steps = [Severity::Notice, Severity::Warning, Severity::Serious, Severity::Critical];
    let left_s = member.time_to_failure.p50.unwrap_or(member.horizon_s);
    let step = match member.kind {
        AlertKind::Anomaly => 0,
        AlertKind::Infrastructure => 1,
        AlertKind::Failure(_) if left_s <= 900.0 => 3,
        AlertKind::Failure(_) if left_s <= 3600.0 => 2,
        AlertKind::Failure(_) => 1,
    };
    let step = match criticality {
        0..25 => step - 1,
        75.. => step + 1,
        _ => step,
    };
    steps[step.clamp(0, 3) as usize]
}

/// In one line: of what goes on, what is said now; of what is over, the most that was said.
fn title(member: &AlertMember, count: usize) -> String {
    let others = match count {
        0 | 1 => String::new(),
        2 => " and one more".into(),
        count => format!(" and {} more", count - 1),
    };
    format!("{}{others}: {}", member.instance, statement(member))
}

/// Probability and horizon: of what goes on, as they are; of what is over, as they were when most was said.
fn said(member: &AlertMember) -> (f64, f64) {
    match member.ended {
        None => (member.probability, member.horizon_s),
        // Kept by a node that did not note the horizon yet.
        Some(_) if member.peak_horizon_s == 0.0 => (member.peak, member.horizon_s),
        Some(_) => (member.peak, member.peak_horizon_s),
    }
}

fn statement(member: &AlertMember) -> String {
    let over = member.ended.is_some();
    let (probability, horizon_s) = said(member);
    let receded = probability < RECEDED * member.peak;
    let chance = match words::percent(probability) {
        most if over => format!("up to {most}"),
        now if receded => format!("now {now}, up to {} before", words::percent(member.peak)),
        now => now,
    };
    match member.kind {
        AlertKind::Failure(mode) => {
            let horizon = words::duration(horizon_s);
            let when = member.time_to_failure.p50.filter(|_| !over && !receded).map(words::duration);
            let when = when.map_or(String::new(), |when| format!(", probably in {when}"));
            format!("{} within {horizon}: {chance}{when}", mode.as_str().replace('_', " "))
        }
        AlertKind::Infrastructure if over => format!("the machine underneath was in trouble ({chance})"),
        AlertKind::Infrastructure => format!("the machine underneath is in trouble ({chance})"),
        AlertKind::Anomaly => "unlike itself for minutes, and nothing says why".into(),
    }
}

/// An alert without members.
fn blank((id, suspect): (&InstanceId, &Suspect), kind: AlertKind, now: Timestamp) -> Alert {
    let hash = fnv64(format!("{id}|{kind}").as_bytes());
    let name = AlertId(format!("{:016x}-{hash:016x}", now.0.max(0)));
    Alert {
        link: format!("/#/alerts/{name}"),
        id: name,
        state: AlertState::Firing,
        reason: String::new(),
        kind,
        class: "unknown".into(),
        severity: Severity::Notice,
        title: String::new(),
        opened: now,
        last: now,
        resolved: None,
        shown: false,
        team: suspect.team.clone(),
        common: None,
        members: Vec::new(),
        count: 0,
        probability: 0.0,
        horizon_s: 0.0,
        confidence: 0.0,
        time_to_failure: Quantiles::default(),
        cause: None,
        action: None,
        outcome: None,
        feedback: Vec::new(),
    }
}
