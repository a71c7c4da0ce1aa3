//! How often risks are assessed: by need, and within what a shard may spend.
//!
//! A resource that is calm and whose headroom does not shrink is not going to run out; assessing it again would only
//! say so again. One that may run out is assessed every few seconds. A shard spends no more than its share in a
//! second; who has to wait is first in the next one, because where that happens all look less often by the same factor.

use foretwin_core::{SECOND_US, Timestamp};

/// Seconds between two looks at an instance's resources: calm, and while something may fail within the hour.
const CALM_S: f64 = 5.0;
const ALERT_S: f64 = 1.0;
/// The probability from which on an instance is looked at more often.
const ALERT_PROBABILITY: f64 = 0.05;
/// The probability within the longest horizon below which a resource is calm.
const CALM_PROBABILITY: f64 = 0.005;
/// The part of its headroom that a calm resource may lose before it is assessed again, and for how many seconds.
const LOST_HEADROOM: f64 = 0.02;
const LONGEST_S: f64 = 600.0;
/// Assessments before a resource counts as calm: the first ones have too little history to say so.
const FIRST_ONES: u32 = 4;
/// Assessments of a shard a second: with 64 shards and about 120 µs each, a sixth of a core. The last instance of a
/// second may exceed it: what a single machine has to assess comes at once, every few seconds.
const PER_SECOND: u32 = 20;
/// So many times as much while something may fail within the hour.
const ALERT_SHARE: u32 = 2;
/// The most that looks are put off.
const LONGEST_STRETCH: f64 = 32.0;

/// What a shard has spent on assessments.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    second: i64,
    spent: u32,
    /// Whether anybody had to wait in this second.
    busy: bool,
    stretch: f64,
}

impl Default for Pace {
    fn default() -> Self {
        Self { second: i64::MIN, spent: 0, busy: false, stretch: 1.0 }
    }
}

impl Pace {
    /// Whether an instance whose likeliest failure within the hour has this probability is to be looked at.
    pub(crate) fn is_due(&mut self, at: Timestamp, looked: Timestamp, probability: f64) -> bool {
        self.turn(at);
        let alert = probability > ALERT_PROBABILITY;
        let (every_s, most) = if alert { (ALERT_S, ALERT_SHARE * PER_SECOND) } else { (CALM_S, PER_SECOND) };
        // A clock that went back must not silence the assessment until it has caught up.
        let due = !(0.0..every_s * self.stretch - 0.05).contains(&at.since(looked));
        let room = self.spent < most;
        self.busy |= due && !room;
        due && room
    }

    /// Counts assessments.
    pub(crate) fn spend(&mut self, assessments: usize) {
        self.spent = self.spent.saturating_add(assessments as u32);
    }

    /// With every second, looks become rarer or more frequent, as the last one was too busy or idle.
    fn turn(&mut self, at: Timestamp) {
        let second = at.0.div_euclid(SECOND_US);
        // Clocks of a fleet differ by a little; one that was set back by much begins anew.
        if second > self.second || second < self.second - 60 {
            let change = if self.busy { 1.25 } else { 0.8 };
            self.stretch = (self.stretch * change).clamp(1.0, LONGEST_STRETCH);
            (self.second, self.spent, self.busy) = (second, 0, false);
        }
    }
}

/// When a resource was assessed last, and what came of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Assessed {
    at: Timestamp,
    headroom: f64,
    /// Probability of failure within the longest horizon.
    probability: f64,
    times: u32,
}

impl Assessed {
    /// After an assessment that follows on `before`.
    pub(crate) fn new(before: Option<Self>, at: Timestamp, headroom: f64, probability: f64) -> Self {
        Self { at, headroom, probability, times: before.map_or(1, |one| one.times.saturating_add(1)) }
    }

    /// Whether the resource is to be assessed again, now that it has this much headroom.
    pub(crate) fn is_stale(&self, now: Timestamp, headroom: f64) -> bool {
        let calm = self.probability < CALM_PROBABILITY && self.times >= FIRST_ONES;
        // A limit that appears is news as well.
        let lost = headroom < (1.0 - LOST_HEADROOM) * self.headroom
            || (self.headroom.is_nan() && !headroom.is_nan());
        !calm || lost || !(0.0..LONGEST_S).contains(&now.since(self.at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Timestamp {
        Timestamp::from_seconds(1e9 + seconds)
    }

    fn after(times: u32, probability: f64) -> Assessed {
        (0..times).fold(None, |before, _| Some(Assessed::new(before, at(0.0), 100.0, probability))).unwrap()
    }

    #[test]
    fn calm_resources_wait_until_they_lose_headroom() {
        assert!(!after(4, 0.0).is_stale(at(5.0), 99.0));
        assert!(after(4, 0.0).is_stale(at(5.0), 97.0));
        assert!(after(4, 0.0).is_stale(at(600.0), 100.0));
        assert!(after(4, 0.0).is_stale(at(-1.0), 100.0), "the clock was set back");
        assert!(after(4, 0.1).is_stale(at(5.0), 100.0));
        let unlimited = Assessed::new(Some(after(4, 0.0)), at(0.0), f64::NAN, 0.0);
        assert!(!unlimited.is_stale(at(5.0), f64::NAN) && unlimited.is_stale(at(5.0), 100.0));
        assert!(after(2, 0.0).is_stale(at(5.0), 100.0), "too early to be calm");
    }

    #[test]
    fn looks_follow_the_need() {
        let mut pace = Pace::default();
        assert!(!pace.is_due(at(1.0), at(0.0), 0.0) && pace.is_due(at(1.0), at(0.0), 0.5));
        assert!(pace.is_due(at(5.0), at(0.0), 0.0) && pace.is_due(at(-5.0), at(0.0), 0.0));
    }

    #[test]
    fn a_busy_shard_looks_less_often_and_recovers() {
        let mut pace = Pace::default();
        // A thousand instances of a shard, each with one resource, all at once.
        let mut looked = vec![Timestamp(i64::MIN); 1000];
        let mut most = 0;
        for second in 0..60 {
            let now = at(f64::from(second));
            let mut count = 0;
            for before in &mut looked {
                if pace.is_due(now, *before, 0.0) {
                    pace.spend(1);
                    (*before, count) = (now, count + 1);
                }
            }
            most = most.max(count);
        }
        assert_eq!(most, PER_SECOND);
        assert!(looked.iter().all(|before| *before >= at(0.0)), "everybody had a turn");
        assert!(!pace.is_due(at(60.0), at(55.0), 0.0) && pace.is_due(at(60.0), at(20.0), 1.0));
        for second in 60..120 {
            pace.is_due(at(f64::from(second)), at(0.0), 0.0);
        }
        assert!(pace.is_due(at(120.0), at(119.0), 1.0));
    }
}
