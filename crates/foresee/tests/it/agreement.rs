//! What a what-if begins with is what the prediction states: for every shape, young or old, calibrated or not.

use std::collections::BTreeMap;

use foretwin_core::{Change, Effect, FailureMode, Risk, Rng, Scenario, Timestamp};
use foretwin_foresee::{Config, Evidence, Grounds, Growth, Series, Statement, blend, combine, risk, what_if};

const LIMIT: f64 = 256.0;
const HORIZONS_S: [f64; 6] = [60.0, 300.0, 900.0, 3600.0, 21_600.0, 86_400.0];
/// Futures are whole; a prediction is met to within one of them, and to within another for each mode beside the first.
const FUTURE: f64 = 1.0 / 256.0;
const SHAPES: [&str; 6] = ["linear", "loaded", "accelerating", "steps", "sawtooth", "plateau"];

/// Work per second.
fn load(t: f64) -> f64 {
    20.0 + 8.0 * (t / 40.0).sin()
}

/// A level that begins to rise after a while of calm.
fn level(shape: &str, t: f64, seed: u64) -> f64 {
    let t = (t - 60.0).max(0.0);
    let pace = 0.1 + 0.1 * (seed % 5) as f64;
    match shape {
        "linear" => pace * t,
        "loaded" => pace * (t + 16.0 * (1.0 - (t / 40.0).cos())),
        "accelerating" => pace * t * t / 200.0,
        "steps" => 5.0 * (pace * t / 5.0).floor(),
        "sawtooth" => 0.4 * pace * t + (3.0 * pace * t) % 15.0,
        _ => 120.0 * (1.0 - (-pace * t / 60.0).exp()),
    }
}

/// One resource as it was seen for so long.
struct Seen {
    times: Vec<Timestamp>,
    used: Vec<f64>,
    work: Vec<f64>,
}

impl Seen {
    fn new(shape: &str, seconds: u32, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let at = |second: u32| Timestamp::from_seconds(1e9 + f64::from(second));
        let used = |second: u32| {
            (40.0 + level(shape, f64::from(second), seed) + 0.5 * rng.normal()).min(LIMIT - 1.0)
        };
        Self {
            times: (0..seconds).map(at).collect(),
            used: (0..seconds).map(used).collect(),
            work: (0..seconds).map(|second| load(f64::from(second))).collect(),
        }
    }

    /// The risk, and the growth that is expected to last as the risk has it; asked a while after the last sample.
    fn read(&self, config: &Config) -> (Risk, Growth) {
        let (metric, mode) = ("memory", FailureMode::MemoryExhaustion);
        let series = Series { metric, mode, times: &self.times, used: &self.used, limit: LIMIT };
        let now = self.times[self.times.len() - 1] + 2_000_000;
        let growth = Growth::read(&Evidence { series, work: &self.work }, now, config.lookback_s, 7);
        let risk = risk(&series, now, config, 7);
        (risk.expect("enough samples"), growth.expect("enough samples").lasting(&series, now, config))
    }
}

/// Every shape at several ages, with several seeds.
fn all() -> impl Iterator<Item = (String, Seen)> {
    SHAPES.into_iter().flat_map(|shape| {
        let ages = [75, 96, 140, 260, 600].into_iter();
        ages.flat_map(move |age| {
            (0..5).map(move |seed| (format!("{shape} {age} {seed}"), Seen::new(shape, age, seed)))
        })
    })
}

fn config() -> Config {
    Config { horizons_s: HORIZONS_S.to_vec(), ..Config::default() }
}

fn asked(growths: &[Growth], stated: &[(f64, f64)], scenario: &Scenario) -> Effect {
    let grounds = Grounds {
        growths,
        stated,
        highest_load: 1.4,
        knows_work: true,
        processors: None,
        host: &BTreeMap::new(),
        horizon_s: 900.0,
    };
    what_if(&grounds, scenario, &config())
}

fn memory(factor: f64) -> Scenario {
    Scenario { memory: Some(Change::Times(factor)), ..Scenario::default() }
}

#[test]
fn the_base_of_a_what_if_is_the_prediction() {
    let mut likely = 0;
    for (name, seen) in all() {
        let (risk, growth) = seen.read(&config());
        likely += usize::from((0.2..0.8).contains(&risk.at(900.0)));
        let effect = asked(&[growth.stated(&risk)], &risk.within, &Scenario::default());
        for &(horizon_s, share) in &effect.before.within {
            let stated = risk.at(horizon_s);
            assert!((share - stated).abs() <= 0.51 * FUTURE, "{name} at {horizon_s}: {share} {stated}");
        }
        // Where hardly more than half of the futures fail, the median lies among the last of them.
        let replayed = effect.before.time_to_failure.p50.filter(|_| risk.never < 0.4);
        if let (Some(said), Some(replayed)) = (risk.time_to_failure.p50, replayed) {
            assert!((replayed - said).abs() < 0.05 * said + 0.5, "{name}: median {replayed} {said}");
        }
        assert_eq!(effect.before, effect.after, "{name}: nothing changed");
    }
    assert!(likely >= 8, "only {likely} series are uncertain: nothing is tested");
}

/// Probabilities of the same growth as recorded failures may move them, up or down.
#[test]
fn what_was_learned_moves_the_base_too() {
    for (name, seen) in all().step_by(3) {
        for said in [0.02, 0.4, 0.99] {
            let (risk, growth) = seen.read(&config());
            let learned = Statement {
                within: HORIZONS_S.map(|horizon_s| said * (horizon_s / 900.0).min(1.0)).to_vec(),
                time_to_failure: risk.time_to_failure,
                confidence: vec![0.9; HORIZONS_S.len()],
                modes: Vec::new(),
                abstains: None,
            };
            let mut risks = [risk];
            let blended = blend(&mut risks, &learned, &HORIZONS_S);
            let effect = asked(&[growth.stated(&risks[0])], &blended.within, &Scenario::default());
            for &(horizon_s, share) in &effect.before.within {
                let stated = blended.at(horizon_s);
                // Of what no growth explains there are whole futures, too.
                assert!(
                    (share - stated).abs() <= 1.01 * FUTURE,
                    "{name} {said} at {horizon_s}: {share} {stated} {risks:?} {blended:?}"
                );
            }
        }
    }
}

#[test]
fn several_modes_agree_together() {
    let seen: Vec<Seen> = all().map(|(_, seen)| seen).collect();
    for three in seen.chunks_exact(3) {
        let (risks, growths): (Vec<Risk>, Vec<Growth>) = three.iter().map(|one| one.read(&config())).unzip();
        let growths: Vec<Growth> =
            growths.into_iter().zip(&risks).map(|(one, risk)| one.stated(risk)).collect();
        let stated = HORIZONS_S.map(|horizon_s| (horizon_s, combine(&risks, horizon_s)));
        let effect = asked(&growths, &stated, &Scenario::default());
        for (&(horizon_s, share), (_, stated)) in effect.before.within.iter().zip(stated) {
            assert!((share - stated).abs() < 0.03, "at {horizon_s}: {share} {stated}");
        }
    }
}

/// What was learned of calm instances names no growth, and no intervention helps against it.
#[test]
fn what_nothing_explains_stays() {
    let (risk, growth) = Seen::new("linear", 260, 1).read(&config());
    let stated = HORIZONS_S.map(|horizon_s| (horizon_s, 1.0 - (1.0 - risk.at(horizon_s)) * 0.8));
    let fix = Scenario { fix: true, ..Scenario::default() };
    let effect = asked(&[growth.stated(&risk)], &stated, &fix);
    assert!((effect.before.probability - stated[2].1).abs() < 0.02, "{effect:?}");
    assert!((effect.after.probability - 0.2).abs() < 0.02, "{effect:?}");
}

#[test]
fn what_eases_never_makes_it_likelier() {
    let restart = Scenario { restart: true, ..Scenario::default() };
    let fix = Scenario { fix: true, ..Scenario::default() };
    let half = Scenario { load: Some(0.5), ..Scenario::default() };
    for (name, seen) in all() {
        let (risk, growth) = seen.read(&config());
        let growths = [growth.stated(&risk)];
        for scenario in [memory(1.2), memory(2.0), restart.clone(), fix.clone(), half.clone()] {
            let effect = asked(&growths, &risk.within, &scenario);
            for (before, after) in effect.before.within.iter().zip(&effect.after.within) {
                assert!(after.1 <= before.1, "{name}, {}: {before:?} {after:?}", effect.title);
            }
            assert!(
                effect.delay_s.is_none_or(|delay| delay.value >= 0.0 && delay.low >= 0.0),
                "{name}: {effect:?}"
            );
        }
        // And less room never makes it less likely.
        let less = asked(&growths, &risk.within, &memory(0.9));
        assert!(less.after.probability >= less.before.probability, "{name}: {less:?}");
    }
}
