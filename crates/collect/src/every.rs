//! Something that is due again and again, on a wall clock that may jump.

use foretwin_core::Timestamp;

/// Due at first, and then once per interval.
#[derive(Debug)]
pub(crate) struct Every {
    interval_us: i64,
    due: Option<Timestamp>,
}

impl Every {
    /// An interval in milliseconds; below one it is one.
    pub fn ms(interval_ms: u64) -> Self {
        let interval_us = i64::try_from(interval_ms.max(1)).unwrap_or(i64::MAX / 1000).saturating_mul(1000);
        Self { interval_us, due: None }
    }

    /// Whether it is due, which starts the next interval. A question a little early counts, since one that comes
    /// at the same interval with some jitter would miss every second time. A clock set back does not silence it.
    pub fn is_due(&mut self, at: Timestamp) -> bool {
        let slack = self.interval_us / 20;
        match self.due {
            Some(due) if at + slack < due && due <= at + self.interval_us + slack => return false,
            // On the grid of the first time, so that small delays do not add up.
            Some(due) if at + slack >= due && at < due + self.interval_us => {
                self.due = Some(due + self.interval_us);
            }
            _ => self.due = Some(at + self.interval_us),
        }
        true
    }

    /// Due at the next question.
    pub fn hasten(&mut self) {
        self.due = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn due_once_per_interval_on_any_clock() {
        let mut every = Every::ms(1000);
        let at = |ms: i64| Timestamp(ms * 1000);
        let asked = [
            (0, true),
            (940, false),
            (960, true),
            (1500, false),
            (2010, true),
            (2980, true),
            (9000, true),
            (100, true),
            (200, false),
        ];
        for (ms, due) in asked {
            assert_eq!(every.is_due(at(ms)), due, "at {ms} ms");
        }
        every.hasten();
        assert!(every.is_due(at(201)));
    }
}
