//! One network for many instances of a kind: trained on all of them, each on its own scale and beyond its own linear part.

use std::ops::ControlFlow;
use std::sync::Arc;

use foretwin_core::{DAY_US, SchemaId};

use crate::Error;
use crate::feature::Duty;
use crate::fit::{Data, Job, Progress, Stage, linear_model, series, tell};
use crate::lstm::{Packed, Series, Size, Training, train};
use crate::model::RecurrentShape;

/// Doubt: a cohort's network counts as no better than the linear part on this many held-out rows beside those seen. What
/// it was worth to others does not open the gate: on short histories that was found to mislead.
const DOUBTED_ROWS: f64 = 200.0;

/// A network shared by instances of one schema. What is individual stays with each model: scaling, linear part,
/// deviations, threshold, and which metrics the network corrects.
#[derive(Debug, Clone, PartialEq)]
pub struct Cohort {
    pub(crate) schema: SchemaId,
    /// Columns it sees.
    pub(crate) inputs: Vec<u32>,
    pub(crate) daily: bool,
    /// Columns that it has an output for, ascending.
    pub(crate) outputs: Vec<u32>,
    pub(crate) network: Arc<Packed<f32>>,
    /// Per output, its squared error relative to the linear part on the members' held-out rows.
    pub(crate) errors: Vec<f64>,
}

/// Trains a network on the windows of several instances of the same schema. `config.lstm_max_rows` is what each of
/// them contributes at most; the seed is the first job's. Members too short to learn from are passed over.
///
/// # Errors
/// [`Error::Schema`] where schemas differ, [`Error::TooShort`] if no member has enough, [`Error::Cancelled`] when
/// `observe` broke.
pub fn cohort(jobs: &[Job], observe: &mut dyn FnMut(Progress) -> ControlFlow<()>) -> Result<Cohort, Error> {
    let nothing = Error::TooShort { rows: 0, needed: 1 };
    let first = jobs.first().ok_or(nothing)?;
    let schema = first.window.schema.id();
    if let Some(other) = jobs.iter().find(|job| job.window.schema.id() != schema) {
        return Err(Error::Schema { train: schema, test: other.window.schema.id() });
    }
    let mut members = Vec::new();
    for (n, job) in jobs.iter().enumerate() {
        tell(observe, Stage::Linear, n as f64 / jobs.len() as f64)?;
        match Data::new(job) {
            Ok(data) => members.push((job, linear_model(job, &data), data)),
            Err(Error::TooShort { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let columns = |wanted: fn(Duty) -> bool| {
        let mut all: Vec<u32> = members.iter().flat_map(|(.., data)| data.recipe.columns(wanted)).collect();
        all.sort_unstable();
        all.dedup();
        all
    };
    let outputs = columns(|duty| duty == Duty::Modelled);
    let mut inputs = columns(|duty| matches!(duty, Duty::Modelled | Duty::Input));
    inputs.truncate(first.config.max_inputs);
    let days = |job: &Job| {
        let ends = job.window.times.first().zip(job.window.times.last());
        ends.map_or(0, |(start, end)| end.0 - start.0)
    };
    let daily = members.iter().all(|(job, ..)| days(job) >= 2 * DAY_US);
    let size = Size {
        inputs: inputs.len() + 2 * usize::from(daily),
        hidden: first.config.hidden,
        outputs: outputs.len(),
    };
    if members.is_empty() || outputs.is_empty() {
        return Err(Error::TooShort { rows: 0, needed: first.config.min_rows });
    }
    let shape = RecurrentShape { size, inputs, daily, outputs: Vec::new() };
    let parts = members.iter().map(|(job, model, data)| {
        remapped(&series(job, data, model, &shape), &model.linear.shape.targets, &outputs)
    });
    let pooled = pooled(&parts.collect::<Vec<_>>(), size);
    let training = Training { size, epochs: first.config.epochs, seed: first.seed };
    let mut observe = |done| observe(Progress { stage: Stage::Lstm, done });
    let ControlFlow::Continue((network, errors, _)) = train(&pooled, training, &mut observe) else {
        return Err(Error::Cancelled);
    };
    let RecurrentShape { inputs, daily, .. } = shape;
    Ok(Cohort { schema, inputs, daily, outputs, network: Arc::new(Packed::new(&network)), errors })
}

impl Cohort {
    /// Numbers in its network, which all its members share.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.network.size().parameters()
    }

    /// Held-out squared error relative to the linear parts, mean over metrics.
    #[must_use]
    pub fn error(&self) -> f64 {
        self.errors.iter().sum::<f64>() / self.errors.len().max(1) as f64
    }

    /// A member's series with the outputs of the cohort.
    pub(crate) fn series(&self, own: &Series, targets: &[u32]) -> Series {
        remapped(own, targets, &self.outputs)
    }
}

/// What to think of a network whose relative error was `found` on some `rows`.
pub(crate) fn doubted(found: f64, rows: f64) -> f64 {
    (DOUBTED_ROWS + rows * found) / (DOUBTED_ROWS + rows)
}

/// A series whose targets stand in the order of other columns; NaN where there is none.
fn remapped(series: &Series, from: &[u32], to: &[u32]) -> Series {
    let places: Vec<Option<usize>> = to.iter().map(|column| from.binary_search(column).ok()).collect();
    let mut targets = Vec::with_capacity(series.keep.len() * to.len());
    for row in series.targets.chunks_exact(from.len().max(1)) {
        targets.extend(places.iter().map(|place| place.map_or(f32::NAN, |place| row[place])));
    }
    targets.resize(series.keep.len() * to.len(), f32::NAN);
    Series { inputs: series.inputs.clone(), targets, keep: series.keep.clone(), head: series.head }
}

/// The heads of all series, then their tails, with the memory cleared between them.
fn pooled(parts: &[Series], size: Size) -> Series {
    let mut pooled = Series { inputs: Vec::new(), targets: Vec::new(), keep: Vec::new(), head: 0 };
    let mut add = |part: &Series, rows: std::ops::Range<usize>| {
        let start = pooled.keep.len();
        pooled.inputs.extend_from_slice(&part.inputs[rows.start * size.inputs..rows.end * size.inputs]);
        pooled.targets.extend_from_slice(&part.targets[rows.start * size.outputs..rows.end * size.outputs]);
        pooled.keep.extend_from_slice(&part.keep[rows]);
        if let Some(keep) = pooled.keep.get_mut(start) {
            *keep = 0.0;
        }
        pooled.keep.len()
    };
    let head = parts.iter().map(|part| add(part, 0..part.head)).last().unwrap_or(0);
    parts.iter().for_each(|part| {
        add(part, part.head..part.keep.len());
    });
    pooled.head = head;
    pooled
}
