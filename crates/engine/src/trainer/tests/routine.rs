//! A job by the clock, lived through: mornings that alarm until they are known, and the same at an odd hour.

use super::*;

const DAY_S: i64 = 86_400;

/// A machine whose load has memory, and jobs at moments of its own.
struct Machine {
    world: World,
    step_s: i64,
    load: f64,
}

impl Machine {
    fn new(dir: &Path, step_s: i64, config: &Config) -> Self {
        let gauge = |name: &str| Metric::gauge(name, "1", Role::Utilization).stored(Storage::F64);
        let mut world = World::new(dir, config);
        world.schema = Schema::new(vec![gauge("cpu"), gauge("io"), gauge("queue")]);
        world.apply(&Record::Schema(world.schema.clone()));
        // From midnight on.
        world.second = 20 * DAY_S;
        Self { world, step_s, load: 0.0 }
    }

    /// Lives a day; `busy` says in which of its seconds a job runs. Gives the largest score of each ten minutes.
    fn day(&mut self, busy: impl Fn(i64) -> bool) -> Vec<f64> {
        let mut largest = vec![0.0f64; 144];
        for _ in 0..DAY_S / self.step_s {
            let second = self.world.second % DAY_S;
            let rng = &mut self.world.rng;
            self.load = 0.9 * self.load + 0.1 * rng.normal();
            let job = f64::from(u8::from(busy(second)));
            let cpu = 0.3 + 0.1 * self.load + 0.01 * rng.normal() + job * (0.5 + 0.02 * rng.normal());
            let io = 5.0 + rng.normal() + job * (60.0 + 5.0 * rng.normal());
            let queue = 1.0 + self.load + 0.1 * rng.normal();
            self.world.frame(self.world.now(), &[cpu, io, queue].map(Value::float));
            let score = self.world.pipeline.with(&self.world.id, |watched| watched.score()).unwrap();
            let place = &mut largest[(second / 600) as usize];
            *place = place.max(score.unwrap_or(0.0));
            self.world.second += self.step_s;
            if self.world.second % 60 == 0 {
                self.world.train();
            }
        }
        largest
    }
}

/// Seconds of a job of `long_s` that starts at an hour, some seconds late.
fn job(hour: i64, late_s: i64, long_s: i64) -> impl Fn(i64) -> bool {
    move |second| (0..long_s).contains(&(second - hour * 3600 - late_s))
}

/// Largest of the ten minutes from a little before an hour to well after it.
fn around(day: &[f64], hour: usize) -> f64 {
    day[6 * hour - 1..6 * hour + 6].iter().copied().fold(0.0, f64::max)
}

/// Scores above 1 in other hours than these two, in which they may linger for another two.
fn elsewhere(day: &[f64], hours: [usize; 2]) -> usize {
    let near = |n: usize| hours.iter().any(|hour| (6 * hour - 1..6 * hour + 18).contains(&n));
    day.iter().enumerate().filter(|(n, score)| !near(*n) && **score > 1.0).count()
}

#[test]
fn a_job_of_every_morning_is_known_after_three_and_the_same_at_an_odd_hour_is_not() {
    // Read whole, and thinned to a tenth by stretches that miss most mornings.
    for (step_s, long_s, most_rows) in [(60, 600, 100_000), (10, 180, 4000)] {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.learn.lstm_min_rows = usize::MAX;
        config.learn.max_rows = most_rows;
        let mut machine = Machine::new(dir.path(), step_s, &config);
        let mut alarms = 0;
        for (day, late_s) in [0, 40, 15, 75, 5, 30].into_iter().enumerate() {
            let odd = job(15, 0, long_s);
            let largest = machine.day(|second| job(6, late_s, long_s)(second) || day == 4 && odd(second));
            alarms += elsewhere(&largest, [6, 15]);
            let (six, fifteen) = (around(&largest, 6), around(&largest, 15));
            match day {
                0 => {}
                1 | 2 => assert!(six > 5.0, "morning {day} every {step_s} s: not known yet, {six}"),
                _ => assert!(six < 1.0, "morning {day} every {step_s} s: {six}"),
            }
            assert!((fifteen > 5.0) == (day == 4), "day {day} every {step_s} s, at an odd hour: {fifteen}");
        }
        assert!(alarms <= 1, "{alarms} false alarms in six days");
    }
}

#[test]
fn what_was_recorded_as_a_failure_every_morning_stays_an_incident() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.learn.lstm_min_rows = usize::MAX;
    let mut machine = Machine::new(dir.path(), 60, &config);
    for day in 0..5i64 {
        let six = around(&machine.day(job(6, 0, 600)), 6);
        assert!(day == 0 || six > 5.0, "morning {day}: {six}");
        let at = Timestamp::from_seconds(((20 + day) * DAY_S + 6 * 3600) as f64);
        let (instance, note) = (machine.world.id.clone(), "out of memory".into());
        machine.world.apply(&Record::Failure(Failure { instance, at, mode: FailureMode::Crash, note }));
    }
}
