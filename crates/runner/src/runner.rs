//! The runner's own life: does what its order says, and tells of it once per period.

use std::fs;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use foretwin_core::probe::Field;
use foretwin_core::{Order, Timestamp};
use foretwin_wire::frame::{self, Frame};

use crate::board::Board;
use crate::channel::{Channel, Event};
use crate::work::Calibration;
use crate::{probe, sys};

/// Everything that runs.
pub struct Runner {
    channel: Channel,
    calibration: Calibration,
    board: Arc<Board>,
    order: Order,
    probes: Option<probe::Set>,
    sequence: u64,
    began_ns: u64,
}

impl Runner {
    /// Nothing runs yet.
    pub fn new(channel: Channel, calibration: Calibration, began_ns: u64) -> Self {
        let (board, order) = (Arc::default(), Order::default());
        Self { channel, calibration, board, order, probes: None, sequence: 0, began_ns }
    }

    /// Does what `order` says from now on. What it does not change goes on undisturbed.
    pub fn obey(&mut self, order: Order) {
        if self.probes.as_ref().map(probe::Set::order) != order.probes.as_ref() {
            self.probes = None;
            self.probes = order.probes.as_ref().and_then(|probes| {
                let started = probe::Set::start(probes, order.seed, &self.board, self.calibration);
                started.map_err(|error| eprintln!("probes: they cannot start: {error}")).ok()
            });
        }
        self.order = order;
    }

    /// Runs until told to end.
    pub fn run(&mut self, events: &Receiver<Event>) {
        let mut due_ns = sys::monotonic_ns();
        loop {
            due_ns += (1e9 / self.order.report_hz) as u64;
            // A period that was slept through is not made up for.
            due_ns = due_ns.max(sys::monotonic_ns());
            loop {
                let left = Duration::from_nanos(due_ns.saturating_sub(sys::monotonic_ns()));
                match events.recv_timeout(left) {
                    Ok(Event::Order(order)) => self.obey(*order),
                    Err(RecvTimeoutError::Timeout) => break,
                    Ok(Event::End) | Err(RecvTimeoutError::Disconnected) => {
                        self.report();
                        return;
                    }
                }
            }
            self.report();
        }
    }

    fn report(&mut self) {
        let mut values = Vec::with_capacity(64);
        let counts = self.board.take(&mut values);
        let uptime_s = (sys::monotonic_ns() - self.began_ns) as f64 / 1e9;
        values.push((Field::Uptime, uptime_s));
        values.push((Field::WorkRate, self.calibration.rate));
        values.push((Field::RunnerMemory, resident_bytes()));
        if let Some(probes) = &mut self.probes {
            probes.report(uptime_s, &counts, &mut values);
        }
        let (monotonic_us, wall) = (sys::monotonic_ns() / 1000, Timestamp(sys::wall_us()));
        let mut bytes = Vec::with_capacity(1024);
        frame::encode(&Frame { sequence: self.sequence, monotonic_us, wall, values }, &mut bytes);
        self.sequence += 1;
        self.channel.send(&bytes);
    }
}

fn resident_bytes() -> f64 {
    let text = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split_ascii_whitespace().nth(1).and_then(|pages| pages.parse::<f64>().ok());
    pages.map_or(f64::NAN, |pages| pages * sys::PAGE as f64)
}
