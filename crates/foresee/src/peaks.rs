//! How high a resource came before: what was reached on many days without harm is known ground.

use std::collections::VecDeque;

use foretwin_core::{HOUR_US, Timestamp};

/// Hours of a slot, and slots that are kept: two weeks, so that every day of a week was there twice.
const SLOT_HOURS: i64 = 6;
const SLOTS: usize = 56;
/// Slots before the present one that do not count yet: what grows now is no known ground.
const PRESENT: i64 = 1;

/// Slots before a failure that led to it.
const BEFORE: i64 = 6;
/// Slots of a day.
const DAY: i64 = 24 / SLOT_HOURS;

fn slot(at: Timestamp) -> i64 {
    at.0.div_euclid(SLOT_HOURS * HOUR_US)
}

/// What earlier days say of a resource.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ground {
    /// The highest level that it reached without harm.
    pub level: f64,
    /// By how much one of those days passed all days before it, at most: what grows by nature sets records, and the next
    /// is no news. Zero where only one day is known.
    pub rise: f64,
    /// Days that are known, at least 1.
    pub days: usize,
}

impl Ground {
    /// The same on another scale, on which greater is greater.
    #[must_use]
    pub fn map(self, scale: impl Fn(f64) -> f64) -> Self {
        let level = scale(self.level);
        Self { level, rise: scale(self.level + self.rise) - level, ..self }
    }
}

/// The peaks of the last weeks, less than a kilobyte.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Peaks {
    slots: VecDeque<(i64, f64)>,
    last: Option<f64>,
}

impl Peaks {
    /// Takes a sample; what did not last for two in a row is no peak.
    pub fn push(&mut self, at: Timestamp, used: f64) {
        if !used.is_finite() {
            return;
        }
        let lasted = self.last.map_or(used, |before| before.min(used));
        self.last = Some(used);
        let slot = slot(at);
        match self.slots.back_mut() {
            Some((known, peak)) if *known == slot => *peak = peak.max(lasted),
            Some((known, _)) if *known > slot => {}
            _ => {
                if self.slots.len() == SLOTS {
                    self.slots.pop_front();
                }
                self.slots.push_back((slot, lasted));
            }
        }
    }

    /// It failed: what was reached in the days before is not known to be harmless. What was reached earlier still is.
    pub fn fail(&mut self, at: Timestamp) {
        let from = slot(at) - BEFORE;
        self.slots.retain(|(slot, _)| *slot < from);
        self.last = None;
    }

    /// What the slots before the present ones say, if they are as many as a day has.
    #[must_use]
    pub fn known(&self) -> Option<Ground> {
        let (now, _) = *self.slots.back()?;
        let before = self.slots.iter().filter(|(slot, _)| *slot < now - PRESENT);
        if (before.clone().count() as i64) < DAY {
            return None;
        }
        // Days end where the present begins; what is left over before the first whole one is no day.
        let (end, oldest) = (now - PRESENT, self.slots.front()?.0);
        let first = end - DAY * ((end - oldest) / DAY);
        let mut ground = Ground { level: f64::NEG_INFINITY, rise: 0.0, days: 0 };
        let (mut day, mut earlier) = (-1, f64::NEG_INFINITY);
        for &(slot, peak) in before {
            let this = (slot - first).div_euclid(DAY);
            if this > day {
                (day, earlier) = (this, ground.level);
                ground.days += 1;
            }
            if ground.days > 1 {
                ground.rise = ground.rise.max(peak - earlier);
            }
            ground.level = ground.level.max(peak);
        }
        Some(ground)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_reached_before_is_known_and_spikes_and_the_present_are_not() {
        let mut peaks = Peaks::default();
        assert_eq!(peaks.known(), None);
        for minute in 0..3 * 1440 {
            let hour = f64::from(minute) / 60.0;
            let used = if minute == 100 {
                900.0
            } else if hour > 66.0 {
                500.0
            } else {
                50.0 + hour % 24.0
            };
            peaks.push(Timestamp::from_seconds(60.0 * f64::from(minute)), used);
        }
        let known = peaks.known().unwrap();
        assert!((73.0..74.0).contains(&known.level), "{known:?}");
        peaks.push(Timestamp(0), 1e9);
        peaks.push(Timestamp::from_seconds(1e6), f64::NAN);
        assert_eq!(peaks.known(), Some(known));
        // It fails: the last day and a half led to it, the days before did not.
        let fails = |day: f64| {
            let mut failed = peaks.clone();
            failed.fail(Timestamp::from_seconds(86_400.0 * day));
            failed.push(Timestamp::from_seconds(86_400.0 * (day + 0.5)), 1.0);
            failed.known()
        };
        let before = fails(3.0).unwrap();
        assert!((73.0..74.0).contains(&before.level), "{before:?}");
        assert_eq!(fails(1.0), None);
    }

    #[test]
    fn what_rises_every_day_may_rise_by_as_much_again_and_what_returns_may_not() {
        let known = |daily: f64, days: i32| {
            let mut peaks = Peaks::default();
            for minute in 0..days * 1440 {
                let hour = f64::from(minute) / 60.0;
                peaks.push(
                    Timestamp::from_seconds(3600.0 * hour),
                    100.0 + hour % 24.0 + daily * (hour / 24.0).floor(),
                );
            }
            peaks.known().unwrap()
        };
        let (steady, rising, young) = (known(0.0, 6), known(10.0, 6), known(10.0, 2));
        assert_eq!((steady.rise, steady.days), (0.0, 5));
        assert!((9.0..=21.0).contains(&rising.rise), "{rising:?}");
        assert_eq!((young.rise, young.days), (0.0, 1));
        let doubled = rising.map(|level| 2.0 * level);
        assert_eq!((doubled.level, doubled.rise), (2.0 * rising.level, 2.0 * rising.rise));
    }
}
