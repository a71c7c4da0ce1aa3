//! The runner's own life: does what its order says, and tells of it once per period.

use std::fs;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use foretwin_core::probe::Field;
use foretwin_core::{Order, Timestamp};
use foretwin_wire::frame::{self, Frame};

use crate::board::Board;
use crate::channel::{Channel, Event};
use crate::fault::Failure;
use crate::work::Calibration;
use crate::{fault, probe, replay, sys};

/// How a runner ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It was told to.
    Told,
    /// A commanded fault met its limit.
    Failed,
}

/// Everything that runs.
pub struct Runner {
    channel: Channel,
    events: Sender<Event>,
    calibration: Calibration,
    board: Arc<Board>,
    order: Order,
    probes: Option<probe::Set>,
    replay: Option<replay::Set>,
    fault: Option<fault::Set>,
    failed: f64,
    sequence: u64,
    began_ns: u64,
}

impl Runner {
    /// Nothing runs yet.
    pub fn new(channel: Channel, events: Sender<Event>, calibration: Calibration, began_ns: u64) -> Self {
        Self {
            channel,
            events,
            calibration,
            board: Arc::default(),
            order: Order::default(),
            probes: None,
            replay: None,
            fault: None,
            failed: 0.0,
            sequence: 0,
            began_ns,
        }
    }

    /// Does what `order` says from now on. What it does not change goes on undisturbed.
    pub fn obey(&mut self, order: Order) {
        // Before a replay takes its working set.
        let own_bytes = anonymous_bytes();
        if self.probes.as_ref().map(probe::Set::order) != order.probes.as_ref() {
            self.probes = None;
            self.probes = order.probes.as_ref().and_then(|probes| {
                let started = probe::Set::start(probes, order.seed, &self.board, self.calibration);
                started.map_err(|error| eprintln!("probes: they cannot start: {error}")).ok()
            });
        }
        // A fault that changes what requests cost begins the replay anew.
        let is_same = self.order.fault == order.fault;
        if !is_same || self.replay.as_ref().map(replay::Set::order) != order.replay.as_ref() {
            self.replay = None;
            let about = (&self.board, self.calibration, self.uptime_s());
            self.replay = order.replay.as_ref().and_then(|replay| {
                let started = replay::Set::start(replay, order.fault.as_ref(), order.seed, about);
                started.map_err(|error| eprintln!("replay: it cannot start: {error}")).ok()
            });
        }
        if self.fault.as_ref().map(fault::Set::order) != order.fault.as_ref() {
            self.fault = None;
            self.fault = order.fault.as_ref().and_then(|fault| {
                let replayed = order.replay.as_ref().and_then(|replay| replay.directory.clone());
                let probed = || order.probes.as_ref().and_then(|probes| probes.directory.clone());
                let (directory, events) = (replayed.or_else(probed), self.events.clone());
                let around = fault::Surroundings { directory, own_bytes, events };
                let started = fault::Set::start(fault, around);
                started.map_err(|error| eprintln!("fault: it cannot start: {error}")).ok()
            });
        }
        self.order = order;
    }

    fn uptime_s(&self) -> f64 {
        (sys::monotonic_ns() - self.began_ns) as f64 / 1e9
    }

    /// Runs until told to end.
    pub fn run(&mut self, events: &Receiver<Event>) -> End {
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
                    Ok(Event::Failed(failure)) => return self.fail(failure),
                    Ok(Event::End) | Err(RecvTimeoutError::Disconnected) => {
                        self.report();
                        return End::Told;
                    }
                }
            }
            self.report();
        }
    }

    fn fail(&mut self, failure: Failure) -> End {
        self.failed = f64::from(failure as u8);
        self.report();
        End::Failed
    }

    fn report(&mut self) {
        let mut values = Vec::with_capacity(96);
        let counts = self.board.take(&mut values);
        let uptime_s = self.uptime_s();
        values.push((Field::Uptime, uptime_s));
        values.push((Field::WorkRate, self.calibration.rate));
        values.push((Field::RunnerMemory, resident_bytes()));
        if let Some(probes) = &mut self.probes {
            probes.report(uptime_s, &counts, &mut values);
        }
        if let Some(replay) = &mut self.replay {
            replay.report(uptime_s, &mut values);
        }
        if let Some(fault) = &self.fault {
            fault.report(self.replay.as_ref().map_or(0, replay::Set::held_bytes), &mut values);
            values.push((Field::Failed, self.failed));
        }
        let (monotonic_us, wall) = (sys::monotonic_ns() / 1000, Timestamp(sys::wall_us()));
        let mut bytes = Vec::with_capacity(1024);
        frame::encode(&Frame { sequence: self.sequence, monotonic_us, wall, values }, &mut bytes);
        self.sequence += 1;
        self.channel.send(&bytes);
    }
}

/// The last word for a runner of a guest that the kernel killed for its memory. Its numbers begin anew.
pub fn report_killed(mut channel: Channel) {
    let (monotonic_us, wall) = (sys::monotonic_ns() / 1000, Timestamp(sys::wall_us()));
    let values = vec![(Field::Failed, f64::from(Failure::Memory as u8))];
    let mut bytes = Vec::new();
    frame::encode(&Frame { sequence: 0, monotonic_us, wall, values }, &mut bytes);
    channel.send(&bytes);
}

fn resident_bytes() -> f64 {
    pages().map_or(f64::NAN, |(resident, _)| (resident * sys::PAGE as u64) as f64)
}

/// Bytes that no file backs: what the group cannot take back. Zero where the kernel does not tell.
fn anonymous_bytes() -> u64 {
    pages().map_or(0, |(resident, shared)| resident.saturating_sub(shared) * sys::PAGE as u64)
}

/// Resident pages, and how many of them files back.
fn pages() -> Option<(u64, u64)> {
    let text = fs::read_to_string("/proc/self/statm").ok()?;
    let mut pages = text.split_ascii_whitespace().skip(1).map(str::parse::<u64>);
    Some((pages.next()?.ok()?, pages.next()?.ok()?))
}
