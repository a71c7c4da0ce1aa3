//! Gaps, late frames, clocks set back, resets and missing samples.

use foretwin_core::MISSING;
use foretwin_learn::Taken;

use crate::simulated::{Live, Server, at, learn};

#[test]
fn a_gap_resets_the_past_without_a_jump() {
    let mut server = Server::new(1);
    let model = learn(&server.window(3000), false);
    let mut live = Live::new(&model);
    live.run(&mut server, 100);
    server.second += 600.0;
    let first = live.take(server.next(0.0));
    assert_eq!(first.taken, Taken::Warming);
    assert!(first.expectations[0].mean.is_nan(), "nothing is expected right after a gap");
    assert!(live.run(&mut server, 100) < 1.0);
    assert_eq!(live.out.taken, Taken::Judged);
}

#[test]
fn late_frames_are_ignored_and_a_clock_set_back_is_followed() {
    let mut server = Server::new(2);
    let model = learn(&server.window(3000), false);
    let mut live = Live::new(&model);
    live.run(&mut server, 100);
    let (score, now) = (live.out.score, server.second);
    let (_, frame) = server.next(5.0);
    let late = live.take((at(now - 3.0), frame));
    assert_eq!((late.taken, late.score), (Taken::Ignored, score));
    server.second = now - 5000.0;
    assert!(live.run(&mut server, 60) < 1.0);
    assert_eq!(live.out.taken, Taken::Judged, "the new time is accepted in the end");
}

#[test]
fn a_counter_reset_is_no_surprise() {
    let mut server = Server::new(3);
    let model = learn(&server.window(3000), false);
    let mut live = Live::new(&model);
    live.run(&mut server, 50);
    let mut largest = 0.0f64;
    for n in 0..50 {
        if n == 25 {
            server.requests = 3;
        }
        largest = largest.max(live.take(server.next(0.0)).score);
    }
    assert!(largest < 1.0, "{largest}");
}

#[test]
fn missing_and_nan_samples_are_no_surprise_and_leave_finite_scores() {
    let mut server = Server::new(4);
    let model = learn(&server.window(3000), false);
    let mut live = Live::new(&model);
    live.run(&mut server, 50);
    for n in 0..200 {
        let (at, mut frame) = server.next(0.0);
        if n % 3 != 0 {
            frame[n % 5] = MISSING;
            frame[0] = foretwin_core::Value(f64::NAN.to_bits());
        }
        let out = live.take((at, frame));
        assert!(out.score.is_finite() && out.score < 1.0, "{n}: {}", out.score);
    }
    let (now, _) = server.next(0.0);
    live.model.step(&mut live.state, now, &[], &mut live.out);
    assert!(live.out.score.is_finite(), "even an empty frame");
}

#[test]
fn a_metric_that_goes_away_takes_its_alarm_with_it() {
    let mut server = Server::new(5);
    let model = learn(&server.window(3000), false);
    let mut live = Live::new(&model);
    live.run(&mut server, 100);
    for _ in 0..3 {
        live.take(server.next(1.0));
    }
    assert!(live.out.score > 1.0, "it was alarming: {}", live.out.score);
    for _ in 0..120 {
        let (at, mut frame) = server.next(0.0);
        frame[0] = MISSING;
        live.take((at, frame));
    }
    assert!(live.out.score < 1.0, "{}", live.out.score);
}
