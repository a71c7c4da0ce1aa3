//! Where a model's network comes from: trained afresh, gone on with from a parent, or shared by a cohort.

use std::ops::ControlFlow;
use std::sync::Arc;

use foretwin_core::DAY_US;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::cohort::{Cohort, doubted};
use crate::fit::{Data, Job, WORTH, errors, series, trial};
use crate::lstm::{Packed, Size, Training, Weights, evaluate, train, train_from};
use crate::model::{Model, RecurrentShape};

/// Where the network of a new model comes from.
#[derive(Debug, Clone, Copy, Default)]
pub enum Start<'a> {
    /// Trained from random weights.
    #[default]
    Fresh,
    /// Trained on from those of an earlier model of the same schema and width; what it did not see starts at zero.
    Parent(&'a Model),
    /// Taken from a cohort as it is, for the metrics that it helps here.
    Cohort(&'a Arc<Cohort>),
    /// Trained for itself as well, and kept in place of the cohort's where it is clearly better on held-out data; from
    /// weights of its own that an earlier model has, if there are any.
    Better(&'a Arc<Cohort>, Option<&'a Model>),
}

/// Held-out squared error of a network relative to the linear part alone, mean over metrics, those that a network
/// does not help counted as 1. Absent where none was tried.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Gain {
    /// Of weights of one's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<f64>,
    /// Of the cohort's weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cohort: Option<f64>,
    /// Whether the cohort's are the ones in use.
    #[serde(default)]
    pub shared: bool,
    /// Passes over the training data that weights of one's own took.
    #[serde(default)]
    pub epochs: usize,
}

/// A network that may be put into a model.
struct Candidate {
    shape: RecurrentShape,
    network: Arc<Packed<f32>>,
    /// Per target, its squared error relative to the linear part.
    errors: Vec<f64>,
    /// Which of its outputs are of a metric that is modelled here; the others stand at the first target.
    ours: Vec<bool>,
}

impl Candidate {
    /// Mean over metrics, where each takes the network only if it helps.
    fn gain(&self) -> f64 {
        let gated = self.errors.iter().map(|&error| if error < 1.0 - WORTH { error } else { 1.0 });
        gated.sum::<f64>() / self.errors.len().max(1) as f64
    }
}

/// Gives a model the network that its job asks for, where it helps.
pub(crate) fn add_network(
    job: &Job,
    data: &Data,
    model: &mut Model,
    observe: &mut dyn FnMut(f64) -> ControlFlow<()>,
) -> Result<(), Error> {
    let shared = match job.start {
        Start::Cohort(cohort) | Start::Better(cohort, _) => shared(job, data, model, cohort),
        _ => None,
    };
    let enough = data.usable.len() >= job.config.lstm_min_rows;
    let alone = !matches!(job.start, Start::Cohort(_)) && enough;
    let own = if alone { Some(own(job, data, model, observe)?) } else { None };
    let gain = Gain {
        own: own.as_ref().map(|(own, _)| own.gain()),
        cohort: shared.as_ref().map(Candidate::gain),
        shared: false,
        epochs: own.as_ref().map_or(0, |(_, epochs)| *epochs),
    };
    // Weights of one's own cost memory and training: they must be clearly better.
    let earned = gain.own.is_some_and(|own| own < (1.0 - WORTH) * gain.cohort.unwrap_or(f64::INFINITY));
    model.header.gain = gain;
    match (own, shared) {
        (Some((own, _)), None) => adopt(job, model, own),
        (Some((own, _)), Some(_)) if earned => adopt(job, model, own),
        (_, Some(shared)) => {
            adopt(job, model, shared);
            model.header.gain.shared = model.network.is_some();
            if let Start::Cohort(cohort) | Start::Better(cohort, _) = job.start {
                model.cohort = Some(cohort.clone());
            }
        }
        (None, None) => {}
    }
    Ok(())
}

/// Trains a network on what the linear part leaves.
fn own(
    job: &Job,
    data: &Data,
    model: &mut Model,
    observe: &mut dyn FnMut(f64) -> ControlFlow<()>,
) -> Result<(Candidate, usize), Error> {
    let inputs = model.linear.shape.inputs.clone();
    let span_us =
        job.window.times.last().zip(job.window.times.first()).map_or(0, |(end, start)| end.0 - start.0);
    // The time of day can only be told from chance after it has been seen twice.
    let daily = span_us >= 2 * DAY_US;
    let outputs = model.linear.shape.targets.len();
    let size = Size { inputs: inputs.len() + 2 * usize::from(daily), hidden: job.config.hidden, outputs };
    let mut shape = RecurrentShape { size, inputs, daily, outputs: (0..outputs as u32).collect() };
    let initial = match job.start {
        Start::Parent(parent) => inherited(parent, model, &shape, job.seed),
        Start::Better(_, Some(parent)) if !parent.gain().shared => inherited(parent, model, &shape, job.seed),
        _ => None,
    };
    let series = series(job, data, model, &shape);
    let training = Training { size, epochs: job.config.epochs, seed: job.seed };
    let trained = match &initial {
        Some(initial) => train_from(initial, &series, training, observe),
        None => train(&series, training, observe),
    };
    let ControlFlow::Continue((network, errors, epochs)) = trained else { return Err(Error::Cancelled) };
    shape.outputs.retain(|&t| errors[t as usize] < 1.0 - WORTH);
    let before = self::errors(&model.linear, data);
    let after: Vec<f64> = before.iter().zip(&errors).map(|(before, q)| before * q).collect();
    let kept = shape.outputs.len();
    model.header.trials.push(trial("LSTM", data, (&before, &after), (kept, epochs)));
    let network = Arc::new(Packed::new(&network.keep_outputs(&shape.outputs)));
    shape.size = network.size();
    let ours = vec![true; shape.outputs.len()];
    Ok((Candidate { shape, network, errors, ours }, epochs))
}

/// The cohort's network as it does here. Where little was seen here, little is believed.
fn shared(job: &Job, data: &Data, model: &Model, cohort: &Cohort) -> Option<Candidate> {
    if cohort.schema != model.header.schema {
        return None;
    }
    let size = cohort.network.size();
    let shape =
        RecurrentShape { size, inputs: cohort.inputs.clone(), daily: cohort.daily, outputs: Vec::new() };
    let targets = &model.linear.shape.targets;
    let series = cohort.series(&series(job, data, model, &shape), targets);
    let found = evaluate(&series, &cohort.network.weights());
    let rows = (series.keep.len() - series.head) as f64;
    let mut errors = vec![1.0; targets.len()];
    let (mut outputs, mut ours) = (vec![0; size.outputs], vec![false; size.outputs]);
    for (n, column) in cohort.outputs.iter().enumerate() {
        if let Ok(target) = targets.binary_search(column) {
            errors[target] = doubted(found[n], rows);
            (outputs[n], ours[n]) = (target as u32, true);
        }
    }
    let shape = RecurrentShape { outputs, ..shape };
    Some(Candidate { shape, network: cohort.network.clone(), errors, ours })
}

/// Puts a network to work for the metrics that it helps; those of its outputs that help nothing are worth nothing.
fn adopt(job: &Job, model: &mut Model, candidate: Candidate) {
    let Candidate { shape, network, errors, ours } = candidate;
    let helped = |target: u32| errors[target as usize] < 1.0 - WORTH;
    let worth = |(&target, &ours): (&u32, &bool)| {
        if ours && helped(target) { model.deviation[target as usize] } else { 0.0 }
    };
    let unit: Vec<f32> = shape.outputs.iter().zip(&ours).map(worth).collect();
    if unit.iter().all(|&unit| unit == 0.0) {
        return;
    }
    for (target, error) in errors.iter().enumerate().filter(|(target, _)| helped(*target as u32)) {
        let narrower = model.deviation[target] * error.sqrt() as f32;
        model.deviation[target] = narrower.max(job.config.residual_floor as f32);
    }
    model.unit = unit;
    model.header.recurrent = Some(shape);
    model.network = Some(network);
}

/// Weights that do for the metrics of a parent what the parent's did: inputs and outputs are matched by column, new ones
/// start at zero.
fn inherited(parent: &Model, model: &Model, shape: &RecurrentShape, seed: u64) -> Option<Weights> {
    let (old, known) = (parent.network.as_ref()?.weights(), parent.header.recurrent.as_ref()?);
    if parent.header.schema != model.header.schema || old.size.hidden != shape.size.hidden {
        return None;
    }
    let (size, mut new) = (shape.size, Weights::new(shape.size, seed));
    new.values[size.hh().start..size.bias().end]
        .copy_from_slice(&old.values[old.size.hh().start..old.size.bias().end]);
    let place = |columns: &RecurrentShape, n: usize| match columns.inputs.get(n) {
        Some(&column) => (0, column as usize),
        // The sine and cosine of the time of day.
        None => (1, n - columns.inputs.len()),
    };
    for n in 0..size.inputs {
        let same = (0..old.size.inputs).find(|&before| place(known, before) == place(shape, n));
        for gate in 0..4 * size.hidden {
            new.values[size.ih().start + gate * size.inputs + n] =
                same.map_or(0.0, |before| old.values[old.size.ih().start + gate * old.size.inputs + before]);
        }
    }
    let old_column = |n: usize| parent.header.shape.targets[known.outputs[n] as usize];
    for (n, &target) in shape.outputs.iter().enumerate() {
        let column = model.header.shape.targets[target as usize];
        let same =
            (0..old.size.outputs).find(|&before| old_column(before) == column && parent.unit[before] > 0.0);
        if let Some(before) = same {
            let (from, to) =
                (old.size.out().start + before * size.hidden, size.out().start + n * size.hidden);
            new.values[to..to + size.hidden].copy_from_slice(&old.values[from..from + size.hidden]);
            new.values[size.out_bias().start + n] = old.values[old.size.out_bias().start + before];
        }
    }
    Some(new)
}
