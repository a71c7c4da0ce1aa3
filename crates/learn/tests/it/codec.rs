//! Models and states survive their bytes, and damaged bytes are refused.

use foretwin_learn::{Config, Model, State};
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

/// Damage that keeps the checksum right, as a faulty writer would make.
fn resealed(mut bytes: Vec<u8>, change: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    bytes.truncate(bytes.len() - 8);
    change(&mut bytes);
    bytes.extend(foretwin_core::fnv64(&bytes).to_le_bytes());
    bytes
}

#[test]
fn wrong_bytes_with_a_right_checksum_are_errors() {
    let model = learn(&Server::new(32).window(300), false);
    let bytes = model.encode().unwrap();
    for length in (12..bytes.len() - 8).step_by(7) {
        assert!(Model::decode(&resealed(bytes.clone(), |bytes| bytes.truncate(length))).is_err());
    }
    // Any digit of the header may turn into a nine: an error or a model, never a panic or a huge allocation.
    for at in 12..(bytes.len() - 8).min(3000) {
        let changed = resealed(bytes.clone(), |bytes| {
            if bytes[at].is_ascii_digit() {
                bytes[at] = b'9';
            }
        });
        if let Ok(model) = Model::decode(&changed) {
            Live::new(&model).run(&mut Server::new(1), 5);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn noise_is_never_a_model(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0usize..2000, bit in 0u8..8) {
        prop_assert!(Model::decode(&bytes).is_err());
        let mut damaged = damaged_model();
        let at = at % damaged.len();
        damaged[at] ^= 1 << bit;
        prop_assert!(Model::decode(&damaged).is_err());
    }
}

fn damaged_model() -> Vec<u8> {
    static BYTES: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    BYTES
        .get_or_init(|| learn(&Server::new(33).window(200), false).encode().expect("a fitted model encodes"))
        .clone()
}
