//! Fits a model to a window: features, linear part, recurrent part, threshold. A pure function of its job.

use std::ops::ControlFlow;

use foretwin_core::{Timestamp, Window};
use serde::{Deserialize, Serialize};

use crate::adapt::Tail;
use crate::cycle::Profile;
use crate::feature::{Duty, Recipe};
use crate::forecast::measure;
use crate::linear::{Linear, Shape, rank_inputs};
use crate::lookback::Lookback;
use crate::lstm::Series;
use crate::model::{Header, Judge, Model, RecurrentShape};
use crate::network::{Gain, Start, add_network};
use crate::provenance::Trial;
use crate::routine::Routine;
use crate::span::Span;
use crate::spread::Sizes;
use crate::step::gather;
use crate::table::{Rows, Table};
use crate::tail::threshold;
use crate::{Config, Error, influence};

/// The latest part of the rows, held out to choose and to calibrate.
const HELD_OUT: f64 = 0.2;
/// Fewest usable rows before metrics are explained by others.
const JOINT_ROWS: usize = 200;
/// A richer expectation must cut the held-out error by this part to be kept for a metric.
pub(crate) const WORTH: f64 = 0.02;
/// Surprises beyond this many deviations neither teach the LSTM nor choose between expectations.
const WILD: f32 = 4.0;
/// Standard deviations up to which the surprise of a single metric is never an alarm by itself.
const DOUBT: f64 = 6.0;
/// The largest surprise believed of one metric, in standard deviations, however much was seen.
const BELIEVED: f64 = 100.0;

/// What to learn, from what: a pure value that gives the same model anywhere.
#[derive(Debug, Clone, Copy)]
pub struct Job<'a> {
    /// Frames to learn from.
    pub window: &'a Window,
    /// Spans that are neither learned from nor calibrated on: incidents, maintenance. They end the past like a gap.
    pub left_out: &'a [Span],
    /// What comes back by the clock: known to the clock, and to nothing else.
    pub routine: Option<Routine<'a>>,
    /// Where the network comes from.
    pub start: Start<'a>,
    /// Seed of everything random.
    pub seed: u64,
    /// The version that the model will carry.
    pub version: u64,
    /// The time that the model will carry.
    pub trained_at: Timestamp,
    /// Settings.
    pub config: &'a Config,
    /// Whether to try an LSTM; without it a fit takes a fraction of the time.
    pub lstm: bool,
}

impl<'a> Job<'a> {
    /// A job that leaves nothing out, starts afresh and tries an LSTM; version 1, seed 1, trained at the window's end.
    #[must_use]
    pub fn new(window: &'a Window, config: &'a Config) -> Self {
        let trained_at = window.times.last().copied().unwrap_or_default();
        Self {
            window,
            left_out: &[],
            routine: None,
            start: Start::Fresh,
            seed: 1,
            version: 1,
            trained_at,
            config,
            lstm: true,
        }
    }
}

/// What a fit is busy with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Choosing and scaling features.
    Features,
    /// The linear part.
    Linear,
    /// The LSTM.
    Lstm,
    /// Calibrating the threshold.
    Threshold,
}

/// How far a fit has come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// What it is busy with.
    pub stage: Stage,
    /// Part of that stage that is done, 0 to 1.
    pub done: f64,
}

/// Learns a model of normal behaviour. `observe` hears of progress and may stop it.
///
/// # Errors
/// [`Error::TooShort`] with fewer than `config.min_rows` frames, [`Error::Cancelled`] when `observe` broke,
/// [`Error::Config`] for settings that cannot be used.
pub fn fit(job: &Job, observe: &mut dyn FnMut(Progress) -> ControlFlow<()>) -> Result<Model, Error> {
    job.config.check()?;
    tell(observe, Stage::Features, 0.0)?;
    let data = Data::new(job)?;
    tell(observe, Stage::Linear, 0.0)?;
    let mut model = linear_model(job, &data);
    tell(observe, Stage::Linear, 0.5)?;
    let cohort = matches!(job.start, Start::Cohort(_) | Start::Better(..));
    let enough = cohort || data.usable.len() >= job.config.lstm_min_rows;
    if job.lstm && enough && !model.linear.shape.targets.is_empty() {
        let mut observe = |done| observe(Progress { stage: Stage::Lstm, done });
        add_network(job, &data, &mut model, &mut observe)?;
    }
    tell(observe, Stage::Threshold, 0.0)?;
    model.header.rhythm = model.rhythm(job);
    calibrate(job, &data, &mut model);
    model.header.growth =
        measure(&model, &data.table, data.held_out().first().map_or(0, |&row| row as usize));
    finish(job, &data, &mut model);
    model.header.influences = influence::measure(&model, &data.table, &data.usable);
    Ok(model)
}

pub(crate) fn tell(
    observe: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    stage: Stage,
    done: f64,
) -> Result<(), Error> {
    match observe(Progress { stage, done }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Error::Cancelled),
    }
}

/// The training data and its split.
pub(crate) struct Data {
    rows: Rows,
    pub recipe: Recipe,
    /// On the common scale, without what repeats.
    table: Table,
    profile: Option<Profile>,
    /// Rows that can be expected from those before them.
    pub usable: Vec<u32>,
    /// How many of `usable` are learned from while the rest is held out.
    head: usize,
}

impl Data {
    pub fn new(job: &Job) -> Result<Self, Error> {
        let config = job.config;
        let most = config.max_rows.min(config.max_cells / job.window.schema.width().max(1));
        let rows = Rows::choose_without(&job.window.times, most, &job.apart());
        let recipe = Recipe::learn(job.window, &rows, config);
        let mut table = Table::new(job.window, &recipe, &rows);
        let moving = recipe.columns(|duty| matches!(duty, Duty::Modelled | Duty::Input));
        let profile = Profile::find(&table, &moving, rows.step_s);
        profile.iter().for_each(|profile| table.subtract(profile));
        let usable: Vec<u32> =
            (0..table.rows()).filter(|&row| table.has_past(row, config.lags)).map(|row| row as u32).collect();
        let needed = config.min_rows.saturating_sub(config.lags);
        if usable.len() < needed {
            return Err(Error::TooShort { rows: usable.len(), needed });
        }
        let head = usable.len() - (usable.len() as f64 * HELD_OUT) as usize;
        Ok(Self { rows, recipe, table, profile, usable, head })
    }

    fn learned(&self) -> &[u32] {
        &self.usable[..self.head]
    }

    fn held_out(&self) -> &[u32] {
        &self.usable[self.head..]
    }
}

/// A model of the head of the data, without threshold.
pub(crate) fn linear_model(job: &Job, data: &Data) -> Model {
    let targets = data.recipe.columns(|duty| duty == Duty::Modelled);
    let candidates = data.recipe.columns(|duty| matches!(duty, Duty::Modelled | Duty::Input));
    let inputs = rank_inputs(&data.table, data.learned(), candidates, &targets, job.config.max_inputs);
    let known = data.recipe.columns(|duty| duty == Duty::Input);
    let own = Shape { lags: job.config.lags, targets, inputs, known, joint: Vec::new() };
    let mut linear = Linear::fit(&data.table, data.learned(), own.clone(), job.config);
    let mut trials = Vec::new();
    if data.usable.len() >= JOINT_ROWS && own.targets.len() + own.inputs.len() > 1 {
        let joint = (0..own.targets.len() as u32).collect();
        let all = Linear::fit(&data.table, data.learned(), Shape { joint, ..own }, job.config);
        let (without, with) = (errors(&linear, data), errors(&all, data));
        linear = all.keep_joint(|t| with[t] < (1.0 - WORTH) * without[t]);
        let kept = linear.shape.joint.len();
        trials.push(trial("past of other metrics", data, (&without, &with), (kept, 0)));
    }
    let deviation = deviations(&linear, data, data.learned(), job.config);
    let lookback = Lookback::fit(&data.table, data.learned(), &linear.shape, job.config);
    let judge = Judge {
        smoothing: job.config.smoothing as f32,
        believed: (data.usable.len() as f64 / 10.0).min(BELIEVED) as f32,
        threshold: 1.0,
        contributions: job.config.contributions,
    };
    let header = Header {
        version: job.version,
        trained_at: job.trained_at,
        schema: job.window.schema.id(),
        step_s: data.rows.step_s,
        rows: data.table.rows(),
        recipe: data.recipe.clone(),
        shape: linear.shape.clone(),
        constants: data.recipe.columns(|duty| duty == Duty::Constant),
        judge,
        recurrent: None,
        cycle: data.profile.as_ref().map(|profile| profile.cycle.clone()),
        lookback: lookback.is_some(),
        growth: None,
        rhythm: None,
        influences: Vec::new(),
        gain: Gain::default(),
        tail: None,
        trials,
    };
    let (calm, profile) = (vec![1.0; deviation.len()], data.profile.clone());
    Model {
        header,
        linear,
        deviation,
        calm,
        lookback,
        profile,
        network: None,
        cohort: None,
        unit: Vec::new(),
    }
}

/// What a trial came to: per target, the summed held-out error without and with it.
pub(crate) fn trial(
    what: &str,
    data: &Data,
    (before, after): (&[f64], &[f64]),
    (kept, epochs): (usize, usize),
) -> Trial {
    let mean = |errors: &[f64]| {
        errors.iter().sum::<f64>() / (errors.len().max(1) * data.held_out().len().max(1)) as f64
    };
    let (before, after, of) = (mean(before), mean(after), before.len());
    Trial { what: what.into(), before, after, kept, of, epochs }
}

/// Held-out squared error of each target, with wild surprises held to the size of the largest ordinary ones.
pub(crate) fn errors(linear: &Linear, data: &Data) -> Vec<f64> {
    let width = linear.shape.targets.len();
    let mut sums = vec![1e-12; width];
    for residuals in linear.residuals(&data.table, data.held_out()).chunks_exact(width.max(1)) {
        for (sum, r) in sums.iter_mut().zip(residuals) {
            *sum += f64::from(r.clamp(-WILD, WILD)).powi(2);
        }
    }
    sums
}

/// Standard deviation of each target's surprise, with a floor, and wider where few rows were seen.
fn deviations(linear: &Linear, data: &Data, rows: &[u32], config: &Config) -> Vec<f32> {
    let targets = &linear.shape.targets;
    let mut sizes = vec![Sizes::default(); targets.len()];
    for block in rows.chunks(1024) {
        let residuals = linear.residuals(&data.table, block);
        for (&row, residuals) in block.iter().zip(residuals.chunks_exact(targets.len().max(1))) {
            for (t, residual) in residuals.iter().enumerate() {
                if data.table.is_seen(row as usize, targets[t] as usize) {
                    sizes[t].take(*residual);
                }
            }
        }
    }
    sizes.iter().map(|sizes| sizes.deviation(config.residual_floor) as f32).collect()
}

/// The LSTM's training data: at each row what it sees, and the standardised surprise of the next row.
pub(crate) fn series(job: &Job, data: &Data, model: &Model, shape: &RecurrentShape) -> Series {
    let targets = &model.linear.shape.targets;
    let table = &data.table;
    let first = table.rows().saturating_sub(job.config.lstm_max_rows + 1);
    let last = table.rows() - 1;
    let mut series = Series { inputs: Vec::new(), targets: Vec::new(), keep: Vec::new(), head: 0 };
    let (split, mut room) = (data.held_out().first().map_or(last, |&row| row as usize), Vec::new());
    for row in first..last {
        gather(shape, table.row(row), table.times[row], &mut room);
        series.inputs.extend_from_slice(&room);
        series.keep.push(if table.age[row] == 0 { 0.0 } else { 1.0 });
        let next = row + 1;
        if !table.has_past(next, model.linear.shape.lags) {
            series.targets.resize(series.targets.len() + targets.len(), f32::NAN);
            continue;
        }
        let residuals = model.linear.residuals(table, &[next as u32]);
        series.targets.extend(residuals.iter().enumerate().map(|(t, residual)| {
            let seen = table.is_seen(next, targets[t] as usize);
            if seen { (residual / model.deviation[t]).clamp(-WILD, WILD) } else { f32::NAN }
        }));
    }
    series.head = split.saturating_sub(first + 1).min(series.keep.len());
    series
}

/// Replays the held-out rows through the model of the head, and sets where evidence rests and where it alarms.
fn calibrate(job: &Job, data: &Data, model: &mut Model) {
    let first = data.held_out().first().map_or(0, |&row| row as usize);
    // A short history is calibrated on all of it: a fifth of it would be a few frames.
    let first = if data.usable.len() < JOINT_ROWS { 0 } else { first };
    let (seen, sums) = replay(data, model, first.saturating_sub(job.config.lags));
    let apart = (3.0 / job.config.smoothing) as usize;
    // Where nothing ever moved, evidence rests at zero and its tail says nothing: one metric alone must at least stay
    // beyond ordinary doubt to make an alarm, however many others stand still beside it.
    let parts = model.calm.len() + model.header.constants.len();
    let least = (DOUBT * DOUBT / parts.max(1) as f64).min(1.0);
    let rate = job.config.false_alarm_rate;
    let found = threshold(&seen, rate, apart).max(least);
    // Where little was seen the tail is a guess, and the guess is cautious: nothing is followed yet. Else the stream
    // goes on from the tail of all rows: rare peaks are too few in a fifth of them.
    if data.usable.len() >= JOINT_ROWS && job.config.adapt {
        let (all, _) = replay(data, model, 0);
        model.header.tail = Some(Tail::learn(&all, (rate, apart), (found, least)));
    }
    model.header.judge.threshold = found;
    let far = model.lookback.iter_mut().flat_map(|lookback| &mut lookback.calm);
    for (calm, sum) in model.calm.iter_mut().chain(far).zip(&sums) {
        *calm = (sum / seen.len().max(1) as f64).min(f64::from(BELIEVED as f32)) as f32;
    }
}

/// Evidence of the rows from one on that could be expected, and its sums per target.
fn replay(data: &Data, model: &Model, from: usize) -> (Vec<f64>, Vec<f64>) {
    let mut state = model.start();
    let (mut seen, mut sums) = (Vec::new(), vec![0.0f64; model.calm.len() + state.far.len()]);
    for row in from..data.table.rows() {
        if data.table.age[row] == 0 {
            model.pause(&mut state, 1e3);
        }
        let present = &data.table.seen[row * data.table.width..(row + 1) * data.table.width];
        let samples = data.table.row(row).iter().zip(present);
        for (z, (&sample, &present)) in state.scratch.z.iter_mut().zip(samples) {
            *z = if present { sample } else { f32::NAN };
        }
        if model.judge(&mut state, data.table.times[row]) {
            seen.push(state.score * state.score);
            let evidence = state.evidence.iter().chain(&state.far);
            sums.iter_mut().zip(evidence).for_each(|(sum, evidence)| *sum += f64::from(*evidence));
        }
    }
    (seen, sums)
}

/// Refits the linear part to all rows, with the choices made on held-out ones.
fn finish(job: &Job, data: &Data, model: &mut Model) {
    let before = deviations(&model.linear, data, data.learned(), job.config);
    model.linear = Linear::fit(&data.table, &data.usable, model.linear.shape.clone(), job.config);
    let after = deviations(&model.linear, data, &data.usable, job.config);
    for (deviation, (before, after)) in model.deviation.iter_mut().zip(before.iter().zip(&after)) {
        *deviation = (*deviation * after / before).max(job.config.residual_floor as f32);
    }
    let lookback = Lookback::fit(&data.table, &data.usable, &model.linear.shape, job.config);
    if let Some((old, new)) = model.lookback.as_mut().zip(lookback) {
        *old = Lookback { calm: std::mem::take(&mut old.calm), ..new };
    }
}
