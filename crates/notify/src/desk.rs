//! What one sink has to say: a bounded queue, and what it was told stands. No clock and no I/O in here.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use foretwin_core::{Alert, AlertId, AlertState, Timestamp};

use crate::config::Sink;
use crate::counts::Counts;
use crate::notice::{Change, Notice};

/// Everything that waits for one receiver.
#[derive(Debug)]
pub(crate) struct Desk {
    sink: Sink,
    queue: VecDeque<Notice>,
    standing: BTreeMap<AlertId, Standing>,
    number: u64,
    pub counts: Counts,
}

/// An alert that the receiver was told fires.
#[derive(Debug)]
struct Standing {
    alert: Arc<Alert>,
    /// When it was last put into the queue.
    said: Timestamp,
}

impl Desk {
    pub(crate) fn new(sink: Sink) -> Self {
        let counts = Counts { sink: sink.name.clone(), ..Counts::default() };
        Self { sink, queue: VecDeque::new(), standing: BTreeMap::new(), number: 0, counts }
    }

    /// Hears what became of an alert; whether there is something to say.
    pub(crate) fn take(&mut self, alert: &Arc<Alert>, at: Timestamp) -> bool {
        if alert.state != AlertState::Firing {
            let over = if alert.state == AlertState::Resolved { Change::Resolved } else { Change::Withdrawn };
            return self.standing.remove(&alert.id).is_some() && self.say(over, alert, at);
        }
        let Some(standing) = self.standing.get_mut(&alert.id) else {
            if !self.concerns(alert) {
                return false;
            }
            self.stand(alert, at);
            return self.say(Change::Opened, alert, at);
        };
        let news = differs(&standing.alert, alert);
        standing.alert = alert.clone();
        if news {
            standing.said = at;
        }
        news && self.say(Change::Updated, alert, at)
    }

    /// Takes up an alert that fired before this process began: nobody knows what the receiver was told of it.
    pub(crate) fn resume(&mut self, alert: &Arc<Alert>, at: Timestamp) {
        if alert.state == AlertState::Firing && self.concerns(alert) && !self.standing.contains_key(&alert.id)
        {
            self.stand(alert, at);
            self.say(Change::Repeated, alert, at);
        }
    }

    fn concerns(&self, alert: &Alert) -> bool {
        let team = self.sink.teams.is_empty() || self.sink.teams.contains(&alert.team);
        team && alert.severity >= self.sink.least_severity
    }

    fn stand(&mut self, alert: &Arc<Alert>, at: Timestamp) {
        self.standing.insert(alert.id.clone(), Standing { alert: alert.clone(), said: at });
    }

    /// Puts what stands and was not said for long into the queue, unless it waits there anyway.
    pub(crate) fn repeat(&mut self, now: Timestamp) {
        let interval_s = self.sink.resends_s();
        if interval_s == 0.0 {
            return;
        }
        let due: Vec<Arc<Alert>> = self
            .standing
            .values_mut()
            .filter(|standing| now.since(standing.said) >= interval_s || now < standing.said)
            .map(|standing| {
                standing.said = now;
                standing.alert.clone()
            })
            .collect();
        for alert in due {
            if !self.queue.iter().any(|waiting| waiting.alert.id == alert.id) {
                self.say(Change::Repeated, &alert, now);
            }
        }
    }

    fn say(&mut self, change: Change, alert: &Arc<Alert>, at: Timestamp) -> bool {
        self.number += 1;
        let notice = Notice { number: self.number, change, alert: alert.clone(), at };
        if self.sink.kind.wants_state() {
            // Only the newest state matters: it takes the place of what waits.
            if let Some(waiting) = self.queue.iter_mut().find(|waiting| waiting.alert.id == alert.id) {
                *waiting = notice;
                return true;
            }
        }
        if self.queue.len() >= self.sink.queue {
            self.queue.pop_front();
            self.counts.dropped += 1;
        }
        self.queue.push_back(notice);
        true
    }

    /// The notices that are to be said first.
    pub(crate) fn first(&self, most: usize) -> Vec<Notice> {
        self.queue.iter().take(most).cloned().collect()
    }

    /// Takes those away that were delivered or refused. What replaced one meanwhile has another number, and stays.
    pub(crate) fn done(&mut self, notices: &[Notice]) {
        let done = |notice: &Notice| notices.iter().any(|one| one.number == notice.number);
        self.queue.retain(|notice| !done(notice));
    }

    /// The numbers as they are now.
    pub(crate) fn counts(&self) -> Counts {
        let (waiting, standing) = (self.queue.len() as u64, self.standing.len() as u64);
        Counts { waiting, standing, ..self.counts.clone() }
    }
}

/// Whether somebody who knows `before` should hear of `after`: not of each percent.
fn differs(before: &Alert, after: &Alert) -> bool {
    let what = |alert: &Alert| {
        (alert.severity, alert.kind, alert.count, alert.cause.as_ref().map(|one| one.class.clone()))
    };
    what(before) != what(after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;
    use crate::format::tests::{OPENED, alert};
    use foretwin_core::{SECOND_US, Severity};

    fn desk(kind: Kind, queue: usize) -> Desk {
        Desk::new(Sink { name: "s".into(), kind, queue, resend_s: Some(60.0), ..Sink::default() })
    }

    fn named(id: usize, state: AlertState) -> Arc<Alert> {
        Arc::new(Alert { id: AlertId(format!("a-{id}")), state, ..alert() })
    }

    fn said(desk: &Desk) -> Vec<(Change, String)> {
        desk.first(99).iter().map(|notice| (notice.change, notice.alert.id.0.clone())).collect()
    }

    #[test]
    fn a_hook_hears_each_change_in_order_and_nothing_of_what_never_fired() {
        let mut desk = desk(Kind::Webhook, 10);
        assert!(!desk.take(&named(1, AlertState::Held), OPENED));
        assert!(!desk.take(&named(1, AlertState::Resolved), OPENED));
        desk.take(&named(1, AlertState::Firing), OPENED);
        assert!(
            !desk.take(
                &Arc::new(Alert { probability: 0.95, ..(*named(1, AlertState::Firing)).clone() }),
                OPENED
            )
        );
        desk.take(&Arc::new(Alert { count: 3, ..(*named(1, AlertState::Firing)).clone() }), OPENED);
        desk.take(&named(1, AlertState::Silenced), OPENED);
        desk.take(&named(1, AlertState::Firing), OPENED);
        desk.take(&named(1, AlertState::Resolved), OPENED);
        let changes: Vec<Change> = said(&desk).into_iter().map(|(change, _)| change).collect();
        use Change::{Opened, Resolved, Updated, Withdrawn};
        assert_eq!(changes, [Opened, Updated, Withdrawn, Opened, Resolved]);
    }

    #[test]
    fn an_alertmanager_is_told_the_newest_of_each() {
        let mut desk = desk(Kind::Alertmanager, 10);
        desk.take(&named(1, AlertState::Firing), OPENED);
        desk.take(&named(2, AlertState::Firing), OPENED);
        let under_way = desk.first(9);
        desk.take(&named(1, AlertState::Resolved), OPENED);
        assert_eq!(said(&desk), [(Change::Resolved, "a-1".into()), (Change::Opened, "a-2".into())]);
        desk.done(&under_way);
        assert_eq!(
            said(&desk),
            [(Change::Resolved, "a-1".into())],
            "what came while the other was sent stays"
        );
    }

    #[test]
    fn the_oldest_is_dropped_and_counted_and_what_stands_comes_again() {
        let mut desk = desk(Kind::Alertmanager, 2);
        for id in 1..=3 {
            desk.take(&named(id, AlertState::Firing), OPENED);
        }
        assert_eq!((said(&desk)[0].1.as_str(), desk.counts().dropped), ("a-2", 1));
        desk.done(&desk.first(9));
        desk.repeat(OPENED + 59 * SECOND_US);
        assert!(said(&desk).is_empty());
        desk.repeat(OPENED + 60 * SECOND_US);
        let counts = desk.counts();
        assert_eq!((counts.standing, counts.waiting, counts.dropped), (3, 2, 2));
    }

    #[test]
    fn repetitions_do_not_pile_up_while_a_receiver_is_away() {
        let mut desk = desk(Kind::Webhook, 100);
        desk.take(&named(1, AlertState::Firing), OPENED);
        (1..50).for_each(|minute| desk.repeat(OPENED + minute * 60 * SECOND_US));
        assert_eq!(said(&desk), [(Change::Opened, "a-1".into())]);
    }

    #[test]
    fn only_what_concerns_the_receiver_is_said_and_what_stood_before_is_taken_up() {
        let mut desk = desk(Kind::Webhook, 9);
        (desk.sink.least_severity, desk.sink.teams) = (Severity::Serious, vec!["shop".into()]);
        let of = |severity, team: &str| {
            Arc::new(Alert { severity, team: team.into(), ..(*named(1, AlertState::Firing)).clone() })
        };
        assert!(!desk.take(&of(Severity::Critical, "other"), OPENED));
        assert!(!desk.take(&of(Severity::Warning, "shop"), OPENED));
        desk.resume(&of(Severity::Serious, "shop"), OPENED);
        desk.resume(&of(Severity::Serious, "shop"), OPENED);
        assert_eq!(said(&desk), [(Change::Repeated, "a-1".into())]);
    }
}
