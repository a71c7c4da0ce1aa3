//! Predictive drift: how long before a neighbour's ramp breaks production's latency it was announced, by the twin's
//! drift and by latency alone.

use foretwin_core::Timestamp;
use foretwin_foresee::Config;
use foretwin_foresee::contrast::{Ahead, Second};
use serde::Serialize;

use super::recording::Recording;

/// Times the highest latency while all was well that break it.
const LIMIT: f64 = 2.0;
/// Latency is broken once its mean over so many seconds is above the limit.
const OVER: usize = 10;
/// Seconds between questions.
const EVERY: usize = 5;
/// A break is announced when it is as likely as not within this horizon, twice in a row.
pub const HORIZON_S: f64 = 300.0;
const ANNOUNCED: f64 = 0.5;
/// Seconds after a fault in which nothing counts as a false alarm.
const AFTER_S: f64 = 60.0;

/// What one look ahead said over time.
#[derive(Debug, Clone, Copy)]
struct Asked {
    at: f64,
    probability: f64,
    within: (Option<f64>, Option<f64>),
}

/// What was asked of both, second by second.
#[derive(Default)]
pub struct Looks {
    asked: [Vec<Asked>; 2],
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
    /// Asks both, now and then.
    pub fn ask(&mut self, ahead: &Ahead, now: Timestamp, config: &Config) {
        self.count += 1;
        if !self.count.is_multiple_of(EVERY) {
            return;
        }
        let risks = [ahead.by_twin(now, config, 1), ahead.by_latency(now, config, 1)];
        for (asked, risk) in self.asked.iter_mut().zip(risks) {
            let times = risk.as_ref().map(|risk| &risk.time_to_failure);
            let within = times.map_or((None, None), |times| (times.p10, times.p90));
            let probability = risk.as_ref().map_or(0.0, |risk| risk.at(HORIZON_S));
            asked.push(Asked { at: now.seconds(), probability, within });
        }
    }

    /// Leads of all ramps, by the twin and by latency.
    pub fn leads(&self, recording: &Recording) -> [Vec<Lead>; 2] {
        let limit = limit_s(recording);
        self.asked.each_ref().map(|asked| {
            let ramps = recording.truth.iter().filter(|fault| fault.kind.starts_with("ramp"));
            let lead = |fault: &super::recording::Truth| {
                let broke = broke(&recording.seconds, (fault.begin, fault.end), limit);
                let mut lead = Lead {
                    kind: fault.kind.clone(),
                    broke_s: broke.map(|at| at - fault.begin),
                    lead_s: None,
                    covered: 0,
                    questions: 0,
                };
                let Some(broke) = broke else { return lead };
                let Some(told) = announcements(asked).find(|at| *at > fault.begin && *at <= broke) else {
                    return lead;
                };
                lead.lead_s = Some(broke - told);
                for asked in asked.iter().filter(|asked| asked.at >= told && asked.at < broke) {
                    let (from, to) = (asked.within.0, asked.within.1);
                    let left = broke - asked.at;
                    lead.questions += 1;
                    lead.covered +=
                        usize::from(from.is_some_and(|from| from <= left) && to.is_none_or(|to| left <= to));
                }
                lead
            };
            ramps.map(lead).collect()
        })
    }

    /// Announcements while nothing was wrong.
    pub fn false_alarms(&self, recording: &Recording) -> [usize; 2] {
        let sick = |at: f64| {
            let during = |fault: &&super::recording::Truth| {
                fault.kind != "healthy" && at > fault.begin && at <= fault.end + AFTER_S
            };
            recording.truth.iter().any(|fault| during(&fault))
        };
        self.asked.each_ref().map(|asked| announcements(asked).filter(|at| !sick(*at)).count())
    }
}

/// The moments at which announcements began.
fn announcements(asked: &[Asked]) -> impl Iterator<Item = f64> {
    let likely = |asked: &Asked| asked.probability >= ANNOUNCED;
    asked.windows(3).filter_map(move |three| {
        (!likely(&three[0]) && likely(&three[1]) && likely(&three[2])).then_some(three[2].at)
    })
}

fn broke(seconds: &[Second], (begin, end): (f64, f64), limit: f64) -> Option<f64> {
    means(seconds).find_map(|(at, mean)| (at > begin && at <= end && mean > limit).then_some(at))
}
