//! The fleet's days, minute by minute: what arrives is watched, what failed is learned from, what is said is kept.

use foretwin_foresee::{Config, Experience, Outcome, Record, Situation, Statement};

use super::watch::Watch;
use super::world::{DAY, Plan, World};

/// Days between two lessons.
const LESSONS: u32 = 5;
/// Minutes between two looks at an instance, and between two statements that are kept.
const LOOK: u32 = 3;
const KEPT: u32 = 60;

/// A statement that is held against what came.
#[derive(Debug, Clone)]
pub struct Said {
    pub minute: u32,
    pub instance: usize,
    pub situation: Situation,
    pub statement: Statement,
}

/// What a simulation gave.
pub struct Course {
    pub world: World,
    pub said: Vec<Said>,
    pub reads: u64,
    pub failures_learned: usize,
}

struct Seat {
    watch: Watch,
    moments: Vec<(f64, Situation)>,
    situation: Option<Situation>,
}

/// Lives through all days; learns after `learn_days` and every few days from then on.
pub fn run(plan: Plan, learn_days: u32, config: &Config, mut day: impl FnMut(u32)) -> Course {
    let mut world = World::new(plan);
    let seat = || Seat { watch: Watch::default(), moments: Vec::new(), situation: None };
    let mut seats: Vec<Seat> = (0..plan.instances).map(|_| seat()).collect();
    let (mut records, mut said, mut arrived): (Vec<Record>, Vec<Said>, _) = (Vec::new(), Vec::new(), Vec::new());
    let mut experience: Option<Experience> = None;
    let (mut seen, mut learned) = (0, 0);
    for minute in 0..plan.days * DAY {
        world.step(minute, &mut arrived);
        for ending in &world.endings[seen..] {
            let seat = &mut seats[ending.instance];
            let identity = Some(world.instances[ending.instance].identity as u64);
            let outcome = Outcome { ended_s: 60.0 * f64::from(minute), failed: true, onset_s: None };
            records.push(Record { identity, moments: std::mem::take(&mut seat.moments), outcome });
        }
        seen = world.endings.len();
        if minute >= learn_days * DAY && minute % (LESSONS * DAY) == 0 {
            let mut all = records.clone();
            all.extend(seats.iter().enumerate().map(|(n, seat)| Record {
                identity: Some(world.instances[n].identity as u64),
                moments: seat.moments.clone(),
                outcome: Outcome { ended_s: 60.0 * f64::from(minute), failed: false, onset_s: None },
            }));
            learned = records.len();
            experience = Some(Experience::learn(&all, &config.horizons_s));
        }
        for (n, (sample, seat)) in arrived.iter().zip(&mut seats).enumerate() {
            let Some(sample) = sample else { continue };
            seat.watch.take(minute, sample);
            if (minute + n as u32) % LOOK != 0 {
                continue;
            }
            let seed = plan.seed ^ (n as u64) << 32 ^ u64::from(minute);
            let anew = seat.watch.look(minute, config, seed);
            let kept = (minute / LOOK + 7 * n as u32) % (KEPT / LOOK) == 0;
            if anew || seat.situation.is_none() {
                seat.situation = Some(seat.watch.situation(config));
            }
            if !kept || world.instances[n].suffers(minute) {
                continue;
            }
            let Some(situation) = &seat.situation else { continue };
            seat.moments.push((60.0 * f64::from(minute), situation.clone()));
            if let Some(experience) = &experience {
                let identity = Some(world.instances[n].identity as u64);
                let statement = experience.judge(situation, identity);
                said.push(Said { minute, instance: n, situation: situation.clone(), statement });
            }
        }
        if minute % DAY == DAY - 1 {
            day(minute / DAY);
        }
    }
    let reads = seats.iter().map(|seat| seat.watch.reads).sum();
    Course { world, said, reads, failures_learned: learned }
}
