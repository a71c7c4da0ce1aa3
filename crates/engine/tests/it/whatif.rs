//! What-if over a node: a leak that follows nothing, and several scenarios side by side.

use foretwin_core::{Benefit, Change, Failure, FailureMode, InstanceId, Origin, Scenario, Timestamp};

use crate::world::{quiet, recording, records, until};

#[test]
fn scenarios_stand_side_by_side() {
    let dir = tempfile::tempdir().unwrap();
    let node = quiet(dir.path());
    let handle = node.handle();
    let used = (0..900).map(|second| 50.0 + f64::from(second) + f64::from(second * 7 % 5));
    let window = recording("a", used);
    handle.ingest(records(&window, Origin { source: 1, epoch: 1, sequence: 1 })).unwrap();
    let id = InstanceId::new("a");
    let last = *window.times.last().unwrap();
    until("all is read", || handle.instance(&id).is_ok_and(|view| view.last_seen_us == last));
    let scenarios = [
        Scenario { memory: Some(Change::Times(1.5)), ..Scenario::default() },
        Scenario { fix: true, ..Scenario::default() },
        Scenario { restart: true, ..Scenario::default() },
    ];
    let answer = handle.what_if(&id, 3600.0, &scenarios).unwrap();
    let verdicts: Vec<_> = answer.effects.iter().map(|effect| effect.verdict).collect();
    assert_eq!(verdicts, [Benefit::DelaysDoesNotCure, Benefit::Cures, Benefit::DelaysDoesNotCure]);
    let delay = answer.effects[0].delay_s.unwrap();
    assert!((delay.value / 500.0 - 1.0).abs() < 0.1, "{delay:?}");
    assert!(answer.abstains.is_none());
    // What a what-if says is what the recommended actions promise.
    let prediction = handle.predict(&id, 3600.0).unwrap();
    let promised =
        prediction.recommended_actions.iter().filter(|one| one.expected_effect.contains("does not cure"));
    assert!(promised.count() >= 1, "{:?}", prediction.recommended_actions);
    assert!(handle.what_if(&InstanceId::new("nobody"), 3600.0, &scenarios).is_err());
    node.stop().unwrap();
}

/// A leak at every age: what is asked of it begins with what is said of it, at the asked horizon and at the others.
#[test]
fn a_prediction_and_a_what_if_of_one_leak_agree() {
    let dir = tempfile::tempdir().unwrap();
    let node = quiet(dir.path());
    let handle = node.handle();
    let mut certain = (0, 0);
    for age in [20u32, 36, 70, 150, 400] {
        let name = format!("leak-{age}");
        let calm = (0..200).map(|second| 50.0 + f64::from(second * 7 % 5));
        let rises = (0..age).map(|second| 50.0 + 2.0 * f64::from(second) + f64::from(second * 7 % 5));
        let window = recording(&name, calm.chain(rises));
        handle.ingest(records(&window, Origin { source: u64::from(age), epoch: 1, sequence: 1 })).unwrap();
        let (id, last) = (InstanceId::new(&name), *window.times.last().unwrap());
        until("all is read", || handle.instance(&id).is_ok_and(|view| view.last_seen_us == last));
        for horizon_s in [60.0, 900.0, 5000.0] {
            let said = handle.predict(&id, horizon_s).unwrap();
            let restart = Scenario { restart: true, ..Scenario::default() };
            let answer = handle.what_if(&id, horizon_s, &[restart]).unwrap();
            let before = &answer.effects[0].before;
            let near = |a: f64, b: f64| (a - b).abs() < 0.003;
            assert!(near(before.probability, said.failure_probability), "{name}: {before:?} {said:?}");
            for one in &said.probabilities {
                let replayed = before.within.iter().find(|(at, _)| *at == one.horizon_s).unwrap().1;
                assert!(near(replayed, one.probability), "{name} at {}: {before:?} {said:?}", one.horizon_s);
            }
            // What the recommended actions promise begins there, too.
            let percent = format!("{:.0} %", 100.0 * before.probability);
            let promised = said.recommended_actions.iter().map(|action| action.expected_effect.as_str());
            let mut falls = promised.filter(|effect| effect.contains("falls from"));
            assert!(falls.all(|effect| effect.contains(&percent)), "{name}: {percent} {said:?}");
            certain.0 += usize::from(said.failure_probability > 0.9);
            certain.1 += usize::from((0.05..0.6).contains(&said.failure_probability));
        }
    }
    assert!(certain.0 > 0 && certain.1 > 0, "sure and unsure ones were asked: {certain:?}");
    node.stop().unwrap();
}

#[test]
fn what_was_said_meets_what_came() {
    let dir = tempfile::tempdir().unwrap();
    let node = quiet(dir.path());
    let handle = node.handle();
    let used = (0..940).map(|second| 50.0 + f64::from(second));
    let window = recording("a", used);
    handle.ingest(records(&window, Origin { source: 1, epoch: 1, sequence: 1 })).unwrap();
    let id = InstanceId::new("a");
    let last = *window.times.last().unwrap();
    until("all is read", || handle.instance(&id).is_ok_and(|view| view.last_seen_us == last));
    let failure = Failure {
        instance: id.clone(),
        at: last + 10_000_000,
        mode: FailureMode::MemoryExhaustion,
        note: String::new(),
    };
    handle.record_failure(failure).unwrap();
    let found = || handle.reliability(Some(&id), Timestamp::from_seconds(1_699_999_000.0)).unwrap();
    until("the failure is known", || found()[1].came > 0);
    let hour = &found()[1];
    // Every statement had the failure within the hour; those of the last minutes said so.
    assert_eq!((hour.horizon_s, hour.statements), (3600.0, hour.came));
    assert!(hour.bins[9].statements > 0 && hour.bins[9].came == 1.0, "{hour:?}");
    node.stop().unwrap();
}
