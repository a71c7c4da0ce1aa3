//! Predictive drift: how long before a neighbour's ramp breaks production's latency it was announced, how often for
//! nothing, and what probabilities and intervals were worth: by the twin's drift and by latency alone.

use foretwin_foresee::Config;
use foretwin_foresee::contrast::{Ahead, Second};
use serde::Serialize;

use super::recording::{Recording, Truth};
use super::straight::{SPANS_MIN, Straight};

/// Times the highest latency while all was well that break it.
const LIMIT: f64 = 2.0;
/// Latency is broken once its mean over so many seconds is above the limit.
const OVER: usize = 10;
/// Seconds between questions.
const EVERY: usize = 5;
/// A break is announced when it is as likely as not within this horizon, twice in a row.
pub const HORIZON_S: f64 = 300.0;
const ANNOUNCED: f64 = 0.5;
/// An announcement without a break within so many seconds was for nothing.
const PATIENCE_S: f64 = 2.0 * HORIZON_S;
/// Seconds after a break in which nothing counts: queues and windows run empty.
const AFTER_S: f64 = 90.0;
/// Seconds that an announcement has to come ahead.
const LEAD_S: f64 = 120.0;
/// Classes of probability in which statements are held against what came.
const CLASSES: usize = 5;

/// What one look ahead said at one moment.
#[derive(Debug, Clone, Copy)]
struct Asked {
    at: f64,
    probability: f64,
    within: (Option<f64>, Option<f64>),
}

/// Ways to look ahead: by both opinions, by the drift of the twin, by latency alone in the light of its load, and by
/// straight lines through latency.
pub const WAYS: [&str; 6] = [
    "both",
    "the twin's drift",
    "latency and load",
    "a line through 2 min of latency",
    "a line through 3 min of latency",
    "a line through 5 min of latency",
];

/// What was asked of each, second by second.
#[derive(Default)]
pub struct Looks {
    asked: [Vec<Asked>; WAYS.len()],
    straight: Straight,
    count: usize,
}

/// One ramp as one look ahead saw it.
#[derive(Debug, Clone, Serialize)]
pub struct Lead {
    pub kind: String,
    /// Seconds from the ramp's begin to the break; nothing where latency held.
    pub broke_s: Option<f64>,
    /// Seconds from the announcement to the break.
    pub lead_s: Option<f64>,
    /// Questions between announcement and break whose 10 to 90 % interval held the break, and all of them.
    pub covered: usize,
    pub questions: usize,
}

/// What one look ahead was worth.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Foresight {
    pub leads: Vec<Lead>,
    /// Announcements for nothing.
    pub wrong: usize,
    /// Hours in which there could have been one.
    pub hours: f64,
    /// Statements of "within the horizon" in classes of probability: how many, their sum, how many came true.
    pub stated: [(usize, f64, usize); CLASSES],
}

/// The limit of the 90th percentile, from the healthy beginning: beyond anything that load alone does.
pub fn limit_s(recording: &Recording) -> f64 {
    let until = recording.healthy_until();
    let healthy = recording.seconds.partition_point(|second| second.at.seconds() < until);
    means(&recording.seconds[..healthy]).map(|(_, mean)| LIMIT * mean).fold(f64::NAN, f64::max)
}

/// Mean of the 90th percentile over the last seconds, and when.
fn means(seconds: &[Second]) -> impl Iterator<Item = (f64, f64)> {
    seconds.windows(OVER).map(|window| {
        let mean = window.iter().map(|second| second.production.latency_p90_s).sum::<f64>() / OVER as f64;
        (window[OVER - 1].at.seconds(), mean)
    })
}

impl Looks {
    /// Asks each, now and then, about a limit of latency in seconds.
    pub fn ask(&mut self, (ahead, limit_s): (&Ahead, f64), second: &Second, config: &Config) {
        self.straight.take(second);
        self.count += 1;
        if !self.count.is_multiple_of(EVERY) {
            return;
        }
        let risks = [ahead.risk(config), ahead.risk_by_drift(config), ahead.risk_by_latency(config)];
        for (asked, risk) in self.asked.iter_mut().zip(risks) {
            let times = risk.as_ref().map(|risk| &risk.time_to_failure);
            let within = times.map_or((None, None), |times| (times.p10, times.p90));
            let probability = risk.as_ref().map_or(0.0, |risk| risk.at(HORIZON_S));
            asked.push(Asked { at: second.at.seconds(), probability, within });
        }
        // A line says yes or no, and no interval.
        for (asked, span_min) in self.asked.iter_mut().rev().zip(SPANS_MIN.iter().rev()) {
            let over = self.straight.exceeds(limit_s, (60.0 * span_min, HORIZON_S));
            let probability = f64::from(u8::from(over));
            asked.push(Asked { at: second.at.seconds(), probability, within: (None, None) });
        }
    }

    /// What each was worth.
    pub fn judge(&self, recording: &Recording, limit_s: f64) -> [Foresight; WAYS.len()] {
        let broken: Vec<f64> =
            means(&recording.seconds).filter(|(_, mean)| *mean > limit_s).map(|(at, _)| at).collect();
        self.asked.each_ref().map(|asked| {
            let ramps = recording.truth.iter().filter(|fault| fault.kind.starts_with("ramp"));
            let mut foresight = Foresight {
                leads: ramps.map(|ramp| lead(asked, ramp, &broken)).collect(),
                ..Foresight::default()
            };
            foresight.count(asked, &broken);
            foresight
        })
    }
}

/// The first moment of `broken` after `at`.
fn next(broken: &[f64], at: f64) -> Option<f64> {
    broken.get(broken.partition_point(|&broke| broke <= at)).copied()
}

/// Whether latency is broken at a moment, or was just before.
fn is_after(broken: &[f64], at: f64) -> bool {
    let before = broken[..broken.partition_point(|&broke| broke <= at)].last();
    before.is_some_and(|broke| at - broke <= AFTER_S)
}

fn lead(asked: &[Asked], ramp: &Truth, broken: &[f64]) -> Lead {
    let broke = next(broken, ramp.begin).filter(|at| *at <= ramp.end);
    let mut lead = Lead {
        kind: ramp.kind.clone(),
        broke_s: broke.map(|at| at - ramp.begin),
        lead_s: None,
        covered: 0,
        questions: 0,
    };
    let Some(broke) = broke else { return lead };
    let Some(told) = announcements(asked).find(|at| *at > ramp.begin && *at <= broke) else { return lead };
    lead.lead_s = Some(broke - told);
    for asked in asked.iter().filter(|asked| asked.at >= told && asked.at < broke) {
        let ((from, to), left) = (asked.within, broke - asked.at);
        lead.questions += 1;
        lead.covered += usize::from(from.is_some_and(|from| from <= left) && to.is_none_or(|to| left <= to));
    }
    lead
}

impl Foresight {
    /// Announcements for nothing, and statements against what came.
    fn count(&mut self, asked: &[Asked], broken: &[f64]) {
        let end = asked.last().map_or(0.0, |asked| asked.at);
        let judged = |at: f64| !is_after(broken, at) && at + PATIENCE_S <= end;
        let in_vain = |at: f64| next(broken, at).is_none_or(|broke| broke > at + PATIENCE_S);
        self.wrong = announcements(asked).filter(|&at| judged(at) && in_vain(at)).count();
        for asked in asked.iter().filter(|asked| judged(asked.at)) {
            self.hours += EVERY as f64 / 3600.0;
            let class = ((asked.probability * CLASSES as f64) as usize).min(CLASSES - 1);
            let came = next(broken, asked.at).is_some_and(|broke| broke <= asked.at + HORIZON_S);
            let (count, sum, true_ones) = &mut self.stated[class];
            (*count, *sum, *true_ones) =
                (*count + 1, *sum + asked.probability, *true_ones + usize::from(came));
        }
    }

    /// Adds what another recording showed.
    pub fn add(&mut self, other: Self) {
        self.leads.extend(other.leads);
        self.wrong += other.wrong;
        self.hours += other.hours;
        for (all, new) in self.stated.iter_mut().zip(other.stated) {
            *all = (all.0 + new.0, all.1 + new.1, all.2 + new.2);
        }
    }

    /// For people.
    pub fn tell(&self, label: &str) {
        let broke: Vec<&Lead> = self.leads.iter().filter(|lead| lead.broke_s.is_some()).collect();
        let mut leads: Vec<f64> = broke.iter().filter_map(|lead| lead.lead_s).collect();
        leads.sort_by(f64::total_cmp);
        let ahead = leads.iter().filter(|lead| **lead >= LEAD_S).count();
        let (covered, questions) =
            broke.iter().fold((0, 0), |sum, lead| (sum.0 + lead.covered, sum.1 + lead.questions));
        println!(
            "announced by {label}: {} of {} ramps that broke, {ahead} at least {LEAD_S:.0} s ahead, median {:.0} s; \
             {} for nothing in {:.1} h; intervals held {:.0} %",
            leads.len(),
            broke.len(),
            leads.get(leads.len() / 2).copied().unwrap_or(f64::NAN),
            self.wrong,
            self.hours,
            100.0 * covered as f64 / questions as f64,
        );
        let classes = self.stated.iter().filter(|(count, ..)| *count > 0).map(|(count, sum, came)| {
            let all = *count as f64;
            format!("{:.0} % came true {:.0} % ({count})", 100.0 * sum / all, 100.0 * *came as f64 / all)
        });
        println!("  within {HORIZON_S:.0} s: {}", classes.collect::<Vec<_>>().join(", "));
        if self.leads.len() > 20 {
            return;
        }
        for Lead { kind, broke_s, lead_s, covered, questions } in &self.leads {
            let or_none = |value: &Option<f64>| value.map_or("-".into(), |value| format!("{value:.0}"));
            let (broke, lead) = (or_none(broke_s), or_none(lead_s));
            println!("  {kind:<15} broke after {broke} s, lead {lead} s, covered {covered} of {questions}");
        }
    }
}

/// The moments at which announcements began.
fn announcements(asked: &[Asked]) -> impl Iterator<Item = f64> {
    let likely = |asked: &Asked| asked.probability >= ANNOUNCED;
    asked.windows(3).filter_map(move |three| {
        (!likely(&three[0]) && likely(&three[1]) && likely(&three[2])).then_some(three[2].at)
    })
}
