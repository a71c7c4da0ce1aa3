//! The end of a tick: who joins whom, what is shown, silenced or held back, what is over, and what came of it.

use foretwin_core::{AlertId, AlertKind, AlertMember, AlertOutcome, AlertState, InstanceId, Timestamp};

use super::group::Tie;
use super::standing::{News, Standing};
use super::suspect::Suspect;
use super::watch::{Watch, moved};
use super::{Change, Policy, group, silence};

/// An instance of which nothing was heard for so long is out of sight.
const SILENT_S: f64 = 3600.0;

/// Bits of odds at which probabilities end.
const BITS: f64 = 10.0;

/// A statement that stands and is no member of an open alert.
struct Candidate {
    id: InstanceId,
    kind: AlertKind,
    value_bits: f64,
}

impl Policy {
    /// Ends a tick: what changed in the alerts by all that was heard up to `now`, in the order of their opening.
    pub fn settle(&mut self, now: Timestamp) -> Vec<Change> {
        self.lose(now);
        self.refresh();
        self.recover(now);
        self.end(now);
        for candidate in self.candidates() {
            self.admit(&candidate, now);
        }
        self.restate();
        self.place(now);
        self.conclude(now);
        self.memory.votes.expire(now, self.config.feedback_half_life_s);
        let all = std::mem::take(&mut self.memory.standing);
        let mut changes = Vec::new();
        for (id, mut standing) in all {
            let news = standing.news(now);
            changes.extend(news.map(|news| {
                let alert = standing.alert.clone();
                match news {
                    News::Opened => Change::Opened(alert),
                    News::Updated => Change::Updated(alert),
                    News::Resolved => Change::Resolved(alert),
                }
            }));
            if !self.is_done(&standing, now) {
                self.memory.standing.insert(id, standing);
            }
        }
        self.memory.suspects.retain(|_, suspect| {
            suspect.watches.retain(|(_, watch)| !watch.is_idle());
            !suspect.watches.is_empty()
        });
        changes
    }

    /// Nothing can happen to an alert any more: its outcome is known, and what begins now is another one.
    fn is_done(&self, standing: &Standing, now: Timestamp) -> bool {
        let over = standing.alert.resolved.is_some_and(|at| now.since(at) > self.config.group_window_s);
        over && standing.alert.outcome.is_some()
    }

    /// Lets go of instances that say nothing any more.
    fn lose(&mut self, now: Timestamp) {
        let silent = |suspect: &Suspect| now.since(suspect.heard) > SILENT_S;
        let suspects = self.memory.suspects.iter().filter(|(_, suspect)| silent(suspect));
        let lost: Vec<(InstanceId, Timestamp)> =
            suspects.map(|(id, suspect)| (id.clone(), suspect.heard)).collect();
        for (id, heard) in lost {
            self.vanish(&id, heard);
        }
    }

    /// Lets failures go on of whose instances as much is still said.
    fn recover(&mut self, now: Timestamp) {
        let suspects = &self.memory.suspects;
        let said = |id: &InstanceId, mode| {
            let watch = suspects.get(id).and_then(|suspect| suspect.watch(AlertKind::Failure(mode)));
            watch.is_some_and(|watch| !watch.is_idle())
        };
        self.memory.aftermath.settle((now, self.config.group_window_s), &said);
    }

    /// Tells alerts what is now said of their members.
    fn refresh(&mut self) {
        let suspects = &self.memory.suspects;
        let watch = |id: &InstanceId, kind| suspects.get(id)?.watch(kind).cloned();
        for standing in self.memory.standing.values_mut().filter(|one| one.alert.is_open()) {
            standing.refresh(&watch);
        }
    }

    /// Ends members of which nothing stands any more, and alerts without members that are not over.
    fn end(&mut self, now: Timestamp) {
        let suspects = &self.memory.suspects;
        let stands = |id: &InstanceId, kind| {
            suspects.get(id).and_then(|suspect| suspect.watch(kind)).is_some_and(|watch| watch.stands)
        };
        for standing in self.memory.standing.values_mut().filter(|one| one.alert.is_open()) {
            for member in standing.alert.members.iter_mut().filter(|member| member.ended.is_none()) {
                if !stands(&member.instance, member.kind) {
                    member.ended = Some(now);
                }
            }
            if standing.alert.members.iter().any(|member| member.ended.is_none()) {
                continue;
            }
            let alert = &mut standing.alert;
            let ended = alert.members.iter().filter_map(|member| member.ended).max();
            (alert.state, alert.resolved) = (AlertState::Resolved, Some(ended.unwrap_or(now)));
            alert.reason = match alert.outcome {
                Some(AlertOutcome::Failed { mode, .. }) => format!("failed: {mode}"),
                _ if standing.lost => "out of sight".into(),
                _ => "nothing exceeds its bar any more".into(),
            };
        }
    }

    /// What stands and is no member yet, most valuable first.
    fn candidates(&self) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        for (id, suspect) in &self.memory.suspects {
            for (kind, watch) in suspect.watches.iter().filter(|(_, watch)| watch.stands) {
                let open = |one: &&Standing| one.alert.is_open() && one.holds(id, *kind);
                let member = self.memory.standing.values().find(open);
                if member.is_none_or(|one| has_ended(one, id, *kind)) {
                    let (id, value_bits) = (id.clone(), suspect.value_bits(watch));
                    candidates.push(Candidate { id, kind: *kind, value_bits });
                }
            }
        }
        // Equal values in the order of names: the order of a map must not decide.
        candidates.sort_by(|a, b| {
            b.value_bits.total_cmp(&a.value_bits).then_with(|| (&a.id, a.kind).cmp(&(&b.id, b.kind)))
        });
        candidates
    }

    /// What runs out of the same as all that an alert speaks of, and contains it, is what they have in common.
    fn contain(&mut self, id: &InstanceId, kind: AlertKind) {
        let suspects = &self.memory.suspects;
        let within = |member: &AlertMember| {
            let suspect = suspects.get(&member.instance).filter(|_| member.kind == kind);
            suspect.is_some_and(|suspect| member.instance != *id && suspect.is_within(id))
        };
        for standing in self.memory.standing.values_mut().filter(|one| one.alert.is_open()) {
            let place = Tie::Place(id.clone());
            if standing.alert.members.iter().all(within) && !standing.ties.contains(&place) {
                standing.ties.push(place);
            }
        }
    }

    /// Lets a candidate join an alert that it has a tie with, or opens one.
    fn admit(&mut self, Candidate { id, kind, .. }: &Candidate, now: Timestamp) {
        self.contain(id, *kind);
        let Some(suspect) = self.memory.suspects.get(id) else { return };
        let Some(watch) = suspect.watch(*kind) else { return };
        let said = |around: &InstanceId| self.memory.suspects.get(around)?.watch(*kind);
        let ties = suspect.ties(id, *kind, &|around| said(around).is_some_and(|watch| watch.stands));
        let window_s = self.config.group_window_s;
        // Back within the window, it is the same alert, also if it failed in between: a crash loop is one trouble.
        let back = |one: &Standing| {
            one.holds(id, *kind) && one.alert.resolved.is_none_or(|at| now.since(at) <= window_s)
        };
        let tied = |one: &Standing| {
            one.alert.is_open()
                && one.alert.team == suspect.team
                && now.since(one.joined) <= window_s
                && !group::shared(&one.ties, &ties).is_empty()
        };
        let all = &mut self.memory.standing;
        let found = all.iter().find(|(_, one)| back(one)).or_else(|| all.iter().find(|(_, one)| tied(one)));
        match found.map(|(name, _)| name.clone()).and_then(|name| all.get_mut(&name)) {
            Some(standing) => {
                standing.join((id, suspect), (*kind, watch), (&ties, now));
                let alert = &mut standing.alert;
                (alert.resolved, alert.last) = (None, alert.last.max(watch.said.at));
                if alert.state == AlertState::Resolved {
                    alert.state = AlertState::Firing;
                    // That it failed stays true; that nothing came of it is open again.
                    alert.outcome =
                        alert.outcome.take().filter(|came| matches!(came, AlertOutcome::Failed { .. }));
                }
            }
            None => {
                let standing = Standing::open((id, suspect), (*kind, watch), (ties, now));
                all.insert(standing.alert.id.clone(), standing);
            }
        }
    }

    fn restate(&mut self) {
        let changes =
            |one: &&mut Standing| one.alert.is_open() || one.alert.outcome.is_none() || one.is_ending();
        for standing in self.memory.standing.values_mut().filter(changes) {
            let foremost = standing.foremost().map(|member| member.instance.clone());
            standing.restate(foremost.and_then(|id| self.memory.suspects.get(&id)));
        }
    }

    /// Decides which open alerts are shown: most valuable first, so that the budget goes to them.
    fn place(&mut self, now: Timestamp) {
        let mut open: Vec<(f64, AlertId)> = Vec::new();
        for (name, standing) in self.memory.standing.iter().filter(|(_, one)| one.alert.is_open()) {
            let value = self.foremost(standing).map_or(0.0, |(suspect, watch)| suspect.value_bits(watch));
            open.push((value, name.clone()));
        }
        open.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        for (value_bits, name) in open {
            let Some(standing) = self.memory.standing.get(&name) else { continue };
            let silenced = self.silenced(standing, now);
            let held = self.goes_on(standing).or_else(|| self.held(standing, value_bits, now));
            let Some(standing) = self.memory.standing.get_mut(&name) else { continue };
            let alert = &mut standing.alert;
            (alert.state, alert.reason) = match (silenced, held) {
                (Some(reason), _) => (AlertState::Silenced, reason),
                (None, Some(reason)) => (AlertState::Held, reason),
                (None, None) => (AlertState::Firing, String::new()),
            };
            if alert.state == AlertState::Firing && !alert.shown {
                alert.shown = true;
                self.memory.budget.spend(&alert.team, now);
            }
        }
    }

    fn foremost<'a>(&'a self, standing: &Standing) -> Option<(&'a Suspect, &'a Watch)> {
        let member = standing.foremost()?;
        let suspect = self.memory.suspects.get(&member.instance)?;
        Some((suspect, suspect.watch(member.kind)?))
    }

    /// What silences an alert, in words.
    fn silenced(&self, standing: &Standing, now: Timestamp) -> Option<String> {
        if let Some(rating) = standing.silenced_by_word() {
            return Some(format!("called {rating} by an operator"));
        }
        let mut reason = None;
        for member in standing.alert.members.iter().filter(|member| member.ended.is_none()) {
            let suspect = self.memory.suspects.get(&member.instance)?;
            let work = silence::work(&self.work, (&member.instance, suspect), now)?;
            let note = if work.note.is_empty() { String::new() } else { format!(": {}", work.note) };
            reason =
                reason.or_else(|| Some(format!("planned work on {} until {}{note}", work.instance, work.to)));
        }
        reason
    }

    /// What an alert that was not shown yet foretells though it is there, in words: all its members failed before they
    /// joined it, and have not been well since.
    fn goes_on(&self, standing: &Standing) -> Option<String> {
        if standing.alert.shown {
            return None;
        }
        let mut reason = None;
        for member in standing.alert.members.iter().filter(|member| member.ended.is_none()) {
            let mode = member.kind.mode()?;
            let failed = self.memory.aftermath.since(&member.instance, mode)?;
            reason = reason.or_else(|| {
                Some(format!("held back: {} failed at {failed} and has not been well since", member.instance))
            });
        }
        reason
    }

    /// What holds an alert back that was not shown yet, in words.
    fn held(&self, standing: &Standing, value_bits: f64, now: Timestamp) -> Option<String> {
        if standing.alert.shown {
            return None;
        }
        let (team, per_day) = (&standing.alert.team, self.config.budget_per_day);
        let needed = self.memory.budget.needed_bits(team, now, per_day)?;
        if value_bits >= needed {
            return None;
        }
        let bar = self.foremost(standing).map_or(0.5, |(_, watch)| watch.said.bar);
        let raised = moved(bar, needed.min(BITS) * std::f64::consts::LN_2);
        Some(format!(
            "held back by budget: {} of {per_day} alerts of the last 24 hours are spent{}; the bar is {raised:.2} now, and this \
             is {:.2}",
            self.memory.budget.spent(team, now),
            if team.is_empty() { String::new() } else { format!(" by team {team}") },
            standing.alert.probability,
        ))
    }

    /// Says of alerts that are over what came of them, once the horizon is over too.
    fn conclude(&mut self, now: Timestamp) {
        let patience_s = self.config.patience_s();
        for standing in self.memory.standing.values_mut() {
            let Some(over) = standing.alert.resolved else { continue };
            let open = standing.alert.outcome.is_none();
            if open && now.since(over) > standing.alert.horizon_s.max(patience_s) {
                let unknown = standing.lost;
                standing.alert.outcome =
                    Some(if unknown { AlertOutcome::Unknown } else { AlertOutcome::Nothing });
            }
        }
    }
}

/// Whether this member of an alert is over.
fn has_ended(standing: &Standing, id: &InstanceId, kind: AlertKind) -> bool {
    let member = standing.alert.members.iter().find(|one| one.instance == *id && one.kind == kind);
    member.is_none_or(|member| member.ended.is_some())
}
