//! Twins that are simulated in this process. Nothing real runs, so there is no contrast.

mod simulation;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use foretwin_core::{Fidelity, Order, Timestamp};
use foretwin_wire::frame::Frame;

use crate::Error;
use crate::frames::{Report, Sink};
use crate::spec::{Confinement, Exit, Resources, Spec, Traffic};
use crate::substrate::{Running, Substrate};

use simulation::Simulation;

/// The substrate that is always there.
#[derive(Debug, Default)]
pub struct ModelSubstrate;

impl Substrate for ModelSubstrate {
    fn fidelity(&self) -> Fidelity {
        Fidelity::Model
    }

    fn check(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn start(&mut self, spec: &Spec, sink: &Sink) -> Result<Box<dyn Running>, Error> {
        let shared = Arc::new(Shared::new(spec));
        let (theirs, sink, spec) = (Arc::clone(&shared), sink.clone(), spec.clone());
        thread::Builder::new()
            .name("twin-model".into())
            .stack_size(128 << 10)
            .spawn(move || theirs.run(&spec, &sink))
            .map_err(Error::twin("simulate", "model"))?;
        Ok(Box::new(Simulated(shared)))
    }

    fn sweep(&mut self, _keep: &[Spec]) -> Result<Vec<String>, Error> {
        Ok(Vec::new())
    }
}

/// What the simulating thread and its owner share.
#[derive(Debug)]
struct Shared {
    simulation: Mutex<Simulation>,
    stop: AtomicBool,
    paused: AtomicBool,
    died: AtomicBool,
    frames: AtomicU64,
    refused: AtomicU64,
    last: Mutex<Option<Instant>>,
}

impl Shared {
    fn new(spec: &Spec) -> Self {
        Self {
            simulation: Mutex::new(Simulation::new(&spec.order, &spec.resources)),
            stop: AtomicBool::new(false),
            paused: AtomicBool::new(false),
            died: AtomicBool::new(false),
            frames: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            last: Mutex::new(None),
        }
    }

    fn run(&self, spec: &Spec, sink: &Sink) {
        let start = Instant::now();
        let mut sequence = 0;
        while !self.stop.load(Ordering::Relaxed) {
            let period_s = self.lock().period_s();
            self.sleep(Duration::from_secs_f64(period_s));
            if self.paused.load(Ordering::Relaxed) {
                continue;
            }
            let period = self.lock().step(period_s);
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let frame = Frame {
                sequence,
                monotonic_us: u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX),
                wall: Timestamp(i64::try_from(now.as_micros()).unwrap_or(i64::MAX)),
                values: period.values,
            };
            sequence += 1;
            self.frames.fetch_add(1, Ordering::Relaxed);
            *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
            let report = Report { label: spec.label.clone(), fidelity: Fidelity::Model, frame };
            if sink.try_send(report).is_err() {
                self.refused.fetch_add(1, Ordering::Relaxed);
            }
            if period.died {
                self.died.store(true, Ordering::Relaxed);
                return;
            }
        }
    }

    /// Sleeps in pieces, so that an end is noticed.
    fn sleep(&self, time: Duration) {
        let until = Instant::now() + time;
        while !self.stop.load(Ordering::Relaxed) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            thread::sleep(left.min(Duration::from_millis(500)));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Simulation> {
        self.simulation.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One simulated twin.
struct Simulated(Arc<Shared>);

impl Running for Simulated {
    fn poll(&mut self) -> Option<Exit> {
        self.0.died.load(Ordering::Relaxed).then_some(Exit::silent(137, true))
    }

    fn command(&mut self, order: &Order) -> Result<(), Error> {
        self.0.lock().command(order);
        Ok(())
    }

    fn resize(&mut self, resources: &Resources) -> Result<(), Error> {
        self.0.lock().resize(resources);
        Ok(())
    }

    fn pause(&mut self, paused: bool) -> Result<(), Error> {
        self.0.paused.store(paused, Ordering::Relaxed);
        Ok(())
    }

    fn confinement(&self) -> Confinement {
        Confinement::Simulated
    }

    fn pid(&self) -> Option<u32> {
        None
    }

    fn traffic(&self) -> (Traffic, Option<Instant>) {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let traffic =
            Traffic { frames: load(&self.0.frames), refused: load(&self.0.refused), ..Traffic::default() };
        (traffic, *self.0.last.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Simulated {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    use foretwin_core::{InstanceId, Replay};

    #[test]
    fn a_simulated_twin_reports_stops_and_goes_on() {
        let order = Order { report_hz: 50.0, replay: Some(Replay::default()), ..Order::default() };
        let spec = Spec {
            label: InstanceId::new("h/a~twin"),
            order,
            resources: Resources::default(),
            level: Fidelity::Model,
            parent: String::new(),
            paused: false,
            restarts: true,
        };
        let (sink, reports) = mpsc::sync_channel(1000);
        let mut twin = ModelSubstrate.start(&spec, &sink).unwrap();
        let wait = Duration::from_secs(10);
        assert_eq!(reports.recv_timeout(wait).unwrap().fidelity, Fidelity::Model);
        twin.pause(true).unwrap();
        thread::sleep(Duration::from_millis(200));
        while reports.try_recv().is_ok() {}
        thread::sleep(Duration::from_millis(200));
        assert!(reports.try_recv().is_err());
        twin.pause(false).unwrap();
        let later = reports.recv_timeout(wait).unwrap();
        assert!(later.frame.sequence > 0 && twin.poll().is_none() && twin.traffic().1.is_some());
        drop((twin, sink));
        while reports.recv_timeout(wait).is_ok() {}
        assert_eq!(reports.try_recv(), Err(mpsc::TryRecvError::Disconnected), "the thread ends");
    }
}
