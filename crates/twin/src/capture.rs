//! Captures the operational profile of instances from their stored telemetry, continuously: a new version whenever
//! there is something new to say, none while nothing has changed.

mod rows;
mod shelf;

use foretwin_core::{HOUR_US, InstanceId, MINUTE_US, Profile, Timestamp, Window};

use crate::Error;

pub use rows::rows;
pub use shelf::Shelf;

/// When profiles are made anew, and of what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// Time between two rows of demand: short enough for transitions, long enough that a week is ten thousand rows.
    pub step_us: i64,
    /// A profile is made anew after so much time, or when its history has doubled.
    pub interval_us: i64,
}

impl Default for Schedule {
    fn default() -> Self {
        Self { step_us: MINUTE_US, interval_us: 6 * HOUR_US }
    }
}

impl Schedule {
    /// Whether a profile is to be made at `now` from a history that begins at `first`.
    #[must_use]
    pub fn is_due(&self, last: Option<&Profile>, first: Timestamp, now: Timestamp) -> bool {
        let history_us = now.0.saturating_sub(first.0);
        let Some(last) = last else { return history_us >= LEAST_ROWS * self.step_us };
        let known_us = (last.rows as f64 * f64::from(last.step_s) * 1e6) as i64;
        now.0.saturating_sub(last.made.0) >= self.interval_us || history_us >= 2 * known_us.max(self.step_us)
    }

    /// Makes a profile of what is stored of an instance and puts it on the shelf, as the next version if it says
    /// anything new. None where there is too little to say.
    ///
    /// # Errors
    /// If the shelf cannot be read or written.
    pub fn capture(&self, shelf: &Shelf, telemetry: &Telemetry<'_>) -> Result<Option<Profile>, Error> {
        let rows = rows(telemetry.windows, self.step_us, telemetry.requests);
        match Profile::fit(&rows, 0) {
            Some(profile) => shelf.put(telemetry.instance, profile).map(Some),
            None => Ok(None),
        }
    }
}

/// What is stored of an instance.
#[derive(Debug, Clone, Copy)]
pub struct Telemetry<'a> {
    /// Whose.
    pub instance: &'a InstanceId,
    /// Its windows, of whatever schemas.
    pub windows: &'a [&'a Window],
    /// Name of the application's own histogram of request durations in seconds, where it has one.
    pub requests: Option<&'a str>,
}

/// Fewest rows of a first profile.
const LEAST_ROWS: i64 = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use foretwin_core::{Dimension, Metric, Role, SECOND_US, Schema, Value};

    fn window(hours: i64) -> Window {
        let schema = Schema::new(vec![Metric::counter("container.cpu.busy", "us", Role::Utilization)]);
        let mut window = Window::new(InstanceId::new("h/a"), schema);
        let mut busy = 0;
        for tick in 0..hours * 360 {
            busy += if tick / 90 % 2 == 0 { 1_000_000 } else { 3_000_000 };
            window.push(Timestamp(tick * 10 * SECOND_US), &[Value::unsigned(busy)]);
        }
        window
    }

    #[test]
    fn profiles_come_from_telemetry_and_only_when_they_are_new() {
        let dir = tempfile::tempdir().unwrap();
        let (shelf, schedule, instance) =
            (Shelf::new(dir.path()), Schedule::default(), InstanceId::new("h/a"));
        let capture = |hours| {
            let window = window(hours);
            let telemetry = Telemetry { instance: &instance, windows: &[&window], requests: None };
            schedule.capture(&shelf, &telemetry).unwrap()
        };
        assert!(capture(0).is_none());
        let first = capture(3).unwrap();
        let quantiles = first.track(Dimension::Cpu).unwrap().quantiles[0];
        assert!((quantiles[1] - 0.1).abs() < 0.02 && (quantiles[7] - 0.3).abs() < 0.02, "{quantiles:?}");
        assert_eq!((first.version, capture(3).unwrap().version, capture(7).unwrap().version), (1, 1, 2));
    }

    #[test]
    fn profiles_are_made_anew_after_a_while_or_when_history_has_doubled() {
        let (schedule, start) = (Schedule::default(), Timestamp(0));
        let at = |minutes: i64| Timestamp(minutes * MINUTE_US);
        assert!(!schedule.is_due(None, start, at(19)) && schedule.is_due(None, start, at(20)));
        let last = Profile { step_s: 60.0, rows: 20, made: at(20), ..Profile::default() };
        assert!(!schedule.is_due(Some(&last), start, at(39)) && schedule.is_due(Some(&last), start, at(40)));
        let old = Profile { rows: 10_000, made: at(10_000), ..last };
        assert!(
            !schedule.is_due(Some(&old), start, at(10_359)) && schedule.is_due(Some(&old), start, at(10_360))
        );
    }
}
