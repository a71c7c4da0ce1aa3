//! Alerts against what came: right, averted, false; failures against what was said in time.

use std::collections::BTreeMap;

use foretwin_core::{Alert, AlertMember, FailureMode};

use super::run::{Course, numbers};
use super::watch::moment;
use super::world::{DAY, Ending, FaultKind, SORTS};

/// Minutes ahead that are asked for.
pub const LEADS: [u32; 3] = [5, 60, 360];
/// A failure within so many minutes of the end of an alert was still meant.
const SLACK: u32 = 60;

/// What became of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// A member failed as was said, so many minutes after the opening.
    Right(u32),
    /// What it spoke of was there, and was mended or restarted away before it failed, or takes longer than was said.
    Averted,
    /// Nothing was wrong.
    False,
    /// The days are over before it can be known.
    Open,
}

/// An alert with what became of it.
pub struct Judged<'a> {
    pub alert: &'a Alert,
    pub verdict: Verdict,
    /// What ordinary life it mistook, for a false one: sort of workload and mode.
    pub mistook: (&'static str, FailureMode),
}

/// Failures of one kind: how many there were, and in how many the fault was there and was said so long before.
#[derive(Debug, Clone, Copy, Default)]
pub struct Recall {
    pub failures: usize,
    pub could: [usize; LEADS.len()],
    pub said: [usize; LEADS.len()],
}

/// Everything that was judged.
pub struct Judgement<'a> {
    pub alerts: Vec<Judged<'a>>,
    /// Alerts that the budget held back.
    pub held: usize,
    pub recall: BTreeMap<FaultKind, Recall>,
    /// Days and instance-days under watch after the first lesson.
    pub days: u32,
    pub instance_days: f64,
}

fn minute_of(at: foretwin_core::Timestamp) -> u32 {
    (at.since(moment(0)) / 60.0).round() as u32
}

/// Judges a course.
pub fn judge(course: &Course) -> Judgement<'_> {
    let days = course.plan.days - course.learn_days;
    let shown: Vec<&Alert> = course.alerts.iter().filter(|alert| alert.shown).collect();
    let held = course.alerts.len() - shown.len();
    let numbers = numbers(&course.world);
    let place = |member: &AlertMember| numbers.get(&member.instance).copied().unwrap_or(0);
    let alerts = shown.iter().map(|alert| {
        let first = place(&alert.members[0]);
        let identity = course.world.instances[first].identity;
        let mode = alert.kind.mode().unwrap_or(FailureMode::Custom);
        let mistook = (SORTS[course.world.identities[identity].sort], mode);
        Judged { alert, verdict: verdict(course, alert, &place), mistook }
    });
    let alerts = alerts.collect();
    let mut recall: BTreeMap<FaultKind, Recall> = BTreeMap::new();
    for ending in course.world.endings.iter().filter(|one| one.minute > course.learn_days * DAY) {
        let one = recall.entry(ending.kind).or_default();
        one.failures += 1;
        for (n, lead) in LEADS.into_iter().enumerate() {
            let said = shown.iter().any(|alert| warned(alert, ending, lead, &place));
            one.could[n] += usize::from(ending.minute - ending.onset >= lead);
            one.said[n] += usize::from(said);
        }
    }
    let instance_days = f64::from(days) * course.plan.instances as f64;
    Judgement { alerts, held, recall, days, instance_days }
}

fn verdict(course: &Course, alert: &Alert, place: &dyn Fn(&AlertMember) -> usize) -> Verdict {
    let opened = minute_of(alert.opened);
    let horizon = (alert.members.iter().map(|one| one.horizon_s).fold(3600.0, f64::max) / 60.0) as u32;
    let until = alert.resolved.map_or(u32::MAX, |at| minute_of(at) + SLACK).max(opened + horizon);
    let mut first: Option<u32> = None;
    for member in &alert.members {
        let n = place(member);
        let meant = |one: &&Ending| {
            one.instance == n
                && Some(one.mode) == member.kind.mode()
                && (opened..=until).contains(&one.minute)
        };
        let lead = course.world.endings.iter().find(meant).map(|one| one.minute - opened);
        first = first.into_iter().chain(lead).min();
    }
    if let Some(lead) = first {
        return Verdict::Right(lead);
    }
    let wrong = |member: &AlertMember| course.world.ails(place(member), member.kind.mode(), (opened, until));
    if alert.members.iter().any(wrong) {
        Verdict::Averted
    } else if until > course.plan.days * DAY {
        Verdict::Open
    } else {
        Verdict::False
    }
}

/// Whether an alert named this failure so long before, and went on until about then.
fn warned(alert: &Alert, ending: &Ending, lead: u32, place: &dyn Fn(&AlertMember) -> usize) -> bool {
    alert.members.iter().any(|member| {
        place(member) == ending.instance
            && member.kind.mode() == Some(ending.mode)
            && minute_of(member.since) + lead <= ending.minute
            && member.ended.is_none_or(|ended| minute_of(ended) + SLACK >= ending.minute)
    })
}

impl Judgement<'_> {
    pub fn count(&self, of: impl Fn(Verdict) -> bool) -> usize {
        self.alerts.iter().filter(|one| of(one.verdict)).count()
    }

    fn right(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.iter().filter(|one| matches!(one.verdict, Verdict::Right(_))).map(|one| one.alert)
    }

    /// Instances of all right alerts: common causes are told once.
    pub fn members_of_right(&self) -> usize {
        self.right().map(|alert| alert.members.len()).sum()
    }

    /// How many right alerts named the class that their mode calls for, of how many that name a class.
    pub fn classes(&self) -> (usize, usize) {
        let named = self.right().filter_map(|alert| Some((alert.kind.mode()?, alert.class.as_str())));
        let fits = |(mode, class): &(FailureMode, &str)| match mode {
            FailureMode::MemoryExhaustion | FailureMode::DescriptorExhaustion => {
                ["leak", "exhaustion"].contains(class)
            }
            _ => ["growth", "exhaustion", "contention"].contains(class),
        };
        let named: Vec<_> = named.collect();
        (named.iter().filter(|one| fits(one)).count(), named.len())
    }

    /// False alarms per 1,000 instance-days.
    pub fn false_rate(&self) -> f64 {
        1000.0 * self.count(|one| one == Verdict::False) as f64 / self.instance_days
    }

    /// The share of alerts, of right and false ones, that were right at least so many minutes ahead.
    pub fn precision(&self, lead: u32) -> f64 {
        let right = self.count(|one| matches!(one, Verdict::Right(ahead) if ahead >= lead)) as f64;
        let all = self.count(|one| matches!(one, Verdict::Right(_) | Verdict::False)) as f64;
        right / all
    }

    /// Of the failures that could be foreseen, and whose fault was there so long before, those that were said then; and
    /// how many there were.
    pub fn recall(&self, lead: usize) -> (f64, usize) {
        let known = self.recall.iter().filter(|(kind, _)| kind.is_foreseeable()).map(|(_, one)| one);
        let (said, could) = known.fold((0, 0), |sum, one| (sum.0 + one.said[lead], sum.1 + one.could[lead]));
        (said as f64 / could as f64, could)
    }
}
