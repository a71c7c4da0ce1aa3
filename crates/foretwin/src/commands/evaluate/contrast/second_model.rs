//! The second model: expects the twin's costs, given what it was commanded and what others use, as any model does.

use std::ops::ControlFlow;

use anyhow::{Context, Result};
use foretwin_core::probe::Field;
use foretwin_core::{InstanceId, Metric, Role, Schema, Storage, Value, Window};
use foretwin_foresee::contrast::Second;
use foretwin_learn::{Config, Job, Model, fit};
use foretwin_wire::frame::Frame;

use super::recording::{Recording, frame_at};

/// What the costs are given, beside what the runner itself reports as commanded: the original's own share apart.
const GIVEN: [&str; 4] = ["original.cpu", "original.rate", "others.cpu", "cpu.steal"];

/// Fits the model to the healthy beginning and has it score every second.
pub fn add(recording: &mut Recording) -> Result<()> {
    if recording.frames.is_empty() {
        return Ok(());
    }
    let until = recording.healthy_until();
    let mut window = Window::new(InstanceId::new("foretwin-contrast/foretwin-twin"), schema());
    let rows: Vec<Option<Vec<Value>>> = (recording.seconds.iter())
        .map(|second| Some(row(second, frame_at(&recording.frames, second.at)?)))
        .collect();
    for (second, values) in recording.seconds.iter().zip(&rows) {
        if let Some(values) = values.as_ref().filter(|_| second.at.seconds() < until) {
            window.push(second.at, values);
        }
    }
    let config = Config { false_alarm_rate: 1e-4, ..Config::default() };
    let model: Model = fit(&Job::new(&window, &config), &mut |_| ControlFlow::Continue(()))
        .context("fitting the second model")?;
    let mut state = model.start();
    for (second, values) in recording.seconds.iter_mut().zip(&rows) {
        if let Some(values) = values {
            model.advance(&mut state, second.at, values);
            second.twin_score = state.score();
        }
    }
    Ok(())
}

fn schema() -> std::sync::Arc<Schema> {
    let given = GIVEN.map(|name| Metric::gauge(name, "1", Role::Command).stored(Storage::F64));
    Schema::new(given.into_iter().chain(Field::probes().map(Field::metric)).collect())
}

fn row(second: &Second, frame: &Frame) -> Vec<Value> {
    let others = second.neighbours.iter().map(|neighbour| neighbour.cpu).sum();
    let given = [second.production.cpu, second.production.rate, others, second.kernel.steal];
    given.into_iter().chain(Field::probes().map(|field| frame.get(field))).map(Value::float).collect()
}
