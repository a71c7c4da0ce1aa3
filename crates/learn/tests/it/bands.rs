//! Bands of 90 % hold about nine of ten, whatever the series is like and however little is known of it.

use std::ops::ControlFlow;

use foretwin_core::{InstanceId, MISSING, Metric, Rng, Role, Schema, Storage, Timestamp, Value, Window};
use foretwin_learn::{Ahead, AheadConfig, Band, Member, Model};

use crate::simulated::{at, learn};

const STEPS: [usize; 3] = [1, 10, 60];
/// Rows that are learned from, and that are forecast.
const LEARNED: usize = 240;
const JUDGED: usize = 160;
/// Series of each kind: paths of few rows differ, their mean does not.
const SERIES: u64 = 16;

fn window(values: &[f64]) -> Window {
    let schema = Schema::new(vec![Metric::gauge("load", "By", Role::Rate).stored(Storage::F64)]);
    let mut window = Window::new(InstanceId::new("i"), schema);
    for (n, &value) in values.iter().enumerate() {
        let value = if value.is_nan() { MISSING } else { Value::float(value) };
        window.push(at(n as f64), &[value]);
    }
    window
}

fn learned(values: &[f64]) -> Option<(Model, Ahead)> {
    let window = window(values);
    let model = learn(&window, false);
    let member = [Member { window: &window, recipe: model.recipe() }];
    let config = AheadConfig { step_s: 1.0, hidden: 0, ..AheadConfig::default() };
    let ahead = Ahead::fit(&member, &config, &mut |_| ControlFlow::Continue(()))?;
    Some((model, ahead))
}

/// The part of the truth within the band of 90 %, at each of [`STEPS`], over series made by `make`.
fn coverage(make: impl Fn(&mut Rng) -> Vec<f64>) -> [f64; 3] {
    let (mut inside, mut all) = ([0.0; 3], [0.0; 3]);
    for seed in 0..SERIES {
        let values = make(&mut Rng::new(seed));
        let (model, ahead) = learned(&values[..LEARNED]).expect("enough rows that move");
        let whole = window(&values);
        let origins: Vec<usize> = (LEARNED - 1..values.len() - 1).collect();
        let moments: Vec<Timestamp> = origins.iter().map(|&row| whole.times[row]).collect();
        let bands = ahead.bands_from(model.recipe(), &whole, (&moments, &STEPS));
        for (&row, bands) in origins.iter().zip(&bands) {
            for (n, &step) in STEPS.iter().enumerate() {
                let Band { quantiles, expected, .. } = bands[n][0];
                assert!(quantiles.iter().all(|q| q.is_finite()) && expected.scale > 0.0, "{quantiles:?}");
                assert!(quantiles.is_sorted(), "{quantiles:?}");
                let Some(truth) = values.get(row + step).filter(|truth| truth.is_finite()) else { continue };
                all[n] += 1.0;
                inside[n] += f64::from(u8::from((quantiles[0]..=quantiles[6]).contains(truth)));
            }
        }
    }
    std::array::from_fn(|n| inside[n] / all[n])
}

fn honest(kind: &str, covered: [f64; 3]) {
    assert!(covered.iter().all(|part| (0.82..0.97).contains(part)), "{kind}: {covered:?}");
}

fn series(of: &mut dyn FnMut(usize) -> f64) -> Vec<f64> {
    (0..LEARNED + JUDGED).map(of).collect()
}

#[test]
fn a_season_with_noise_that_lasts_is_held() {
    honest(
        "season",
        coverage(|rng| {
            let mut noise = 0.0;
            series(&mut |n| {
                noise = 0.7 * noise + rng.normal();
                50.0 + 10.0 * (n as f64 / 40.0 * std::f64::consts::TAU).sin() + noise
            })
        }),
    );
}

#[test]
fn a_random_walk_is_held() {
    honest(
        "walk",
        coverage(|rng| {
            let mut level = 100.0;
            series(&mut |_| {
                level += rng.normal();
                level
            })
        }),
    );
}

#[test]
fn noise_of_a_kind_that_is_not_normal_is_held() {
    // Most errors are small, some large, and none below: the band leans.
    honest("bursts", coverage(|rng| series(&mut |_| 5.0 - 2.0 * rng.uniform().max(1e-9).ln())));
}

#[test]
fn a_level_that_jumps_after_learning_is_held_again() {
    let covered = coverage(|rng| series(&mut |n| if n < LEARNED { 20.0 } else { 60.0 } + rng.normal()));
    assert!(covered.iter().all(|&part| part > 0.82), "{covered:?}");
    // The jump itself is among the errors that farther bands are made of; the next row is known well again.
    assert!(covered[0] < 0.97, "{covered:?}");
}

#[test]
fn what_is_missing_is_no_error() {
    honest(
        "gaps",
        coverage(|rng| {
            let mut level = 0.0;
            series(&mut |n| {
                level = 0.9 * level + rng.normal();
                let silent = (100..130).contains(&n) || (300..320).contains(&n) || n % 7 == 3;
                if silent { f64::NAN } else { 30.0 + level }
            })
        }),
    );
}

#[test]
fn little_is_known_of_few_rows_and_nothing_of_a_constant() {
    let mut rng = Rng::new(3);
    let noise: Vec<f64> = (0..60).map(|_| rng.normal()).collect();
    assert!(learned(&noise[..39]).is_none(), "too few");
    let (model, ahead) = learned(&noise).unwrap();
    assert!(ahead.farthest() <= 20, "a third of what was seen at most: {}", ahead.farthest());
    let recent = window(&noise);
    let moments: Vec<Timestamp> = (1..=30).map(|n| at(59.0 + f64::from(n))).collect();
    let bands = ahead.bands(model.recipe(), &recent, &moments);
    assert!(bands[..ahead.farthest()].iter().all(|band| band[0].quantiles.iter().all(|q| q.is_finite())));
    assert!(bands[ahead.farthest()..].iter().all(|band| band[0].expected.mean.is_nan()), "nothing beyond");
    // Farther ahead, fewer errors were seen.
    let width = |band: &[Band]| band[0].quantiles[6] - band[0].quantiles[0];
    assert!(width(&bands[ahead.farthest() - 1]) > 2.0, "of a standard normal: {:?}", bands[9]);
    assert!(learned(&[5.0; 200]).is_none(), "a constant is not forecast but held");
}

#[test]
fn what_stands_still_lately_has_a_narrow_band_and_not_none() {
    let mut rng = Rng::new(4);
    let values: Vec<f64> = (0..900).map(|n| if n < 400 { rng.normal() } else { 0.5 }).collect();
    let (model, ahead) = learned(&values[..300]).unwrap();
    let bands = ahead.bands(model.recipe(), &window(&values), &[at(900.0)]);
    let width = bands[0][0].quantiles[6] - bands[0][0].quantiles[0];
    assert!(0.0 < width && width < 1.0, "{width}");
}
