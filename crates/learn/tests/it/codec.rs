//! Models and states survive their bytes, and damaged bytes are refused.

use foretwin_core::{Timestamp, Value};
use foretwin_learn::{Config, Excluded, Model, Outcome, Provenance, State};
use proptest::prelude::*;

use crate::simulated::{Live, Server, learn, learn_with};

#[test]
fn a_decoded_model_and_state_go_on_exactly() {
    let mut server = Server::new(30);
    let config = Config { epochs: 1, hidden: 8, ..Config::default() };
    let model = learn_with(&server.window(4000), true, &config);
    let copy = Model::decode(&model.encode().unwrap()).unwrap();
    assert_eq!(copy, model);
    let mut live = Live::new(&model);
    live.run(&mut server, 137);
    let state = State::decode(&live.state.encode(&model).unwrap(), &copy).unwrap();
    let mut other = Live { model: &copy, state, out: live.out.clone() };
    for n in 0..200 {
        let frame = server.next(if n > 150 { 0.2 } else { 0.0 });
        assert_eq!(live.take(frame).score.to_bits(), other.take(frame).score.to_bits());
        assert_eq!(live.out.contributions, other.out.contributions);
    }
}

#[test]
fn the_state_of_another_model_is_refused() {
    let mut server = Server::new(31);
    let model = learn(&server.window(300), false);
    let other = Model::decode(&model.encode().unwrap()).unwrap();
    let bytes = model.start().encode(&model).unwrap();
    assert!(State::decode(&bytes, &other).is_ok());
    assert!(State::decode(&model.encode().unwrap(), &model).is_err());
    assert!(Model::decode(&bytes).is_err());
}

/// Any byte may be another one, and the end may be cut off: an error or a model that can be stepped, never a panic or a
/// huge allocation. (That a file is what was written is for whoever keeps it to check.)
#[test]
fn damaged_files_are_errors_or_models() {
    let bytes = a_model();
    for length in (0..bytes.len()).step_by(7) {
        assert!(Model::decode(&bytes[..length]).is_err());
    }
    for at in 0..bytes.len().min(4000) {
        let mut changed = bytes.clone();
        changed[at] = if changed[at].is_ascii_digit() { b'9' } else { changed[at] ^ 1 };
        if let Ok(model) = Model::decode(&changed) {
            Live::new(&model).run(&mut Server::new(1), 5);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn noise_is_never_a_model(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Model::decode(&bytes).is_err());
        prop_assert!(Model::decode(&[b"FTwM", &bytes[..]].concat()).is_err());
    }
}

fn a_model() -> Vec<u8> {
    let config = Config { epochs: 1, hidden: 4, ..Config::default() };
    learn_with(&Server::new(33).window(3200), true, &config).encode().expect("a fitted model encodes")
}

#[test]
fn provenance_travels_with_the_model() {
    let model = learn(&Server::new(34).window(400), true);
    let provenance = Provenance {
        instance: "shop/web".into(),
        rows: 400,
        parent: Some(3),
        excluded: vec![Excluded { from_us: Timestamp(5), to_us: Timestamp(9), reason: "incident".into() }],
        held_out: [("gain".to_owned(), 0.1 + 0.2)].into(),
        config: serde_json::to_value(Config::default()).unwrap(),
        ..Provenance::default()
    };
    let bytes = model.encode_with(&provenance).unwrap();
    assert_eq!(Model::decode_with(&bytes).unwrap(), (model.clone(), provenance));
    let trial = &model.trials()[0];
    assert!(trial.before > 0.0 && trial.after > 0.0 && trial.kept <= trial.of, "{trial:?}");
}

/// The files of a version before. This one was written by the encoder of format 1 from 4000 frames of [`Logistic`].
const FORMAT_1: &[u8] = include_bytes!("samples/format-1.model");

/// A gauge that only a nonlinear model can expect, one that follows it, a counter, and errors that never happen.
struct Logistic(f64, u64);

impl Logistic {
    fn next(&mut self) -> [Value; 4] {
        self.0 = 3.7 * self.0 * (1.0 - self.0);
        self.1 += (50.0 + 30.0 * self.0) as u64;
        [Value::float(self.0), Value::float(self.0 * self.0), Value(self.1), Value(0)]
    }
}

#[test]
fn the_first_format_is_still_read_and_understood() {
    let model = Model::decode(FORMAT_1).unwrap();
    assert_eq!((model.version(), model.corrected()), (7, vec![0, 1, 2]));
    assert_eq!(Model::decode(&model.encode().unwrap()).unwrap(), model);
    let (mut source, mut state, mut out) = (Logistic(0.4, 1 << 60), model.start(), Outcome::default());
    let (mut errors, mut changes, mut last) = (0.0, 0.0, 0.4);
    for second in 0..500 {
        let frame = source.next();
        model.step(&mut state, Timestamp(second * 1_000_000), &frame, &mut out);
        if second > 20 {
            errors += (source.0 - out.expectations[0].mean).abs();
            changes += (source.0 - last).abs();
        }
        last = source.0;
    }
    // Linear models halve the error of expecting the last value, at best.
    assert!(errors < 0.3 * changes, "{errors} against {changes}");
    for length in 0..FORMAT_1.len() {
        assert!(Model::decode(&FORMAT_1[..length]).is_err());
    }
    for at in 0..FORMAT_1.len() {
        let mut damaged = FORMAT_1.to_vec();
        damaged[at] ^= 4;
        assert!(Model::decode(&damaged).is_err(), "byte {at}");
    }
}
