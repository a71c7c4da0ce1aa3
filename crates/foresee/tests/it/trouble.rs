//! What goes wrong with series in the field: nonsense, gaps, changed limits, restarts, crash loops.

use foretwin_core::{FailureMode, Quantiles, Risk, Rng, Shape, Timestamp};
use foretwin_foresee::{Config, Series, risk};
use proptest::prelude::*;

fn at(seconds: f64) -> Timestamp {
    Timestamp::from_seconds(1.7e9 + seconds)
}

/// The risk of a series with one sample a second, at its last sample.
fn ask(used: &[f64], limit: f64) -> Option<Risk> {
    let times: Vec<_> = (0..used.len()).map(|i| at(i as f64)).collect();
    let now = *times.last()?;
    let series = Series { metric: "m", mode: FailureMode::MemoryExhaustion, times: &times, used, limit };
    risk(&series, now, &Config::default(), 1)
}

fn line(n: u32) -> Vec<f64> {
    let mut rng = Rng::new(3);
    (0..n).map(|t| 10.0 + f64::from(t) + 0.3 * rng.normal()).collect()
}

#[test]
fn nothing_is_said_without_limit_or_history() {
    assert!(ask(&line(7), 256.0).is_none());
    for limit in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(ask(&line(100), limit).is_none());
    }
    assert!(ask(&[f64::NAN; 100], 256.0).is_none());
}

#[test]
fn a_reached_limit_is_a_failure_now() {
    let risk = ask(&line(100), 100.0).unwrap();
    assert_eq!((risk.at(1.0), risk.never), (risk.at(900.0) / 900.0, 0.0));
    assert_eq!(risk.time_to_failure.p90, Some(0.0));
}

#[test]
fn a_lowered_limit_raises_the_risk_and_a_raised_one_lowers_it() {
    let used = line(180);
    let p = |limit: f64| ask(&used, limit).unwrap().at(3600.0);
    assert!(p(230.0) > 0.9 && p(230.0) > p(500.0) && p(500.0) > p(5000.0) && p(5000.0) < 0.01);
}

#[test]
fn missing_samples_and_gaps_do_not_hide_a_leak() {
    let mut used = line(190);
    used.iter_mut().step_by(3).for_each(|used| *used = f64::NAN);
    used[80..110].fill(f64::NAN);
    assert!(ask(&used, 256.0).unwrap().at(3600.0) > 0.85);
}

#[test]
fn a_restart_ends_the_risk_and_a_crash_loop_keeps_it() {
    let mut restarted = line(190);
    restarted.extend([10.0; 30]);
    assert!(ask(&restarted, 256.0).unwrap().at(3600.0) < 0.05);
    let mut looping = line(245);
    looping.extend(line(190));
    let looping = ask(&looping, 256.0).unwrap();
    assert!(looping.at(3600.0) > 0.85, "{looping:?}");
    let mut rotated = line(200);
    rotated.extend(line(190));
    assert!(ask(&rotated, 256.0).unwrap().at(3600.0) < 0.5);
}

#[test]
fn shapes_are_told_apart() {
    let mut rng = Rng::new(5);
    let mut shape = |used: &dyn Fn(f64) -> f64| {
        let used: Vec<_> = (0..200).map(|t| used(f64::from(t)) + 0.2 * rng.normal()).collect();
        ask(&used, 256.0).unwrap().trend.shape
    };
    assert_eq!(shape(&|_| 100.0), Shape::Flat);
    assert_eq!(shape(&|t| 10.0 + t), Shape::Linear);
    assert_eq!(shape(&|t| 10.0 + 180.0 * (t / 200.0).powi(2)), Shape::Accelerating);
    assert_eq!(shape(&|t| 10.0 + 150.0 * (1.0 - (-t / 40.0).exp())), Shape::Plateau);
    assert_eq!(shape(&|t| if t < 80.0 { 20.0 } else { 120.0 }), Shape::Step);
    assert_eq!(shape(&|t| 50.0 + t % 40.0), Shape::Sawtooth);
    assert_eq!(shape(&|t| 20.0 + 0.8 * t + t % 20.0), Shape::Sawtooth);
}

#[test]
fn equal_questions_have_equal_answers() {
    assert_eq!(ask(&line(150), 256.0), ask(&line(150), 256.0));
}

fn ordered(Quantiles { p10, p50, p90 }: Quantiles) -> bool {
    let [low, middle, high] = [p10, p50, p90].map(|quantile| quantile.unwrap_or(f64::INFINITY));
    0.0 <= low && low <= middle && middle <= high
}

proptest! {
    #[test]
    fn whatever_comes_in_probabilities_come_out(
        samples in prop::collection::vec((0i64..1 << 36, prop::num::f64::ANY), 0..200),
        sorted in any::<bool>(),
        limit in prop::num::f64::ANY,
        scale in 0u32..3,
    ) {
        let (mut times, used): (Vec<_>, Vec<_>) = samples
            .into_iter()
            .map(|(t, x)| (Timestamp(t), if scale > 0 { x % 10f64.powi(scale as i32 * 3) } else { x }))
            .unzip();
        if sorted {
            times.sort();
        }
        let now = times.last().copied().unwrap_or_default();
        let series = Series { metric: "m", mode: FailureMode::Custom, times: &times, used: &used, limit };
        if let Some(risk) = risk(&series, now, &Config::default(), 1) {
            prop_assert!(risk.within.iter().all(|&(_, p)| (0.0..=1.0).contains(&p)), "{risk:?}");
            prop_assert!(risk.within.windows(2).all(|pair| pair[0].1 <= pair[1].1 + 1e-12));
            prop_assert!((0.0..=1.0).contains(&risk.never) && (0.0..=1.0).contains(&risk.confidence));
            prop_assert!(ordered(risk.time_to_failure), "{risk:?}");
        }
    }
}
