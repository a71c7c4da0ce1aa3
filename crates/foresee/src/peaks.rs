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

fn slot(at: Timestamp) -> i64 {
    at.0.div_euclid(SLOT_HOURS * HOUR_US)
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

    /// The highest peak before the present slots, if a day of them is known.
    #[must_use]
    pub fn known(&self) -> Option<f64> {
        let (now, _) = *self.slots.back()?;
        let before = self.slots.iter().filter(|(slot, _)| *slot < now - PRESENT);
        let enough = before.clone().count() as i64 >= 24 / SLOT_HOURS;
        enough.then(|| before.map(|(_, peak)| *peak).fold(f64::MIN, f64::max))
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
        assert!((73.0..74.0).contains(&known), "{known}");
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
        assert!((73.0..74.0).contains(&before), "{before}");
        assert_eq!(fails(1.0), None);
    }
}
