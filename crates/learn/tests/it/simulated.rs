//! Simulated instances.

use std::ops::ControlFlow;

use foretwin_core::{InstanceId, Metric, Rng, Role, Schema, Storage, Timestamp, Value, Window};
use foretwin_learn::{Config, Job, Model, Outcome, State, fit};

/// A moment, in seconds.
pub fn at(second: f64) -> Timestamp {
    Timestamp::from_seconds(second)
}

/// A small server: a slow load with memory, what follows from it, a counter, and errors that never happen.
pub struct Server {
    rng: Rng,
    load: f64,
    pub requests: u64,
    pub errors: u64,
    pub second: f64,
}

impl Server {
    pub const WIDTH: usize = 5;

    pub fn new(seed: u64) -> Self {
        Self { rng: Rng::new(seed), load: 0.0, requests: 1 << 60, errors: 0, second: 1e6 }
    }

    pub fn schema() -> std::sync::Arc<Schema> {
        let float = |name: &str| Metric::gauge(name, "1", Role::Utilization).stored(Storage::F64);
        Schema::new(vec![
            float("cpu"),
            float("queue"),
            Metric::gauge("memory", "By", Role::Utilization),
            Metric::counter("requests", "{request}", Role::Rate),
            Metric::counter("oom", "{kill}", Role::Errors),
        ])
    }

    /// The next second; `cpu` gets `extra`.
    pub fn next(&mut self, extra: f64) -> (Timestamp, [Value; Self::WIDTH]) {
        self.second += 1.0;
        self.load = 0.9 * self.load + 0.1 * self.rng.normal();
        let rate = (100.0 + 50.0 * self.load + 5.0 * self.rng.normal()).max(0.0);
        self.requests += rate as u64;
        let cpu = 0.4 + 0.2 * self.load + 0.01 * self.rng.normal() + extra;
        let queue = 2.0 + self.load + 0.1 * self.rng.normal();
        let memory = (1e9 + 1e7 * self.rng.normal()) as u64;
        let frame =
            [Value::float(cpu), Value::float(queue), Value(memory), Value(self.requests), Value(self.errors)];
        (at(self.second), frame)
    }

    pub fn window(&mut self, rows: usize) -> Window {
        let mut window = Window::new(InstanceId::new("server"), Self::schema());
        for _ in 0..rows {
            let (at, frame) = self.next(0.0);
            window.push(at, &frame);
        }
        window
    }
}

pub fn learn(window: &Window, lstm: bool) -> Model {
    learn_with(window, lstm, &Config::default())
}

pub fn learn_with(window: &Window, lstm: bool, config: &Config) -> Model {
    let job = Job { version: 7, trained_at: at(0.0), lstm, ..Job::new(window, config) };
    fit(&job, &mut |_| ControlFlow::Continue(())).expect("the window is long enough and nobody stops it")
}

/// A model at work.
pub struct Live<'a> {
    pub model: &'a Model,
    pub state: State,
    pub out: Outcome,
}

impl<'a> Live<'a> {
    pub fn new(model: &'a Model) -> Self {
        Self { model, state: model.start(), out: Outcome::default() }
    }

    pub fn take(&mut self, (at, frame): (Timestamp, [Value; Server::WIDTH])) -> &Outcome {
        self.model.step(&mut self.state, at, &frame, &mut self.out);
        &self.out
    }

    /// The largest score over the next `rows` ordinary seconds.
    pub fn run(&mut self, server: &mut Server, rows: usize) -> f64 {
        (0..rows).map(|_| self.take(server.next(0.0)).score).fold(0.0, f64::max)
    }
}
