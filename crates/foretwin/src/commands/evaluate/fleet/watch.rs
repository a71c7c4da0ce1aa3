//! The product's own way from telemetry to a situation: histories, growths by need, competing risks.

use std::collections::VecDeque;

use foretwin_core::{FailureMode, Risk, Timestamp};
use foretwin_foresee::{Config, Evidence, Ground, Growth, History, Peaks, Queue, Series, Situation, risk};

use super::world::{RESOURCES, Sample};

/// What runs against a limit, by resource, and what it is called.
pub const MODES: [(FailureMode, &str); RESOURCES] = [
    (FailureMode::MemoryExhaustion, "memory.usage"),
    (FailureMode::DiskFull, "filesystem.usage"),
    (FailureMode::DescriptorExhaustion, "descriptors.open"),
    (FailureMode::LatencyBreach, "response.duration"),
];
/// Minutes between two looks: while a resource is calm, and while it may be used up within a day, within the hour.
const LOOKS: [u32; 3] = [480, 30, 3];
/// Probabilities within a day and within the hour from which on it is looked at more often.
const NOTABLE: [f64; 2] = [0.02, 0.1];
/// The part of its headroom that a calm resource may lose before it is looked at again.
const LOST: f64 = 0.1;
/// Share of the limit by which a level must have fallen since it was read for what was read to be outdated.
const FALLEN: f64 = 0.1;
/// Share of the limit by which a level is well below what is known, and by which it is above it.
const KNOWN: f64 = 0.02;
const NEWS: f64 = 0.005;
/// Minutes after which the least headroom is forgotten.
const FORGOTTEN: u32 = 240;
/// Minutes of requests that are remembered.
const REMEMBERED: usize = 1700;
/// Of the equally likely futures every so many are kept.
const THINNED: usize = 8;

/// One resource of an instance.
#[derive(Debug)]
struct Resource {
    history: History,
    peaks: Peaks,
    /// What grows, if it may matter.
    growth: Option<Growth>,
    looked: Option<u32>,
    /// The level at that look.
    read: f64,
    /// The least headroom at looks of late, and when that was.
    least: (u32, f64),
    /// Probabilities within a day and within the hour.
    likely: [f64; 2],
}

/// Whoever watches an instance.
#[derive(Debug, Default)]
pub struct Watch {
    resources: [Resource; RESOURCES],
    requests: VecDeque<(Timestamp, f64)>,
    counter: Option<(Timestamp, f64)>,
    failed: Option<u32>,
    /// How many growths were read.
    pub reads: u64,
}

/// The moment of a minute.
pub fn moment(minute: u32) -> Timestamp {
    Timestamp::from_seconds(60.0 * f64::from(minute))
}

impl Watch {
    /// Takes what arrived.
    pub fn take(&mut self, minute: u32, sample: &Sample) {
        let now = moment(minute);
        for (n, resource) in self.resources.iter_mut().enumerate() {
            resource.history.push(now, sample.used[n], sample.limits[n]);
            resource.peaks.push(now, sample.used[n]);
        }
        // A counter that fell began anew: what was done in between is not known.
        let rate = self.counter.map_or(f64::NAN, |(at, before)| (sample.requests - before) / now.since(at));
        self.counter = Some((now, sample.requests));
        if self.requests.len() == REMEMBERED {
            self.requests.pop_front();
        }
        self.requests.push_back((now, if rate >= 0.0 { rate } else { f64::NAN }));
    }

    /// It failed: what it reached before that is no known ground, and whatever grew began anew.
    pub fn fail(&mut self, minute: u32, mode: FailureMode) {
        self.failed = Some(minute);
        for (resource, _) in self.resources.iter_mut().zip(MODES).filter(|(_, (own, _))| *own == mode) {
            resource.peaks.fail(moment(minute));
            resource.least = (0, f64::INFINITY);
            resource.looked = None;
        }
    }

    /// Reads what has to be read anew; false if nothing had.
    pub fn look(&mut self, minute: u32, config: &Config, seed: u64) -> bool {
        let mut anew = false;
        let fresh = self.failed.is_some_and(|at| minute - at < LOOKS[0]);
        for n in 0..RESOURCES {
            if self.resources[n].is_stale(minute, fresh) {
                self.read(n, minute, config, seed);
                anew = true;
            }
        }
        anew
    }

    fn read(&mut self, n: usize, minute: u32, config: &Config, seed: u64) {
        let now = moment(minute);
        let resource = &mut self.resources[n];
        let headroom = resource.headroom();
        (resource.growth, resource.looked, resource.likely) = (None, Some(minute), [0.0; 2]);
        resource.read = resource.history.newest().unwrap_or(f64::NAN);
        if headroom < resource.least.1 || minute - resource.least.0 > FORGOTTEN {
            resource.least = (minute, headroom);
        }
        let Some(against) = resource.against(n) else { return };
        let work: Vec<f64> = against.times.iter().map(|&at| rate_at(&self.requests, at)).collect();
        let evidence = Evidence { series: against.series(n), work: &work };
        self.reads += 1;
        let read = Growth::read(&evidence, now, config.lookback_s, seed ^ n as u64);
        let Some(growth) = read else { return };
        resource.likely = [growth.within(86_400.0), growth.within(3600.0)];
        let growth = growth.over(against.known);
        if resource.likely[0] > 0.25 * NOTABLE[0] || growth.is_news() {
            resource.growth = Some(growth);
        }
    }

    /// The situation, with a few of the futures where they say when.
    pub fn situation(&self, minute: u32, config: &Config) -> Situation {
        let growths: Vec<Growth> = self.resources.iter().filter_map(|one| one.growth.clone()).collect();
        let situation = Situation::new(&growths, &config.horizons_s);
        let failed_s = self.failed.map(|at| 60.0 * f64::from(minute - at));
        let risks = self.risks(minute, config, u64::from(minute));
        situation.thinned(THINNED).beside(&risks, &config.horizons_s).after(failed_s)
    }

    /// The risks of what grows, by which the product names causes.
    pub fn risks(&self, minute: u32, config: &Config, seed: u64) -> Vec<Risk> {
        let mut risks = Vec::new();
        let growing = self.resources.iter().enumerate().filter(|(_, one)| one.growth.is_some());
        for (n, resource) in growing {
            let Some(against) = resource.against(n) else { continue };
            risks.extend(risk(&against.series(n), moment(minute), config, seed));
        }
        risks
    }
}

/// A resource against its limit, as it is read.
struct Against {
    times: Vec<Timestamp>,
    used: Vec<f64>,
    limit: f64,
    /// What other days say.
    known: Option<Ground>,
}

impl Against {
    fn series(&self, n: usize) -> Series<'_> {
        let (mode, metric) = MODES[n];
        Series { metric, mode, times: &self.times, used: &self.used, limit: self.limit }
    }
}

impl Resource {
    /// What is read of it; response times as the share of them that is spent waiting.
    fn against(&self, n: usize) -> Option<Against> {
        let (mut times, mut used, known) = (Vec::new(), Vec::new(), self.peaks.known());
        let limit = self.history.limit()?;
        self.history.series(&mut times, &mut used);
        if MODES[n].0 != FailureMode::LatencyBreach {
            return Some(Against { times, used, limit, known });
        }
        let queue = Queue::new(&used)?;
        let waiting = |response| queue.waiting(response);
        let (limit, known) = (queue.waiting(limit), known.map(|known| known.map(waiting)));
        (limit > 0.0).then(|| Against { used: queue.all_waiting(&used), times, limit, known })
    }

    fn headroom(&self) -> f64 {
        self.history.limit().zip(self.history.newest()).map_or(f64::NAN, |(limit, used)| limit - used)
    }

    fn is_stale(&self, minute: u32, fresh: bool) -> bool {
        let Some(looked) = self.looked else { return self.history.len() >= 30 };
        if fresh && self.likely[0] > NOTABLE[0] {
            // What failed lately may fail again: its cause is likely there still.
            return minute - looked >= LOOKS[2];
        }
        if (self.is_news() || self.is_outdated()) && minute - looked >= LOOKS[2] {
            return true;
        }
        let hot = NOTABLE.iter().zip(self.likely).filter(|(bar, p)| p > bar).count();
        // What stays below the levels of other days can wait.
        let every = if self.is_known() { 4 * LOOKS[hot] } else { LOOKS[hot] };
        minute - looked >= every.min(LOOKS[0]) || self.headroom() < (1.0 - LOST) * self.least.1
    }

    /// Whether what was read is not there any more: what a wrong reading made must not be said twice.
    fn is_outdated(&self) -> bool {
        let level = self.history.newest().zip(self.history.limit());
        let fell = level.is_some_and(|(used, limit)| used < self.read - FALLEN * limit);
        self.growth.is_some() && fell
    }

    /// Whether it is above all that it reached on other days.
    fn is_news(&self) -> bool {
        let level = self.history.newest().zip(self.history.limit()).zip(self.peaks.known());
        level.is_some_and(|((used, limit), known)| used > known.level + known.rise + NEWS * limit)
    }

    /// Whether it is well below what it reached on other days without harm.
    fn is_known(&self) -> bool {
        let level = self.history.newest().zip(self.history.limit()).zip(self.peaks.known());
        level.is_some_and(|((used, limit), known)| used < known.level - KNOWN * limit)
    }
}

impl Default for Resource {
    fn default() -> Self {
        let (history, peaks, least) = (History::default(), Peaks::default(), (0, f64::INFINITY));
        Self { history, peaks, growth: None, looked: None, read: f64::NAN, least, likely: [0.0; 2] }
    }
}

/// Requests per second at about a moment.
fn rate_at(requests: &VecDeque<(Timestamp, f64)>, at: Timestamp) -> f64 {
    let after = requests.partition_point(|(time, _)| *time < at);
    requests.get(after).map_or(f64::NAN, |(_, rate)| *rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_wrong_reading_said_is_not_said_again() {
        let (mut watch, config) = (Watch::default(), Config::default());
        let sample = |memory: f64| {
            let (used, limits) = ([memory, 100.0, 50.0, 10.0], [1000.0, 1000.0, 500.0, 100.0]);
            Sample { used, limits, requests: f64::NAN }
        };
        let speaks = |watch: &mut Watch, minute| {
            watch.look(minute, &config, 1);
            let situation = watch.situation(minute, &config);
            situation.modes().any(|mode| mode == FailureMode::MemoryExhaustion)
        };
        let wrong = 3 * 1440;
        for minute in 0..wrong {
            // It was higher on other days: what is below that can wait.
            watch.take(minute, &sample(if minute < 1000 { 450.0 } else { 400.0 }));
            watch.look(minute, &config, 1);
        }
        assert!(!speaks(&mut watch, wrong - 1), "calm");
        watch.take(wrong, &sample(990.0));
        assert!(speaks(&mut watch, wrong), "it may be true");
        for minute in wrong + 1..=wrong + LOOKS[2] {
            watch.take(minute, &sample(400.0));
        }
        assert!(!speaks(&mut watch, wrong + LOOKS[2]));
    }
}
