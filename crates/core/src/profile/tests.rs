//! Whether generated demand resembles an original that no profile made: distributions, autocorrelation, correlation.

use std::sync::Arc;

use super::*;
use crate::rng::Rng;
use crate::time::{MINUTE_US, SECOND_US};

/// A service as it might be recorded, a row a minute: requests follow the day, burst and drift; CPU follows requests;
/// memory wanders slowly; writes come in rare flushes.
fn recorded(days: i64, seed: u64) -> Vec<(Timestamp, Demand)> {
    let mut rng = Rng::new(seed);
    let (mut slow, mut quick, mut memory, mut bursting) = (0.0f64, 0.0f64, 0.0f64, false);
    let rows = (0..days * 1440).map(|minute| {
        let hour = (minute % 1440) as f64 / 60.0;
        slow = 0.99 * slow + 0.14 * rng.normal();
        quick = 0.6 * quick + 0.8 * rng.normal();
        memory = 0.998 * memory + 0.06 * rng.normal();
        bursting = if bursting { rng.uniform() < 0.8 } else { rng.uniform() < 0.02 };
        let day = 1.2 - (hour / 24.0 * std::f64::consts::TAU).cos();
        let burst = if bursting { 2.5 } else { 1.0 };
        let requests = 50.0 * day * burst * (0.25 * slow + 0.1 * quick).exp();
        let flush = if rng.uniform() < 0.1 { 1e6 * (0.5 * rng.normal()).exp() } else { 0.0 };
        let demand = Demand::UNKNOWN
            .with(Dimension::Requests, requests)
            .with(Dimension::Cpu, requests * 0.002 * (1.0 + 0.1 * rng.normal()).max(0.1))
            .with(Dimension::WorkingSet, 3e8 + 5e7 * memory)
            .with(Dimension::WriteBytes, flush);
        (Timestamp(minute * MINUTE_US), demand)
    });
    rows.collect()
}

type Rows = [(Timestamp, Demand)];

fn series(rows: &[(Timestamp, Demand)], dimension: Dimension) -> Vec<f64> {
    rows.iter().map(|(_, demand)| demand.get(dimension)).collect()
}

/// Largest distance between the distributions (Kolmogorov and Smirnov).
fn distance(a: &[f64], b: &[f64]) -> f64 {
    let sorted = |values: &[f64]| {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        values
    };
    let (a, b) = (sorted(a), sorted(b));
    let share =
        |values: &[f64], x: f64| values.partition_point(|value| *value <= x) as f64 / values.len() as f64;
    a.iter().chain(&b).map(|x| (share(&a, *x) - share(&b, *x)).abs()).fold(0.0, f64::max)
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (ma, mb) = (mean(a), mean(b));
    let sum = |f: &dyn Fn(f64, f64) -> f64| a.iter().zip(b).map(|(x, y)| f(x - ma, y - mb)).sum::<f64>();
    sum(&|x, y| x * y) / (sum(&|x, _| x * x) * sum(&|_, y| y * y)).sqrt()
}

fn autocorrelation(values: &[f64], lag: usize) -> f64 {
    correlation(&values[..values.len() - lag], &values[lag..])
}

const KNOWN: [Dimension; 4] =
    [Dimension::Cpu, Dimension::WorkingSet, Dimension::WriteBytes, Dimension::Requests];

#[test]
fn generated_demand_resembles_the_original() {
    let rows = recorded(21, 5);
    let profile = Profile::fit(&rows, 3).unwrap();
    assert_eq!((profile.cycle, profile.version, profile.rows), (Cycle::Week, 3, 21 * 1440));
    assert_eq!(profile.fault(), None);
    let profile = Arc::new(profile);
    // Several twins: one path of a slow wandering says little of where it goes in the long run.
    let twins: Vec<Vec<(Timestamp, Demand)>> = (0..6)
        .map(|seed| {
            let mut generator = Generator::new(Arc::clone(&profile), seed);
            rows.iter().map(|(at, _)| (*at, generator.next(*at))).collect()
        })
        .collect();
    let mean =
        |of: &dyn Fn(&Rows) -> f64| twins.iter().map(|made| of(made)).sum::<f64>() / twins.len() as f64;
    for dimension in KNOWN {
        let original = series(&rows, dimension);
        let pooled: Vec<f64> = twins.iter().flat_map(|made| series(made, dimension)).collect();
        let apart = distance(&original, &pooled);
        assert!(apart < 0.04, "{dimension:?}: distributions {apart} apart");
        for lag in [1, 2, 5, 15, 60, 360, 720, 1440] {
            let a = autocorrelation(&original, lag);
            let b = mean(&|made| autocorrelation(&series(made, dimension), lag));
            assert!((a - b).abs() < 0.12, "{dimension:?} at lag {lag}: {a} and {b}");
        }
        for other in KNOWN {
            let of =
                |rows: &[(Timestamp, Demand)]| correlation(&series(rows, dimension), &series(rows, other));
            let (a, b) = (of(&rows), mean(&of));
            // What wanders over hours is correlated by chance with anything, in three weeks by up to 0.2.
            let chance = [dimension, other].contains(&Dimension::WorkingSet);
            let most = if chance { 0.2 } else { 0.12 };
            assert!((a - b).abs() < most, "{dimension:?} with {other:?}: {a} and {b}");
        }
    }
    let idle = mean(&|made| {
        series(made, Dimension::WriteBytes).iter().filter(|bytes| **bytes == 0.0).count() as f64
    });
    assert!((idle / rows.len() as f64 - 0.9).abs() < 0.02, "{idle}");
    assert_eq!(twins[0][0].1.get(Dimension::Syncs), 0.0);
}

/// The test above can fail: noise with the right distribution and no memory is told apart.
#[test]
fn shuffled_demand_does_not_resemble_the_original() {
    let rows = recorded(21, 5);
    let mut shuffled = series(&rows, Dimension::Requests);
    let mut rng = Rng::new(2);
    for at in (1..shuffled.len()).rev() {
        shuffled.swap(at, rng.below(at as u64 + 1) as usize);
    }
    assert!(
        (autocorrelation(&series(&rows, Dimension::Requests), 1) - autocorrelation(&shuffled, 1)).abs() > 0.3
    );
    let other = Demand::NONE;
    let flat: Vec<(Timestamp, Demand)> = rows.iter().map(|(at, _)| (*at, other)).collect();
    assert!(distance(&series(&rows, Dimension::Cpu), &series(&flat, Dimension::Cpu)) > 0.9);
}

#[test]
fn the_day_is_kept_and_speed_changes_only_the_clock() {
    let profile = Arc::new(Profile::fit(&recorded(5, 1), 1).unwrap());
    assert_eq!(profile.cycle, Cycle::Day);
    let mean = |hour: i64, step_us: i64| {
        let mut generator = Generator::new(Arc::clone(&profile), 4);
        let start = Timestamp(20_000 * DAY_US + hour * HOUR_US);
        let demands = (0..60 * MINUTE_US / step_us).map(|n| generator.next(start + n * step_us));
        let requests: Vec<f64> = demands.map(|demand| demand.get(Dimension::Requests)).collect();
        requests.iter().sum::<f64>() / requests.len() as f64
    };
    assert!(mean(12, MINUTE_US) > 3.0 * mean(0, MINUTE_US));
    let (fine, coarse) = (mean(12, SECOND_US), mean(12, 5 * MINUTE_US));
    assert!((0.4..2.5).contains(&(fine / coarse)), "{fine} and {coarse}");
}

#[test]
fn the_same_seed_gives_the_same_demand() {
    let profile = Arc::new(Profile::fit(&recorded(1, 1), 1).unwrap());
    let make = |seed| {
        let mut generator = Generator::new(Arc::clone(&profile), seed);
        (0..50).map(|n| generator.next(Timestamp(n * SECOND_US)).0).collect::<Vec<_>>()
    };
    assert_eq!(make(3), make(3));
    assert_ne!(make(3), make(4));
}

#[test]
fn little_or_odd_history_gives_no_profile_or_a_plain_one() {
    let row = |n: i64, value: f64| (Timestamp(n * SECOND_US), Demand::UNKNOWN.with(Dimension::Cpu, value));
    assert!(Profile::fit(&[], 1).is_none());
    assert!(Profile::fit(&(0..15).map(|n| row(n, 1.0)).collect::<Vec<_>>(), 1).is_none());
    assert!(Profile::fit(&(0..50).map(|n| row(n, f64::NAN)).collect::<Vec<_>>(), 1).is_none());
    assert!(Profile::fit(&(0..50).map(|_| row(7, 1.0)).collect::<Vec<_>>(), 1).is_none());
    let constant = Profile::fit(&(0..50).map(|n| row(n * n, 0.25)).collect::<Vec<_>>(), 1).unwrap();
    assert_eq!(constant.fault(), None);
    let mut generator = Generator::new(Arc::new(constant), 1);
    assert_eq!(generator.next(Timestamp(5)).get(Dimension::Cpu), 0.25);
    let bad =
        Profile::fit(&(0..50).map(|n| row(n, f64::from(n as i32) - 25.0)).collect::<Vec<_>>(), 1).unwrap();
    assert_eq!(bad.fault(), None, "below zero is zero");
}

#[test]
fn weeks_begin_on_monday() {
    // 2024-01-01 was a Monday.
    let monday = Timestamp::from_seconds(1_704_067_200.0);
    assert_eq!(into_week_us(monday), 0);
    assert_eq!(Cycle::Week.place(monday + 25 * HOUR_US), 25.0);
    assert_eq!(Cycle::Day.place(monday + 25 * HOUR_US), 1.0);
    assert_eq!(Cycle::Flat.place(monday), 0.0);
}
