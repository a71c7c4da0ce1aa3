//! A small queue with one server of fixed service time: what a request sees from arrival to answer.

use std::sync::mpsc::{Receiver, Sender};

use foretwin_core::Rng;

use super::Shared;
use crate::board::Cost;
use crate::{sys, work};

/// CPU seconds of a request.
const SERVICE_S: f64 = 50e-6;

/// A request is the moment of its arrival.
pub type Request = u64;

/// Sends the requests of one tick, all at once so that they wait for each other: 1 to 3, two on average.
pub fn arrive(requests: &Sender<Request>, rng: &mut Rng) {
    for _ in 0..1 + rng.below(3) {
        // The server is there as long as the ticker is.
        let _ = requests.send(sys::monotonic_ns());
    }
}

/// Serves requests in order until the queue is closed.
pub fn serve(shared: &Shared, requests: &Receiver<Request>) {
    let units = shared.calibration.units_in(SERVICE_S);
    for arrived in requests {
        std::hint::black_box(work::units(units));
        shared.board.push_ns(Cost::Sojourn, sys::monotonic_ns().saturating_sub(arrived));
    }
}
