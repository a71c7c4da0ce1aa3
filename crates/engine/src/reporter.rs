//! Reports of the node's own machine on a schedule, so that there is one of before something went wrong.

use std::time::Duration;

use foretwin_core::{SECOND_US, Timestamp};

use crate::Error;
use crate::error::Chain;
use crate::handle::{Handle, wall_clock};
use crate::node::guarded;
use crate::threads::{Threads, lower_priority, pause};

const LOOK: Duration = Duration::from_secs(1);
/// The first report comes so long after a start, when there is telemetry to sum up.
const FIRST_US: i64 = 600 * SECOND_US;

/// Starts the thread that makes them, where the node watches a machine and reports are wanted unasked.
pub(crate) fn start(threads: &mut Threads, handle: Handle) -> Result<(), Error> {
    let every_s = handle.pipeline.config.reports.every_s;
    if every_s == 0 || !handle.collects {
        return Ok(());
    }
    let stop = threads.stop.clone();
    let mut schedule = Schedule::new(wall_clock(), every_s);
    threads.start("reporter", move || {
        lower_priority();
        while pause(&stop, LOOK) {
            if schedule.is_due(wall_clock()) {
                guarded(&handle.pipeline, "making a report", || match handle.make_report() {
                    Ok(report) => tracing::info!("report {}: {} known issues", report.id, report.flags.len()),
                    Err(error) => tracing::warn!("no report is made: {}", Chain(&error)),
                });
            }
        }
    })
}

/// When the next is due.
#[derive(Debug)]
struct Schedule {
    next: Timestamp,
    every_us: i64,
}

impl Schedule {
    fn new(started: Timestamp, every_s: u64) -> Self {
        let every_us = i64::try_from(every_s).unwrap_or(i64::MAX).saturating_mul(SECOND_US);
        Self { next: started + FIRST_US.min(every_us), every_us }
    }

    /// Whether one is due; then the next is due later. What was slept through is not made up for, and a clock that was set
    /// back does not end the reports.
    fn is_due(&mut self, now: Timestamp) -> bool {
        let set_back = self.next.0.saturating_sub(now.0) > self.every_us.max(FIRST_US);
        if now < self.next && !set_back {
            return false;
        }
        self.next = Timestamp(now.0.saturating_add(self.every_us));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(every_s: u64, seconds: &[i64]) -> Vec<bool> {
        let at = |second: i64| Timestamp::from_seconds(1e6 + second as f64);
        let mut schedule = Schedule::new(at(0), every_s);
        seconds.iter().map(|&second| schedule.is_due(at(second))).collect()
    }

    #[test]
    fn the_first_comes_soon_and_the_others_at_their_interval() {
        assert_eq!(due(3600, &[0, 599, 600, 601, 4199, 4200]), [false, false, true, false, false, true]);
        assert_eq!(due(60, &[59, 60, 61, 120]), [false, true, false, true]);
    }

    #[test]
    fn a_sleep_is_not_made_up_for_and_a_clock_set_back_does_not_stop_it() {
        assert_eq!(due(60, &[60, 1000, 1001, 1060]), [true, true, false, true]);
        assert_eq!(due(3600, &[600, -9000, -8999, -5400]), [true, true, false, true]);
        assert_eq!(due(u64::MAX, &[600, 1200, 100_000_000]), [true, false, false]);
    }
}
