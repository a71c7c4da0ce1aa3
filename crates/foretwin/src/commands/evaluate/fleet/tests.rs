//! A small fleet lives through a few bad days: failures are said in time, with their cause, and little else is.

use foretwin_foresee::Config;

use super::judge::{Verdict, judge};
use super::run;
use super::world::{DAY, FaultKind, Plan, World};

/// Misfortune is this many times what it is in the large fleet, so that few days have enough of it.
const BAD_LUCK: f64 = 9.0;

#[test]
fn failures_are_said_in_time_with_their_cause_and_little_else_is() {
    let plan = Plan { instances: 20, days: 5, seed: 4, misfortune: BAD_LUCK };
    let course = run::run(plan, 3, &Config::default(), |_| {});
    let judgement = judge(&course);
    // Of ten failures seven are said five minutes ahead, by 8 right alerts among 19, none of them false.
    let (recall, known) = judgement.recall(0);
    assert!(known >= 6 && recall >= 0.4, "{recall} of {known} were said five minutes ahead");
    let right = judgement.count(|one| matches!(one, Verdict::Right(_)));
    let wrong = judgement.count(|one| one == Verdict::False);
    assert!(right >= 4 && wrong <= 2, "{right} right, {wrong} false");
    assert!(course.alerts.len() <= 40, "{} alerts", course.alerts.len());
    let (named, all) = judgement.classes();
    assert!(4 * named >= 3 * all, "{named} of {all} causes");
}

#[test]
fn ordinary_life_ends_nothing_but_by_surges_and_the_same_seed_is_the_same_world() {
    let live = |seed| {
        let mut world = World::new(Plan { instances: 40, days: 4, seed, misfortune: 0.0 });
        let (mut arrived, mut sum, mut gaps) = (Vec::new(), 0.0, 0);
        for minute in 0..4 * DAY {
            world.step(minute, &mut arrived);
            sum += arrived.iter().flatten().map(|one| one.used[0] + one.used[3]).sum::<f64>();
            gaps += arrived.iter().filter(|one| one.is_none()).count();
        }
        assert!(world.endings.iter().all(|one| one.kind == FaultKind::Surge), "{:?}", world.endings);
        // A surge ends several at once, and comes at most once a day.
        let minutes: Vec<_> = world.endings.iter().map(|one| one.minute).collect();
        let surges = minutes.iter().zip(minutes.iter().skip(1)).filter(|(a, b)| **b > **a + 60).count();
        assert!(minutes.is_sorted() && surges < 4, "{:?}", world.endings);
        assert!(gaps > 50, "telemetry has gaps");
        sum
    };
    assert_eq!(live(3).to_bits(), live(3).to_bits());
    assert_ne!(live(3).to_bits(), live(4).to_bits());
}
