//! When a source is due: absolute deadlines on the monotonic clock, without bursts to catch up.

/// Nanoseconds in a microsecond.
const US: u64 = 1_000;
/// Intervals from here on keep to the grid of the wall clock, so that the series of a fleet line up.
const GRID_FROM_US: u64 = 1_000_000;

/// Both clocks at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    /// Monotonic clock, nanoseconds.
    pub(crate) monotonic_ns: u64,
    /// Wall clock, microseconds since the epoch.
    pub(crate) wall_us: i64,
}

/// The rhythm of one source.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    interval_us: u64,
    /// Distance from the wall clock's grid, less than an interval.
    phase_us: u64,
    due_ns: u64,
}

/// What a tick that begins now means for the rhythm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tick {
    /// How long after its deadline it begins.
    pub(crate) delay_ns: u64,
    /// Deadlines that passed without a tick and will not be made up for.
    pub(crate) missed: u64,
}

impl Pace {
    /// A rhythm that begins at the next deadline after now.
    pub(crate) fn new(interval_us: u64, phase_us: u64, now: Now) -> Self {
        let mut pace = Self { interval_us, phase_us: phase_us % interval_us, due_ns: 0 };
        pace.due_ns = now.monotonic_ns + pace.until_grid_us(now.wall_us, 0) * US;
        pace
    }

    /// The next deadline on the monotonic clock.
    pub(crate) fn due_ns(&self) -> u64 {
        self.due_ns
    }

    /// The interval in nanoseconds.
    pub(crate) fn interval_ns(&self) -> u64 {
        self.interval_us * US
    }

    /// Begins the tick that is due, and sets the next deadline, which lies ahead of now.
    pub(crate) fn begin(&mut self, now: Now) -> Tick {
        let (before, interval) = (self.due_ns, self.interval_ns());
        let delay_ns = now.monotonic_ns.saturating_sub(before);
        self.due_ns = if self.interval_us >= GRID_FROM_US {
            // From the wall clock each time, so that a clock set anew takes the grid along. A tick in the last quarter
            // of an interval takes the place of the next one, which would follow on its heels.
            now.monotonic_ns + self.until_grid_us(now.wall_us, self.interval_us / 4) * US
        } else {
            before + (delay_ns / interval + 1) * interval
        };
        // Rounded, since a clock set anew may stretch or shrink one interval by up to one half.
        let steps = (self.due_ns.saturating_sub(before) + interval / 2) / interval;
        Tick { delay_ns, missed: steps.saturating_sub(1) }
    }

    /// Microseconds until the next point of the grid that is more than `guard_us` away.
    fn until_grid_us(&self, wall_us: i64, guard_us: u64) -> u64 {
        let interval = self.interval_us.cast_signed();
        let past = (wall_us + guard_us.cast_signed() - self.phase_us.cast_signed()).rem_euclid(interval);
        guard_us + (interval - past).cast_unsigned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    /// A wall clock that stands `wall_us` ahead of the monotonic one.
    fn at(monotonic_us: u64, wall_us: i64) -> Now {
        Now { monotonic_ns: monotonic_us * US, wall_us: monotonic_us.cast_signed() + wall_us }
    }

    #[test]
    fn whole_seconds_keep_to_the_grid_of_the_wall_clock() {
        let mut pace = Pace::new(SECOND, 7_000, at(100, 300_000));
        assert_eq!(pace.due_ns(), 707_000 * US);
        for n in 1..5u64 {
            let tick = pace.begin(at(707_000 + (n - 1) * SECOND + 40, 300_000));
            assert_eq!(tick, Tick { delay_ns: 40 * US, missed: 0 });
            assert_eq!(pace.due_ns(), (707_000 + n * SECOND) * US);
        }
    }

    #[test]
    fn high_rates_keep_their_own_rhythm() {
        let mut pace = Pace::new(10_000, 0, at(0, 0));
        assert_eq!(pace.due_ns(), 10_000 * US);
        assert_eq!(pace.begin(at(10_050, 0)), Tick { delay_ns: 50 * US, missed: 0 });
        assert_eq!(pace.due_ns(), 20_000 * US);
    }

    #[test]
    fn skipped_ticks_are_counted_and_not_made_up_for() {
        let mut fast = Pace::new(10_000, 0, at(0, 0));
        assert_eq!(fast.begin(at(45_000, 0)), Tick { delay_ns: 35_000 * US, missed: 3 });
        assert_eq!(fast.due_ns(), 50_000 * US);
        let mut slow = Pace::new(SECOND, 0, at(0, 0));
        assert_eq!(slow.begin(at(4_200_000, 0)).missed, 3);
        assert_eq!(slow.due_ns(), 5 * SECOND * US);
    }

    #[test]
    fn a_very_late_tick_takes_the_place_of_the_next() {
        let mut pace = Pace::new(SECOND, 0, at(0, 0));
        assert_eq!(pace.begin(at(1_900_000, 0)).missed, 1);
        assert_eq!(pace.due_ns(), 3 * SECOND * US);
    }

    #[test]
    fn a_wall_clock_set_anew_moves_the_grid_and_misses_nothing() {
        for jump in [-3_600_000_300_000, -400_000, 400_000, 86_400_000_100_000] {
            let mut pace = Pace::new(SECOND, 0, at(0, 0));
            let tick = pace.begin(at(SECOND, jump));
            assert_eq!(tick.missed, 0, "{jump}");
            let wall = (pace.due_ns() / US).cast_signed() + jump;
            assert_eq!(wall.rem_euclid(1_000_000), 0, "{jump}: on the new grid");
            let ahead = pace.due_ns() / US - SECOND;
            assert!((250_000..=1_250_000).contains(&ahead), "{jump}: {ahead}");
        }
    }

    /// Rounding can wake the loop a hair before the grid point of a slewed wall clock.
    #[test]
    fn waking_early_does_not_tick_twice() {
        let mut pace = Pace::new(SECOND, 0, at(0, 0));
        assert_eq!(pace.begin(at(SECOND, -20)).missed, 0);
        assert_eq!(pace.due_ns(), (2 * SECOND + 20) * US);
    }
}
